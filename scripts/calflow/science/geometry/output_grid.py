"""The output grid of resample: a TAN projection laid over the footprints of the inputs, and its keywords."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calflow.science.geometry.footprints import pixel_bounds
from calflow.science.geometry.grid_parameters import GridLayout
from calflow.science.geometry.input_pixels import InputPixels, fiducial, mean_pixel_area, separation
from calflow.science.geometry.polygons import clip, drop_needless_vertices, union
from calflow.science.geometry.tan_projection import ARCSEC_PER_DEG, TanProjection, projection_of
from calflow.science.geometry.tangent_plane import to_plane
from calflow.science.parameters import check_values

if TYPE_CHECKING:
    from gwcs import WCS

SQUARE_DEG_PER_SR = math.degrees(1.0) ** 2
# Of the planes of an image but for the context, and of labels of sources.
BYTES_PER_PIXEL = 4 * 7
# An exposure further from the middle of all than this, in diagonals of its own, is called far.
FAR = 5.0


@dataclass(frozen=True)
class OutputGrid:
    """The pixels of a combined image.

    Attributes
    ----------
    shape : (ny, nx)
    pixel_scale : float
        Nominal side of an output pixel, arcsec.
    pixel_scale_ratio : float
        Output over input pixel scale (keyword PXSCLRT).
    box : ((xmin, xmax), (ymin, ymax))
        Bounding box, outer pixel edges.
    projection : TanProjection or None
        None for a grid of another kind, which `user_wcs` then describes.
    user_wcs : gwcs.WCS or None
    """

    shape: tuple[int, int]
    pixel_scale: float
    pixel_scale_ratio: float
    box: tuple[tuple[float, float], tuple[float, float]]
    projection: TanProjection | None
    user_wcs: WCS | None = None

    @cached_property
    def wcs(self) -> WCS:
        """The gwcs: from output pixels (0-based) to right ascension and declination, degrees."""
        if self.projection is None:
            return self.user_wcs
        return self.projection.gwcs(self.shape, self.box)

    def to_pixel(self, sky: np.ndarray) -> np.ndarray:
        """Return the output pixels (0-based) of sky positions in degrees, both shape (..., 2).

        Parameters
        ----------
        sky : float array, shape (..., 2)
            Right ascension and declination, degrees.
        """
        if self.projection is not None:
            return self.projection.to_pixel(sky)
        return np.stack(self.wcs.invert(sky[..., 0], sky[..., 1], with_bounding_box=False), axis=-1)

    def to_sky(self, pixels: np.ndarray) -> np.ndarray:
        """Return the sky positions of output pixels, both shape (..., 2), right ascension in 0..360.

        Parameters
        ----------
        pixels : float array, shape (..., 2)
            x and y, 0-based.
        """
        if self.projection is not None:
            return self.projection.to_sky(pixels)
        ra, dec = self.wcs(pixels[..., 0], pixels[..., 1], with_bounding_box=False)
        return np.stack([np.mod(ra, 360.0), dec], axis=-1)


def grid_from_footprints(
    footprints: Sequence[np.ndarray],
    first: InputPixels,
    *,
    pixel_scale_ratio: float = GridLayout.pixel_scale_ratio,
    pixel_scale: float | None = GridLayout.pixel_scale,
    rotation: float | None = GridLayout.rotation,
    crpix: Sequence[float] | None = GridLayout.crpix,
    crval: Sequence[float] | None = GridLayout.crval,
    output_shape: Sequence[int] | None = GridLayout.output_shape,
) -> OutputGrid:
    """Lay a TAN grid over all inputs.

    Parameters
    ----------
    footprints : sequence of float array, shape (n, 2)
        Right ascension and declination (degrees) of the vertices of every input, as in its
        S_REGION keyword.
    first : InputPixels
        Of the first input, which gives the default scale and orientation.
    pixel_scale_ratio : float
        Output over input pixel scale. Not used with `pixel_scale`.
    pixel_scale : float or None
        Output pixel scale, arcsec.
    rotation : float or None
        Position angle of the output y axis, degrees east of north. None: that of the first
        input.
    crpix : (x, y) or None
        Output pixel (0-based) of the reference point. None: so that the lowest vertices are
        at pixel 0. What gets a negative coordinate is cut off.
    crval : (ra, dec) or None
        The reference point, degrees. None: the middle of the footprints.
    output_shape : (nx, ny) or None
        None: up to the highest vertices.

    Raises
    ------
    ValueError
        If a parameter is out of range, a footprint is 90 degrees or more from the reference
        point, or an axis gets fewer than two pixels, or more than can be counted.
    """
    check_values(GridLayout, pixel_scale_ratio=pixel_scale_ratio, pixel_scale=pixel_scale)
    vertices = np.concatenate([np.reshape(footprint, (-1, 2)) for footprint in footprints])
    crval = fiducial(vertices) if crval is None else (float(crval[0]), float(crval[1]))

    if rotation is None:
        rotation = first.position_angle
    pc = _rotation_matrix(np.radians(rotation), first.parity)

    with np.errstate(over="ignore"):  # infinity is told below
        if pixel_scale is None:
            pixel_scale = pixel_scale_ratio * first.scale
        else:
            pixel_scale_ratio = pixel_scale / np.sqrt(first.area)
        offsets = _gnomonic(vertices, crval) @ np.linalg.inv(pc).T / pixel_scale
    if not (np.isfinite(pixel_scale_ratio) and np.isfinite(offsets).all()):
        raise ValueError(f"no image has pixels of {pixel_scale:g} arcsec; see pixel_scale, pixel_scale_ratio")
    low, high = offsets.min(axis=0), offsets.max(axis=0)
    reference_pixel = -low if crpix is None else np.asarray(crpix, float)
    size = np.trunc(high + reference_pixel + 0.5) if output_shape is None else output_shape
    nx, ny = (int(n) for n in size)
    if nx < 2 or ny < 2:
        raise ValueError(f"the output image would have {nx} x {ny} pixels; see crpix, crval, output_shape")
    box = (-0.5, nx - 0.5), (-0.5, ny - 0.5)
    if output_shape is not None:
        box = _covered_box(low + reference_pixel, high + reference_pixel, (nx, ny))
    (a, b), (c, d) = pc.tolist()
    x, y = reference_pixel.tolist()
    projection = TanProjection((x, y), crval, float(pixel_scale / ARCSEC_PER_DEG), ((a, b), (c, d)))
    return OutputGrid((ny, nx), float(pixel_scale), float(pixel_scale_ratio), box, projection)


def grid_from_wcs(
    tree: Mapping[str, Any],
    input_area: float,
    *,
    output_shape: Sequence[int] | None = GridLayout.output_shape,
) -> OutputGrid:
    """Use a grid the user made.

    Parameters
    ----------
    tree : mapping
        The tree of the user's ASDF file: ``wcs`` (gwcs), and if wanted ``pixel_scale``
        (arcsec), ``pixel_area`` (arcsec^2, not used beside a scale), ``array_shape``
        (ny, nx), ``pixel_shape`` (nx, ny).
    input_area : float
        Area of a pixel of the first input, arcsec^2, for the ratio of the scales: the nominal one
        (keyword PIXAR_A2) if it is known, else the mean of its pixels.
    output_shape : (nx, ny) or None
        Goes before the shape of the WCS, that before the shape in the tree, and that before
        the size of the bounding box.

    Raises
    ------
    ValueError
        If there is no WCS, its transform has no map projection, or nothing tells the shape.
    """
    from copy import deepcopy

    if "wcs" not in tree:
        keys = ", ".join(map(str, tree)) or "none"
        raise ValueError(f"the output WCS file has no key 'wcs'; it has {keys}")
    wcs = deepcopy(tree["wcs"])
    if not hasattr(wcs, "forward_transform"):
        raise ValueError(f"the key 'wcs' of the output WCS file is a {type(wcs).__name__}, no gwcs")
    _check_projection(wcs)
    shape = _user_shape(tree, wcs, output_shape)
    wcs.array_shape = shape
    if wcs.bounding_box is None:
        wcs.bounding_box = (-0.5, shape[1] - 0.5), (-0.5, shape[0] - 0.5)

    scale, area = tree.get("pixel_scale"), tree.get("pixel_area")
    if scale is None:
        area = mean_pixel_area(wcs, shape) if area is None else area
        scale = np.sqrt(area)
    if not scale > 0:
        raise ValueError(f"the pixel scale of the output WCS is {scale} arcsec; it must be positive")
    ratio = float(scale / np.sqrt(input_area))
    return OutputGrid(shape, float(scale), ratio, pixel_bounds(wcs), projection_of(wcs), wcs)


def check_size(shape: tuple[int, int], max_pixels: float) -> None:
    """Refuse a grid that is too large.

    Parameters
    ----------
    shape : (ny, nx)
        Of the grid.
    max_pixels : float
        Largest number of pixels.

    Raises
    ------
    ValueError
        If the grid has more than `max_pixels` pixels.
    """
    ny, nx = shape
    if nx * ny > max_pixels:
        raise ValueError(
            f"the output image would have {nx} x {ny} pixels and take {products_gb(nx * ny):.3g} GB of disk; the "
            f"limit, max_output_pixels, is {max_pixels}. Likely causes: exposures that lie far apart (not of one "
            "target, or a wrong pointing), a small pixel_scale or pixel_scale_ratio, a large output_shape"
        )


def products_gb(pixels: float) -> float:
    """Return what an image of so many pixels, with its segmentation map, takes of the disk, GB.

    Parameters
    ----------
    pixels : float
        Number of pixels of the image.
    """
    return min(pixels, 10**300) * BYTES_PER_PIXEL / 1e9  # more than that no float holds


def far_footprints(footprints: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of footprints that lie far from the others: more than `FAR` times their size from the middle.

    Parameters
    ----------
    footprints : mapping of name to float array, shape (n, 2)
        Right ascension and declination of the vertices, degrees.
    """
    middles = {name: fiducial(vertices) for name, vertices in footprints.items()}
    ra, dec = np.radians(list(middles.values())).T
    xyz = np.median(np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]), axis=1)
    middle = np.degrees(np.arctan2(xyz[1], xyz[0])), np.degrees(np.arctan2(xyz[2], np.hypot(xyz[0], xyz[1])))
    far = []
    for name, vertices in footprints.items():
        size = max(separation(*vertices[0], *vertex) for vertex in vertices)
        if separation(*middle, *middles[name]) > FAR * size:
            far.append(name)
    return far


