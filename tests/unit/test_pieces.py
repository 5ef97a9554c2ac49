"""Large images in pieces: which exposures may reach each, what these jobs cost, and how pieces are put together."""

import os
from dataclasses import replace
from errno import EXDEV
from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calflow.configuration.stage3 import CombinedResample
from calflow.files.combined_image import GrowingImage, write_no_planes
from calflow.files.growing_files import COPIED, Later, growing
from calflow.inputs.exposure_footprints import Footprint
from calflow.jobs.sizes import COPIED as COPYING
from calflow.jobs.sizes import Size
from calflow.plan import pieces as module
from calflow.plan.pieces import pieces_of
from calflow.science.combination.combination_parameters import rows_of_piece
from calflow.science.combination.resample import Resampled, Resampler
from calflow.science.geometry.input_pixels import InputPixels
from calflow.science.geometry.output_grid import grid_from_footprints

# A grid of pixels of 0.1 arcsec, north up; 10 arcsec, by which a pointing may be wrong, are 100 rows of it.
SCALE, NX, NY = 0.1, 1000, 3000
PIXELS = InputPixels(SCALE, SCALE**2, 0.0, -1)
SQUARE = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])


def footprint(row, side=500):
    """An exposure in the middle of the columns, of which the middle lies in some row."""
    north = (row - (NY - 1) / 2) * SCALE
    corners = SQUARE * side * SCALE / 2 + (0.0, north)
    return Footprint(np.array([(x / 3600 + 10.0, y / 3600) for x, y in corners]), PIXELS)


GRID = grid_from_footprints(
    [footprint(1499.5).vertices],
    PIXELS,
    pixel_scale=SCALE,
    rotation=0.0,
    crval=(10.0, 0.0),
    crpix=((NX - 1) / 2, (NY - 1) / 2),
    output_shape=(NX, NY),
)


@given(st.integers(1, 100_000), st.integers(1, 50))
def test_pieces_are_all_rows(n_rows, pieces):
    found = [rows_of_piece(n_rows, number, pieces) for number in range(pieces)]
    assert (found[0].start, found[-1].stop) == (0, n_rows)
    assert all(one.stop == other.start for one, other in pairwise(found))
    sizes = {piece.stop - piece.start for piece in found}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("row", "reached"),
    [
        # Of 500 rows, 2 % of them and 100 more on each side: 360 from the middle.
        (500, (0,)),
        (638, (0,)),
        (642, (0, 1)),
        (1358, (0, 1)),
        (1362, (1,)),
        (2900, (2,)),
        (-358, (0,)),
        (-362, ()),
    ],
)
def test_exposures_that_may_reach_a_piece(row, reached):
    resample = CombinedResample(piece_pixels=1_000_000)
    found = pieces_of(resample, (NY, NX), GRID, [footprint(1500), footprint(row)])
    assert len(found) == 3
    assert tuple(number for number, members in enumerate(found) if 1 in members) == reached


def test_of_the_grid_of_a_file_each_exposure_may_reach_each_piece():
    found = pieces_of(CombinedResample(piece_pixels=2_000_000), (NY, NX), None, [footprint(0), footprint(2900)])
    assert found == ((0, 1), (0, 1))


@pytest.mark.parametrize(
    ("values", "shape", "pieces"),
    [
        ({}, (10_000, 10_000), 0),
        ({}, (10_001, 10_000), 2),
        ({}, (20_000, 20_000), 4),
        ({"piece_pixels": None}, (20_000, 20_000), 0),
        ({"piece_pixels": 1}, (1000, 1000), 3),  # of no fewer rows than a band has
        ({"piece_pixels": 1}, (511, 1000), 0),
        # What the drizzle package does, or makes one image of each group, is not made in bands.
        ({"pixfrac": 0.8}, (20_000, 20_000), 0),
        ({"kernel": "gaussian"}, (20_000, 20_000), 0),
        ({"single": True}, (20_000, 20_000), 0),
    ],
)
def test_which_images_are_made_in_pieces(values, shape, pieces):
    assert len(pieces_of(CombinedResample(**values), shape, None, [footprint(0)])) == pieces


