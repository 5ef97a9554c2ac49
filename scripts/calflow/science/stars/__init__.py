"""Stars: found in an exposure, matched between exposures, and what aligns them."""
