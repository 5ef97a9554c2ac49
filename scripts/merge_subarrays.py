"""Put calibrated concurrent subarrays into their calibrated full frame. Makes ``_cal`` of several ``_cal``."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.subarrays import MAP
from calflow.files.exposure import read_exposure, read_wcs, write_exposure
from calflow.files.geometry_files import write_geometry, write_json
from calflow.files.keywords import pointing_of, record_origin, record_status, window
from calflow.files.writing import Writing
from calflow.job import UnusableExposure, remark_on, run
from calflow.science.calibration.subarray_map import merge_subarrays, parse_subarray_map
from calflow.science.geometry.geometry import geometry_of

if TYPE_CHECKING:
    from calflow.jobs.calibration import Merge


def merge(input, output, params: "Merge"):
    """Write the merged exposure, and where its pixels lie: where those of the full frame do."""
    full = read_exposure(input.full)
    ids = full.other(MAP).data
    members = {number: read_exposure(path) for number, path in zip(params.ids, input.subarrays, strict=True)}
    for exposure, path in zip([full, *members.values()], [input.full, *input.subarrays], strict=True):
        remark_on(exposure, "merge_subarrays", str(path))
    _check_places(ids, members)
    full.image = merge_subarrays(full.image, ids, {number: member.image for number, member in members.items()})
    record_origin(full, params.origin)
    record_status(full, "merge_subarrays", "COMPLETE")
    write_exposure(full, Path(output.cal), Writing(**params.writing))
    if output.get("geometry"):
        _describe_geometry(full, input.full, Path(output.geometry))


def _check_places(ids, members):
    for subarray in parse_subarray_map(ids):
        if subarray.id in members and window(members[subarray.id]) != subarray.window:
            own = window(members[subarray.id])
            raise UnusableExposure(f"subarray {subarray.id} covers {own}, its place in {MAP} is {subarray.window}")


def _describe_geometry(full, path, geometry):
    if full.other("ASDF") is None:
        write_json(geometry, {"none": "the full frame has no world coordinates"})
        return
    wcs, keywords = read_wcs(path)
    write_geometry(geometry, geometry_of(wcs, keywords["SHAPE"], pointing_of(keywords)))


if "snakemake" in globals():
    run(merge, snakemake)
