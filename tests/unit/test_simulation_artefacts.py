"""What the simulator adds for cleaning to take out, each with the law that it follows, and told in the truth."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from calflow.science.dq_flags import FLAGS
from calflow.simulation import Artefacts, Scene, simulate
from calflow.simulation.artefacts import flicker_noise, readout_noise
from calflow.simulation.detector import make_detector
from calflow.simulation.exposures import expose
from calflow.simulation.observation import plan_exposures
from calflow.simulation.patterns import Trail, trails_image, wisp_template
from calflow.simulation.persistence import released_rate, trapped_charge
from calflow.simulation.photometry import sky_noise
from calflow.simulation.rendering import peak_fraction
from calflow.simulation.scene import make_sources

SHAPE = (96, 128)


def simulated(**artefacts):
    """Return an exposure, what is in it, and the noise of its pixels."""
    scene = Scene(detector_shape=SHAPE, stars=3, galaxies=1, artefacts=Artefacts(**artefacts))
    sources = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    (exposure,) = plan_exposures(scene)[:1]
    image, signal = expose(exposure, scene, make_detector(scene), sources)
    return image, signal, float(np.nanmedian(image.err))


def test_nothing_is_added_by_default():
    _, signal, _ = simulated()
    assert signal.readout is None
    assert signal.parts == {}
    detector = make_detector(Scene(detector_shape=SHAPE))
    assert not detector.unflagged.any()
    np.testing.assert_array_equal(detector.known_response, detector.response)


def test_readout_noise_is_added_to_every_pixel_and_changes_no_other_noise():
    plain, _, _ = simulated()
    image, signal, noise = simulated(flicker=0.3, pedestal=0.5)
    both = np.isfinite(image.sci) & np.isfinite(plain.sci)
    np.testing.assert_allclose((image.sci - plain.sci)[both], signal.readout[both], atol=1e-3 * noise)
    np.testing.assert_array_equal(image.var_rnoise, plain.var_rnoise)


def test_lines_of_common_noise_have_the_standard_deviation_asked_for():
    noise = readout_noise(Artefacts(flicker=0.3), SHAPE, 2.0, 4, np.random.default_rng(1))
    assert noise.shape == SHAPE
    assert noise[:, :32].mean(axis=1).std() == pytest.approx(0.6, rel=1e-5)
    # The next amplifier reads the other way round.
    np.testing.assert_array_equal(noise[:, :32], noise[:, 63:31:-1])


def test_amplifiers_have_levels_of_their_own():
    noise = readout_noise(Artefacts(pedestal=1.0), SHAPE, 1.0, 4, np.random.default_rng(1))
    assert len(np.unique(noise)) == 4
    assert np.ptp(noise[:, :32]) == 0


def test_flicker_noise_has_the_same_power_in_each_octave():
    """Means of lines, in the order of reading: at each 1 / f as much as at another."""
    powers = []
    for seed in range(8):
        means = flicker_noise(1024, 256, np.random.default_rng(seed)).mean(axis=1)
        power = np.abs(np.fft.rfft(means)) ** 2
        powers.append([power[2**octave : 2 ** (octave + 1)].sum() for octave in range(2, 8)])
    octaves = np.mean(powers, axis=0)
    # The first octave is 4 frequencies of 8 realisations, known to 18 %; a slope of 1 would be a factor of 32.
    np.testing.assert_allclose(octaves / octaves.mean(), 1, atol=0.35)
    assert np.polyfit(range(6), np.log2(octaves), 1)[0] == pytest.approx(0, abs=0.12)


@pytest.mark.parametrize("slow_axis", [1, 2, -1, -2])
def test_lines_lie_across_the_slow_axis_and_the_header_tells_it(tmp_path, slow_axis):
    artefacts = Artefacts(flicker=1.0, slow_axis=slow_axis)
    noise = readout_noise(artefacts, SHAPE, 1.0, 4, np.random.default_rng(1))
    along, across = abs(slow_axis) - 1, 2 - abs(slow_axis)
    assert noise.shape == SHAPE
    assert noise.mean(axis=along).std() > 5 * noise.mean(axis=across).std()
    image = simulate(tmp_path, Scene(detector_shape=SHAPE, exposures=1, stars=1, artefacts=artefacts)).science[0]
    header = fits.getheader(image)
    assert (header["SLOWAXIS"], header["FASTAXIS"]) == (slow_axis, 3 - abs(slow_axis))


def test_a_readout_that_runs_backwards_is_mirrored():
    forwards, backwards = (
        readout_noise(Artefacts(flicker=1.0, slow_axis=axis), SHAPE, 1.0, 4, np.random.default_rng(1))
        for axis in (2, -2)
    )
    np.testing.assert_array_equal(backwards, forwards[::-1])


def test_gradient_rises_from_corner_to_corner():
    plain, sloped = simulated()[1].rate, simulated(gradient=0.5)[1].rate
    plain, sloped = plain[8:-8, 8:-8], sloped[8:-8, 8:-8]
    free = (plain > 0) & (plain < 1.2 * np.median(plain))
    ny, nx = SHAPE
    y, x = np.mgrid[8 : ny - 8, 8 : nx - 8]
    expected = 1 + 0.25 * (y / (ny - 1) + x / (nx - 1))
    assert np.median(np.abs(sloped[free] / plain[free] - expected[free])) < 0.02


def test_nebula_fills_one_half_and_is_the_same_sky_in_all_exposures():
    scene = Scene(detector_shape=SHAPE, stars=0, galaxies=0, artefacts=Artefacts(nebula=5.0))
    sources = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    assert set(sources["type"]) == {"nebula"}
    _, signal, noise = simulated(nebula=5.0)
    excess = (signal.rate - simulated()[1].rate) / noise
    lower, upper = excess[8 : SHAPE[0] // 2], excess[-20:-8]
    assert np.median(lower) > 2
    assert np.median(upper) < 0.5 * np.median(lower)


def test_parts_add_up_to_the_rate():
    """With all that is light switched on, the rate is that of the same scene without, and the parts."""
    switched = {"gradient": 0.5, "wisp": 2.0, "trails": 2, "nebula": 3.0}
    plain, signal = simulated()[1], simulated(**switched)[1]
    assert set(signal.parts) == set(switched)
    np.testing.assert_allclose(
        signal.rate, plain.rate + sum(signal.parts.values()), rtol=1e-5, atol=1e-6 * plain.rate.max()
    )


def test_wisp_is_one_pattern_of_a_detector_with_another_brightness_in_each_exposure():
    scene = Scene(detector_shape=SHAPE, exposures=200, artefacts=Artefacts(wisp=2.0, wisp_scatter=0.3))
    brightness = np.array([exposure.wisp for exposure in plan_exposures(scene)]) / sky_noise(scene)
    assert np.log(brightness).std() == pytest.approx(0.3, rel=0.15)  # 200 of them: known to 5 %
    assert np.median(brightness) == pytest.approx(2.0, rel=0.08)
    detector = make_detector(scene)
    patterns = []
    for exposure in plan_exposures(scene)[:2]:
        wisp = expose(exposure, scene, detector, make_sources(scene, 1.0, 1.0)[:0])[1].parts["wisp"]
        patterns.append(wisp / exposure.wisp)
    np.testing.assert_allclose(patterns[0], patterns[1], rtol=1e-4, atol=1e-5 * patterns[0].max())


def test_a_wisp_is_at_most_1_and_the_same_from_the_same_numbers():
    first, again, other = (wisp_template(SHAPE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.max(), first.min() >= 0) == (1.0, True)
    np.testing.assert_array_equal(first, again)
    assert np.corrcoef(first.ravel(), other.ravel())[0, 1] < 0.9
    assert first[0].max() < 0.5


def test_a_trail_is_straight_and_as_wide_as_told():
    """From (10, 0) at 45 degrees: half of the brightness is half a width away from the line y = x - 10."""
    trail = Trail(10.0, 0.0, 45.0, 8.0, 6.0)
    image = trails_image((trail,), (60, 80))
    rows = np.arange(60)
    np.testing.assert_allclose(image[rows, rows + 10], 6.0, rtol=1e-5)
    assert trail.distance((60, 80))[20, 40] == pytest.approx(10 / np.sqrt(2))
    y, x = np.mgrid[:60, :80]
    away = np.abs(x - y - 10) / np.sqrt(2)
    assert image[away < 3.99].min() > 3.0 > image[away > 4.01].max()


def test_trails_cross_science_exposures_alone():
    scene = Scene(detector_shape=SHAPE, exposures=2, backgrounds=1, artefacts=Artefacts(trails=3, trail_width=5.0))
    first, second, background = plan_exposures(scene)
    assert (len(first.trails), len(second.trails), background.trails) == (3, 3, ())
    assert {trail.width for trail in first.trails} == {5.0}
    assert first.trails != second.trails


def test_errors_of_the_flat_are_in_the_response_and_not_in_the_reference(tmp_path):
    scene = Scene(
        detector_shape=SHAPE, exposures=1, bad_pixels=0.0, artefacts=Artefacts(flat_error=0.03), save_signal=True
    )
    truth = simulate(tmp_path, scene)
    plain = simulate(tmp_path / "plain", replace(scene, artefacts=Artefacts()))
    np.testing.assert_array_equal(*(fits.getdata(one.references["flat"], "SCI") for one in (truth, plain)))
    inner = slice(8, -8)
    error = fits.getdata(tmp_path / "truth" / "nrcb1.fits", "RESPONSE")[inner, inner] - 1
    assert error.std() == pytest.approx(0.03, rel=0.1)
    # Half of the variance is in spots: neighbours have it in common.
    assert np.mean(error[1:] * error[:-1]) / error.var() == pytest.approx(0.5, abs=0.1)
    detector = make_detector(scene)
    np.testing.assert_allclose(
        detector.response[inner, inner] / make_detector(plain.scene).response[inner, inner] - 1, error, atol=1e-6
    )


def test_warm_pixels_are_brighter_and_open_ones_give_their_light_to_their_neighbours():
    scene = Scene(detector_shape=SHAPE, artefacts=Artefacts(warm=0.005, open=0.002))
    detector, plain = make_detector(scene), make_detector(replace(scene, artefacts=Artefacts()))
    np.testing.assert_array_equal(detector.dq, plain.dq)  # no flag tells of them
    warm = detector.unflagged == FLAGS["WARM"]
    assert warm.sum() == pytest.approx(0.005 * warm.size, abs=1)
    noise = sky_noise(scene) / scene.preset.photmjsr
    excess = (detector.dark_rate - plain.dark_rate) / noise
    assert excess[warm].min() >= 3
    assert not excess[~warm].any()
    unconnected = np.argwhere(detector.unflagged == FLAGS["OPEN"])
    assert 15 < len(unconnected) <= 25
    for y, x in unconnected:
        change = (detector.response - plain.response)[y - 1 : y + 2, x - 1 : x + 2]
        lost = 0.8 * plain.response[y, x]
        expected = np.array([[0, lost / 4, 0], [lost / 4, -lost, lost / 4], [0, lost / 4, 0]])
        np.testing.assert_allclose(change, expected, atol=1e-6)
        assert (detector.unflagged[[y - 1, y + 1, y, y], [x, x, x - 1, x + 1]] == FLAGS["ADJ_OPEN"]).all()


def test_traps_hold_what_is_above_half_of_the_full_well():
    """A full pixel traps the fraction of its charge, one that is three quarters full half of that, half full none."""
    rate = np.array([0.0, 50.0, 75.0, 100.0, 400.0], np.float32)
    np.testing.assert_allclose(trapped_charge(rate, 10.0, 1000.0, 0.02), [0, 0, 10, 20, 20], atol=1e-5)


def test_what_is_trapped_comes_out_exponentially_and_all_of_it():
    assert released_rate(0, 1e-3, 500.0) == pytest.approx(1 / 500, rel=1e-5)
    assert released_rate(1000, 100, 500.0) / released_rate(0, 100, 500.0) == pytest.approx(np.exp(-2))
    assert sum(100 * released_rate(start, 100, 500.0) for start in range(0, 10000, 100)) == pytest.approx(1, abs=1e-8)


def test_a_star_is_seen_two_exposures_later_where_it_was():
    """Exposures of 1030.7 s with 95 s between them; only the first shows the star."""
    scene = Scene(
        detector_shape=SHAPE, exposures=3, stars=1, galaxies=0, star_snr=(9000, 9100), blank=(2, 3), dither_step=2.0,
        bad_pixels=0.0, artefacts=Artefacts(persistence=0.01, persistence_time=2000.0),
    )  # fmt: skip
    sources = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    exposures, detector = plan_exposures(scene), make_detector(scene)
    first, second, third = (
        expose(exposure, scene, detector, sources, exposures[:number])[1] for number, exposure in enumerate(exposures)
    )
    assert "persistence" not in first.parts
    full = scene.preset.full_well
    charge = first.rate * scene.preset.integration_time
    trapped = 0.01 * 2 * np.clip(charge - full / 2, 0, full / 2)
    assert trapped.max() == pytest.approx(0.01 * full)
    expected = trapped * (np.exp(-95 / 2000) - np.exp(-(95 + 1030.7) / 2000)) / 1030.7
    np.testing.assert_allclose(second.parts["persistence"], expected, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(
        third.parts["persistence"], expected * np.exp(-(95 + 1030.7) / 2000), rtol=1e-4, atol=1e-9
    )
    np.testing.assert_array_equal(second.parts["persistence"] > 0, charge > full / 2)


def test_the_truth_of_a_scene_tells_all_that_was_added(tmp_path):
    switched = Artefacts(flicker=0.2, gradient=0.1, nebula=1.0, wisp=1.0, trails=1, persistence=0.01, warm=0.01)
    scene = Scene(detector_shape=(64, 64), exposures=2, stars=2, artefacts=switched, save_signal=True)
    truth = simulate(tmp_path, scene)
    with fits.open(tmp_path / "truth" / f"{truth.exposures[1].name}_signal.fits") as hdus:
        assert {hdu.name for hdu in hdus[1:]} == {
            "RATE", "COSMIC_RAYS", "READOUT", "GRADIENT", "NEBULA", "WISP", "TRAILS", "PERSISTENCE",
        }  # fmt: skip
    with fits.open(tmp_path / "truth" / "nrcb1.fits") as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["RESPONSE", "UNFLAGGED", "WISP"]
        assert hdus["WISP"].data.max() == 1
        assert (hdus["UNFLAGGED"].data == FLAGS["WARM"]).sum() == 41
    told = json.loads((tmp_path / "truth.json").read_text())["exposures"]
    assert [each["wisp_mjysr"] for each in told] == [exposure.wisp for exposure in truth.exposures]
    assert told[0]["trails"] == [vars(trail) for trail in truth.exposures[0].trails]


def test_artefacts_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="slow_axis: 3, but there are axes 1 and 2"):
        Artefacts(slow_axis=3)
    with pytest.raises(ValueError, match=r"warm: 0\.5 is no part from 0 to 0\.1"):
        Artefacts(warm=0.5)
    with pytest.raises(ValueError, match="trail_width"):
        Artefacts(trail_width=0)
