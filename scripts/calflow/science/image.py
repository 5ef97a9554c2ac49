"""The pixel planes of one exposure, and what in them is no value.

One rule holds for all steps. A pixel is **no value** if it is NaN or infinite, larger than what single precision
can square (`LARGEST`), or an error or a variance below 0. It is NaN, its pixel gets DO_NOT_USE and, when
exposures are combined, no weight. Readers of files apply the rule (`without_impossible`), and so does every step
whose arithmetic may overflow. A NaN alone is left as it is by readers, as exposures of some instruments mark by
it what they do not flag; where the two must agree, `match_nans` makes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from calflow.science.dq_flags import DO_NOT_USE

VARIANCES = ("var_poisson", "var_rnoise", "var_flat")
FLOAT_PLANES = ("sci", "err", *VARIANCES)
# Largest signal or error, in any unit: the variances that are the squares of three such errors still add up in
# single precision.
LARGEST = 1e19
PIXELS_AT_ONCE = 2**16
_RANGES = {"sci": (-LARGEST, LARGEST), "err": (0.0, LARGEST)} | dict.fromkeys(VARIANCES, (0.0, LARGEST**2))


@dataclass
class Image:
    """The planes of one exposure, all of one shape.

    Attributes
    ----------
    sci, err : float32 array, shape (ny, nx) or (nints, ny, nx)
        Signal and its 1-sigma error, in one unit. NaN: no value. An `err` that is 0 everywhere: not known.
    dq : uint32 array
        Data quality flags.
    var_poisson, var_rnoise, var_flat : float32 array or None
        The parts of the variance, in the unit of `sci` squared.

    Raises
    ------
    ValueError
        If the planes differ in shape.
    """

    sci: np.ndarray
    err: np.ndarray
    dq: np.ndarray
    var_poisson: np.ndarray | None = None
    var_rnoise: np.ndarray | None = None
    var_flat: np.ndarray | None = None

    def __post_init__(self):
        shapes = {name: np.shape(plane) for name, plane in self.planes().items()}
        if len(set(shapes.values())) > 1:  # would broadcast, without an error, in much of the arithmetic
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"the planes of an image must have one shape, not {listed}")

    def planes(self) -> dict[str, np.ndarray]:
        """Return the planes that exist, by attribute name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def float_planes(self) -> dict[str, np.ndarray]:
        """Return the planes that exist, without the flags, by attribute name."""
        return {name: plane for name, plane in self.planes().items() if name in FLOAT_PLANES}


def has_value(name: str, plane: np.ndarray) -> np.ndarray:
    """Tell where a plane has a value.

    Parameters
    ----------
    name : {"sci", "err", "var_poisson", "var_rnoise", "var_flat"}
        What the plane is.
    plane : float array, any shape

    Returns
    -------
    bool array of that shape
        False where it is NaN, infinite or too large, or an error or a variance below 0.
    """
    low, high = _RANGES[name]
    return (plane >= low) & (plane <= high)  # comparisons with NaN are False


def impossible(name: str, plane: np.ndarray) -> np.ndarray:
    """Tell where a plane has no value though it is not NaN; arguments and result as of `has_value`.

    Parameters
    ----------
    name : str
        Of the plane, such as ``sci``, ``err``, ``var_flat``.
    plane : float array, any shape
        Its values. NaN: no value.

    Returns
    -------
    bool array, shape of `plane`
    """
    low, high = _RANGES[name]
    return (plane < low) | (plane > high)


def _is_within(name: str, plane: np.ndarray) -> bool:
    """Tell whether no pixel is `impossible`, without an array of all pixels."""
    low, high = _RANGES[name]
    # fmin and fmax leave NaN out, unless there is nothing else, which is not outside either.
    return not (
        np.fmin.reduce(plane, axis=None, initial=high) < low or np.fmax.reduce(plane, axis=None, initial=low) > high
    )


def discard_impossible(planes: Mapping[str, np.ndarray], dq: np.ndarray | None = None) -> dict[str, int]:
    """Make NaN what is no value, in place.

    Parameters
    ----------
    planes : mapping of names to float arrays of one shape
        Names as of `has_value`. NaN that are there already are left as they are, and the other planes of
        such a pixel, too.
    dq : uint32 array of that shape, or None
        Gets DO_NOT_USE there.

    Returns
    -------
    dict of name to int
        How many pixels of which planes, without those that have none.
    """
    counts = {}
    for name, plane in planes.items():
        if _is_within(name, plane):
            continue
        wrong = impossible(name, plane)
        if number := int(np.count_nonzero(wrong)):
            counts[name] = number
            plane[wrong] = np.nan
            if dq is not None:
                dq[wrong] |= DO_NOT_USE
    return counts


def without_impossible(image: Image) -> Image:
    """Return an image in which what is no value is NaN, and has DO_NOT_USE (`discard_impossible`).

    Parameters
    ----------
    image : Image
        It is not changed.

    Returns
    -------
    Image
        The image itself if all of it can be; else one with new arrays.
    """
    if all(_is_within(name, plane) for name, plane in image.float_planes().items()):
        return image
    copy = replace(image, **{name: plane.copy() for name, plane in image.planes().items()})
    discard_impossible(copy.float_planes(), copy.dq)
    return copy


def match_nans(image: Image) -> Image:
    """Make NaN and DO_NOT_USE agree: a pixel invalid in one plane is invalid in all.

    Invalid is a pixel that has DO_NOT_USE, or no value (`has_value`) in any float plane. It gets
    DO_NOT_USE, and NaN in every float plane. The planes are changed in place.

    Parameters
    ----------
    image : Image
        2-D or 3-D.

    Returns
    -------
    Image
        The same object.
    """
    for rows in _rows(image):
        dq, floats = image.dq[rows], {name: plane[rows] for name, plane in image.float_planes().items()}
        invalid = (dq & DO_NOT_USE) != 0
        for name, plane in floats.items():
            invalid |= ~has_value(name, plane)
        if invalid.any():
            dq[invalid] |= DO_NOT_USE
            for plane in floats.values():
                plane[invalid] = np.nan
    return image


def usable(image: Image) -> int:
    """Count the pixels that have a value in SCI and have not DO_NOT_USE.

    Parameters
    ----------
    image : Image
        2-D or 3-D.
    """
    return sum(
        int(np.count_nonzero(has_value("sci", image.sci[rows]) & ((image.dq[rows] & DO_NOT_USE) == 0)))
        for rows in _rows(image)
    )


def _rows(image: Image) -> Iterator[tuple]:
    """Yield the parts of an image, rows of all integrations, that stay in the cache of the processor."""
    if image.sci.ndim < 2:
        yield (...,)
        return
    step = max(1, PIXELS_AT_ONCE * image.sci.shape[-2] // max(image.sci.size, 1))
    for start in range(0, image.sci.shape[-2], step):
        yield ..., slice(start, start + step), slice(None)
