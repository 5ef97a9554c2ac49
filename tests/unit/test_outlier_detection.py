from dataclasses import replace

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.combination.median import median_of_groups
from calflow.science.combination.outlier_detection import (
    apply_outliers,
    blot,
    error_without_rays,
    flag_outliers,
    flag_outliers_unresampled,
    weight_cut,
)
from calflow.science.combination.resample import Resampler
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

NAN = np.nan
DNU, OUTLIER, HOT = FLAGS["DO_NOT_USE"], FLAGS["OUTLIER"], FLAGS["HOT"]


def exposure(sci, err=1.0):
    sci = np.array(sci, np.float32)
    return Image(sci, np.full(sci.shape, err, np.float32), np.zeros(sci.shape, np.uint32))


def spot(shape, **pixels):
    """Zeros but for ``r<row>c<column>=value``."""
    plane = np.zeros(shape, np.float32)
    for name, value in pixels.items():
        plane[tuple(map(int, name[1:].split("c")))] = value
    return plane


def flagged(mask):
    return [tuple(position) for position in np.argwhere(mask).tolist()]


class TestWeightCut:
    def test_pixels_of_low_weight_have_no_value(self):
        weight = np.full((5, 21), 2, np.float32)
        weight[0, :3] = 0.5, 0.999, 1.0
        cut = weight_cut(np.ones_like(weight), weight, maskpt=0.5)
        # The mean without the three outliers is 2, so the threshold is 1; a weight of 1 is not below it.
        assert flagged(np.isnan(cut)) == [(0, 0), (0, 1)]
        assert cut.dtype == np.float32

    def test_the_mean_is_that_of_the_clipped_weights(self):
        weight = np.full((1, 101), 2, np.float32)
        weight[0, 0] = 9  # 9 is further than 3 x 0.69 from 2; with it the mean were 2.07
        cut = weight_cut(np.ones_like(weight), weight, maskpt=1.0)
        assert not np.isnan(cut).any()

    def test_two_values_are_never_clipped(self):
        cut = weight_cut(np.ones((1, 2)), np.array([[1, 3]], np.float32), maskpt=0.6)  # threshold 1.2
        assert flagged(np.isnan(cut)) == [(0, 0)]

    def test_zero_and_invalid_weights_do_not_count(self):
        weight = np.array([[4, 4, 4, 0, 0, 0, 0, NAN, np.inf]], np.float32)
        cut = weight_cut(np.ones_like(weight), weight, maskpt=0.9)
        assert flagged(np.isnan(cut)) == [(0, 3), (0, 4), (0, 5), (0, 6), (0, 7)]

    def test_maskpt_of_zero_leaves_out_only_what_has_no_weight(self):
        weight = np.array([[9, 1e-3, 0]], np.float32)
        assert flagged(np.isnan(weight_cut(np.ones_like(weight), weight, maskpt=0))) == [(0, 2)]

    def test_equal_weights_are_not_below_their_mean(self):
        weight = np.full((30, 30), 0.1, np.float32)
        assert not np.isnan(weight_cut(np.ones_like(weight), weight, maskpt=1.0)).any()

    def test_without_any_weight_there_is_no_value(self):
        assert np.isnan(weight_cut(np.ones((2, 2)), np.zeros((2, 2), np.float32))).all()

    def test_the_input_stays_as_it_is(self):
        sci, weight = np.ones((1, 3), np.float32), np.array([[3, 2, 0]], np.float32)
        weight_cut(sci, weight, maskpt=0.9)
        assert sci.tolist() == [[1, 1, 1]]
        assert weight.tolist() == [[3, 2, 0]]

    @given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 1000))
    def test_the_window_on_the_grid_does_not_matter(self, above, left, seed):
        rng = np.random.default_rng(seed)
        weight = rng.gamma(3, 1, (8, 9)).astype(np.float32)
        sci = rng.normal(size=weight.shape).astype(np.float32)
        around = ((above, 2), (left, 1))
        padded = weight_cut(np.pad(sci, around, constant_values=NAN), np.pad(weight, around))
        np.testing.assert_array_equal(padded[above:-2, left:-1], weight_cut(sci, weight))
        assert np.isnan(padded).sum() == padded.size - 72 + np.isnan(weight_cut(sci, weight)).sum()

    @given(st.integers(0, 1000), st.sampled_from([1, 2, 3, 10, 1001, 5000]))
    def test_clipping_is_that_of_astropy(self, seed, size):
        rng = np.random.default_rng(seed)
        weight = rng.lognormal(0, 1, (1, size)).astype(np.float32)
        clipped = sigma_clip(weight, sigma=3, maxiters=5, masked=False, axis=None)
        threshold = 0.7 * np.nanmean(clipped, dtype=np.float64)
        np.testing.assert_array_equal(np.isnan(weight_cut(weight, weight)), weight < threshold)

    def test_shapes_and_fraction_are_checked(self):
        with pytest.raises(ValueError, match="its weights"):
            weight_cut(np.ones((2, 2)), np.ones((2, 3)))
        for maskpt in (-0.1, NAN):
            with pytest.raises(ValueError, match="maskpt"):
                weight_cut(np.ones((2, 2)), np.ones((2, 2)), maskpt)


