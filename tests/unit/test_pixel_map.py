import numpy as np
import pytest
from astropy.modeling import custom_model
from astropy.modeling.models import Identity, Mapping, Polynomial2D, Scale, Shift

from calflow.science.geometry import pixel_map as module
from calflow.science.geometry.assign_wcs import build_wcs
from calflow.science.geometry.footprints import footprint, pixel_bounds
from calflow.science.geometry.input_pixels import input_pixels
from calflow.science.geometry.output_grid import grid_from_footprints
from calflow.science.geometry.pixel_map import covered_window, pixel_map, pixel_range
from calflow.science.geometry.pointing import Pointing
from calflow.science.windows import Window

POINTING = Pointing(0.0, 0.0, 30.0, 80.0, -70.0)


def camera(shape, bend=0.0, degree=2, middle=None):
    """0.1 arcsec pixels; `bend` pixels of distortion at the edge, which the inverse knows nothing of."""
    ny, nx = shape
    half = nx / 2
    to_centre, to_arcsec = Shift(-half) & Shift(-ny / 2), Scale(-0.1) & Scale(0.1)
    power = {f"c{degree}_0": bend / half**degree}
    polynomials = Mapping((0, 1, 0, 1)) | Polynomial2D(degree, c1_0=1, **power) & Polynomial2D(1, c0_1=1)
    if middle is not None:
        polynomials = polynomials | middle
    model = to_centre | polynomials | to_arcsec
    model.inverse = (to_centre | to_arcsec).inverse
    return model


def wcs_and_grid(shape, **distortion):
    """The WCS of an exposure, and the TAN grid of the same camera without distortion."""
    ny, nx = shape
    window = Window(1, 1, nx, ny)
    plain = build_wcs(camera(shape), POINTING, window, window)
    grid = grid_from_footprints([footprint(plain)], input_pixels(plain, POINTING))
    return build_wcs(camera(shape, **distortion), POINTING, window, window), grid.wcs


def exact(wcs_in, wcs_out, shape):
    y, x = np.indices(shape, dtype=float)
    sky = wcs_in(x, y, with_bounding_box=False)
    return np.stack(wcs_out.invert(*sky, with_bounding_box=False), axis=-1)


def mapped(wcs_in, wcs_out, shape, **options):
    """The map between two WCSs."""

    def to_output(x, y):
        return np.stack(wcs_out.invert(*wcs_in(x, y, with_bounding_box=False), with_bounding_box=False), axis=-1)

    return pixel_map(to_output, shape, pixel_bounds(wcs_in), **options)


@pytest.fixture
def approximations(monkeypatch):
    """Which approximations were made: the number of terms, or None where none is good enough."""
    terms = []
    original = module.smooth_map

    def record(*arguments):
        terms.append(None)
        found = original(*arguments)
        terms[-1] = len(found.coefficients)
        return found

    monkeypatch.setattr(module, "smooth_map", record)
    return terms


def test_without_distortion_the_lowest_pixel_edge_is_at_zero():
    """The grid has vertices, which are outer pixel edges, at pixel centres: half a pixel more."""
    pixmap = mapped(*wcs_and_grid((20, 30)), (20, 30))
    assert pixmap.shape == (20, 30, 2)
    assert pixmap.dtype == np.float64
    y, x = np.indices((20, 30))
    np.testing.assert_allclose(pixmap[..., 0], x + 0.5, atol=1e-5)
    np.testing.assert_allclose(pixmap[..., 1], y + 0.5, atol=1e-5)


@pytest.mark.parametrize("shape", [(200, 300), (70, 300), (64, 64)])
def test_approximation_is_within_1e_7_pixel(shape, approximations):
    wcs_in, wcs_out = wcs_and_grid(shape, bend=5.0, degree=4)
    pixmap = mapped(wcs_in, wcs_out, shape)
    assert np.abs(pixmap - exact(wcs_in, wcs_out, shape)).max() < 1e-7
    assert approximations == [8]  # not evaluated pixel by pixel


def test_small_images_are_evaluated_exactly(approximations):
    wcs_in, wcs_out = wcs_and_grid((15, 63), bend=5.0)
    np.testing.assert_array_equal(mapped(wcs_in, wcs_out, (15, 63)), exact(wcs_in, wcs_out, (15, 63)))
    assert not approximations


def test_distortion_of_high_degree_gets_more_terms(approximations):
    wcs_in, wcs_out = wcs_and_grid((70, 400), bend=30.0, degree=13)
    pixmap = mapped(wcs_in, wcs_out, (70, 400))
    assert np.abs(pixmap - exact(wcs_in, wcs_out, (70, 400))).max() < 1e-7
    assert approximations == [16]


def test_distortion_too_fine_to_approximate_is_evaluated_exactly(approximations):
    @custom_model
    def ripple(x, amplitude=0.1, period=3.0):
        return x + amplitude * np.sin(2 * np.pi * x / period)

    wcs_in, wcs_out = wcs_and_grid((70, 80), middle=ripple() & Identity(1))
    np.testing.assert_array_equal(mapped(wcs_in, wcs_out, (70, 80)), exact(wcs_in, wcs_out, (70, 80)))
    assert approximations == [None]


def test_inverse_of_the_distortion_is_not_used():
    shape = (20, 30)
    window = Window(1, 1, 30, 20)
    model = camera(shape, bend=2.0)
    model.inverse = Scale(np.nan) & Scale(np.nan)
    wrong_inverse = build_wcs(model, POINTING, window, window)
    wcs_in, wcs_out = wcs_and_grid(shape, bend=2.0)
    np.testing.assert_array_equal(mapped(wrong_inverse, wcs_out, shape), mapped(wcs_in, wcs_out, shape))


