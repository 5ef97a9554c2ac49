"""The source catalogue of a combined image: detection, photometry, shapes.

Source of the definitions: the JWST calibration pipeline's source_catalog step (jwst 3.0.0), whose columns and numbers
these are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calflow.science.bands import Computed, Plane, Scaled
from calflow.science.geometry.grid_parameters import GridLayout
from calflow.science.geometry.tangent_plane import to_plane
from calflow.science.sources.aperture_photometry import Apertures, ab_magnitude, net_flux
from calflow.science.sources.segments import Segments
from calflow.science.sources.source_detection import CatalogParameters, find_sources, none_found
from calflow.science.sources.surroundings import Surroundings, measure_surroundings
from calflow.science.stars.star_finding import DEFAULT_KRON_PARAMS

if TYPE_CHECKING:
    from astropy.table import QTable

JANSKY_PER_MEGAJANSKY = 1e6
POSITION, FLUX, NUMBER = ".4f", ".6e", ".6f"
# Degrees of right ascension across two pixels. Where they are more, within a thousand pixels of a pole, differences of
# right ascension do not tell where east is.
BESIDE_POLE = 0.1
CORNERS = {"ll": "Lower-left", "ul": "Upper-left", "lr": "Lower-right", "ur": "Upper-right"}


@dataclass(frozen=True, eq=False)
class SourceCatalog:
    """The catalogue, and which pixels belong to its sources.

    Attributes
    ----------
    table : astropy.table.QTable
        One row per source. Positions in pixels count from 0, magnitudes and their errors are NaN
        for fluxes that are not positive. Sky positions are SkyCoord, ICRS.
    segments : Segments, shape (ny, nx), or None
        Label of the source of each pixel, 0 for none. None with another star finder than
        "segmentation", which has no pixels of sources.
    """

    table: QTable
    segments: Segments | None


def source_catalog(
    sci: Plane,
    err: Plane | None,
    wht: Plane,
    *,
    pixel_area_sr: float,
    to_sky: Callable[[np.ndarray], np.ndarray],
    reference_pixel: tuple[float, float],
    apertures: Apertures,
    abvega_offset: float,
    pixel_scale_ratio: float = GridLayout.pixel_scale_ratio,
    parameters: CatalogParameters | None = None,
) -> SourceCatalog:
    """Find the sources of a combined image and measure them.

    Parameters
    ----------
    sci : float array or Plane, shape (ny, nx)
        The image, MJy/sr. NaN: no value; such a pixel makes the aperture fluxes around it NaN.
    err : float array or Plane, shape (ny, nx), or None
        Its 1-sigma error, MJy/sr. A pixel with NaN belongs to no source. Without it the errors
        in the catalogue are NaN, and only weights tell which pixels belong to no source.
    wht : float array or Plane, shape (ny, nx)
        Its weight. A pixel with 0 belongs to no source.
    pixel_area_sr : float
        Area of a pixel, steradian.
    to_sky : callable
        From pixels (x, y from 0) to right ascension and declination in degrees, shape (..., 2) both.
    reference_pixel : (x, y)
        Pixel (from 0) whose directions to the north and the east are taken for all sources, as jwst does. They turn
        by sin(Dec) degrees per degree of right ascension, which is much beside a pole.
    apertures : Apertures
        In pixels of the detector.
    abvega_offset : float
        AB magnitude minus Vega magnitude.
    pixel_scale_ratio : float
        Size of the image's pixels in those of the detector.
    parameters : CatalogParameters or None
        None: the defaults.

    Returns
    -------
    SourceCatalog
        Without any source, a table with all columns and no rows.

    Raises
    ------
    ValueError
        If the planes differ in shape, or a parameter is out of its range.
    """
    parameters = parameters or CatalogParameters()
    if not sci.shape == wht.shape == (sci if err is None else err).shape or len(sci.shape) != 2:
        shapes = ", ".join("none" if plane is None else str(plane.shape) for plane in (sci, err, wht))
        raise ValueError(f"sci, err and wht must have one shape (ny, nx), not {shapes}")
    jansky = JANSKY_PER_MEGAJANSKY * float(pixel_area_sr)
    data, error = Scaled(sci, jansky), None if err is None else Scaled(err, jansky)
    if parameters.peakmax is not None:
        parameters = replace(parameters, peakmax=parameters.peakmax * jansky)
    sources, segments = find_sources(data, error, not_observed(wht, err), parameters)

    apertures = apertures.scaled(pixel_scale_ratio)
    columns = _Columns(to_sky)
    bearing = _bearing(to_sky, reference_pixel)
    around = measure_surroundings(data, error, sources.x, sources.y, apertures, parameters.kernel_fwhm)
    _add_all(columns, sci.shape, around, sources, apertures, abvega_offset, bearing, parameters)
    return SourceCatalog(columns.table(_meta(apertures, abvega_offset, parameters)), segments)


def not_observed(wht: Plane, err: Plane | None) -> Plane:
    """Return which pixels belong to no source, bool: those without weight, or without error.

    Parameters
    ----------
    wht : float array or Plane, shape (ny, nx)
        Weight.
    err : float array or Plane, shape (ny, nx), or None
        1-sigma error.
    """

    def unused(rows):
        without = wht[rows] == 0
        return without if err is None else without | np.isnan(err[rows])

    return Computed(wht.shape, unused)


def no_sources(parameters: CatalogParameters) -> SourceCatalog:
    """Return the catalogue of an image that is not measured: all columns, no rows, no metadata, no segments.

    Parameters
    ----------
    parameters : CatalogParameters
        The encircled energies in the names of the columns.
    """
    unused = Apertures(parameters.aperture_ee, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), 1.0, 2.0)
    columns, sources = _Columns(None), none_found()
    around = measure_surroundings(np.zeros((1, 1)), None, sources.x, sources.y, unused, parameters.kernel_fwhm)
    _add_all(columns, (1, 1), around, sources, unused, 0.0, Bearing(0.0, 1), parameters)
    return SourceCatalog(columns.table({}), None)


@dataclass(frozen=True)
class Bearing:
    """How north and east lie in an image.

    Attributes
    ----------
    north : float
        Angle from the x axis counter-clockwise to the north, degrees.
    turn : {1, -1}
        1 if east is a quarter turn counter-clockwise from north, as on the sky seen from inside; -1 if it is clockwise.
    """

    north: float
    turn: int

    def position_angle(self, orientation: np.ndarray) -> np.ndarray:
        """Return the position angles, degrees from north to east, of axes at angles from x counter-clockwise.

        An axis has no direction: of its two angles this is the one that jwst gives, in 0..360.

        Parameters
        ----------
        orientation : float array, shape (n,)
            Angles in pixels, degrees.
        """
        return np.mod(180.0 - self.turn * self.north + self.turn * orientation, 360.0)


class _Columns:
    """The columns of a table, in order."""

    def __init__(self, to_sky):
        self.to_sky = to_sky
        self.content = {}
        self.info = {}

    def add(self, name, values, description, unit="", form="", dtype=np.float64):
        """Add one value per source; with a unit it becomes a Quantity."""
        from astropy.units import Quantity

        values = np.asarray(values, dtype)
        self.content[name] = Quantity(values, unit) if unit else values
        self.info[name] = {"description": description} | ({"format": form} if form else {})

    def add_sky(self, name, x, y, description):
        """Add the sky positions of pixels."""
        from astropy.coordinates import SkyCoord

        # A WCS may refuse an empty list.
        ra, dec = self.to_sky(np.stack([x, y], axis=-1)).T if len(x) else np.empty((2, 0))
        self.content[name] = SkyCoord(ra, dec, unit="deg", frame="icrs")
        self.info[name] = {"description": description}

    def table(self, meta):
        """Return the table."""
        from astropy.table import QTable

        table = QTable(self.content, meta=meta)
        for name, info in self.info.items():
            for attribute, value in info.items():
                setattr(table[name].info, attribute, value)
        return table


def _add_all(columns, shape, around, sources, apertures, offset, bearing, parameters):
    _add_positions(columns, sources)
    _add_photometry(columns, shape, around, sources, apertures, offset, parameters)
    _add_point_source_measures(columns, around, sources)
    _add_isophotal(columns, sources, offset)
    _add_shapes(columns, sources, bearing)


def _add_positions(columns, sources):
    columns.add("label", sources.label, "Label of the source", dtype=np.int32)
    columns.add("xcentroid", sources.x, "X pixel of the centroid, from 0", form=POSITION)
    columns.add("ycentroid", sources.y, "Y pixel of the centroid, from 0", form=POSITION)
    columns.add_sky("sky_centroid", sources.x, sources.y, "Centroid, ICRS")


def _add_photometry(columns, shape, around: Surroundings, sources, apertures, offset, parameters):
    """Add the fluxes, then the magnitudes, then the concentration that follows from the fluxes."""
    background = around.background
    annulus = "local background per pixel, the clipped median in the annulus"
    columns.add("aper_bkg_flux", background, f"The {annulus}", "Jy", FLUX)
    columns.add("aper_bkg_flux_err", around.background_error, f"Error of the {annulus}", "Jy", FLUX)
    names = [f"aper{ee}" for ee in apertures.ee]
    where = {name: f"within {ee}% encircled energy" for name, ee in zip(names, apertures.ee, strict=True)}
    fluxes = {}
    measured = zip(names, apertures.radii, around.flux, around.flux_error, strict=True)
    for name, radius, flux, flux_error in measured:
        fluxes[name] = net_flux(flux, background, shape, sources.x, sources.y, radius), flux_error
    fluxes["aper_total"] = tuple(values * apertures.corrections[-1] for values in fluxes[names[-1]])
    where["aper_total"] = f"in all, of a point source, from that {where[names[-1]]}"
    for name, (flux, flux_error) in fluxes.items():
        columns.add(f"{name}_flux", flux, f"Flux {where[name]}", "Jy", FLUX)
        columns.add(f"{name}_flux_err", flux_error, f"Error of the flux {where[name]}", "Jy", FLUX)
    _add_magnitudes(columns, fluxes, where, offset)
    _add_concentration(columns, [fluxes[name][0] for name in names], apertures.ee, parameters)


def _add_magnitudes(columns, fluxes, where, offset):
    for system, zero in (("AB", 0.0), ("Vega", offset)):
        for name, (flux, flux_error) in fluxes.items():
            magnitude, magnitude_error = ab_magnitude(flux, flux_error)
            column, description = f"{name}_{system.lower()}mag", f"{system} magnitude {where[name]}"
            columns.add(column, magnitude - zero, description, form=NUMBER)
            columns.add(f"{column}_err", magnitude_error, f"Error of the {description}", form=NUMBER)


def _add_concentration(columns, fluxes, ee, parameters):
    index = {}
    for large, small in ((1, 0), (2, 1), (2, 0)):
        with np.errstate(divide="ignore", invalid="ignore"):
            index[large, small] = fluxes[large] / fluxes[small]
        description = f"Concentration index: flux within {ee[large]}% over that within {ee[small]}% encircled energy"
        columns.add(f"CI_{ee[large]}_{ee[small]}", index[large, small], description, form=POSITION)
    extended = (index[1, 0] > parameters.ci1_star_threshold) & (index[2, 1] > parameters.ci2_star_threshold)
    columns.add("is_extended", extended, "Whether the source is extended", dtype=bool)


def _add_point_source_measures(columns, around, sources):
    columns.add("sharpness", around.sharpness, "Sharpness of DAOFIND", form=NUMBER)
    columns.add("roundness", around.roundness, "Roundness of DAOFIND, from symmetry", form=NUMBER)
    neighbour, distance = _nearest_neighbours(sources)
    columns.add("nn_label", neighbour, "Label of the nearest neighbour, -1 if there is none", dtype=np.int32)
    columns.add("nn_dist", distance, "Distance to the nearest neighbour", "pix", NUMBER)


def _nearest_neighbours(sources):
    from scipy.spatial import KDTree

    label, distance = np.full(len(sources), -1), np.full(len(sources), np.nan)
    positions = np.column_stack([sources.x, sources.y])
    finite = np.flatnonzero(np.isfinite(positions).all(axis=1))
    if len(finite) > 1:
        distances, indices = KDTree(positions[finite]).query(positions[finite], k=2)
        label[finite] = sources.label[finite[indices[:, 1]]]
        distance[finite] = distances[:, 1]
    return label, distance


def _add_isophotal(columns, sources, offset):
    columns.add("isophotal_flux", sources.flux, "Isophotal flux", "Jy", FLUX)
    columns.add("isophotal_flux_err", sources.flux_error, "Error of the isophotal flux", "Jy", FLUX)
    fluxes = {"isophotal": (sources.flux, sources.flux_error)}
    _add_magnitudes(columns, fluxes, {"isophotal": "within the isophote"}, offset)
    columns.add("isophotal_area", sources.area, "Isophotal area", "pix2")


def _add_shapes(columns, sources, bearing):
    axis = "Standard deviation along the {} axis of the Gaussian with the source's second moments"
    columns.add("semimajor_sigma", sources.semimajor, axis.format("major"), "pix", NUMBER)
    columns.add("semiminor_sigma", sources.semiminor, axis.format("minor"), "pix", NUMBER)
    columns.add("ellipticity", sources.ellipticity, "1 minus the ratio of minor to major axis", form=NUMBER)
    description = "Angle of the major axis from the X axis, counter-clockwise"
    columns.add("orientation", sources.orientation, description, "deg", NUMBER)
    description = "Position angle of the major axis, from north to east"
    columns.add("sky_orientation", bearing.position_angle(sources.orientation), description, "deg", NUMBER)
    left, right, lower, upper = sources.box.T
    for corner, x, y in (("ll", left, lower), ("ul", left, upper), ("lr", right, lower), ("ur", right, upper)):
        columns.add_sky(f"sky_bbox_{corner}", x, y, f"{CORNERS[corner]} corner of the bounding box, ICRS")


def _bearing(to_sky, pixel) -> Bearing:
    """Return how north and east lie at a pixel."""
    steps = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    centre, *around = to_sky(np.asarray(pixel) + steps)
    east, north = np.array([around[0] - around[1], around[2] - around[3]]).T
    east = np.mod(east + 180.0, 360.0) - 180.0
    if np.abs(east).max() < BESIDE_POLE:
        east *= np.cos(np.radians(centre[1]))
    else:
        plane = to_plane(np.array(around), (float(centre[0]), float(centre[1])))
        east, north = np.array([plane[0] - plane[1], plane[2] - plane[3]]).T
    x, y = np.linalg.solve([east, north], [0.0, 1.0])
    # The product of both axes tells on which side of north, seen in the image, the east is.
    return Bearing(float(np.degrees(np.arctan2(y, x))), -1 if east[0] * north[1] > east[1] * north[0] else 1)


def _meta(apertures, offset, parameters) -> dict[str, Any]:
    """Return what the catalogue was made with, as plain numbers and lists."""
    meta: dict[str, Any] = {}
    if parameters.starfinder == "segmentation":
        meta["local_bkg_width"] = parameters.localbkg_width
        meta["aperture_mask_method"] = parameters.apermask_method
        meta["kron_params"] = [float(value) for value in parameters.kron_params or DEFAULT_KRON_PARAMS]
    meta["aperture_params"] = {
        "aperture_ee": [int(value) for value in apertures.ee],
        "aperture_radii": [float(value) for value in apertures.radii],
        "aperture_corrections": [float(value) for value in apertures.corrections],
        "bkg_aperture_inner_radius": float(apertures.sky_inner),
        "bkg_aperture_outer_radius": float(apertures.sky_outer),
    }
    meta["abvega_offset"] = float(offset)
    return meta
