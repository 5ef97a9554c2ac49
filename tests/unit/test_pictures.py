"""The pictures of the demo: what is drawn where, and the same bytes each time."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable

from calflow.files.alignment_tables import AlignmentRow, write_alignment
from calflow.pictures import before_and_after, combined
from calflow.pictures.combined import Products, colour_segments, crowding, find_outliers, regrid, residual_rms
from calflow.pictures.panels import (
    BLANK,
    SKY_AXES,
    Panel,
    draw,
    draw_compass,
    find_patch,
    in_plot,
    new_figure,
    pixel_panel,
    tangent_plane,
)
from calflow.science.geometry.tan_projection import TanProjection
from calflow.science.geometry.tangent_plane import to_sky

SCALE = 0.1  # arcsec
SIZE = 160
NOWHERE = np.zeros((4, 2))


def sky_header(crpix=(80.5, 80.5), size=SIZE):
    """Return the header of an image with north up; its pixel `crpix` is at ra 80, dec 0."""
    header = fits.Header({"NAXIS": 2, "NAXIS1": size, "NAXIS2": size, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CRPIX1": crpix[0], "CRPIX2": crpix[1], "CRVAL1": 80.0, "CRVAL2": 0.0})
    header.update({"CDELT1": -SCALE / 3600, "CDELT2": SCALE / 3600, "CUNIT1": "deg", "CUNIT2": "deg"})
    return header


def sky_panel(data, header, centre=None):
    return Panel("", data, header, tangent_plane(header, centre), SKY_AXES)


def row(exposure, rms=np.nan, used=True):
    return AlignmentRow(exposure, exposure, "COMPLETE", "", used, NOWHERE, rms=rms)


@pytest.fixture
def products(tmp_path):
    """Two exposures, two sources; one outlier of two pixels and one of one pixel."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:SIZE, :SIZE]
    sky = random.normal(0, 0.1, (SIZE, SIZE)) + 5 * np.exp(-((x - 70) ** 2 + (y - 60) ** 2) / 18)
    labels = np.where((x - 70) ** 2 + (y - 60) ** 2 < 40, 1, 0) + 2 * ((abs(x - 100) < 4) & (abs(y - 90) < 3))
    dq = np.zeros((SIZE, SIZE), np.uint32)
    dq[40, 50:52] = 17
    dq[100, 90] = 16
    dq[20, 20] = 1
    for name, plane in (("exposure", sky), ("i2d", sky / 2), ("segm", labels.astype(np.uint32))):
        image = fits.ImageHDU(plane.astype(np.float32) if plane.dtype.kind == "f" else plane, sky_header(), "SCI")
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / f"{name}.fits")
    planes = [fits.ImageHDU(sky.astype(np.float32), sky_header(), "SCI"), fits.ImageHDU(dq, name="DQ")]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(tmp_path / "crf.fits")
    table = QTable({"label": [1, 2], "xcentroid": [70.0, 100.0], "ycentroid": [60.0, 90.0]})
    table["semimajor_sigma"], table["semiminor_sigma"] = [3.0, 2.0] * u.pix, [3.0, np.nan] * u.pix
    table["sky_orientation"] = [20.0, 0.0] * u.deg
    table.write(tmp_path / "cat.ecsv", format="ascii.ecsv")
    write_alignment(tmp_path / "alignment.ecsv", [row("a"), row("b", 0.02)], {})
    files = {name: tmp_path / f"{name}.fits" for name in ("exposure", "crf", "i2d", "segm")}
    return Products(**files, catalog=tmp_path / "cat.ecsv", alignment=tmp_path / "alignment.ecsv")


def test_plot_counts_arcsec_from_the_centre_of_the_image():
    panel = sky_panel(np.zeros((SIZE, SIZE)), sky_header())
    # The centre of 160 pixels is 79.5 from 0; ten pixels to the left is an arcsec to the east.
    np.testing.assert_allclose(
        in_plot(panel, np.array([[79.5, 79.5], [69.5, 79.5], [79.5, 99.5]])), [[0, 0], [1, 0], [0, 2]]
    )


