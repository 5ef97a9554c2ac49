import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.combination import resample as module
from calflow.science.combination.resample import Resampler, fill_value, pixel_weights
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

SHAPE = (6, 8)
INSIDE = (slice(1, -1), slice(1, -1))
DNU, NON_SCIENCE, HOT, JUMP = (FLAGS[name] for name in ("DO_NOT_USE", "NON_SCIENCE", "HOT", "JUMP_DET"))


@pytest.fixture(params=["drizzle package", "numba"], autouse=True)
def engine(request, monkeypatch):
    """All tests are made twice: the results must not depend on numba."""
    if request.param == "numba":
        pytest.importorskip("numba")
    monkeypatch.setattr(module, "WORTHWHILE", 0 if request.param == "numba" else np.inf)
    return request.param


def image(sci=10.0, var_poisson=2.0, var_rnoise=4.0, var_flat=0.5, dq=0):
    def plane(value):
        return np.full(SHAPE, value, np.float32)

    return Image(
        plane(sci),
        plane(1),
        np.full(SHAPE, dq, np.uint32),
        plane(var_poisson),
        plane(var_rnoise),
        plane(var_flat),
    )


def shifted(dx=0.0, dy=0.0, scale=1.0):
    """The map of pixels to the same place, or beside it."""
    y, x = np.indices(SHAPE, dtype=float)
    return np.stack([x * scale + dx, y * scale + dy], axis=-1)


def combine(*images, pixmap=None, add=None, shape=SHAPE, **options):
    resampler = Resampler(shape, n_images=len(images), **options)
    for item in images:
        resampler.add(item, shifted() if pixmap is None else pixmap, **(add or {}))
    return resampler.finish()


def test_an_exposure_without_weight_is_told():
    resampler = Resampler(SHAPE, n_images=3)
    added = [resampler.add(item, shifted()) for item in (image(), image(dq=1), image(var_rnoise=0))]
    assert added == [True, False, False]


def test_errors_are_drizzled_as_the_image_is():
    first, second = image(), image(var_rnoise=1)
    first.err[:], second.err[:] = 3, 8
    out = combine(first, second, variance="error", pixel_scale_ratio=0.5)
    np.testing.assert_allclose(out.err, (3 * 0.25 + 8 * 1) / (0.25 + 1) / 0.5, rtol=1e-6)
    assert (out.var_poisson, out.var_rnoise, out.var_flat) == (None, None, None)


def test_which_kernel_it_is_does_not_depend_on_what_the_process_has_started(monkeypatch):
    """The results differ in their last digits, and a job may be forked from a process that has the kernel or not."""
    pytest.importorskip("numba")
    monkeypatch.undo()
    module.start_kernel(10**8)
    assert module._one_pass_kernel(10**8) is not None
    assert module._one_pass_kernel(100) is None


def test_one_image_on_its_own_grid_is_itself():
    exposure = image()
    exposure.sci[:] = np.arange(48).reshape(SHAPE)
    out = combine(exposure)
    np.testing.assert_array_equal(out.sci, exposure.sci)
    np.testing.assert_array_equal(out.wht, 0.25)  # 1 / read noise variance
    np.testing.assert_array_equal(out.con, np.ones((1, *SHAPE)))
    # The squares of drizzled roots: equal up to rounding.
    np.testing.assert_allclose(out.var_poisson, 2, rtol=1e-6)
    np.testing.assert_allclose(out.var_rnoise, 4, rtol=1e-6)
    np.testing.assert_allclose(out.var_flat, 0.5, rtol=1e-6)
    np.testing.assert_allclose(out.err, 6.5**0.5, rtol=1e-6)
    assert out.dq is None
    assert all(plane.dtype == np.float32 for plane in (out.sci, out.wht, out.err, out.var_flat))
    assert out.con.dtype == np.int32


def test_two_images_are_averaged_with_the_inverse_read_noise_variance():
    out = combine(image(sci=10, var_rnoise=4), image(sci=20, var_rnoise=1))
    np.testing.assert_allclose(out.sci, (10 / 4 + 20) / 1.25, rtol=1e-6)  # 18
    np.testing.assert_array_equal(out.wht, 1.25)
    np.testing.assert_array_equal(out.con, np.full((1, *SHAPE), 0b11))


