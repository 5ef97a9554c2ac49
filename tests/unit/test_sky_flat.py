"""What is left of the response of the pixels is found from the sky of many exposures, and divided out."""

from dataclasses import replace

import numpy as np
import pytest

from calflow.science.cleaning.sky_flat import collect_sky_flat, sky_flat, smoothed_flat
from calflow.science.cleaning.sky_flat_parameters import SkyFlat
from calflow.science.cleaning.step import Cleaned, Facts, with_cleaned
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

N = 96
FACTS = Facts("a", "cal")
Y, X = np.mgrid[:N, :N] / N
RESPONSE = 1 + np.random.default_rng(99).normal(0, 0.03, (N, N)).clip(-0.1, 0.1)
RESPONSE[20:30, 40:60] -= 0.05
RESPONSE /= np.median(RESPONSE)


def exposure(seed, level=100.0, response=RESPONSE, stars=8):
    """Noise of 1 on a sky of 80 to 120 per cent of the level, with stars."""
    random = np.random.default_rng(seed)
    sky = level * random.uniform(0.8, 1.2) * np.ones((N, N))
    for x, y in random.uniform(0, 1, (stars, 2)):
        sky += random.uniform(0.5, 20) * level * np.exp(-((X - x) ** 2 + (Y - y) ** 2) * N**2 / 2 / 1.5**2)
    sci = sky * response + random.normal(0, 1, (N, N))
    return Image(sci.astype(np.float32), np.ones((N, N), np.float32), np.zeros((N, N), np.uint32))


def collected(number=12, facts=FACTS, parameters=None, **scene):
    return collect_sky_flat(((exposure(n, **scene), facts) for n in range(number)), parameters or SkyFlat())


def test_the_flat_lies_within_its_error_of_the_response():
    found = collected()
    known = found["error"] > 0
    assert known.mean() > 0.95
    difference = (found["flat"] - RESPONSE)[known]
    assert np.median(found["error"][known]) == pytest.approx(0.01 / np.sqrt(12), rel=0.2)
    # The threshold for sources is in sigma of the scatter, of which the response is a part.
    assert np.median(np.abs(difference)) / 0.6745 < 1.5 * 0.01 / np.sqrt(12)
    assert np.median(found["flat"]) == pytest.approx(1, abs=1e-3)
    assert (found["flat"][~known] == 1).all()


def test_it_takes_the_response_out():
    planes = exposure(100, stars=0)
    cleaned = sky_flat(planes, SkyFlat(), FACTS, collected=collected())
    assert np.std(planes.sci) / np.mean(planes.sci) > 0.03
    assert np.std(cleaned.sci) / np.mean(cleaned.sci) < 0.012  # noise of 1 per cent, 0.3 of the flat
    assert cleaned.figures["corrects"] == pytest.approx(3.0, abs=0.3)
    assert cleaned.figures["error"] == pytest.approx(0.29, abs=0.05)
    assert cleaned.figures["pixels"] > 0.95 * N * N
    assert "left" not in cleaned.figures


def test_signal_errors_and_variances_by_hand():
    """100 +- 3 over 0.5 +- 0.01 is 200 with an error of 6 of the signal and of 4 of the flat."""
    flat = {"flat": np.full((2, 4), 0.5), "error": np.full((2, 4), 0.01), "first_pixel": np.array([3, 2])}
    flat["flat"][:, ::2] = 2.0
    nine = np.full((2, 2), 9, np.float32)
    parts = (nine - 4, nine - 6, nine - 8)
    planes = Image(np.full((2, 2), 100, np.float32), np.sqrt(nine), np.zeros((2, 2), np.uint32), *parts)
    out = with_cleaned(planes, sky_flat(planes, SkyFlat(), replace(FACTS, first_pixel=(4, 2)), flat=flat))
    np.testing.assert_allclose(out.sci, [[200, 50]] * 2)
    np.testing.assert_allclose(out.var_poisson[:, 0], 20)
    np.testing.assert_allclose(out.var_rnoise[:, 0], 12)  # which weights pixels, and so does not know the signal
    np.testing.assert_allclose(out.var_flat[:, 0], 4 + 16, rtol=1e-6)
    np.testing.assert_allclose(out.err[:, 0] ** 2, 52, rtol=1e-6)
    np.testing.assert_allclose(out.err[:, 1] ** 2, 1.5**2 + (50 * 0.005) ** 2, rtol=1e-6)


