"""Pixels brighter than the other exposures allow; numbers are worked out by hand."""

import numpy as np
import pytest

from calflow.science.combination import neighbours
from calflow.science.combination.excess import FAR_OUT, UNKNOWN, WING, Compared, find_excess, what_is_left
from calflow.science.combination.outlier_detection import largest_difference

NAN = np.nan
SHAPE = (60, 64)


def plane(value=0.0):
    return np.full(SHAPE, value, np.float32)


def field(sigma=1.4, peak=1000.0):
    """Gaussian stars, each elsewhere in its pixel."""
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    places = [(y + 0.13 * i, x + 0.29 * i) for i, (y, x) in enumerate(np.ndindex(4, 4), start=1)]
    centres = [(6 + 14 * y % 56, 6 + 15 * x % 58) for y, x in places]
    squares = [(row - y) ** 2 + (column - x) ** 2 for y, x in centres]
    return sum(peak * np.exp(-square / (2 * sigma**2)) for square in squares).astype(np.float32)


def derivatives(image):
    """The Laplacian and the structure, written down another way; NaN at the edge."""
    inner = image.astype(float)
    laplacian, structure = np.full(SHAPE, NAN), np.full(SHAPE, NAN)
    for y in range(1, SHAPE[0] - 1):
        for x in range(1, SHAPE[1] - 1):
            (a, b, c), (d, e, f), (g, h, i) = inner[y - 1 : y + 2, x - 1 : x + 2]
            hessian = np.array([[d + f - 2 * e, (a + i - c - g) / 4], [(a + i - c - g) / 4, b + h - 2 * e]])
            gradient = np.array([f - d, h - b]) / 2
            laplacian[y, x] = np.trace(hessian)
            structure[y, x] = np.sqrt(np.sum(hessian**2) + np.sum(gradient**2) / 4)
    return laplacian, structure


def excess(residual, compared, err=None, where=None, snr=(5.0, 4.0)):
    err = plane(1) if err is None else err
    where = np.ones(SHAPE, bool) if where is None else where
    return find_excess(residual, compared, err, where, largest_difference(compared), snr)


def positions(mask):
    return {tuple(position) for position in np.argwhere(mask).tolist()}


class TestFlat:
    def test_noise_alone_is_the_limit(self):
        residual = plane()
        residual[10, 10], residual[20, 20], residual[30, 30] = 5.1, 4.9, -50
        assert positions(excess(residual, plane())) == {(10, 10)}
        assert positions(excess(residual, plane(), snr=(4.5, 4))) == {(10, 10), (20, 20)}

    def test_beside_an_outlier_the_second_number_counts(self):
        residual = plane()
        residual[10, 9:13] = [4.1, 5.1, 3.9, 4.1]
        residual[11, 11] = 4.1
        assert positions(excess(residual, plane())) == {(10, 9), (10, 10), (11, 11)}

    def test_only_where_it_is_asked_and_where_there_are_values(self):
        residual, err, where, compared = plane(9), plane(1), np.ones(SHAPE, bool), plane()
        residual[3, 3], err[4, 4], where[5, 5], compared[10, 10] = NAN, NAN, False, NAN
        found = excess(residual, compared, err, where)
        missing = {(3, 3), (4, 4), (5, 5), (10, 10), (9, 10), (11, 10), (10, 9), (10, 11)}
        assert positions(~found[1:-1, 1:-1]) == {(y - 1, x - 1) for y, x in missing}
        assert not found[0].any()  # a neighbour is off the image
        assert not found[:, -1].any()

    def test_structure_of_unknown_sources_is_allowed_for(self):
        # A step of 4: xx = 4 and x = 2 beside it, S = sqrt(16 + 1); f is not known, so 5 + 3 * 0.4 * 4.12 = 9.95.
        compared, residual = plane(), plane()
        compared[:, 32:] = 4
        residual[10, 31], residual[20, 31] = 9.9, 10.0
        assert positions(excess(residual, compared)) == {(20, 31)}
        # A step of 6 has 6.2 > 5 errors of structure: nothing is said about it.
        compared[:, 32:] = 6
        residual[20, 31] = 1000
        assert not excess(residual, compared).any()


