"""The source catalogue: columns, units, and stars whose fluxes are known."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import erf

from calflow.science.bands import whole
from calflow.science.geometry.tan_projection import TanProjection
from calflow.science.sources.aperture_photometry import Apertures
from calflow.science.sources.source_catalog import no_sources, source_catalog
from calflow.science.sources.source_detection import CatalogParameters

SCALE = 0.06  # arcsec
PIXEL_AREA = (SCALE / 206264.806247) ** 2
SIGMA = 1.6
# Encircled energies of a Gaussian: 1 - exp(-r^2 / 2 sigma^2).
EE = 30, 50, 70
APERTURES = Apertures(
    EE, tuple(SIGMA * np.sqrt(-2 * np.log(1 - ee / 100)) for ee in EE), tuple(100 / ee for ee in EE), 12.0, 16.0
)
OFFSET = 1.7
STARS = [(30.0, 25.0, 1e-6), (95.3, 40.2, 4e-7), (60.6, 90.7, 2e-7)]  # x, y, Jy
SKY_LEVEL = 0.5  # MJy/sr
NOISE = 2e-3
NAMES = ["aper30", "aper50", "aper70", "aper_total"]
COLUMNS = [
    *"label xcentroid ycentroid sky_centroid aper_bkg_flux aper_bkg_flux_err".split(),
    *(f"{name}_{quantity}" for name in NAMES for quantity in ("flux", "flux_err")),
    *(f"{name}_{system}mag{end}" for system in ("ab", "vega") for name in NAMES for end in ("", "_err")),
    *"CI_50_30 CI_70_50 CI_70_30 is_extended sharpness roundness nn_label nn_dist".split(),
    *"isophotal_flux isophotal_flux_err isophotal_abmag isophotal_abmag_err".split(),
    *"isophotal_vegamag isophotal_vegamag_err isophotal_area semimajor_sigma semiminor_sigma ellipticity".split(),
    *"orientation sky_orientation sky_bbox_ll sky_bbox_ul sky_bbox_lr sky_bbox_ur".split(),
]


def projection(angle=0.0):
    """Return a projection with its y axis at a position angle, east to the left."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return TanProjection((59.5, 59.5), (359.9995, -20.0), SCALE / 3600, ((-c, s), (s, c)))


def psf(x, y, shape, sigma_x=SIGMA, sigma_y=SIGMA):
    """Return a Gaussian of flux 1, integrated over the pixels."""

    def along(n, centre, sigma):
        edges = (np.arange(n + 1) - 0.5 - centre) / sigma / np.sqrt(2)
        return np.diff(erf(edges)) / 2

    return np.outer(along(shape[0], y, sigma_y), along(shape[1], x, sigma_x))


def scene(stars=STARS, shape=(120, 120), **widths):
    """Return SCI, ERR (MJy/sr) and WHT."""
    image = np.random.default_rng(11).normal(SKY_LEVEL, NOISE, shape)
    for x, y, flux in stars:
        image += psf(x, y, shape, **widths) * flux / 1e6 / PIXEL_AREA
    return image.astype(np.float32), np.full(shape, NOISE, np.float32), np.ones(shape, np.float32)


def catalog(sci, err, wht, sky=None, pixel_scale_ratio=1.0, apertures=APERTURES, **parameters):
    sky = sky or projection()
    return source_catalog(
        sci,
        err,
        wht,
        pixel_area_sr=PIXEL_AREA,
        to_sky=sky.to_sky,
        reference_pixel=sky.crpix,
        apertures=apertures,
        abvega_offset=OFFSET,
        pixel_scale_ratio=pixel_scale_ratio,
        parameters=CatalogParameters(**{"deblend": False, "snr_threshold": 10.0} | parameters),
    )


@pytest.fixture(scope="module")
def stars():
    return catalog(*scene())


