"""How complete a catalogue is: artificial sources, which of them are found, and the curve through that."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from calflow.configuration.problems import InputError
from calflow.configuration.settings import read_settings
from calflow.files.catalogs import write_catalog
from calflow.files.combined_image import read_combined
from calflow.quality.associations import Measured
from calflow.quality.completeness import measure_completeness, regions
from calflow.quality.report import report
from calflow.science.bands import whole
from calflow.science.quality.completeness import (
    Injected,
    SearchedImage,
    magnitudes_about_limit,
    nearest_within,
    recover,
    scattered,
    values_at,
    with_sources,
)
from calflow.science.quality.completeness_curve import Curve, fitted_curve, in_bins
from calflow.science.quality.completeness_parameters import Injection
from calflow.science.quality.photon_noise import photons_like_sky
from calflow.science.quality.source_stamps import (
    Stars,
    full_width,
    galaxy,
    moffat_of_apertures,
    normalised,
    shifted,
    stacked_stars,
)
from calflow.science.quality.thresholds import Thresholds
from calflow.science.sky.background_map import measure_background
from calflow.science.sources.aperture_photometry import Apertures, aperture_flux
from calflow.science.sources.source_catalog import no_sources, source_catalog
from calflow.science.sources.source_detection import CatalogParameters
from calflow.simulation import Scene
from calflow.simulation.observation import plan_exposures, sky_noise
from calflow.simulation.rendering import PIXEL_VARIANCE, peak_fraction, psf_sigmas, render_sources
from calflow.simulation.scene import make_sources
from tests.unit.test_pages import page, text_of
from tests.unit.test_quality import CATALOG, IMAGE, exposure

SIGMA = 1.2
# Of a Gaussian: 1 - exp(-r^2 / 2 sigma^2) of the light is within r.
RADII = tuple(SIGMA * np.sqrt(-2 * np.log(1 - ee / 100)) for ee in (30, 50, 70))
APERTURES = Apertures((30, 50, 70), RADII, (1 / 0.3, 2.0, 1 / 0.7), 8.0, 12.0)


def gaussian(shape, x, y, flux=1.0, sigma=SIGMA):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    exponent = ((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)
    return flux * np.exp(-exponent) / (2 * np.pi * sigma**2)


def in_aperture(stamp, radius):
    middle = np.array([len(stamp) // 2], float)
    return aperture_flux(stamp, None, middle, middle, radius)[0][0]


STAMP = normalised(gaussian((17, 17), 8, 8), APERTURES)


# What sources look like


def test_a_moffat_profile_has_the_encircled_energies():
    # (1 + (r / 3)^2)^-1.5 of the light is beyond r.
    radii = tuple(3 * np.sqrt((1 - ee / 100) ** (-1 / 1.5) - 1) for ee in (30, 50, 70))
    stamp = moffat_of_apertures(Apertures((30, 50, 70), radii, (1 / 0.3, 2.0, 1 / 0.7), 30.0, 40.0))
    assert_allclose([in_aperture(stamp, radius) for radius in radii], [0.3, 0.5, 0.7], rtol=0.02)


def test_light_that_is_more_concentrated_is_gaussian():
    narrower = replace(APERTURES, radii=(RADII[0], RADII[1], 0.95 * RADII[2]), corrections=(1.0, 1.0, 1.0))
    stamp = moffat_of_apertures(narrower)
    assert in_aperture(stamp, narrower.radii[-1]) == pytest.approx(1)
    assert full_width(stamp) == pytest.approx(2.3548 * SIGMA, rel=0.02)


def test_stars_are_stacked_wherever_they_lie_in_their_pixels():
    random = np.random.default_rng(1)
    image = random.normal(5.0, 0.01, (300, 320))
    x, y = (random.uniform(20, 300, 9), 30.0 * np.arange(1, 10) + random.uniform(-0.5, 0.5, 9))
    for place in zip(x, y, strict=True):
        image += gaussian(image.shape, *place, 100.0)
    image += gaussian(image.shape, x[0] + 9, y[0], 100.0)  # a neighbour: neither counts
    image[int(y[1]), int(x[1]) + 3] = np.nan
    every = np.append(x, x[0] + 9), np.append(y, y[0])
    stars = Stars(*every, *(np.full(10, value) for value in (100.0, 5.0, 1.5, 500.0)), np.arange(10) == 5)
    stamp, number = stacked_stars(image, stars, APERTURES)
    assert number == 6
    middle = slice(len(stamp) // 2 - 5, len(stamp) // 2 + 6)
    assert_allclose(stamp[middle, middle], normalised(gaussian((11, 11), 5, 5), APERTURES), atol=0.01 * stamp.max())
    assert stacked_stars(image, replace(stars, signal=np.full(10, 10.0)), APERTURES) is None


def test_a_stamp_is_shifted():
    assert_allclose(shifted(STAMP, 0.3, -0.4)[4:13, 4:13], shifted_gaussian()[4:13, 4:13], atol=0.01 * STAMP.max())


def shifted_gaussian():
    return gaussian((17, 17), 8.3, 7.6) * STAMP.max() / gaussian((17, 17), 8, 8).max()


def test_half_of_the_light_of_a_galaxy_is_within_its_radius():
    point = np.zeros((3, 3))
    point[1, 1] = 1
    stamp = galaxy(point, 6.0)
    assert stamp.sum() == pytest.approx(1)
    assert in_aperture(stamp, 6.0) == pytest.approx(0.5, abs=0.01)
    assert_allclose(galaxy(STAMP, 0.01).sum(), STAMP.sum())  # a point is one


def test_the_brightness_whose_photons_add_as_much_as_the_sky():
    random = np.random.default_rng(2)
    image = random.normal(3.0, 0.1, (300, 300))
    for x, y in random.uniform(20, 280, (40, 2)):
        image += gaussian(image.shape, x, y, 100.0)
    weight = np.where(np.arange(300) < 100, 1.0, 4.0)[:, None] + np.zeros(image.shape)
    error = np.sqrt(0.01 / weight * (1 + np.maximum(image - 3.0, 0) / 2.5))
    background = measure_background(image, None, 300)
    assert photons_like_sky(image, error, weight, background) == pytest.approx(2.5, rel=0.05)
    assert photons_like_sky(image, np.ones(image.shape), np.ones(image.shape), background) == np.inf


# Where they are put, and which are found


def test_places_are_apart_and_everywhere():
    rounds = [scattered((200, 300), 20, np.random.default_rng(seed)) for seed in range(300)]
    for places in rounds[:20]:
        distance = np.abs(places[:, None] - places).max(axis=-1)
        assert distance[~np.eye(len(places), dtype=bool)].min() >= 20
    counts, *_ = np.histogram2d(*np.concatenate(rounds).T, bins=(6, 4), range=((-0.5, 299.5), (-0.5, 199.5)))
    assert counts.min() > 0.85 * counts.mean()


def test_nearest_positions():
    found = nearest_within(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[2.0, 0.0], [0.5, 0.0], [9.0, 9.0]]), 1.2)
    assert found.tolist() == [1, 0, -1]
    assert nearest_within(np.empty((0, 2)), np.zeros((2, 2)), 1.0).tolist() == [-1, -1]


def test_values_of_pixels():
    plane = np.arange(300 * 4).reshape(300, 4)
    assert values_at(plane, np.array([[1.4, 0.0], [2.6, 299.0]]), 0).tolist() == [1, 299 * 4 + 3]


def image_with(sources=(), shape=(300, 200), noise=0.1, **values):
    """Return an image of noise and point sources (x, y, flux), as it is searched."""
    sci = np.random.default_rng(5).normal(2.0, noise, shape).astype(np.float32)
    for x, y, flux in sources:
        sci += gaussian(shape, x, y, flux).astype(np.float32)
    given = {
        "sci": sci,
        "err": np.full(shape, noise),
        "wht": np.ones(shape),
        "exposures": None,
        "background": measure_background(sci, None, 100),
        "sources": np.array([source[:2] for source in sources]).reshape(-1, 2),
        "parameters": CatalogParameters(npixels=5),
        "apertures": APERTURES,
        "least_flux": -np.inf,
        "zero_point": 25.0,
        "photons": np.inf,
    }
    return SearchedImage(**given | values)


def test_a_source_is_put_where_two_bands_meet_and_over_the_edge():
    image = image_with()
    place = np.array([[100.3, 255.6], [0.2, 40.0]])
    added = whole(with_sources(image, Injected(place, np.array([50.0, 80.0]), STAMP, (1,)))) - image.sci
    assert added[245:267, 90:111].sum() == pytest.approx(50 * STAMP.sum(), rel=1e-3)
    assert added[:200].sum() == pytest.approx(80 * STAMP[:, 8:].sum(), rel=0.1)
    column = np.arange(90, 111)
    assert (added[245:267, 90:111].sum(axis=0) * column).sum() / added[245:267, 90:111].sum() == pytest.approx(
        100.3, abs=0.01
    )


def test_photons_of_a_source_add_noise():
    stamp = np.full((41, 41), 1 / 41**2)
    image = image_with(noise=0.1, photons=0.5)
    place = np.array([[100.0, 255.0]])
    added = whole(with_sources(image, Injected(place, np.array([41.0**2]), stamp, (1,)))) - image.sci
    box = added[245:266, 90:111]
    assert box.mean() == pytest.approx(1, abs=0.05)
    # The variance of an empty pixel is 0.01; a brightness of 1 is two times that which doubles it.
    assert box.std() == pytest.approx(0.1 * np.sqrt(2), rel=0.15)


def test_bright_sources_are_found_with_their_magnitudes_and_faint_ones_are_not():
    settings = Injection(number=100)
    bright = recover(image_with(), STAMP, 0.0, (18.0, 20.0), settings, 0)
    assert bright.found.all()
    assert_allclose(bright.measured, bright.magnitude, atol=0.05)
    assert bright.magnitude.min() > 18
    assert len(np.unique(bright.place, axis=0)) == 100
    assert not recover(image_with(), STAMP, 0.0, (28.0, 29.0), settings, 0).found.any()


def test_the_same_seed_finds_the_same():
    one, same, other = (
        recover(image_with(), STAMP, 0.0, (22.0, 24.0), Injection(number=60, seed=seed), 0) for seed in (1, 1, 2)
    )
    for name in ("place", "magnitude", "found", "measured"):
        assert np.array_equal(getattr(one, name), getattr(same, name), equal_nan=name == "measured")
    assert not np.array_equal(one.place, other.place)


def test_a_source_beside_a_much_brighter_one_is_not_found():
    bright = [(x, y, 3e4) for x in range(5, 100, 10) for y in range(5, 100, 10)]
    image = image_with(bright, (100, 100))
    found = recover(image, STAMP, 0.0, (20.0, 21.0), Injection(number=50), 0).found
    assert found.mean() < 0.2


def test_nothing_is_put_where_nothing_was_observed():
    weight = np.ones((300, 200))
    weight[:150] = 0
    exposures = np.where(np.arange(200) < 100, 1, 3) + np.zeros((300, 1), int)
    image = image_with(wht=weight, exposures=exposures)
    found = recover(image, STAMP, 0.0, (20.0, 21.0), Injection(number=80), 0)
    assert found.place[:, 1].min() > 149
    assert np.array_equal(found.exposures, np.where(np.rint(found.place[:, 0]) < 100, 1, 3))


def test_among_the_brightest_that_a_star_finder_keeps():
    parameters = CatalogParameters(starfinder="dao", brightest=3, sharplo=0.2, sharphi=1.0, roundlo=-1.0, roundhi=1.0)
    image = image_with(parameters=parameters)
    settings = Injection(number=60)
    assert recover(image, STAMP, 0.0, (19.0, 20.0), settings, 0).found.mean() > 0.9
    full = replace(image, least_flux=1e9)  # of the third brightest of the image
    assert not recover(full, STAMP, 0.0, (19.0, 20.0), settings, 0).found.any()


def test_magnitudes_are_those_about_the_limit():
    image = image_with()
    low, high = magnitudes_about_limit(image, STAMP)
    curve = fitted_curve(*found_of(recover(image, STAMP, 0.0, (low, high), Injection(number=300), 0)))
    magnitude, _ = curve.limit(0.5)
    assert low + 1 < magnitude < high - 0.5


def found_of(recovered):
    return recovered.magnitude, recovered.found


# The curve


def test_limits_of_a_curve():
    curve = Curve(25.0, 0.2, 0.9, np.diag([0.01, 0.0, 0.0]), (20.0, 30.0))
    # 25 + 0.2 ln(0.9 / 0.5 - 1) and 25 + 0.2 ln(0.9 / 0.8 - 1)
    assert_allclose(curve.limit(0.5), (24.9553713, 0.1))
    assert_allclose(curve.limit(0.8), (24.5841117, 0.1))
    assert curve.limit(0.95) is None  # more than are found of any magnitude
    assert replace(curve, range=(25.0, 30.0)).limit(0.5) is None  # outside of what was tried
    assert_allclose(curve.at(np.array([25.0])), 0.45)
    # The derivative by the width is ln 0.8, that by the plateau 0.2 / (0.9 - 0.5).
    error = np.sqrt(0.03**2 * np.log(0.8) ** 2 + 0.02**2 * 0.5**2)
    assert replace(curve, covariance=np.diag([0, 0.03**2, 0.02**2])).limit(0.5)[1] == pytest.approx(error)


def test_a_fit_finds_the_curve_within_its_error():
    random = np.random.default_rng(3)
    true = Curve(25.0, 0.2, 0.9, np.zeros((3, 3)), (23.0, 27.0))
    pulls = []
    for _ in range(40):
        magnitude = random.uniform(23, 27, 400)
        limit, error = fitted_curve(magnitude, random.uniform(size=400) < true.at(magnitude)).limit(0.5)
        pulls.append((limit - true.limit(0.5)[0]) / error)
    # 4 errors of the mean and of the standard deviation of 40.
    assert abs(np.mean(pulls)) < 0.63
    assert np.std(pulls) == pytest.approx(1, abs=0.45)


def test_no_curve_without_a_limit():
    magnitude = np.linspace(20, 21, 50)
    assert fitted_curve(magnitude, np.ones(50, bool)) is None
    assert fitted_curve(magnitude, np.zeros(50, bool)) is None


def test_bins():
    magnitude = np.array([20.1, 20.2, 20.3, 20.4, 20.6])
    found = np.array([True, True, True, False, False])
    bins = in_bins(magnitude, found, magnitude + 0.01, 0.5)
    assert_allclose(bins.edges, [20, 20.5, 21])
    assert bins.injected.tolist() == [4, 1]
    assert bins.found.tolist() == [3, 0]
    # Wilson's of 3 of 4: (3/4 + 1/8) / (1 + 1/4) +- sqrt(3/64 + 1/64) / (1 + 1/4); one sigma is 68.269 % for astropy
    assert_allclose([bins.low[0], bins.part[0], bins.high[0]], [0.5, 0.75, 0.9], rtol=2e-6)
    empty = in_bins(np.array([20.1, 21.1]), np.array([True, False]), np.array([20.1, np.nan]), 0.5)
    assert np.isnan([empty.low[1], empty.part[1], empty.high[1]]).all()  # no source there
    assert np.isnan(bins.bias).all()  # of few
    many = in_bins(np.full(5, 20.1), np.ones(5, bool), 20.1 + np.array([0.1, 0.2, 0.3, 0.4, 9.0]), 0.5)
    assert_allclose([many.bias[0], many.scatter[0]], [0.3, 1.4826 * 0.1])


def test_regions_have_enough_sources():
    assert regions(np.repeat([1, 2, 3, 4], [300, 50, 500, 1000])) == [(1, 1), (2, 3), (4, 4)]
    assert regions(np.repeat([1, 4], [20, 1000])) == []  # a single one is the image
    assert regions(np.repeat([0, 4], [500, 500])) == []
    assert regions(np.repeat([2, 4, 5], [400, 400, 10])) == [(2, 2), (4, 5)]


# Against the truth


def test_as_many_artificial_sources_are_found_as_true_ones():
    scene = Scene("nircam_f200w", (500, 500), stars=700, galaxies=5, star_snr=(3.0, 150.0), seed=4)
    noise, (planned, *_) = sky_noise(scene), plan_exposures(scene)
    geometry, instrument = planned.geometry, scene.preset
    sources = make_sources(scene, noise, peak_fraction(instrument))
    sci = render_sources(sources, geometry) + np.random.default_rng(6).normal(0.4, noise, (500, 500))
    err, wht, unit = np.full(sci.shape, noise), np.ones(sci.shape), 1e6 * instrument.pixel_area_sr
    apertures = apertures_of(instrument)
    table = source_catalog(
        *(sci, err, wht),
        pixel_area_sr=instrument.pixel_area_sr,
        to_sky=lambda pixels: pixels / 1e4,
        reference_pixel=(0.0, 0.0),
        apertures=apertures,
        abvega_offset=0.0,
    ).table
    positions = np.column_stack([table["xcentroid"], table["ycentroid"]])
    flux = table["aper_total_flux"].value
    signal = flux / table["aper_total_flux_err"].value
    background = table["aper_bkg_flux"].value / unit
    stars = Stars(*positions.T, flux / unit, background, table["CI_70_30"], signal, table["is_extended"])
    stamp, number = stacked_stars(sci, stars, apertures)
    assert number > 10
    image = image_with(
        sci=sci,
        err=err,
        wht=wht,
        background=measure_background(sci, None, 1000),
        parameters=CatalogParameters(),
        apertures=apertures,
        zero_point=8.9 - 2.5 * np.log10(unit),
    )
    image = replace(image, sources=positions)
    recovered = recover(image, stamp, 0.0, magnitudes_about_limit(image, stamp), Injection(number=600), 0)
    limit, error = fitted_curve(*found_of(recovered)).limit(0.5)

    true = sources[sources["type"] == "star"]
    nearest = nearest_within(positions, np.column_stack(geometry.to_pixel(true["ra"].data, true["dec"].data)), 1.5)
    there = (nearest >= 0) & (flux[nearest] < 2 * true["flux"].data)
    true_limit, true_error = fitted_curve(8.9 - 2.5 * np.log10(true["flux"].data), there).limit(0.5)
    assert error < 0.06
    assert abs(limit - true_limit) < 3 * np.hypot(error, true_error)


def apertures_of(instrument):
    """Return the apertures of an instrument's own point spread function, on pixels."""
    radii = np.linspace(0.1, 10, 5000)
    parts = [(part, sigma**2 + PIXEL_VARIANCE) for part, sigma in psf_sigmas(instrument)]
    light = sum(part * (1 - np.exp(-(radii**2) / (2 * variance))) for part, variance in parts)
    ends = tuple(float(np.interp(ee, light, radii)) for ee in (0.3, 0.5, 0.7))
    return Apertures((30, 50, 70), ends, (1 / 0.3, 2.0, 1 / 0.7), 8.0, 14.0)


