"""The pixel planes of one exposure, and the rule that ties NaN to DO_NOT_USE."""

from dataclasses import dataclass, fields

import numpy as np

from steps.dq_flags import DO_NOT_USE

FLOAT_PLANES = ("sci", "err", "var_poisson", "var_rnoise", "var_flat")


@dataclass
class Image:
    """The planes of one exposure, all of one shape.

    Attributes
    ----------
    sci, err : float32 array, shape (ny, nx) or (nints, ny, nx)
        Signal and its 1-sigma error, in one unit. NaN: no value.
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


def match_nans(image: Image) -> Image:
    """Make NaN and DO_NOT_USE agree: a pixel invalid in one plane is invalid in all.

    Invalid is a pixel that has DO_NOT_USE, or NaN in any float plane. It gets DO_NOT_USE,
    and NaN in every float plane. The planes are changed in place.

    Returns
    -------
    Image
        The same object.
    """
    floats = [plane for name, plane in image.planes().items() if name in FLOAT_PLANES]
    invalid = (image.dq & DO_NOT_USE) != 0
    for plane in floats:
        invalid |= np.isnan(plane)
    image.dq[invalid] |= DO_NOT_USE
    for plane in floats:
        plane[invalid] = np.nan
    return image


def usable(image: Image) -> int:
    """Count the pixels that have a value in SCI and have not DO_NOT_USE."""
    return int(np.count_nonzero(~np.isnan(image.sci) & ((image.dq & DO_NOT_USE) == 0)))
