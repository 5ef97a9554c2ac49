"""How large the work of a job is: the pixels it reads, and those of the image that it makes."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calflow.plan.combination import PlannedAssociation
from calflow.plan.plan import Plan

# If it cannot be told how far apart the exposures of an association lie, relative to one of them.
USUAL_IMAGE = 1.5


@dataclass(frozen=True)
class Size:
    """Of the work of a job, in Mpixel.

    Attributes
    ----------
    total : float
        All exposures that it reads.
    frame : float
        The largest of them.
    image : float
        What they are combined to.
    """

    total: float
    frame: float
    image: float


class Sizes:
    """The sizes of the jobs of a plan.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        self._frames = {
            member.root: member.size / 1e6 for a in plan.stage3.associations.values() for member in a.members
        }
        self._frames |= {root: math.prod(e.header.shape) / 1e6 for root, e in plan.exposures.items()}
        self._frames |= {root: math.prod(merge.header.shape) / 1e6 for root, merge in plan.merges.items()}
        self._associations: dict[str, Size] = {}

    def of(self, wildcards: Mapping[str, str], *, whole: bool) -> Size | None:
        """Return the size of the job with these wildcards, or None if it is not known.

        Parameters
        ----------
        wildcards : mapping of name to str
        whole : bool
            Whether a job that is named after an exposure works on all of its association.
        """
        plan = self._plan
        if "crf" in wildcards:
            name, root = plan.stage3.crf_of(wildcards["crf"])
            return self.association(name) if whole else self._exposure(root)
        if exposure := wildcards.get("exposure") or wildcards.get("merged") or wildcards.get("member"):
            return self._exposure(exposure)
        if "association" in wildcards:
            return self.association(wildcards["association"])
        if "background" in wildcards:
            background = plan.background_set(wildcards["background"])
            _, _, nx, ny = background.window.numbers
            frame = nx * ny * background.depth / 1e6
            return Size(frame * len(background.members), frame, frame)
        if "grid" in wildcards:
            found = [
                self.association(a.name)
                for a in plan.stage3.associations.values()
                if a.common_grid == wildcards["grid"]
            ]
            return Size(sum(s.total for s in found), max(s.frame for s in found), max(s.image for s in found))
        if "reference" in wildcards and wildcards["reference"] in plan.references:
            made = plan.references[wildcards["reference"]]
            _, _, nx, ny = made.window.numbers
            return Size(nx * ny * len(made.exposures) / 1e6, nx * ny / 1e6, nx * ny / 1e6)
        return None

    def association(self, name: str) -> Size:
        """Return the size of the exposures of an association together."""
        if name not in self._associations:
            association = self._plan.stage3.association(name)
            frames = [member.size / 1e6 for member in association.members]
            self._associations[name] = Size(sum(frames), max(frames), self._image(association, max(frames)))
        return self._associations[name]

    def _exposure(self, root: str) -> Size:
        frame = self._frames[root]
        return Size(frame, frame, frame)

    def _image(self, association: PlannedAssociation, frame: float) -> float:
        """Return the size of the combined image: of its grid, if that is laid, or as headers tell."""
        try:
            ny, nx = map(int, json.loads(Path(self._plan.stage3.grid(association.name)).read_text())["shape"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            if association.image_shape is None:
                return USUAL_IMAGE * frame
            ny, nx = association.image_shape
        return nx * ny / 1e6
