"""Which function does which step, of all instrument families."""

from collections.abc import Callable
from typing import Any

from calflow.calibration.average import subtract_average
from calflow.calibration.dark import remove_dark
from calflow.calibration.flat import divide_flat, divide_flat_with_variance
from calflow.calibration.photometry import convert, convert_and_match_nans
from calflow.calibration.smooth_sky import subtract_smooth_sky
from calflow.calibration.subarrays import flag_concurrent
from calflow.calibration.world_coordinates import from_distortion, from_header
from calflow.files.exposure import Exposure

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
