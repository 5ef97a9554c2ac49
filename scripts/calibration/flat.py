"""An exposure divided by the flat field of the detector."""

from collections.abc import Sequence
from pathlib import Path

from products.exposure import Exposure
from products.keywords import window
from products.reference_files import read_detector_reference
from steps.flat_field import Flat, apply_flat, divide_by_flat
from steps.windows import Window


def divide_flat(exposure: Exposure, input, params) -> None:
    """Divide by the flat, of which only the flags count beside the values."""
    exposure.image = divide_by_flat(exposure.image, read_flat(input.flat, window(exposure), params.images))


def divide_flat_with_variance(exposure: Exposure, input, params) -> None:
    """Divide by the flat, or multiply, with its error."""
    flat = Flat(*read_detector_reference(input.flat, window(exposure), params.images))
    exposure.image = apply_flat(exposure.image, flat, params.flat_field["inverse"])


def read_flat(path: Path | str, covered: Window, images: Sequence[str]) -> Flat:
    """Return the part of a flat that covers a detector window; it may have no ERR and no DQ."""
    return Flat(*read_detector_reference(Path(path), covered, images, optional=("ERR", "DQ")))
