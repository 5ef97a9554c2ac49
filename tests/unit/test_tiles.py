"""Associations that are combined on tiles of a common plane: which there are, of which exposures, on which pixels."""

import pytest

from tests.unit.test_combination_checks import CENTRE, associate, notices_of, plan_of, problem_of, two, write_cal

__all__ = ["two"]  # a fixture: two exposures a and b of 600 x 400 pixels of 0.01 arcsec, 200 pixels apart

GRID = {"associations": ["*"], "crval": list(CENTRE), "pixel_scale": 0.01, "tile_shape": [300, 300]}


def tiles_of(plan):
    return {name: [member.root for member in found.members] for name, found in plan.stage3.associations.items()}


def test_an_association_is_expanded_to_the_tiles_that_its_exposures_reach():
    # East is to the left: a reaches from -200 to 400, b from -400 to 200, both from -200 to 200 in y.
    both, column = ["a", "b"], {-2: ["b"], 1: ["a"]}
    expected = {f"x_x{x}y{y}": column.get(x, both) for x in range(-2, 2) for y in (-1, 0)}
    assert tiles_of(plan_of(grids={"sky": GRID})) == expected


@pytest.mark.parametrize("overlap", [0, 10])
def test_pixels_of_tiles_are_those_of_one_plane(overlap):
    plan = plan_of(grids={"sky": GRID | {"tile_overlap": overlap}})
    found = plan.stage3.association("x_x1y-1")
    assert found.common_grid == "sky_x1y-1"
    grid = plan.settings.grids["sky_x1y-1"].grid_parameters()
    # Of the lowest pixel without the overlap, 300 and -300, the distance from the tangent point.
    assert grid["crpix"] == [overlap - 300, overlap + 300]
    assert grid["output_shape"] == [300 + 2 * overlap] * 2
    assert (grid["crval"], grid["pixel_scale"], grid["rotation"]) == (list(CENTRE), 0.01, 0.0)
    assert found.image_shape == (300 + 2 * overlap, 300 + 2 * overlap)


def test_an_exposure_belongs_to_a_tile_whose_overlap_it_reaches():
    # Column 1 begins at 300, and b ends at 200; headers are sure within 2 % of 600 pixels.
    assert tiles_of(plan_of(grids={"sky": GRID | {"tile_overlap": 87}}))["x_x1y0"] == ["a"]
    assert tiles_of(plan_of(grids={"sky": GRID | {"tile_overlap": 89}}))["x_x1y0"] == ["a", "b"]


def test_an_exposure_is_an_outlier_in_one_tile_by_itself():
    plan = plan_of(grids={"sky": GRID})
    names = {plan.stage3.association(f"x_x{x}y0").crf(plan.stage3.members["a"]) for x in (-1, 0, 1)}
    assert names == {f"a_o001-x{x}y0_crf.fits" for x in (-1, 0, 1)}


def test_products_share_their_tiles():
    write_cal("c", (-7.0, 0.0), 3)  # 400 to 1000
    associate("y", "c", "a")
    plan = plan_of(grids={"sky": GRID})
    assert plan.stage3.association("x_x1y0").common_grid == plan.stage3.association("y_x1y0").common_grid
    assert list(plan.settings.grids["sky_x1y0"].associations) == ["x_x1y0", "y_x1y0"]
    assert tiles_of(plan)["y_x3y0"] == ["c"]


def test_a_new_exposure_changes_the_tiles_that_it_reaches():
    before = tiles_of(plan_of(grids={"sky": GRID}))
    write_cal("c", (-7.0, 0.0), 3)
    associate("x", "a", "b", "c")
    after = tiles_of(plan_of(grids={"sky": GRID}))
    assert {name for name in after if after[name] != before.get(name)} == {
        f"x_x{x}y{y}" for x in (1, 2, 3) for y in (-1, 0)
    }


def test_other_products_are_images_as_ever():
    associate("y", "a", "b")
    plan = plan_of(grids={"sky": GRID | {"associations": "x"}, "other": {"associations": "y"}}, associations="*.json")
    assert "y" in plan.stage3.associations
    assert plan.stage3.association("y").common_grid == "other"
    assert "x" not in plan.stage3.associations


@pytest.mark.parametrize("tweakreg", [{}, {"skip": True}])
def test_what_is_done_is_told(tweakreg):
    told = "x_asn.json: x is made in 8 tiles of the grid sky"
    apart = "" if tweakreg else "; each is aligned by itself, and stage3.tweakreg.abs_refcat ties them to each other"
    assert told + apart in notices_of(grids={"sky": GRID}, tweakreg=tweakreg)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"crval": None}, "grids.sky.crval: is not given, and tile_shape is"),
        ({"pixel_scale": None}, "grids.sky.pixel_scale: is not given, and tile_shape is"),
        ({"crpix": [0, 0]}, "grids.sky.crpix: is given, and tile_shape too"),
        ({"output_shape": [300, 300]}, "grids.sky.output_shape: is given, and tile_shape too"),
        ({"tile_shape": None, "tile_overlap": 5}, "grids.sky.tile_overlap: is given, and no tile_shape"),
        ({"pixel_scale": 1e-4}, "134 tiles for 'a_cal.fits' alone"),
        ({"crval": [330.0, 2.0]}, "grids.sky: no tiles of x"),
        ({"associations": "z"}, "grids.sky.associations[0]: 'z' is no product"),
    ],
)
def test_grids_that_make_no_tiles(changes, told):
    assert told in problem_of(grids={"sky": GRID | changes})


def test_an_exposure_that_does_not_tell_where_it_lies_is_refused():
    write_cal("b", (1.0, 0.0), 2, S_REGION=None, RA_REF=None)
    told = problem_of(grids={"sky": GRID})
    assert told.startswith("x_asn.json: products[0].members[1]: does not tell in its header where it lies")


def test_an_exposure_that_is_not_there_is_told_as_ever():
    associate("x", "a", "lost")
    assert "lost_cal.fits" in problem_of(grids={"sky": GRID})
