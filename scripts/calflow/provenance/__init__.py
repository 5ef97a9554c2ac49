"""Where products came from: their lineage, what makes two of them differ, a run as a crate of research objects."""