class TestBlot:
    # The value of a pixel is x + 10 y.
    PLANE = np.add.outer(10 * np.arange(3), np.arange(4)).astype(np.float32)

    def at(self, *positions, plane=PLANE):
        return blot(plane, np.array([positions], float))[0]

    def test_between_pixels_it_is_bilinear(self):
        assert self.at((0, 0), (3, 2), (1.5, 0), (0, 0.25), (1.25, 1.5)).tolist() == [0, 23, 1.5, 2.5, 16.25]

    def test_off_the_image_there_is_no_value(self):
        assert np.isnan(self.at((-0.01, 1), (1, -0.01), (4, 1), (1, 3), (1e9, 1), (np.inf, 1), (1, -np.inf))).all()

    def test_beyond_the_last_centre_its_value_goes_on(self):
        assert self.at((3.9, 1), (1, 2.9), (3.5, 2.5)).tolist() == [13, 21, 23]

    @pytest.mark.parametrize("position", [(NAN, 1), (1, NAN), (NAN, NAN)])
    def test_without_a_position_there_is_no_value(self, position):
        assert np.isnan(self.at(position)).all()

    def test_next_to_nan_there_is_no_value(self):
        plane = self.PLANE.copy()
        plane[1, 1] = NAN
        values = self.at((0.5, 0.5), (0, 0), (1.5, 1.5), (2, 1), (2.5, 1.5), plane=plane)
        assert np.isnan(values).tolist() == [True, True, True, False, False]

    def test_a_map_of_many_rows_is_blotted_to_the_end(self):
        plane = np.arange(1000, dtype=np.float32).reshape(500, 2)
        y, x = np.indices(plane.shape, float)
        y[300] = NAN
        expected = plane.copy()
        expected[300] = NAN
        np.testing.assert_array_equal(blot(plane, np.stack([x, y], axis=-1)), expected)

    def test_the_image_may_be_a_file_and_the_map_stays_as_it_is(self, tmp_path):
        np.save(tmp_path / "median.npy", self.PLANE)
        pixmap = np.array([[[NAN, 1], [2.5, 1]]])
        out = blot(np.load(tmp_path / "median.npy", mmap_mode="r"), pixmap)
        np.testing.assert_array_equal(out, np.array([[NAN, 12.5]], np.float32))
        np.testing.assert_array_equal(pixmap, [[[NAN, 1], [2.5, 1]]])

    def test_something_else_than_a_map_is_an_error(self):
        with pytest.raises(ValueError, match="pixel map"):
            blot(self.PLANE, np.zeros((2, 3, 4)))


