"""calflow: what its rule scripts and its Snakefile are made of."""
