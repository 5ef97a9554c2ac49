"""Reference files: which there are, which one an exposure gets, and whether it will do."""
