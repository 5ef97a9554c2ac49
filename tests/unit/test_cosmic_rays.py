"""Cosmic rays where the median does not tell them; numbers are worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.files.geometry_files import write_json
from calflow.science.combination import cosmic_rays, neighbours
from calflow.science.combination.cosmic_rays import (
    MARGIN,
    UNKNOWN_RATIO,
    comparison,
    find_cosmic_rays,
    find_sharp,
    lowest_of_groups,
    sharpest_source,
)
from calflow.science.combination.outlier_detection import flag_outliers
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image
from take_lowest import take_lowest

NAN = np.nan
SHAPE = (40, 44)


def exposure(sci, err=1.0):
    sci = np.array(sci, np.float32)
    return Image(sci, np.full(sci.shape, err, np.float32), np.zeros(sci.shape, np.uint32))


def everywhere(value=True, shape=SHAPE):
    return np.full(shape, value)


def star(peak, x, y, sigma, shape=SHAPE):
    """A Gaussian about (x, y), whose neighbours have exp(-1 / (2 sigma^2)) of its peak and more."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    return peak * np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * sigma**2))


def positions(mask):
    return {tuple(position) for position in np.argwhere(mask).tolist()}


class TestLowest:
    def test_one_value_confirms_nothing(self):
        a, b = np.array([[3, 5, NAN]], np.float32), np.array([[4, 1, NAN]], np.float32)
        lowest = lowest_of_groups([(a, (0, 0)), (b, (0, 1))], (1, 5))
        np.testing.assert_array_equal(lowest, [[NAN, 4, NAN, NAN, NAN]])
        assert lowest.dtype == np.float32

    def test_of_four_the_second_lowest_in_whatever_order(self):
        for order in ([1, 2, 3, 4], [4, 3, 2, 1], [2, 1, 4, 3], [3, 1, NAN, 2, 4], [2, 2, 5, 5]):
            layers = [(np.array([[value]], np.float32), (0, 0)) for value in order]
            assert lowest_of_groups(layers, (1, 1)) == 2
        for order in ([1, 2, 3], [NAN, 3, 2, 1]):
            layers = [(np.array([[value]], np.float32), (0, 0)) for value in order]
            assert lowest_of_groups(layers, (1, 1)) == 1

    def test_layers_in_files_are_put_together_band_by_band(self, tmp_path, monkeypatch):
        monkeypatch.setattr("take_lowest.ROWS_AT_A_TIME", 3)
        random, shape, corners = np.random.default_rng(1), (11, 9), [(0, 0), (4, 2), (9, 1)]
        stack = np.full((3, 11, 9), NAN, np.float32)
        for i, (plane, (y, x), size) in enumerate(zip(stack, corners, [(7, 8), (6, 7), (2, 5)], strict=True)):
            layer = random.normal(size=size).astype(np.float32)
            layer[1, 2] = NAN
            plane[y : y + size[0], x : x + size[1]] = layer
            np.save(tmp_path / f"{i}.npy", layer)
            write_json(tmp_path / f"{i}.json", {"y0": y, "x0": x})
        monkeypatch.setattr("take_lowest.read_grid", lambda _: type("Grid", (), {"shape": shape}))
        files = [str(tmp_path / f"{i}") for i in range(3)]
        inputs = Files(layers=[f + ".npy" for f in files], windows=[f + ".json" for f in files], grid="grid")
        take_lowest(inputs, Files(lowest=tmp_path / "lowest.npy"), None)
        seen = np.isfinite(stack).sum(axis=0) > 1
        expected = np.where(seen, np.fmin.reduce(stack), NAN)
        np.testing.assert_array_equal(np.load(tmp_path / "lowest.npy", mmap_mode="r"), expected)


class Files(dict):
    __getattr__ = dict.__getitem__


