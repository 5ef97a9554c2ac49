"""Jobs of stage 3 up to the corrected pointings: geometry, stars, the astrometric catalogue, alignment, grids."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from calflow.inputs.times import decimal_year
from calflow.jobs.declaration import Job, Work
from calflow.plan.combination import (
    ONLINE_CATALOGS,
    Combinations,
    PlannedAssociation,
    PlannedMember,
    UnknownAssociation,
)
from calflow.plan.plan import Plan
from calflow.references.parameter_references import Chosen


class Finding(NamedTuple):
    """Parameters of ``find_stars``."""

    finder: dict[str, Any] | None  # None: the stars of this exposure tell nothing, or are given


class CatalogFetching(NamedTuple):
    """Parameters of ``fetch_catalog``."""

    catalog: str
    epoch: float  # decimal year
    url: str | None
    retries: int


class Aligning(NamedTuple):
    """Parameters of ``align``."""

    members: list[list[str]]  # root and group of each
    alignment_step: str
    targets: list[tuple[float, float] | None] | None  # of a moving target, (ra, dec) in degrees
    pointings: dict[str, dict[str, Any]]  # from outside, by roots: the name of the file, and the offset or no more
    groups: dict[str, str]  # by roots, where others move together than those that were taken at once
    status: dict[str, str]
    tweakreg: dict[str, Any]


class Grid(NamedTuple):
    """Parameters of ``lay_grid`` and its kin."""

    grid: dict[str, Any]
    max_pixels: float


def calibrated(plan: Plan, member: str) -> dict[str, str]:
    """Return the files of ``find_stars``: a calibrated exposure of some association, and its geometry.

    Parameters
    ----------
    plan : Plan
        What this run does.
    member : str
        Root of the names of its products.
    """
    planned = plan.stage3.exposure(member)
    return {"cal": planned.pixels, "geometry": planned.geometry}


def pixels(plan: Plan, member: str) -> dict[str, str]:
    """Return the file of ``describe_geometry``: a calibrated exposure.

    Parameters
    ----------
    plan : Plan
        What this run does.
    member : str
        Root of the names of its products.
    """
    return {"cal": plan.stage3.exposure(member).cal}


def finding(plan: Plan, member: str) -> Finding:
    """Return the parameters of ``find_stars``, which are the same for all associations that an exposure is in.

    Parameters
    ----------
    plan : Plan
        What this run does.
    member : str
        Root of the names of its products.
    """
    planned = plan.stage3.exposure(member)
    if not plan.stage3.finds_stars(member):
        return Finding(None)
    chosen = planned.parameters or Chosen(plan.settings)
    return Finding(chosen.settings.stage3.tweakreg.finder_parameters())


def geometries(plan: Plan, association: str, catalog: str = "") -> dict[str, Any]:
    """Return the files of ``fetch_catalog``: the geometry of each member of an association, in its order.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    catalog : str, optional
        Not used: the same exposures for any catalogue.
    """
    return {"geometries": [member.geometry for member in plan.stage3.association(association).members]}


def catalog_fetching(plan: Plan, association: str, catalog: str) -> CatalogFetching:
    """Return the parameters of ``fetch_catalog``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    catalog : str
        Its name in lower case, such as ``gaiadr3``.
    """
    observed = str(plan.stage3.association(association).header["DATE-OBS"])
    url = os.environ.get("ASTROMETRIC_CATALOG_URL")
    return CatalogFetching(catalog.upper(), decimal_year(observed), url, retries=4)


def aligned(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``align``: geometries and star lists of the members, and the astrometric catalogue, if any.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    stage3, planned = plan.stage3, plan.stage3.association(association)
    files = geometries(plan, association)
    if planned.runs("tweakreg") and not planned.moving:
        files["stars"] = star_lists(plan, association)
        if catalog := astrometric_catalog(stage3, association):
            files["catalog"] = catalog
    if given := [member.pointing["file"] for member in planned.members if _has_wcs(member)]:
        files["wcs"] = given
    return files


def star_lists(plan: Plan, association: str) -> list[str]:
    """Return the star lists of the members of an association, in its order.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    members = plan.stage3.association(association).members
    return [str(member.star_list or _stars(plan.stage3, member)) for member in members]


def _has_wcs(member: PlannedMember) -> bool:
    """Tell whether a member is given a whole WCS from outside."""
    return bool(member.pointing) and "offset" not in member.pointing


def _stars(stage3: Combinations, member: PlannedMember) -> str:
    return stage3.path(f"stars/{member.root}_cal_cat.{stage3.settings.stage3.tweakreg.catalog_format}")


