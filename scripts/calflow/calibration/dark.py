"""The dark current of the detector removed from an exposure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calflow.files.exposure import Exposure
from calflow.files.keywords import window
from calflow.files.reference_files import ReferenceFileError, read_detector_reference
from calflow.science.calibration.dark_current import Dark, subtract_dark
from calflow.science.image import Image
from calflow.science.windows import Window


def remove_dark(exposure: Exposure, input, params) -> None:
    """Subtract the dark.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        The files of the job: `dark`.
    params : Snakemake's Params
        Its parameters: `images`.
    """
    exposure.image = without_dark(exposure.image, input.dark, window(exposure), params.images)


def without_dark(image: Image, path: Path | str, covered: Window, images: Sequence[str]) -> Image:
    """Return an image with the dark of a file subtracted.

    Parameters
    ----------
    image : Image
        Any number of integrations; any unit that the dark has, too.
    path : Path or str
        Of the dark.
    covered : Window
        Detector pixels that the image has.
    images : sequence of str
        Names that the extension with the pixels may have.
    """
    return subtract_dark(image, read_dark(path, covered, images))


def read_dark(path: Path | str, covered: Window, images: Sequence[str]) -> Dark:
    """Return the part of a dark that covers a detector window; it may have no ERR and no DQ.

    Parameters
    ----------
    path : Path or str
        Of the dark.
    covered : Window
        Detector pixels.
    images : sequence of str
        Names that the extension with the pixels may have.

    Raises
    ------
    ReferenceFileError
        If no pixel is finite.
    """
    sci, err, dq = read_detector_reference(Path(path), covered, images, optional=("ERR", "DQ"))
    if not np.isfinite(sci).any():
        raise ReferenceFileError(f"{path}: no pixel of the dark is finite")
    return Dark(sci, dq, err)
