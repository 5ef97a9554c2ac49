"""All that touches Snakemake's inside, and what surrounds a run: its command line, lock, signals, graph and summary.

No other room uses names of Snakemake that its documentation does not name. Those with an underscore, and what is put in
place of parts of it, stand in `inside`; what is about to be executed is an `execution.Execution`.
"""
