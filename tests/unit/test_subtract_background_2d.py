"""A smooth background is subtracted, and no light of sources with it."""

import numpy as np
import pytest

from calflow.science.cleaning import subtract_background_2d as step
from calflow.science.cleaning.step import Facts
from calflow.science.cleaning.subtract_background_2d import subtract_background_2d
from calflow.science.cleaning.subtract_background_2d_parameters import BackgroundRemoval
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

N = 320


def sky(x, y):
    """Pixels of 0.1 arcsec."""
    return np.stack([x / 36000, y / 36000], axis=-1)


FACTS = Facts("a", "cal", slow_axis=2, sky=sky)
Y, X = np.mgrid[:N, :N] / N


def cleaned(sci, facts=FACTS, dq=None, sources=None, **parameters):
    ones = np.ones(sci.shape, np.float32)
    planes = Image(sci.astype(np.float32), ones, np.zeros(sci.shape, np.uint32) if dq is None else dq, ones, ones)
    return subtract_background_2d(planes, BackgroundRemoval(**parameters), facts, sources=sources)


def white(seed=0):
    return np.random.default_rng(seed).normal(0, 1, (N, N))


def blob(fwhm, peak, centre=(0.5, 0.5)):
    return peak * np.exp(-4 * np.log(2) * ((Y - centre[0]) ** 2 + (X - centre[1]) ** 2) * (N / fwhm) ** 2)


def test_a_plane_is_removed_exactly():
    out = cleaned(5 + 3 * X - 2 * Y)
    np.testing.assert_allclose(out.sci, 0, atol=1e-4)
    assert out.figures["level"] == pytest.approx(5.5, abs=0.01)


def test_a_smooth_background_is_removed():
    bump = np.cos(2 * np.pi * X) * np.cos(2 * np.pi * Y)
    out = cleaned(20 + bump + white(), filter_size=5.0, snr_threshold=20.0)
    left = out.sci - white()
    assert np.std(left[16:-16, 16:-16]) < 0.35 * np.std(bump)


@pytest.mark.parametrize(("fwhm", "peak", "most"), [(5, 50, 0.005), (20, 5, 0.005), (60, 3, 0.015)])
def test_light_of_sources_stays(fwhm, peak, most):
    source = blob(fwhm, peak)
    change = cleaned(20 + white() + source).sci - cleaned(20 + white()).sci - source
    assert abs(change[source > peak / 16].sum()) < most * source.sum()


