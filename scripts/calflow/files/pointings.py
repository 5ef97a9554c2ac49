"""Pointings from outside, as the alignment of an association applies them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from calflow.files.alignment_tables import AlignmentRow
from calflow.files.asdf_files import read_wcs_file
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.offsets import Offset, correction_between, correction_of
from calflow.science.geometry.tangent_plane import Affine, to_plane
from calflow.science.stars.alignment import Alignment

# Points along each axis where another WCS is compared, and how far it may be from an affine map of the nominal one, in
# pixels.
POINTS, MAX_RESIDUAL = 11, 0.1


class GivenPointing(NamedTuple):
    """A correction from outside.

    Attributes
    ----------
    correction : Affine
        In the tangent plane of the exposure.
    told : str
        What is to be said of it.
    """

    correction: Affine
    told: str


def pointings_from_outside(
    pointings: Mapping[str, Mapping[str, Any]], geometries: Mapping[str, Geometry], wcs: Iterable[str | Path]
) -> dict[str, GivenPointing]:
    """Return the corrections that are given for exposures, by their names.

    Parameters
    ----------
    pointings : mapping of str to mapping
        By the names of exposures: the name of a ``file``, and of a table ``offset``, the arguments of `Offset`.
    geometries : mapping of str to Geometry
        By the names of exposures, uncorrected.
    wcs : iterable of path
        ASDF files, for those without ``offset``, in their order.

    Raises
    ------
    ValueError
        If a WCS is no affine map of the nominal one.
    """
    files, found = iter(wcs), {}
    for name, pointing in pointings.items():
        geometry, told = geometries[name], ""
        if "offset" in pointing:
            correction = correction_of(Offset(**pointing["offset"]), geometry.centre)
        else:
            correction, residual = _to_wcs(geometry, Path(next(files)))
            told = f" to within {1000 * residual:.1f} mas"
            if residual > MAX_RESIDUAL * geometry.pixels.area**0.5:
                raise ValueError(
                    f"{name}: shift, rotation and scale follow the WCS of {pointing['file']}{told} only: it has other "
                    "distortions than that of stage 2; give stage 2 that distortion reference, or an offset here"
                )
        moved = f"{pointing['file']} moved it by {_corner_motion(geometry, correction):.4f} arcsec{told}"
        found[name] = GivenPointing(correction, moved)
    return found


def placed_by(given: Mapping[str, GivenPointing], geometries: Mapping[str, Geometry]) -> dict[str, Geometry]:
    """Return geometries with the given corrections in them.

    Parameters
    ----------
    given : mapping of str to GivenPointing
        By the names of exposures; the others stay where they are.
    geometries : mapping of str to Geometry
        By the names of exposures, uncorrected.
    """
    return {**geometries, **{name: geometries[name].corrected(each.correction) for name, each in given.items()}}


def moved_before(
    alignments: Sequence[Alignment], geometries: Mapping[str, Geometry], given: Mapping[str, GivenPointing]
) -> list[Alignment]:
    """Return alignments of exposures that had been moved before, with both corrections as one.

    Parameters
    ----------
    alignments : sequence of Alignment
        Of the exposures where the given pointings put them.
    geometries : mapping of str to Geometry
        By the names of exposures, uncorrected.
    given : mapping of str to GivenPointing
        By the names of exposures; of those that have none nothing changes.
    """
    return [
        _after(each, given[each.name], geometries[each.name]) if each.name in given else each for each in alignments
    ]


def row_of(alignment: Alignment, geometry: Geometry, stars: int = 0) -> AlignmentRow:
    """Return the row of the alignment table that says how an exposure was aligned.

    Parameters
    ----------
    alignment : Alignment
    geometry : Geometry
        Of the exposure.
    stars : int
        That were found in it.
    """
    return AlignmentRow(
        exposure=alignment.name,
        group=alignment.group,
        status=alignment.status,
        reason=alignment.reason,
        used=True,
        footprint=geometry.corrected(alignment.correction).footprint(),
        reference=alignment.is_reference,
        stars=stars,
        matches=alignment.n_matches,
        rms=float(alignment.rms),
        shift=alignment.shift,
        rotation=alignment.rotation,
        scale=alignment.scale,
        corner_motion=float(alignment.corner_motion),
        correction=alignment.correction,
    )


def _after(alignment: Alignment, given: GivenPointing, geometry: Geometry) -> Alignment:
    correction = alignment.correction.after(given.correction)
    reason = "; ".join(filter(None, [alignment.reason, given.told]))
    return replace(alignment, correction=correction, reason=reason, corner_motion=_corner_motion(geometry, correction))


def _to_wcs(geometry: Geometry, path: Path) -> tuple[Affine, float]:
    """Return the correction that brings an exposure to another WCS, and the largest distance that it leaves, arcsec."""
    wcs = read_wcs_file(path)
    x, y = (each.ravel() for each in np.meshgrid(*(np.linspace(*bounds, POINTS) for bounds in geometry.bounds)))
    sky = np.stack(wcs(x, y, with_bounding_box=False), axis=-1)
    return correction_between(geometry.sky(x, y), sky, geometry.centre)


def _corner_motion(geometry: Geometry, correction: Affine) -> float:
    """Return how far a correction moves the corner that it moves most, arcsec."""
    corners = to_plane(geometry.footprint(), geometry.centre)
    return float(np.hypot(*(correction(corners) - corners).T).max())
