"""A map of a combined image to pan and zoom in, opened from disk: tiles, sources, footprints and a viewer."""
