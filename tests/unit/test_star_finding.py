import warnings

import numpy as np
import photutils
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photutils.detection import DAOStarFinder, IRAFStarFinder
from photutils.segmentation import SourceCatalog, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning

from calflow.science.sky.background_map import background_map
from calflow.science.sources.segmentation import smooth
from calflow.science.stars.star_finding import StarFinding, find_stars

SIGMA = 2.5 / 2.3548
# DAOFIND's sharpness and roundness are not those of starfind.
DAO_LIMITS = {"starfinder": "dao", "sharplo": 0.2, "sharphi": 1.0, "roundlo": -1.0, "roundhi": 1.0}
# photutils 3.1 takes one of equal maxima side by side; calflow takes all, as photutils 3.0 and jwst do.
PEAKS_OF_PHOTUTILS_3_0 = pytest.mark.skipif(
    not photutils.__version__.startswith("3.0."), reason="other photutils choose other maxima"
)
FINDERS = [{"starfinder": "iraf"}, DAO_LIMITS, {"starfinder": "segmentation", "deblend": False}]


def noise(shape=(100, 120), seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(10, 1, shape).astype(dtype)


def add_star(image, x, y, peak):
    rows, columns = np.indices(image.shape)
    image += (peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))).astype(image.dtype)


def field(positions, peak=200.0, **options):
    """Return an image of stars on noise of 1."""
    image = noise(**options)
    for x, y in positions:
        add_star(image, x, y, peak)
    return image


def nothing(image):
    return np.zeros(image.shape, bool)


def crowded(seed, stars=150, shape=(200, 200)):
    """Return an image with stars of all kinds, bad pixels and a masked corner."""
    random = np.random.default_rng(seed)
    image = noise(shape, seed)
    positions = random.uniform(-2, shape[0] + 2, (stars, 2))
    for (x, y), peak in zip(positions, 10 ** random.uniform(1, 3, stars), strict=True):
        add_star(image, x, y, peak)
    image[random.random(shape) < 0.005] = np.nan
    mask = np.isnan(image)
    mask[:40, :30] = True
    return image, mask


def photutils_stars(image, mask, *, brightest=200, minsep_fwhm=0.0, kernel_fwhm=2.5, snr_threshold=10.0, **limits):
    """Return the table of photutils called in the plain way."""
    background = background_map(image, mask, 400)
    kind = {"iraf": IRAFStarFinder, "dao": DAOStarFinder}[limits.get("starfinder", "iraf")]
    finder = kind(
        np.median((snr_threshold * background.rms)[~mask]),
        kernel_fwhm,
        sharpness_range=(limits.get("sharplo", 0.5), limits.get("sharphi", 2.0)),
        roundness_range=(limits.get("roundlo", 0.0), limits.get("roundhi", 0.2)),
        n_brightest=brightest,
        min_separation=max(2, int(minsep_fwhm * kernel_fwhm + 0.5)),
    )
    with np.errstate(all="ignore"):
        return finder(image - background.background, mask=mask)


def assert_same_table(stars, table):
    for ours, theirs in ((stars.x, "x_centroid"), (stars.y, "y_centroid"), (stars.flux, "flux")):
        assert ours.dtype == np.float64
        np.testing.assert_array_equal(ours, table[theirs].value)


@pytest.mark.parametrize(("parameters", "error"), list(zip(FINDERS, (0.12, 0.07, 0.03), strict=True)))
def test_stars_are_where_they_are(parameters, error):
    """The centroids of starfind, of 5 x 5 pixels, are off by most between two pixels."""
    positions = [(20.3, 60.8), (81.0, 33.5), (50.6, 15.1)]
    image = field(positions)
    stars = find_stars(image, nothing(image), **parameters)
    found = sorted(zip(stars.x, stars.y, strict=True))
    np.testing.assert_allclose(found, sorted(positions), atol=error)
    assert len(stars) == 3


@pytest.mark.parametrize("parameters", FINDERS)
def test_refined_positions_are_several_times_better(parameters):
    """The noise alone makes 0.006 pixel; the finders are off by up to 0.12."""
    positions = [(20.3, 60.8), (81.0, 33.5), (50.6, 15.1)]
    image = field(positions)
    stars = find_stars(image, nothing(image), refine=True, **parameters)
    np.testing.assert_allclose(sorted(zip(stars.x, stars.y, strict=True)), sorted(positions), atol=0.03)


