"""An exposure divided by the flat field of the detector."""

from collections.abc import Sequence
from pathlib import Path

from calflow.files.exposure import Exposure
from calflow.files.keywords import window
from calflow.files.reference_files import ReferenceFileError, read_detector_reference
from calflow.science.calibration.flat_field import Flat, apply_flat, divide_by_flat, has_response
from calflow.science.windows import Window


def divide_flat(exposure: Exposure, input, params) -> None:
    """Divide by the flat, of which only the flags count beside the values.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        The files of the job: `flat`.
    params : Snakemake's Params
        Its parameters: `images`.
    """
    exposure.image = divide_by_flat(exposure.image, read_flat(input.flat, window(exposure), params.images))


def divide_flat_with_variance(exposure: Exposure, input, params) -> None:
    """Divide by the flat, with its error; or multiply, to undo it.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        The files of the job: `flat`.
    params : Snakemake's Params
        Its parameters: `images`, and `flat_field`, those of `FlatFielding`.
    """
    flat = _usable(Flat(*read_detector_reference(input.flat, window(exposure), params.images)), input.flat)
    exposure.image = apply_flat(exposure.image, flat, **params.flat_field)


def read_flat(path: Path | str, covered: Window, images: Sequence[str]) -> Flat:
    """Return the part of a flat that covers a detector window; it may have no ERR and no DQ.

    Parameters
    ----------
    path : Path or str
        Of the flat.
    covered : Window
        Detector pixels.
    images : sequence of str
        Names that the extension with the pixels may have.

    Raises
    ------
    ReferenceFileError
        If no pixel has a response.
    """
    return _usable(Flat(*read_detector_reference(Path(path), covered, images, optional=("ERR", "DQ"))), path)


def _usable(flat: Flat, path: Path | str) -> Flat:
    """Return the flat if it has any response, which no header tells."""
    if not has_response(flat):
        raise ReferenceFileError(f"{path}: a flat needs positive values, here all are NaN, 0, negative or DO_NOT_USE")
    return flat