def test_columns_and_units(stars):
    table = stars.table
    assert table.colnames == COLUMNS
    units = {name: str(table[name].unit) for name in COLUMNS if getattr(table[name], "unit", None) is not None}
    flux = {name for name in COLUMNS if name.endswith(("flux", "flux_err"))}
    assert {name for name, unit in units.items() if unit == "Jy"} == flux
    assert {name for name, unit in units.items() if unit == "pix"} == {"nn_dist", "semimajor_sigma", "semiminor_sigma"}
    assert {name for name, unit in units.items() if unit == "deg"} == {"orientation", "sky_orientation"}
    assert units["isophotal_area"] == "pix2"
    formats = {name: table[name].info.format for name in COLUMNS}
    assert (formats["xcentroid"], formats["aper30_flux"], formats["aper30_abmag"]) == (".4f", ".6e", ".6f")
    assert all(table[name].info.description for name in COLUMNS)


def test_positions(stars):
    np.testing.assert_allclose(stars.table["xcentroid"], [30, 95.3, 60.6], atol=0.1)
    np.testing.assert_allclose(stars.table["ycentroid"], [25, 40.2, 90.7], atol=0.1)
    pixels = np.stack([stars.table["xcentroid"], stars.table["ycentroid"]], axis=-1)
    sky = projection().to_sky(pixels)
    np.testing.assert_allclose(stars.table["sky_centroid"].ra.deg, np.mod(sky[:, 0], 360))
    np.testing.assert_allclose(stars.table["sky_centroid"].dec.deg, sky[:, 1])
    for x, y, label in zip(*np.rint(pixels).astype(int).T, stars.table["label"], strict=True):
        assert whole(stars.segments)[y, x] == label


def test_aperture_fluxes_are_the_encircled_energies(stars):
    fluxes = np.array([flux for _, _, flux in STARS])
    # Light is spread over its pixel, and that over the part of it in the aperture: sigma^2 + 2/12.
    for ee, radius in zip(EE, APERTURES.radii, strict=True):
        energy = 1 - np.exp(-(radius**2) / 2 / (SIGMA**2 + 2 / 12))
        np.testing.assert_allclose(stars.table[f"aper{ee}_flux"].value, fluxes * energy, rtol=0.02)
    total = stars.table["aper_total_flux"].value
    np.testing.assert_allclose(total, stars.table["aper70_flux"].value / 0.7)
    np.testing.assert_allclose(total, fluxes, rtol=0.05)
    error = NOISE * 1e6 * PIXEL_AREA * np.sqrt(np.pi) * APERTURES.radii[2]
    np.testing.assert_allclose(stars.table["aper70_flux_err"].value, error, rtol=1e-5)


def test_local_background(stars):
    np.testing.assert_allclose(stars.table["aper_bkg_flux"].value, SKY_LEVEL * 1e6 * PIXEL_AREA, rtol=0.001)


def test_background_is_subtracted_where_there_is_an_image():
    """A star at the edge: its part in the widest aperture that lies on the image, and no negative sky."""
    sci, err, wht = scene([(1.0, 60.0, 1e-6), (95.3, 40.2, 4e-7)])
    table = catalog(sci + np.float32(5), err, wht).table
    row = table[np.argmin(table["xcentroid"])]
    y, x = np.indices(sci.shape)
    inside = np.hypot(x - row["xcentroid"], y - row["ycentroid"]) < APERTURES.radii[2]
    assert row["xcentroid"] < 2
    assert row["aper70_flux"].value == pytest.approx(1e-6 * psf(1.0, 60.0, sci.shape)[inside].sum(), rel=0.1)


def test_magnitudes(stars):
    table = stars.table
    abmag = -2.5 * np.log10(table["aper_total_flux"].value) + 8.9
    np.testing.assert_allclose(table["aper_total_abmag"], abmag)
    for name in (*NAMES, "isophotal"):
        np.testing.assert_allclose(table[f"{name}_vegamag"], table[f"{name}_abmag"] - OFFSET)
        np.testing.assert_array_equal(table[f"{name}_vegamag_err"], table[f"{name}_abmag_err"])


