"""Which function does which step, of all instrument families.

Functions are named, not imported: a job loads those that its plan names, and the code of no others counts for it.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

# By the name and the rule of `instruments.family.Step`.
WORK = {
    ("bkg_subtract", "average"): "calflow.calibration.average:subtract_average",
    ("bkg_subtract", "sky_model"): "calflow.calibration.smooth_sky:subtract_smooth_sky",
    ("parse_subarray_map", "flag"): "calflow.calibration.subarrays:flag_concurrent",
    ("assign_wcs", "distortion"): "calflow.calibration.world_coordinates:from_distortion",
    ("assign_wcs", "header"): "calflow.calibration.world_coordinates:from_header",
    ("dark_current", "rate"): "calflow.calibration.dark:remove_dark",
    ("flat_field", "variance"): "calflow.calibration.flat:divide_flat_with_variance",
    ("flat_field", "divide"): "calflow.calibration.flat:divide_flat",
    ("photom", "match_nans"): "calflow.calibration.photometry:convert_and_match_nans",
    ("photom", "scale"): "calflow.calibration.photometry:convert",
}
# What looks at all integrations of an exposure together.
OF_ALL_INTEGRATIONS = {("bkg_subtract", "sky_model")}
# Of each plane of a block of integrations: as many as a large detector has.
BLOCK_PIXELS = 1 << 22
# What takes the dark out of a background exposure.
WITHOUT_DARK = "calflow.calibration.dark:without_dark"
# What makes a reference file, by the type of its maker.
MAKERS = {
    "dark": "calflow.calibration.reference_makers:make_dark",
    "flat": "calflow.calibration.reference_makers:make_flat",
    "sky_flat": "calflow.calibration.reference_makers:make_sky_flat",
}


def work_on_integrations(steps: Iterable[tuple[str, str]]) -> bool:
    """Tell whether steps work on each integration of an exposure by itself, so that it need not be read as a whole.

    Of what one instrument family alone does that is not known.

    Parameters
    ----------
    steps : iterable of (str, str)
        Name and rule of each.
    """
    return all(step in WORK and step not in OF_ALL_INTEGRATIONS for step in steps)


def work_of(steps: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return steps with the functions that do them, as ``module:function``.

    A rule that is not here is itself such a function, of a step that one instrument family alone has.

    Parameters
    ----------
    steps : iterable of (str, str)
        Name and rule of each.
    """
    return [[name, WORK.get((name, rule), rule)] for name, rule in steps]


def function_named(name: str) -> Callable[..., Any]:
    """Import a function that is given as ``module:function``.

    Parameters
    ----------
    name : str
        Such as ``calflow.calibration.flat:divide_flat``.
    """
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)
