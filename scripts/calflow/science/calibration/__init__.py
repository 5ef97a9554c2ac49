"""From counts to surface brightness: background, dark, flat field, photometric calibration, and their references."""
