"""The kernel is right when it makes what the drizzle package makes, within the rounding of single precision."""

from pathlib import Path

import numpy as np
import pytest
from drizzle.resample import Drizzle
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the kernel is optional")

from calflow.files.asdf_files import read_tree
from calflow.science.combination import drizzle_kernel as module
from calflow.science.combination.drizzle_kernel import add_image, scan_limits
from calflow.science.geometry.tangent_plane import to_plane, to_sky

SHAPE = (18, 21)
CENTRE = (9.5, 9.0)
EVERYTHING = ((0, 20), (0, 17))


def pixel_positions(scale=1.0, angle=0.0, mirrored=False, centre=CENTRE, bend=0.0, shape=SHAPE):
    """Map the middle of the exposure to `centre` of the output, turned and scaled; `bend` distorts."""
    y, x = np.indices(shape, dtype=float)
    x, y = x - (shape[1] - 1) / 2, y - (shape[0] - 1) / 2
    if mirrored:
        x = -x
    x, y = x + bend * x * y / 20, y - bend * y**2 / 20
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.stack([centre[0] + scale * (cos * x - sin * y), centre[1] + scale * (sin * x + cos * y)], axis=-1)


def exposure(seed, shape=SHAPE):
    """Return an image, weights some of which are zero, and three error planes, one with NaN."""
    rng = np.random.default_rng(seed)
    data = rng.normal(10, 3, shape).astype(np.float32)
    weight = rng.uniform(0.1, 5, shape).astype(np.float32)
    weight[rng.random(shape) < 0.1] = 0
    data[weight == 0] = np.nan
    planes = rng.uniform(0.5, 2, (3, *shape)).astype(np.float32)
    planes[2, 5, 7] = np.nan
    return data, weight, planes


def by_drizzle(exposures, shape, squared=False):
    """Return the planes of the drizzle package, zero where nothing is added, by name."""
    sums = {name: np.zeros(shape, np.float32) for name in ("sci", "wht")}
    sums["context"] = np.zeros((1, *shape), np.int32)
    planes = np.zeros((3, *shape), np.float32)
    image = Drizzle(
        out_img=sums["sci"],
        out_wht=sums["wht"],
        out_ctx=sums["context"],
        out_img2=list(planes) if squared else None,
    )
    for data, weight, errors, pixmap, ((xmin, xmax), (ymin, ymax)) in exposures:
        options = {"exptime": 1.0, "weight_map": weight, "pixmap": pixmap}
        options |= {"xmin": xmin, "xmax": xmax, "ymin": ymin, "ymax": ymax}
        image.add_image(data, data2=list(errors) if squared else None, **options)
        if not squared:
            weights = np.zeros((3, *shape), np.float32)
            planes[:] = 0
            for error, plane, wht in zip(errors, planes, weights, strict=True):
                Drizzle(out_img=plane, out_wht=wht, disable_ctx=True).add_image(error, **options)
            sums["planes_wht"] = weights[0]
    return sums | {"planes": planes}


def by_kernel(exposures, shape, squared=False, threads=1):
    """Return the same planes of the kernel."""
    sums = {name: np.zeros(shape, np.float32) for name in ("sci", "wht")}
    sums["context"] = np.zeros((1, *shape), np.int32)
    sums["planes"] = np.zeros((3, *shape), np.float32)
    window = (slice(0, shape[0]), slice(0, shape[1]))
    for number, (data, weight, errors, pixmap, bounds) in enumerate(exposures):
        if not squared:
            sums["planes"][:] = 0
            sums["planes_wht"] = np.zeros(shape, np.float32)
        add_image(
            sums["sci"],
            sums["wht"],
            data,
            weight,
            pixmap,
            bounds,
            window,
            context=sums["context"][0],
            bit=number,
            planes=errors,
            planes_out=sums["planes"],
            planes_wht=sums.get("planes_wht"),
            threads=threads,
        )
    weighed = sums["wht"] != 0
    with np.errstate(all="ignore"):
        np.divide(sums["sci"], sums["wht"], out=sums["sci"], where=weighed)
    return sums


def drizzle_survives(pixmap, shape, bounds):
    """Drizzle 3.0.0 may read far outside its arrays if a side of the part that the output shows is level."""
    outline = module._seen_part(pixmap, shape, bounds)
    sides = [module._Side(vertices, 1) for vertices in module._sides(outline)] if len(outline) > 2 else []
    return all(side._edges and np.isfinite(side._edges).all() for side in sides)


