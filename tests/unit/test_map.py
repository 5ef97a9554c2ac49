"""A map has all of an image in its tiles, sources where they are, and the sky where it is."""

import json
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from PIL import Image

from calflow.sky_map.build import PART, build_map, region_text
from calflow.sky_map.png import grey_png, one_colour_png
from calflow.sky_map.pyramid import (
    TILE,
    any_of_four,
    build_pyramid,
    levels_for,
    limits,
    mean_of_four,
    stretched,
)

NAN = np.nan
REGIONS = {"a": "POLYGON ICRS 10.0 20.0 9.999 20.0 9.999 20.001", "b": "CIRCLE ICRS 1 2 3", "c": ""}


def read_png(content):
    """Return the levels of a PNG image, and the image."""
    image = Image.open(BytesIO(content))
    return np.array(image), image


def test_grey_images_have_one_transparent_level():
    levels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 51
    read, image = read_png(grey_png(levels))
    np.testing.assert_array_equal(read, levels)
    assert image.info["transparency"] == 0


def test_images_of_one_colour_are_transparent_elsewhere():
    _, image = read_png(one_colour_png(np.array([[True, False]]), (255, 150, 40)))
    np.testing.assert_array_equal(np.array(image.convert("RGBA")), [[(255, 150, 40, 255), (0, 0, 0, 0)]])


@pytest.mark.parametrize(("shape", "levels"), [((256, 10), 1), ((257, 10), 2), ((512, 513), 3), ((20000, 100), 8)])
def test_the_last_level_is_one_tile(shape, levels):
    assert levels_for(shape) == levels


def test_means_leave_nan_out_and_odd_ends_count():
    band = np.float32([[1, 3, 5], [NAN, 5, NAN], [NAN, NAN, 7]])
    np.testing.assert_array_equal(mean_of_four(band), [[3, 5], [NAN, 7]])
    np.testing.assert_array_equal(any_of_four(np.array([[0, 1, 0], [0, 0, 0]], bool)), [[True, False]])


def test_tiles_of_each_level_make_the_whole_image():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(700, 530)).astype(np.float32)
    tiles = {}
    bands = (image[start : start + TILE] for start in range(0, 700, TILE))
    build_pyramid(
        bands, 3, mean_of_four, lambda level, row, column, tile: tiles.__setitem__((level, row, column), tile)
    )
    expected = image
    for level in range(3):
        rows = sorted({row for at, row, _ in tiles if at == level})
        columns = sorted({column for at, _, column in tiles if at == level})
        whole = np.block([[tiles[level, row, column] for column in columns] for row in rows])
        np.testing.assert_allclose(whole, expected, rtol=1e-6)
        expected = mean_of_four(expected)
    assert (2, 0, 0) in tiles
    assert len(tiles) == 9 + 4 + 1


def test_the_scale_shows_noise_and_cores_and_leaves_nan_out():
    rng = np.random.default_rng(2)
    sample = rng.normal(5, 0.1, (200, 200))
    sample[:3] = 500
    low, high, softening = limits(sample)
    assert (low, softening) == (pytest.approx(4.8, abs=0.01), pytest.approx(0.2, abs=0.01))
    assert high == 500
    levels = stretched(np.array([NAN, low - 1, low, high, high + 1]), low, high, softening)
    np.testing.assert_array_equal(levels, [0, 1, 1, 255, 255])
    assert limits(np.full(3, NAN)) == (0, 1, 1)
    assert limits(np.ones(3))[2] > 0


def test_corners_of_exposures_as_regions():
    corners = np.array([(83.1, -5.2), (83.2, -5.2), (83.2, -5.1)])
    assert region_text([("a", corners)]).splitlines()[-1].startswith("polygon(83.10000000,-5.20000000,")


@pytest.fixture
def image(tmp_path):
    """An image of which one pixel differs from its sky, with its segment, and a catalogue with that source."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (
        ["RA---TAN", "DEC--TAN"],
        [10, 20],
        [1, 1],
        [-1e-5, 1e-5],
    )
    sci, labels = np.random.default_rng(3).normal(size=(300, 400)).astype(np.float32), np.zeros((300, 400), np.int32)
    sci[290, 7], labels[289:292, 6:9] = 1000, 4
    sci[0, 0] = NAN
    for name, data in (("i2d", sci), ("segm", labels)):
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, wcs.to_header(), "SCI")]).writeto(
            tmp_path / f"{name}.fits"
        )
    table = QTable({"label": [4], "xcentroid": [7.0], "ycentroid": [290.0], "name": ["</script>"]})
    table["xcentroid"].unit = "pix"
    table.write(tmp_path / "cat.ecsv", format="ascii.ecsv")
    return tmp_path


def build(folder, *, alone=False):
    catalog, segments = (None, None) if alone else (folder / "cat.ecsv", folder / "segm.fits")
    build_map(folder / "map", folder / "i2d.fits", catalog, segments, REGIONS, "o001 <b>")
    return json.loads((folder / "map/map.js").read_text().removeprefix("const MAP = ").rstrip(";\n"))


def test_a_source_is_where_it_is_in_the_image(image):
    found = build(image)
    assert (found["shape"], found["levels"], found["segments"]) == ([300, 400], 2, True)
    assert (found["x"], found["y"]) == ([7.0], [290.0])
    assert found["columns"][:2] == [["label", ""], ["xcentroid", "pix"]]
    # The picture has the upper row first: y 290 of 300 is the row 9, in the first band.
    levels, _ = read_png((image / "map/image/0/0_0.png").read_bytes())
    assert np.unravel_index(levels.argmax(), levels.shape) == (9, 7)
    lowest, _ = read_png((image / "map/image/0/1_0.png").read_bytes())
    assert lowest.shape == (44, 256)
    assert lowest[43, 0] == 0
    edges, _ = read_png((image / "map/segments/0/0_0.png").read_bytes())
    assert edges.sum() == 8
    assert not edges[9, 7]
    assert not (image / "map/segments/0/1_1.png").exists()
    assert [each["name"] for each in found["footprints"]] == ["a"]
    assert found["footprints"][0]["pixels"][0] == [0, 0]
    rows = (image / "map/rows/0.js").read_text()
    assert rows.startswith('ROWS(0, [["4", "7", "290"')
    assert PART == 1000
    assert "<title>o001 &lt;b></title>" in (image / "map/index.html").read_text()


def test_a_map_is_the_same_again_and_has_nothing_of_the_one_before(image):
    build(image)
    before = {path: path.read_bytes() for path in (image / "map").rglob("*") if path.is_file()}
    (image / "map/old.png").write_text("")
    build(image)
    assert {path: path.read_bytes() for path in (image / "map").rglob("*") if path.is_file()} == before


def test_without_a_catalogue_there_is_the_image_alone(image):
    found = build(image, alone=True)
    assert (found["x"], found["segments"]) == ([], False)
    assert not (image / "map/rows").exists()