def test_refined_stars_are_those_that_were_found():
    image, mask = crowded(4)
    plain, refined = find_stars(image, mask), find_stars(image, mask, refine=True)
    assert plain.weight is None
    np.testing.assert_array_equal(refined.flux, plain.flux)
    assert np.hypot(refined.x - plain.x, refined.y - plain.y).max() < 1


def test_weights_are_inverse_variances():
    """Of the error, 0.02 pixel of a bright star and what the noise makes in a window of 1.5 pixels."""
    image = field([(20, 20)], peak=20000)
    for x in range(15, 116, 20):
        add_star(image, x, 60, 20)
    bright, *faint = find_stars(image, nothing(image), refine=True).weight
    flux = 2 * np.pi * SIGMA**2 * 20
    error = np.sqrt(np.pi / 2) * (1.5**2 + SIGMA**2) ** 2 / (1.5**2 * flux)
    assert bright == pytest.approx(1.0, abs=1e-4)
    assert len(faint) >= 5
    assert np.mean(faint) == pytest.approx(0.02**2 / (0.02**2 + error**2), rel=0.1)


def test_bounds_keep_weights_with_their_stars():
    image = field([(20, 20)], peak=20000)
    add_star(image, 60, 60, 20)
    mask = nothing(image)
    everywhere = find_stars(image, mask, refine=True)
    (weight,) = find_stars(image, mask, refine=True, bounds=((50, 70), (50, 70))).weight
    assert weight == everywhere.weight[1] < 0.5


def test_no_stars_have_no_weights():
    image = noise()
    assert find_stars(image, nothing(image), refine=True).weight.shape == (0,)
    assert len(find_stars(image, ~nothing(image), refine=True)) == 0


def test_the_segment_flux_is_that_of_the_star():
    image = field([(50.0, 40.0)], peak=1000)
    stars = find_stars(image, nothing(image), starfinder="segmentation", deblend=False, snr_threshold=3.0)
    assert stars.flux[np.argmax(stars.flux)] == pytest.approx(1000 * 2 * np.pi * SIGMA**2, rel=0.02)


@PEAKS_OF_PHOTUTILS_3_0
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"snr_threshold": 3.0, "brightest": None},
        {"minsep_fwhm": 2.5, "snr_threshold": 3.0, "roundhi": 0.6},
        {"kernel_fwhm": 3.7, "minsep_fwhm": 1.4, "brightest": 10},
        DAO_LIMITS,
        {**DAO_LIMITS, "snr_threshold": 3.0, "minsep_fwhm": 2.0, "brightest": None},
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_table_is_that_of_photutils(seed, parameters):
    image, mask = crowded(seed)
    table = photutils_stars(image, mask, **parameters)
    assert len(table) >= 10
    assert_same_table(find_stars(image, mask, **parameters), table)


