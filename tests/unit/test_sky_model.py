import numpy as np
import pytest

from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image
from calflow.science.sky.background_map import NoBackground
from calflow.science.sky.sky_combination import combine_skies
from calflow.science.sky.sky_model import SkyModel, smooth_sky, subtract_sky

HOT, NO_FLAT = FLAGS["HOT"], FLAGS["NO_FLAT_FIELD"]
OPTIONS = {"box_size": 25, "filter_size": 3, "sigma_low": 3.0, "sigma_high": 3.0, "maxiters": 20}


def exposure(sci, err=1.0, dq=0):
    sci = np.asarray(sci, np.float32)
    return Image(sci, np.full_like(sci, err), np.full(sci.shape, dq, np.uint32))


def noisy_sky(level=20.0, slope=0.0, seed=1, shape=(100, 125)):
    noise = np.random.default_rng(seed).normal(0, 1, shape)
    return exposure(level + slope * np.arange(shape[1]) + noise)


def model(*values, err=1.0, dq=0, level=None):
    sky = np.array([values], np.float32)
    flags = np.zeros(sky.shape, np.uint32) | np.uint32(dq)
    return SkyModel(sky, np.full_like(sky, err), flags, float(sky.mean()) if level is None else level)


def test_a_constant_sky_is_found_exactly():
    out = smooth_sky(exposure(np.full((60, 70), 7.5)), **OPTIONS)
    assert (out.sky == 7.5).all()
    assert (out.err == 0).all()
    assert out.level == 7.5
    assert (out.sky.dtype, out.err.dtype, out.dq.dtype) == (np.float32, np.float32, np.uint32)


def test_level_and_error_of_noise():
    out = smooth_sky(noisy_sky(), **OPTIONS)
    assert out.level == pytest.approx(20, abs=3 / 111)  # noise 1, 12500 pixels
    assert out.err.mean() == pytest.approx(1 / 25, rel=0.03)  # 625 pixels per box
    assert np.abs(out.sky - 20).max() < 4 / 25


def test_a_gradient_is_followed():
    out = smooth_sky(noisy_sky(slope=0.02), **OPTIONS)
    columns = np.arange(125)
    inner = slice(37, 88)  # the median filter and the spline flatten the outermost boxes
    difference = out.sky.mean(axis=0)[inner] - (20 + 0.02 * columns[inner])
    assert np.abs(difference).max() < 0.08


def test_sources_are_clipped():
    image = noisy_sky()
    image.sci[40:44, 50:54] += 500
    plain, with_source = smooth_sky(noisy_sky(), **OPTIONS), smooth_sky(image, **OPTIONS)
    assert np.abs(with_source.sky - plain.sky).max() < 0.02


def test_pixels_with_a_flag_or_without_a_value_are_not_used_but_have_a_sky():
    image = exposure(np.full((60, 70), 7.5))
    image.sci[10:12, 10:20] = 1e6
    image.dq[10:12, 10:20] = NO_FLAT
    image.sci[40, 40] = np.nan
    out = smooth_sky(image, **OPTIONS)
    assert (out.sky == 7.5).all()
    assert (out.dq == image.dq).all()
    assert out.dq is not image.dq


def test_without_a_usable_box_there_is_one_for_all():
    image = exposure(np.full((60, 70), 7.5))
    image.dq[:, ::2] = HOT
    assert (smooth_sky(image, **OPTIONS).sky == 7.5).all()


def test_boxes_larger_than_the_exposure_are_cut_to_it():
    assert (smooth_sky(exposure(np.full((20, 15), 3)), **OPTIONS | {"box_size": 101}).sky == 3).all()


def test_a_lower_threshold_above_lowers_the_sky():
    one_sided = smooth_sky(noisy_sky(), **OPTIONS | {"sigma_low": 6.0, "sigma_high": 2.0, "maxiters": 100})
    assert smooth_sky(noisy_sky(), **OPTIONS).level - one_sided.level == pytest.approx(0.05, abs=0.01)


def test_an_exposure_without_a_usable_pixel_has_no_sky():
    with pytest.raises(NoBackground, match="all pixels of the exposure have flags or no value"):
        smooth_sky(exposure(np.ones((30, 30)), dq=HOT), **OPTIONS)


def test_integrations_have_no_common_sky():
    with pytest.raises(ValueError, match=r"one 2-D exposure, not in one of shape \(2, 30, 30\)"):
        smooth_sky(exposure(np.ones((2, 30, 30))), **OPTIONS)