def test_without_numba_there_are_no_pieces(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert pieces_of(CombinedResample(), (20_000, 20_000), None, [footprint(0)]) == ()
    monkeypatch.setattr("calflow.science.combination.resample._one_pass_kernel", lambda n_pixels: None)
    with pytest.raises(ValueError, match="needs numba"):
        Resampler((20_000, 20_000)).bands(2048**2, slice(0, 5000))


def test_the_bands_of_a_piece():
    pytest.importorskip("numba")
    bands = Resampler((20_000, 20_000)).bands(2048**2, slice(5000, 10_000))
    assert (bands[0], bands[-1]) == (slice(5000, 5257), slice(9883, 10_000))
    assert Resampler((600, 400)).bands(100, slice(200, 400)) == [slice(200, 400)]


def test_what_pieces_cost():
    """To copy a pixel takes a small part of the time that it takes to drizzle one."""
    size = Size(1600.0, 4.2, 400.0, 380, part=0.0125)
    assert size.drizzled == 1600.0
    assert replace(size, is_copied=True).drizzled == COPYING * 400.0


# Files ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["the system", "read and written", "another file system"])
def copying(request, monkeypatch):
    """Each of the ways in which bytes get from file to file."""

    def fails(*_):
        raise OSError(EXDEV, "Invalid cross-device link")

    if request.param == "another file system":
        monkeypatch.setattr(os, "copy_file_range", fails, raising=False)
    elif request.param == "read and written":
        monkeypatch.delattr(os, "copy_file_range", raising=False)
        monkeypatch.delattr(os, "SEEK_DATA", raising=False)


@pytest.mark.usefixtures("copying")
def test_pixels_that_are_copied(tmp_path):
    source = tmp_path / "source"
    values = np.arange(2 * 3, dtype=">i4").reshape(2, 3)
    source.write_bytes(b"beside" + values.tobytes() + b"beside")
    later = Later((2, 4, 3), np.dtype(np.int32))
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(later.stand_in(), name="CON")]
    with growing(tmp_path / "x.fits", hdus, {"CON": later}) as sections, source.open("rb") as file:
        sections["CON"].copy(file, 6, (2, 3), 1, 2)
        with pytest.raises(ValueError, match=r"no part of int32 of shape \(2, 4, 3\)"):
            sections["CON"].copy(file, 6, (2, 3), 1, 3)
        with pytest.raises(EOFError):
            sections["CON"].copy(file, 6, (4, 3), 0, 0)
    expected = np.zeros((2, 4, 3), np.int32)
    expected[1, 2:] = values
    expected[0].flat[:9] = [*range(6), *fits.getdata(tmp_path / "x.fits")[0].flat[6:9]]  # as far as there were bytes
    np.testing.assert_array_equal(fits.getdata(tmp_path / "x.fits"), expected)


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="the system does not tell of holes")
def test_holes_are_not_filled(tmp_path):
    source, size = tmp_path / "source", 2 * COPIED
    with source.open("wb") as file:
        file.seek(size - 4)
        file.write(b"\0\0\0\7")
    later = Later((size // 4,), np.dtype(np.int32))
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(later.stand_in(), name="CON")]
    with growing(tmp_path / "x.fits", hdus, {"CON": later}) as sections, source.open("rb") as file:
        sections["CON"].copy(file, 0, later.shape)
    assert (tmp_path / "x.fits").stat().st_blocks * 512 < size // 16
    assert np.flatnonzero(fits.getdata(tmp_path / "x.fits")).tolist() == [size // 4 - 1]


def band(rows, **planes):
    sci = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4) + 1
    context = np.stack([sci, 0 * sci, -sci]).astype(np.int32)
    return Resampled(sci=sci, wht=sci + 100, con=context, **{name: sci + number for name, number in planes.items()})


def written(path, rows=3, **planes):
    with GrowingImage.piece(path, (rows, 4)) as image:
        image.write(band(rows, **planes), slice(0, rows))
    return path


def headers():
    return {"PRIMARY": fits.Header({"TARGNAME": "x"}), "SCI": fits.Header({"BUNIT": "MJy/sr"})}, []


def test_an_image_that_is_put_together_is_one_that_is_written(tmp_path):
    piece = written(tmp_path / "piece.fits", err=1)
    for name in ("a", "b"):
        with GrowingImage(tmp_path / name / "x_i2d.fits", (5, 4), headers, b"wcs") as image:
            if name == "a":
                image.write(band(3, err=1), slice(2, 5))
            else:
                image.copy(piece, slice(2, 5))
            assert image.has_data
            image.write(band(2, err=1), slice(0, 2))
    assert (tmp_path / "a/x_i2d.fits").read_bytes() == (tmp_path / "b/x_i2d.fits").read_bytes()


def test_pieces_of_other_planes_are_refused(tmp_path):
    pieces = written(tmp_path / "a.fits", err=1), written(tmp_path / "b.fits", err=1, var_flat=2)
    told = r"b\.fits has SCI, ERR, CON, WHT, VAR_FLAT, other pieces have SCI, ERR, CON, WHT:"
    with GrowingImage(tmp_path / "x_i2d.fits", (6, 4), headers, b"wcs") as image:
        image.copy(pieces[0], slice(0, 3))
        with pytest.raises(ValueError, match=told):
            image.copy(pieces[1], slice(3, 6))


def test_a_piece_without_data_has_no_planes(tmp_path):
    write_no_planes(tmp_path / "x.fits")
    with fits.open(tmp_path / "x.fits") as hdus:
        assert len(hdus) == 1