def astrometric_catalog(stage3: Combinations, association: str) -> str:
    """Return the astrometric catalogue that an association is aligned to; empty if there is none.

    It is the user's file, one that is fetched, or the source catalogue of another association.

    Parameters
    ----------
    stage3 : Combinations
        The associations of the plan.
    association : str
        Name of its product.
    """
    wanted, of = stage3.parameters(association).tweakreg.abs_refcat, stage3.association(association).catalog_of
    if of:
        return stage3.path(f"{of}_cat.ecsv") if of != association else ""
    if wanted.upper() in ONLINE_CATALOGS:
        return stage3.path(f"catalogs/{association}_fit_{wanted.lower()}_ref.ecsv")
    return wanted


def alignment(plan: Plan, association: str) -> Aligning:
    """Return how the exposures of an association are aligned."""
    planned = plan.stage3.association(association)
    return Aligning(
        members=planned.identities(),
        alignment_step=planned.alignment_step,
        targets=[member.target for member in planned.members] if planned.moving else None,
        pointings={
            member.root: {**member.pointing, "file": Path(member.pointing["file"]).name}
            for member in planned.members
            if member.pointing
        },
        groups=planned.grouped_by(plan.stage3.parameters(association).tweakreg.group_by),
        status=planned.status_of("assign_mtwcs", "tweakreg"),
        tweakreg=_alignment_parameters(plan, planned),
    )


def _alignment_parameters(plan: Plan, association: PlannedAssociation) -> dict[str, Any]:
    """Return the parameters of the alignment; the name of another association, not the pattern that stands for it."""
    parameters, of = plan.stage3.parameters(association.name).tweakreg.alignment_parameters(), association.catalog_of
    return parameters | ({"abs_refcat": of if of != association.name else ""} if of else {})


def under_grid(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``lay_grid``: the alignment, the geometry of the first member, and the user's WCS, if any.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    first = plan.stage3.association(association).members[0]
    return under_outlier_grid(plan, association) | _output_wcs(plan.settings.stage3.resample.output_wcs, first)


def under_outlier_grid(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``lay_outlier_grid``: the alignment, and the geometry of the first member.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    first = plan.stage3.association(association).members[0]
    return {"alignments": [plan.stage3.table(association, "alignment")], "first": first.geometry}


def under_common_grid(plan: Plan, grid: str) -> dict[str, Any]:
    """Return the files of ``lay_common_grid``: the alignments of all associations that share the grid.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Its name in the configuration.
    """
    sharing = [planned for planned in plan.stage3.associations.values() if planned.common_grid == grid]
    if not sharing:
        raise UnknownAssociation(f"no association of this configuration uses a grid {grid!r}")
    first = sharing[0].members[0]
    tables = [plan.stage3.table(planned.name, "alignment") for planned in sharing]
    return {"alignments": tables, "first": first.geometry} | _output_wcs(plan.settings.grids[grid].output_wcs, first)


def _output_wcs(file: str, first: PlannedMember) -> dict[str, str]:
    """Return the user's WCS, if there is one, and the exposure whose pixel scale it is compared with."""
    return {"output_wcs": file, "cal": first.cal} if file else {}


def grid(plan: Plan, association: str) -> Grid:
    """Return the parameters of ``lay_grid``, for an association that shares its grid with no other.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    section = plan.stage3.parameters(association).resample
    return Grid(section.grid_parameters(), plan.settings.max_output_pixels)


def outlier_grid(plan: Plan, association: str) -> Grid:
    """Return the parameters of ``lay_outlier_grid``: the defaults, whatever the output grid is.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    section = type(plan.settings.stage3.resample)()
    return Grid(section.grid_parameters(), plan.settings.max_output_pixels)


def common_grid(plan: Plan, grid: str) -> Grid:
    """Return the parameters of ``lay_common_grid``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    grid : str
        Its name in the configuration.
    """
    return Grid(plan.settings.grids[grid].grid_parameters(), plan.settings.max_output_pixels)


JOBS = {
    "describe_geometry": Job("describe_geometry.py", pixels, like="find_stars"),
    "find_stars": Job("find_stars.py", calibrated, finding),
    # An exposure that is made again has not moved on the sky.
    "fetch_catalog": Job("fetch_catalog.py", geometries, catalog_fetching, once=("geometries",), like="align"),
    # A row of its table for each exposure.
    "align": Job("align.py", aligned, alignment, work=Work(reckoned={"exposures": 1.0})),
    "lay_grid": Job("lay_grid.py", under_grid, grid, uncompared=("max_pixels",), like="lay_outlier_grid"),
    "lay_outlier_grid": Job("lay_grid.py", under_outlier_grid, outlier_grid, uncompared=("max_pixels",)),
    "lay_common_grid": Job(
        "lay_grid.py", under_common_grid, common_grid, uncompared=("max_pixels",), like="lay_outlier_grid"
    ),
}
