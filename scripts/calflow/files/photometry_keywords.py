"""Header keywords of the photometric calibration."""

from pathlib import Path

from calflow.files.exposure import Exposure
from calflow.science.calibration.photom import square_arcsec_factor


def record_unit(exposure: Exposure, unit: str) -> None:
    """Record the unit of SCI and ERR.

    Parameters
    ----------
    exposure : Exposure
        Its SCI and ERR headers are changed.
    unit : str
        As FITS writes it.
    """
    for name in ("SCI", "ERR"):
        exposure.headers[name].set("BUNIT", unit, "physical units of the array values")


def record_photometry(exposure: Exposure, factor: float, unit: str) -> None:
    """Record the unit and the conversion factor in (MJy/sr)/(DN/s).

    Parameters
    ----------
    exposure : Exposure
        Its headers are changed.
    factor : float
        (MJy/sr) / (DN/s).
    unit : str
        Of SCI and ERR, as FITS writes it.
    """
    record_unit(exposure, unit)
    header = exposure.science
    header.set("PHOTMJSR", factor, "Flux density (MJy/steradian) producing 1 cps")
    header.set("PHOTUJA2", square_arcsec_factor(factor), "Flux density (uJy/arcsec2) producing 1 cps")


def conversion_in(path: Path) -> float:
    """Return the conversion factor of a calibrated exposure in (MJy/sr)/(DN/s); 1 if it was not converted.

    Parameters
    ----------
    path : Path
    """
    from astropy.io import fits

    return float(fits.getheader(path, "SCI").get("PHOTMJSR", 1.0))
