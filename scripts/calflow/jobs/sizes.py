"""How large the work of a job is: the pixels it reads, and those of the image that it makes."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from calflow.calibration.work import BLOCK_PIXELS, work_on_integrations
from calflow.plan.combination import PlannedAssociation
from calflow.plan.plan import Calibrated, Plan, PlannedExposure

# Mpixel; `BOX_PIXELS` of science.sky.background_map.
LARGEST_BOX = 2**24 / 1e6
# Pixels that are drizzled in the time in which one of the image is copied from a piece
COPIED = 0.1


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
    exposures : int
        How many they are.
    integrations : int
        Of the largest of them, if they are worked on in blocks.
    part : float
        How much of the image is combined at a time, from 0 to 1.
    parts : int
        How many such parts may be combined at the same time.
    at_once : float
        The image, if its catalogue is not made in bands.
    is_copied : bool
        Whether the image is put together from pieces.
    """

    total: float
    frame: float
    image: float
    exposures: int = 1
    integrations: int = 1
    part: float = 1.0
    parts: int = 1
    at_once: float = 0.0
    is_copied: bool = False

    @property
    def drizzled(self) -> float:
        """The pixels that are drizzled to combine the exposures, or whose drizzling would take as long."""
        return COPIED * self.image if self.is_copied else self.total

    @property
    def largest(self) -> float:
        """The larger of a frame and the image."""
        return max(self.frame, self.image)

    @property
    def block(self) -> float:
        """The part of a frame that is worked on at a time: some of its integrations, at least one."""
        return max(min(self.frame, BLOCK_PIXELS / 1e6), self.frame / self.integrations)

    @property
    def band(self) -> float:
        """The pixels of the image that are combined at a time."""
        return self.image * self.part

    @property
    def strip(self) -> float:
        """The pixels of the image whose background is measured at a time: all, if no box of a small image is usable."""
        return min(self.image, LARGEST_BOX)

    @property
    def pairs(self) -> float:
        """The number of pairs of exposures, about: those of a matrix."""
        return self.exposures**2

    @property
    def context(self) -> float:
        """The pixels of the context of a band beyond its first plane: each plane has room for 32 exposures."""
        return self.band * ((self.exposures - 1) // 32)

    def with_threads(self, threads: int) -> "Size":
        """Return the size of the work of several threads.

        Parameters
        ----------
        threads : int
        """
        return replace(self, part=min(1.0, self.part * min(threads, self.parts))) if threads > 1 else self

    def of(self, kind: str) -> float:
        """Return one of the sizes by its name.

        Parameters
        ----------
        kind : str
            Name of an attribute.
        """
        return float(getattr(self, kind))


class Sizes:
    """The sizes of the jobs of a plan.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        planned: list[Calibrated] = [*plan.exposures.values(), *plan.merges.values(), *plan.first_pass.exposures]
        self._exposures = {root: _alone(member.size) for root, member in plan.stage3.members.items()}
        self._exposures |= {e.root: _calibrated(e) for e in planned}
        backgrounds = (cleaning for cleaning in plan.cleanings.values() if cleaning.root not in self._exposures)
        self._exposures |= {cleaning.root: _alone(cleaning.size) for cleaning in backgrounds}
        self._associations: dict[str, Size] = {}

    def of(self, wildcards: Mapping[str, str], *, whole: bool) -> Size:
        """Return the size of the job with these wildcards; one Mpixel if the plan has nothing of that name.

        Parameters
        ----------
        wildcards : mapping of name to str
        whole : bool
            Whether a job that is named after an exposure works on all of its association.

        Raises
        ------
        KeyError, UnknownAssociation, UnknownExposure
            If a wildcard names what is not in the plan.
        """
        plan = self._plan
        if "crf" in wildcards:
            name, root = plan.stage3.crf_of(wildcards["crf"])
            return self.association(name) if whole else self._exposures[root]
        if exposure := wildcards.get("exposure") or wildcards.get("merged") or wildcards.get("member"):
            return self._exposures[exposure]
        if "piece" in wildcards:
            return self._piece(wildcards["association"])
        if "association" in wildcards:
            return self.association(wildcards["association"])
        if "collection" in wildcards:
            collection = plan.collections[wildcards["collection"]]
            frame, number = collection.size / 1e6, len(collection.members)
            return Size(frame * number, frame, frame, number)
        if "background" in wildcards:
            background, _ = plan.background(wildcards["background"])
            _, _, nx, ny = background.window.numbers
            frame = nx * ny * background.depth / 1e6
            return Size(frame * len(background.members), frame, frame, len(background.members))
        if "grid" in wildcards:
            sharing = [
                self.association(a.name)
                for a in plan.stage3.associations.values()
                if a.common_grid == wildcards["grid"]
            ]
            return Size(
                sum(size.total for size in sharing),
                max(size.frame for size in sharing),
                max(size.image for size in sharing),
                sum(size.exposures for size in sharing),
            )
        if "reference" in wildcards and wildcards["reference"] in plan.references:
            reference = plan.references[wildcards["reference"]]
            _, _, nx, ny = reference.window.numbers
            frame = nx * ny / 1e6
            return Size(frame * len(reference.exposures), frame, frame, len(reference.exposures))
        return Size(1.0, 1.0, 1.0)

    @property
    def images(self) -> int:
        """The number of images that the plan combines, each piece of one as an image, at least one."""
        return max(1, sum(len(a.pieces) or 1 for a in self._plan.stage3.associations.values()))

    def association(self, name: str) -> Size:
        """Return the size of the work on all exposures of an association.

        Parameters
        ----------
        name : str
            Of its product.
        """
        if name not in self._associations:
            association = self._plan.stage3.association(name)
            frames = [member.size / 1e6 for member in association.members]
            shape = self._image_shape(association) or _square(sum(frames))
            parameters, image = self._plan.stage3.parameters(name), math.prod(shape) / 1e6
            self._associations[name] = Size(
                sum(frames),
                max(frames),
                image,
                len(frames),
                part=parameters.resample.rows_at_a_time(shape) / shape[0],
                parts=parameters.resample.parts_at_once(shape),
                at_once=0.0 if parameters.source_catalog.works_in_bands else image,
                is_copied=bool(association.pieces),
            )
        return self._associations[name]

    def _piece(self, name: str) -> Size:
        """Return the size of the work on one of the pieces of an image, as if all were alike."""
        size, number = self.association(name), len(self._plan.stage3.association(name).pieces)
        return replace(
            size, total=size.total / number, image=size.image / number, part=size.part * number, is_copied=False
        )

    def _image_shape(self, association: PlannedAssociation) -> tuple[int, int] | None:
        """Return the shape of the combined image, as headers or the laid grid tell; None: neither does."""
        if association.image_shape is not None:
            return association.image_shape
        try:
            ny, nx = map(int, json.loads(Path(self._plan.stage3.grid(association.name)).read_text())["shape"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        return (ny, nx) if ny > 0 and nx > 0 else None


def _square(mpixels: float) -> tuple[int, int]:
    """Return the shape of the image of exposures of which none overlap: a square."""
    side = max(1, math.ceil(math.sqrt(1e6 * mpixels)))
    return side, side


def _calibrated(planned: Calibrated) -> Size:
    """Return the size of an exposure of this run, which may have integrations."""
    header = planned.header
    blocks = header.is_cube and isinstance(planned, PlannedExposure) and work_on_integrations(planned.steps)
    return replace(_alone(math.prod(header.shape), planned.image_shape), integrations=header.shape[0] if blocks else 1)


def _alone(pixels: int, image: tuple[int, int] | None = None) -> Size:
    """Return the size of an exposure, and of its quick look."""
    return Size(pixels / 1e6, pixels / 1e6, (math.prod(image) if image else pixels) / 1e6)


def pixels_in(plan: Plan) -> int:
    """Return about how many pixels a run drizzles: each frame of each stage once.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    first = sum(math.prod(exposure.header.shape) for exposure in plan.exposures.values())
    return first + sum(member.size for member in plan.stage3.members.values())
