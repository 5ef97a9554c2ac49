"""Jobs that draw pictures of products."""

from typing import Any, NamedTuple

from calflow.jobs.declaration import Job
from calflow.plan.plan import Plan, UnknownExposure
from calflow.plan.preview_files import preview_of, roots_by_optics, scale_path
from calflow.plan.quality_files import exposure_quality


class Drawing(NamedTuple):
    """Parameters of ``preview``."""

    name: str
    kind: str
    optics: str


def measured(plan: Plan, optics: str) -> dict[str, Any]:
    """Return the files of ``preview_scale``: what was measured on all exposures of an instrument and filter.

    Parameters
    ----------
    plan : Plan
        What this run does.
    optics : str
        Such as ``miri-f1130w``.
    """
    roots = roots_by_optics(plan).get(optics)
    if not roots:
        raise UnknownExposure(f"no exposure of {optics!r} in this configuration")
    return {"exposures": [exposure_quality(plan, root) for root in roots]}


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
    return files | {"scale": scale_path(plan, found.optics)}


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


JOBS = {
    "preview_scale": Job("preview_scale.py", measured, like="count_outliers"),
    "preview": Job("preview.py", drawn, drawing, like="catalog_sources"),
}