def fits_keywords(grid: OutputGrid) -> dict[str, str | int | float]:
    """Return the FITS WCS keywords of a grid.

    They are exact for a WCS that is one FITS transform, as those made here. Any other is
    represented by a linear fit.

    Parameters
    ----------
    grid : OutputGrid

    Raises
    ------
    ValueError
        If a linear fit is needed and fails.
    """
    if grid.projection is not None:
        return grid.projection.keywords()
    from gwcs.fitswcs import FITSImagingWCSTransform

    transform = grid.wcs.forward_transform
    if not isinstance(transform, FITSImagingWCSTransform):
        return _linear_keywords(grid.wcs)
    code = transform.projection.prjprm.code
    crpix, crval, cdelt, pc = (getattr(transform, n).value for n in ("crpix", "crval", "cdelt", "pc"))
    keywords: dict[str, str | int | float] = {"WCSAXES": 2}
    keywords |= {f"CRPIX{i}": float(crpix[i - 1]) + 1.0 for i in (1, 2)}
    keywords |= {f"CRVAL{i}": float(crval[i - 1]) for i in (1, 2)}
    keywords |= {"CTYPE1": f"RA---{code}", "CTYPE2": f"DEC--{code}", "CUNIT1": "deg", "CUNIT2": "deg"}
    keywords |= {f"CDELT{i}": float(cdelt[i - 1]) for i in (1, 2)}
    keywords |= {f"PC{i}_{j}": float(pc[i - 1, j - 1]) for i in (1, 2) for j in (1, 2)}
    return keywords | {"RADESYS": "ICRS"}


