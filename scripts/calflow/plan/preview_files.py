"""Which pictures there may be of the products, and what each is drawn from."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from calflow.plan.plan import BACKGROUND_FOLDERS, Plan, PlannedExposure, UnknownExposure

OPTICS = ("INSTRUME", "PUPIL", "FILTER")
# Exposures that tell the noise of a filter: enough for a median of which one or two may be damaged.
MOST_OF_NOISE = 5
PRODUCTS = ("rate", "cal", "crf", "i2d", "segm")


@dataclass(frozen=True)
class Preview:
    """A picture of a product, or the sheet of an exposure or an association.

    Attributes
    ----------
    name : str
        Of its file, without suffix.
    kind : str
        One of `PRODUCTS`, or ``exposure`` or ``association`` for a sheet.
    optics : str
        Instrument and filter.
    scale : str
        Of brightness: the name of the association whose sky is black in it; of an exposure in none, its own root.
    files : mapping of role to str
        What it shows.
    """

    name: str
    kind: str
    optics: str
    scale: str
    files: Mapping[str, str]


def preview_path(plan: Plan, name: str) -> str:
    """Return the path of a picture.

    Parameters
    ----------
    plan : Plan
        What this run does.
    name : str
        Of a `Preview`.
    """
    return f"{plan.output}previews/{name}.png"


def cutouts_path(plan: Plan, association: str, suffix: str = "png") -> str:
    """Return the path of the cut-outs of outliers of an association, or of the numbers of them.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    suffix : {'png', 'json'}
    """
    return f"{plan.output}previews/outliers/{association}.{suffix}"


def has_cutouts(plan: Plan, association: str) -> bool:
    """Tell whether outliers were looked for in an association, and there is an image to compare with.

    Parameters
    ----------
    plan : Plan
        What this run does.
    association : str
        Name of its product.
    """
    planned = plan.stage3.association(association)
    return planned.runs("outlier_detection") and not planned.single and association in all_previews(plan)


def scale_path(plan: Plan, scale: str) -> str:
    """Return the path of a scale of brightness.

    Parameters
    ----------
    plan : Plan
        What this run does.
    scale : str
        Of a `Preview`.
    """
    return f"{plan.output}previews/scales/{scale}.json"


def preview_of(plan: Plan, name: str) -> Preview:
    """Return a picture by its name.

    Parameters
    ----------
    plan : Plan
        What this run does.
    name : str

    Raises
    ------
    UnknownExposure
        If there is none.
    """
    found = all_previews(plan).get(name)
    if found is None:
        raise UnknownExposure(f"no product {name!r} in this configuration to make a picture of")
    return found


@cache
def all_previews(plan: Plan) -> dict[str, Preview]:
    """Return all pictures by their names: of each product, and the sheets.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    exposures: dict[str, dict[str, str]] = {}
    optics, scales = _optics_of_exposures(plan), _scale_of_exposures(plan)
    for planned in plan.all_calibrated():
        files = exposures[planned.root] = {"cal": plan.path(planned, "cal")}
        if isinstance(planned, PlannedExposure):
            files["rate"] = str(planned.science)
            if planned.background:
                folder = BACKGROUND_FOLDERS[planned.background.rule]
                files["background"] = f"{plan.folder}/{folder}/{planned.background.name}.fits"
        if planned.quick_look:
            files["i2d"] = plan.path(planned, "i2d")
    previews = []
    for association in plan.stage3.associations.values():
        for member in association.members:
            files = exposures.setdefault(member.root, {"cal": member.cal})
            if not association.single:
                crf = plan.stage3.path(association.crf(member))
                files.setdefault("crf", crf)
                name = association.crf(member)[:-5]
                previews.append(Preview(name, "crf", optics[member.root], association.name, {"crf": crf}))
        previews += _of_association(plan, association, optics[association.members[0].root])
    for root, files in exposures.items():
        for kind in ("rate", "cal", "i2d"):
            if kind in files:
                previews.append(Preview(f"{root}_{kind}", kind, optics[root], scales[root], {kind: files[kind]}))
        shown = {role: path for role, path in files.items() if role != "i2d" or "crf" not in files}
        previews.append(Preview(root, "exposure", optics[root], scales[root], shown))
    return {preview.name: preview for preview in previews}


