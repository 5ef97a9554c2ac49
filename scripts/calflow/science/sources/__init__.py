"""The sources of a combined image: detection, photometry, shapes."""
