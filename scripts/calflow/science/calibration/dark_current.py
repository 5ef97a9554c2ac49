"""Dark current: subtract the rate that a detector shows without light.

Source of the formulas: the Liger/IRIS imager pipeline's dark_current step. Both the exposure and the
dark are rates, so that nothing is scaled with the exposure time.
"""

from dataclasses import dataclass, replace

import numpy as np

from calflow.science.image import Image, has_value, without_impossible


@dataclass
class Dark:
    """The dark current on the detector window of an exposure.

    Attributes
    ----------
    sci : float32 array, shape (ny, nx)
        The rate without light, in the unit of the exposure. What is no value (`science.image`) is not known.
    dq : uint32 array, shape (ny, nx)
        Data quality flags.
    err : float32 array, shape (ny, nx), or None
        Its 1-sigma error; None: not known.

    Raises
    ------
    ValueError
        If the planes differ in shape.
    """

    sci: np.ndarray
    dq: np.ndarray
    err: np.ndarray | None = None

    def __post_init__(self):
        for name, plane in (("dq", self.dq), ("err", self.err)):
            if plane is not None and plane.shape != self.sci.shape:
                raise ValueError(f"{name} of the dark has shape {plane.shape}, its sci {self.sci.shape}")


def subtract_dark(image: Image, dark: Dark) -> Image:
    """Subtract a dark from an exposure.

    Parameters
    ----------
    image : Image
        2-D, or 3-D: the dark is subtracted from every integration.
    dark : Dark
        Of the shape of one integration. Where its value is not known nothing is subtracted, and
        no flag says so.

    Returns
    -------
    Image
        New `sci`, and new `dq` with the flags of the dark. ERR and variances are the arrays of
        `image`: the error of the dark is not propagated.

    Raises
    ------
    ValueError
        If the dark has not the shape of one integration.
    """
    if dark.sci.shape != image.sci.shape[-2:]:
        raise ValueError(
            f"the dark has shape {dark.sci.shape}, the exposure {image.sci.shape}; "
            "cut the dark to the window of the exposure first"
        )
    rate = np.where(has_value("sci", dark.sci), dark.sci, 0).astype(image.sci.dtype, copy=False)
    out = replace(image, sci=image.sci - rate, dq=image.dq | dark.dq.astype(np.uint32, copy=False))
    return without_impossible(out)