def test_the_lowest_stands_for_a_median_that_is_hit():
    median = np.array([[1, 3.25, 9, 9, 1]], np.float32)
    lowest = np.array([[1, 1, 1, NAN, 1]], np.float32)
    # 2.25 is more than 2 errors, and D is 0 at the places without a step in the lowest.
    np.testing.assert_array_equal(comparison(median, lowest, np.ones((1, 5), np.float32)), [[1, 1, 1, 9, 1]])
    lowest[0, 0] = -9  # D of its neighbour is 10: 2 + 0.7 * 10 excuses what differs by 2.25
    np.testing.assert_array_equal(comparison(median, lowest, np.ones((1, 5), np.float32))[0, 1:3], [3.25, 1])


class TestSharp:
    @settings(max_examples=40)
    @given(
        x=st.floats(18, 22),
        y=st.floats(18, 22),
        sigma=st.floats(0.6, 2),
        peak=st.floats(20, 1e5),
        others=st.lists(st.tuples(st.floats(15, 25), st.floats(15, 25), st.floats(1, 1e4)), max_size=4),
    )
    def test_no_star_is_sharp_wherever_in_its_pixel(self, x, y, sigma, peak, others):
        sci = star(peak, x, y, sigma) + sum(star(p, a, b, sigma) for a, b, p in others)
        # Of what is left above the ring: 1 - exp(-4 / (2 sigma^2)) of the peak at the least.
        ratio = np.exp(-1 / (2 * sigma**2))
        above_ring = (ratio - np.exp(-4 / (2 * sigma**2))) / (1 - np.exp(-4 / (2 * sigma**2)))
        assert not find_sharp(exposure(sci), everywhere(), 0.6 * above_ring).any()

    @pytest.mark.parametrize("track", [[(20, 20)], [(20, 20), (20, 21)], [(9, 9), (10, 10), (11, 11), (12, 12)]])
    @pytest.mark.parametrize("sky", [0.0, 500.0])
    def test_tracks_are_found_whole(self, track, sky):
        sci = np.full(SHAPE, sky)
        for y, x in track:
            sci[y, x] += 12
        assert positions(find_sharp(exposure(sci), everywhere(), 0.5)) == set(track)

    def test_a_pixel_of_8_sigma_and_one_that_is_not_high_enough(self):
        # Weights 0.25, 0.25, 0.0625, 0.0625 over variances of 0.5 add up to 1.25: the error is
        # sqrt(1 + 0.8 + (0.05 * 8)^2) = 1.4, so 8 is 5.7 of them. 4.9 is less than 5 errors of the pixel.
        sci = np.zeros(SHAPE)
        sci[10, 10], sci[30, 30] = 8, 4.9
        assert positions(find_sharp(exposure(sci), everywhere(), 0.5)) == {(10, 10)}
        assert positions(find_sharp(exposure(sci), everywhere(), 0.5, snr=4)) == {(10, 10), (30, 30)}
        # Where stars have 0.15 in their neighbours: 8 / sqrt(1 + 11 + 0.2) = 2.3.
        assert not find_sharp(exposure(sci), everywhere(), 0.15).any()

    def test_beside_a_star_too(self):
        sci = star(500, 20.3, 19.8, 1.0)
        sci[23, 20] += 60
        assert positions(find_sharp(exposure(sci), everywhere(), 0.45)) == {(23, 20)}

    def test_only_where_one_looks(self):
        sci = np.zeros(SHAPE)
        sci[10, 10] = sci[30, 30] = 20
        where = everywhere()
        where[20:] = False
        assert positions(find_sharp(exposure(sci), where, 0.5)) == {(10, 10)}

    def test_at_the_edge_and_beside_pixels_without_value(self):
        sci = np.zeros(SHAPE)
        sci[0, 7] = sci[20, 20] = sci[39, 43] = 30
        sci[20, 21] = sci[21, 20] = NAN
        assert positions(find_sharp(exposure(sci), everywhere(), 0.5)) == {(0, 7), (20, 20)}
        # No pair of opposite neighbours is whole in the corner.

    def test_noise_of_the_ring_hides_no_hit_at_the_edge(self):
        """Above the sky the pair along the edge has nothing: 8 / sqrt(1 + 0.5 / 0.3^2 + 0.4^2) = 3.1.

        Above the lowest of the ring, -3, it would have 3, which allow 3 / 0.3 = 10 of the 11.
        """
        sci = np.zeros(SHAPE)
        sci[15, 0], sci[17, 1] = 8, -3
        assert positions(find_sharp(exposure(sci), everywhere(), 0.3)) == {(15, 0)}

    @pytest.mark.parametrize("y", [-0.4, 0.0, 0.3, 1.0])
    @pytest.mark.parametrize("sigma", [0.9, 1.45])
    def test_nor_is_a_star_at_the_edge(self, y, sigma):
        sci = star(500, 20.2, y, sigma)
        ratio = sharpest_source(exposure(sum(star(500, 20 + d, 20 + d, sigma) for d in (0, 8, 15))), everywhere())
        assert ratio > 0.3
        assert not find_sharp(exposure(sci), everywhere(), ratio).any()
        assert not find_sharp(exposure(sci.T, 1.0), everywhere(shape=SHAPE[::-1]), ratio).any()

    def test_errors_that_are_not_known_tell_nothing(self):
        sci = np.zeros(SHAPE)
        sci[10, 10] = 50
        assert not find_sharp(exposure(sci, err=NAN), everywhere(), 0.5).any()
        assert not find_sharp(exposure(sci, err=0.0), everywhere(), 0.5).any()

    def test_noise_is_not(self):
        sci = np.random.default_rng(5).normal(size=(500, 500))
        assert find_sharp(exposure(sci), everywhere(shape=sci.shape), 0.5).sum() <= 2

    def test_parts_do_not_matter(self, monkeypatch):
        sci = np.random.default_rng(6).exponential(4, size=SHAPE)
        whole = find_sharp(exposure(sci), everywhere(), 0.5)
        monkeypatch.setattr(neighbours, "PIXELS_AT_A_TIME", 7)
        assert whole.any()
        np.testing.assert_array_equal(find_sharp(exposure(sci), everywhere(), 0.5), whole)