def test_a_flat_that_is_noise_is_not_used():
    found = collected(response=np.ones((N, N)), level=5.0)
    cleaned = sky_flat(exposure(50), SkyFlat(), FACTS, collected=found)
    assert cleaned.sci is None
    assert cleaned.figures["left"] == "the flat of the sky, which has more noise than it corrects"


def test_stars_do_not_get_into_the_flat():
    """Ten exposures of which each has another bright star on the same pixels as one before."""
    without, with_stars = collected(stars=0)["flat"], collected(stars=20)["flat"]
    known = (with_stars != 1) & (without != 1)
    assert np.abs(with_stars - without)[known].max() < 0.04


@pytest.mark.parametrize(("large", "left"), [(True, 1.0), (False, 0.5)])
def test_glow_gets_into_the_flat_only_where_that_is_asked_for(large, left):
    glow = 1 + 0.1 * X
    found = collected(response=glow, parameters=SkyFlat(large_scales=large))
    slope = found["flat"][:, -20:].mean() - found["flat"][:, :20].mean()
    assert slope <= left * 0.082
    assert slope >= 0.06 or not large  # of 0.1 x (1 - 20 / 96), with the median 1: 0.075


def test_flagged_pixels_and_other_windows_do_not_count():
    images = [exposure(n) for n in range(8)]
    for image in images[:4]:
        image.dq[50, 50] |= FLAGS["DO_NOT_USE"]
        image.sci[51, 51] = np.nan
    pairs = [(image, FACTS) for image in images]
    pairs.insert(3, (exposure(20), replace(FACTS, first_pixel=(5, 5))))
    found = collect_sky_flat(iter(pairs), SkyFlat())
    assert found["number"].max() == 8
    assert found["number"][50, 50] == found["number"][51, 51] == 4
    assert found["flat"][50, 50] == 1
    assert found["error"][50, 50] == 0


def test_smoothing_leaves_what_is_large():
    found = collected()
    flat, error = smoothed_flat(found["flat"], found["error"], 3)
    assert np.median(error) < 0.2 * np.median(found["error"])
    block = flat[23:27, 45:55].mean() - flat[60:90, 10:80].mean()
    assert block == pytest.approx(-0.05, abs=0.015)


def divided(planes, found, own=None, **parameters):
    """Return what a flat does to an exposure."""
    return sky_flat(planes, SkyFlat(**parameters), FACTS, flat=found, own=own)


def set_of(number):
    """Exposures of different depths and levels, one with two integrations, and one with a flagged pixel."""
    found = [exposure(n, level=80 + 10 * n) for n in range(number)]
    found[2] = Image(*(np.stack([getattr(each, name) for each in found[:2]]) for name in ("sci", "err", "dq")))
    found[2].err[:] = 2
    found[1].dq[50, 50] |= FLAGS["DO_NOT_USE"]
    return [(planes, replace(FACTS, name=f"exposure {n}", start=60000.0 + n)) for n, planes in enumerate(found)]


def faint(x, y, peak=0.9):
    """Light that is below 3 sigma of a pixel everywhere, and wider than blocks of 16."""
    light = peak * np.exp(-((X * N - x) ** 2 + (Y * N - y) ** 2) / 2 / 12**2)
    return light.astype(np.float32)


@pytest.mark.parametrize("lights", [None, [faint(20 + 8 * n, 40, 3) if n != 4 else None for n in range(7)]])
@pytest.mark.parametrize("left_out", [1, 2, 6])
def test_the_flat_of_an_exposure_is_that_of_the_others(left_out, lights):
    every = set_of(7)
    rest = [n for n in range(7) if n != left_out]
    of_rest = lights and [lights[n] for n in rest]
    others = collect_sky_flat([every[n] for n in rest], SkyFlat(exposures=4), of_rest)
    whole = collect_sky_flat(every, SkyFlat(exposures=5), lights)
    planes = exposure(20)
    cleaned, expected = divided(planes, whole, own=lambda: every[left_out]), divided(planes, others)
    both = (whole["error"] > 0) & (others["error"] > 0)
    assert both.mean() > 0.9
    ratio = (cleaned.sci / expected.sci)[both]
    middle = np.median(ratio)  # it is another pixel that is 1
    assert middle == pytest.approx(1, abs=2e-4)
    np.testing.assert_allclose(ratio, middle, rtol=2e-6)
    np.testing.assert_allclose(cleaned.flat_variance[both], middle**2 * expected.flat_variance[both], rtol=1e-5)
    assert np.std((divided(planes, whole).sci / expected.sci)[both]) > 1e-4


