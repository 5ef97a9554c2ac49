"""Commands in place of targets, such as ``snakemake check``: answered before there is a graph; they run nothing."""
