"""The background of an image and its noise, varying over the image.

Method: medians and standard deviations of sigma-clipped boxes, as in SExtractor (Bertin & Arnouts
1996, A&AS 117, 393) and in the JWST pipeline (jwst 3.0.0), measured by `photutils.background`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from calflow.science.bands import Plane, bands
from calflow.science.sky.clipped_statistics import clipped_statistics, clipping_limits

CLIP_SIGMA = 3.0
FILTER_SIZE = 3
# A box with this part of its pixels masked or clipped, or more, is not used; per cent.
EXCLUDE_PERCENTILE = 10.0
# Boxes of so many pixels are put in order to be clipped: of smaller ones there are so many that calls take the time.
LARGE_BOX = 2**14
# More pixels are not measured as one box by photutils, which takes 20 bytes for each.
BOX_PIXELS = 2**24
# As many of them are kept, 4 bytes for each; of an image without a usable box, most pixels are often empty.
KEPT_PIXELS = 2**26
# Pixels whose boxes are measured at a time, or those of a box if they are more.
GROUP_PIXELS = 2**22


class NoBackground(ValueError):
    """No pixel to measure a background from."""


@dataclass(frozen=True, eq=False)
class BackgroundMap:
    """The background of an image.

    Attributes
    ----------
    background : array, shape (ny, nx)
        Its level, in the units and the dtype of the image.
    rms : array, shape (ny, nx)
        The standard deviation of the pixels about it, in the same units and dtype.
    """

    background: np.ndarray
    rms: np.ndarray


class Background:
    """The background of an image, of which rows can be asked for.

    Parameters
    ----------
    level, rms : float array, shape (my, mx)
        Of the boxes.
    box : (ny, nx)
        The size of a box.
    shape : (ny, nx)
        That of the image.
    coverage_mask : bool array or Plane, shape (ny, nx), or None
        True: background and noise are 0.
    """

    def __init__(self, level, rms, box, shape, coverage_mask=None):
        self.shape = shape
        self._level = _Zoomed(level, box, shape)
        self._rms = self._level if rms is level else _Zoomed(rms, box, shape)
        self._outside = coverage_mask

    def level(self, rows: slice) -> np.ndarray:
        """Return the level of some rows, in the units and the dtype of the image.

        Parameters
        ----------
        rows : slice
            One of `science.bands.bands`.
        """
        return self._within(self._level(rows), rows)

    def rms(self, rows: slice) -> np.ndarray:
        """Return the standard deviation of the pixels about it, alike.

        Parameters
        ----------
        rows : slice
            One of `science.bands.bands`.
        """
        return self._within(self._rms(rows), rows)

    def _within(self, values, rows):
        if self._outside is not None:
            values[self._outside[rows]] = 0
        return values


def background_map(
    data: np.ndarray,
    mask: np.ndarray | None,
    box_size: int,
    coverage_mask: np.ndarray | None = None,
) -> BackgroundMap:
    """Return the background of an image and its noise, pixel by pixel; see `measure_background`.

    Parameters
    ----------
    data : float array, shape (ny, nx)
        NaN: no value.
    mask, coverage_mask : bool array, shape (ny, nx), or None
        True: not used.
    box_size : int
        Pixels.
    """
    found = measure_background(data, mask, box_size, coverage_mask)
    rows = list(bands(data.shape[0]))
    return BackgroundMap(*(np.concatenate([part(band) for band in rows]) for part in (found.level, found.rms)))


def measure_background(
    data: Plane,
    mask: Plane | None,
    box_size: int,
    coverage_mask: Plane | None = None,
) -> Background:
    """Measure the background of an image in boxes, and its noise.

    The pixels of each box are clipped at 3 standard deviations from their median; the background
    is the median of those left, the noise their standard deviation. Boxes with 10 per cent or more
    of their pixels masked or clipped get the value of their neighbours. The values are smoothed
    by a median filter of 3 x 3 boxes and interpolated to pixels by a cubic spline. If no box can
    be used, there is one for the whole image; the values of a large one are those of float32.

    Parameters
    ----------
    data : float array or Plane, shape (ny, nx)
        The image. NaN and infinite pixels count as masked.
    mask : bool array or Plane, shape (ny, nx), or None
        True: not used, but the background is interpolated there.
    box_size : int
        Side of the boxes in pixels; one longer than the image is cut to it.
    coverage_mask : bool array or Plane, shape (ny, nx), or None
        True: not used, and background and noise are 0 there.

    Returns
    -------
    Background

    Raises
    ------
    NoBackground
        If all pixels are masked. It is a ValueError.
    ValueError
        If `data` is not two-dimensional, a mask has another shape, or `box_size` is not a positive
        integer.
    """
    _check(data, mask, box_size, coverage_mask)
    image = _Usable(data, [given for given in (mask, coverage_mask) if given is not None])
    box = min(box_size, data.shape[0]), min(box_size, data.shape[1])
    meshes = _measure_boxes(image, box, EXCLUDE_PERCENTILE)
    if meshes is None:  # every box is excluded
        box = data.shape[0], data.shape[1]
        meshes = _measure_boxes(image, box, 100) if math.prod(box) <= BOX_PIXELS else _measure_whole(image)
    if meshes is None:
        raise NoBackground("all pixels of the image are masked or not finite; a background needs at least one")
    return Background(*meshes, box, data.shape, coverage_mask)


def _check(data, mask, box_size, coverage_mask) -> None:
    dtype = data[:1].dtype
    if len(data.shape) != 2 or dtype.kind != "f":
        raise ValueError(f"the image must be a 2-D array of floats, not of shape {data.shape} and type {dtype}")
    for name, given in (("mask", mask), ("coverage_mask", coverage_mask)):
        if given is not None and given.shape != data.shape:
            raise ValueError(f"{name} has shape {given.shape}; it must have that of the image, {data.shape}")
    if not isinstance(box_size, int | np.integer) or box_size < 1:
        raise ValueError(f"the box size of the background is {box_size!r}; it must be an integer of 1 or more")


@dataclass(frozen=True)
class _Usable:
    """The pixels of an image that count."""

    data: Plane
    masks: list[Plane]

    def read(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of the image, and which pixels of them do not count."""
        n_rows, n_columns = rows.stop - rows.start, self.data.shape[1]
        data, unused = np.empty((n_rows, n_columns), self.data[:1].dtype), np.empty((n_rows, n_columns), bool)
        for band in bands(n_rows):
            part = slice(rows.start + band.start, rows.start + band.stop)
            data[band] = self.data[part]
            unused[band] = ~np.isfinite(data[band])
            for mask in self.masks:
                unused[band] |= mask[part]
        return data, unused