def test_variances_of_two_images_are_those_of_the_weighted_mean():
    out = combine(image(var_rnoise=4, var_poisson=2), image(var_rnoise=1, var_poisson=3))
    # weights 1/4 and 1: (2/16 + 3) / (5/4)^2 = 2;  (4/16 + 1) / (5/4)^2 = 0.8
    np.testing.assert_allclose(out.var_poisson, 2.0, rtol=1e-6)
    np.testing.assert_allclose(out.var_rnoise, 0.8, rtol=1e-6)
    np.testing.assert_allclose(out.var_flat, 0.5 * (1 / 16 + 1) / (25 / 16), rtol=1e-6)
    np.testing.assert_allclose(out.err**2, 2.8 + 0.34, rtol=1e-6)


def test_image_is_not_changed():
    exposure = image()
    exposure.sci[2, 3] = np.nan
    combine(exposure, add={"sky": 3.0})
    assert exposure.dq[2, 3] == 0
    assert exposure.sci[0, 0] == 10
    assert exposure.err[2, 3] == 1


def test_sky_is_subtracted():
    np.testing.assert_array_equal(combine(image(sci=10), add={"sky": 2.5}).sci, 7.5)


@pytest.mark.parametrize("flag", [DNU, NON_SCIENCE, DNU | HOT])
def test_bad_pixels_do_not_contribute(flag):
    bad = image(sci=1000)
    bad.dq[2, 3] = flag
    out = combine(image(sci=10), bad)
    assert (out.sci[2, 3], out.wht[2, 3], out.con[0, 2, 3]) == (10, 0.25, 0b01)
    assert out.sci[0, 0] == 505


@pytest.mark.parametrize("flag", [HOT, JUMP, HOT | JUMP])
def test_other_flags_exclude_nothing(flag):
    np.testing.assert_array_equal(combine(image(dq=flag)).wht, 0.25)


@pytest.mark.parametrize("plane", ["sci", "err", "var_poisson", "var_rnoise", "var_flat"])
def test_pixel_with_nan_in_any_plane_does_not_contribute(plane):
    exposure = image()
    getattr(exposure, plane)[2, 3] = np.nan
    out = combine(exposure)
    assert out.wht[2, 3] == 0
    assert out.con[0, 2, 3] == 0
    assert np.isnan([out.sci[2, 3], out.err[2, 3], out.var_poisson[2, 3], out.var_flat[2, 3]]).all()
    assert np.isfinite(out.err).sum() == 47


@pytest.mark.parametrize("variance", [0.0, -1.0, np.inf])
def test_pixel_without_a_sensible_read_noise_has_no_weight(variance):
    exposure = image()
    exposure.var_rnoise[2, 3] = variance
    assert pixel_weights(exposure)[2, 3] == 0
    assert pixel_weights(exposure)[0, 0] == 0.25


def test_without_read_noise_and_error_all_pixels_have_the_same_weight():
    exposure = image()
    exposure.var_rnoise = None
    exposure.err[:] = 0
    out = combine(exposure, exposure)
    np.testing.assert_array_equal(out.wht, 2)
    assert out.var_rnoise is None
    np.testing.assert_allclose(out.var_poisson, 1.0, rtol=1e-6)  # 2 / 2


def test_weight_can_be_the_exposure_time():
    resampler = Resampler(SHAPE, weight_type="exptime", n_images=2)
    resampler.add(image(sci=10, var_poisson=2), shifted(), exposure_time=100)
    resampler.add(image(sci=20, var_poisson=8), shifted(), exposure_time=300)
    out = resampler.finish()
    np.testing.assert_array_equal(out.wht, 400)
    np.testing.assert_allclose(out.sci, 17.5, rtol=1e-6)
    np.testing.assert_allclose(out.var_poisson, (2 + 9 * 8) / 16, rtol=1e-6)


