"""A HiPS has the pixels of an image where HEALPix has them, and says of itself what the standard wants."""

import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from calflow.science.geometry.healpix import nested_cells
from calflow.sky_map.hips import WIDTH, build_hips

# The nine that HiPS 1.0 demands (IVOA, 2017, section 4.4.1), and what those must be that have a choice of words.
MANDATORY = {
    "creator_did": r"ivo://[\w.-]{3,}/\S+",
    "obs_title": r"\S.*",
    "dataproduct_type": "image",
    "hips_version": r"1\.4",
    "hips_release_date": r"\d{4}-\d\d-\d\dT\d\d:\d\dZ",
    "hips_status": r"(public|private) (master|mirror|partial) (clonable|unclonable|clonableOnce)",
    "hips_tile_format": r"(png|jpeg|fits)( (png|jpeg|fits))*",
    "hips_order": r"\d+",
    "hips_frame": "equatorial",
}
# Of the tile 7 of the order 0, as the draft of HiPS 1.5 (2025) shows it for FITS tiles.
TILE_7 = """\
CTYPE1  = 'RA---HPX'
CTYPE2  = 'DEC--HPX'
CRPIX1  = -255.5
CRPIX2  = -255.5
CRVAL1  = 0
CRVAL2  = 0
CD1_1   = -8.7890625E-02
CD1_2   = -8.7890625E-02
CD2_1   = 8.7890625E-02
CD2_2   = -8.7890625E-02
PV2_1   = 4
PV2_2   = 3
"""


def write_image(path, data, scale, place=(270.0, 5.0), keywords=()):
    """Write an image of pixels of so many degrees around a place, turned by 30 degrees."""
    ny, nx = data.shape
    cosine, sine = np.cos(np.radians(30)), np.sin(np.radians(30))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], place, [nx / 2 + 0.5, ny / 2 + 0.5]
    wcs.wcs.cd = scale * np.array([[-cosine, sine], [sine, cosine]])
    primary = fits.PrimaryHDU()
    primary.header.update(dict(keywords))
    fits.HDUList([primary, fits.ImageHDU(data.astype(np.float32), wcs.to_header(), "SCI")]).writeto(path)
    return wcs


def tiles_of(folder, kind):
    return {
        (int(path.parts[-3].removeprefix("Norder")), int(path.stem.removeprefix("Npix"))): path
        for path in folder.glob(f"Norder*/Dir*/Npix*.{kind}")
    }


def properties_of(folder):
    lines = (folder / "properties").read_text().splitlines()
    return dict(re.split(r" *= *", line, maxsplit=1) for line in lines)


@pytest.fixture
def sky(tmp_path):
    """A field of 40 x 40 pixels of 0.115 degrees, hardly larger than those of the order 0, of which one is bright."""
    data = np.random.default_rng(1).normal(5, 0.1, (40, 40))
    data[31, 9] = 100.0
    data[:4] = np.nan
    wcs = write_image(tmp_path / "deep_i2d.fits", data, 0.115, keywords={"DATE-END": "2025-03-01T10:20:30.5"})
    build_hips(tmp_path / "hips", "deep", tmp_path / "deep_i2d.fits", ["png", "fits"])
    return tmp_path / "hips", wcs, data


def test_a_source_is_where_the_header_of_the_standard_has_it(sky):
    folder, wcs, data = sky
    assert tiles_of(folder, "fits").keys() == {(0, 7)}
    values = fits.getdata(tiles_of(folder, "fits")[0, 7])
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    found = WCS(fits.Header.fromstring(TILE_7, sep="\n")).wcs_pix2world([(column, row)], 0)[0]
    expected = wcs.wcs_pix2world([(9, 31)], 0)[0]
    assert np.hypot(*(np.mod(found - expected + 180, 360) - 180)) < 0.115 / np.sqrt(2)
    # Between pixels it is linear: that of the nearest by less than half.
    assert 25 < values[row, column] <= 100
    # The values are those of the image, and there are none where it has none.
    rows, columns = np.nonzero(np.isfinite(values))
    inside = wcs.wcs_world2pix(
        WCS(fits.Header.fromstring(TILE_7, sep="\n")).wcs_pix2world(np.stack([columns, rows], axis=-1), 0), 0
    )
    assert inside[:, 1].min() >= 4
    assert inside.min() >= 0
    assert inside.max() <= 39
    assert len(rows) == pytest.approx(39 * 35 * (0.115 / np.degrees(np.sqrt(np.pi / 3) / WIDTH)) ** 2, rel=0.02)
    assert np.nanmedian(values) == pytest.approx(np.nanmedian(data), abs=0.02)


def test_pictures_have_the_upper_row_first_and_are_transparent_without_values(sky):
    folder, _, _ = sky
    values = fits.getdata(tiles_of(folder, "fits")[0, 7])[::-1]
    picture = Image.open(tiles_of(folder, "png")[0, 7])
    assert picture.mode == "LA"
    levels, alpha = np.moveaxis(np.array(picture), -1, 0)
    np.testing.assert_array_equal(alpha, np.where(np.isfinite(values), 255, 0))
    assert levels[np.unravel_index(np.nanargmax(values), values.shape)] == 255
    # One scale for all: brighter is never darker.
    order = np.argsort(values[alpha > 0])
    assert (np.diff(levels[alpha > 0][order].astype(int)) >= 0).all()


