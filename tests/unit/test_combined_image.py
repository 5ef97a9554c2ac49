import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from calflow.files.combined_image import CombinedImage, read_combined
from calflow.files.exposure import write_product
from calflow.science.geometry.tan_projection import TanProjection

PROJECTION = TanProjection((1.5, 2.0), (80.0, -70.0), 0.1 / 3600, ((-0.8, 0.6), (0.6, 0.8)))
PLANES = {name: np.arange(20, dtype=np.float32).reshape(4, 5) + i for i, name in enumerate(("SCI", "ERR", "WHT"))}


def written(path, planes=PLANES, **keywords):
    science = fits.Header(PROJECTION.keywords() | {"S_REGION": "POLYGON ICRS  1 2 3 4 5 6", "PIXAR_SR": 2e-13})
    science["BUNIT"], science["PHOTMJSR"] = "MJy/sr", 0.5
    write_product(path, fits.Header(keywords), planes, {"SCI": science}, wcs={"not": "a WCS, but stored as it is"})
    return path


def test_planes_are_native_float32(tmp_path):
    image = read_combined(written(tmp_path / "x_i2d.fits"))
    for name in ("SCI", "ERR", "WHT"):
        plane = getattr(image, name.lower())
        assert plane.shape == (4, 5)
        np.testing.assert_array_equal(plane[1:3], PLANES[name][1:3])
        plane = plane[:]
        np.testing.assert_array_equal(plane, PLANES[name])
        assert plane.dtype == np.float32
        assert plane.dtype.isnative


@pytest.mark.parametrize("kind", ["plain", "compressed", "scaled", "packed"])
def test_rows_are_those_that_astropy_reads(kind, tmp_path):
    """Plain values are read from their place in the file."""
    values = np.arange(20, dtype=np.float32).reshape(4, 5)
    sci = fits.CompImageHDU(values, name="SCI") if kind == "compressed" else fits.ImageHDU(values, name="SCI")
    if kind == "scaled":
        sci.scale("float32", bscale=2.0, bzero=1.0)
    path = tmp_path / ("x.fits.gz" if kind == "packed" else "x.fits")
    fits.HDUList([fits.PrimaryHDU(), sci, fits.ImageHDU(values, name="WHT")]).writeto(path)
    image = read_combined(path)
    for rows in (slice(None), slice(1, 3), slice(3, 9), slice(2, 2)):
        np.testing.assert_array_equal(image.sci[rows], fits.getdata(path, "SCI")[rows])
        assert image.sci[rows].dtype.isnative


def test_an_image_without_errors(tmp_path):
    image = read_combined(written(tmp_path / "x_i2d.fits", {"SCI": PLANES["SCI"], "WHT": PLANES["WHT"]}))
    assert image.err is None


def test_keywords_of_the_primary_header_go_first(tmp_path):
    image = read_combined(written(tmp_path / "x_i2d.fits", TELESCOP="JWST", BUNIT="primary"))
    assert image.keyword("TELESCOP") == "JWST"
    assert image.keyword("BUNIT") == "primary"
    assert image.keyword("PHOTMJSR") == 0.5
    assert image.keyword("MISSING") is None
    assert image.keyword("MISSING", 7) == 7


def test_headers_are_without_structure(tmp_path):
    image = read_combined(written(tmp_path / "x_i2d.fits"))
    for header in image.headers.values():
        assert not {"SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "EXTEND"} & set(header)


def test_positions_are_0_based(tmp_path):
    image = read_combined(written(tmp_path / "x_i2d.fits"))
    assert image.reference_pixel == (1.5, 2.0)
    assert image.to_sky(np.array([1.5, 2.0])) == pytest.approx([80.0, -70.0], abs=1e-12)


@pytest.mark.parametrize("shape", [(2,), (6, 2), (3, 4, 2), (0, 2)])
def test_positions_are_those_of_the_projection(tmp_path, shape):
    image = read_combined(written(tmp_path / "x_i2d.fits"))
    pixels = np.linspace(-1, 6, max(1, int(np.prod(shape))))[: int(np.prod(shape))].reshape(shape)
    sky = image.to_sky(pixels)
    assert sky.shape == shape
    np.testing.assert_allclose(sky, PROJECTION.to_sky(pixels), atol=1e-12)


def test_a_reader_of_the_wcs_header_finds_the_same_positions(tmp_path):
    header = read_combined(written(tmp_path / "x_i2d.fits")).wcs_header()
    assert "BUNIT" not in header
    assert "PHOTMJSR" not in header
    assert header["S_REGION"].startswith("POLYGON")
    assert header["PIXAR_SR"] == 2e-13
    sky = np.stack(WCS(header).wcs_pix2world([3.0], [1.0], 0), axis=-1)
    np.testing.assert_allclose(sky, PROJECTION.to_sky(np.array([[3.0, 1.0]])), atol=1e-12)


def test_the_asdf_extension_is_kept(tmp_path):
    path = written(tmp_path / "x_i2d.fits")
    image = read_combined(path)
    with fits.open(path) as hdus:
        assert image.asdf.name == "ASDF"
        np.testing.assert_array_equal(image.asdf.data["ASDF_METADATA"], hdus["ASDF"].data["ASDF_METADATA"])


def test_an_image_without_asdf(tmp_path):
    write_product(tmp_path / "x.fits", fits.Header(), PLANES, {"SCI": fits.Header(PROJECTION.keywords())})
    assert read_combined(tmp_path / "x.fits").asdf is None


def test_an_image_of_other_programs(tmp_path):
    """Big-endian float64 planes, and a WCS of CD terms."""
    science = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 1.0, "CRPIX2": 1.0})
    science.update({"CRVAL1": 10.0, "CRVAL2": 0.0, "CD1_1": -0.001, "CD2_2": 0.001})
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 3), ">f8"), science, name="SCI")]
    fits.HDUList([*hdus, fits.ImageHDU(np.ones((3, 3)), name="WHT")]).writeto(tmp_path / "x.fits")
    image = read_combined(tmp_path / "x.fits")
    assert isinstance(image, CombinedImage)
    assert image.sci[:].dtype == np.float32
    assert image.to_sky(np.array([0.0, 1.0])) == pytest.approx([10.0, 0.001], abs=1e-9)
    assert "CD1_1" in image.wcs_header()
