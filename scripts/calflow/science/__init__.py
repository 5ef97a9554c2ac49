"""The science: pure functions on arrays. Nothing here opens a file or knows a FITS header."""