def noise_path(plan: Plan, optics: str) -> str:
    """Return the path of the noise of an instrument and filter, in which all its pictures measure brightness.

    Parameters
    ----------
    plan : Plan
        What this run does.
    optics : str
        Such as ``miri-f1130w``.
    """
    return f"{plan.output}previews/noise/{optics}.json"


@cache
def roots_of_noise(plan: Plan, optics: str) -> list[str]:
    """Return the exposures that tell the noise of an instrument and filter, by files that no job makes.

    So a job that fails takes no picture of other exposures with it. They are the first by name of those that are
    combined, if there are any: later exposures change no picture.

    Parameters
    ----------
    plan : Plan
        What this run does.
    optics : str
        Such as ``miri-f1130w``.
    """
    combined = {member.root for association in plan.stage3.associations.values() for member in association.members}
    made = set(plan.merges) - set(plan.exposures)
    alike = [root for root, found in _optics_of_exposures(plan).items() if found == optics and root not in made]
    return sorted(alike, key=lambda root: (root not in combined, root))[:MOST_OF_NOISE]


def optics_of_scale(plan: Plan, scale: str) -> str:
    """Return instrument and filter of the pictures that have a scale of brightness.

    Parameters
    ----------
    plan : Plan
        What this run does.
    scale : str
        Of a `Preview`.
    """
    return _optics_of_exposures(plan)[roots_of_scale(plan, scale)[0]]


def roots_of_scale(plan: Plan, scale: str) -> list[str]:
    """Return the calibrated exposures that tell what is black in a scale of brightness; none of an unknown one.

    Those of another association do not count: if one of them fails, the pictures of this one are made nevertheless.

    Parameters
    ----------
    plan : Plan
        What this run does.
    scale : str
        Of a `Preview`.
    """
    association = plan.stage3.associations.get(scale)
    if association:
        return [member.root for member in association.members]
    return [scale] if _scale_of_exposures(plan).get(scale) == scale else []


def _of_association(plan: Plan, association: Any, optics: str) -> Iterable[Preview]:
    """Return the pictures of the image of an association, and its sheet."""
    stage3, name = plan.stage3, association.name
    made = set(stage3.products_of(association))
    paths = {kind: stage3.path(f"{name}_{kind}.fits") for kind in ("i2d", "segm")}
    files = {kind: path for kind, path in paths.items() if path in made}
    yield from (Preview(f"{name}_{kind}", kind, optics, name, {kind: path}) for kind, path in files.items())
    if "i2d" in files:
        yield Preview(name, "association", optics, name, files)


@cache
def _optics_of_exposures(plan: Plan) -> dict[str, str]:
    headers: dict[str, Mapping[str, Any]] = {
        member.root: association.header
        for association in plan.stage3.associations.values()
        for member in association.members
    }
    headers |= {planned.root: planned.header.values for planned in plan.all_calibrated()}
    return {root: optics_of(header) for root, header in headers.items()}


@cache
def _scale_of_exposures(plan: Plan) -> dict[str, str]:
    """Return the scale of each exposure: of several associations it is in, the first one's; else its own."""
    scales = {root: root for root in _optics_of_exposures(plan)}
    for association in reversed(plan.stage3.associations.values()):
        scales |= {member.root: association.name for member in association.members}
    return scales


def optics_of(header: Mapping[str, Any]) -> str:
    """Return instrument and filter of an exposure, as part of a file name.

    Parameters
    ----------
    header : mapping
        Keywords.

    Examples
    --------
    >>> optics_of({"INSTRUME": "NIRCAM", "FILTER": "F200W", "PUPIL": "CLEAR"})
    'nircam-clear-f200w'
    """
    words = [str(header[name]).lower() for name in OPTICS if header.get(name)]
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words)).strip("-") or "all"