def assert_same_planes(exposures, shape, **options):
    """Compare with drizzle; return the planes."""
    expected, found = (
        by_drizzle(exposures, shape, options.get("squared", False)),
        by_kernel(exposures, shape, **options),
    )
    assert expected.keys() == found.keys()
    for name, plane in expected.items():
        if name == "context":
            # An overlap that drizzle finds to be less than nothing, -1e-17 by rounding, sets no bit; ours are positive.
            np.testing.assert_array_equal(found[name], np.where(expected["wht"] < 0, found[name], plane))
        else:
            np.testing.assert_allclose(found[name], plane, rtol=1e-6, atol=1e-12, err_msg=name)
    return found


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.14, 30.0, 45.0, 90.0, 123.0, 180.0])
@pytest.mark.parametrize(("scale", "size"), [(1.0, 40), (2.0, 70), (0.5, 25), (0.27, 15)])
def test_several_exposures_within_the_output(angle, scale, size, squared, threads):
    exposures = []
    for number, mirrored in enumerate((False, True, False)):
        middle = (size / 2 + 0.3 * number, size / 2 - 0.7 * number)
        pixmap = pixel_positions(scale, angle, mirrored, middle, bend=0.02)
        exposures.append((*exposure(number), pixmap, EVERYTHING))
    found = assert_same_planes(exposures, (size, size + 1), squared=squared, threads=threads)
    assert found["wht"].sum() == pytest.approx(sum(weight.sum(dtype=float) for _, weight, *_ in exposures), rel=1e-5)
    assert found["context"].max() == 0b111


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("angle", [0.14, 30.0])
def test_the_same_bits_with_any_number_of_threads(angle, squared):
    """Strips cut pixels that meet four output pixels; their overlaps must be found in the same way."""
    exposures = [(*exposure(9), pixel_positions(1.0, angle, centre=(20.3, 19.6), bend=0.01), EVERYTHING)]
    one = by_kernel(exposures, (40, 41), squared=squared)
    for threads in (2, 7, 40):
        many = by_kernel(exposures, (40, 41), squared=squared, threads=threads)
        for name, plane in one.items():
            np.testing.assert_array_equal(many[name], plane, err_msg=name)


def test_a_large_pixel_on_a_fine_grid():
    """One input pixel covers more output columns than are looked at at once."""
    exposures = [(*exposure(3, (18, 21)), pixel_positions(70.0, 3.0, centre=(100.0, 90.0)), EVERYTHING)]
    limits = scan_limits(exposures[0][3], (180, 200), EVERYTHING)
    assert (limits[:, 0] <= limits[:, 1]).any()
    assert_same_planes(exposures, (180, 200))


@pytest.mark.parametrize("centre", [(10.0, 8.5), (10.5, 8.5), (10.5, 9.0), (10.25, 8.625)])
@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5])
def test_grids_that_coincide(centre, scale):
    assert_same_planes([(*exposure(4), pixel_positions(scale, centre=centre), EVERYTHING)], SHAPE)


@settings(deadline=None, max_examples=150)
@given(
    scale=st.floats(0.3, 3.0),
    angle=st.floats(-180, 180),
    mirrored=st.booleans(),
    centre=st.tuples(st.floats(-15, 45), st.floats(-15, 45)),
    bend=st.floats(-0.2, 0.2),
    xmin=st.integers(0, 8),
    xmax=st.integers(10, 20),
    ymin=st.integers(0, 7),
    ymax=st.integers(9, 17),
    missing=st.sampled_from(["nothing", "corner", "edge", "middle"]),
)
@example(1.0, 0.0, False, (3.0, 9.0), 0.0, 0, 20, 0, 17, "nothing")  # cut on the left
@example(1.0, 0.0, False, (0.0, 0.0), 0.0, 0, 20, 0, 17, "nothing")
@example(1.0, 45.0, False, (2.0, 2.0), 0.0, 0, 20, 0, 17, "nothing")
@example(1.0, 0.0, False, (60.0, 60.0), 0.0, 0, 20, 0, 17, "nothing")  # beside the output
@example(1.03515625, 148.8828125, False, (0.0, 2.125), 0.0, 0, 10, 0, 9, "nothing")  # a corner with 1e-17 of a pixel
def test_exposures_anywhere(scale, angle, mirrored, centre, bend, xmin, xmax, ymin, ymax, missing):
    """Most stick out: drizzle then leaves out some pixels at the edge of the output, and so do we."""
    pixmap = pixel_positions(scale, angle, mirrored, centre, bend)
    bounds = ((xmin, xmax), (ymin, ymax))
    if missing == "corner":
        pixmap[ymin : ymin + 2, xmin : xmin + 1] = np.nan
    elif missing == "edge":  # the bounds given to the kernel are those of what is left
        pixmap[:, xmax] = np.nan
        bounds = ((xmin, xmax - 1), (ymin, ymax))
    elif missing == "middle":
        pixmap[7:9, 8:10] = np.nan
    assume(drizzle_survives(pixmap, (27, 31), bounds))
    assert_same_planes([(*exposure(5), pixmap, bounds)], (27, 31))


def test_extreme_weights_and_values():
    data, weight, planes = exposure(6)
    weight[3] = 2.0**-60
    weight[4] = 2.0**60
    data[6, 6], weight[6, 6] = np.nan, 1
    data[7, 7] = np.inf
    with np.errstate(all="ignore"):
        assert_same_planes([(data, weight, planes, pixel_positions(angle=20), EVERYTHING)], (30, 30))


def test_the_last_bit_of_a_context_plane():
    """It is the sign."""
    context = np.zeros((30, 30), np.int32)
    planes = np.zeros((2, 30, 30), np.float32)
    data, weight, _ = exposure(7)
    add_image(*planes, data, weight, pixel_positions(), EVERYTHING, (slice(0, 30),) * 2, context=context, bit=31)
    assert set(np.unique(context)) == {np.iinfo(np.int32).min, 0}


