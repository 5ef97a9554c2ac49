"""A pattern of known shape is subtracted as far as it is there, and no light of sources with it."""

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter

from calflow.calibration.extra_steps import _content
from calflow.science.cleaning.left_out import Members
from calflow.science.cleaning.step import Facts
from calflow.science.cleaning.subtract_template import subtract_own_template, subtract_template
from calflow.science.cleaning.subtract_template_parameters import TemplateFit
from calflow.science.cleaning.template_making import _middle, make_template, template_without
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

N = 256
FACTS = Facts("a", "rate")
Y, X = np.mgrid[:N, :N] / N
# A filament 11 pixels wide, sigma; a template of it is smoothed by 8.
WISP = np.exp(-(((Y - 0.35 - 0.2 * X) / 0.06) ** 2 + ((X - 0.5) / 0.3) ** 2)).astype(np.float32)
SMOOTH = gaussian_filter(WISP, 8)
OTHER = np.exp(-(((Y - 0.75) / 0.05) ** 2 + ((X - 0.4) / 0.2) ** 2)).astype(np.float32)


def exposure(sci, dq=None):
    ones = np.ones(sci.shape, np.float32)
    return Image(sci.astype(np.float32), ones, np.zeros(sci.shape, np.uint32) if dq is None else dq, ones, ones)


def noise(seed=0):
    return np.random.default_rng(seed).normal(0, 1, (N, N))


def sources(seed=0):
    """Return stars, and a few galaxies of 5 to 10 pixels."""
    random = np.random.default_rng(seed)
    image = np.zeros((N, N))
    for number in range(20):
        y, x, sigma = *random.uniform(0, 1, 2), random.uniform(5, 10) if number % 4 == 0 else 1.2
        image += random.uniform(2, 8) * np.exp(-((Y - y) ** 2 + (X - x) ** 2) * (N / sigma) ** 2 / 2)
    return image


def subtracted(sci, template=WISP, facts=FACTS, dq=None, region=None, **parameters):
    return subtract_template(exposure(sci, dq), TemplateFit(**parameters), facts, template, region)


@pytest.mark.parametrize("amplitude", [0.5, 2.0, 40.0])
def test_a_template_on_a_sloping_sky_is_subtracted_exactly(amplitude):
    out = subtracted(5 + 3 * X - 2 * Y + amplitude * WISP)
    np.testing.assert_allclose(out.sci, 5 + 3 * X - 2 * Y, atol=2e-4 * amplitude)
    assert out.figures["amplitude"] == pytest.approx(amplitude, rel=1e-3)


def test_the_amplitude_is_right_within_its_error():
    """Of 24 exposures with noise and sources."""
    pulls, errors = [], []
    for seed in range(24):
        figures = subtracted(10 + noise(seed) + sources(seed) + 0.7 * WISP).figures
        pulls.append((figures["amplitude"] - 0.7) / figures["error"])
        errors.append(figures["error"])
    assert abs(np.mean(pulls)) < 3 / np.sqrt(24)
    assert 0.6 < np.std(pulls) < 1.5
    assert np.mean(errors) < 0.06


def test_smooth_light_that_lies_on_the_template_is_no_part_of_it():
    """A galaxy too wide and faint to be found; with a plane beside the template it would be taken for a part of it."""
    glow = 1 * np.exp(-((Y - 0.45) ** 2 + (X - 0.5) ** 2) / (2 * 0.4**2))
    figures = subtracted(10 + glow + 2 * WISP + noise()).figures
    assert figures["amplitude"] == pytest.approx(2, abs=0.2)
    assert abs(figures["amplitude"] - 2) < 3 * figures["error"]
    assert subtracted(10 + glow + 2 * WISP + noise(), sky="plane").figures["amplitude"] > 2.4


def test_what_is_not_there_is_not_subtracted():
    removed = [subtracted(10 + noise(seed) + sources(seed)) for seed in range(12)]
    assert sum(out.sci is not None for out in removed) <= 1  # above three standard deviations
    for out in removed:
        if out.sci is None:
            assert out.figures["amplitude"] == 0
            assert out.figures["left"].startswith("the template, whose amplitude is not significant: ")
            assert out.changes_nothing


def test_a_pattern_that_is_negative_is_left():
    out = subtracted(10 - 3 * WISP)
    assert out.sci is None
    assert out.figures["amplitude"] == 0


def test_pixels_that_cannot_be_used_do_not_count():
    sci, dq = 10 + 2 * WISP + noise(), np.zeros((N, N), np.uint32)
    sci[:100, :100], dq[:100, :100] = 1e6, FLAGS["DO_NOT_USE"]
    sci[200, 200] = np.nan
    assert subtracted(sci, dq=dq).figures["amplitude"] == pytest.approx(2, abs=0.1)