def test_concentration(stars):
    table = stars.table
    np.testing.assert_allclose(table["CI_50_30"], table["aper50_flux"] / table["aper30_flux"])
    np.testing.assert_allclose(table["CI_70_50"], table["aper70_flux"] / table["aper50_flux"])
    np.testing.assert_allclose(table["CI_70_30"], table["aper70_flux"] / table["aper30_flux"])
    assert not table["is_extended"].any()


def test_extended_sources_exceed_both_thresholds():
    wide = catalog(*scene([(60, 60, 1e-5)], sigma_x=8.0, sigma_y=8.0)).table
    assert wide["CI_50_30"][0] == pytest.approx(np.log(0.5) / np.log(0.7), abs=0.05)  # areas, for a flat source
    both = {"ci1_star_threshold": 1.5, "ci2_star_threshold": 1.4}
    for change, extended in (({}, True), ({"ci1_star_threshold": 3.0}, False), ({"ci2_star_threshold": 3.0}, False)):
        table = catalog(*scene([(60, 60, 1e-5)], sigma_x=8.0, sigma_y=8.0), **both | change).table
        assert table["is_extended"].tolist() == [extended]


def test_nearest_neighbours(stars):
    x, y = np.asarray(stars.table["xcentroid"]), np.asarray(stars.table["ycentroid"])
    distance = np.hypot(x[:, None] - x, y[:, None] - y) + np.diag([np.inf] * 3)
    np.testing.assert_array_equal(stars.table["nn_label"], distance.argmin(axis=1) + 1)
    np.testing.assert_allclose(stars.table["nn_dist"].value, distance.min(axis=1))


def test_one_source_has_no_neighbour():
    table = catalog(*scene(STARS[:1])).table
    assert table["nn_label"].tolist() == [-1]
    assert np.isnan(table["nn_dist"].value).all()


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 200.0, 359.0])
def test_position_angle_on_the_sky(angle):
    # The major axis is the y axis, whose position angle is given; the axis has no direction.
    table = catalog(*scene([(60, 60, 2e-6)], sigma_x=2.0, sigma_y=4.0), sky=projection(angle)).table
    assert table["orientation"].value[0] == pytest.approx(90, abs=1)
    turned = (table["sky_orientation"].value[0] - angle + 90) % 180 - 90
    assert turned == pytest.approx(table["orientation"].value[0] - 90, abs=1e-5)


def ellipse(sky, position_angle):
    """Return an image of one source in the middle, with its major axis at a position angle."""
    # By astropy alone: where the axis' end on the sky lies in the image.
    wcs = WCS(fits.Header(sky.keywords()))
    middle = SkyCoord(*sky.crval, unit="deg")
    end = middle.directional_offset_by(position_angle * units.deg, 1 * units.arcsec)
    direction = wcs.wcs_world2pix([[end.ra.deg, end.dec.deg]], 0)[0] - np.array(sky.crpix)
    along = direction / np.hypot(*direction)
    y, x = np.indices((60, 60)) - 29.5
    image = (
        100 * NOISE * np.exp(-(((x * along[0] + y * along[1]) / 5) ** 2 + ((x * along[1] - y * along[0]) / 2) ** 2) / 2)
    )
    image += np.random.default_rng(3).normal(0, NOISE, image.shape)
    return image, np.full(image.shape, NOISE), np.ones(image.shape)


@settings(max_examples=25, deadline=None)
@given(
    parity=st.sampled_from([-1, 1]),
    rotation=st.floats(0, 360),
    ra=st.sampled_from([0.0, 1e-5, 359.99999, 180.0]) | st.floats(0, 359.9),
    dec=st.sampled_from([90.0, -90.0, 89.9999, -89.99999, 0.0]) | st.floats(-90, 90),
    position_angle=st.floats(0, 180),
)
@example(parity=1, rotation=0.0, ra=80.0, dec=-70.0, position_angle=60.0)
def test_position_angle_on_both_parities_and_everywhere(parity, rotation, ra, dec, position_angle):
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    sky = TanProjection((29.5, 29.5), (ra, dec), SCALE / 3600, ((parity * c, s), (-parity * s, c)))
    table = catalog(*ellipse(sky, position_angle), sky=sky).table
    assert len(table) == 1
    assert (table["sky_orientation"].value[0] - position_angle + 90) % 180 - 90 == pytest.approx(0, abs=1.5)
    assert table["semimajor_sigma"].value[0] > 1.5 * table["semiminor_sigma"].value[0]