def test_planes_can_be_given_for_the_window_alone():
    data, weight, errors = exposure(8)
    pixmap = pixel_positions(angle=5, centre=(40.0, 50.0))
    window = (slice(33, 68), slice(21, 60))
    means, means_wht = np.zeros((3, 35, 39), np.float32), np.zeros((35, 39), np.float32)
    sums = np.zeros((2, 90, 80), np.float32)
    add_image(
        *sums,
        data,
        weight,
        pixmap,
        EVERYTHING,
        window,
        planes=errors,
        planes_out=means,
        planes_wht=means_wht,
        threads=2,
    )
    expected = by_drizzle([(data, weight, errors, pixmap, EVERYTHING)], (90, 80))
    np.testing.assert_allclose(sums[0], expected["sci"] * expected["wht"], rtol=1e-6)
    np.testing.assert_allclose(means, expected["planes"][:, *window], rtol=1e-6)
    np.testing.assert_allclose(means_wht, expected["wht"][window], rtol=1e-6)
    assert np.count_nonzero(means_wht) == np.count_nonzero(expected["wht"])


def test_two_pixels_side_by_side_by_hand():
    """A pixel of value 1 and weight 2, one of value 4 and weight 1, a quarter of a pixel to the right."""
    pixmap = pixel_positions(centre=(1.75, 1.5), shape=(2, 2))
    data, weight = np.array([[1, 4], [1, 4]], np.float32), np.array([[2, 1], [2, 1]], np.float32)
    sci, wht = np.zeros((2, 4, 4), np.float32)
    add_image(sci, wht, data, weight, pixmap, ((0, 1), (0, 1)), (slice(0, 4),) * 2)
    np.testing.assert_array_equal(wht[1], [0, 1.5, 0.5 + 0.75, 0.25])
    np.testing.assert_allclose(sci[1], [0, 1.5 * 1, 0.5 * 1 + 0.75 * 4, 0.25 * 4], rtol=1e-6)
    np.testing.assert_array_equal(wht[[0, 3]], 0)


def test_all_rows_are_looked_at_if_the_exposure_lies_within_the_output():
    np.testing.assert_array_equal(scan_limits(pixel_positions(centre=(20, 20)), (40, 40), EVERYTHING), [[0, 20]] * 18)
    np.testing.assert_array_equal(
        scan_limits(pixel_positions(centre=(20, 20)), (40, 40), ((2, 19), (1, 15))),
        [[0, -1]] + [[2, 19]] * 15 + [[0, -1]] * 2,
    )


def test_no_row_is_looked_at_beside_the_output():
    np.testing.assert_array_equal(scan_limits(pixel_positions(centre=(90, 20)), (40, 40), EVERYTHING), [[0, -1]] * 18)


def test_level_side_is_no_problem():
    """The polygon crosses itself: drizzle's search for positions fails for such a small image, turned by 90 degrees."""
    pixmap = pixel_positions(scale=2.0, angle=90, centre=(4.2, 2.1), shape=(23, 22))
    limits = scan_limits(pixmap, (8, 9), ((1, 21), (0, 22)))
    seen = limits[:, 0] <= limits[:, 1]
    assert (limits[seen] >= [1, 0]).all()
    assert (limits[seen] <= [21, 21]).all()


REAL_WCS = Path(__file__).parents[3] / "shared" / "realdata" / "wcs"


@pytest.mark.parametrize("declination", [-43.6, 89.99])
@pytest.mark.parametrize("scale", [1.0, 0.4, 2.3])
@pytest.mark.parametrize("angle", [0.0, 31.0, 90.0, 179.9])
@pytest.mark.parametrize("name", ["nrcb1-wcs.asdf", "nrcb5-wcs.asdf"])
def test_with_real_distortions(name, angle, scale, declination):
    """A corner of a detector on an undistorted grid that is turned, finer or coarser, or close to the pole."""
    if not (REAL_WCS / name).is_file():
        pytest.skip("no real WCS beside the repository")
    wcs = read_tree(REAL_WCS / name)["wcs"]
    y, x = np.indices((40, 50), dtype=float)
    v2, v3 = wcs.get_transform("detector", "v2v3")(x + 1990, y + 3)
    v2, v3 = v2 - v2.mean(), v3 - v3.mean()
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    sky = to_sky(np.stack([cos * v2 - sin * v3, sin * v2 + cos * v3], axis=-1), (7.0, declination))
    pixmap = to_plane(sky, (7.2, declination - 0.02)) / (abs(np.diff(v2, axis=1).mean()) * scale)
    pixmap -= pixmap.min(axis=(0, 1)) - 1.7
    ny, nx = np.ceil(pixmap.max(axis=(0, 1))).astype(int)[::-1] + 3
    found = assert_same_planes([(*exposure(1, (40, 50)), pixmap, ((0, 49), (0, 39)))], (ny, nx))
    assert np.count_nonzero(found["wht"]) > 300
