"""Jobs that combine exposures and catalogue the sources of the image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from calflow.jobs.backgrounds import Record
from calflow.jobs.declaration import Job, Work
from calflow.plan.combination import PlannedMember, UnknownAssociation
from calflow.plan.plan import Plan


class Combination(NamedTuple):
    """Parameters of ``combine`` and ``combine_group``."""

    members: list[list[str]]  # root and group of each
    common_grid: str
    alignment_step: str
    status: dict[str, str]
    resample: dict[str, Any]
    origin: Record
    writing: dict[str, Any]  # how products are written: of `Writing`


class Cataloguing(NamedTuple):
    """Parameters of ``catalog_sources``."""

    source_catalog: dict[str, Any]
    rows: dict[str, Any]  # selectors of the rows of tables of references
    missing: dict[str, str]  # why references are missing
    writing: dict[str, Any]  # how products are written: of `Writing`


def combined(plan: Plan, association: str, group: str = "") -> dict[str, Any]:
    """Return the files of ``combine``, or of ``combine_group``: exposures, geometries, alignment and grid.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    group : str, optional
        Number of the group, from 0; empty: all of the association.
    """
    stage3, planned = plan.stage3, plan.stage3.association(association)
    members = _members(plan, association, group)
    common = planned.common_grid
    output_wcs = (plan.settings.grids[common] if common else plan.settings.stage3.resample).output_wcs
    return {
        "exposures": [member.pixels if planned.single else stage3.path(planned.crf(member)) for member in members],
        "geometries": [member.geometry for member in members],
        "alignment": stage3.table(association, "alignment"),
        "grid": stage3.grid(association),
    } | ({"output_wcs": output_wcs} if output_wcs else {})


def combination(plan: Plan, association: str, group: str = "") -> Combination:
    """Return the parameters of ``combine``, or of ``combine_group``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    group : str, optional
        Number of the group, from 0; empty: all of the association.
    """
    planned = plan.stage3.association(association)
    return Combination(
        members=[[member.root, member.group] for member in _members(plan, association, group)],
        common_grid=planned.common_grid,
        alignment_step=planned.alignment_step,
        status=planned.status_of("skymatch", "outlier_detection"),
        resample=plan.stage3.parameters(association).resample.drizzle_parameters(),
        origin=plan.stage3.record(association, "source_catalog"),
        writing=plan.settings.writing,
    )


def _members(plan: Plan, association: str, group: str) -> Sequence[PlannedMember]:
    planned = plan.stage3.association(association)
    if not group:
        return planned.members
    groups = list(planned.groups().values())
    if not int(group) < len(groups):
        raise UnknownAssociation(f"{association!r} has {len(groups)} groups, so there is no {association}_{group}_i2d")
    return groups[int(group)]


def catalogued(plan: Plan, association: str) -> dict[str, str]:
    """Return the files of ``catalog_sources``: the combined image, and the references of the catalogue.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    references = plan.stage3.association(association).references
    files = {"i2d": plan.stage3.path(f"{association}_i2d.fits")}
    return files | {kind: str(reference.path) for kind, reference in references.items() if reference.path}


def cataloguing(plan: Plan, association: str) -> Cataloguing:
    """Return the parameters of ``catalog_sources``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    planned = plan.stage3.association(association)
    section = plan.stage3.parameters(association).source_catalog
    instrument = str(planned.header["INSTRUME"])
    return Cataloguing(
        source_catalog=section.catalog_parameters(),
        rows={
            "apcorr": planned.family.aperture_corrections[instrument].wanted(planned.header),
            "abvegaoffset": planned.family.ab_vega_offsets[instrument].wanted(planned.header),
        },
        missing={kind: ref.reason for kind, ref in planned.references.items() if ref.path is None},
        writing=plan.settings.writing,
    )


def tabled(plan: Plan, association: str) -> dict[str, str]:
    """Return the file of ``save_parquet``: the catalogue.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    plan.stage3.association(association)
    return {"catalog": plan.stage3.path(f"{association}_cat.ecsv")}


# Of the context image, 4 bytes for each pixel and 32 exposures.
COMBINING = Work(memory=("frame", "band"), reckoned={"context": 4.0})
# In bands, labels as runs and what is measured of sources are kept; 400 Mpixel with 100,000 sources took 0.66 GB.
CATALOGUING = Work(time="image", memory=("strip",), reckoned={"image": 0.8, "at_once": 20.0})

JOBS = {
    "combine": Job("combine.py", combined, combination, work=COMBINING),
    "combine_group": Job("combine.py", combined, combination, like="combine"),
    "catalog_sources": Job("catalog_sources.py", catalogued, cataloguing, work=CATALOGUING),
    "save_parquet": Job("save_parquet.py", tabled, like="catalog_sources"),
}
