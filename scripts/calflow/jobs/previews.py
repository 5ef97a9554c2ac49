"""Jobs that draw pictures of products."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from calflow.jobs.alignment import geometries
from calflow.jobs.calibration import photom_row
from calflow.jobs.declaration import Job
from calflow.plan.combination import UnknownAssociation
from calflow.plan.plan import Plan, UnknownExposure
from calflow.plan.preview_files import (
    has_cutouts,
    noise_path,
    optics_of_scale,
    preview_of,
    roots_of_noise,
    roots_of_scale,
    scale_path,
)
from calflow.plan.quality_files import calibrated_path, exposure_quality


class Cutting(NamedTuple):
    """Parameters of ``outlier_cutouts``."""

    association: str
    exposures: list[str]  # root of each
    snr: float  # thresholds of the outlier search
    scale: float


class FilterNoise(NamedTuple):
    """Parameters of ``preview_noise``."""

    sources: list[dict[str, Any]]  # of each exposure: how it is read, and which reference converts it; None: none


class Drawing(NamedTuple):
    """Parameters of ``preview``."""

    name: str
    kind: str
    optics: str


def of_filter(plan: Plan, optics: str) -> dict[str, Any]:
    """Return the files of ``preview_noise``: a few exposures as they come, and the references that convert them.

    Parameters
    ----------
    plan : Plan
        What this run does.
    optics : str
        Such as ``miri-f1130w``.
    """
    roots = roots_of_noise(plan, optics)
    if not roots:
        raise UnknownExposure(f"no exposure of {optics!r} in this configuration")
    exposures = [
        str(plan.exposures[root].science) if root in plan.exposures else calibrated_path(plan, root) for root in roots
    ]
    return {"exposures": exposures, "photom": _conversions(plan, roots)}


def _conversions(plan: Plan, roots: Iterable[str]) -> list[str]:
    """Return the photom references of exposures, each once."""
    found = [path for root in roots if (path := _conversion(plan, root))]
    return [*dict.fromkeys(found)]


def _conversion(plan: Plan, root: str) -> str:
    planned = plan.exposures.get(root)
    path = planned.reference("photom") if planned else None
    return str(path or "")


def told_by(plan: Plan, optics: str) -> FilterNoise:
    """Return the parameters of ``preview_noise``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    optics : str
        Such as ``miri-f1130w``.
    """
    roots = roots_of_noise(plan, optics)
    references = _conversions(plan, roots)
    sources: list[dict[str, Any]] = []
    for root in roots:
        planned, path = plan.exposures.get(root), _conversion(plan, root)
        source: dict[str, Any] = {"images": list(planned.family.images) if planned else ["SCI"], "reference": None}
        if planned and path:
            source |= {
                "reference": references.index(path),
                "facts": dict(planned.header.derived),
                "photom_row": photom_row(plan, root),
                "photom": plan.chosen(planned).settings.stage2.photom.photom_parameters(),
            }
        sources.append(source)
    return FilterNoise(sources)


def measured(plan: Plan, scale: str) -> dict[str, Any]:
    """Return the files of ``preview_scale``: what was measured on the exposures that it is for, the filter's noise.

    Parameters
    ----------
    plan : Plan
        What this run does.
    scale : str
        An association, or an exposure in none.
    """
    roots = roots_of_scale(plan, scale)
    if not roots:
        raise UnknownExposure(f"no exposure of {scale!r} in this configuration")
    return {
        "exposures": [exposure_quality(plan, root) for root in roots],
        "noise": noise_path(plan, optics_of_scale(plan, scale)),
    }


def drawn(plan: Plan, preview: str) -> dict[str, str]:
    """Return the files of ``preview``: what it shows, and the scale of brightness.

    Parameters
    ----------
    plan : Plan
        What this run does.
    preview : str
        The name of the picture.
    """
    found = preview_of(plan, preview)
    files = dict(found.files)
    return files | {"scale": scale_path(plan, found.scale)}


def drawing(plan: Plan, preview: str) -> Drawing:
    """Return the parameters of ``preview``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    preview : str
        The name of the picture.
    """
    found = preview_of(plan, preview)
    return Drawing(found.name, found.kind, found.optics)


def cut_out(plan: Plan, association: str) -> dict[str, Any]:
    """Return the files of ``outlier_cutouts``: the exposures before and after the search, and the combined image.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    stage3, planned = plan.stage3, plan.stage3.association(association)
    if not has_cutouts(plan, association):
        raise UnknownAssociation(f"no outliers are looked for in {association!r}, or no image is made of it")
    return {
        "alignment": stage3.table(association, "alignment"),
        "i2d": stage3.path(f"{association}_i2d.fits"),
        "cals": [member.pixels for member in planned.members],
        "crfs": [stage3.path(planned.crf(member)) for member in planned.members],
        "scale": scale_path(plan, association),
        **geometries(plan, association),
    }


def cutting(plan: Plan, association: str) -> Cutting:
    """Return the parameters of ``outlier_cutouts``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    section = plan.stage3.parameters(association).outlier_detection
    members = plan.stage3.association(association).members
    return Cutting(association, [member.root for member in members], section.snr[0], section.scale[0])


JOBS = {
    "preview_noise": Job("preview_noise.py", of_filter, told_by, like="find_stars"),
    "preview_scale": Job("preview_scale.py", measured, like="count_outliers"),
    "outlier_cutouts": Job("outlier_cutouts.py", cut_out, cutting, like="flag_outliers"),
    "preview": Job("preview.py", drawn, drawing, like="catalog_sources"),
}