# Of files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a combined image of 12 stars, two of whose exposures cover its upper half, and its catalogue."""
    folder, shape = tmp_path_factory.mktemp("completeness"), (200, 200)
    random = np.random.default_rng(7)
    sci = random.normal(0.5, 0.01, shape)
    for number in range(12):
        sci += gaussian(shape, 30 + 45 * (number % 4) + 0.3, 30 + 60 * (number // 4) - 0.2, 5.0)
    unit = {"BUNIT": "MJy/sr", "PIXAR_SR": 2e-14, "PIXAR_A2": 0.01}
    unit |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 100.0, "CRPIX2": 100.0, "CRVAL1": 80.0}
    unit |= {"CDELT1": -1e-5, "CDELT2": 1e-5}
    context = np.where(np.arange(200) < 100, 1, 3).astype(np.int32)[:, None] + np.zeros((1, *shape), np.int32)
    planes = {"SCI": sci.astype(np.float32), "ERR": np.full(shape, 0.01), "CON": context, "WHT": np.ones(shape)}
    hdus = [fits.ImageHDU(plane, name=name) for name, plane in planes.items()]
    hdus[0].header.update(unit)
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / "i2d.fits")
    image = read_combined(folder / "i2d.fits")
    found = source_catalog(
        *(image.sci, image.err, image.wht),
        pixel_area_sr=2e-14,
        to_sky=image.to_sky,
        reference_pixel=image.reference_pixel,
        apertures=APERTURES,
        abvega_offset=0.0,
        parameters=CatalogParameters(npixels=5),
    )
    write_catalog(found.table, folder / "cat.ecsv")
    return folder


