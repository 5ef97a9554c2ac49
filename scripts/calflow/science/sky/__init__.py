"""The sky: its level in an exposure, smooth models of it, and levels that match where exposures overlap."""
