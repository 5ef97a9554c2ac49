"""Compressed products: what is kept, what is rounded, and who reads them."""

import numpy as np
import pytest
from astropy.io import fits

from calflow.files.combined_image import read_combined
from calflow.files.exposure import read_exposure, read_planes
from calflow.files.exposure_planes import ExposurePlane
from calflow.files.writing import STEPS_PER_SIGMA, compress
from calflow.inputs.fits_headers import check_exposure, read_hdus

SIGMA = 0.02


def planes(shape=(120, 200)):
    """Return the planes of an exposure: noise on a sky, a star, NaN, zeros."""
    random = np.random.default_rng(5)
    sci = random.normal(3.0, SIGMA, shape).astype(np.float32)
    sci[..., 60, 50:56] += 1e4
    err = np.full(shape, SIGMA, np.float32)
    err[..., 30:60, :] *= random.uniform(0.9, 1.1, shape)[..., 30:60, :].astype(np.float32)
    dq = random.integers(0, 2**32, shape, np.uint32)
    for plane in (sci, err):
        plane[..., 7, ::3] = np.nan
    err[..., 8, :] = 0.0
    return {"SCI": sci, "ERR": err, "DQ": dq}


@pytest.fixture
def path(tmp_path):
    """A file with all kinds of extensions."""
    table = fits.BinTableHDU.from_columns([fits.Column("x", "J", array=[1, 2])], name="INT_TIMES")
    hdus = [fits.ImageHDU(plane, name=name) for name, plane in planes().items()]
    hdus[0].header["BUNIT"] = ("MJy/sr", "physical units of the array values")
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"] = "JWST"
    fits.HDUList([primary, *hdus, fits.ImageHDU(name="EMPTY"), table]).writeto(tmp_path / "x_cal.fits")
    return tmp_path / "x_cal.fits"


def unpacked(path):
    with fits.open(path, memmap=False) as hdus:
        return {hdu.name: hdu.data for hdu in hdus[1:]}


def test_none_touches_nothing(path):
    before = path.read_bytes()
    compress(path, "none")
    assert path.read_bytes() == before


@pytest.mark.parametrize("compression", ["lossless", "quantized"])
def test_headers_tables_and_types_stay(path, compression):
    with fits.open(path) as hdus:
        before = [(hdu.name, dict(hdu.header)) for hdu in hdus]
    compress(path, compression)
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == [name for name, _ in before]
        for hdu, (_, header) in zip(hdus, before, strict=True):
            assert dict(hdu.header).items() >= header.items()
        assert hdus["INT_TIMES"].data["x"].tolist() == [1, 2]
        assert [hdus[name].data.dtype.name for name in planes()] == ["float32", "float32", "uint32"]


def test_lossless_keeps_every_value(path):
    size = path.stat().st_size
    compress(path, "lossless")
    assert path.stat().st_size < 0.9 * size
    found = unpacked(path)
    for name, plane in planes().items():
        np.testing.assert_array_equal(found[name], plane)


def test_quantized_rounds_pixels_to_a_part_of_the_noise_and_keeps_the_rest(path):
    size = path.stat().st_size
    compress(path, "quantized")
    assert path.stat().st_size < 0.6 * size  # DQ, whose bits are random here, is not smaller
    found, given = unpacked(path), planes()
    np.testing.assert_array_equal(found["DQ"], given["DQ"])
    np.testing.assert_array_equal(np.isnan(found["SCI"]), np.isnan(given["SCI"]))
    step = SIGMA / STEPS_PER_SIGMA
    off = (found["SCI"] - given["SCI"])[np.isfinite(given["SCI"])]
    # The noise of a row is found to a fifth. Half a step at most; a uniform distribution without a bias.
    assert np.abs(off).max() < 0.6 * 1.2 * step + 1e4 * 2**-23
    assert abs(off.mean()) < 4 * step / np.sqrt(12 * off.size)


def test_quantized_errors_and_weights_keep_their_sign_whatever_their_range(tmp_path):
    values = np.array([0.0, 1e-12, 3e-7, 1.0, 1.0021, 255.4, 1e18, np.nan, np.inf] * 8, np.float32).reshape(8, 9)
    path = tmp_path / "x_i2d.fits"
    names = ("ERR", "WHT", "VAR_RNOISE", "VAR_POISSON", "VAR_FLAT")
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(values, name=name) for name in (*names, "AREA"))]).writeto(path)
    compress(path, "quantized")
    found = unpacked(path)
    np.testing.assert_array_equal(found["AREA"], values)
    for name in names:
        np.testing.assert_allclose(found[name], values, rtol=2**-9)
        np.testing.assert_array_equal(found[name] == 0, values == 0)
    assert found["ERR"][0, 4] == 1.0 + 2**-8  # hand-worked: the nearest of 8 bits


@pytest.mark.parametrize("compression", ["lossless", "quantized"])
def test_the_same_product_gives_the_same_bytes(path, monkeypatch, compression):
    given, made = path.read_bytes(), set()
    for now in (1e9, 2e9):
        path.write_bytes(given)
        monkeypatch.setattr("time.time", lambda now=now: now)
        compress(path, compression)
        made.add(path.read_bytes())
    assert len(made) == 1


def test_our_readers_read_them(path):
    sound = read_exposure(path)
    band = ExposurePlane(path, "SCI")[20:30]
    compress(path, "lossless")
    with path.open("rb") as file:
        hdus = read_hdus(file, ("BUNIT",))
    check_exposure(hdus, required=("ERR", "DQ"))
    assert hdus[1][0] == {"BUNIT": "MJy/sr"}
    found = read_exposure(path)
    for name, plane in sound.image.planes().items():
        np.testing.assert_array_equal(found.image.planes()[name], plane)
    assert dict(found.science) == dict(sound.science)
    np.testing.assert_array_equal(read_planes(path, "SCI")[0], sound.image.sci)
    np.testing.assert_array_equal(ExposurePlane(path, "SCI")[20:30], band)


def test_missing_values_of_rounded_pixels_are_missing_for_our_readers(path):
    compress(path, "quantized")
    missing = np.isnan(planes()["SCI"])
    for found in (read_exposure(path).image.sci, read_planes(path, "SCI")[0], ExposurePlane(path, "SCI")[0:120]):
        np.testing.assert_array_equal(np.isnan(found), missing)


def test_cubes(tmp_path):
    path = tmp_path / "x_calints.fits"
    cube = planes((3, 120, 200))
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(plane, name=name) for name, plane in cube.items())]).writeto(path)
    compress(path, "lossless")
    found = unpacked(path)
    for name, plane in cube.items():
        np.testing.assert_array_equal(found[name], plane)


def test_a_compressed_mosaic_is_read_for_its_catalogue(tmp_path):
    path = tmp_path / "x_i2d.fits"
    given = planes()
    given["WHT"] = np.where(np.isnan(given["SCI"]), 0, given["ERR"])
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(plane, name=name) for name, plane in given.items())]).writeto(path)
    compress(path, "quantized")
    image = read_combined(path)
    np.testing.assert_array_equal(image.wht[:] == 0, given["WHT"] == 0)
    assert image.sci[:].dtype == np.float32