def test_skies_are_divided_by_their_relative_level():
    out = combine_skies([model(8, 12, level=10), model(16, 24, level=20)])
    assert out.sky.tolist() == [[12, 18]]
    assert out.level == 15


def test_errors_are_scaled_with_their_sky_and_propagated():
    # Relative levels 2/3 and 4/3: errors 3 and 3, of the mean 3 / sqrt(2).
    out = combine_skies([model(10, err=2), model(20, err=4)])
    assert out.err[0, 0] == pytest.approx(3 / np.sqrt(2))


def test_a_sky_is_left_out_where_its_exposure_has_a_flag():
    skies = [model(9, 10, dq=[[HOT, 0]], level=10), model(11, 10, level=10)]
    out = combine_skies(skies)
    assert out.sky.tolist() == [[11, 10]]
    assert out.dq.tolist() == [[0, 0]]


def test_where_all_have_flags_the_sky_is_filled_and_keeps_the_common_ones():
    out = combine_skies([model(9, dq=HOT | NO_FLAT, level=10), model(11, dq=NO_FLAT, level=10)])
    assert (out.sky[0, 0], out.dq[0, 0]) == (10, NO_FLAT)
    assert out.err[0, 0] == pytest.approx(np.sqrt(0.5))
    assert out.dq.dtype == np.uint32


def test_what_a_source_left_in_one_of_several_skies_is_clipped():
    skies = [model(value, level=10) for value in (9.9, 10.05, 10, 10.1, 9.95, 30)]
    assert combine_skies(skies).sky[0, 0] == pytest.approx(10)


def test_a_single_sky_stays_as_it_is():
    single = model(-3, dq=HOT)
    assert combine_skies([single]) is single


def test_without_skies_there_is_nothing_to_combine():
    with pytest.raises(ValueError, match="there is no sky to combine"):
        combine_skies([])


@pytest.mark.parametrize("level", [0.0, -1.0, np.nan])
def test_skies_without_a_positive_level_cannot_be_scaled(level):
    with pytest.raises(ValueError, match=f"sky 2 has the level {level:.6g}; to be scaled it must be positive"):
        combine_skies([model(1), model(1, level=level)])


def test_skies_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        combine_skies([model(1), model(1, 2)])


def test_a_sky_is_subtracted_with_its_error_and_flags():
    out = subtract_sky(exposure([[9, 8]], err=3, dq=NO_FLAT), model(1, 2, err=4, dq=HOT))
    assert out.sci.tolist() == [[8, 6]]
    assert out.err.tolist() == [[5, 5]]
    assert out.dq.tolist() == [[HOT | NO_FLAT] * 2]
    assert (out.sci.dtype, out.err.dtype, out.dq.dtype) == (np.float32, np.float32, np.uint32)


def test_it_is_scaled_to_the_exposure():
    out = subtract_sky(exposure([[9]], err=3), model(2, err=2), scale=2.0)
    assert (out.sci[0, 0], out.err[0, 0]) == (5, 5)


def test_it_is_subtracted_from_every_integration():
    out = subtract_sky(exposure([[[9]], [[8]]]), model(2))
    assert out.sci.ravel().tolist() == [7, 6]


def test_inputs_stay_as_they_are():
    image, sky = exposure([[9]]), model(2, dq=HOT)
    subtract_sky(image, sky, scale=3)
    combine_skies([sky, model(4)])
    assert (image.sci[0, 0], image.err[0, 0], image.dq[0, 0]) == (9, 1, 0)
    assert (sky.sky[0, 0], sky.err[0, 0], sky.dq[0, 0]) == (2, 1, HOT)


def test_a_sky_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the sky has shape \(1, 2\), the exposure \(1, 1\); cut the sky"):
        subtract_sky(exposure([[9]]), model(1, 2))


def test_scaled_by_its_level_the_common_sky_fits_exposures_of_any_level():
    images = [noisy_sky(level, seed=seed) for seed, level in enumerate((16.0, 20.0, 24.0))]
    models = [smooth_sky(image, **OPTIONS) for image in images]
    common = combine_skies(models)
    assert common.level == pytest.approx(20, abs=0.03)
    for image, own in zip(images, models, strict=True):
        out = subtract_sky(image, common, scale=own.level / common.level)
        assert np.median(out.sci) == pytest.approx(0, abs=0.05)
