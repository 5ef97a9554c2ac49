"""What is measured on a calibrated exposure."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.files.exposure import read_exposure
from calflow.quality.numbers import plain
from calflow.science.dq_flags import DO_NOT_USE, FLAGS, NON_SCIENCE
from calflow.science.quality.exposure_levels import BLOCK, exposure_levels, median
from calflow.science.quality.fine_noise import fine_noise_over_error

# What of the header a person wants to see beside the numbers.
KEYWORDS = ("INSTRUME", "DETECTOR", "FILTER", "PUPIL", "DATE-BEG", "EXPSTART", "EFFEXPTM", "TARGNAME")
# What a keyword says where there is none.
NO_REFERENCE = ("N/A", "")


def measure_exposure(cal: Path) -> dict[str, Any]:
    """Return what is measured on a calibrated exposure, as JSON can hold it; numbers that are not known are None.

    Parameters
    ----------
    cal : Path
        Of integrations the first is measured.
    """
    with fits.open(cal, memmap=False) as hdus:
        cube = len(hdus["SCI"].shape) == 3
    exposure = read_exposure(cal, part=slice(0, 1) if cube else None)
    header = {**exposure.science, **exposure.primary}
    planes = exposure.image.sci, exposure.image.err, exposure.image.dq
    sci, err, dq = (plane[0] if plane.ndim == 3 else plane for plane in planes)
    science = (dq & NON_SCIENCE) == 0
    usable = science & ((dq & DO_NOT_USE) == 0) & np.isfinite(sci)
    found = exposure_levels(sci, err, usable)
    level, subtracted = header.get("BKGLEVEL"), bool(header.get("BKGSUB"))
    return plain(
        {
            "header": {name: header[name] for name in KEYWORDS if name in header},
            "references": {
                name: value for name, value in header.items() if name.startswith("R_") and value not in NO_REFERENCE
            },
            "context": str(header.get("CRDS_CTX", "N/A")).replace("N/A", ""),
            "steps": {name: value for name, value in header.items() if name.startswith("S_") and name != "S_REGION"},
            "unit": header.get("BUNIT", ""),
            "pixels": int(science.sum()),
            "unusable": int((science & ~usable).sum()),
            "flags": {name: n for name, bit in FLAGS.items() if bit and (n := int(np.count_nonzero(dq & bit)))},
            "level": median(found.level),
            "noise": median(found.noise),
            "error": median(found.error),
            "noise_over_error": fine_noise_over_error(sci, err, usable),
            "sky_left": 0.0 if level is None or subtracted else level,
            "shape": list(sci.shape),
            "block": BLOCK,
            "levels": [[float(f"{value:.6g}") for value in row] for row in found.level],
        }
    )
