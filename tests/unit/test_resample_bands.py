"""The bands of a combined image are the whole, to the bit: with any number of rows, turned exposures, NaN, edges."""

import numpy as np
import pytest

import calflow.science.combination.resample as module
from calflow.science.combination import combination_parameters
from calflow.science.combination.combination_parameters import bands_at_once
from calflow.science.combination.exposure_rows import exposure_rows
from calflow.science.combination.resample import Resampler
from calflow.science.image import Image

pytest.importorskip("numba")

SHAPE = (61, 55)
OUTPUT = (90, 80)
EVERYTHING = ((0, SHAPE[1] - 1), (0, SHAPE[0] - 1))
PLANES = ("sci", "wht", "con", "err", "var_poisson", "var_rnoise", "var_flat")


def image(seed):
    random = np.random.default_rng(seed)
    sci, err, poisson, noise, flat = random.uniform(1, 2, (5, *SHAPE)).astype(np.float32)
    dq = np.where(random.uniform(size=SHAPE) < 0.05, np.uint32(1), np.uint32(0))
    sci[10:13, 20:30] = noise[40] = np.nan
    return Image(sci, err, dq, poisson, noise, flat)


def placed(angle, centre, scale=0.97):
    """The map of an exposure that is turned, with a bit of distortion."""
    y, x = (axis - (n - 1) / 2 for axis, n in zip(np.indices(SHAPE, dtype=float), SHAPE, strict=True))
    c, s = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    return np.stack([centre[0] + c * x - s * y + 1e-4 * x * y, centre[1] + s * x + c * y + 2e-4 * x**2], axis=-1)


# The second hangs over the upper edge of the output, the third over a corner; the last lies beside it.
CENTRES = [(40.2, 35.3), (35.0, 75.7), (70.0, 10.0)]
EXPOSURES = [
    (image(1), placed(2, (40.2, 35.3))),
    (image(2), placed(35, (35.0, 75.7))),
    (image(3), placed(91, (70.0, 10.0))),
    (image(4), placed(180, (41.1, 36.2))),
    (image(5), placed(0, (400.0, 40.0))),
]
# Pixels that are much larger, and much smaller, than those of the output
SCALES = [
    [
        (item, placed(angle, centre, scale))
        for (item, _), angle, centre in zip(EXPOSURES[:3], (0, 35, 90), CENTRES, strict=True)
    ]
    for scale in (5.3, 0.2)
]


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    monkeypatch.setattr(module, "WORTHWHILE", 0)


def whole(exposures=EXPOSURES, **options):
    resampler = Resampler(OUTPUT, n_images=len(exposures), **options)
    for item, pixmap in exposures:
        resampler.add(item, pixmap, bounds=EVERYTHING)
    return resampler.finish()


def in_bands(monkeypatch, rows, by_rows, exposures=EXPOSURES, **options):
    monkeypatch.setattr(combination_parameters, "BAND_PIXELS", 1)
    monkeypatch.setattr(combination_parameters, "LEAST_BAND_ROWS", rows)
    resampler = Resampler(OUTPUT, n_images=len(exposures), **options)
    found = []
    for band in resampler.bands(SHAPE[0] * SHAPE[1]):
        sums = resampler.band(band)
        for number, (item, pixmap) in enumerate(exposures):
            if not by_rows:
                sums.add(item, pixmap, bounds=EVERYTHING, number=number)
                continue
            all_rows = exposure_rows(pixmap, OUTPUT, EVERYTHING)
            rows = all_rows.reaching(band)
            if rows.stop - rows.start < 2:
                continue
            part = Image(**{name: plane[rows] for name, plane in item.planes().items()})
            bounds = EVERYTHING[0], (0, rows.stop - rows.start - 1)
            sums.add(part, pixmap[rows], bounds=bounds, number=number, limits=all_rows.limits_of(rows))
        found.append(sums.finish())
    return found


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("options", [{}, {"variance": "propagated"}, {"enable_ctx": False, "enable_err": False}])
@pytest.mark.parametrize("rows", [1, 7, 45, 200])
def test_bands_are_the_whole(monkeypatch, rows, options, by_rows):
    expected = whole(**options)
    found = in_bands(monkeypatch, rows, by_rows, **options)
    assert len(found) == max(1, round(OUTPUT[0] / rows))
    assert np.count_nonzero(expected.wht) > 5000
    for name in PLANES:
        plane = getattr(expected, name)
        bands = [getattr(band, name) for band in found]
        if plane is None:
            assert bands == [None] * len(bands)
            continue
        nothing = np.full((1, OUTPUT[1]), np.nan, np.float32)
        bands = [np.repeat(nothing, len(band.sci), 0) if p is None else p for p, band in zip(bands, found, strict=True)]
        np.testing.assert_array_equal(np.concatenate(bands, axis=-2), plane, err_msg=name)