def measured(folder, catalog="cat.ecsv", **values):
    settings = Injection(number=500, **values)
    return measure_completeness(folder / "i2d.fits", folder / catalog, CatalogParameters(npixels=5), settings)


def test_a_file_is_measured(files):
    found = measured(files, half_light_radii=(0.3, 5.0))
    assert found["point_source"]["stars"] >= 9  # of 12, one of whom may have an odd concentration
    assert found["point_source"]["fwhm_pixels"] == pytest.approx(2.3548 * SIGMA, rel=0.03)
    assert found["point_source"]["fwhm_arcsec"] == pytest.approx(0.1 * found["point_source"]["fwhm_pixels"])
    assert not found["photon_noise"]  # these errors do not grow with brightness
    points, galaxies, large = found["kinds"]
    assert points["injected"] == sum(points["bins"]["injected"]) == 500
    assert points["limit_80_abmag"] < points["limit_50_abmag"]
    # As bright in its pixels, a galaxy is brighter in all.
    assert galaxies["limit_50_abmag"] < points["limit_50_abmag"] - 0.5
    assert [large["injected"], large["limit_50_abmag"]] == [0, None]  # 50 pixels of 200
    assert [region["exposures"] for region in points["by_exposures"]] == [[1, 1], [2, 2]]
    assert found["kinds"][0] == measured(files)["kinds"][0]