@pytest.mark.parametrize("time", [None, 0.0, float("nan"), float("inf")])
def test_exposure_time_must_be_known_to_be_a_weight(time):
    with pytest.raises(ValueError, match="positive exposure time"):
        combine(image(), weight_type="exptime", add={"exposure_time": time})


def test_half_a_pixel_beside_is_the_mean_of_neighbours_and_keeps_the_weight():
    exposure = image()
    exposure.sci[:] = np.arange(8)  # rises by 1 per column
    pixmap = shifted(dx=10.5, dy=10.0)
    out = combine(exposure, pixmap=pixmap, shape=(30, 30))
    assert out.sci[12, 13] == 2.5  # columns 2 and 3
    assert out.wht[12, 10] == 0.125
    assert out.wht.sum() == pytest.approx(48 * 0.25)
    # The error is drizzled as the signal is, as if neighbours were wholly correlated.
    assert out.var_poisson[12, 13] == pytest.approx(2)


def test_finer_grid_keeps_the_brightness_and_has_larger_errors():
    out = combine(image(), pixmap=shifted(scale=2.0, dx=0.5, dy=0.5), shape=(12, 16), pixel_scale_ratio=0.5)
    np.testing.assert_allclose(out.sci, 10, rtol=1e-6)
    np.testing.assert_allclose(out.var_poisson, 2 / 0.25, rtol=1e-6)
    assert out.wht.sum() == pytest.approx(48 * 0.25)


def test_drops_are_smaller_with_pixfrac():
    out = combine(image(), pixmap=shifted(dx=10.5, dy=10.0), shape=(30, 30), pixfrac=0.5)
    # Drops of 0.5 x 0.5 pixel, centred on the edge between two pixels: a half in each.
    assert out.wht[12, 13] == pytest.approx(0.25)
    out = combine(image(), pixmap=shifted(dx=10.3, dy=10.0), shape=(30, 30), pixfrac=0.2)
    assert out.wht[12, 13] == pytest.approx(0.25)
    assert out.wht[12, 18] == 0


@pytest.mark.filterwarnings("ignore:Kernel .* flux-conserving")
@pytest.mark.parametrize("kernel", ["square", "gaussian", "point", "turbo", "lanczos2", "lanczos3"])
def test_all_kernels_keep_a_flat_image_flat(kernel):
    out = combine(image(), pixmap=shifted(dx=10.2, dy=10.3), shape=(30, 30), kernel=kernel)
    np.testing.assert_allclose(out.sci[12:15, 12:16], 10, rtol=1e-5)
    np.testing.assert_allclose(out.err[12:15, 12:16], 6.5**0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("fillval", "expected"), [("NAN", np.nan), ("INDEF", np.nan), ("-5", -5), (0.0, 0), ("nan", np.nan)]
)
def test_pixels_without_input_have_the_fill_value(fillval, expected):
    out = combine(image(), shape=(6, 12), fillval=fillval)
    np.testing.assert_array_equal(out.sci[:, 8:], expected)
    np.testing.assert_array_equal(out.wht[:, 8:], 0)
    assert np.isnan(out.err[:, 8:]).all()
    np.testing.assert_array_equal(out.sci[:, :8], 10)


def test_fill_value_must_be_a_number():
    with pytest.raises(ValueError, match="fillval is 'zero'"):
        fill_value("zero")


def test_context_has_a_plane_for_every_32_inputs():
    out = combine(*[image()] * 33)
    assert out.con.shape == (2, *SHAPE)
    assert (out.con[0].view(np.uint32) == 0xFFFFFFFF).all()
    assert (out.con[1] == 1).all()


def test_context_can_be_left_out():
    assert combine(image(), enable_ctx=False).con is None


def test_errors_can_be_left_out_and_are_then_not_computed(monkeypatch):
    monkeypatch.setattr(module, "_stack", None)  # a call would fail
    out = combine(image(), enable_err=False)
    assert (out.err, out.var_poisson, out.var_rnoise, out.var_flat) == (None,) * 4
    assert out.sci is not None


