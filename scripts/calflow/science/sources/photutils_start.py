"""Import photutils fast."""

import importlib.metadata
from functools import cache


@cache
def start_photutils() -> None:
    """Import photutils. Call it before anything of photutils is imported; later calls do nothing.

    At its import photutils looks for its own name among the modules of all installed packages, which takes 0.3 s of
    every job. Told that there is none, it takes the name of its folder, which is the same.
    """
    packages_distributions = importlib.metadata.packages_distributions
    vars(importlib.metadata)["packages_distributions"] = dict
    try:
        import photutils.utils  # noqa: F401
    finally:
        vars(importlib.metadata)["packages_distributions"] = packages_distributions
