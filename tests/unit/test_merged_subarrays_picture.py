"""The picture of merged subarrays: where the star is, and the same bytes each time."""

import numpy as np
import pytest
from astropy.io import fits

from calflow.pictures.merged_subarrays import Products, find_saturated, make_picture
from calflow.pictures.panels import read_image

SIZE = 120
SCALE = 0.004 / 3600  # degrees


def frame(path, star, wcs_in="PRIMARY", saturated=0):
    """Write an exposure with a star at pixel `star`, in which so many columns and rows about it are saturated."""
    x, y = star
    rows, columns = np.mgrid[:SIZE, :SIZE]
    sky = np.random.default_rng(1).normal(0, 1, (SIZE, SIZE))
    sci = sky + 1e4 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    dq = np.zeros((SIZE, SIZE), np.uint32)
    if saturated:
        core = np.s_[y - saturated // 2 : y + saturated // 2 + 1, x - saturated // 2 : x + saturated // 2 + 1]
        dq[core], sci[core] = 3, np.nan
        dq[5, 7:9] = 2
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(sci.astype(np.float32), name="SCI"), fits.ImageHDU(dq, name="DQ")]
    header = hdus[0 if wcs_in == "PRIMARY" else 1].header
    header.update({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg"})
    # The star is at ra 80, dec 0.
    header.update({"CRPIX1": x + 1.0, "CRPIX2": y + 1.0, "CRVAL1": 80.0, "CRVAL2": 0.0})
    header.update({"CDELT1": -SCALE, "CDELT2": SCALE})
    if wcs_in == "PRIMARY":
        header["RADECSYS"] = "ICRS"
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.fixture
def products(tmp_path):
    return Products(
        rate=frame(tmp_path / "rate.fits", (50, 45)),
        cal=frame(tmp_path / "cal.fits", (70, 60), saturated=7),
        merged=frame(tmp_path / "merged.fits", (50, 45)),
        i2d=frame(tmp_path / "i2d.fits", (60, 60), wcs_in="SCI"),
    )


def test_star_is_where_most_pixels_are_saturated(products):
    np.testing.assert_allclose(find_saturated(products.cal), [70, 60])


def test_without_a_saturated_star_there_is_nothing_to_show(products):
    with pytest.raises(ValueError, match=r"merged\.fits: no pixel is SATURATED"):
        find_saturated(products.merged)


def test_world_coordinates_may_stand_in_the_primary_header(products):
    _, header = read_image(products.cal)
    assert (header["CRPIX1"], header["CRVAL1"], header["RADESYS"]) == (71.0, 80.0, "ICRS")
    assert (header["NAXIS1"], header["EXTNAME"]) == (SIZE, "SCI")
    assert "RADECSYS" not in header


def test_patches_are_about_the_star_on_one_scale(products, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("calflow.pictures.merged_subarrays.save_figure", lambda figure, path: drawn.append(figure))
    make_picture(products, tmp_path / "iris.png")
    stars = [axes for axes in drawn[0].axes if len(axes.images) == 1][3:6]
    centres = [np.mean([axes.get_xlim(), axes.get_ylim()], axis=1) for axes in stars]
    # In arcsec from the middle of 120 pixels, 59.5: the star at 60 is half a pixel to the west and north.
    np.testing.assert_allclose(centres, [[70, 60], [50, 45], [-0.002, 0.002]], atol=1e-6)
    scales = {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in stars}
    assert len(scales) == 1
    assert max(scales)[1] == pytest.approx(1e4, rel=1e-3)


def test_same_files_give_the_same_bytes(products, tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    make_picture(products, first)
    make_picture(products, second)
    assert first.read_bytes() == second.read_bytes()
