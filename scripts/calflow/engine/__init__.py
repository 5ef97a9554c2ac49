"""What surrounds a run: the lock of its folder before it, the summary after it, and what a killed one left behind.

What these modules know of Snakemake's inner parts they take from the `workflow` of the Snakefile. Should such a part be
missing in another version, a run goes on without a summary, or with Snakemake's own locks.
"""
