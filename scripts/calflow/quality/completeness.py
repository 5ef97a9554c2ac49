"""How complete the catalogue of an association is, by artificial sources that are put into its image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calflow.files.combined_image import CombinedImage, ExposureCounts, read_combined
from calflow.quality.numbers import plain
from calflow.science.bands import Plane, whole
from calflow.science.quality.completeness import Recovered, SearchedImage, magnitudes_about_limit, recover
from calflow.science.quality.completeness_curve import Bins, Curve, fitted_curve, in_bins
from calflow.science.quality.completeness_parameters import Injection
from calflow.science.quality.photon_noise import photons_like_sky
from calflow.science.quality.source_stamps import (
    Stars,
    full_width,
    galaxy,
    moffat_of_apertures,
    reach_of_galaxy,
    stacked_stars,
)
from calflow.science.sky.background_map import NoBackground, measure_background
from calflow.science.sources.aperture_photometry import AB_ZERO_POINT, Apertures
from calflow.science.sources.catalog_parameters import CatalogParameters
from calflow.science.sources.source_catalog import JANSKY_PER_MEGAJANSKY, not_observed

POINTS = "point sources"
# Planes of smaller images are read once, and not in each round.
IN_MEMORY = 2**22
# Regions of exposure count are told apart if each has as many sources.
LEAST_OF_REGION, MOST_REGIONS = 200, 4
# Points of a curve in the file.
CURVE_POINTS = 61
CALIBRATED = "MJy/sr"
COMPLETE, FAILED = "COMPLETE", "FAILED"


def measure_completeness(
    i2d: Path, catalog: Path, parameters: CatalogParameters, settings: Injection
) -> dict[str, Any]:
    """Return how complete a catalogue is, as JSON can hold it.

    Parameters
    ----------
    i2d, catalog : Path
        The combined image, and the catalogue of it.
    parameters : CatalogParameters
        How that was made.
    settings : Injection

    Returns
    -------
    dict
        ``status`` is FAILED, with a ``reason``, if the catalogue was not made, or the image has no magnitudes or no
        background.
    """
    read = _read_catalog(catalog)
    if read is None:
        return _failed("the catalogue was not made")
    image = read_combined(i2d)
    if image.keyword("BUNIT") != CALIBRATED:
        return _failed(
            f"the image is in {image.keyword('BUNIT', 'no unit')}, not in {CALIBRATED}: it has no magnitudes"
        )
    try:
        searched = _searched(i2d, image, read, parameters)
    except NoBackground:
        return _failed("the image has no pixel to measure a background from")
    stack = stacked_stars(searched.sci, read.stars_in(_unit(image)), searched.apertures)
    point, number = stack or (moffat_of_apertures(searched.apertures), 0)
    side = float(image.keyword("PIXAR_A2", np.nan)) ** 0.5
    kinds = [(POINTS, 0.0), *((f"galaxies of {radius:g} arcsec", radius) for radius in settings.half_light_radii)]
    return plain(
        {
            "status": COMPLETE,
            "reason": "",
            "point_source": {
                "stars": number,
                "fwhm_pixels": full_width(point),
                "fwhm_arcsec": full_width(point) * side,
            },
            "photon_noise": math.isfinite(searched.photons),
            "seed": settings.seed,
            "kinds": [
                {"name": name, "half_light_radius_arcsec": radius}
                | _of_kind(searched, point, radius and radius / side, settings, n)
                for n, (name, radius) in enumerate(kinds)
            ],
        }
    )


def _failed(reason: str) -> dict[str, Any]:
    return {"status": FAILED, "reason": reason}


@dataclass(frozen=True, eq=False)
class _Catalog:
    """What is read of a catalogue, in Jy and pixels."""

    columns: Mapping[str, np.ndarray]
    concentration: np.ndarray
    apertures: Apertures

    def stars_in(self, unit: float) -> Stars:
        """Return its sources, with fluxes in a unit of so many Jy."""
        get, flux = self.columns.__getitem__, self.columns["aper_total_flux"]
        with np.errstate(divide="ignore", invalid="ignore"):
            signal = flux / get("aper_total_flux_err")
        background = get("aper_bkg_flux") / unit
        at = get("xcentroid"), get("ycentroid")
        return Stars(*at, flux / unit, background, self.concentration, signal, get("is_extended").astype(bool))


def _read_catalog(path: Path) -> _Catalog | None:
    from astropy.table import Table

    table = Table.read(path, format="ascii.ecsv")
    used = table.meta.get("aperture_params")
    if table.meta.get("status") == FAILED or not used:
        return None
    wanted = ("xcentroid", "ycentroid", "aper_total_flux", "aper_total_flux_err", "aper_bkg_flux", "isophotal_flux")
    columns = {name: np.array(table[name], float) for name in (*wanted, "is_extended")}
    concentration = next(name for name in table.colnames if name.startswith("CI_"))
    apertures = Apertures(
        ee=tuple(used["aperture_ee"]),
        radii=tuple(used["aperture_radii"]),
        corrections=tuple(used["aperture_corrections"]),
        sky_inner=used["bkg_aperture_inner_radius"],
        sky_outer=used["bkg_aperture_outer_radius"],
    )
    return _Catalog(columns, np.array(table[concentration], float), apertures)


def _unit(image: CombinedImage) -> float:
    """Return how many Jy there are in a pixel of brightness 1."""
    return JANSKY_PER_MEGAJANSKY * float(image.keyword("PIXAR_SR"))


def _searched(path: Path, image: CombinedImage, read: _Catalog, parameters: CatalogParameters) -> SearchedImage:
    unit = _unit(image)
    sci, err, wht = _at_hand(image.sci), image.err and _at_hand(image.err), _at_hand(image.wht)
    background = measure_background(sci, None, parameters.bkg_boxsize, coverage_mask=not_observed(wht, err))
    positions = np.column_stack([read.columns["xcentroid"], read.columns["ycentroid"]])
    limited = parameters.starfinder != "segmentation" and parameters.brightest == len(positions)
    return SearchedImage(
        sci=sci,
        err=err,
        wht=wht,
        exposures=ExposureCounts.of(path),
        background=background,
        sources=positions[np.isfinite(positions).all(axis=1)],
        parameters=parameters,
        apertures=read.apertures,
        least_flux=float(np.nanmin(read.columns["isophotal_flux"])) / unit if limited else -math.inf,
        zero_point=AB_ZERO_POINT - 2.5 * math.log10(unit),
        photons=math.inf if err is None else photons_like_sky(sci, err, wht, background),
    )


def _at_hand(plane: Plane) -> Plane:
    return whole(plane) if math.prod(plane.shape) <= IN_MEMORY else plane


def _of_kind(image: SearchedImage, point: np.ndarray, size: float, settings: Injection, kind: int) -> dict[str, Any]:
    """Return what became of sources with a half-light radius, pixels; galaxies as large as the image are not tried."""
    none = {"injected": 0, "found": 0, **_limits(None), "bins": None, "curve": None, "by_exposures": []}
    if 2 * reach_of_galaxy(size) > min(image.sci.shape):
        return none
    given, stamp = settings.magnitudes, galaxy(point, size) if size else point
    magnitudes = magnitudes_about_limit(image, stamp) if given is None else (given[0], given[1])
    recovered = recover(image, stamp, size, magnitudes, settings, kind)
    if not len(recovered.found):
        return none
    curve = fitted_curve(recovered.magnitude, recovered.found)
    at = np.linspace(*(curve.range if curve else magnitudes), CURVE_POINTS)
    bins = in_bins(recovered.magnitude, recovered.found, recovered.measured, settings.step)
    return {
        "injected": len(recovered.found),
        "found": int(recovered.found.sum()),
        **_limits(curve),
        "bins": _bins(bins),
        "curve": curve and {"magnitude": at, "fraction": curve.at(at)},
        "by_exposures": [_region(recovered, *ends) for ends in regions(recovered.exposures)],
    }


def _limits(curve: Curve | None) -> dict[str, Any]:
    limits = {part: curve.limit(part / 100) if curve else None for part in (50, 80)}
    return {
        **{f"limit_{part}_abmag": limit and limit[0] for part, limit in limits.items()},
        **{f"limit_{part}_error": limit and limit[1] for part, limit in limits.items()},
        "plateau": curve and curve.plateau,
    }


def _bins(bins: Bins) -> dict[str, Any]:
    return {
        "edges": bins.edges,
        "injected": bins.injected,
        "found": bins.found,
        "fraction": bins.part,
        "fraction_low": bins.low,
        "fraction_high": bins.high,
        "magnitude_bias": bins.bias,
        "magnitude_scatter": bins.scatter,
    }


def _region(recovered: Recovered, least: int, most: int) -> dict[str, Any]:
    """Return the limits of the sources in the part of the image with so many exposures."""
    those = (recovered.exposures >= least) & (recovered.exposures <= most)
    curve = fitted_curve(recovered.magnitude[those], recovered.found[those])
    return {"exposures": [least, most], "injected": int(those.sum()), **_limits(curve)}


def regions(exposures: np.ndarray) -> Sequence[tuple[int, int]]:
    """Return ranges of exposure counts, (least, most), each with enough sources; none if there is only one.

    Parameters
    ----------
    exposures : int array, shape (n,)
        At each source; 0: not known.
    """
    counts, numbers = np.unique(exposures[exposures > 0], return_counts=True)
    least = max(LEAST_OF_REGION, numbers.sum() / MOST_REGIONS * 0.5) if len(counts) else 0
    found: list[tuple[int, int]] = []
    first, number = 0, 0
    for place, (count, more) in enumerate(zip(counts, numbers, strict=True)):
        number += more
        if number >= least:
            found.append((int(counts[first]), int(count)))
            first, number = place + 1, 0
    if first < len(counts) and found:  # what is left over is too little for itself
        found[-1] = found[-1][0], int(counts[-1])
    return found if len(found) > 1 else []
