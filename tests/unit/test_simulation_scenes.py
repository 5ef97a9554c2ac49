"""What makes scenes hard: wrong pointing, blank and turned exposures, several detectors; and the truth of pixels."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from calflow.science.dq_flags import FLAGS
from calflow.science.windows import Window
from calflow.simulation import INSTRUMENTS, Scene, simulate
from calflow.simulation.geometry import Geometry, Optics, Pointing
from calflow.simulation.observation import plan_exposures

SMALL = {"detector_shape": (80, 96), "exposures": 2, "stars": 5, "galaxies": 2}


def separation(first, second):
    """Return the distance of two positions in arcsec, by the chord of their unit vectors."""
    vectors = [
        np.array([np.cos(d) * np.cos(r), np.cos(d) * np.sin(r), np.sin(d)])
        for r, d in (np.radians(first), np.radians(second))
    ]
    return np.degrees(2 * np.arcsin(np.linalg.norm(vectors[0] - vectors[1]) / 2)) * 3600


@pytest.fixture(scope="module")
def square(tmp_path_factory):
    """Four detectors that expose together, twice."""
    scene = Scene("nircam_f200w", detectors=4, backgrounds=1, save_signal=True, seed=3, **SMALL)
    return simulate(tmp_path_factory.mktemp("square"), scene)


def test_wrong_pointing_is_in_the_truth_alone():
    first, second = plan_exposures(Scene(mispointings={2: (3.0, -4.0)}, **SMALL))
    assert first.geometry.pointing == first.nominal
    true, told = second.geometry.pointing, second.nominal
    assert separation((true.ra, true.dec), (told.ra, told.dec)) == pytest.approx(5.0, abs=1e-3)
    assert (true.dec - told.dec) * 3600 == pytest.approx(-4.0, abs=1e-9)
    assert true.roll == told.roll


def test_turned_exposure_says_so():
    first, second = plan_exposures(Scene(turns={2: 60.0}, **SMALL))
    assert second.nominal.roll - first.nominal.roll == pytest.approx(60.0)
    assert second.geometry.pointing == second.nominal


def test_blank_exposure_shows_sky_alone(tmp_path):
    truth = simulate(tmp_path, Scene(blank=(2,), star_snr=(500, 1000), bad_pixels=0, save_signal=True, **SMALL))
    first, second = (fits.getdata(path, "RATE") for path in sorted((tmp_path / "truth").glob("*_signal.fits")))
    assert [exposure.blank for exposure in truth.exposures] == [False, True]
    assert first.max() > 50 * np.median(first)
    assert second.max() < 2 * np.median(second)


def test_signal_is_what_is_in_the_pixels_besides_noise(square):
    for exposure in square.exposures:
        with fits.open(square.directory / "rate" / exposure.filename) as hdus:
            rate, err, dq = (hdus[name].data for name in ("SCI", "ERR", "DQ"))
        with fits.open(square.directory / "truth" / f"{exposure.name}_signal.fits") as hdus:
            signal, rays = hdus["RATE"].data, hdus["COSMIC_RAYS"].data
        usable = np.isfinite(rate) & ((dq & FLAGS["DO_NOT_USE"]) == 0)
        noise = ((rate - signal - rays) / err)[usable]
        assert np.abs(noise).max() < 6
        assert np.std(noise) == pytest.approx(1, abs=0.05)


def test_cosmic_rays_hit_as_many_pixels_as_asked_for(tmp_path):
    scene = Scene("nircam_f200w", detector_shape=(300, 300), exposures=1, stars=0, cosmic_rays=0.01, save_signal=True)
    truth = simulate(tmp_path, scene)
    rays = fits.getdata(tmp_path / "truth" / f"{truth.exposures[0].name}_signal.fits", "COSMIC_RAYS")
    err = fits.getdata(truth.science[0], "ERR")
    # 360 tracks of 1 to 4 pixels: 900 pixels, with a scatter of 52.
    assert (rays > 0).sum() == pytest.approx(900, abs=160)
    assert rays[rays > 0].min() >= 5.99 * np.nanmedian(err)


def test_cosmic_rays_may_raise_the_errors_of_their_pixels(tmp_path):
    """The same pixels with larger errors, in quadrature, and both variances in proportion."""
    scene = Scene("nircam_f200w", detector_shape=(80, 96), exposures=1, stars=3, cosmic_rays=0.02, save_signal=True)
    plain, raised = simulate(tmp_path / "a", scene), simulate(tmp_path / "b", replace(scene, cosmic_ray_error=1.5))
    rays = fits.getdata(tmp_path / "a" / "truth" / f"{plain.exposures[0].name}_signal.fits", "COSMIC_RAYS")
    before, after = (
        {
            name: fits.getdata(truth.science[0], name).astype(float)
            for name in ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE")
        }
        for truth in (plain, raised)
    )
    np.testing.assert_array_equal(after["SCI"], before["SCI"])
    np.testing.assert_allclose(after["ERR"] ** 2, before["ERR"] ** 2 + (1.5 * rays) ** 2, rtol=1e-5)
    for name in ("VAR_POISSON", "VAR_RNOISE"):
        np.testing.assert_allclose(after[name], before[name] * (after["ERR"] / before["ERR"]) ** 2, rtol=1e-5)
    assert (after["ERR"] > 5 * before["ERR"])[rays > 0].mean() > 0.9


def test_each_detector_has_files_of_its_own(square):
    assert [path.name for path in square.science] == [
        f"jw01234001001_02101_0000{number}_nrcb{detector}_rate.fits" for number in (1, 2) for detector in (1, 2, 3, 4)
    ]
    headers = [fits.getheader(path) for path in square.science[:4]]
    assert [header["DETECTOR"] for header in headers] == ["NRCB1", "NRCB2", "NRCB3", "NRCB4"]
    assert headers[2]["APERNAME"] == "NRCB3_FULL"
    assert {header["EXPOSURE"] for header in headers} == {"1"}
    references = sorted(path.name for path in (square.directory / "references").glob("*_0004.*"))
    assert references == [f"jwst_nircam_{kind}" for kind in ("area_0004.fits", "distortion_0004.asdf")] + [
        f"jwst_nircam_{kind}_0004.fits" for kind in ("flat", "photom")
    ]
    assert fits.getheader(square.directory / "references" / "jwst_nircam_flat_0004.fits")["DETECTOR"] == "NRCB4"


def test_detectors_differ_in_bad_pixels_and_noise_and_share_the_sky(square):
    planes = [fits.getdata(path, "DQ") for path in square.science[:4]]
    hot = [(plane & FLAGS["HOT"]) != 0 for plane in planes]
    assert all(one.any() for one in hot)
    assert not any(np.array_equal(hot[0], other) for other in hot[1:])
    assert len({exposure.sky for exposure in square.exposures[:4]}) == 1
    pixels = [fits.getdata(path, "SCI")[20, 20:30].tobytes() for path in square.science]
    assert len(set(pixels)) == 8


def test_backgrounds_belong_to_their_detector(square):
    products = json.loads(square.association.read_text())["products"]
    assert len(products) == 8
    for product in products:
        science, background = (member["expname"] for member in product["members"])
        assert science.split("_")[3] == background.split("_")[3]


def test_detectors_make_a_square_on_the_sky(square):
    """From the middle of the first detector to those of the others: width and height of a frame, with the gap."""
    instrument = square.scene.preset
    middles = [exposure.geometry.to_sky(47.5, 39.5) for exposure in square.exposures[:4]]
    right, up = (96 + instrument.gap) * instrument.x_scale, (80 + instrument.gap) * instrument.y_scale
    distances = [separation(middles[0], middle) for middle in middles[1:]]
    assert distances == pytest.approx([right, up, np.hypot(right, up)], rel=2e-3)
    x, y = square.exposures[0].geometry.to_pixel(*middles[1])
    assert x - 47.5 == pytest.approx(96 + instrument.gap, rel=2e-3)
    assert y == pytest.approx(39.5, abs=1)


def test_pointing_of_a_neighbour_is_that_of_the_same_telescope():
    """Both see the same sky in the same V2, V3: without aberration, their attitudes are one."""
    instrument = INSTRUMENTS["nircam_f200w"]
    other = instrument.beside(3)
    window = Window(1, 1, 2048, 2048)
    first = Geometry(Optics(instrument), window, Pointing(359.999, 62.0, 123.0))
    second = Geometry(Optics(other), window, first.pointing_of(other))
    np.testing.assert_allclose(second.attitude(), first.attitude(), rtol=0, atol=1e-14)
    assert other.detector == "NRCB4"


def test_aperture_corrections_of_combined_images_have_wider_apertures(tmp_path):
    radii = []
    for drizzled in (False, True):
        scene = Scene("niriss_f200w", drizzled_apcorr=drizzled, **SMALL)
        table = fits.getdata(simulate(tmp_path / str(drizzled), scene).references["apcorr"])
        radii.append(float(table["radius"][table["eefraction"].searchsorted(0.7)]))
    # A core of 1.6 / 2.355 = 0.679 pixel; one box more than in it, or four: sqrt(0.545 / 0.795) of the radius.
    assert radii[0] / radii[1] == pytest.approx(np.sqrt((0.679**2 + 1 / 12) / (0.679**2 + 4 / 12)), abs=0.04)
    assert radii[1] > radii[0]


def test_scene_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="2 detectors, but MIRIMAGE exposes with at most 1"):
        Scene("miri_f1130w", detectors=2)
    with pytest.raises(ValueError, match="mispointings: there is no exposure 3 among 2"):
        Scene(exposures=2, mispointings={3: (1.0, 0.0)})
    with pytest.raises(ValueError, match="blank: there is no exposure 0 among 2"):
        Scene(exposures=2, blank=(0,))
