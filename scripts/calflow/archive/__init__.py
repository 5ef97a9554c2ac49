"""Exposures of the archive: which ones a programme has, and fetching those that are missing."""
