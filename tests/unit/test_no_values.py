"""What is no value (`steps.image`) through every step: whatever the planes hold, the products keep the rule."""

from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calflow.science.calibration.background import Background, average_integrations, combine, subtract
from calflow.science.calibration.dark_current import Dark, subtract_dark
from calflow.science.calibration.flat_field import Flat, apply_flat, divide_by_flat
from calflow.science.calibration.frame_combination import combine_frames
from calflow.science.calibration.photom import apply_conversion
from calflow.science.combination import resample as module
from calflow.science.combination.resample import Resampler
from calflow.science.dq_flags import DO_NOT_USE
from calflow.science.image import LARGEST, VARIANCES, Image, has_value, impossible, match_nans, without_impossible
from calflow.science.sky.sky_model import SkyModel, subtract_sky

SHAPE = (6, 8)
SUBSETS = [frozenset(names) for names in chain.from_iterable(combinations(("err", *VARIANCES), n) for n in range(5))]
ODD = [0.0, -0.0, np.nan, np.inf, -np.inf, -1.0, -1e-30, 3e38, -3e38, 1e30, 1e22, 1e-5, 1e-21, 1e-30, 1e-38, 1e-44]
seeds = st.integers(0, 2**32 - 1)


def plane(random, shape=SHAPE):
    """Ordinary and odd values, mixed in a proportion of its own, and any that single precision has."""
    ordinary = random.uniform(0.1, 100, shape)
    odd = random.choice(ODD, shape)
    any_value = random.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)
    choice, share = random.random(shape), random.choice([0.0, 0.05, 0.5])
    return np.where(choice < share, odd, np.where(choice < 1.2 * share, any_value, ordinary)).astype(np.float32)


def flags(random):
    return random.choice(np.array([0, 0, 0, 0, 1, 4, 512], np.uint32), SHAPE)


@st.composite
def images(draw, names=None):
    """An exposure with any values and any set of errors and variances, or a given one, as it comes from a reader."""
    random = np.random.default_rng(draw(seeds))
    names = draw(st.sampled_from(SUBSETS)) if names is None else names
    err = plane(random) if "err" in names else np.zeros(SHAPE, np.float32)
    variances = {name: plane(random) for name in VARIANCES if name in names}
    return without_impossible(Image(plane(random), err, flags(random), **variances))


def copied(image):
    return Image(**{name: values.copy() for name, values in image.planes().items()})


def same(one, other):
    return all(np.array_equal(values, other.planes()[name], equal_nan=True) for name, values in one.planes().items())


def keeps_the_rule(out, image=None):
    """Nothing is infinite, too large, or negative where that cannot be, and what became NaN has DO_NOT_USE."""
    whole = np.ones(SHAPE, bool)
    for values in (image.float_planes() if image else {}).values():
        whole &= ~np.isnan(values)
    for name, values in out.float_planes().items():
        assert not impossible(name, values).any(), name
        assert (out.dq[np.isnan(values) & whole] & DO_NOT_USE).all(), name


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sci", -5.0, True),
        ("sci", LARGEST, True),
        ("sci", 3e38, False),
        ("sci", -np.inf, False),
        ("sci", np.nan, False),
        ("err", 0.0, True),
        ("err", -1e-30, False),
        ("var_poisson", 1e37, True),
        ("var_poisson", -1e-30, False),
        ("var_flat", np.inf, False),
    ],
)
def test_what_is_a_value(name, value, expected):
    values = np.array([value], np.float32)
    assert has_value(name, values).tolist() == [expected]
    assert impossible(name, values).tolist() == [not expected and not np.isnan(value)]


@given(seeds)
def test_the_rule(seed):
    random = np.random.default_rng(seed)
    image = Image(plane(random), plane(random), flags(random), *(plane(random) for _ in VARIANCES))
    before = copied(image)
    out = without_impossible(image)
    assert same(image, before)
    keeps_the_rule(out, image)
    for name, values in image.float_planes().items():  # what is a value, or NaN, stays
        kept = ~impossible(name, values)
        np.testing.assert_array_equal(out.planes()[name][kept], values[kept])
    matched = match_nans(copied(image))
    keeps_the_rule(matched)
    bad = (matched.dq & DO_NOT_USE) != 0
    assert all(np.array_equal(np.isnan(values), bad) for values in matched.float_planes().values())


@given(images(), seeds)
def test_flat(image, seed):
    random = np.random.default_rng(seed)
    before, flat = copied(image), Flat(plane(random), plane(random), flags(random))
    for out in (apply_flat(image, flat), apply_flat(image, flat, inverse=True)):
        keeps_the_rule(out)
    keeps_the_rule(divide_by_flat(image, flat), image)
    assert same(image, before)


