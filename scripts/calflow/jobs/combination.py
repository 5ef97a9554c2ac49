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
    pieces: int  # in how many the image is made; 0: it is made at once
    common_grid: str
    alignment_step: str
    status: dict[str, str]
    resample: dict[str, Any]
    origin: Record
    writing: dict[str, Any]  # how products are written: of `Writing`


class Piece(NamedTuple):
    """Parameters of ``combine_piece``."""

    members: list[list[str]]  # root and group of each
    numbers: list[int]  # of those of them whose exposures are among the files, from 0
    pieces: int
    piece: int  # which of them it is, from 0
    common_grid: str
    alignment_step: str
    status: dict[str, str]
    resample: dict[str, Any]


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
    files = {
        "exposures": [member.pixels if planned.single else stage3.path(planned.crf(member)) for member in members],
        "geometries": [member.geometry for member in members],
        "alignment": stage3.table(association, "alignment"),
        "grid": stage3.grid(association),
    } | ({"output_wcs": output_wcs} if output_wcs else {})
    if group or not planned.pieces:
        return files
    pieces = [stage3.path(f"pieces/{association}_{number}") for number in range(len(planned.pieces))]
    return files | {"pieces": [f"{piece}.fits" for piece in pieces], "facts": [f"{piece}.json" for piece in pieces]}


def combined_piece(plan: Plan, association: str, piece: str) -> dict[str, Any]:
    """Return the files of ``combine_piece``: of the exposures those that may reach it.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    piece : str
        Its number, from 0.
    """
    files = combined(plan, association)
    exposures = [files["exposures"][number] for number in _reaching(plan, association, piece)]
    return {role: files[role] for role in files if role not in ("pieces", "facts")} | {"exposures": exposures}


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
        pieces=0 if group else len(planned.pieces),
        common_grid=planned.common_grid,
        alignment_step=planned.alignment_step,
        status=planned.status_of("skymatch", "outlier_detection"),
        resample=plan.stage3.parameters(association).resample.drizzle_parameters(),
        origin=plan.stage3.record(association, "source_catalog"),
        writing=plan.settings.writing,
    )


def combination_of_piece(plan: Plan, association: str, piece: str) -> Piece:
    """Return the parameters of ``combine_piece``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    piece : str
        Its number, from 0.
    """
    whole = combination(plan, association)
    return Piece(
        members=whole.members,
        numbers=list(_reaching(plan, association, piece)),
        pieces=whole.pieces,
        piece=int(piece),
        common_grid=whole.common_grid,
        alignment_step=whole.alignment_step,
        status=whole.status,
        resample=whole.resample,
    )


def _reaching(plan: Plan, association: str, piece: str) -> Sequence[int]:
    pieces = plan.stage3.association(association).pieces
    if not int(piece) < len(pieces):
        raise UnknownAssociation(f"the image of {association!r} has {len(pieces)} pieces, so there is none {piece}")
    return pieces[int(piece)]


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
COMBINING = Work(time="drizzled", disk="total", memory=("frame", "band"), reckoned={"context": 4.0})
# In bands, labels as runs and what is measured of sources are kept; 400 Mpixel with 100,000 sources took 0.66 GB.
CATALOGUING = Work(time="image", memory=("strip",), reckoned={"image": 0.8, "at_once": 20.0})

JOBS = {
    "combine": Job("combine.py", combined, combination, work=COMBINING),
    "combine_group": Job("combine.py", combined, combination, like="combine"),
    "combine_piece": Job("combine_piece.py", combined_piece, combination_of_piece, like="combine"),
    "catalog_sources": Job("catalog_sources.py", catalogued, cataloguing, work=CATALOGUING),
    "save_parquet": Job("save_parquet.py", tabled, like="catalog_sources"),
}
