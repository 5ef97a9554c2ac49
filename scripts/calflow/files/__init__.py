"""The files: how exposures, reference files and their names are read and written. Nothing here computes."""
