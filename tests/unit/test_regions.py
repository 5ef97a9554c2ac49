"""DS9 regions as masks of pixels, and the step that flags these."""

import re

import numpy as np
import pytest

from calflow.science.cleaning.mask_regions import grown, mask_regions
from calflow.science.cleaning.mask_regions_parameters import RegionMask
from calflow.science.cleaning.regions import Region, check_regions, read_regions, region_mask
from calflow.science.cleaning.step import Facts
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

HEAD = "# Region file format: DS9 version 4.1\nglobal color=green dashlist=8 3 width=1\n"
FACTS = Facts("exposure", "cal")


def mask(text, shape=(5, 6), sky=None):
    return region_mask(read_regions(text), shape, sky)


def picture(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def standard_sky(x, y):
    """North up, east left, 1 arcsec per pixel; pixel (10, 20) at 150, 60 degrees."""
    dec = 60 + (y - 20) / 3600
    return np.stack([150 - (x - 10) / 3600 / np.cos(np.radians(dec)), dec], axis=-1)


def test_a_circle_counts_pixels_from_one_and_takes_those_whose_centre_it_holds():
    found = mask(HEAD + "image\ncircle(3,2,1)\n", (4, 5))
    np.testing.assert_array_equal(found, picture("..#..", ".###.", "..#..", "....."))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("image; box(3,3,3,1,0)", (".....", ".....", ".###.", ".....", ".....")),
        ("image; box(3,3,3,1,90)", (".....", "..#..", "..#..", "..#..", ".....")),
        ("image; box 3 3 3 1", (".....", ".....", ".###.", ".....", ".....")),
        ("image; ellipse(3,3,2,1,90)", ("..#..", "..#..", ".###.", "..#..", "..#..")),
        ("image; annulus(3,3,1,2)", ("..#..", ".###.", "##.##", ".###.", "..#..")),
        ("image; polygon(0.5,0.5,3.5,0.5,3.5,2.5,0.5,2.5)", ("###..", "###..", ".....", ".....", ".....")),
        ("image; circle(3i,3i,1) # text={a (claw)}; really", (".....", "..#..", ".###.", "..#..", ".....")),
        ("image; circle(3,3,1); -box(3,3,1,1)", (".....", "..#..", ".#.#.", "..#..", ".....")),
        ("image; -box(3,3,1,1,0)\n circle(3,3,1)", (".....", "..#..", ".#.#.", "..#..", ".....")),
        ("image; circle(-5,3,1); circle(1,1,0.1)", ("#....", ".....", ".....", ".....", ".....")),
        ("circle(2,2,0.5)", (".....", ".#...", ".....", ".....", ".....")),
    ],
)
def test_shapes_in_pixels(text, rows):
    np.testing.assert_array_equal(mask(text, (5, 5)), picture(*rows))


def test_angles_turn_from_x_to_y():
    # 45 degrees: along the diagonal, so from the lower left to the upper right of the array.
    np.testing.assert_array_equal(mask("image; box(3,3,6,0.5,45)", (5, 5)), np.eye(5, dtype=bool))


@pytest.mark.parametrize(
    "text",
    [
        'fk5\ncircle(150,60,2.1")',
        'icrs; circle(10:00:00.0,+60:00:00.0,2.1")',
        "fk5; circle(10h00m00s,60d00m00s,0.035')",
        "fk5; circle(150d,60d,0.000583334d)",
        "J2000; circle(150,60,0.000583334)",
    ],
)
def test_a_circle_on_the_sky(text):
    y, x = np.mgrid[:40, :30]
    np.testing.assert_array_equal(mask(text, (40, 30), standard_sky), np.hypot(x - 10, y - 20) <= 2.1)


def test_a_declination_may_be_little_below_zero():
    (region,) = read_regions('fk5; circle(0:00:04,-0:00:30,1")')
    np.testing.assert_allclose(region.points[0], (4 * 15 / 3600, -30 / 3600))


@pytest.mark.parametrize("mirrored", [False, True])
def test_on_the_sky_a_box_is_where_it_is_whichever_way_the_detector_looks(mirrored):
    """Turned by 30 degrees from west to north: its end is 8.7 arcsec to the west and 5 to the north."""

    def sky(x, y):
        return standard_sky(40 - x if mirrored else x, y)

    found = mask('fk5; box(150,60,20",1",30)', (60, 60), sky)
    y, x = np.nonzero(found)
    west = (40 - x if mirrored else x) - 10
    assert (west.min(), west.max()) == (-8, 8)
    np.testing.assert_allclose(y - 20, west * np.tan(np.radians(30)), atol=0.6)