def test_the_region_says_where_it_is_fitted():
    sci = 10 + 2 * WISP + noise()
    sci[: N // 2] += 5 * WISP[: N // 2]  # another one, of which the template knows nothing
    region = (Y > 0.52).astype(np.float32)
    assert subtracted(sci, region=region).figures["amplitude"] == pytest.approx(2, abs=0.15)


def test_sources_that_are_given_do_not_count():
    sci = 10 + 2 * WISP + noise()
    sci[: N // 2] += 5 * WISP[: N // 2]
    mask = (Y <= 0.52).astype(np.float32)
    found = subtract_template(exposure(sci), TemplateFit(), FACTS, WISP, sources=mask)
    assert found.figures == subtracted(sci, region=1 - mask).figures


def test_components_have_amplitudes_of_their_own():
    sci = 10 + 2 * WISP + 0.5 * OTHER + noise()
    out = subtracted(sci, np.stack([WISP, OTHER]))
    np.testing.assert_allclose(out.sci, sci - 2 * WISP - 0.5 * OTHER, atol=0.15)
    sci = 10 + 2 * WISP - OTHER + noise()
    out = subtracted(sci, np.stack([WISP, OTHER]))  # none is negative
    np.testing.assert_allclose(out.sci, sci - 2 * WISP, atol=0.2)
    assert out.figures["amplitude"] == pytest.approx(2, abs=0.2)


def test_the_variance_is_that_of_the_amplitude():
    out = subtracted(10 + 2 * WISP + noise())
    np.testing.assert_allclose(out.variance, (out.figures["error"] * WISP) ** 2, rtol=0.02, atol=1e-12)


def test_a_template_of_blocks_or_of_the_whole_detector():
    coarse = WISP.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert subtracted(10 + 2 * WISP, coarse).figures["amplitude"] == pytest.approx(2, rel=0.01)
    part = Facts("a", "rate", first_pixel=(21, 41))
    out = subtracted((10 + 2 * WISP)[40:200, 20:220], facts=part)
    assert out.figures["amplitude"] == pytest.approx(2, rel=0.01)
    with pytest.raises(ValueError, match=r"template has the shape \(256, 256\), .* of \(256, 250\) is no part of"):
        subtracted(WISP[:, :250], facts=Facts("a", "rate", first_pixel=(21, 1)))


def test_a_rough_template_is_smoothed():
    rough = WISP + np.random.default_rng(5).normal(0, 0.3, (N, N)).astype(np.float32)
    sci = 10 + 2 * WISP + noise()
    out = subtracted(sci, rough, smooth=4)
    assert np.std(out.sci - noise()) < 0.2  # 1.2 times the standard deviation of the wisp before
    assert out.variance.max() < 0.1


@pytest.mark.parametrize(
    ("template", "message"),
    [(np.zeros((N, N)), "has no value where"), (np.full((N, N), 2.0), "no shape of its own beside the sky")],
)
def test_a_template_that_tells_nothing_is_refused(template, message):
    with pytest.raises(ValueError, match=message):
        subtracted(10 + noise(), template.astype(np.float32))


def test_an_exposure_full_of_sources_is_refused():
    dq = np.full((N, N), FLAGS["DO_NOT_USE"], np.uint32)
    with pytest.raises(ValueError, match="has no value where"):
        subtracted(10 + noise(), dq=dq)


# The shape


def test_the_shape_is_found_from_exposures_of_other_strengths_and_sources():
    strengths = np.random.default_rng(9).uniform(0.5, 3, 9)
    skies = np.random.default_rng(8).uniform(-2, 2, (9, 3))
    every = [
        10 + a * X + b * Y + c + noise(seed) + sources(seed) + strength * WISP
        for seed, (strength, (a, b, c)) in enumerate(zip(strengths, skies, strict=True))
    ]
    made = make_template(((exposure(sci), FACTS) for sci in every), TemplateFit())
    found = made["template"]
    assert 0.9 < made["alike"][0] < 1
    assert found.shape == (N, N)
    assert found.dtype == np.float32
    scale = (found * SMOOTH).sum() / (SMOOTH**2).sum()
    assert scale == pytest.approx(np.median(strengths), rel=0.1)
    assert np.std(found - scale * SMOOTH) < 0.06
    found = [subtract_own_template(exposure(sci), TemplateFit(), FACTS, made).figures["amplitude"] for sci in every]
    ratio = np.array(found) * scale / strengths
    assert np.median(ratio) == pytest.approx(1.2, abs=0.1)  # a broader one fits best if it is brighter
    np.testing.assert_allclose(ratio * strengths, np.median(ratio) * strengths, atol=0.2)


def test_exposures_without_a_pattern_make_no_template_and_stay_as_they_are():
    for number in (4, 5, 12):
        every = [exposure(10 + noise(seed) + sources(seed)) for seed in range(number)]
        made = make_template(((each, FACTS) for each in every), TemplateFit())
        assert not made["template"].any()
        assert made["alike"][0] < 0.7
        out = subtract_own_template(every[0], TemplateFit(), FACTS, made)
        assert out.sci is None
        assert out.figures.pop("alike") == pytest.approx(made["alike"][0], rel=0.01)
        assert out.figures == {
            "amplitude": 0.0,
            "left": "all: what the exposures have in common is chance, and no template",
        }


def test_the_median_of_the_others_by_hand():
    """1 2 4 8 without each of them, and 1 2 4 8 16; 3 3 5 has two alike, and of one value no other is left."""
    for values, expected in (
        ([1, 2, 4, 8], [4, 4, 2, 2]),
        ([1, 2, 4, 8, 16], [6, 6, 5, 3, 3]),
        ([3, 3, 5], [4, 4, 3]),
        ([7, np.nan, np.nan], [np.nan, 7, 7]),
    ):
        images = [np.full((1, 1), value, np.float32) for value in values]
        assert [_middle(images).without(image)[0, 0] for image in images] == pytest.approx(expected, nan_ok=True)


def test_the_median_of_the_others_is_that_for_any_values():
    random = np.random.default_rng(3)
    images = list(random.integers(0, 6, (9, 70, 40)).astype(np.float32))
    for image in images:
        image[random.random(image.shape) < 0.4] = np.nan
    middle = _middle(images)
    for number, image in enumerate(images):
        others = np.stack(images[:number] + images[number + 1 :])
        known = np.isfinite(others).any(axis=0)
        found = middle.without(image)
        np.testing.assert_array_equal(found[known], np.nanmedian(others[:, known], axis=0))
        assert np.isnan(found[~known]).all()


def test_the_template_of_an_exposure_is_the_median_of_the_others():
    """Worked out from what is kept of each, in blocks: which count, the sky, a plane, and the strength."""
    every = [(exposure(10 + X + noise(seed) + 2 * WISP), Facts(f"{seed}", "cal")) for seed in range(7)]
    made = make_template(every, TemplateFit())
    images, skies = [], np.mgrid[:64, :64] / 63
    for planes, facts in every:
        kept = Members.of(made, facts, (64, 64))
        first, right, top = kept.values["corners"]
        sky = first + skies[0] * (top - first) + skies[1] * (right - first)
        blocks = planes.sci.reshape(64, 4, 64, 4).mean(axis=(1, 3))
        images.append(np.where(kept.mask, (blocks - sky) / kept.values["strength"], np.nan))
    for own in (0, 3):
        median = np.nanmedian([image for n, image in enumerate(images) if n != own], axis=0)
        expected = gaussian_filter(median, 2)
        wrong = []
        for template in (template_without(made, lambda own=own: every[own], TemplateFit()), made["template"]):
            rest = template.reshape(64, 4, 64, 4).mean(axis=(1, 3)) - expected
            wrong.append(np.std(np.diff(rest[4:-4, 4:-4], 2, axis=1)))  # of a plane, which fits take for sky, 0
        assert wrong[0] < 0.1 * wrong[1]


def test_no_template_of_too_few_or_of_different_exposures():
    two = [(exposure(noise() + WISP), FACTS)] * 2
    with pytest.raises(ValueError, match="4 exposures or more; there are 2"):
        make_template(two, TemplateFit())
    with pytest.raises(ValueError, match=r"\(256, 256\) and of \(128, 256\)"):
        make_template([*two, (exposure(noise()[:128]), FACTS)], TemplateFit())


def test_of_many_exposures_some_are_used(monkeypatch):
    monkeypatch.setattr("calflow.science.cleaning.template_making.MOST", 6)
    read = []

    def exposures():
        for seed in range(11):
            read.append(seed)
            yield exposure(10 + noise(seed) + 2 * WISP), FACTS

    found = make_template(exposures(), TemplateFit())["template"]
    assert len(read) == 11
    assert (found * SMOOTH).sum() / (SMOOTH**2).sum() == pytest.approx(2, rel=0.1)


# Files as they are published


@pytest.mark.parametrize(
    ("names", "place", "expected"),
    [
        (["PRIMARY"], "rate", [1]),
        (["", "CAL", "RATE"], "cal", [2]),
        (["", "CAL", "RATE"], "rate", [3]),
        (["", "WISP_0", "WISP_1", "MASK"], "rate", [2, 3]),
    ],
)
def test_templates_are_read_as_they_are_published(tmp_path, names, place, expected):
    hdus = [
        (fits.ImageHDU if number else fits.PrimaryHDU)(np.full((2, 3), number + 1.0) if name else None)
        for number, name in enumerate(names)
    ]
    for hdu, name in zip(hdus[1:], names[1:], strict=True):
        hdu.name = name
    fits.HDUList(hdus).writeto(tmp_path / "wisp.fits")
    template = _content(str(tmp_path / "wisp.fits"), "template", place)
    assert template.dtype == np.float32
    assert [plane[0, 0] for plane in (template if template.ndim == 3 else template[None])] == expected
