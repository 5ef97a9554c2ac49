"""What is told of a source catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from calflow.science.quality.exposure_levels import median


@dataclass(frozen=True, eq=False)
class MeasuredCatalog:
    """A source catalogue.

    Attributes
    ----------
    status : str
        Of its step.
    sources, extended : int
        How many there are, and how many of them are extended.
    magnitude, concentration : float array, shape (n,)
        AB magnitude of each source, and the flux in its middle aperture over that in its smallest; NaN: not known.
    is_extended : bool array, shape (n,)
    signal : float
        Median of flux over its error.
    radius, correction : float
        Of the middle of the three apertures, pixels of the image; from the flux in it to that of a point source.
        0: not known.
    annulus : (inner, outer) or None
        Where the local background is measured, pixels.
    names : (str, str)
        Of the columns of magnitude and concentration.
    versions : mapping of str to str
        Of the libraries that measured.
    """

    status: str = ""
    sources: int = 0
    extended: int = 0
    magnitude: np.ndarray = field(default_factory=lambda: np.empty(0))
    concentration: np.ndarray = field(default_factory=lambda: np.empty(0))
    is_extended: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    signal: float = float("nan")
    radius: float = 0.0
    correction: float = 0.0
    annulus: tuple[float, float] | None = None
    names: tuple[str, str] = ("", "")
    versions: Mapping[str, str] = field(default_factory=dict)


NO_CATALOG = MeasuredCatalog()


def measure_catalog(path: Path) -> MeasuredCatalog:
    """Read a source catalogue.

    Parameters
    ----------
    path : Path
    """
    from astropy.table import Table

    table = Table.read(path, format="ascii.ecsv")
    concentration = next((name for name in table.colnames if name.startswith("CI_")), "")
    used = table.meta.get("aperture_params") or {}
    status = str(table.meta.get("status", "COMPLETE"))
    if not len(table):
        return MeasuredCatalog(status)
    flux, error = (np.array(table[f"aper_total_{name}"], float) for name in ("flux", "flux_err"))
    with np.errstate(divide="ignore", invalid="ignore"):
        signal = median(flux / error)
    radii, corrections = used.get("aperture_radii") or [0.0], used.get("aperture_corrections") or [0.0]
    place = min(1, len(radii) - 1)
    inner, outer = (used.get(f"bkg_aperture_{side}_radius") for side in ("inner", "outer"))
    extended = np.array(table["is_extended"], bool)
    return MeasuredCatalog(
        status=status,
        sources=len(table),
        extended=int(extended.sum()),
        magnitude=np.array(table["aper_total_abmag"], float),
        concentration=np.array(table[concentration], float),
        is_extended=extended,
        signal=signal,
        radius=float(radii[place]),
        correction=float(corrections[place]),
        annulus=(float(inner), float(outer)) if inner and outer else None,
        names=("aper_total_abmag", concentration),
        versions=table.meta.get("version") or {},
    )
