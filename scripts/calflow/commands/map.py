"""``snakemake map``: a map of each combined image, to pan and zoom in, opened from disk."""

from collections.abc import Iterator
from pathlib import Path

from calflow.commands.asked import HEADERS, Answer, Asked
from calflow.configuration.problems import InputError, Problem
from calflow.plan.combination import PlannedAssociation
from calflow.plan.plan import Plan
from calflow.plan.planner import make_plan

FOLDER = "map"


def answer(asked: Asked) -> Answer:
    """Write the maps of all associations whose image is there, and return where they are.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        If something is wrong with the input, or no image is there.
    """
    plan = make_plan(asked.settings, asked.files, cache=HEADERS)
    images = {name: Path(plan.stage3.path(f"{name}_i2d.fits")) for name in plan.stage3.associations}
    there = {name: image for name, image in images.items() if image.is_file()}
    if not there:
        wrong = "there is no combined image"
        raise InputError([Problem(plan.output or ".", "", wrong, "make stage3 first")])
    lines = [_map(plan, name, image, dry=asked.is_dry) for name, image in there.items()]
    return Answer(
        "\n".join([*lines, *(f"{image}: is not made yet" for name, image in images.items() if name not in there)])
    )


def _map(plan: Plan, name: str, image: Path, *, dry: bool) -> str:
    from calflow.sky_map.build import build_map  # which others need not load

    folder = Path(f"{plan.output}{FOLDER}/{name}")
    catalog, segments = (Path(plan.stage3.path(f"{name}_{suffix}")) for suffix in ("cat.ecsv", "segm.fits"))
    regions = dict(_regions(plan, plan.stage3.associations[name]))
    if not dry:
        build_map(
            folder,
            image,
            catalog if catalog.is_file() else None,
            segments if segments.is_file() else None,
            regions,
            name,
        )
    return f"{folder / 'index.html'}: {len(regions)} exposures"


def _regions(plan: Plan, planned: PlannedAssociation) -> Iterator[tuple[str, str]]:
    """Yield the exposures of an association with the outlines that their headers give, aligned where they are."""
    from calflow.files.exposure import keyword

    for member in planned.members:
        path = Path(member.cal if planned.single else plan.stage3.path(planned.crf(member)))
        if path.is_file() and (region := keyword(path, "S_REGION")):
            yield member.root, str(region)