def test_variances_can_be_left_out_of_the_result():
    out = combine(image(), report_var=False)
    np.testing.assert_allclose(out.err, 6.5**0.5, rtol=1e-6)
    assert (out.var_poisson, out.var_rnoise, out.var_flat) == (None,) * 3


def test_flags_of_contributing_pixels_are_joined():
    first, second = image(dq=HOT), image(dq=JUMP)
    second.dq[2, 3] = NON_SCIENCE
    out = combine(first, second, propagate_dq=True)
    assert out.dq.dtype == np.uint32
    assert out.dq[0, 0] == HOT | JUMP
    assert out.dq[2, 3] == HOT


def test_other_bits_can_be_called_bad():
    """As outlier detection does, which takes NON_SCIENCE pixels."""
    np.testing.assert_array_equal(combine(image(dq=NON_SCIENCE), good_bits="~DO_NOT_USE").wht, 0.25)


def test_pixels_without_a_position_or_out_of_bounds_are_left_out():
    pixmap = shifted()
    pixmap[:, :2] = np.nan
    out = combine(image(), pixmap=pixmap, add={"bounds": ((2, 7), (3, 5))})
    assert (out.wht[:, :2] == 0).all()
    assert (out.wht[:3] == 0).all()
    assert (out.wht[4:-1, 4:-1] == 0.25).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_type": None}, "weight_type is None; it must be one of ivm, exptime"),
        ({"weight_type": "ivm-sky"}, "weight_type is 'ivm-sky'"),
        ({"kernel": "tophat"}, "kernel is 'tophat'"),
        ({"pixfrac": 1.5}, "pixfrac is 1.5"),
        ({"pixfrac": -0.1}, "pixfrac is -0.1"),
        ({"pixel_scale_ratio": 0}, "pixel_scale_ratio is 0"),
        ({"n_images": 0}, "n_images is 0"),
        ({"fillval": "none"}, "fillval is 'none'"),
        ({"good_bits": "~COSMIC"}, "COSMIC"),
        ({"variance": "linear"}, "variance is 'linear'; it must be one of resampled, propagated"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Resampler(SHAPE, **options)


def test_cube_is_refused():
    planes = [np.ones((2, *SHAPE), np.float32) for _ in range(2)]
    with pytest.raises(ValueError, match="two-dimensional"):
        combine(Image(*planes, np.zeros((2, *SHAPE), np.uint32)))


def test_pixel_map_must_fit_the_image():
    with pytest.raises(ValueError, match="pixel map has shape"):
        combine(image(), pixmap=np.zeros((6, 9, 2)))


def test_pixel_map_must_have_positions():
    pixmap = np.full((*SHAPE, 2), np.nan)
    pixmap[2, 3:5] = 1.0
    with pytest.raises(ValueError, match="less than 2 x 2 pixels"):
        combine(image(), pixmap=pixmap)


def test_more_images_than_announced_are_refused():
    resampler = Resampler(SHAPE)
    resampler.add(image(), shifted())
    with pytest.raises(ValueError, match="n_images is 1; no more"):
        resampler.add(image(), shifted())


def test_image_beside_the_output_adds_nothing_and_counts():
    resampler = Resampler(SHAPE, n_images=2)
    resampler.add(image(), shifted(dx=100))
    resampler.add(image(), shifted())
    out = resampler.finish()
    np.testing.assert_array_equal(out.con, 0b10)
    np.testing.assert_allclose(out.err, 6.5**0.5, rtol=1e-6)


def test_propagated_variance_is_that_of_independent_pixels():
    out = combine(image(), pixmap=shifted(dx=10.5, dy=10.0), shape=(30, 30), variance="propagated")
    # Halves of two pixels: (1/4 + 1/4) of the variance of one; at the sides, half of one alone.
    np.testing.assert_allclose(out.var_poisson[12, 10:19], [2, *[1] * 7, 2])
    np.testing.assert_allclose(out.var_rnoise[12, 10:19], [4, *[2] * 7, 4])
    np.testing.assert_allclose(out.err[12, 13], 3.25**0.5, rtol=1e-6)
    assert np.isnan(out.err[12, 9])
    assert np.isnan(out.var_flat[12, 9])


def test_propagated_variance_of_two_images_is_that_of_the_weighted_mean():
    out = combine(image(var_rnoise=4, var_poisson=2), image(var_rnoise=1, var_poisson=3), variance="propagated")
    # weights 1/4 and 1: (2/16 + 3) / (5/4)^2 = 2;  (4/16 + 1) / (5/4)^2 = 0.8
    np.testing.assert_allclose(out.var_poisson, 2.0, rtol=1e-6)
    np.testing.assert_allclose(out.var_rnoise, 0.8, rtol=1e-6)
    np.testing.assert_allclose(out.err**2, 2.8 + 0.5 * (1 / 16 + 1) / (25 / 16), rtol=1e-6)


def test_propagated_variance_of_a_coarse_grid_is_that_of_the_mean():
    out = combine(
        image(),
        pixmap=shifted(scale=0.5, dx=-0.25, dy=-0.25),
        shape=(3, 4),
        pixel_scale_ratio=2.0,
        variance="propagated",
    )
    np.testing.assert_allclose(out.var_poisson, 2 / 4, rtol=1e-6)


def test_propagated_variance_matches_the_scatter_of_images():
    rng = np.random.default_rng(1)
    pixmap = shifted(scale=1.1, dx=10.3, dy=10.4)
    means = []
    for _ in range(400):
        noisy = image(var_poisson=0, var_rnoise=4, var_flat=0)
        noisy.sci[:] = rng.normal(10, 2, SHAPE)
        means.append(combine(noisy, pixmap=pixmap, shape=(22, 24), enable_err=False).sci)
    out = combine(noisy, pixmap=pixmap, shape=(22, 24), variance="propagated")
    ratio = np.var(means, axis=0)[11:15, 12:18] / out.var_rnoise[11:15, 12:18]
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    assert (abs(ratio - 1) < 0.35).all()  # 5 sigma of 400 draws


@pytest.mark.parametrize("variance", ["resampled", "propagated", "error"])
def test_all_exposures_need_the_same_kinds_of_error(variance):
    other = image()
    other.var_flat = None
    with pytest.raises(
        ValueError, match="has VAR_RNOISE, VAR_POISSON, the first one VAR_RNOISE, VAR_POISSON, VAR_FLAT"
    ):
        combine(image(), other, variance=variance)
    known, unknown = error_alone(2.0), error_alone(0.0)
    with pytest.raises(ValueError, match="the exposure has no ERR above 0, the first one ERR"):
        combine(known, unknown, variance=variance)


def error_alone(err):
    exposure = image()
    exposure.var_poisson = exposure.var_rnoise = exposure.var_flat = None
    exposure.err[:] = err
    return exposure


@pytest.mark.parametrize("variance", ["resampled", "propagated"])
def test_the_square_of_an_error_without_parts_is_a_variance(variance):
    first, second = error_alone(2.0), error_alone(1.0)
    first.sci[:], second.sci[:] = 10, 20
    out = combine(first, second, variance=variance)
    # weights 1/4 and 1: the mean is (10/4 + 20) / 1.25, its variance (4/16 + 1) / 1.25^2
    np.testing.assert_array_equal(out.wht, 1.25)
    np.testing.assert_allclose(out.sci, 18, rtol=1e-6)
    np.testing.assert_allclose(out.err, 0.8**0.5, rtol=1e-6)
    assert (out.var_poisson, out.var_rnoise, out.var_flat) == (None,) * 3


def test_the_square_of_an_error_with_the_exposure_time_as_weight():
    resampler = Resampler(SHAPE, weight_type="exptime", n_images=2)
    resampler.add(error_alone(2.0), shifted(), exposure_time=100)
    resampler.add(error_alone(1.0), shifted(), exposure_time=300)
    np.testing.assert_allclose(resampler.finish().err, ((1 * 4 + 9 * 1) / 16) ** 0.5, rtol=1e-6)


def test_the_square_of_an_error_on_a_finer_grid():
    out = combine(error_alone(2), pixmap=shifted(scale=2.0, dx=0.5, dy=0.5), shape=(12, 16), pixel_scale_ratio=0.5)
    np.testing.assert_allclose(out.err, 2 / 0.5, rtol=1e-6)


@pytest.mark.parametrize("variance", ["resampled", "propagated"])
@pytest.mark.parametrize("names", [("var_rnoise",), ("var_poisson",), ("var_rnoise", "var_flat"), ("var_flat",)])
def test_an_error_that_its_parts_do_not_add_up_to_is_combined_itself(names, variance):
    exposure = image()
    exposure.err[:] = 3
    for name in {"var_rnoise", "var_poisson", "var_flat"} - set(names):
        setattr(exposure, name, None)
    out = combine(exposure, exposure, variance=variance)
    np.testing.assert_allclose(out.err, (9 / 2) ** 0.5, rtol=1e-6)
    for name in names:
        np.testing.assert_allclose(getattr(out, name), getattr(exposure, name) / 2, rtol=1e-6)
    np.testing.assert_allclose(out.wht, 2 / 4 if "var_rnoise" in names else 2 / 9, rtol=1e-6)


def test_the_parts_of_an_error_that_is_not_known_are_all_there_is():
    exposure = image()
    exposure.err[:] = 0
    exposure.var_poisson = exposure.var_flat = None
    np.testing.assert_allclose(combine(exposure).err, 2, rtol=1e-6)


@pytest.mark.parametrize("variance", ["resampled", "propagated", "error"])
def test_an_error_that_is_not_known_stays_0(variance):
    exposure = error_alone(0.0)
    exposure.dq[2, 3] = DNU
    out = combine(exposure, exposure, variance=variance)
    assert (out.wht == 2).sum() == 47
    assert (out.err == 0).sum() == 47
    assert np.isnan(out.err[2, 3])


def test_light_does_not_weigh_itself():
    """ERR is larger where a star is; if its pixels counted less for that, it would lose flux between pixels."""
    exposure = error_alone(1.0)
    y, x = np.indices(SHAPE)
    exposure.sci[:] = 1000 * np.exp(-((x - 3.5) ** 2 + (y - 2.5) ** 2))
    exposure.err[:] = np.sqrt(1 + exposure.sci)
    out = combine(exposure, pixmap=shifted(dx=0.5))
    # Each output pixel is the plain mean of the two that cover it.
    np.testing.assert_allclose(out.sci[:, 1:], (exposure.sci[:, 1:] + exposure.sci[:, :-1]) / 2, rtol=1e-5)
    # The medians of the errors are the weights of exposures.
    weight = 1 / np.median(exposure.err) ** 2
    both = combine(exposure, error_alone(2.0))
    np.testing.assert_allclose(both.wht, weight + 0.25, rtol=1e-6)
    expected = np.sqrt((weight * exposure.err) ** 2 + 0.5**2) / (weight + 0.25)
    np.testing.assert_allclose(both.err, expected, rtol=1e-5)


def test_errors_need_not_be_weights():
    """The outlier search leaves out pixels of little weight, and a noisy detector of a group is not covered less."""
    np.testing.assert_array_equal(combine(error_alone(2.0), error_weights=False).wht, 1)
    np.testing.assert_array_equal(combine(error_alone(2.0)).wht, 0.25)


@pytest.mark.parametrize(
    ("plane", "value"),
    [
        ("sci", np.inf),
        ("sci", 3e38),
        ("err", -1),
        ("err", np.inf),
        ("var_poisson", -2),
        ("var_rnoise", np.inf),
        ("var_flat", 3e38),
    ],
)
def test_what_is_no_value_does_as_little_as_what_is_flagged(plane, value):
    bad, flagged = image(sci=20), image(sci=20)
    getattr(bad, plane)[2, 3] = value
    flagged.dq[2, 3] = DNU
    out, expected = (combine(image(), other, pixmap=shifted(dx=0.4), shape=(6, 9)) for other in (bad, flagged))
    for name in ("sci", "wht", "con", "err", "var_poisson", "var_rnoise", "var_flat"):
        np.testing.assert_array_equal(getattr(out, name), getattr(expected, name), err_msg=name)
    assert np.isfinite(out.err[:, 1:8]).all()


@pytest.mark.parametrize("variance", ["resampled", "propagated", "error"])
@pytest.mark.parametrize("exponent", [-62, -40, 40, 60])
def test_another_unit_changes_nothing_else(exponent, variance):
    """Variances of 1e-37 to 1e37: in another unit, a power of two, all results are the same but for rounding."""

    def exposures(unit):
        for number in range(3):
            exposure, _ = scene(np.random.default_rng(number), number)
            exposure.sci *= np.float32(unit)
            exposure.err *= np.float32(unit)
            for name in ("var_poisson", "var_rnoise", "var_flat"):
                setattr(exposure, name, (getattr(exposure, name) * np.float64(unit) ** 2).astype(np.float32))
            yield exposure

    options = {"pixmap": shifted(dx=1.3, dy=1.1), "shape": (9, 11), "variance": variance}
    plain, out = (combine(*exposures(unit), **options) for unit in (1.0, 2.0**exponent))
    np.testing.assert_array_equal(out.sci, plain.sci * np.float32(2.0**exponent))
    np.testing.assert_allclose(out.err, plain.err * np.float32(2.0**exponent), rtol=1e-6)
    np.testing.assert_allclose(out.wht, plain.wht.astype(float) * 2.0 ** (-2 * exponent), rtol=1e-6)
    np.testing.assert_array_equal(out.con, plain.con)


def test_variances_of_all_sizes_at_once():
    """Each pixel by itself, in double precision: parts from 1e-30 to 1e30 of one exposure, and 1 of another."""
    first, second = image(), image(var_rnoise=1, var_poisson=1, var_flat=1)
    sizes = np.logspace(-30, 30, 48).astype(np.float32).reshape(SHAPE)
    first.var_poisson[:], first.var_flat[:] = sizes, sizes[::-1]
    out = combine(first, second)
    weights = np.array([1 / 4, 1.0])
    for name, part in (("var_poisson", sizes), ("var_flat", sizes[::-1])):
        expected = (weights[0] ** 2 * part.astype(float) + 1) / weights.sum() ** 2
        np.testing.assert_allclose(getattr(out, name), expected, rtol=1e-5)
    assert np.isfinite(out.err).all()


def test_an_exposure_after_another_of_another_size():
    first, second = image(sci=1e15, var_rnoise=1e30), image(sci=2.0)
    for exposures in ((first, second), (second, first)):
        out = combine(*exposures)
        np.testing.assert_allclose(out.sci, 2, rtol=1e-2)
        np.testing.assert_allclose(out.var_rnoise, 4, rtol=1e-6)
    assert combine(first).err[0, 0] == pytest.approx(1e15)


def scene(rng, number):
    """An image with noise and bad pixels, and a turned map of it into a larger output."""
    exposure = image(dq=0)
    for name in ("sci", "var_poisson", "var_rnoise", "var_flat"):
        getattr(exposure, name)[:] = rng.uniform(1, 3, SHAPE)
    exposure.dq[rng.random(SHAPE) < 0.1] = DNU
    angle = np.radians(10 * number)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return exposure, (shifted() - (3.5, 2.5)) @ turn + (25 + 2 * number, 30 - 3 * number)


def mosaic(window, **options):
    resampler = Resampler((60, 70), n_images=3, pixel_scale_ratio=1.0, **options)
    rng = np.random.default_rng(5)
    for number in range(3):
        exposure, pixmap = scene(rng, number)
        pixmap[: window[0], : window[1]] = np.nan
        resampler.add(exposure, pixmap, exposure_time=10.0 * (number + 1))
    return resampler.finish()


@pytest.mark.parametrize("variance", ["resampled", "propagated"])
@pytest.mark.parametrize("weight_type", ["ivm", "exptime"])
def test_threads_change_no_bit_and_numba_only_the_last_ones(variance, weight_type, monkeypatch):
    pytest.importorskip("numba")
    results = []
    for worthwhile, threads in ((np.inf, 1), (0, 1), (0, 2)):
        monkeypatch.setattr(module, "WORTHWHILE", worthwhile)
        results.append(mosaic((2, 3), variance=variance, weight_type=weight_type, threads=threads))
    by_drizzle, by_kernel, by_threads = results
    assert np.count_nonzero(by_drizzle.wht) > 50
    np.testing.assert_array_equal(by_kernel.con, by_drizzle.con)
    for name in ("sci", "wht", "err", "var_poisson", "var_rnoise", "var_flat"):
        kernel = getattr(by_kernel, name)
        np.testing.assert_allclose(kernel, getattr(by_drizzle, name), rtol=2e-6, err_msg=name)
        np.testing.assert_array_equal(getattr(by_threads, name), kernel, err_msg=name)
    np.testing.assert_array_equal(by_threads.con, by_kernel.con)


def test_work_is_confined_to_the_window_of_the_image(monkeypatch):
    """Of a large mosaic only the pixels around the image are touched."""
    sizes = []
    add = module._ErrorSums.add

    def watch(self, names, errors, seen, window, weight):
        sizes.append(errors.shape)
        add(self, names, errors, seen, window, weight)

    monkeypatch.setattr(module._ErrorSums, "add", watch)
    out = combine(image(), pixmap=shifted(dx=500, dy=300), shape=(1000, 2000))
    assert sizes[0][0] == 3
    assert sizes[0][1] < 12
    assert sizes[0][2] < 14
    assert np.count_nonzero(out.wht) == 48
    np.testing.assert_allclose(out.err[300:306, 500:508], 6.5**0.5, rtol=1e-6)


@given(
    angle=st.floats(-4, 4),
    scale=st.floats(0.2, 5),
    dx=st.floats(-20, 80),
    dy=st.floats(-20, 80),
    bend=st.floats(-0.05, 0.05),
    xmin=st.integers(0, 3),
    xmax=st.integers(5, 7),
    ymax=st.integers(3, 5),
)
def test_all_corners_of_pixels_lie_within_the_window(angle, scale, dx, dy, bend, xmin, xmax, ymax):
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pixmap = shifted() @ turn + (dx, dy)
    pixmap += bend * (shifted() - 3) ** 2
    rows, columns = module._window(pixmap, ((xmin, xmax), (0, ymax)), (60, 70))
    # Half a pixel further on all sides, as drizzle does it: a straight line through the last two.
    wide = np.pad(pixmap, ((1, 1), (1, 1), (0, 0)))
    for axis in (0, 1):
        part = np.moveaxis(wide, axis, 0)
        part[0], part[-1] = 2 * part[1] - part[2], 2 * part[-2] - part[-3]
    corners = (wide[:-1, :-1] + wide[1:, :-1] + wide[:-1, 1:] + wide[1:, 1:]) / 4
    corners = corners[: ymax + 2, xmin : xmax + 2]
    for k, part, size in ((0, columns, 70), (1, rows, 60)):
        first, last = np.rint(corners[..., k].min()), np.rint(corners[..., k].max())
        assert part.start <= max(first, 0) or first >= size
        assert part.stop > min(last, size - 1) or last < 0
        assert 0 <= part.start <= part.stop <= size


@pytest.mark.parametrize("pixels", [4 * 256 * 256, 4 * 2048 * 2048])
def test_numba_is_started_for_large_work_only(pixels, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.undo()
    found = module._one_pass_kernel(pixels)
    assert (found is not None) == (pixels > 1e6)


def test_without_numba_the_drizzle_package_does_it(monkeypatch):
    monkeypatch.setattr(module, "WORTHWHILE", 0)
    monkeypatch.setitem(sys.modules, "calflow.science.combination.drizzle_kernel", None)
    monkeypatch.delattr("calflow.science.combination.drizzle_kernel", raising=False)
    np.testing.assert_array_equal(combine(image()).sci, 10)