def test_why_it_cannot_be_measured(files, tmp_path):
    table = no_sources(CatalogParameters()).table
    table.meta = {"status": "FAILED", "reason": "no apertures"}
    write_catalog(table, tmp_path / "failed.ecsv")
    assert measured(files, tmp_path / "failed.ecsv") == {"status": "FAILED", "reason": "the catalogue was not made"}
    shutil.copytree(files, tmp_path / "other")
    fits.setval(tmp_path / "other" / "i2d.fits", "BUNIT", value="DN/s", extname="SCI")
    assert "the image is in DN/s, not in MJy/sr" in measured(tmp_path / "other")["reason"]
    shutil.copytree(files, tmp_path / "empty")
    with fits.open(tmp_path / "empty" / "i2d.fits", mode="update") as hdus:
        hdus["WHT"].data[:] = 0
    assert "no pixel to measure a background from" in measured(tmp_path / "empty")["reason"]


# What is told of it


def completeness(limit_80=23.0, **values):
    bins = {"edges": [22.0, 23.0, 24.0], "injected": [50, 50], "found": [49, 20], "fraction": [0.98, 0.4]}
    bins |= {"fraction_low": [0.96, 0.3], "fraction_high": [0.99, 0.5], "magnitude_bias": [0.01, None]}
    kind = {"name": "point sources", "injected": 100, "found": 69, "limit_50_abmag": 23.4, "limit_50_error": 0.04}
    kind |= {"limit_80_abmag": limit_80, "limit_80_error": 0.05, "bins": bins | {"magnitude_scatter": [0.02, None]}}
    kind["by_exposures"] = [
        {"exposures": [1, 1], "limit_50_abmag": None, "limit_50_error": None},
        {"exposures": [2, 4], "limit_50_abmag": 23.5, "limit_50_error": 0.06},
    ]
    kind["curve"] = {"magnitude": [22.0, 23.0, 24.0], "fraction": [0.98, 0.8, 0.2]}
    return {"status": "COMPLETE", "reason": "", "kinds": [kind]} | values


