"""Stripes of 1/f noise are taken off, and no light of sources with them."""

import numpy as np
import pytest

from calflow.science.cleaning.clean_flicker_noise import clean_flicker_noise
from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning
from calflow.science.cleaning.clipped_lines import clip, statistics
from calflow.science.cleaning.source_mask import SMALL, UNKNOWN, find_light, sky_level
from calflow.science.cleaning.step import Facts
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image
from calflow.simulation import Artefacts
from calflow.simulation.artefacts import readout_noise

N = 256
ROWS = Facts("a", "rate", slow_axis=2, subarray="FULL")


def exposure(sci, dq=None):
    ones = np.ones(sci.shape, np.float32)
    return Image(sci.astype(np.float32), ones, np.zeros(sci.shape, np.uint32) if dq is None else dq, ones, ones)


def cleaned(sci, facts=ROWS, dq=None, inputs=None, **parameters):
    return clean_flicker_noise(
        exposure(sci, dq), FlickerCleaning(**{"wide": True} | parameters), facts, **(inputs or {})
    )


def white(seed=0):
    return np.random.default_rng(seed).normal(10, 1, (N, N)).astype(np.float32)


def blob(fwhm, peak, centre=(N // 2, N // 2)):
    y, x = np.mgrid[:N, :N]
    return peak * np.exp(-4 * np.log(2) * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / fwhm**2)


@pytest.fixture(scope="module")
def striped():
    """Sky with white noise and with stripes, and the stripes."""
    stripes = readout_noise(Artefacts(flicker=0.5), (N, N), 1.0, 4, np.random.default_rng(5))
    return white() + stripes, stripes


def test_a_constant_stripe_is_removed_exactly():
    sci = np.full((N, N), 7.0)
    sci[100] += 0.5
    out = cleaned(sci, snr_threshold=1e9).sci
    np.testing.assert_allclose(out, 7.0 + 0.5 / N, atol=1e-5)  # the mean of all stripes stays in the image


def test_nothing_is_taken_off_where_there_is_none():
    result = cleaned(np.full((N, N), 7.0))
    np.testing.assert_array_equal(result.sci, np.float32(7))
    assert not result.variance.any()
    assert result.figures["stripes"] == 0


@pytest.mark.parametrize("method", ["stripes", "median"])
def test_columns_are_cleaned_as_rows_are(striped, method):
    sci = striped[0]
    along_rows = cleaned(sci, fit_method=method)
    turned = cleaned(sci.T, Facts("a", "rate", slow_axis=-1, subarray="FULL"), fit_method=method)
    by_hand = cleaned(sci.T, fit_method=method, lines="columns")
    np.testing.assert_array_equal(turned.sci, along_rows.sci.T)
    np.testing.assert_array_equal(by_hand.sci, turned.sci)
    np.testing.assert_array_equal(turned.variance, along_rows.variance.T)


def test_without_an_axis_it_says_what_to_set():
    with pytest.raises(ValueError, match="SLOWAXIS: set lines to rows or columns"):
        cleaned(white(), Facts("a", "rate"))


def test_lines_are_left_with_little_more_than_white_noise(striped):
    sci, stripes = striped
    result = cleaned(sci)
    left = (result.sci - sci + stripes).mean(axis=1)
    floor = 1 / np.sqrt(N)
    assert stripes.mean(axis=1).std() > 7 * floor
    assert left.std() < 1.35 * floor
    # It knows how well it did, and what it took off.
    assert result.figures["error"] == pytest.approx(left.std(), rel=0.25)
    assert result.figures["stripes"] == pytest.approx(0.5, rel=0.2)


def test_the_sky_stays(striped):
    for parameters in ({}, {"fit_method": "median", "background_method": "none"}):
        assert cleaned(striped[0], **parameters).sci.mean() == pytest.approx(10, abs=0.02)


@pytest.mark.parametrize(("fwhm", "peak"), [(12, 30), (20, 3), (30, 30)])
def test_light_of_sources_stays(striped, fwhm, peak):
    assert abs(lost(striped[0], blob(fwhm, peak))) < 0.02


def test_less_light_is_lost_than_to_medians_of_lines(striped):
    source = blob(40, 1)
    skies = [white(seed) + striped[1] for seed in range(3)]
    ours, medians = (np.mean([lost(sky, source, **how) for sky in skies]) for how in ({}, {"fit_method": "median"}))
    assert abs(ours) < 0.25 * medians


def lost(sci, source, **parameters):
    """Return which part of the light of a source is taken off."""
    change = cleaned(sci + source, **parameters).sci - cleaned(sci, **parameters).sci - source
    bright = source > source.max() / 16
    return -(change - np.median(change))[bright].sum() / source.sum()


def test_a_nebula_that_fills_lines_is_no_stripe(striped):
    sci, _ = striped
    nebula = np.where(np.arange(N) < N // 2, 5.0, 0.0)[:, None] + blob(40, 5, (60, 100))
    change = cleaned(sci + nebula).sci - sci - nebula
    # What lies across the step of the sky is no part of the test.
    assert abs(change[8 : N // 2 - 24].mean() - change[N // 2 + 24 :].mean()) < 0.1


def test_wide_stripes_are_left_where_light_may_be_taken_for_them(striped):
    sci, _ = striped
    ramp = 6 * np.sin(np.pi * np.arange(N) / N)[:, None]  # alike in all columns
    result = cleaned(sci + ramp)
    assert result.figures["risk"] > 1
    assert result.figures["left"] == "wide stripes, which cannot be told from light"
    inner = slice(16, -16)
    assert np.std((result.sci - ramp - cleaned(sci, wide=False).sci)[inner]) < 0.02 * np.std(ramp)
    assert "left" not in cleaned(sci).figures


def test_stripes_have_not_gone_through_the_response(striped):
    sky, stripes = white() - 10, striped[1]
    flat = (1 + 0.3 * np.linspace(-1, 1, N)[:, None] * np.ones((1, N))).astype(np.float32)
    result = cleaned(100 * flat + sky + stripes, inputs={"flat": flat})
    left = result.sci - 100 * flat - sky
    assert left.mean(axis=1).std() < 1.5 / np.sqrt(N)


def test_wide_stripes_are_left_without_a_flat_that_tells_them_from_the_response():
    sci = 10 + np.zeros((N, N))
    sci[100:164] += 0.1
    np.testing.assert_allclose(cleaned(sci, wide=None).sci[130], 10.1, atol=1e-3)
    ones = np.ones((N, N), np.float32)
    for given in ({"wide": True}, {"wide": None, "inputs": {"flat": ones}}):
        narrow_too = sci + np.random.default_rng(1).normal(0, 0.1, (N, 1))
        out = cleaned(narrow_too, **given).sci
        assert abs(out[104:160].mean() - out[:96].mean()) < 0.03


def test_amplifiers_get_levels_of_their_own_if_they_have_any():
    left = []
    for seed in range(3, 9):
        stripes = readout_noise(Artefacts(channel_flicker=1.0), (N, N), 1.0, 4, np.random.default_rng(seed))
        both, whole = (cleaned(white() + stripes, fit_by_channel=own).sci - white() for own in (True, False))
        left.append([image[:, :64].mean(axis=1).std() for image in (both, whole)])
    both_left, whole_left = np.mean(left, axis=0)
    assert both_left < 0.5 * whole_left
    subarray = cleaned(white() + stripes, Facts("a", "rate", slow_axis=2, subarray="SUB256"), fit_by_channel=True)
    np.testing.assert_array_equal(subarray.sci - white(), whole)


def test_amplifiers_that_have_none_share_the_level_of_the_line(striped):
    sci, stripes = striped
    left = cleaned(sci, fit_by_channel=True).sci - sci + stripes
    assert left[:, :64].mean(axis=1).std() < 1.7 / np.sqrt(N)  # alone, 64 pixels give 2 / sqrt(N)


def test_flagged_pixels_do_not_count_and_are_cleaned():
    sci, dq = np.full((N, N), 7.0), np.zeros((N, N), np.uint32)
    sci[:, ::2] = 1000.0
    dq[:, ::2] = FLAGS["JUMP_DET"]
    sci[40] += 1.0
    out = cleaned(sci, dq=dq, snr_threshold=1e9)
    np.testing.assert_allclose(out.sci[40], sci[40] - 1 + 1 / N, atol=1e-3)
    assert out.figures["used"] == 0.5
    assert out.dq is None


def test_nan_stay_and_change_nothing_else(striped):
    sci, _ = striped
    holes = sci.copy()
    holes[100, 50:60] = np.nan
    out = cleaned(holes).sci
    np.testing.assert_array_equal(np.isnan(out), np.isnan(holes))
    assert np.nanmax(np.abs(out - cleaned(sci).sci)) < 0.2


def test_masks_are_taken_as_given():
    sci = np.full((N, N), 7.0)
    sci[40] += 1.0
    sci[40, 100:] += 3.0
    mask = np.ones((N, N), np.float32)
    mask[40, 100:] = 0
    for inputs in ({"user_mask": mask}, {"sources": 1 - mask}):
        out = cleaned(sci, inputs=inputs, snr_threshold=1e9).sci
        np.testing.assert_allclose(out[40, 150], 10 + 1 / N, atol=1e-3)


def test_wide_light_is_no_wide_stripe_and_narrow_ones_are_told_from_it_all_the_same():
    """Light along a third of a line; no noise, and no source is looked for."""
    y, x = np.mgrid[:N, :N]
    stripes = np.random.default_rng(3).normal(0, 0.1, (N, 1)) + 0.1 * np.sin(2 * np.pi * y / N)
    light = 0.4 * np.exp(-(((x - 64) / 30) ** 2) - ((y - 130) / 40) ** 2)
    sci = 10 + stripes - stripes.mean() + light
    mask = np.where(light > 1e-3, -1, 0).astype(np.float32)
    left = {}
    for name, inputs in (("none", {}), ("wide", {"sources": mask}), ("source", {"sources": -mask})):
        result = cleaned(sci, inputs=inputs, snr_threshold=1e9)
        left[name] = np.abs(result.sci - 10 - light).max(), result.figures["used"]
    assert left["none"][0] > 0.05
    assert left["wide"][0] < 0.01
    assert left["source"][0] < 0.01
    assert left["wide"][1] == 1
    assert left["source"][1] == pytest.approx(np.mean(mask == 0), abs=0.001)


@pytest.fixture
def covered(striped):
    """An exposure with stripes of which a source covers three quarters of each line: with its mask and its light."""
    light = np.zeros((N, N), np.float32)
    light[:, N // 4 :] = 2 + np.cos(np.arange(N)[:, None] / 5) * np.cos(np.arange(N - N // 4) / 7)
    sources = np.where(light > 0, SMALL, 0).astype(np.float32)
    return striped[0] + light, striped[1], sources, light


def test_where_light_is_known_all_pixels_tell_of_stripes(covered):
    """Lines of which a quarter is left scatter by twice what white noise leaves, with the light by that."""
    sci, stripes, sources, light = covered
    scatter = {}
    for name, inputs in {"mask": {}, "light": {"light": light}}.items():
        left = (cleaned(sci, inputs={"sources": sources, **inputs}).sci - sci + stripes).mean(axis=1)
        scatter[name] = np.std(np.diff(left)) / np.sqrt(2) * np.sqrt(N)
    assert scatter["mask"] == pytest.approx(2.0, abs=0.3)
    assert scatter["light"] == pytest.approx(1.0, abs=0.15)


def test_light_that_a_line_has_lost_before_is_not_lost_again(covered):
    """Of 0.5 that all exposures have lost in a line 1/26 stays lost: what the line is believed is 25/26."""
    sci, _, sources, light = covered
    noise = np.random.default_rng(8).uniform(-0.8, 0.8, (N, N)).astype(np.float32)  # none is cut
    lost = light + noise
    lost[100] -= 0.5
    before, after = (cleaned(sci, inputs={"sources": sources, "light": each}).sci for each in (light + noise, lost))
    change = (after - before).mean(axis=1)
    # A line is a sixteenth of the block whose mean its level is relative to.
    assert change[100] == pytest.approx(-0.5 / 26, abs=0.01)
    others = np.abs(np.delete(change, 100))
    assert np.median(others) < 0.001
    assert others.max() < 0.03  # of lines in which a few other pixels are free


def test_a_profile_of_the_sky_that_the_light_has_stays():
    """A glow along the lines looks like wide stripes; they are left, and that is told."""
    glow = 3 * np.sin(np.arange(N) / 40)[:, None] * np.ones(N)
    stripes = readout_noise(Artefacts(flicker=0.1), (N, N), 1.0, 4, np.random.default_rng(5))
    light = (glow + np.random.default_rng(8).normal(0, 0.5, (N, N))).astype(np.float32)
    result = cleaned(white() + stripes + glow, inputs={"sources": np.zeros((N, N), np.float32), "light": light})
    taken = (white() + stripes + glow - result.sci).mean(axis=1)
    assert np.polyfit(glow[:, 0], taken, 1)[0] == pytest.approx(0, abs=0.03)
    assert result.figures["shared"] > 1
    assert result.figures["left"] == "wide stripes that the combined image has, too, which cannot be told from its sky"


def test_large_light_that_is_not_known_is_no_wide_stripe(covered):
    """Scattered light of 0.75 on the mean of a line, which the combined image has not."""
    sci, _, sources, light = covered
    with_what = {"sources": sources, "light": light}
    scattered = blob(64, 3.0).astype(np.float32)
    assert scattered.mean(axis=1).max() == pytest.approx(0.79, abs=0.05)
    taken = [(each - cleaned(each, inputs=with_what).sci).mean(axis=1) for each in (sci, sci + scattered)]
    assert np.std(taken[1] - taken[0]) < 0.05


def test_where_light_is_not_known_pixels_do_not_count(covered):
    sci, _, sources, light = covered
    sources[:, :64] = UNKNOWN
    with_what = {"sources": sources, "light": light}
    other = sci.copy()
    other[::3, :64] += 100
    changes = [cleaned(each, inputs=with_what).sci - each for each in (sci, other)]
    np.testing.assert_allclose(*changes, atol=1e-4)


def test_columns_with_known_light_are_cleaned_as_rows_are(covered):
    sci, _, sources, light = covered
    along_rows = cleaned(sci, inputs={"sources": sources, "light": light})
    turned = cleaned(sci.T, lines="columns", inputs={"sources": sources.T, "light": light.T})
    np.testing.assert_array_equal(turned.sci, along_rows.sci.T)


def test_the_response_is_put_on_the_light(covered):
    """Light is given as it falls on the detector: it is taken off times the response of a pixel."""
    sci, stripes, sources, light = covered
    flat = np.random.default_rng(3).normal(1, 0.1, (N, N)).astype(np.float32)
    seen = (sci - stripes) * flat + stripes
    left = cleaned(seen, inputs={"sources": sources, "light": light, "flat": flat}).sci - seen + stripes
    assert np.std(np.diff(left.mean(axis=1))) / np.sqrt(2) * np.sqrt(N) == pytest.approx(1.0, abs=0.15)


def test_stripes_of_the_sky_are_told_from_those_of_the_flat():
    flat = np.ones((N, N), np.float32)
    flat[::2] = 0.9
    out = cleaned(10 * flat, inputs={"flat": flat}).sci
    np.testing.assert_allclose(out, 10 * flat, rtol=1e-6)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ValueError, match="no pixel can be used"):
        cleaned(np.full((N, N), np.nan))
    with pytest.raises(ValueError, match=r"flat has the shape \(2, 2\), the exposure \(256, 256\)"):
        cleaned(white(), inputs={"flat": np.ones((2, 2), np.float32)})
    with pytest.raises(ValueError, match="fit_method is 'fft'; it must be one of stripes, median"):
        FlickerCleaning(fit_method="fft")
    with pytest.raises(ValueError, match="'HOTT' is no data quality flag"):
        FlickerCleaning(dqbits="~HOTT")


def test_statistics_without_outliers():
    # 100 is 4.1 standard deviations from the median of all; then nothing is.
    values = np.array([*[1.0, 2.0, 3.0] * 6, 100.0])
    mean, median, deviation = statistics(values)
    assert (mean, median) == (2, 2)
    assert deviation == pytest.approx(np.sqrt(2 / 3))


def test_clipping_looks_at_the_lower_half():
    image = np.array([[-1.0, 0.0, 0.0, 0.0, 1.9, 3.0]])
    # Median 0; mirrored -1, 0, 0, 0, 0, 0, 0, 1: sigma 0.5.
    good = clip(image, np.ones((1, 6), bool), 3, 3, mirrored=True)
    np.testing.assert_array_equal(good, [[True, True, True, True, False, False]])


def test_medians_of_lines_are_those_of_the_contract():
    """A plane of which all medians are whole numbers."""
    sci = np.tile(np.array([8.0, 9.0, 10.0, 11.0, 12.0]), (5, 1))
    sci += np.array([0, 1, 0, -1, 0])[:, None]
    result = cleaned(sci, fit_method="median", n_sigma=0)
    np.testing.assert_allclose(result.sci, np.tile(np.array([8.0, 9.0, 10.0, 11.0, 12.0]), (5, 1)))


def test_sky_is_the_level_below_which_nothing_shines():
    rng = np.random.default_rng(1)
    level, noise = sky_level(np.concatenate([rng.normal(3, 1, 6000), rng.normal(8, 3, 4000)]))
    assert level == pytest.approx(3, abs=0.15)
    assert noise == pytest.approx(1, rel=0.12)
    assert np.isnan(sky_level(np.empty(0))).all()


def test_light_is_found_on_its_scale_alone():
    rng = np.random.default_rng(2)
    faint = blob(60, 0.6)
    image = (rng.normal(0, 1, (N, N)) + faint).astype(np.float32)
    weights = np.ones((N, N), np.float32)
    large = find_light(image, weights, noise=1.0, scales=6, threshold=4.0)
    assert large[faint > 0.3].mean() > 0.95
    assert large[faint < 1e-3].mean() < 0.05
    assert find_light(image, weights, noise=1.0, scales=1, threshold=4.0)[faint > 0.3].mean() < 0.1