@given(images(), st.sampled_from([1e-18, 1e-5, 0.3, 1e6, 1e18]), st.booleans())
def test_photom(image, factor, inverse):
    keeps_the_rule(apply_conversion(image, factor, inverse))
    keeps_the_rule(apply_conversion(image, factor, inverse, matches_nans=False), image)


@given(images(), seeds)
def test_background_dark_and_sky(image, seed):
    random = np.random.default_rng(seed)
    sci, err, dq = np.nan_to_num(plane(random), nan=1), np.nan_to_num(plane(random), nan=1), flags(random)
    for out in (
        subtract(image, Background(sci, err, dq)),
        subtract_dark(image, Dark(sci, dq)),
        subtract_sky(image, SkyModel(sci, err, dq, 1.0), scale=1e10),
    ):
        keeps_the_rule(out, image)


@given(seeds, st.sampled_from(["scatter", "error"]))
@settings(max_examples=50)
def test_average_of_backgrounds(seed, clip):
    random = np.random.default_rng(seed)
    sci, err = plane(random, (4, *SHAPE)), plane(random, (4, *SHAPE))
    out = combine(sci, err, np.zeros(sci.shape, np.uint32), clip=clip)
    assert has_value("sci", out.sci).all()
    assert not impossible("err", out.err).any()
    mean, error, _ = average_integrations(sci, err, np.zeros(sci.shape, np.uint32))
    assert not impossible("sci", mean).any()
    assert not impossible("err", error).any()


@given(seeds, st.sampled_from(["mean", "median", "wmean"]), st.sampled_from(["measure", "propagate"]))
@settings(max_examples=50)
def test_reference_makers(seed, method, error):
    random = np.random.default_rng(seed)
    sci, err = plane(random, (4, *SHAPE)), plane(random, (4, *SHAPE))
    out = combine_frames(sci, err, np.zeros(sci.shape, np.uint32), method=method, error=error)
    assert np.array_equal(np.isfinite(out.sci), out.n > 0)
    assert np.array_equal(np.isfinite(out.err), out.n > 0)


# Combined images.


@pytest.fixture(params=["drizzle package", "numba"])
def engine(request, monkeypatch):
    """Both ways of drizzling."""
    if request.param == "numba":
        pytest.importorskip("numba")
    monkeypatch.setattr(module, "WORTHWHILE", 0 if request.param == "numba" else np.inf)


def drizzled(exposures, shift=0.3, scale=1.0, shape=(12, 14), **options):
    """Combine exposures, each a little further to the right."""
    resampler = Resampler(shape, n_images=len(exposures), pixel_scale_ratio=1 / scale, **options)
    y, x = np.indices(SHAPE, dtype=float)
    for number, exposure in enumerate(exposures):
        pixmap = np.stack([scale * x + shift * (1 + 3 * number), scale * y + shift], axis=-1)
        resampler.add(exposure, pixmap, exposure_time=100.0)
    return resampler.finish()


def is_whole(out):
    """The invariant of combined images."""
    assert np.array_equal(np.isfinite(out.err), out.wht > 0)
    assert np.array_equal(np.isfinite(out.sci), out.wht != 0)
    for name in ("sci", "wht", "err", *VARIANCES):
        values = getattr(out, name)
        assert values is None or not np.isinf(values).any(), name
    assert np.isfinite(out.wht).all()
    assert not (out.err < 0).any()


@pytest.mark.parametrize("variance", ["resampled", "propagated", "error"])
@given(data=st.data(), weight_type=st.sampled_from(["ivm", "exptime"]), scale=st.sampled_from([0.7, 1.0, 1.9]))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_combined_images_of_every_set_of_planes(engine, variance, data, weight_type, scale):
    for names in SUBSETS:
        exposures = [data.draw(images(names)) for _ in range(2)]
        if not all((exposure.err > 0).any() for exposure in exposures):
            exposures = [replace(exposure, err=np.zeros(SHAPE, np.float32)) for exposure in exposures]
        is_whole(drizzled(exposures, scale=scale, variance=variance, weight_type=weight_type))


@pytest.mark.filterwarnings("ignore:Kernel .* flux-conserving")
@pytest.mark.parametrize("variance", ["resampled", "propagated", "error"])
@pytest.mark.parametrize("kernel", ["lanczos2", "lanczos3", "gaussian", "turbo", "point"])
@given(data=st.data())
@settings(max_examples=6)
def test_kernels_whose_weights_may_be_negative(kernel, variance, data):
    exposures = [data.draw(images({"err", "var_rnoise", "var_poisson"})) for _ in range(2)]
    is_whole(drizzled(exposures, kernel=kernel, variance=variance, shape=(20, 24)))