def _measure_boxes(
    image: _Usable, box: tuple[int, int], exclude_percentile: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return level and noise of boxes, those without one filled from their neighbours, smoothed; None without any."""
    if 0 in box:
        return None
    rows_of_boxes = []
    for rows in _whole_boxes(image.data.shape[0], box[0], image.data.shape[1]):
        data, unused = image.read(rows)
        columns = _whole_boxes(data.shape[1], box[1], len(data))
        parts = [_measure_group(data[:, part], unused[:, part], box) for part in columns]
        rows_of_boxes.append([np.concatenate(values, axis=1) for values in zip(*parts, strict=True)])
    level, rms, number = (np.concatenate(values) for values in zip(*rows_of_boxes, strict=True))
    # As photutils reckons it.
    excluded = number <= (1 - exclude_percentile / 100.0) * (box[0] * box[1])
    if excluded.all():
        return None
    return _filled_and_smoothed(level, excluded), _filled_and_smoothed(rms, excluded)


def _measure_whole(image: _Usable) -> tuple[np.ndarray, np.ndarray] | None:
    """Return level and noise of an image as one box, None without any pixel."""

    def parts():
        for rows in bands(image.data.shape[0]):
            data, unused = image.read(rows)
            yield data[~unused].astype(np.float32, copy=False)

    found = clipped_statistics(_kept_if_few(parts), CLIP_SIGMA)
    return None if found is None else (np.full((1, 1), found[0]), np.full((1, 1), found[1]))


def _kept_if_few(parts: Callable[[], Iterator[np.ndarray]]) -> Callable[[], Iterable[np.ndarray]]:
    """Return values that can be read several times: kept, or read anew each time if they are many."""
    kept, number = [], 0
    for part in parts():
        kept.append(part)
        number += part.size
        if number > KEPT_PIXELS:
            return parts
    return lambda: kept


def _whole_boxes(length: int, box_size: int, across: int) -> Iterator[slice]:
    """Yield rows, or columns, of whole boxes, of some at a time; with the last of them those that are left over."""
    step = max(GROUP_PIXELS // (box_size * across), 1) * box_size
    starts = range(0, length // box_size * box_size, step)
    for start in starts:
        yield slice(start, length if start == starts[-1] else start + step)


def _measure_group(
    data: np.ndarray, unused: np.ndarray, box: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return level, noise and number of pixels of boxes, as photutils measures them; anything where that is 0."""
    if unused.all():
        shape = tuple(-(-n // size) for n, size in zip(data.shape, box, strict=True))
        return np.zeros(shape, data.dtype), np.zeros(shape, data.dtype), np.zeros(shape, int)
    from photutils.background import StdBackgroundRMS

    found = _photutils(data, unused, box, filter_size=1, sigma_clip=CLIP_SIGMA, bkg_rms_estimator=StdBackgroundRMS())
    return found.background_mesh, found.background_rms_mesh, found.n_pixels_mesh


def _filled_and_smoothed(mesh: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """Return a mesh as photutils makes it of boxes, which are pixels here."""
    return _photutils(mesh, excluded, 1, filter_size=FILTER_SIZE, sigma_clip=None).background_mesh


def _photutils(data, unused, box, *, sigma_clip, **options):
    """Return photutils' measurement of boxes, of all that have a pixel."""
    import photutils
    from astropy.stats import SigmaClip
    from photutils.background import Background2D, MedianBackground

    median = MedianBackground(sigma_clip=None)  # what photutils sets of its own estimators
    if sigma_clip is None:
        clip = None
    elif photutils.__version__.startswith("3.0."):
        clip = _Clipping(sigma_clip)
        median = partial(clip.median, of_others=median)
    else:  # it is quick itself, with the values of astropy's class, and of no other callable
        clip = SigmaClip(sigma=sigma_clip)
    return Background2D(
        data, box, mask=unused, exclude_percentile=100, sigma_clip=clip, bkg_estimator=median, **options
    )


class _Clipping:
    """Clips the pixels of boxes as astropy's `SigmaClip` does, and photutils calls it.

    That looks for each median among all pixels, and photutils then once more for the last. Large boxes are put in order
    here, as far as it takes.
    """

    def __init__(self, sigma: float):
        self._sigma = sigma
        self._boxes: np.ndarray | None = None
        self._medians = np.empty(0)

    def __call__(self, data: np.ndarray, axis: int | None, **options) -> np.ndarray:
        """Return the pixels, those that are clipped NaN."""
        if axis is None or data.shape[axis] < LARGE_BOX:
            from astropy.stats import SigmaClip

            return SigmaClip(sigma=self._sigma)(data, axis=axis, **options)
        boxes = np.moveaxis(data, axis, -1)
        self._boxes, self._medians = data, np.empty(boxes.shape[:-1], data.dtype)
        for number in np.ndindex(boxes.shape[:-1]):
            pixels = boxes[number]
            low, high, self._medians[number] = clipping_limits(pixels, self._sigma)
            pixels[~((pixels >= low) & (pixels <= high))] = np.nan
        return data

    def median(self, data: np.ndarray, axis: int | None, of_others) -> np.ndarray:
        """Return the medians of boxes: those found when they were clipped, or what a function gives of others."""
        return self._medians if data is self._boxes else of_others(data, axis=axis)


class _Zoomed:
    """The image whose boxes have the values of a mesh, dtype of the mesh.

    It is what `Background2D.background` gives. That calls `scipy.ndimage.zoom`, which is linear and
    separable: two small matrices do the same more than ten times faster.
    """

    def __init__(self, mesh: np.ndarray, box: tuple[int, int], shape: tuple[int, ...]):
        self._lowest, self._highest = mesh.min(), mesh.max()
        self._n_columns = shape[1]
        if self._lowest != self._highest:
            self._rows = _zoom_matrix(mesh.shape[0], box[0], shape[0]) @ mesh.astype(np.float64)
            self._to_columns = _zoom_matrix(mesh.shape[1], box[1], shape[1]).T

    def __call__(self, rows: slice) -> np.ndarray:
        if self._lowest == self._highest:
            return np.full((rows.stop - rows.start, self._n_columns), self._lowest)
        # As photutils clips them: a cubic spline exceeds the values it goes through.
        values = np.clip(self._rows[rows] @ self._to_columns, self._lowest, self._highest)
        return values.astype(self._lowest.dtype, copy=False)


@lru_cache(maxsize=8)
def _zoom_matrix(boxes: int, box_size: int, size: int) -> np.ndarray:
    """Return the matrix from the values of boxes to the values of pixels, shape (size, boxes)."""
    from scipy.ndimage import zoom

    columns = [zoom(one, box_size, order=3, mode="reflect", grid_mode=True) for one in np.eye(boxes)]
    return np.stack(columns, axis=1)[:size]