def pixel_area_keywords(grid: OutputGrid) -> dict[str, float]:
    """Return the nominal pixel area: PIXAR_SR (steradian) and PIXAR_A2 (arcsec^2).

    Parameters
    ----------
    grid : OutputGrid
    """
    area = float(grid.pixel_scale) ** 2
    return {"PIXAR_SR": area / (ARCSEC_PER_DEG**2 * SQUARE_DEG_PER_SR), "PIXAR_A2": area}


def grid_footprint(footprints: Sequence[np.ndarray], grid: OutputGrid) -> list[np.ndarray]:
    """Return the outlines of the part of a grid that the inputs cover.

    Parameters
    ----------
    footprints : sequence of float array, shape (n, 2)
        Right ascension and declination (degrees) of the vertices of the inputs.
    grid : OutputGrid

    Returns
    -------
    list of float64 array, shape (m, 2)
        The polygons of their union within the outer pixel edges of the grid, in the same
        coordinates, clockwise in the image. Holes are left out. Empty if nothing is covered.
    """
    (xmin, xmax), (ymin, ymax) = grid.box
    ny, nx = grid.shape
    frame = max(xmin, -0.5), min(xmax, nx - 0.5), max(ymin, -0.5), min(ymax, ny - 0.5)

    pieces = []
    for footprint in footprints:
        piece = clip(grid.to_pixel(np.asarray(footprint)), frame)
        if len(piece):
            pieces.append(piece)
    outlines = []
    for ring in union(pieces):
        ring = drop_needless_vertices(ring)
        if len(ring) >= 3:
            outlines.append(grid.to_sky(ring))
    return outlines