def test_what_differs_from_a_plane_by_chance_is_left():
    faint = blob(60, 0.5, (0.3, 0.6))
    image = 20 + 2 * X + white() + faint
    change = cleaned(image).sci - image
    # A plane has no curvature: neither noise nor the light is in what was taken off.
    np.testing.assert_allclose(np.diff(change[::40, ::40], 2, axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(change, -20 - 2 * X, atol=0.03)


def test_it_says_what_it_left(monkeypatch):
    image = 20 + white()
    assert "left" not in cleaned(image).figures
    monkeypatch.setattr(step, "_scatter", lambda *_: (0.0, 9.0))  # bright in parts, and nothing below the sky
    result = cleaned(image)
    assert result.figures["left"].startswith("what is no plane, which cannot be told from light; of light that fills")
    assert np.std(np.diff(result.sci - image, 2, axis=1)) < 1e-3


def test_a_bright_patch_scatters_above_the_level_alone():
    smooth = np.random.default_rng(0).normal(0, 0.1, (30, 30))
    smooth[:6, :6] += 2
    below, in_all = step._scatter(smooth, np.full((30, 30), 100.0))
    assert below == pytest.approx(1, rel=0.15)
    assert in_all == pytest.approx(np.hypot(1, 20 * 0.2), rel=0.1)


def test_a_nebula_in_one_corner_stays():
    nebula = blob(120, 10, (0.2, 0.2))
    change = cleaned(20 + white() + nebula).sci - white() - nebula
    change -= np.median(change[200:, 200:])
    assert abs(change[nebula > 5].mean()) < 0.1


def clumps(seed):
    """A nebula of clumps of all sizes that fills the lower half."""
    random = np.random.default_rng(seed)
    sizes, peaks = np.geomspace(10, 150, 40), random.uniform(0.5, 3, 40)
    places = random.uniform((0, 0), (0.5, 1), (40, 2))
    return sum(blob(*each) for each in zip(sizes, peaks, places, strict=True))


@pytest.mark.parametrize("gradient", [0, 1, 8])
@pytest.mark.parametrize("seed", range(6))
def test_a_nebula_that_fills_the_field_stays_with_what_it_lies_on(seed, gradient):
    image = 20 + gradient * X + white(seed) + clumps(seed)
    result = cleaned(image)
    assert result.changes_nothing
    assert result.figures["left"].startswith("the background, which cannot be told from light: ")
    assert cleaned(image, protect=False).sci is not None


def field(seed):
    """Five stars and galaxies."""
    places = np.random.default_rng(seed).uniform(0, 1, (5, 2))
    return sum(blob(*each) for each in zip((3, 5, 10, 20, 40), (9, 9, 5, 3, 1), places, strict=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_gradient_goes_if_what_is_no_plane_is_little_and_changes_by_chance(seed):
    waves = 0.08 * np.cos(2 * np.pi * X) * np.cos(2 * np.pi * Y)
    result = cleaned(20 + 8 * X + waves + white(seed) + field(seed))
    assert result.figures["risk"] > step.MOST_RISK
    assert np.std(result.sci - white(seed) - field(seed)) < 0.04


@pytest.mark.parametrize("gradient", [0, 1, 8])
@pytest.mark.parametrize("seed", range(3))
def test_a_gradient_below_stars_and_galaxies_goes(seed, gradient):
    sources = field(seed)
    result = cleaned(20 + gradient * X + white(seed) + sources)
    left = result.sci - white(seed) - sources
    assert np.std(left) < 0.03
    assert result.figures["light"] < 0.5


def test_only_the_levels_of_amplifiers_go_where_the_rest_cannot_be_told():
    steps = np.repeat([0.0, 5.0, -5.0, 5.0], N // 4)
    image = 20 + white() + clumps(1) + steps
    result = cleaned(image, amplifiers=4)
    assert "left" in result.figures
    levels = (result.sci - image).reshape(N, 4, N // 4)
    assert np.ptp(levels, axis=(0, 2)).max() < 1e-4
    # The nebula is not the same on both sides of a border.
    np.testing.assert_allclose(np.diff(levels[0, :, 0]), [-5, 10, -10], atol=1)


def test_light_that_is_given_does_not_count_as_found():
    """The mask tells what the sky is, though light covers more than half of the field."""
    source = np.where(X < 0.7, 2.0, 0.0)
    image = 20 + 2 * Y + white() + source
    assert cleaned(image).changes_nothing or cleaned(image).figures["light"] < 0.5
    result = cleaned(image, sources=(source > 0).astype(np.float32))
    assert result.figures["light"] < 0.1
    np.testing.assert_allclose(result.sci - white() - source, 0, atol=0.1)


def test_sources_are_taken_as_given():
    source = np.where(X < 0.25, 0.5, 0.0)
    image = 20 + white() + source
    hidden = cleaned(image, snr_threshold=1e9, sources=(source > 0).astype(np.float32)).sci - white()
    taken = cleaned(image, snr_threshold=1e9).sci - white()
    assert hidden[source > 0].mean() == pytest.approx(0.5, abs=0.02)
    assert taken[source > 0].mean() < 0.2


@pytest.mark.parametrize("slow_axis", [2, -1])
def test_levels_of_amplifiers_go(slow_axis):
    steps = np.repeat([0.0, 2.0, -1.0, 1.0], N // 4) * np.ones((N, 1))
    image = 20 + X + Y + steps
    if slow_axis == -1:
        image = image.T
    out = cleaned(image, Facts("a", "cal", slow_axis=slow_axis, sky=sky), amplifiers=4)
    # A gradient makes each difference wrong by what it is over the width of the borders.
    assert np.abs(out.sci).max() < 0.2
    assert out.figures["steps"] == pytest.approx(np.std(steps), rel=0.1)


def test_flagged_pixels_do_not_count_and_nan_stay():
    sci, dq = np.full((N, N), 5.0), np.zeros((N, N), np.uint32)
    sci[:, ::2], dq[:, ::2] = 1000, FLAGS["DO_NOT_USE"]
    sci[10, 11] = np.nan
    out = cleaned(sci, dq=dq)
    np.testing.assert_allclose(out.sci[20, :4], [995, 0, 995, 0], atol=1e-3)
    assert np.isnan(out.sci[10, 11])
    assert np.isfinite(out.variance).all()
    assert out.dq is None


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ValueError, match="no world coordinates: box_size is in arcsec"):
        cleaned(white(), Facts("a", "cal"))
    with pytest.raises(ValueError, match="no pixel can be used"):
        cleaned(np.full((N, N), np.nan))
    with pytest.raises(ValueError, match=r"sources has the shape \(2, 2\)"):
        cleaned(white(), sources=np.ones((2, 2)))
    with pytest.raises(ValueError, match="box_size is 0; it must be larger than 0"):
        BackgroundRemoval(box_size=0)