def test_properties_are_those_of_the_standard(sky):
    folder, wcs, _ = sky
    told = properties_of(folder)
    assert {key: told[key] for key, right in MANDATORY.items() if not re.fullmatch(right, told[key])} == {}
    assert (told["hips_order"], told["hips_tile_width"], told["hips_tile_format"]) == ("0", "512", "png fits")
    assert told["hips_release_date"] == "2025-03-01T10:20Z"
    centre = float(told["hips_initial_ra"]), float(told["hips_initial_dec"])
    np.testing.assert_allclose(centre, wcs.wcs_pix2world([(19.5, 19.5)], 0)[0], atol=1e-6)
    assert float(told["hips_initial_fov"]) == pytest.approx(4.6)
    low, high = map(float, told["hips_pixel_cut"].split())
    assert low == pytest.approx(4.8, abs=0.05)
    assert high > 5.5
    assert float(told["moc_sky_fraction"]) == pytest.approx(1 / 768, rel=1e-5)  # one cell of the order 3


def test_a_tile_is_at_half_size_a_quarter_of_the_one_above(tmp_path):
    """Of 300 x 300 pixels of 13 arcsec at the corner of three faces; the source is in the cell that HEALPix says."""
    data = np.random.default_rng(2).normal(5, 0.1, (300, 300))
    data[100:103, 250:253] = 1000.0
    wcs = write_image(tmp_path / "i2d.fits", data, 13 / 3600, place=(0.0, 41.8103))
    build_hips(tmp_path / "hips", "corner", tmp_path / "i2d.fits", ["fits"])
    assert not tiles_of(tmp_path / "hips", "png")
    tiles = {place: fits.getdata(path)[::-1] for place, path in tiles_of(tmp_path / "hips", "fits").items()}
    deepest = int(properties_of(tmp_path / "hips")["hips_order"])
    assert deepest == 5  # its pixels are 12.88 arcsec
    assert {cell for order, cell in tiles if order == 0} == {0, 3, 4}
    for order, cell in tiles:
        assert order == deepest or any((order + 1, part) in tiles for part in range(4 * cell, 4 * cell + 4))
        assert order == 0 or (order - 1, cell // 4) in tiles
    for (order, cell), tile in tiles.items():
        path = f"Norder{order}/Dir{cell // 10000 * 10000}/Npix{cell}.fits"
        assert (tmp_path / "hips" / path).exists()
        for part in range(4):  # x is the lowest binary digit, and goes down; y to the right
            below = tiles.get((order + 1, 4 * cell + part), np.full((WIDTH, WIDTH), np.nan))
            if order < deepest:
                x, y = part % 2 * 256, part // 2 * 256
                squares = below.reshape(256, 2, 256, 2)
                known = np.isfinite(squares).all(axis=(1, 3))
                mean = squares.mean(axis=(1, 3))
                np.testing.assert_allclose(tile[x : x + 256, y : y + 256][known], mean[known], rtol=1e-5)
    ra, dec = wcs.wcs_pix2world([(251, 101)], 0).T
    number = int(nested_cells(ra, dec, deepest + 9)[0])
    cell, within = divmod(number, 4**9)
    x, y = (int(format(within, "018b")[start::2], 2) for start in (1, 0))
    assert tiles[deepest, cell][x, y] == pytest.approx(1000.0)
    # What is there is covered: as many pixels as the image has, and the coverage by its own cells.
    number = sum(np.isfinite(tile).sum() for (order, _), tile in tiles.items() if order == deepest)
    size = 58.6323 * 3600 / 2 ** (deepest + 9)
    assert number * size**2 == pytest.approx((299 * 13) ** 2, rel=3e-3)
    with fits.open(tmp_path / "hips/Moc.fits") as hdus:
        unique = hdus[1].data["UNIQ"].astype(np.int64)
    orders = (np.log2(unique // 4) // 2).astype(int)
    assert orders.max() == deepest + 3
    assert 1 < (size * 2**6) ** 2 * (4.0 ** (deepest + 3 - orders)).sum() / (299 * 13) ** 2 < 1.6


def test_a_hips_is_the_same_again_and_has_nothing_of_the_one_before(sky):
    folder, _, _ = sky
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "Norder9").mkdir()
    (folder / "Norder9/old.png").write_text("")
    build_hips(folder, "deep", folder.parent / "deep_i2d.fits", ["png", "fits"])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["deep_i2d.fits", "hips"]


def test_an_image_without_values_has_no_tiles(tmp_path):
    write_image(tmp_path / "i2d.fits", np.full((20, 30), np.nan), 1e-5)
    build_hips(tmp_path / "hips", "empty", tmp_path / "i2d.fits", ["png"])
    assert not tiles_of(tmp_path / "hips", "png")
    assert properties_of(tmp_path / "hips")["moc_sky_fraction"] == "0"
    assert properties_of(tmp_path / "hips")["hips_release_date"] == "1970-01-01T00:00Z"


@pytest.mark.parametrize("name", ["png", "fits"])
def test_a_failure_leaves_the_hips_that_was_there(sky, name, monkeypatch):
    folder, _, _ = sky
    monkeypatch.setattr("calflow.sky_map.hips.moc_fits", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_hips(folder, "deep", folder.parent / "deep_i2d.fits", [name])
    assert (folder / "properties").exists()
    assert len(tiles_of(folder, "png")) == len(tiles_of(folder, "fits")) == 1
