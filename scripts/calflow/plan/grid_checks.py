"""Output grids before any job: laid over where headers say that exposures lie, and refused if they make no image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from calflow.configuration.problems import Problem, Problems, some
from calflow.configuration.settings import Settings
from calflow.configuration.stage2 import Resample
from calflow.configuration.stage3 import Grid
from calflow.inputs.exposure_footprints import REACH, Footprint, extent, footprint_of, outer_corners
from calflow.inputs.header_cache import HeaderCache
from calflow.plan.combination import PlannedAssociation
from calflow.plan.plan import PlannedExposure, PlannedMerge
from calflow.plan.reference_checks import is_asdf
from calflow.references.parameter_references import settings_for
from calflow.science.geometry.input_pixels import separation
from calflow.science.geometry.output_grid import OutputGrid, far_footprints, grid_from_footprints, products_gb
from calflow.science.geometry.sky_fields import overlaps_on_sky

# Footprints by headers are this uncertain: a grid that seems larger than the limit by as much may be within it. The
# job, which knows the footprints, checks it again.
SIZE_TOLERANCE = 0.02
# From here on, degrees, a tangential projection stretches pixels by more than 1 %.
FAR_FROM_CRVAL = 5.7
Exposure = TypeVar("Exposure", PlannedExposure, PlannedMerge)


@dataclass(frozen=True)
class _Wanted:
    """What grid is wanted.

    Attributes
    ----------
    key : str
        The section of the configuration that says so.
    section : Resample or Grid
    file : str
        What is at fault where the configuration says nothing: the association.
    """

    key: str
    section: Resample | Grid
    file: str = ""

    @property
    def given(self) -> dict[str, Any]:
        """What the configuration says of it."""
        names = ["output_wcs", "output_shape"] if self.section.output_wcs else sorted(self.section.grid_parameters())
        values = {name: getattr(self.section, name) for name in names}
        return {name: value for name, value in values.items() if value != type(self.section).model_fields[name].default}

    def problem(self, wrong: str, right: str) -> Problem:
        """Return a problem with it, by the one key that is given, or with all of them."""
        given = self.given
        if not given:
            return Problem(self.file, "", wrong, right)
        key = f"{self.key}.{next(iter(given))}" if len(given) == 1 else self.key
        told = ", ".join(f"{name} {value}" for name, value in given.items())
        return Problem("config", key, f"with {told} {wrong}", right)


@dataclass(frozen=True)
class Laid:
    """A grid that was laid.

    Attributes
    ----------
    shape : (ny, nx)
    corners : float array, shape (4, 2)
        Their sky positions, degrees.
    grid : OutputGrid or None
        None: it is that of a file.
    """

    shape: tuple[int, int]
    corners: np.ndarray
    grid: OutputGrid | None = None


class GridChecker:
    """Checks grids, and gathers what is wrong with them.

    Parameters
    ----------
    settings : Settings
    cache : HeaderCache
        Remembers what is in the users' WCS files.
    problems : Problems
    notices : list of str
    """

    def __init__(self, settings: Settings, cache: HeaderCache, problems: Problems, notices: list[str]):
        self.settings = settings
        self.cache = cache
        self.problems = problems
        self.notices = notices
        self._broken: set[str] = set()
        self._stretched: set[str] = set()  # sections of which it is told already

    def check_quick_looks(self, exposures: Sequence[Exposure]) -> list[Exposure]:
        """Check the grids of quick looks, up to the first that is wrong: they share one section of the configuration.

        Parameters
        ----------
        exposures : sequence of PlannedExposure or PlannedMerge
            In any order.

        Returns
        -------
        list of PlannedExposure or PlannedMerge
            The exposures, with the sizes that their quick looks are going to have.
        """
        new, found = self.problems.from_here(), list(exposures)
        for number, exposure in enumerate(exposures):
            resample = settings_for(exposure.parameters, self.settings).stage2.resample
            wanted = _Wanted("stage2.resample", resample)
            if not exposure.quick_look or not wanted.given:
                continue  # there is none, or it is as large as the exposure
            if footprint := footprint_of(exposure.header):
                laid = self._check(wanted, {exposure.root: {exposure.root: footprint}})
                found[number] = replace(exposure, image_shape=laid.shape if laid else None)
            if new.any():
                break
        return found

    def check_association(
        self, file: Path, association: PlannedAssociation, footprints: Mapping[str, Footprint]
    ) -> Laid | None:
        """Check the grids of an association that are its own, and return that of its image.

        Parameters
        ----------
        file : Path
            The association.
        association : PlannedAssociation
        footprints : mapping of str to Footprint
            Of all its members, by their names.
        """
        stage3 = settings_for(association.parameters, self.settings).stage3
        own = association.runs("resample") and not association.common_grid
        wanted = _Wanted("stage3.resample", stage3.resample, str(file))
        if association.runs("outlier_detection") and stage3.outlier_detection.resample_data:
            of_the_input = _Wanted("stage3.resample", type(stage3.resample)(), str(file))
            new = self.problems.from_here()
            laid = self._check(of_the_input, {association.name: footprints})
            if new.any() or (own and not wanted.given):
                return laid if own else None
        return self._check(wanted, {association.name: footprints}) if own else None

    def check_common(self, name: str, fields: Mapping[str, Mapping[str, Footprint]]) -> Laid | None:
        """Check a grid that associations share, and return it.

        Parameters
        ----------
        name : str
            Of the grid.
        fields : mapping of str to mapping of str to Footprint
            The footprints of the members of the associations that use it, by their names.
        """
        return self._check(_Wanted(f"grids.{name}", self.settings.grids[name], f"grids.{name}"), fields)

    # ----------------------------------------------------------------------------------------------------

    def _check(self, wanted: _Wanted, fields: Mapping[str, Mapping[str, Footprint]]) -> Laid | None:
        """Check a grid for what is combined on it, by name; return it if it makes an image."""
        together = {root: footprint for footprints in fields.values() for root, footprint in footprints.items()}
        names = ", ".join(fields)
        laid = self._lay(wanted, names, together)
        if laid is None or not self._check_size(wanted, names, laid, together):
            return None
        for name, footprints in fields.items():
            self._check_reach(wanted, name, laid, footprints)
        self._check_tangent(wanted, names, together)
        return laid

    def _lay(self, wanted: _Wanted, name: str, footprints: Mapping[str, Footprint]) -> Laid | None:
        if wanted.section.output_wcs:
            return self._user_grid(wanted)
        parameters = wanted.section.grid_parameters()
        vertices, first = _vertices(footprints), next(iter(footprints.values()))
        try:
            grid = grid_from_footprints(list(vertices.values()), first.pixels, **parameters)
        except ValueError as error:
            wrong = f"{name} makes no image: {str(error).partition(';')[0]}"
            self.problems.add(wanted.problem(wrong, _advice(footprints)))
            return None
        return Laid(grid.shape, grid.to_sky(outer_corners(grid.shape)), grid)

    def _check_size(self, wanted: _Wanted, name: str, laid: Laid, footprints: Mapping[str, Footprint]) -> bool:
        (ny, nx), limit = laid.shape, self.settings.max_output_pixels
        exact = bool(wanted.section.output_wcs or wanted.section.output_shape)
        if nx * ny <= limit * (1 if exact else 1 + SIZE_TOLERANCE):
            return True
        wrong = f"the image of {name} would have {nx} x {ny} pixels and take {products_gb(nx * ny):.3g} GB of disk"
        right = (
            f"{_advice(footprints)}; the limit is max_output_pixels, {limit} or {products_gb(limit):.3g} GB; "
            f"with enough disk, set it to {nx * ny}"
        )
        self.problems.add(wanted.problem(wrong, right))
        return False

    def _check_reach(self, wanted: _Wanted, name: str, laid: Laid, footprints: Mapping[str, Footprint]) -> None:
        if not wanted.given:
            return  # it was laid over the exposures
        outside = [
            root
            for root, each in footprints.items()
            if not overlaps_on_sky(each.vertices, laid.corners[None], REACH).all()
        ]
        if len(outside) == len(footprints):
            ny, nx = laid.shape
            wrong = f"the grid lies elsewhere, no exposure of {name} reaches it"
            right = (
                f"it covers {_place([laid.corners])} ({nx} x {ny} pixels), "
                f"the exposures cover {_place(list(_vertices(footprints).values()))}"
            )
            self.problems.add(wanted.problem(wrong, right))
        elif outside:
            self.notices.append(
                f"{wanted.key}: {len(outside)} of {len(footprints)} exposures of {name} lie outside the grid: "
                f"{some(outside)}"
            )

    def _check_tangent(self, wanted: _Wanted, name: str, footprints: Mapping[str, Footprint]) -> None:
        """Tell of a tangent point so far from the exposures that their pixels are stretched."""
        if wanted.section.output_wcs or not wanted.section.crval or wanted.key in self._stretched:
            return
        (ra, dec), _ = extent(list(_vertices(footprints).values()))
        away = float(separation(ra, dec, *wanted.section.crval))
        if away > FAR_FROM_CRVAL:
            stretched = 1 / np.cos(np.radians(away)) ** 2
            self._stretched.add(wanted.key)
            self.notices.append(
                f"{wanted.key}.crval: {wanted.section.crval} is {away:.3g} degrees from [{ra:.5f}, {dec:.5f}], where "
                f"{name} lies: pixels are stretched there by a factor of up to {stretched:.3g}"
            )

    # The grid of the user -------------------------------------------------------------------------------

    def _user_grid(self, wanted: _Wanted) -> Laid | None:
        """Return the grid in an ASDF file, remembered while that does not change; None and one problem if it fails."""
        path, given = Path(wanted.section.output_wcs), wanted.section.output_shape
        shape = (given[0], given[1]) if given else None
        if str(path) in self._broken or not is_asdf(path):
            return None  # told already
        kind = f"output grid of shape {shape}"
        try:
            entry = self.cache.remembered(path, kind, lambda: _read_user_grid(path, shape))
        except Exception as error:  # of whatever is in the file, asdf and its extensions raise what they like
            self._broken.add(str(path))
            reason = next(filter(None, str(error).splitlines()), type(error).__name__)
            right = "give an ASDF file with the gwcs of a rectified image as 'wcs', and its array_shape"
            self.problems.add(Problem(str(path), "wcs", f"gives no output grid: {reason}", right))
            return None
        ny, nx = entry["shape"]
        return Laid((ny, nx), np.array(entry["corners"]))


def _read_user_grid(path: Path, output_shape: tuple[int, int] | None) -> dict[str, Any]:
    """Read where a user's grid lies. The imports are deferred: remembered, planning does without asdf and gwcs."""
    import warnings

    from calflow.files.asdf_files import read_tree
    from calflow.science.geometry.output_grid import grid_from_wcs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grid = grid_from_wcs(read_tree(path), 1.0, output_shape=output_shape)
        corners = grid.to_sky(outer_corners(grid.shape))
    if not np.isfinite(corners).all():
        raise ValueError(f"its corners have no position on the sky: {corners.tolist()}")
    return {"shape": list(grid.shape), "corners": corners.tolist()}


def _vertices(footprints: Mapping[str, Footprint]) -> dict[str, np.ndarray]:
    return {root: footprint.vertices for root, footprint in footprints.items()}


def _advice(footprints: Mapping[str, Footprint]) -> str:
    """Say where exposures lie, and which of them far from the others."""
    vertices = _vertices(footprints)
    far = far_footprints(vertices)
    apart = f"; far from the others lie {some(far)}: combine them apart, or correct their pointing" if far else ""
    return f"its exposures cover {_place(list(vertices.values()))}{apart}"


def _place(polygons: Sequence[np.ndarray]) -> str:
    (ra, dec), (width, height) = extent(polygons)
    if not np.isfinite(width):
        return "more than half of the sky"
    return f"{width:.3g} x {height:.3g} arcsec around [{ra:.5f}, {dec:.5f}]"
