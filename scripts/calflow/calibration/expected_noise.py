"""The noise that an exposure will have when it is calibrated, told by the exposure as it comes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calflow.calibration.photometry import conversion_of
from calflow.files.exposure import exposure_of
from calflow.files.keywords import record_facts
from calflow.files.reference_files import read_photom
from calflow.science.dq_flags import DO_NOT_USE
from calflow.science.quality.fine_noise import fine_noise_over_error


def expected_noise(exposure: Path, source: Mapping[str, Any], photom: Path | None) -> float:
    """Return the noise of a pixel as it will be after the photometry, whatever other steps do.

    Parameters
    ----------
    exposure : Path
        As it comes; of integrations the first is looked at.
    source : mapping
        ``images``, the names that the extension with the pixels may have; if it is converted, ``facts``, keywords that
        were made of others, ``photom_row``, by what its row is chosen, and ``photom``, how it is converted.
    photom : Path or None
        The reference that converts it; None: it is not converted.

    Returns
    -------
    float
        The median of its errors, or, if it has none, the scatter between neighbouring pixels, in the unit of the
        calibrated exposure. NaN if no pixel tells it.
    """
    from astropy.io import fits

    with fits.open(exposure, memmap=False, ignore_blank=True) as hdus:
        cube = any(hdu.header.get("NAXIS") == 3 for hdu in hdus if hdu.name in source["images"])
        read = exposure_of(hdus, source["images"], part=slice(0, 1) if cube else None)
    planes = read.image.sci, read.image.err, read.image.dq
    sci, err, dq = (plane[0] if plane.ndim == 3 else plane for plane in planes)
    usable = np.isfinite(sci) & ((dq & DO_NOT_USE) == 0)
    errors = err[usable & (err > 0)]
    noise = float(np.median(errors)) if errors.size else fine_noise_over_error(sci, np.ones_like(sci), usable)
    if photom is None:
        return noise
    record_facts(read, source["facts"])
    settings = source["photom"]
    factor = conversion_of(read, read_photom(photom), source["photom_row"], settings["apply_time_correction"])
    return noise / factor if settings["inverse"] else noise * factor