def judged(found, **limits):
    measured = Measured([exposure()], IMAGE, CATALOG, found)
    return json.loads(json.dumps(report("field", measured, {}, Thresholds(**limits), "resampled")))


@pytest.mark.parametrize(
    ("found", "limits", "judgement"),
    [
        (completeness(), {}, "fine"),
        (completeness(), {"completeness_look": 2.1}, "fine"),  # the depth is 25
        (completeness(), {"completeness_look": 1.9}, "look"),
        (completeness(None), {"completeness_look": 9.0}, "look"),
        ({"status": "FAILED", "reason": "the catalogue was not made"}, {}, "look"),
    ],
)
def test_completeness_is_judged_if_it_is_wanted(found, limits, judgement):
    (check,) = (check for check in judged(found, **limits)["checks"] if check["name"] == "completeness")
    assert check["judgement"] == judgement


def test_completeness_is_told_on_the_page():
    tree = judged(completeness())
    text = text_of(page(tree))
    assert "50 % found at 23.40 +- 0.04, 80 % found at 23.00 +- 0.05 AB mag, point sources" in text
    assert "Completeness" in text
    assert "measured less true, mag" in text
    assert "1 exposure: no limit seen. 2 to 4 exposures: 50 % at 23.50 +- 0.06." in text
    none = text_of(page(judged(None)))
    assert "Completeness" not in none
    assert "completeness" not in none


def test_magnitudes_are_in_order():
    with pytest.raises(InputError, match="magnitudes are the brightest and the faintest"):
        read_settings({"quality": {"completeness": {"magnitudes": [26, 22]}}})
    with pytest.raises(ValueError, match="magnitudes must be the brightest and the faintest"):
        Injection(magnitudes=(26.0, 22.0))
