"""The concurrent subarrays of a full frame listed, and their pixels flagged."""

from calflow.files.exposure import Exposure
from calflow.files.subarray_tables import record_subarrays
from calflow.science.calibration.subarray_map import flag_subarrays, parse_subarray_map

MAP = "SUBARR_MAP"


def flag_concurrent(exposure: Exposure, input, params) -> None:
    """Flag the pixels of the map, and attach the table of its subarrays."""
    ids = exposure.other(MAP).data
    record_subarrays(exposure, parse_subarray_map(ids))
    exposure.image = flag_subarrays(exposure.image, ids)