@pytest.mark.parametrize("stepsize", [1, 10])
def test_pixels_outside_the_bounding_box_have_no_position(stepsize):
    wcs_in, wcs_out = wcs_and_grid((100, 120))
    everywhere = mapped(wcs_in, wcs_out, (100, 120))
    wcs_in.bounding_box = (3.5, 118.5), (-0.5, 97.0)
    pixmap = mapped(wcs_in, wcs_out, (100, 120), stepsize=stepsize)
    inside = np.zeros((100, 120), bool)
    inside[:98, 4:119] = True  # pixel 97 is on the edge of the box: inside
    assert np.isnan(pixmap[~inside]).all()
    np.testing.assert_allclose(pixmap[inside], everywhere[inside], atol=1e-6)


def test_nothing_in_the_bounding_box():
    wcs_in, wcs_out = wcs_and_grid((20, 30))
    wcs_in.bounding_box = (500.0, 600.0), (-0.5, 19.5)
    assert np.isnan(mapped(wcs_in, wcs_out, (20, 30))).all()


def test_positions_outside_the_output_are_kept():
    """drizzle needs them for the parts of pixels that reach into it."""
    wcs_in, wcs_out = wcs_and_grid((20, 30))
    wcs_out.bounding_box = (10.0, 12.0), (10.0, 12.0)
    assert np.isfinite(mapped(wcs_in, wcs_out, (20, 30))).all()


def test_sparse_map_is_exact_at_its_nodes_and_linear_between():
    """100 pixels, 10 steps of 11: nodes at 0, 11, 22, ..."""
    shape = (100, 100)
    wcs_in, wcs_out = wcs_and_grid(shape, bend=2.0)
    pixmap = mapped(wcs_in, wcs_out, shape, stepsize=20, order=1)
    expected = exact(wcs_in, wcs_out, shape)
    np.testing.assert_allclose(pixmap[::11, ::11], expected[::11, ::11], atol=1e-9)
    assert np.abs(pixmap - expected).max() > 1e-3
    np.testing.assert_allclose(np.diff(pixmap[0, :12], n=2, axis=0), 0, atol=1e-9)


def test_sparse_cubic_map_follows_a_quadratic_distortion():
    wcs_in, wcs_out = wcs_and_grid((100, 100), bend=2.0)
    pixmap = mapped(wcs_in, wcs_out, (100, 100), stepsize=20, order=3)
    assert np.abs(pixmap - exact(wcs_in, wcs_out, (100, 100))).max() < 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [({"stepsize": 0.5}, "pixmap_stepsize is 0.5"), ({"stepsize": 10, "order": 2}, "pixmap_order is 2")],
)
def test_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        mapped(*wcs_and_grid((20, 30)), (20, 30), **options)


# Parts of images


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (((-0.5, 29.5), (-0.5, 19.5)), ((0, 29), (0, 19))),
        (((3.5, 20.5), (2.4, 10.4)), ((4, 21), (2, 10))),
        (((-30.0, 100.0), (-5.0, 19.0)), ((0, 29), (0, 19))),
        (((7.0, 7.0), (0.0, 0.0)), ((7, 7), (0, 0))),
    ],
)
def test_pixel_range_is_of_columns_and_rows_and_within_the_image(bounds, expected):
    """The bounds + 0.5, cut to whole numbers, as in jwst."""
    assert pixel_range(bounds, (20, 30)) == expected


def positions(x0, y0, nx=10, ny=5):
    y, x = np.indices((ny, nx), float)
    return np.stack([x + x0, y + y0], axis=-1)


def test_covered_window_has_a_margin_of_8_pixels():
    """x from 50.2 to 59.2: columns 42 to 68; y from 30 to 34: rows 22 to 42."""
    assert covered_window([positions(50.2, 30.0)], (100, 200)) == ((22, 43), (42, 69))


def test_covered_window_is_of_all_images():
    assert covered_window([positions(50.0, 30.0), positions(100.0, 20.0)], (100, 200)) == ((12, 43), (42, 118))


def test_covered_window_is_cut_at_the_edges():
    assert covered_window([positions(-50.0, -30.0, 500, 300)], (100, 200)) == ((0, 100), (0, 200))


@pytest.mark.parametrize("x0", [-500.0, 500.0])
def test_window_of_an_image_beside_the_other_is_empty(x0):
    (y0, y1), (x0, x1) = covered_window([positions(x0, 30.0)], (100, 200))
    assert x0 == x1
    assert (y0, y1) == (22, 43)


def test_pixels_without_a_position_do_not_count():
    pixmap = positions(50.0, 30.0)
    pixmap[0], pixmap[:, 0] = np.nan, np.nan
    assert covered_window([pixmap, np.full((5, 10, 2), np.nan)], (100, 200)) == ((23, 43), (43, 68))


@pytest.mark.parametrize("pixmaps", [[], [np.full((5, 10, 2), np.nan)]])
def test_window_of_nothing_is_empty(pixmaps):
    assert covered_window(pixmaps, (100, 200)) == ((0, 0), (0, 0))


def test_covered_window_has_plain_numbers():
    assert {type(n) for interval in covered_window([positions(5.0, 3.0)], (100, 200)) for n in interval} == {int}