def test_a_polygon_on_the_sky_takes_the_pixels_between_its_corners():
    corners = standard_sky(np.array([4.5, 8.5, 8.5, 4.5]), np.array([9.5, 9.5, 11.5, 11.5]))
    text = f"fk5; polygon({','.join(map(repr, map(float, corners.ravel())))})"
    expected = np.zeros((40, 30), bool)
    expected[10:12, 5:9] = True
    np.testing.assert_array_equal(mask(text, (40, 30), standard_sky), expected)


def test_a_region_elsewhere_on_the_sky_has_no_pixel():
    assert not mask('fk5; circle(330,-60,5")', (40, 30), standard_sky).any()
    assert not mask('fk5; circle(151,60,5")', (40, 30), standard_sky).any()


def test_only_the_part_that_a_region_reaches_is_looked_at():
    """A large frame is not placed on the sky pixel by pixel for a small region."""
    asked = []

    def sky(x, y):
        asked.append(np.size(x))
        return standard_sky(x, y)

    assert mask('fk5; circle(150,60,3.1")', (1000, 1000), sky).sum() == 29
    assert sum(asked) < 20_000


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("image; line(1,1,5,5)", "line 1: 'line(1,1,5,5)' is no region with an area"),
        ("\n\ngalactic; circle(1,1,5)", "line 3: the system galactic is not read"),
        ("image; circle(1,1)", "line 1: a circle has a position and 1 size"),
        ("image; box(1,1,2,3,4,5)", "line 1: a box has a position and 2 sizes and an angle"),
        ("image; circle(1,x,2)", "line 1: 'x' is no number"),
        ("image; circle(1,1,0)", "line 1: the sizes of a circle are larger than 0"),
        ("image; ellipse(1,1,-2,1)", "line 1: the sizes of a ellipse are larger than 0"),
        ("image; polygon(1,1,2,2)", "line 1: a polygon has three corners or more"),
        ('image; circle(1,1,5")', 'line 1: 5" is an angle'),
        ("fk5; circle(1,1,5p)", "line 1: 5p is a size in pixels"),
        ("fk5; circle(1,91,5)", "line 1: 91 is no declination"),
        ("", "it has no region"),
        ("image; -circle(1,1,1)", "it has no region that is not excluded"),
    ],
)
def test_what_is_wrong_with_a_region_file(text, wrong):
    with pytest.raises(ValueError, match=rf"^{re.escape(wrong)}"):
        read_regions(text)


def test_regions_on_the_sky_want_world_coordinates():
    with pytest.raises(ValueError, match=r"mask them in extra_steps\.cal"):
        check_regions("rate", 'fk5; circle(1,1,5")')
    check_regions("cal", 'fk5; circle(1,1,5")')
    check_regions("rate", "image; circle(1,1,5)")
    with pytest.raises(ValueError, match="the exposure has not got"):
        region_mask([Region("circle", True, ((1.0, 1.0),), (5.0,))], (4, 4))


def test_a_mask_grows_by_a_distance():
    point = picture(".....", ".....", "..#..", ".....", ".....")
    np.testing.assert_array_equal(grown(point, 1), picture(".....", "..#..", ".###.", "..#..", "....."))
    np.testing.assert_array_equal(grown(point, 1.5), picture(".....", ".###.", ".###.", ".###.", "....."))
    assert grown(point, 0) is point
    corner = picture("#....", ".....")
    np.testing.assert_array_equal(grown(corner, 2), picture("###..", "##..."))


def test_the_step_sets_flags_and_tells_how_many_pixels_could_be_used_before():
    sci = np.ones((4, 5), np.float32)
    sci[0, 2] = np.nan
    dq = np.zeros((4, 5), np.uint32)
    dq[1, 2] = FLAGS["DO_NOT_USE"] | FLAGS["HOT"]
    image = Image(sci, np.ones_like(sci), dq)
    parameters = RegionMask(flags="DO_NOT_USE + OTHER_BAD_PIXEL")
    cleaned = mask_regions(image, parameters, FACTS, regions="image; circle(3,2,1)")
    assert cleaned.figures == {"pixels": 5, "usable before": 3}
    assert cleaned.dq[1, 2] == FLAGS["DO_NOT_USE"] | FLAGS["HOT"] | FLAGS["OTHER_BAD_PIXEL"]
    assert cleaned.dq[2, 2] == FLAGS["DO_NOT_USE"] | FLAGS["OTHER_BAD_PIXEL"]
    assert (cleaned.dq != dq).sum() == 5
    assert dq[2, 2] == 0
    assert cleaned.sci is None


def test_flags_are_known_ones():
    with pytest.raises(ValueError, match="flags: 'CLAW' is no data quality flag"):
        RegionMask(flags="DO_NOT_USE+CLAW")