def test_bounding_boxes_enclose_the_sources(stars):
    low, high = stars.table["sky_bbox_ll"], stars.table["sky_bbox_ur"]
    sky = stars.table["sky_centroid"]
    assert (low.dec < sky.dec).all()
    assert (sky.dec < high.dec).all()
    assert (low.separation(high).arcsec < 50 * SCALE).all()
    np.testing.assert_allclose(stars.table["sky_bbox_ul"].dec.deg, high.dec.deg, atol=1e-8)
    np.testing.assert_allclose(stars.table["sky_bbox_lr"].dec.deg, low.dec.deg, atol=1e-8)


def test_apertures_are_in_pixels_of_the_detector(stars):
    table = catalog(*scene(), pixel_scale_ratio=0.5, apertures=APERTURES.scaled(2.0)).table
    for ee in EE:
        np.testing.assert_allclose(table[f"aper{ee}_flux"].value, stars.table[f"aper{ee}_flux"].value)
    assert table.meta["aperture_params"] == stars.table.meta["aperture_params"]


def test_metadata_is_plain(stars):
    meta = stars.table.meta
    assert meta["aperture_params"]["aperture_ee"] == [30, 50, 70]
    assert meta["aperture_params"]["bkg_aperture_outer_radius"] == 16.0
    assert meta["abvega_offset"] == OFFSET
    assert meta["kron_params"] == [2.5, 1.4, 0.0]
    assert type(meta["aperture_params"]["aperture_radii"][0]) is float


def test_no_error_plane(stars):
    sci, _, wht = scene()
    table = catalog(sci, None, wht).table
    assert table.colnames == COLUMNS
    np.testing.assert_array_equal(table["aper_total_flux"], stars.table["aper_total_flux"])
    for name in ("aper30_flux_err", "aper_total_abmag_err", "isophotal_flux_err", "isophotal_vegamag_err"):
        assert np.isnan(np.asarray(getattr(table[name], "value", table[name]))).all()
    assert np.isfinite(table["aper_bkg_flux_err"].value).all()


@pytest.mark.parametrize("plane", ["err", "wht"])
def test_uncovered_pixels_have_no_sources(plane):
    sci, err, wht = scene()
    if plane == "err":
        err[:60] = np.nan
    else:
        wht[:60] = 0
    sci[:60] = np.nan
    result = catalog(sci, err, wht)
    assert len(result.table) == 1
    assert not result.segments[:60].any()


def test_a_missing_pixel_makes_aperture_fluxes_nan():
    sci, err, wht = scene()
    sci[25, 30] = np.nan
    table = catalog(sci, err, wht).table
    assert np.isnan(table["aper30_flux"].value).tolist() == [True, False, False]
    assert np.isnan(table["aper30_abmag"]).tolist() == [True, False, False]
    assert np.isfinite(table["isophotal_flux"].value).all()


def test_magnitudes_of_negative_fluxes_are_nan():
    sci, err, wht = scene()
    y, x = np.indices(sci.shape)
    sci[(np.hypot(x - 30, y - 25) > 12) & (np.hypot(x - 30, y - 25) < 16)] += 5.0  # a bright ring
    table = catalog(sci, err, wht).table
    row = np.argmin(np.hypot(table["xcentroid"] - 30, table["ycentroid"] - 25))
    assert table["aper70_flux"].value[row] < 0
    assert np.isnan(table["aper70_abmag"][row])
    assert np.isnan(table["aper70_vegamag_err"][row])


@pytest.mark.parametrize("starfinder", ["segmentation", "dao"])
def test_no_sources_is_a_table_with_all_columns(starfinder):
    result = catalog(*scene([]), starfinder=starfinder, snr_threshold=100.0)
    assert len(result.table) == 0
    assert result.table.colnames == COLUMNS
    assert str(result.table["aper_total_flux"].unit) == "Jy"
    assert result.table["sky_centroid"].ra.shape == (0,)
    if starfinder == "segmentation":
        assert whole(result.segments).dtype == np.uint32
        assert not whole(result.segments).any()