class TestFlagOutliers:
    FLAT = np.zeros((5, 6), np.float32)

    def test_outliers_and_their_wings(self):
        # Above 5 ERR; above 4 beside it and diagonally; below 4 beside it; above 4 two pixels away.
        sci = spot((5, 6), r2c2=5.5, r2c3=-4.5, r1c1=4.5, r2c1=3.9, r2c4=4.9)
        assert flagged(flag_outliers(exposure(sci), self.FLAT, 0)) == [(1, 1), (2, 2), (2, 3)]

    def test_wings_do_not_reach_round_the_edge(self):
        sci = spot((5, 6), r0c0=9, r0c5=4.5, r4c0=4.5, r4c5=4.5, r1c1=4.5)
        assert flagged(flag_outliers(exposure(sci), self.FLAT, 0)) == [(0, 0), (1, 1)]

    def test_the_threshold_itself_is_not_above_it(self):
        sci = spot((5, 6), r2c2=5)
        assert not flag_outliers(exposure(sci), self.FLAT, 0).any()

    def test_next_to_sharp_structure_the_thresholds_are_higher(self):
        blotted = spot((5, 6), r2c2=10)
        # D is 10 at (2, 2) and its four neighbours, 0 elsewhere: thresholds 12 + 5 and 7 + 4.
        sci = blotted + spot((5, 6), r2c2=16.5, r2c3=16.5, r4c4=5.5)
        assert flagged(flag_outliers(exposure(sci), blotted, 0)) == [(4, 4)]
        sci = blotted + spot((5, 6), r2c2=17.5, r2c3=11.5, r1c2=10.5)
        assert flagged(flag_outliers(exposure(sci), blotted, 0)) == [(2, 2), (2, 3)]

    def test_the_largest_of_the_four_differences_counts(self):
        blotted = spot((5, 6), r1c2=-1, r2c1=2, r2c3=-4, r3c2=3, r1c1=99)
        image = exposure(blotted + spot((5, 6), r2c2=5 + 1.2 * 4 + 0.01))
        assert flagged(flag_outliers(image, blotted, 0)) == [(2, 2)]
        image = exposure(blotted + spot((5, 6), r2c2=5 + 1.2 * 4 - 0.01))
        assert not flag_outliers(image, blotted, 0).any()

    def test_thresholds_are_parameters(self):
        image, blotted = exposure(spot((5, 6), r2c2=2.5, r2c3=1.5), err=0.5), self.FLAT
        assert flagged(flag_outliers(image, blotted, 0, snr=(4.9, 2.9))) == [(2, 2), (2, 3)]
        assert flagged(flag_outliers(image, blotted, 0, snr=(4.9, 3.1))) == [(2, 2)]
        slope = spot((5, 6), r2c2=1)
        image.sci += slope
        # D is 1 at both, so the first threshold is 0.5 + 1.9 and the second 0.5 + 0.9 or 0.5 + 1.1.
        assert flagged(flag_outliers(image, slope, 0, snr=(1, 1), scale=(1.9, 0.9))) == [(2, 2), (2, 3)]
        assert flagged(flag_outliers(image, slope, 0, snr=(1, 1), scale=(1.9, 1.1))) == [(2, 2)]
        assert flagged(flag_outliers(image, slope, 0, snr=(1, 1), scale=(2.1, 0.9))) == []

    def test_the_sky_is_left_out(self):
        image = exposure(spot((5, 6), r2c2=5.5) + 100)
        assert flagged(flag_outliers(image, self.FLAT, 100.0)) == [(2, 2)]

    def test_backg_counts_only_if_the_sky_is_not_known(self):
        image = exposure(spot((5, 6), r2c2=5.5) + 100)
        assert flagged(flag_outliers(image, self.FLAT, None, backg=100.0)) == [(2, 2)]
        assert flag_outliers(image, self.FLAT, 0.0, backg=100.0).all()

    def test_without_a_value_there_is_no_outlier(self):
        sci, blotted = spot((5, 6), r2c2=9, r0c0=9, r4c4=9), self.FLAT.copy()
        sci[2, 2] = blotted[0, 0] = NAN
        assert flagged(flag_outliers(exposure(sci), blotted, 0)) == [(4, 4)]
        blotted[:] = NAN
        assert not flag_outliers(exposure(sci), blotted, 0).any()

    def test_neighbours_without_a_value_make_no_difference(self):
        blotted = np.full((5, 6), NAN, np.float32)
        blotted[2, 2] = 1
        assert flagged(flag_outliers(exposure(np.full((5, 6), 6.1)), blotted, 0)) == [(2, 2)]
        blotted[2, 3] = 2  # D is 1: threshold 6.2
        assert not flag_outliers(exposure(np.full((5, 6), 7.1)), blotted, 0).any()

    def test_an_unknown_error_counts_as_none(self):
        image = exposure(spot((5, 6), r2c2=0.1))
        image.err[2, 2] = NAN
        assert flagged(flag_outliers(image, self.FLAT, 0)) == [(2, 2)]
        assert np.isnan(image.err[2, 2])

    def test_a_ray_that_raises_its_own_error_is_found_by_that_of_the_others(self):
        """A sky of 4.3 and a hit of 4.9 MJy/sr, whose error is 0.66 where others have 0.04."""
        image = exposure(np.full((5, 6), 4.3) + spot((5, 6), r2c2=0.6), err=0.04)
        image.err[2, 2] = 0.66
        assert not flag_outliers(image, self.FLAT, 4.3).any()
        by_others = replace(image, err=error_without_rays(image.err, np.full((5, 6), 0.04, np.float32)))
        assert flagged(flag_outliers(by_others, self.FLAT, 4.3)) == [(2, 2)]
        assert flagged(flag_outliers_unresampled(by_others, self.FLAT, sky=4.3)) == [(2, 2)]
        assert image.err[2, 2] == np.float32(0.66)

    def test_one_pixel(self):
        assert flag_outliers(exposure([[6]]), np.zeros((1, 1), np.float32), 0).tolist() == [[True]]

    @given(st.integers(0, 10_000))
    def test_it_is_what_the_definition_says(self, seed):
        rng = np.random.default_rng(seed)
        sci, blotted = rng.normal(0, 4, (2, 6, 5)).astype(np.float32)
        sci[rng.random(sci.shape) < 0.1] = NAN
        blotted[rng.random(sci.shape) < 0.1] = NAN
        above = np.zeros((2, *sci.shape), bool)
        for y, x in np.ndindex(sci.shape):
            around = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            values = [blotted[j, i] for j, i in around if 0 <= j < 6 and 0 <= i < 5]
            slope = max([abs(value - blotted[y, x]) for value in values if not np.isnan(value)], default=0)
            for k, (snr, scale) in enumerate([(2.0, 0.5), (1.5, 0.3)]):
                above[k, y, x] = abs(sci[y, x] - blotted[y, x] - 0.25) > snr + scale * slope
        near = [above[0, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any() for y, x in np.ndindex(sci.shape)]
        expected = above[1] & np.reshape(near, sci.shape)
        mask = flag_outliers(exposure(sci), blotted, 0.25, snr=(2.0, 1.5), scale=(0.5, 0.3))
        np.testing.assert_array_equal(mask, expected)

    @pytest.mark.parametrize("bad", [{"snr": (5.0, -1.0)}, {"scale": (NAN, 1.0)}, {"snr": (5.0,)}])
    def test_thresholds_are_checked(self, bad):
        with pytest.raises(
            ValueError, match=f"{next(iter(bad))} are .*; they must (each )?be (two numbers|0 or larger)"
        ):
            flag_outliers(exposure(self.FLAT), self.FLAT, 0, **bad)

    def test_shapes_are_checked(self):
        with pytest.raises(ValueError, match="one shape"):
            flag_outliers(exposure(self.FLAT), np.zeros((5, 5), np.float32), 0)
        with pytest.raises(ValueError, match="one shape"):
            flag_outliers(exposure(np.zeros((2, 3, 3))), np.zeros((2, 3, 3), np.float32), 0)


class TestFlagOutliersUnresampled:
    def test_only_the_first_threshold_counts_and_nothing_is_grown(self):
        sci = spot((3, 4), r1c1=5.1, r1c2=4.9, r0c0=-5.1)
        mask = flag_outliers_unresampled(exposure(sci), np.zeros((3, 4), np.float32))
        assert flagged(mask) == [(0, 0), (1, 1)]

    def test_sharp_structure_does_not_matter(self):
        median = spot((3, 4), r1c1=100)
        assert flagged(flag_outliers_unresampled(exposure(median + spot((3, 4), r1c1=6)), median)) == [(1, 1)]

    def test_sky_and_threshold(self):
        image, median = exposure([[12, 14, 15]]), np.zeros((1, 3), np.float32)
        assert flag_outliers_unresampled(image, median, snr=3, sky=11).tolist() == [[False, False, True]]

    def test_without_a_value_there_is_no_outlier(self):
        image = exposure([[NAN, 9, 9]])
        image.err[0, 2] = NAN
        median = np.array([[0, NAN, 0]], np.float32)
        assert flag_outliers_unresampled(image, median).tolist() == [[False, False, True]]

    def test_input_is_checked(self):
        with pytest.raises(ValueError, match="one shape"):
            flag_outliers_unresampled(exposure([[1]]), np.zeros((1, 2), np.float32))
        with pytest.raises(ValueError, match=r"snr are \(-1, -1\); they must each be 0 or larger"):
            flag_outliers_unresampled(exposure([[1]]), np.zeros((1, 1), np.float32), snr=-1)


class TestErrorWithoutRays:
    def test_what_stands_out_is_replaced(self):
        err = np.array([1, 1.9, 2.1, 50, 1, 1, 1], np.float32)
        assert error_without_rays(err, np.ones(7, np.float32)).tolist() == [1, np.float32(1.9), 1, 1, 1, 1, 1]

    def test_a_noisy_exposure_stays_noisy(self):
        """Three times the error of the others all over, and 30 times in one pixel."""
        err = np.array([3, 6, 3, 30, 3, 6], np.float32)
        others = np.array([1, 2, 1, 1, 1, 2], np.float32)
        assert error_without_rays(err, others).tolist() == [3, 6, 3, 3, 3, 6]

    def test_without_a_value_nothing_is_replaced(self):
        err = np.array([1, 9, NAN, 9, 1, 1, 1], np.float32)
        others = np.array([1, NAN, 1, 1, 1, 1, 1], np.float32)
        np.testing.assert_array_equal(error_without_rays(err, others), [1, 9, NAN, 1, 1, 1, 1])
        nothing = np.full(7, NAN, np.float32)
        np.testing.assert_array_equal(error_without_rays(err, nothing), err)
        np.testing.assert_array_equal(error_without_rays(nothing, others), nothing)
        assert error_without_rays(err, others).dtype == np.float32

    def test_shapes_are_checked(self):
        with pytest.raises(ValueError, match=r"shape \(2,\), the median errors \(3,\)"):
            error_without_rays(np.ones(2, np.float32), np.ones(3, np.float32))


class TestApplyOutliers:
    def test_outliers_are_flagged_and_without_value(self):
        image = exposure([[1, 2, 3, NAN]])
        image.var_rnoise = np.ones((1, 4), np.float32)
        image.dq[:] = HOT
        assert apply_outliers(image, np.array([[False, True, False, False]])) == 1
        assert image.dq.tolist() == [[HOT, HOT | OUTLIER | DNU, HOT, HOT | DNU]]
        for plane in (image.sci, image.err, image.var_rnoise):
            assert np.isnan(plane).tolist() == [[False, True, False, True]]

    def test_none_are_none(self):
        image = exposure([[1, 2]])
        assert apply_outliers(image, np.zeros((1, 2), bool)) == 0
        assert (image.sci.tolist(), image.dq.tolist()) == ([[1, 2]], [[0, 0]])

    def test_the_shape_is_checked(self):
        with pytest.raises(ValueError, match="the mask has shape"):
            apply_outliers(exposure([[1, 2]]), np.zeros((2, 2), bool))


@pytest.mark.parametrize("raised", [False, True])
def test_a_cosmic_ray_in_one_of_three_shifted_exposures_is_found_and_the_star_is_not(raised):
    """Also if it raises its own error, and the errors follow the light of the star."""
    rng = np.random.default_rng(3)
    shape, grid, hit = (40, 40), (48, 48), (12, 17)
    rows, columns = np.indices(shape, float)
    exposures, maps, layers, errors = [], [], [], []
    for k, (dx, dy) in enumerate([(2.2, 3.4), (4.7, 2.1), (3.3, 5.6)]):
        x, y = columns + dx, rows + dy
        star = 200 * np.exp(-((x - 25) ** 2 + (y - 28) ** 2) / 8)
        err = np.sqrt(1 + star / 20)
        image = exposure(star + err * rng.normal(0, 1, shape) + 10 * k)
        image.err[:] = err
        image.var_rnoise = np.ones(shape, np.float32)
        if k == 1:
            image.sci[hit] += 50
            image.err[hit] *= 60 if raised else 1
        resampler = Resampler(grid, variance="error", enable_ctx=False)
        resampler.add(image, np.stack([x, y], axis=-1), sky=10.0 * k)
        resampled = resampler.finish()
        layers.append((weight_cut(resampled.sci, resampled.wht), (0, 0)))
        errors.append((weight_cut(resampled.err, resampled.wht), (0, 0)))
        exposures.append(image)
        maps.append(np.stack([x, y], axis=-1))
    median, median_error = median_of_groups(layers, grid), median_of_groups(errors, grid)
    for by_median in (False, True):
        masks = []
        for k, (image, pixmap) in enumerate(zip(exposures, maps, strict=True)):
            if by_median:
                image = replace(image, err=error_without_rays(image.err, blot(median_error, pixmap)))
            masks.append(flag_outliers(image, blot(median, pixmap), 10.0 * k))
        found = by_median or not raised
        assert masks[1][hit] == found
        assert [int(mask.sum()) for mask in masks] == [0, int(found), 0]