def test_plot_counts_from_the_centre_of_another_image():
    """The reference pixel is at (80.5, 80.5) in one image and at (30.5, 70.5) in the other."""
    panel = sky_panel(np.zeros((90, 90)), sky_header((30.5, 70.5), 90), centre=sky_header())
    np.testing.assert_allclose(in_plot(panel, np.array([[29.5, 69.5], [19.5, 69.5]])), [[0, 0], [1, 0]], atol=1e-9)


@pytest.mark.parametrize("parity", [-1, 1])
@pytest.mark.parametrize("dec", [0.0, 90.0, -90.0])
@pytest.mark.parametrize("on_sky", [True, False])
def test_compass_points_to_north_and_east(parity, dec, on_sky):
    """An image turned by 30 degrees: y at position angle 30, x at 120 or, with parity -1, at -60."""
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    projection = TanProjection((79.5, 79.5), (0.0, dec), SCALE / 3600, ((parity * c, s), (-parity * s, c)))
    header = fits.Header({"NAXIS": 2, "NAXIS1": SIZE, "NAXIS2": SIZE} | projection.keywords())
    panel = sky_panel(np.zeros((SIZE, SIZE)), header) if on_sky else pixel_panel("", np.zeros((SIZE, SIZE)), header)
    _, axes = new_figure(4, 4)
    draw(axes, panel)
    draw_compass(axes, panel)
    arrows = {text.get_text(): np.subtract(text.get_position(), (0.20, 0.19)) for text in axes.texts[1::2]}
    expected = {"N": (0, 1), "E": (-1, 0)} if on_sky else {"N": (-parity * s, c), "E": (parity * c, s)}
    for name, direction in expected.items():
        np.testing.assert_allclose(arrows[name] / np.hypot(*arrows[name]), direction, atol=1e-6)
    # The coordinates of the plot are those on the sky.
    if on_sky:
        east = in_plot(panel, np.array([[79.5, 79.5], projection.to_pixel(to_sky(np.array([2.0, 0.0]), (0.0, dec)))]))
        np.testing.assert_allclose(east, [[0, 0], [2, 0]], atol=1e-5)


def test_patch_is_where_the_most_interest_is():
    interest, covered = np.zeros((400, 500)), np.ones((400, 500), bool)
    interest[100:110, 300:310] = 1
    interest[300:310, 100:110] = 0.5
    corners = find_patch(interest, covered)
    assert np.all(corners.max(axis=0) - corners.min(axis=0) == 130)
    assert corners[0, 0] <= 300
    assert corners[2, 0] >= 310
    assert corners[0, 1] <= 100
    assert corners[2, 1] >= 110


def test_patch_has_no_blank_area():
    interest, covered = np.zeros((400, 500)), np.ones((400, 500), bool)
    interest[100:110, 300:310] = 1
    interest[300:310, 100:110] = 0.5
    covered[:, 240:] = False
    corners = find_patch(interest, covered)
    assert corners[0, 0] <= 100
    assert corners[2, 0] >= 110
    assert corners[0, 1] <= 300
    assert corners[2, 1] >= 310


def test_crowding_counts_positions_and_leaves_out_those_without():
    density = crowding(np.array([[70.0, 60.0], [70.4, 60.3], [np.nan, 3.0]]), (400, 400))
    assert np.unravel_index(np.argmax(density), density.shape) == (60, 70)
    far = crowding(np.array([[200.0, 200.0]]), (400, 400))
    assert far.sum() == pytest.approx(1, abs=1e-3)