class TestSharpest:
    def field(self, n, sigma):
        places = [(x, y) for y in range(6, 196, 9) for x in range(6, 196, 9)][:n]
        return sum(star(900, x, y, sigma, (200, 200)) for x, y in places) if n else np.zeros((200, 200))

    @pytest.mark.parametrize("sigma", [0.7, 0.9, 1.4])
    def test_is_the_neighbour_of_a_peak_above_the_ring(self, sigma):
        wing = np.sort(np.exp(-np.array([4] * 4 + [5] * 8 + [8] * 4) / (2 * sigma**2)))[::-1]
        ring = (wing[7] + wing[8]) / 2
        expected = (np.exp(-1 / (2 * sigma**2)) - ring) / (1 - ring)
        found = sharpest_source(exposure(self.field(400, sigma)), everywhere(shape=(200, 200)))
        # Pixels beside the peak have a ring that holds more of the star.
        assert 0.93 * expected <= found / MARGIN <= expected * 1.001

    def test_needs_sources_that_are_confirmed(self):
        image = exposure(self.field(400, 0.9))
        assert sharpest_source(image, everywhere(False, (200, 200))) == UNKNOWN_RATIO
        assert sharpest_source(exposure(self.field(1, 0.5)), everywhere(shape=(200, 200))) == UNKNOWN_RATIO