@pytest.mark.parametrize("exposures", SCALES, ids=["fine", "coarse"])
@pytest.mark.parametrize("rows", [1, 7, 45])
def test_bands_of_finer_and_of_coarser_grids(monkeypatch, rows, exposures):
    expected = whole(exposures)
    found = in_bands(monkeypatch, rows, True, exposures)
    assert np.count_nonzero(expected.wht) > 300
    for name in PLANES:
        bands = [getattr(band, name) for band in found if getattr(band, name) is not None]
        reached = np.concatenate([np.full(len(b.sci), getattr(b, name) is not None) for b in found])
        plane = getattr(expected, name)
        np.testing.assert_array_equal(np.concatenate(bands, axis=-2), plane[..., reached, :], err_msg=name)
        assert not expected.wht[~reached].any()


def test_what_the_drizzle_package_does_has_one_band(monkeypatch):
    monkeypatch.setattr(combination_parameters, "BAND_PIXELS", 1)
    monkeypatch.setattr(combination_parameters, "LEAST_BAND_ROWS", 10)
    for options in ({"kernel": "gaussian"}, {"pixfrac": 0.8}, {"propagate_dq": True}, {"variance": "error"}):
        assert Resampler(OUTPUT, n_images=3, **options).bands(10**6) == [slice(0, OUTPUT[0])]
    assert len(Resampler(OUTPUT, n_images=3).bands(10**6)) == 9


def test_the_size_of_bands():
    # Of about 2 Mpixel, 460 rows, and of the same number of rows but for the last.
    bands = Resampler((4503, 4553), n_images=16).bands(2048**2)
    assert len(bands) == 10
    assert bands[0] == slice(0, 451)
    assert bands[-1] == slice(4059, 4503)
    assert Resampler((600, 4553), n_images=16).bands(2048**2) == [slice(0, 600)]
    # Of 256 rows at least.
    assert Resampler((20_000, 20_000), n_images=16).bands(2048**2)[1] == slice(257, 514)


def test_many_threads_work_on_no_more_pixels():
    assert [bands_at_once((20_000, 20_000), threads) for threads in (1, 2, 3, 64)] == [1, 2, 2, 2]
    assert [bands_at_once((2068, 2074), threads) for threads in (1, 2, 64)] == [1, 2, 2]  # there are no more
    assert bands_at_once((4503, 4553), 64) == 5


def test_exposures_of_other_planes_are_refused_in_another_band_too(monkeypatch):
    monkeypatch.setattr(combination_parameters, "BAND_PIXELS", 1)
    monkeypatch.setattr(combination_parameters, "LEAST_BAND_ROWS", 45)
    resampler = Resampler(OUTPUT, n_images=2)
    first, second = resampler.bands(10**6)
    item, pixmap = EXPOSURES[0]
    resampler.band(first).add(item, pixmap, number=0)
    with pytest.raises(ValueError, match="combined ones need the same"):
        resampler.band(second).add(Image(item.sci, item.err, item.dq, item.var_poisson), pixmap, number=1)


def test_rows_that_reach_a_band():
    y, x = np.indices((6, 4), dtype=float)
    pixmap = np.stack([x + 10, 2 * y + 20], axis=-1)  # rows at 20, 22 ... 30
    rows = exposure_rows(pixmap, (60, 40), ((0, 3), (0, 5)))
    assert rows.reaching(slice(0, 10)) == slice(0, 0)
    assert rows.reaching(slice(25, 26)) == slice(1, 6)  # of 22.5 to 27.5 each way, and one more on each side
    assert rows.reaching(slice(0, 60)) == slice(0, 6)
    assert rows.limits_of(slice(1, 6))[0].tolist() == [0, -1]
    assert rows.limits_of(slice(1, 6))[-1].tolist() == [0, 3]