@PEAKS_OF_PHOTUTILS_3_0
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.2, 2.0, 3.6]), st.sampled_from(["iraf", "dao"]))
def test_among_equal_pixels_the_table_is_that_of_photutils(seed, minsep_fwhm, starfinder):
    """Whole numbers, small ones, with maxima at the edges and at equal heights side by side."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 2, (24, 31)).astype(np.float32)
    y, x = random.integers(0, 24, 40), random.integers(0, 31, 40)
    image[y, x] += 8
    mask = random.random(image.shape) < 0.05
    parameters = {"starfinder": starfinder, "snr_threshold": 1.0, "minsep_fwhm": minsep_fwhm, "brightest": None}
    parameters |= {"sharplo": -100.0, "sharphi": 100.0, "roundlo": -100.0, "roundhi": 100.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        table = photutils_stars(image, mask, **parameters)
    stars = find_stars(image, mask, **parameters)
    if table is None:
        assert len(stars) == 0
    else:
        assert_same_table(stars, table)


def test_segments_are_those_of_photutils():
    image, mask = crowded(3, stars=60)
    background = background_map(image, mask, 400)
    data = image - background.background
    convolved = smooth(data, mask, 2.5)
    segments = detect_sources(convolved, 10 * background.rms, 10, mask=mask)
    catalog = SourceCatalog(data, segments, convolved_data=convolved, mask=mask)
    stars = find_stars(image, mask, starfinder="segmentation", deblend=False)
    assert len(stars) == segments.n_labels > 10
    np.testing.assert_array_equal(stars.x, catalog.x_centroid)
    np.testing.assert_array_equal(stars.y, catalog.y_centroid)
    np.testing.assert_array_equal(stars.flux, catalog.segment_flux)


def test_the_local_background_is_taken_from_the_flux_of_a_segment():
    image = field([(50.0, 40.0)])
    parameters = {"starfinder": "segmentation", "deblend": False}
    image[25:56, 35:66] += 3  # what is 15 pixels about the star; the background of 400 pixels has none of it
    (plain,) = find_stars(image, nothing(image), **parameters).flux
    (local,) = find_stars(image, nothing(image), localbkg_width=5, **parameters).flux
    pixels = (plain - local) / 3
    assert 20 < pixels < 80


def test_a_small_segment_is_no_star():
    image = field([(50.0, 40.0)])
    parameters = {"starfinder": "segmentation", "deblend": False}
    assert len(find_stars(image, nothing(image), npixels=10, **parameters)) == 1
    assert len(find_stars(image, nothing(image), npixels=100, **parameters)) == 0


def test_the_brightest_come_first_and_the_others_not():
    image = field([(20, 20)], peak=100)
    add_star(image, 60, 20, 300)
    add_star(image, 60, 60, 200)
    stars = find_stars(image, nothing(image), brightest=2)
    assert np.rint(stars.x).tolist() == [60, 60]
    assert np.rint(stars.y).tolist() == [20, 60]
    assert stars.flux[0] > stars.flux[1]


def test_without_a_limit_all_come_in_the_order_of_the_rows():
    image = field([(60, 20), (20, 40), (60, 60)], peak=200)
    stars = find_stars(image, nothing(image), brightest=None)
    assert np.rint(stars.y).tolist() == [20, 40, 60]


@pytest.mark.parametrize(("minsep_fwhm", "found"), [(0.0, 2), (4.0, 1)])
def test_of_two_close_stars_the_brighter_stays(minsep_fwhm, found):
    image = field([(50, 40)], peak=300)
    add_star(image, 57, 40, 200)
    stars = find_stars(image, nothing(image), minsep_fwhm=minsep_fwhm)
    assert len(stars) == found
    assert stars.x[0] == pytest.approx(50, abs=0.1)


@pytest.mark.parametrize(
    ("minsep_fwhm", "kernel_fwhm", "pixels"), [(0.0, 2.5, 2), (1.0, 2.5, 3), (1.0, 2.4, 2), (2.0, 3.0, 6)]
)
def test_the_least_distance_is_rounded_to_pixels(minsep_fwhm, kernel_fwhm, pixels):
    assert StarFinding(minsep_fwhm=minsep_fwhm, kernel_fwhm=kernel_fwhm).min_separation == pixels


def test_a_star_with_too_high_a_pixel_is_dropped():
    image = field([(20.0, 20.0)], peak=100)
    add_star(image, 60.0, 60.0, 1000)
    stars = find_stars(image, nothing(image), peakmax=500)
    assert np.rint(stars.x).tolist() == [20]


@pytest.mark.parametrize("parameters", FINDERS)
def test_no_star_is_found_under_the_mask(parameters):
    image = field([(20, 20), (60, 60)])
    mask = nothing(image)
    mask[50:70, 50:70] = True
    stars = find_stars(image, mask, **parameters)
    assert np.rint(stars.x).tolist() == [20]


@pytest.mark.parametrize("parameters", FINDERS[:2])
def test_a_star_without_its_middle_is_dropped(parameters):
    image = field([(20, 20), (60, 60)])
    image[60, 60] = np.nan
    stars = find_stars(image, nothing(image), **parameters)
    assert np.rint(stars.x).tolist() == [20]


def test_a_star_at_the_edge_is_found():
    image = field([(0.3, 30), (119.1, 50), (40, 99.4)])
    stars = find_stars(image, nothing(image), sharplo=0.0, roundhi=5.0)
    np.testing.assert_allclose(sorted(stars.x), [0.3, 40, 119.1], atol=0.6)


def test_stars_on_a_bound_or_outside_are_dropped():
    image = field([(20, 20), (60, 60)])
    mask = nothing(image)
    everywhere = find_stars(image, mask)
    x, y = everywhere.x[0], everywhere.y[0]
    for bounds in (((x, 119), (-1, 119)), ((-1, x), (-1, 119)), ((-1, 119), (y, 119)), ((-1, 119), (-1, y))):
        assert x not in find_stars(image, mask, bounds=bounds).x
    kept = find_stars(image, mask, bounds=((x - 0.1, x + 0.1), (y - 0.1, y + 0.1)))
    assert (kept.x.tolist(), kept.y.tolist(), kept.flux.tolist()) == ([x], [y], [everywhere.flux[0]])


def test_the_threshold_is_that_of_the_pixels_that_count():
    """With zeros for the masked pixels in the median it would be 0, and noise would be stars."""
    image = field([(20, 20), (60, 30)])
    mask = nothing(image)
    mask[40:] = True
    stars = find_stars(image, mask, brightest=None)
    assert sorted(np.rint(stars.x).tolist()) == [20, 60]


@pytest.mark.parametrize("parameters", FINDERS)
@pytest.mark.parametrize(
    ("image", "masked"),
    [
        (noise(), False),
        (np.full((50, 50), 3, np.float32), False),
        (np.full((50, 50), np.nan, np.float32), False),
        (field([(60, 60)]), True),
        (np.ones((1, 1), np.float32), False),
        (np.ones((0, 8), np.float32), False),
    ],
    ids=["noise", "constant", "NaN", "masked", "one pixel", "no pixel"],
)
def test_an_image_without_stars_has_an_empty_list(image, masked, parameters):
    stars = find_stars(image, np.full(image.shape, masked), bounds=((0, 9), (0, 9)), **parameters)
    assert len(stars) == 0
    assert [column.shape for column in (stars.x, stars.y, stars.flux)] == [(0,)] * 3
    assert {column.dtype for column in (stars.x, stars.y, stars.flux)} == {np.dtype(np.float64)}


def test_stars_of_another_shape_only_give_an_empty_list():
    image = field([(20, 20)])
    assert len(find_stars(image, nothing(image), sharplo=50.0, sharphi=60.0)) == 0


def test_the_image_is_left_alone():
    image = field([(20, 20)])
    image[3, 3] = np.nan
    mask = nothing(image)
    before = image.copy()
    find_stars(image, mask)
    np.testing.assert_array_equal(image, before)
    assert not mask.any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"starfinder": "daofind"}, "starfinder is 'daofind'; it must be one of iraf, dao, segmentation"),
        ({"snr_threshold": 0.0}, "snr_threshold is 0.0; it must be larger than 0"),
        ({"snr_threshold": float("nan")}, "snr_threshold is nan"),
        ({"kernel_fwhm": -1.0}, "kernel_fwhm is -1.0; it must be larger than 0"),
        ({"sigma_radius": 0.0}, "sigma_radius is 0.0"),
        ({"bkg_boxsize": 0}, "bkg_boxsize is 0; it must be an integer of 1 or more"),
        ({"bkg_boxsize": 20.5}, "bkg_boxsize is 20.5"),
        ({"minsep_fwhm": -0.5}, "minsep_fwhm is -0.5; it must be 0 or larger"),
        ({"sharplo": 2.5}, "sharplo is 2.5 and sharphi is 2.0; sharphi must not be smaller"),
        ({"roundlo": 0.3}, "roundlo is 0.3 and roundhi is 0.2"),
        ({"brightest": 0}, "brightest is 0"),
        ({"brightest": 1.5}, "brightest is 1.5"),
        ({"peakmax": -2.0}, "peakmax is -2.0"),
        ({"npixels": 0}, "npixels is 0"),
        ({"connectivity": 6}, "connectivity is 6; it must be one of 4, 8"),
        ({"nlevels": 0}, "nlevels is 0"),
        ({"contrast": 1.5}, "contrast is 1.5; it must lie between 0 and 1"),
        ({"multithresh_mode": "log"}, "multithresh_mode is 'log'"),
        ({"localbkg_width": -1}, "localbkg_width is -1"),
        ({"apermask_method": "all"}, "apermask_method is 'all'"),
        ({"kron_params": (2.5,)}, "they must be two or three numbers"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, message):
    image = noise()
    with pytest.raises(ValueError, match=message):
        find_stars(image, nothing(image), **parameters)


def test_an_unknown_parameter_is_an_error():
    with pytest.raises(TypeError, match="sharp_lo"):
        find_stars(noise(), nothing(noise()), sharp_lo=0.5)


@pytest.mark.parametrize(("image", "mask"), [((3, 3), (3, 4)), ((2, 3, 3), (2, 3, 3))])
def test_image_and_mask_have_one_shape(image, mask):
    with pytest.raises(ValueError, match="one shape"):
        find_stars(np.ones(image, np.float32), np.zeros(mask, bool))