def test_an_exposure_that_is_not_in_a_flat_is_not_left_out_of_it(monkeypatch):
    every = set_of(7)
    whole = collect_sky_flat(every, SkyFlat())
    planes = exposure(20)
    another = replace(FACTS, name="exposure 1", start=60000.5)  # the same name at another time
    np.testing.assert_array_equal(divided(planes, whole, own=lambda: (planes, another)).sci, divided(planes, whole).sci)
    monkeypatch.setattr("calflow.science.cleaning.left_out.MOST", 6)
    many = collect_sky_flat(every, SkyFlat())
    assert set(many) == {"flat", "error", "number", "first_pixel", "level"}  # which does not grow
    np.testing.assert_array_equal(many["flat"], whole["flat"])
    np.testing.assert_array_equal(divided(planes, many, own=lambda: every[1]).sci, divided(planes, whole).sci)


def test_faint_light_that_no_mask_sees_stays():
    """Half a sigma on 25 pixels, of one exposure of twelve: a twelfth of it would be taken off."""
    pairs = [(exposure(n), replace(FACTS, name=str(n))) for n in range(12)]
    with_source = replace(pairs[3][0], sci=pairs[3][0].sci.copy())
    with_source.sci[70:75, 30:35] += 0.5
    full = [*pairs[:3], (with_source, pairs[3][1]), *pairs[4:]]
    planes = with_source, pairs[3][0]
    for own, lost in ((True, 0.0), (False, 1 / 12)):
        clean = [
            divided(each, collect_sky_flat(of, SkyFlat()), own=(lambda of=of: of[3]) if own else None).sci
            for each, of in zip(planes, (full, pairs), strict=True)
        ]
        light = (clean[0] - clean[1])[70:75, 30:35].mean()
        assert light == pytest.approx(0.5 * (1 - lost), abs=0.02)


def test_light_that_a_combined_image_shows_is_not_in_the_flat():
    """Twelve exposures with the same faint light on the same pixels: a flat made of them would have it."""
    light = faint(50, 45)
    pairs = [(exposure(n), replace(FACTS, name=str(n))) for n in range(12)]
    lit = [(replace(planes, sci=planes.sci + light), facts) for planes, facts in pairs]
    flats = [
        collect_sky_flat(each, SkyFlat(), lights)["flat"]
        for each, lights in ((pairs, None), (lit, None), (lit, iter([light] * 12)))
    ]
    shape = light - light.mean()
    known = np.all([flat != 1 for flat in flats], axis=0)
    without, with_light, taken_off = (np.sum(((flat - flats[0]) * shape)[known]) for flat in flats)
    assert without == 0
    # The sky is 100, and has some of the light, which is wide.
    assert with_light * 100 > 0.2 * np.sum((shape**2)[known])
    assert abs(taken_off) < 0.2 * with_light  # what is finer than blocks, on the slopes


def test_too_few_exposures_and_no_flat_are_told():
    with pytest.raises(ValueError, match="no pixel shows the sky in 5 exposures"):
        collected(4)
    subtracted = [Image(each.sci - np.float32(200), each.err, each.dq) for each in map(exposure, range(6))]
    with pytest.raises(
        ValueError, match="no exposure has a sky above 0: a background that is subtracted takes it away"
    ):
        collect_sky_flat([(each, FACTS) for each in subtracted], SkyFlat())
    with pytest.raises(ValueError, match="no 2-D images in extensions FLAT and ERROR"):
        sky_flat(exposure(1), SkyFlat(), FACTS, flat={"sci": np.ones((N, N))})


def test_without_a_factor_errors_stay():
    planes = exposure(1)
    assert with_cleaned(planes, Cleaned(sci=planes.sci * 2)).err is planes.err
