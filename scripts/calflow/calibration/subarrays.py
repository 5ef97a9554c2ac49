"""The concurrent subarrays of a full frame listed, and their pixels flagged."""

from calflow.files.exposure import Exposure
from calflow.files.subarray_tables import record_subarrays
from calflow.science.calibration.subarray_map import flag_subarrays, parse_subarray_map

MAP = "SUBARR_MAP"


def flag_concurrent(exposure: Exposure, input, params) -> None:
    """Flag the pixels that concurrent subarrays read, by the map in the exposure, and attach a table of the subarrays.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        Not used.
    params : Snakemake's Params
        Not used.
    """
    ids = exposure.other(MAP).data
    record_subarrays(exposure, parse_subarray_map(ids))
    exposure.image = flag_subarrays(exposure.image, ids)