class TestFind:
    @pytest.fixture(autouse=True)
    def known_ratio(self, monkeypatch):
        monkeypatch.setattr(cosmic_rays, "sharpest_source", lambda *_: 0.5)

    def planes(self):
        """One exposure with three hits, of which the last is where no other looks."""
        sci = np.full(SHAPE, 3.0)  # the sky
        for place in ((10, 10), (20, 20), (30, 40)):
            sci[place] += 12
        median, lowest = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
        median[20, 20] = 6  # of two exposures, this one among them
        lowest[:, 36:] = NAN
        return exposure(sci), median, lowest

    def test_hits_where_the_median_is_right_and_hit_and_its_own(self):
        image, median, lowest = self.planes()
        assert positions(find_cosmic_rays(image, median, lowest, 3.0)) == {(10, 10), (20, 20), (30, 40)}
        assert positions(find_cosmic_rays(image, median, lowest, None, backg=3.0)) == {(10, 10), (20, 20), (30, 40)}

    def test_the_other_exposure_of_a_hit_median_is_not_flagged(self):
        image, median, lowest = self.planes()
        image.sci[20, 20] = 3
        assert positions(find_cosmic_rays(image, median, lowest, 3.0)) == {(10, 10), (30, 40)}

    def test_the_core_of_a_star_must_be_sharp_too(self):
        """The median of undersampled stars is too low in their cores; a hit beside one is found all the same."""
        image, median, lowest = self.planes()
        image.sci += star(400, 15, 15, 1.0)
        median += star(200, 15, 15, 1.1)
        lowest += star(200, 15, 15, 1.1)
        assert flag_outliers(image, median, 3.0)[15, 15]
        image.sci[17, 14] += 90
        found = {(10, 10), (20, 20), (30, 40), (17, 14)}
        assert positions(find_cosmic_rays(image, median, lowest, 3.0)) == found

    def test_beside_the_edge_of_the_others_a_star_is_not_compared(self):
        """How steep the lowest is cannot be told at a pixel without neighbours."""
        image, median, lowest = self.planes()
        image.sci += star(400, 15, 15, 1.5)
        median += star(300, 15, 15, 1.6)
        lowest[10:21, 10:21] = NAN
        lowest[14, 14] = median[14, 14]
        image.sci[10, 10] = 3
        assert positions(find_cosmic_rays(image, median, lowest, 3.0)) == {(20, 20), (30, 40)}

    def test_an_exposure_without_the_sources_is_not_the_one_to_compare_with(self):
        """Of three exposures one is blank: the median has the stars, the lowest has not."""
        image, median, lowest = self.planes()
        stars = sum(star(400, x, y, 1.5) for x, y in ((8, 30), (25, 30), (28, 10)))
        image.sci += stars
        median += stars
        median[20, 20] = 0
        assert positions(find_cosmic_rays(image, median, lowest, 3.0)) == {(10, 10), (20, 20), (30, 40)}

    def test_a_hit_on_a_star_whose_neighbours_are_as_bright(self):
        """The comparison is smoother than stars by 0.2 of their curvature: that is no outlier, 15 errors more are."""
        image, median, lowest = self.planes()
        stars = sum(star(400, x + 0.2, y - 0.3, 2.0) for x, y in ((8, 30), (22, 30), (27, 10)))
        smoother = stars.copy()
        smoother[1:-1, 1:-1] += 0.2 * (
            stars[2:, 1:-1] + stars[:-2, 1:-1] + stars[1:-1, 2:] + stars[1:-1, :-2] - 4 * stars[1:-1, 1:-1]
        )
        image.sci += stars
        median += smoother
        lowest += smoother
        assert not flag_outliers(image, median, 3.0)[11, 28]
        image.sci[11, 28] += 15
        assert not flag_outliers(image, median, 3.0)[11, 28]  # the difference to a neighbour is 100 errors
        found = positions(find_cosmic_rays(image, median, lowest, 3.0))
        assert found == {(11, 28), (10, 10), (20, 20), (30, 40)}

    def test_known_bad_pixels_are_left_to_the_median(self):
        image, median, lowest = self.planes()
        image.dq[[10, 20, 30], [10, 20, 40]] = FLAGS["HOT"]
        assert positions(find_cosmic_rays(image, median, lowest, 3.0)) == {(10, 10)}

    def test_the_inputs_stay_as_they_are(self):
        image, median, lowest = self.planes()
        before = [np.array(plane) for plane in (image.sci, image.err, image.dq, median, lowest)]
        find_cosmic_rays(image, median, lowest, 3.0)
        for plane, was in zip((image.sci, image.err, image.dq, median, lowest), before, strict=True):
            np.testing.assert_array_equal(plane, was)

    def test_shapes_must_agree(self):
        image, median, lowest = self.planes()
        with pytest.raises(ValueError, match="lowest"):
            find_cosmic_rays(image, median, lowest[1:], 3.0)
        with pytest.raises(ValueError, match="shape"):
            find_cosmic_rays(image, median[1:], lowest, 3.0)
        with pytest.raises(ValueError, match="snr"):
            find_cosmic_rays(image, median, lowest, 3.0, snr=(-1, 4))
