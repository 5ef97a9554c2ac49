"""Exposures combined: resampling, medians, outliers."""
