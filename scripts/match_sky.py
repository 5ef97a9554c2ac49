"""Find the sky levels of the exposures of an association from what was measured in each."""

from pathlib import Path

from job import remark, run
from products.geometry_files import read_json
from products.names import product_root
from products.sky_tables import write_sky
from steps.sky_statistics import SkyStatistic
from steps.skymatch import SkyMeasurement, match_sky


def match(input, output, params):
    """Write the sky table."""
    settings = params.skymatch
    measurements = [_measurement(read_json(path)) for path in input.measurements]
    user_levels = _read_skylist(input.skylist) if input.get("skylist") else None
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


def _read_skylist(path):
    """Return the levels that a text file of two columns gives, as pairs of exposure and level."""
    pairs = []
    for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
        columns = line.split()
        if columns and not columns[0].startswith("#"):
            try:
                pairs.append((product_root(columns[0]), float(columns[1])))
            except (IndexError, ValueError):
                raise ValueError(f"{path}, line {number}: {line!r} is not an exposure and a level") from None
    return pairs


if "snakemake" in globals():
    run(match, snakemake)
