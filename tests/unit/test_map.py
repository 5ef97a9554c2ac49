"""A map has all of an image in its tiles, sources where they are, and the sky where it is."""

import json
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from calflow.science.colour.colour_picture import add_band, coloured, fill_holes, levels_of
from calflow.science.geometry.healpix import cells_within, joined_cells, nested_cells, nested_number
from calflow.sky_map.build import PART, DifferentGrids, Layer, build_map, region_text
from calflow.sky_map.colour_tiles import ColourLayer
from calflow.sky_map.coverage import coverage, moc_fits
from calflow.sky_map.pyramid import (
    TILE,
    any_of_four,
    build_pyramid,
    halved,
    levels_for,
    limits,
    stretched,
)
from calflow.sky_map.tile_files import colour_webp, grey_png, one_colour_png

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
    np.testing.assert_array_equal(halved(band), [[3, 5], [NAN, 7]])
    np.testing.assert_array_equal(any_of_four(np.array([[0, 1, 0], [0, 0, 0]], bool)), [[True, False]])


def test_tiles_of_each_level_make_the_whole_image():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(700, 530)).astype(np.float32)
    tiles = {}
    bands = (image[start : start + TILE] for start in range(0, 700, TILE))
    build_pyramid(bands, 3, halved, lambda level, row, column, tile: tiles.__setitem__((level, row, column), tile))
    expected = image
    for level in range(3):
        rows = sorted({row for at, row, _ in tiles if at == level})
        columns = sorted({column for at, _, column in tiles if at == level})
        whole = np.block([[tiles[level, row, column] for column in columns] for row in rows])
        np.testing.assert_allclose(whole, expected, rtol=1e-6)
        expected = halved(expected)
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


