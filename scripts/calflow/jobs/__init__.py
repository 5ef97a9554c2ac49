"""What the jobs of a run are made of."""
