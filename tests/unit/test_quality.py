"""How good products are: the numbers, worked out by hand, and what is thought of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter, shift

from calflow.configuration.problems import InputError
from calflow.configuration.settings import read_settings
from calflow.files.alignment_tables import AlignmentRow
from calflow.quality.associations import Measured, MeasuredExposure, MeasuredImage
from calflow.quality.catalogs import MeasuredCatalog
from calflow.quality.checks import checks_of
from calflow.quality.gathered import gather, quality_text
from calflow.quality.numbers import plain
from calflow.quality.report import report
from calflow.science.quality.depth import Depth, empty_aperture_depth
from calflow.science.quality.exposure_levels import block_centres, exposure_levels
from calflow.science.quality.fine_noise import fine_noise_over_error
from calflow.science.quality.flags_on_sources import rates_on_sources
from calflow.science.quality.judgement import judge, judge_ratio, worst
from calflow.science.quality.others import median_of_others
from calflow.science.quality.rays_left import rays_left
from calflow.science.quality.robust import robust_sigma
from calflow.science.quality.seams import Step, sky_steps
from calflow.science.quality.star_residuals import star_residuals
from calflow.science.quality.thresholds import Thresholds


def test_one_odd_value_does_not_change_the_scatter():
    # Median 3, distances from it 2, 1, 0, 1 and 97, of which 1 is in the middle.
    assert robust_sigma(np.array([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])) == 1.4826


def test_levels_of_blocks():
    image = np.full((3, 4), np.nan)
    image[:2, :2] = [[1, 2], [3, 4]]
    image[:2, 2:] = [[5, 5], [np.nan, np.nan]]  # half of it can be used
    image[2] = [7, 9, 1, np.nan]
    found = exposure_levels(image, np.ones((3, 4)), np.ones((3, 4), bool), block=2)
    assert_allclose(found.level, [[2.5, 5], [8, 1]])
    # The value below which 0.158655 of 1, 2, 3, 4 lies is 1 + 3 x 0.158655.
    assert_allclose(found.noise, [[2.5 - 1.475965, 0], [8 - 7.31731, 0]])
    assert_allclose(found.error, 1)


def test_blocks_with_few_usable_pixels_have_no_level():
    usable = np.array([[True, False], [False, False]])
    assert np.isnan(exposure_levels(np.ones((2, 2)), np.ones((2, 2)), usable, block=2).level).all()


def test_centres_of_blocks():
    x, y = block_centres((3, 4), 2)
    assert_allclose(x, [[0.5, 2.5], [0.5, 2.5]])
    assert_allclose(y, [[0.5, 0.5], [2, 2]])


@pytest.mark.parametrize("factor", [1, 2])
def test_noise_is_compared_with_the_errors(factor):
    noise = np.random.default_rng(1).normal(3.0, 0.5, (256, 256))
    noise[::32, ::32] += 100  # sources
    found = fine_noise_over_error(noise, np.full(noise.shape, 0.5 * factor), np.ones(noise.shape, bool))
    assert found == pytest.approx(1 / factor, rel=0.03)


def blurred(points, sigma):
    return gaussian_filter(points, sigma) * 2 * np.pi * sigma**2  # the peak of a point is its number


@pytest.mark.parametrize("error", [0.67, 1.0])
@pytest.mark.parametrize("sky", ["nebula", "crowd", "stripes", "gaps"])
def test_what_the_sky_is_like_is_no_noise(sky, error):
    random = np.random.default_rng(4)
    image, usable = random.normal(size=(300, 300)), np.ones((300, 300), bool)
    chosen = random.random(image.shape)
    if sky == "nebula":  # as bright as 60 sigma, on all scales down to 4 pixels
        image += sum(blurred(60.0 * (chosen < 0.02 / sigma**2), sigma) for sigma in (4, 8, 16, 32))
    elif sky == "crowd":  # of stars of two pixels, one in each square of 8, up to 1000 sigma
        image += blurred(np.where(chosen < 1 / 64, 10.0 ** random.uniform(0.5, 3, image.shape), 0.0), 0.9)
    elif sky == "stripes":
        image += random.normal(size=(300, 1))
    else:
        usable[chosen < 0.02] = False
        image[~usable] = 1e5
        usable[100:200, :250] = False
    found = fine_noise_over_error(image, np.full(image.shape, error), usable)
    assert found == pytest.approx(1 / error, rel=0.05)


def test_too_few_places_tell_no_noise():
    for shape in ((6, 100), (12, 12)):
        assert np.isnan(fine_noise_over_error(np.zeros(shape), np.ones(shape), np.ones(shape, bool)))
    assert np.isnan(fine_noise_over_error(np.zeros((90, 90)), np.ones((90, 90)), np.zeros((90, 90), bool)))


def test_medians_of_others():
    random = np.random.default_rng(6)
    values, groups = random.integers(0, 9, 200).astype(float), random.integers(0, 60, 200)
    numbers = np.arange(200)
    wanted = [
        np.median(others) if len(others := values[(groups == group) & (numbers != number)]) else np.nan
        for number, group in enumerate(groups)
    ]
    assert np.isnan(wanted).any()
    assert_allclose(median_of_others(values, groups), wanted)
    assert len(median_of_others(np.empty(0), np.empty(0, int))) == 0


def test_the_odd_one_alone_is_blamed():
    places, levels = [np.array([[0.5, 0.5]])] * 4, [np.array([value]) for value in (1.0, 1.0, 4.0, 1.0)]
    assert [step.height for step in sky_steps(places, levels, 1.0)] == [0, 0, 3, 0]
    stars = [np.array([[value, 0.0]]) for value in (0.0, 0.3, 0.0, 0.0)]
    assert_allclose([residual[0, 0] for _, residual in star_residuals(stars, 1.0)], [0, 0.3, 0, 0])


def left_of(strength, number, exposures=4, displaced=0.0):
    """Return what is left of rays of some sigma in one exposure of a field of 100 stars, of 10,000 pixels."""
    random = np.random.default_rng(9)
    sky = blurred(np.where(random.random((100, 100)) < 0.01, 300.0, 0.0), 1.0)
    noise, others = random.normal(size=(2, 100, 100))
    sci = shift(sky, (0, displaced), order=1) + noise + 3.0  # its own sky
    hit = random.permutation(10_000)[:number]
    sci.flat[hit] += strength
    mean_of_others = sky + others / np.sqrt(exposures - 1)
    combined = (sci - 3.0 + (exposures - 1) * mean_of_others) / exposures
    raised = np.ones((100, 100))
    raised.flat[hit] = 9.0  # a ray in part found by stage 1
    return rays_left(sci, raised, combined.astype(np.float32), exposures, 1.0)


@pytest.mark.parametrize("exposures", [2, 4])
def test_rays_that_are_left_are_counted(exposures):
    assert left_of(120.0, 50, exposures)[0] == pytest.approx(45, abs=5)  # some lie on stars
    assert left_of(60.0, 0, exposures) == (0, 10_000)
    assert left_of(4.0, 50, exposures)[0] == 0  # the search looks for no such rays


def test_displaced_stars_are_no_rays():
    assert left_of(0.0, 0, displaced=0.3)[0] <= 1  # of 100 stars: a look is from 2 in 10,000 pixels on


@pytest.mark.parametrize(("corner", "left"), [(100.0, 0), (25.0, 1)])
def test_a_star_in_the_middle_of_a_pixel_is_no_ray(corner, left):
    sci, others = np.zeros((2, 9, 9))
    # Of a star of 400, narrower than a pixel, which is at another corner of it in each of the others; or a fainter one.
    sci[4, 4], others[3:6, 3:6] = 400.0, corner / 4 * np.outer([1, 2, 1], [1, 2, 1])
    combined = ((sci + 3 * others) / 4).astype(np.float32)
    assert rays_left(sci, np.ones((9, 9)), combined, 4, 1.0) == (left, 81)


def test_what_is_not_known_is_not_counted():
    nothing = np.full((9, 9), np.nan, np.float32)
    assert rays_left(nothing, nothing, nothing, 3, 1.0) == (0, 0)


def test_steps_in_sky_level():
    places = [np.array([[0.5, 0.5], [1.5, 0.5], [5.5, 0.5]]), np.array([[0.6, 0.6], [1.4, 0.4]]), np.array([[9.0, 9]])]
    levels = [np.array([1.0, 2.0, 7.0]), np.array([3.0, np.nan]), np.array([4.0])]
    one, other, alone = sky_steps(places, levels, 1.0)
    assert (one.height, one.cells) == (-2, 1)
    assert (other.height, other.cells) == (2, 1)
    assert np.isnan(alone.height)
    assert alone.cells == 0


def test_an_exposure_counts_once_in_a_place():
    places = [np.zeros((2, 2)), np.zeros((1, 2)), np.zeros((1, 2))]
    first, *_ = sky_steps(places, [np.array([1.0, 3.0]), np.array([4.0]), np.array([8.0])], 1.0)
    assert first.height == 2 - 6


def test_displaced_stars():
    sky = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    moved = sky + np.array([0.2, -0.1])
    (place, residual), (_, other), (_, none) = star_residuals([sky, moved, sky[:1] + 5.0], 1.0)
    assert_allclose(place, sky)
    assert_allclose(residual, np.tile([-0.2, 0.1], (3, 1)))
    assert_allclose(other, np.tile([0.2, -0.1], (3, 1)))
    assert len(none) == 0


def test_each_is_compared_with_the_mean_of_the_others():
    stars = [np.array([[x, 0.0]]) for x in (0.0, 0.0, 0.3)]
    assert_allclose([residual[0, 0] for _, residual in star_residuals(stars, 1.0)], [-0.15, -0.15, 0.3])


class Rows:
    """An image of which only slices of rows can be read."""

    def __init__(self, image):
        self.image, self.shape, self.largest = image, image.shape, 0

    def __getitem__(self, rows):
        self.largest = max(self.largest, rows.stop - rows.start)
        return self.image[rows]


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(2).normal(7.0, 2.0, (700, 500)).astype(np.float32)


def depth(image, error, segments=None, number=1000):
    weight = np.ones(image.shape)
    return empty_aperture_depth(image, np.full(image.shape, error), weight, segments, 3.0, (8.0, 16.0), number)


def test_depth_of_known_noise(noise):
    found = depth(Rows(noise), 2.0)
    assert found.apertures == 1000
    assert found.wide_pixels == 49  # within 4 pixels of the one in the middle
    assert found.sigma == pytest.approx(2 * np.sqrt(np.pi * 3**2), rel=0.08)
    assert found.aperture_ratio == pytest.approx(1, rel=0.08)
    assert found.pixel_ratio == pytest.approx(1, rel=0.08)


@pytest.mark.parametrize("error", [0.5, 8.0])
def test_wrong_errors_are_seen(noise, error):
    found = depth(noise, error)
    assert found.aperture_ratio == pytest.approx(2 / error, rel=0.08)
    assert judge_ratio(found.aperture_ratio, 1.3, 2.0) == "wrong"


def test_sources_are_no_noise(noise):
    segments = np.zeros(noise.shape, np.uint32)
    segments[::20, ::20] = 1
    bright = noise + 1e4 * segments
    assert depth(bright, 2.0, segments, 300).aperture_ratio == pytest.approx(1, rel=0.15)
    assert depth(bright, 2.0, None, 300).aperture_ratio < 10  # a pixel alone is taken for noise, but is rare


def test_a_bright_source_is_found_without_segments(noise):
    bright = noise.copy()
    bright[200:500, 100:300] += 50
    assert depth(bright, 2.0).aperture_ratio == pytest.approx(1, rel=0.1)


def test_an_image_is_read_in_bands(noise):
    planes = [Rows(np.tile(noise, (3, 1))) for _ in range(3)]
    empty_aperture_depth(*planes, None, 3.0, (8.0, 16.0), 100)
    assert max(plane.largest for plane in planes) < 300


@pytest.mark.parametrize("shape", [(20, 500), (40, 40)])
def test_a_small_image_has_no_depth(shape):
    segments = np.ones(shape) if shape == (40, 40) else None
    assert depth(np.zeros(shape), 1.0, segments) is None


def test_flags_on_sources_are_counted():
    segments, weight = np.zeros((300, 40), int), np.ones((300, 40))
    segments[290:, :] = 7  # 400 of 10,000 pixels with weight
    weight[:50] = 0
    sky, source = np.tile([5.2, 100.4], (75, 1)), np.tile([5.0, 295.0], (25, 1))
    outside = np.array([[5.0, 10.0], [-9.0, 3.0], [5.0, 3000.0], [np.nan, 3.0]])
    found = rates_on_sources([np.concatenate([sky, source, outside]), source, sky], segments, weight)
    assert found[0] == pytest.approx(0.25 / 0.04)
    assert np.isnan(found[1])  # too few
    assert found[2] == 0
    assert np.isnan(rates_on_sources([sky], 0 * segments, weight)).all()


def test_judgements():
    assert [judge(value, 1, 2) for value in (1, 1.5, 2.5, float("nan"), None)] == [
        *("fine", "look", "wrong", "look", "look")
    ]
    assert [judge_ratio(value, 1.5, 3) for value in (1.4, 0.7, 0.5, 0.3, 4, 0, None)] == [
        *("fine", "fine", "look", "wrong", "wrong", "wrong", "look")
    ]
    assert worst(["fine", "wrong", "look"]) == "wrong"
    assert worst([]) == "fine"


def exposure(name="one", rms=0.01, **values):
    row = AlignmentRow(name, name, "COMPLETE", "", True, np.zeros((4, 2)), matches=50, stars=60, rms=rms)
    own = {
        "header": {},
        "steps": {},
        "references": {"R_FLAT": "flat.fits"},
        "context": "",
        "pixels": 100,
        "unusable": 1,
        "flags": {"HOT": 1},
        "noise_over_error": 1.1,
    }
    own |= {"unit": "MJy/sr", "level": 1.0, "noise": 0.5, "error": 0.5}
    residuals = np.tile([0.001, 0.0], (20, 1))
    step, outliers = Step(0.001, 0.0001, 50), {"status": "COMPLETE", "flagged": 1, "pixels": 100, "fraction": 0.01}
    found = MeasuredExposure(row, own, 0.1, residuals, residuals, step, 1.2, 0.0, {}, outliers)
    return replace(found, **values)


IMAGE = MeasuredImage((10, 10), "MJy/sr", 0.1, 0.1, (0, 40, 60), {}, Depth(50, 1.0, 49, 1.1, 0.8, 0.5), 2.0, 1.5, 25.0)
CATALOG = MeasuredCatalog("COMPLETE", 3, 1, np.array([20.1, 21.3, np.nan]), np.ones(3), np.zeros(3, bool))


def judged(measured, variance="resampled", **status):
    return {check.name: check for check in checks_of(measured, status, Thresholds(), variance)}


def test_all_is_fine():
    found = judged(Measured([exposure(), exposure("two")], IMAGE, CATALOG))
    assert {check.judgement for check in found.values()} == {"fine"}
    assert found["alignment"].value == pytest.approx(10)
    assert found["star positions"].value == pytest.approx(0.01)
    assert found["seams"].value == pytest.approx((0.001 - 3 * 0.0001) / (0.5 * 1.1))
    assert "25.00" in found["depth"].found


@pytest.mark.parametrize(
    ("change", "name", "judgement"),
    [
        ({"row": replace(exposure().row, status="FAILED", reason="no stars")}, "alignment", "wrong"),
        ({"row": replace(exposure().row, rms=0.03)}, "alignment", "look"),
        ({"row": replace(exposure().row, matches=9)}, "alignment", "look"),
        ({"row": replace(exposure().row, used=False)}, "exposures", "look"),
        ({"residuals": np.tile([0.0, 0.06], (20, 1))}, "star positions", "wrong"),
        ({"residuals": np.zeros((2, 2))}, "star positions", "look"),
        ({"step": Step(-0.35, 0.01, 50)}, "seams", "wrong"),
        ({"step": Step(-0.35, 0.05, 50)}, "seams", "look"),
        ({"outliers": {"status": "COMPLETE", "fraction": 0.05}}, "outliers", "look"),
        ({"outliers": {"status": "FAILED", "fraction": 0.0}}, "outliers", "wrong"),
        ({"on_sources": 4.5}, "outliers on sources", "look"),
        ({"rays_left": 3e-4}, "cosmic rays left", "look"),
        ({"rays_left": 3e-3}, "cosmic rays left", "wrong"),
        ({"own": exposure().own | {"unusable": 90}}, "bad pixels", "wrong"),
        ({"own": exposure().own | {"noise_over_error": 0.4}}, "noise of exposures", "wrong"),
        ({"own": exposure().own | {"noise_over_error": None}}, "noise of exposures", "look"),
    ],
)
def test_an_odd_exposure_is_named(change, name, judgement):
    found = judged(Measured([replace(exposure(), **change), exposure("two")], IMAGE, CATALOG))
    assert {check.name for check in found.values() if check.judgement != "fine"} == {name}
    assert found[name].judgement == judgement
    assert set(found[name].exposures) == {"one"}


def test_errors_of_pixels_count_if_they_are_propagated():
    wrong = Measured([exposure()], replace(IMAGE, depth=Depth(50, 1.0, 49, 1.1, 0.3, 0.2)), None)
    assert judged(wrong)["errors of the image"].judgement == "fine"
    assert judged(wrong, "propagated")["errors of the image"].judgement == "wrong"


def test_an_image_without_empty_places_or_sources_is_worth_a_look():
    found = judged(Measured([exposure()], replace(IMAGE, depth=None), MeasuredCatalog()))
    assert found["errors of the image"].judgement == found["catalogue"].judgement == "look"
    assert judged(Measured([exposure()], None, MeasuredCatalog("FAILED")))["catalogue"].judgement == "wrong"


def test_a_report_is_json():
    measured = Measured([exposure(rms=np.nan)], replace(IMAGE, limit=np.nan), CATALOG)
    tree = json.loads(json.dumps(report("field", measured, {"skymatch": "SKIPPED"}, Thresholds(), "resampled")))
    assert tree["judgement"] == "fine"
    assert tree["exposures"][0]["alignment"]["rms_mas"] is None
    assert tree["catalog"]["magnitudes"] == {"edges": [20.0, 20.5, 21.0, 21.5], "counts": [1, 0, 1]}
    assert tree["image"]["area_by_exposures_arcmin2"] == pytest.approx([40 * 0.01 / 3600, 60 * 0.01 / 3600], rel=1e-5)


def test_numbers_that_json_cannot_hold_are_none():
    assert plain([np.float32("nan"), np.int64(3), np.array([1.0, np.inf]), 1.00000000004, True]) == [
        *(None, 3, [1.0, None], 1.0, True)
    ]


def test_what_could_not_be_measured_is_wrong(tmp_path):
    check = {"name": "seams", "judgement": "look", "found": "a step", "rule": "above 1", "exposures": {"one": "a step"}}
    (tmp_path / "a.json").write_text(json.dumps({"judgement": "look", "checks": [check]}))
    found = gather({"a": str(tmp_path / "a.json"), "b": str(tmp_path / "b.json")})
    assert found["judgement"] == "wrong"
    text = quality_text(found)
    assert "  look   seams: a step\n           one: a step\n           rule: above 1\nb: wrong\n" in text
    assert text.endswith("Quality: 0 fine, 1 look, 1 wrong")


def test_limits_are_in_order():
    with pytest.raises(InputError, match="seam_look must not be above seam_wrong"):
        read_settings({"quality": {"seam_look": 3.0}})