def _rotation_matrix(angle: float, vparity: int) -> np.ndarray:
    return np.array([[vparity * np.cos(angle), np.sin(angle)], [-vparity * np.sin(angle), np.cos(angle)]], dtype=float)


def _gnomonic(vertices: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Project sky positions to the tangent plane, arcsec east and north of the centre, shape (n, 2)."""
    plane = to_plane(vertices, centre)
    if np.isnan(plane).any():
        raise ValueError(
            f"footprints are 90 degrees or more from the reference point {centre}; "
            "one image cannot show both: see crval, and the pointings of the inputs"
        )
    return plane


def _covered_box(low, high, size):
    """Return the bounding box ((xmin, xmax), (ymin, ymax)) of the whole pixels the footprints reach."""
    first = np.maximum(np.trunc(np.asarray(low) + 0.5), 0)
    last = np.minimum(np.trunc(np.asarray(high) + 0.5), size)
    (x0, y0), (x1, y1) = first.tolist(), last.tolist()
    return (x0 - 0.5, x1 - 0.5), (y0 - 0.5, y1 - 0.5)


def _check_projection(wcs) -> None:
    """Refuse a WCS without a map projection: its inverse would be an approximation."""
    from astropy.modeling.projections import Projection
    from gwcs.fitswcs import FITSImagingWCSTransform

    transform = wcs.forward_transform
    count = transform.n_submodels
    parts = [transform] if count == 1 else [transform[i] for i in range(count)]
    if not any(isinstance(part, (Projection, FITSImagingWCSTransform)) for part in parts):
        raise ValueError(
            "the output WCS has no map projection (as Pix2Sky_TAN) in its transform; "
            "the WCS of an exposure, with its distortion, is no output grid"
        )


def _user_shape(tree, wcs, output_shape) -> tuple[int, int]:
    if output_shape is not None:
        nx, ny = output_shape
    elif wcs.array_shape is not None:
        ny, nx = wcs.array_shape
    elif tree.get("array_shape") is not None:
        ny, nx = tree["array_shape"]
    elif tree.get("pixel_shape") is not None:
        nx, ny = tree["pixel_shape"]
    elif wcs.bounding_box is not None:
        (_, xmax), (_, ymax) = pixel_bounds(wcs)
        nx, ny = xmax + 0.5, ymax + 0.5
    else:
        raise ValueError(
            "the output WCS does not tell the shape of the image: give output_shape, "
            "array_shape or pixel_shape in the file, or a WCS with array_shape or bounding_box"
        )
    if nx < 2 or ny < 2:
        raise ValueError(f"the output image would have {nx} x {ny} pixels; at least 2 x 2 are needed")
    return int(ny), int(nx)


def _linear_keywords(wcs) -> dict[str, str | int | float]:
    from calflow.science.geometry.sip import sip_approximation

    return sip_approximation(wcs, degree=1, inv_degree=1).keywords
