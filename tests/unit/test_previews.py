"""Pictures of products: how images are averaged, what scale they have, and the same bytes each time."""

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from calflow.pictures.panels import MARK, outliers_in
from calflow.pictures.previews import draw_preview, outline_segments, read_binned, read_counts
from calflow.plan.preview_files import optics_of
from calflow.quality.brightness import brightness_of, noise_step

SCALE = brightness_of([{"level": 1.0, "noise": 0.1}], 0.1)


def sky_header(size):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg"})
    header.update({"CRPIX1": size / 2, "CRPIX2": size / 2, "CRVAL1": 80.0, "CRVAL2": -5.0, "BUNIT": "MJy/sr"})
    header.update({"CDELT1": -3e-5, "CDELT2": 3e-5})
    return header


@pytest.fixture
def product(tmp_path):
    """An image with errors, flags, counts of exposures and labels."""
    size = 50
    sci = np.random.default_rng(1).normal(1.0, 0.1, (size, size)).astype(np.float32)
    dq = np.zeros((size, size), np.uint32)
    dq[3, 4], dq[20:22, 30], dq[40, 40] = 1, 16, 17
    con = np.full((2, size, size), 5, np.int32)  # the first and the third exposure
    con[1] = 0
    con[1, 0, 0] = -(2**31)  # and the last one of the second plane
    planes = {"SCI": sci, "ERR": np.full_like(sci, 0.1), "DQ": dq, "CON": con}
    path = tmp_path / "product.fits"
    images = [fits.ImageHDU(plane, sky_header(size) if name == "SCI" else None, name) for name, plane in planes.items()]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    return path


def test_pixels_are_averaged_by_whole_numbers(tmp_path):
    image = np.array([[1, 3, 5], [5, 7, np.nan], [2, np.nan, np.nan]], np.float32)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image, name="SCI")]).writeto(tmp_path / "a.fits")
    data, _, side = read_binned(tmp_path / "a.fits", 2)
    assert side == 2
    assert_allclose(data, [[4, 5], [2, np.nan]])


def test_flagged_pixels_are_left_out(product):
    data, _, side = read_binned(product, 50, flagged=True)
    assert side == 1
    assert np.argwhere(np.isnan(data)).tolist() == [[3, 4], [40, 40]]


def test_labels_are_not_averaged(tmp_path):
    labels = np.arange(16, dtype=np.int32).reshape(4, 4)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(labels, name="SCI")]).writeto(tmp_path / "a.fits")
    assert read_binned(tmp_path / "a.fits", 2, labels=True)[0].tolist() == [[5, 7], [13, 15]]


def test_labels_and_counts_have_the_shape_of_the_image(tmp_path):
    """Of squares of 4 pixels the last are cut to 1 row and 2 columns, before their middles: the last pixels count."""
    image = np.arange(5 * 10).reshape(5, 10)
    hdus = [
        fits.ImageHDU(image.astype(np.float32), name="SCI"),
        fits.ImageHDU(image[None].astype(np.int32), name="CON"),
    ]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "a.fits")
    assert read_binned(tmp_path / "a.fits", 3)[0].shape == (2, 3)
    assert read_binned(tmp_path / "a.fits", 3, labels=True)[0].tolist() == [[22, 26, 29], [42, 46, 49]]
    assert read_counts(tmp_path / "a.fits", 3).tolist() == [[3, 3, 4], [3, 4, 3]]  # how many bits these have


def test_the_first_integration_is_shown(tmp_path):
    cube = np.stack([np.full((4, 4), value, np.float32) for value in (1, 2)])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(cube, name="SCI")]).writeto(tmp_path / "a.fits")
    assert (read_binned(tmp_path / "a.fits", 4)[0] == 1).all()


def test_exposures_are_counted(product):
    counts = read_counts(product, 50)
    assert counts[0, 0] == 3
    assert counts[1, 1] == 2


def test_an_extension_that_is_not_there(product):
    assert read_binned(product, 50, extension="WHT")[0] is None


def test_neighbouring_pixels_are_one_outlier(product):
    places, sizes = outliers_in(product)
    assert_allclose(places, [[30, 20.5], [40, 40]])
    assert sizes.tolist() == [2, 1]


def test_outlines_of_sources():
    labels = np.zeros((5, 5), int)
    labels[1:4, 1:4] = 1
    shades = outline_segments(np.full((5, 5), 0.5), labels)
    marked = (shades[..., :3] * 255).round() == [int(MARK[i : i + 2], 16) for i in (1, 3, 5)]
    assert np.argwhere(marked.all(axis=2)).tolist() == [
        [y, x] for y in (1, 2, 3) for x in (1, 2, 3) if (y, x) != (2, 2)
    ]


def test_one_scale_for_all_exposures():
    exposures = [{"level": level, "noise": 0.1} for level in (1.0, 1.04, 7.0)] + [{"level": None, "noise": None}]
    scale = brightness_of(exposures, 0.1)
    assert scale == pytest.approx({"low": 0.5, "sky": 1.0, "high": 31.0, "linear": 0.2, "of_filter": True})
    assert brightness_of(exposures[:2], 0.1) == scale
    # Another association of the filter, deeper and with a brighter sky, has the same greys above its own sky.
    deep = brightness_of([{"level": 3.1, "noise": 0.02}], 0.1)
    assert deep == pytest.approx({"low": 2.5, "sky": 3.0, "high": 33.0, "linear": 0.2, "of_filter": True})


def test_without_a_noise_of_the_filter_that_of_the_exposures_counts():
    assert brightness_of([{"level": 3.1, "noise": 0.02}], None)["linear"] == pytest.approx(0.04, rel=0.2)
    nothing = brightness_of([], 0.1)
    assert nothing["high"] > nothing["low"]
    assert not nothing["of_filter"]


def test_noise_is_on_coarse_steps():
    assert noise_step([0.09, 0.1, 0.12, np.nan, -1.0, 5.0]) == pytest.approx(0.1)
    assert noise_step([0.12]) == noise_step([0.1])
    assert noise_step([0.2]) == pytest.approx(10 ** (-4 / 6))  # steps of 1.47
    assert noise_step([np.nan, 0.0]) is None


@pytest.mark.parametrize("kind", ["rate", "cal", "crf", "i2d", "exposure", "association"])
def test_the_same_product_gives_the_same_bytes(product, tmp_path, kind):
    files = dict.fromkeys(
        ("rate", "background", "cal", "crf") if kind == "exposure" else ("i2d",) if kind == "association" else (kind,)
    )
    pictures = [tmp_path / f"{number}.png" for number in (1, 2)]
    for picture in pictures:
        draw_preview(kind, "name", "optics", dict.fromkeys(files, product), SCALE, picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_an_image_without_values_or_coordinates_is_drawn(tmp_path):
    empty = fits.ImageHDU(np.full((8, 8), np.nan, np.float32), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), empty]).writeto(tmp_path / "a.fits")
    for kind in ("rate", "i2d"):
        draw_preview(kind, "name", "optics", {kind: tmp_path / "a.fits"}, SCALE, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_names_of_instrument_and_filter():
    assert optics_of({"INSTRUME": "NIRCAM", "FILTER": "F200W", "PUPIL": "CLEAR"}) == "nircam-clear-f200w"
    assert optics_of({"INSTRUME": "IRIS", "FILTER": "CLEAR + K"}) == "iris-clear-k"
    assert optics_of({}) == "all"