def test_regrid_moves_whole_pixels():
    """A panel whose reference pixel is 50 columns and 10 rows earlier, seen on the grid of the other."""
    data = np.arange(90.0 * 90).reshape(90, 90)
    grid = sky_panel(np.zeros((SIZE, SIZE)), sky_header())
    moved = regrid(sky_panel(data, sky_header((30.5, 70.5), 90), centre=sky_header()), grid)
    assert moved.shape == (SIZE, SIZE)
    # On the very edge, rounding decides.
    np.testing.assert_array_equal(moved[11:99, 51:139], data[1:-1, 1:-1])
    assert np.isnan(moved[:9]).all()
    assert np.isnan(moved[:, :49]).all()
    assert np.isnan(moved[:, 141:]).all()


def test_neighbouring_outlier_pixels_are_one(products):
    panel = sky_panel(np.zeros((SIZE, SIZE)), sky_header())
    positions, n = find_outliers(products.crf, panel)
    np.testing.assert_allclose(positions, [[50.5, 40], [90, 100]], atol=1e-6)
    assert n == 3


def test_no_outliers(products):
    fits.setval(products.crf, "EXTNAME", value="OLD", ext=2)
    fits.append(products.crf, np.zeros((SIZE, SIZE), np.uint32), fits.Header({"EXTNAME": "DQ"}))
    positions, n = find_outliers(products.crf, sky_panel(np.zeros((SIZE, SIZE)), sky_header()))
    assert positions.shape == (0, 2)
    assert n == 0


def test_residual_is_the_quadratic_mean_of_the_fits():
    assert residual_rms([row("a"), row("b", 0.03), row("c", 0.04)]) == pytest.approx(35.3553, abs=1e-4)
    assert np.isnan(residual_rms([row("a")]))


def test_a_label_always_has_the_same_colour():
    from matplotlib.colors import to_rgb

    covered = np.array([[True, True, True, False]])
    first = colour_segments(np.array([[0, 1, 2, 0]], np.uint32), covered)
    second = colour_segments(np.array([[2, 1, 300, 0]], np.uint32), covered)
    assert first.shape == (1, 4, 3)
    np.testing.assert_array_equal(first[0, 2], second[0, 0])
    np.testing.assert_array_equal(first[0, 1], second[0, 1])
    np.testing.assert_allclose(first[0, 3], to_rgb(BLANK))
    assert len(np.unique(np.vstack([first[0], second[0]]).round(3), axis=0)) == 5


def test_combined_picture_tells_the_numbers(products, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(combined, "save_figure", lambda figure, path: figures.append(figure))
    combined.make_picture(products, tmp_path / "none.png")
    axes = figures[0].axes
    assert [a.get_title() for a in axes[:6]] == [
        "one exposure: _i2d",
        "2 exposures combined: _i2d",
        "segmentation map: _segm",
        "circles: outliers (3 pixels in all)",
        "aligned (20.0 mas rms), outliers left out",
        "ellipses: 2 sources in all (3 sigma)",
    ]
    # Three times 3 pixels of 0.1 arcsec on each side; the second source has no shape.
    (ellipse,) = axes[4].patches
    assert (ellipse.width, ellipse.height, ellipse.angle) == pytest.approx((1.8, 1.8, 70))
    assert ellipse.center == pytest.approx((0.95, -1.95))
    circles = axes[3].lines[0].get_xydata()
    np.testing.assert_allclose(circles, [[2.9, -3.95], [-1.05, 2.05]], atol=1e-6)
    assert axes[0].images[0].norm is axes[1].images[0].norm


def test_combined_picture_is_reproducible(products, tmp_path):
    pictures = [tmp_path / "first.png", tmp_path / "second.png"]
    for picture in pictures:
        combined.make_picture(products, picture)
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second
    assert b"Software" not in first
    assert len(first) > 50_000


def test_before_and_after_is_reproducible(products, tmp_path):
    """Images with a place on the sky are all that the picture needs."""
    pictures = [tmp_path / "first.png", tmp_path / "second.png"]
    for picture in pictures:
        before_and_after.make_picture(products.exposure, products.crf, products.i2d, picture)
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second
    assert b"Software" not in first
    assert len(first) > 50_000