class TestWhatIsLeft:
    def seen(self, residual, compared, err):
        laplacian, structure = derivatives(compared)
        return Compared(*(a.ravel() for a in (residual, err, laplacian, structure)))

    def test_parts_are_measured(self):
        compared = field()
        laplacian, structure = derivatives(compared)
        signs = np.where(np.indices(SHAPE).sum(axis=0) % 2, 1, -1)
        smoothing, left = what_is_left([self.seen(-0.2 * laplacian + 0.1 * signs * structure, compared, plane(1))])
        assert smoothing == pytest.approx(-0.2, abs=0.01)
        assert left == pytest.approx(0.1, abs=0.015)

    def test_hits_do_not_matter(self):
        compared = field()
        laplacian, _ = derivatives(compared)
        residual = -0.2 * laplacian
        residual[::4, ::4] += 3000  # 6 % of the pixels
        smoothing, left = what_is_left([self.seen(residual, compared, plane(1))])
        assert smoothing == pytest.approx(-0.2, abs=1e-6)
        assert left == pytest.approx(0, abs=1e-6)

    def test_few_sources_tell_nothing(self):
        compared = field(peak=8)
        assert what_is_left([self.seen(plane(), compared, plane(1))]) == (0, UNKNOWN)
        assert what_is_left([]) == (0, UNKNOWN)


class TestSources:
    def residual(self, part):
        laplacian, structure = derivatives(field())
        signs = np.where(np.indices(SHAPE).sum(axis=0) % 2, 1, -1)
        return np.nan_to_num(-0.2 * laplacian + part * signs * structure).astype(np.float32)

    def test_what_the_comparison_leaves_of_stars_is_no_outlier(self):
        assert not excess(self.residual(0.1), field()).any()

    def test_a_hit_on_the_slope_of_a_star(self):
        compared, residual = field(), self.residual(0.02)
        _, structure = derivatives(compared)
        y, x = np.argwhere((structure > 100) & (structure < 120))[0]
        allowed = 5 + FAR_OUT * 0.02 * structure[y, x]
        slope = largest_difference(compared)[y, x]
        assert allowed < 15 < 0.7 * slope  # less than `flag_outliers` allows
        residual[y, x] += 15
        assert positions(excess(residual, compared)) == {(y, x)}

    def test_its_wing(self):
        compared = field()
        laplacian, structure = derivatives(compared)
        signs = np.where(np.indices(SHAPE).sum(axis=0) % 2, 1, -1)
        residual = np.nan_to_num(-0.2 * laplacian + 0.02 * signs * structure).astype(np.float32)
        y, x = np.argwhere((structure > 100) & (structure < 120) & (signs == 1))[0]
        residual[y, x] += 1000
        limit = 4 + WING * FAR_OUT * 0.02 * structure[y, x + 1]
        # The noise of the curvature makes a little more of what is left.
        for above, found in ((4, {(y, x), (y, x + 1)}), (-4, {(y, x)})):
            residual[y, x + 1] = -0.2 * laplacian[y, x + 1] + limit + above
            assert positions(excess(residual, compared)) == found

    def test_stars_that_the_comparison_does_not_describe_are_left(self):
        compared, residual = field(), self.residual(0.4)
        _, structure = derivatives(compared)
        y, x = np.argwhere((structure > 100) & (structure < 120))[0]
        residual[y, x] += 100000
        assert not excess(residual, compared).any()

    def test_parts_do_not_matter(self, monkeypatch):
        compared, residual = field(), self.residual(0.1)
        residual[::7, ::5] += 60
        whole = excess(residual, compared)
        monkeypatch.setattr(neighbours, "PIXELS_AT_A_TIME", 7)
        assert whole.any()
        np.testing.assert_array_equal(excess(residual, compared), whole)
