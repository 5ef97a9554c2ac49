"""What a run tells while it runs: bars in a terminal, elsewhere a line per product."""