def write_image(path, data):
    """Write an image, or labels, with two exposures: one outlined, one not."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [10, 20]
    wcs.wcs.crpix, wcs.wcs.cdelt = [1, 1], [-1e-5, 1e-5]
    columns = [
        fits.Column("FILENAME", "20A", array=[f"{name}_crf.fits" for name in REGIONS]),
        fits.Column("S_REGION", "80A", array=list(REGIONS.values())),
    ]
    exposures = fits.BinTableHDU.from_columns(columns, name="HDRTAB")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, wcs.to_header(), "SCI"), exposures]).writeto(path)


@pytest.fixture
def image(tmp_path):
    """An image of which one pixel differs from its sky, with its segment, and a catalogue with that source."""
    sci, labels = np.random.default_rng(3).normal(size=(300, 400)).astype(np.float32), np.zeros((300, 400), np.int32)
    sci[290, 7], labels[289:292, 6:9] = 1000, 4
    sci[0, 0] = NAN
    for name, data in (("i2d", sci), ("segm", labels)):
        write_image(tmp_path / f"{name}.fits", data)
    table = QTable({"label": [4], "xcentroid": [7.0], "ycentroid": [290.0], "name": ["</script>"]})
    table["xcentroid"].unit = "pix"
    table.write(tmp_path / "cat.ecsv", format="ascii.ecsv")
    return tmp_path


def build(folder, *others, alone=False, colour=None):
    files = () if alone else (folder / "cat.ecsv", folder / "segm.fits")
    layers = [Layer("F200W", folder / "i2d.fits", *files), *others]
    build_map(folder / "map", "o001 <b>", layers, colour)
    return json.loads((folder / "map/map.js").read_text().removeprefix("const MAP = ").rstrip(";\n"))


def files_of(folder):
    return {path: path.read_bytes() for path in (folder / "map").rglob("*") if path.is_file()}


def test_a_source_is_where_it_is_in_the_image(image):
    found = build(image)
    assert (found["shape"], found["levels"]) == ([300, 400], 2)
    (layer,) = found["layers"]
    assert (layer["folder"], layer["segments"], layer["sources"]) == ("layers/0", True, 1)
    assert layer["columns"][:2] == [["label", ""], ["xcentroid", "pix"]]
    folder = image / "map/layers/0"
    assert (folder / "places.js").read_text() == "PLACES(0, [7.0], [290.0]);\n"
    # The picture has the upper row first: y 290 of 300 is the row 9, in the first band.
    levels, _ = read_png((folder / "image/0/0_0.png").read_bytes())
    assert np.unravel_index(levels.argmax(), levels.shape) == (9, 7)
    lowest, _ = read_png((folder / "image/0/1_0.png").read_bytes())
    assert lowest.shape == (44, 256)
    assert lowest[43, 0] == 0
    edges, _ = read_png((folder / "segments/0/0_0.png").read_bytes())
    assert edges.sum() == 8
    assert not edges[9, 7]
    assert not (folder / "segments/0/1_1.png").exists()
    assert [each["name"] for each in found["footprints"]] == ["a_crf"]
    assert found["footprints"][0]["pixels"][0] == [0, 0]
    assert (image / "map/footprints.reg").read_text().count("polygon") == 1
    assert (folder / "rows/0.js").read_text().startswith('ROWS(0, 0, [["4", "7", "290"')
    assert PART == 1000
    assert "<title>o001 &lt;b></title>" in (image / "map/index.html").read_text()


def test_a_map_is_the_same_again_and_has_nothing_of_the_one_before(image):
    build(image)
    before = files_of(image)
    (image / "map/old.png").write_text("")
    build(image)
    assert files_of(image) == before


def test_without_a_catalogue_there_is_the_image_alone(image):
    (layer,) = build(image, alone=True)["layers"]
    assert (layer["sources"], layer["segments"]) == (0, False)
    assert not (image / "map/layers/0/rows").exists()


def test_of_pixels_without_a_value_there_is_no_tile(image):
    empty = np.full((300, 400), NAN, np.float32)
    empty[:40] = 1
    write_image(image / "empty.fits", empty)
    build(image, Layer("F115W", image / "empty.fits"))
    tiles = sorted(path.name for path in (image / "map/layers/1/image/0").iterdir())
    assert tiles == ["1_0.png", "1_1.png"]  # the lower ones


def test_images_of_other_shapes_share_no_map(image):
    write_image(image / "other.fits", np.zeros((300, 401), np.float32))
    with pytest.raises(DifferentGrids, match=r"other\.fits has another shape than .*i2d\.fits: they share no grid"):
        build(image, Layer("F115W", image / "other.fits"))


def test_filters_of_a_grid_are_layers_and_a_colour(image):
    """A hole at the edge of two bands of tiles is filled as it is in the whole image."""
    rng = np.random.default_rng(4)
    images = rng.normal(0, 1, (3, 300, 400)).astype(np.float32)
    images[:, 30:60, 100:130] += np.float32([40, 20, 10])[:, None, None]
    images[0, 40:48, 110:120] = NAN  # the last row of the first band, from above, is 44
    names = ["F444W", "F200W", "F115W"]
    for name, data in zip(names, images, strict=True):
        write_image(image / f"{name}.fits", data)
    paths = [image / f"{name}.fits" for name in names]
    colour = ColourLayer(names, [[path] for path in paths], [1.0, 1.0, 1.0], 12.0, 8.0)
    others = [Layer(name, path) for name, path in zip(names, paths, strict=True)]
    build_map(image / "map", "deep", others, colour)
    found = json.loads((image / "map/map.js").read_text().removeprefix("const MAP = ").rstrip(";\n"))
    assert [(each["name"], each["of"]) for each in found["pictures"]] == [
        ("colour", None),
        *((name, number) for number, name in enumerate(names)),
    ]
    assert found["pictures"][0]["stretch"].startswith("red: F444W; green: F200W; blue: F115W; Lupton's scale")
    channels = np.zeros_like(images)
    for own, one in zip(np.eye(3), images, strict=True):
        black, noise = levels_of(one)
        add_band(own, (one - np.float32(black)) * np.float32(1 / noise), channels)
    assert fill_holes(channels) == 80
    expected = coloured(channels, 12.0, 8.0)[::-1].astype(int)
    upper, lower = (
        np.array(Image.open(BytesIO((image / f"map/colour/0/{row}_0.webp").read_bytes())).convert("RGB"), int)
        for row in (0, 1)
    )
    assert lower.shape == (44, 256, 3)
    # WebP is lossy: the means of the rows of the source on both sides of the edge.
    for tile, rows, at in ((upper, slice(252, 256), slice(252, 256)), (lower, slice(0, 4), slice(256, 260))):
        np.testing.assert_allclose(
            tile[rows, 104:126].mean(axis=(0, 1)), expected[at, 104:126].mean(axis=(0, 1)), atol=4
        )
    files = files_of(image)
    build_map(image / "map", "deep", others, colour)
    assert files_of(image) == files


def test_colours_are_transparent_where_nothing_is_known():
    colours, known = np.full((8, 8, 3), 90, np.uint8), np.ones((8, 8), bool)
    assert Image.open(BytesIO(colour_webp(colours, known))).mode == "RGB"
    known[0, 0] = False
    alpha = np.array(Image.open(BytesIO(colour_webp(colours, known))))[..., 3]
    np.testing.assert_array_equal(alpha, np.where(known, 255, 0))


@pytest.mark.parametrize(
    ("place", "numbers"),  # at the orders 0, 3, 10, 20, by astropy-healpix 2.0.1
    [
        ((150.1, 2.2), [6, 425, 6978115, 7317084540467]),
        ((83.8, -69.3), [8, 517, 8472239, 8883786751139]),
        ((10.0, 85.0), [0, 63, 1043294, 1093973997563]),
    ],
)
def test_cells_of_places(place, numbers):
    ra, dec = (np.array([value]) for value in place)
    assert [int(nested_cells(ra, dec, order)[0]) for order in (0, 3, 10, 20)] == numbers


@given(st.floats(0, 360), st.floats(-90, 90), st.integers(0, 28))
def test_a_cell_lies_in_that_of_the_order_above(ra, dec, order):
    ra, dec = np.array([ra]), np.array([dec])
    assert nested_cells(ra, dec, order + 1) >> 2 == nested_cells(ra, dec, order)


@pytest.mark.parametrize(
    ("cell", "order", "places"),  # by astropy-healpix 2.0.1: x 0 and y 0, x 1, y 1, both
    [
        (0, 0, [(45.0, 19.471220634491), (67.5, 41.810314895779), (22.5, 41.810314895779), (45.0, 66.443535690899)]),
        (
            517,
            3,
            [
                (83.571428571429, -69.422546494582),
                (84.375, -66.443535690899),
                (73.125, -66.443535690899),
                (75.0, -63.448283680301),
            ],
        ),
    ],
)
def test_centres_of_the_four_cells_in_one(cell, order, places):
    ra, dec = cells_within(cell, order, 2)
    np.testing.assert_allclose(np.stack([ra, dec], axis=-1)[[0, 1, 0, 1], [0, 0, 1, 1]], places, atol=1e-10)


@given(st.integers(0, 26), st.data())
def test_centres_of_cells_lie_in_them(order, data):
    cell = data.draw(st.integers(0, 12 * 4**order - 1))
    ra, dec = cells_within(cell, order, 8)
    x, y = np.mgrid[:8, :8]
    np.testing.assert_array_equal(nested_cells(ra, dec, order + 3), 64 * cell + nested_number(x, y))


def test_four_cells_in_one_place_are_one():
    found = joined_cells(np.array([8, 9, 10, 11, 11, 4, *range(16, 32)]), 3)
    assert {order: cells.tolist() for order, cells in found.items()} == {1: [1], 2: [2], 3: [4]}
    assert joined_cells(np.arange(48), 1)[0].tolist() == list(range(12))


def test_what_exposures_cover(image):
    build(image)
    with fits.open(image / "map/coverage.fits") as hdus:
        header, unique = hdus[1].header, hdus[1].data["UNIQ"].astype(np.int64)
    told = {"MOCVERS": "2.0", "ORDERING": "NUNIQ", "COORDSYS": "C", "MOCORD_S": header["MOCORDER"]}
    assert {key: header[key] for key in told} == told
    orders = (np.log2(unique // 4) // 2).astype(int)
    assert orders.max() == header["MOCORD_S"]

    def covered(ra, dec):
        numbers = [4 * 4**order + nested_cells(np.array([ra]), np.array([dec]), order)[0] for order in set(orders)]
        return bool(np.isin(numbers, unique).any())

    assert covered(9.9995, 20.0001)
    assert covered(9.9999, 20.00005)
    assert not covered(9.9995, 20.0009)  # beyond the longest side
    assert not covered(10.0001, 20.0)
    # Half of 0.001 x 0.001 cos(20) square degrees, and what of cells of 0.2 arcsec lies beyond its sides.
    area = (41252.961 / 12 / 4.0**orders).sum()
    assert 1 < area / (0.5 * 0.001 * 0.001 * np.cos(np.radians(20))) < 1.3
    assert coverage([], None) == (0, {})
    assert moc_fits(0, {})[:6] == b"SIMPLE"
