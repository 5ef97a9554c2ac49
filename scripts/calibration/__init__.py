"""The steps of stage 2 as the job of an exposure runs them: references read, pixels worked on, results recorded.

Each function takes the exposure, which it changes, and the job's input and parameters. Which ones run, and in which
order, is decided in planning, by the description of the instrument family.
"""

from collections.abc import Callable
from typing import Any

from calibration.backgrounds import subtract_average, subtract_smooth_sky
from calibration.detector import divide_flat, divide_flat_with_variance, remove_dark
from calibration.photometry import convert, convert_and_match_nans
from calibration.subarrays import flag_concurrent
from calibration.world_coordinates import from_distortion, from_header
from products.exposure import Exposure

# By the name and the rule of `instruments.family.Step`.
WORK: dict[tuple[str, str], Callable[[Exposure, Any, Any], None]] = {
    ("bkg_subtract", "average"): subtract_average,
    ("bkg_subtract", "sky_model"): subtract_smooth_sky,
    ("parse_subarray_map", "flag"): flag_concurrent,
    ("assign_wcs", "distortion"): from_distortion,
    ("assign_wcs", "header"): from_header,
    ("dark_current", "rate"): remove_dark,
    ("flat_field", "variance"): divide_flat_with_variance,
    ("flat_field", "divide"): divide_flat,
    ("photom", "match_nans"): convert_and_match_nans,
    ("photom", "scale"): convert,
}
