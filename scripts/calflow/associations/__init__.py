"""Making associations: which exposures belong together, by the archive's rules, from a pool or from headers."""
