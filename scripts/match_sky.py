"""Find the sky levels of the exposures of an association from what was measured in each."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.geometry_files import read_json
from calflow.files.listings import read_levels
from calflow.files.sky_tables import write_sky
from calflow.job import remark, run
from calflow.science.sky.sky_statistics import SkyStatistic
from calflow.science.sky.skymatch import SkyMeasurement, match_sky

if TYPE_CHECKING:
    from calflow.jobs.sky import Matching


def match(input, output, params: "Matching"):
    """Write the sky table."""
    settings = params.skymatch
    measurements = [_measurement(read_json(path)) for path in input.measurements]
    user_levels = None
    if input.get("skylist"):  # which has those of other associations too
        names = {measurement.name for measurement in measurements}
        user_levels = [(name, level) for name, level in read_levels(input.skylist).items() if name in names]
    levels = match_sky(
        measurements,
        skymethod=settings["skymethod"],
        match_down=settings["match_down"],
        user_levels=user_levels,
    )
    for level in levels:
        if level.reason:
            remark("skymatch", level.status, level.name, level.reason)
    write_sky(Path(output.table), levels, {"skymethod": settings["skymethod"], "skystat": settings["skystat"]})


def _measurement(tree):
    def statistic(found):
        return found and SkyStatistic(**found)

    overlaps = {group: statistic(found) for group, found in tree["overlaps"].items()}
    return SkyMeasurement(tree["exposure"], tree["group"], statistic(tree["whole"]), overlaps)


if "snakemake" in globals():
    run(match, snakemake)