def test_nothing_observed():
    sci, err, wht = scene()
    result = catalog(np.full_like(sci, np.nan), np.full_like(err, np.nan), np.zeros_like(wht))
    assert len(result.table) == 0
    assert not whole(result.segments).any()


def test_star_finder_has_columns_without_values(stars):
    limits = {"sharplo": 0.2, "sharphi": 2.0, "roundlo": -1.0, "roundhi": 1.0}
    result = catalog(*scene(), starfinder="dao", kernel_fwhm=3.5, **limits)
    assert result.segments is None
    assert result.table.colnames == COLUMNS
    assert len(result.table) == 3
    np.testing.assert_allclose(
        np.sort(result.table["aper_total_flux"].value), np.sort(stars.table["aper_total_flux"].value), rtol=0.02
    )
    assert np.isfinite(result.table["isophotal_flux"].value).all()
    assert np.isnan(result.table["isophotal_area"].value).all()
    assert np.isnan(result.table["sky_bbox_ll"].ra.deg).all()
    assert str(result.table["semimajor_sigma"].unit) == "pix"
    assert "kron_params" not in result.table.meta


def test_peakmax_is_in_the_unit_of_the_image():
    peaks = [flux / 1e6 / PIXEL_AREA * psf(0, 0, (1, 1)).max() for _, _, flux in STARS]
    between = (peaks[0] + peaks[1]) / 2
    limits = {"sharplo": 0.0, "sharphi": 9.0, "roundlo": -9.0, "roundhi": 9.0, "kernel_fwhm": 3.5}
    table = catalog(*scene(), starfinder="dao", peakmax=between, **limits).table
    assert sorted(table["xcentroid"].round().astype(int)) == [61, 95]


def test_same_input_same_table():
    first, second = (catalog(*scene()).table for _ in range(2))
    for name in COLUMNS[4:]:
        a, b = first[name], second[name]
        if not name.startswith("sky_bbox"):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_wrong_shapes():
    sci, err, wht = scene()
    with pytest.raises(ValueError, match=r"one shape \(ny, nx\), not \(120, 120\), \(119, 120\), \(120, 120\)"):
        catalog(sci, err[1:], wht)
    with pytest.raises(ValueError, match="none, "):
        catalog(sci[0], None, wht[0])


def test_catalog_of_an_image_that_is_not_measured():
    result = no_sources(CatalogParameters())
    assert result.table.colnames == COLUMNS
    assert len(result.table) == 0
    assert result.table.meta == {}
    assert result.segments is None
    assert "CI_80_20" in no_sources(CatalogParameters(aperture_ee1=20, aperture_ee3=80)).table.colnames


def test_apertures_may_have_other_encircled_energies():
    other = replace(APERTURES, ee=(20, 40, 80))
    table = catalog(*scene(), apertures=other).table
    assert {"aper20_flux", "aper80_vegamag_err", "CI_40_20", "CI_80_40", "CI_80_20"} <= set(table.colnames)


@pytest.mark.parametrize("rows", [1, 13, 64])
def test_planes_that_are_read_in_bands_give_the_same_catalogue(stars, monkeypatch, rows):
    class InFile:
        """A plane that knows slices of rows alone."""

        def __init__(self, plane):
            self._plane, self.shape = plane, plane.shape

        def __getitem__(self, rows):
            assert isinstance(rows, slice)
            return self._plane[rows].copy()

    monkeypatch.setattr("calflow.science.bands.BAND_ROWS", rows)
    found = catalog(*map(InFile, scene()))
    np.testing.assert_array_equal(whole(found.segments), whole(stars.segments))
    for name in COLUMNS:
        column, expected = found.table[name], stars.table[name]
        if hasattr(column, "ra"):
            column, expected = column.ra.deg, expected.ra.deg
        np.testing.assert_array_equal(column, expected, err_msg=name)
