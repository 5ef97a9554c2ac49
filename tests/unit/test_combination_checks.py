"""What planning says of grids, fields, catalogues and star lists, from headers alone."""

import json
import subprocess
import sys
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from calflow.configuration.problems import InputError
from calflow.configuration.settings import read_settings
from calflow.jobs.sizes import Sizes
from calflow.plan.planner import make_plan
from calflow.science.geometry.footprints import s_region
from calflow.science.geometry.tan_projection import TanProjection
from calflow.science.geometry.tangent_plane import to_sky
from calflow.simulation import Scene, simulate

ROOT = Path(__file__).parents[2]
PLANES = {"SCI": "f4", "ERR": "f4", "DQ": "u4", "VAR_POISSON": "f4", "VAR_RNOISE": "f4"}
KEYWORDS = {
    "TELESCOP": "JWST",
    "INSTRUME": "MIRI",
    "DETECTOR": "MIRIMAGE",
    "EXP_TYPE": "MIR_IMAGE",
    "FILTER": "F1130W",
    "SUBARRAY": "FULL",
    "DATE-OBS": "2023-07-02",
    "TIME-OBS": "12:00:00",
    "TARGTYPE": "FIXED",
    "S_WCS": "COMPLETE",
    "S_FLAT": "COMPLETE",
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "VISIT": "001",
    "VISITGRP": "02",
    "SEQ_ID": "1",
    "ACT_ID": "01",
}
CENTRE = (150.0, 2.0)
# Pixels of 0.1 arcsec: 6 x 4 arcsec.
NX, NY, SCALE = 60, 40, 0.1


def write_cal(root, shift=(0.0, 0.0), number=1, **changes):
    """Write a calibrated exposure whose middle is shifted by so many arcsec east and north, north up."""
    half = np.array([NX, NY]) * SCALE / 2
    corners = to_sky(np.array([(1, -1), (1, 1), (-1, 1), (-1, -1)]) * half + np.array(shift), CENTRE)
    science = {"BUNIT": "MJy/sr", "V2_REF": 0.0, "V3_REF": 0.0, "RA_REF": CENTRE[0], "DEC_REF": CENTRE[1]}
    science |= {"ROLL_REF": 0.0, "VPARITY": -1, "V3I_YANG": 0.0, "S_REGION": s_region(corners)} | changes
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(np.zeros((NY, NX), kind), name=name) for name, kind in PLANES.items())]
    hdus[0].header.update(KEYWORDS | {"EXPOSURE": str(number)})
    hdus[1].header.update({key: value for key, value in science.items() if value is not None})
    hdus.append(fits.BinTableHDU(np.zeros(1, [("ASDF_METADATA", "u1", 8)]), name="ASDF"))
    fits.HDUList(hdus).writeto(f"{root}_cal.fits", overwrite=True)


def associate(name, *roots):
    members = [{"expname": f"{root}_cal.fits", "exptype": "science"} for root in roots]
    tree = {"asn_type": "image3", "asn_id": "o001", "products": [{"name": name, "members": members}]}
    Path(f"{name}_asn.json").write_text(json.dumps(tree))


@pytest.fixture(autouse=True)
def two(tmp_path, monkeypatch):
    """An association of two exposures, 2 arcsec apart: 8 x 4 arcsec."""
    monkeypatch.chdir(tmp_path)
    write_cal("a", (-1.0, 0.0), 1)
    write_cal("b", (1.0, 0.0), 2)
    associate("x", "a", "b")


def plan_of(resample=None, tweakreg=None, skymatch=None, associations="*_asn.json", **config):
    stage3 = {"resample": resample or {}, "tweakreg": tweakreg or {}, "skymatch": skymatch or {}}
    settings = read_settings({"associations": associations, "stage3": stage3} | config)
    return make_plan(settings, [], Path(".cache"))


def problem_of(*arguments, **options):
    with pytest.raises(InputError) as caught:
        plan_of(*arguments, **options)
    (problem,) = caught.value.problems
    return str(problem)


def notices_of(*arguments, **options):
    return [notice for notice in plan_of(*arguments, **options).notices if "no source catalogue" not in notice]


# Grids ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resample", "shape"),
    [
        ({}, (40, 80)),
        ({"pixel_scale": 0.05}, (80, 160)),
        ({"pixel_scale_ratio": 2.0}, (20, 40)),
        ({"output_shape": [30, 20]}, (20, 30)),
        ({"rotation": 90.0}, (80, 40)),
        # The reference point may lie far away: what is laid over the exposures shows them.
        ({"crval": [151.0, 2.0]}, (40, 80)),
        ({"crval": [150.0, 3.0], "output_shape": [30, 20]}, (20, 30)),
        # So may a large image begin far away.
        ({"crval": [150.01, 2.0], "crpix": [0, 500], "output_shape": [1000, 1000]}, (1000, 1000)),
    ],
)
def test_the_size_of_the_image_is_known_beforehand(resample, shape):
    plan = plan_of(resample)
    found = plan.stage3.association("x").image_shape
    np.testing.assert_allclose(found, shape, atol=1)
    assert not [notice for notice in plan.notices if "outside" in notice]


@pytest.mark.parametrize(
    ("resample", "key", "words"),
    [
        ({"pixel_scale": 100}, "stage3.resample.pixel_scale: with pixel_scale 100.0", "x makes no image"),
        ({"output_shape": [1, 1]}, "stage3.resample.output_shape: with output_shape [1, 1]", "1 x 1 pixels"),
        ({"pixel_scale": 1e-4}, "stage3.resample.pixel_scale: with pixel_scale 0.0001", "GB of disk"),
        ({"crval": [330, 2]}, "stage3.resample.crval: with crval [330.0, 2.0]", "90 degrees or more"),
        (
            {"crval": [150.0, 2.1], "crpix": [50, 50], "output_shape": [100, 100]},
            "stage3.resample: with crpix [50.0, 50.0], crval [150.0, 2.1], output_shape [100, 100]",
            "lies elsewhere, no exposure of x reaches it; it covers 10 x 10 arcsec around [150.00001, 2.09999]",
        ),
        (
            {"crpix": [-500, 0], "output_shape": [100, 100]},
            "stage3.resample: with crpix [-500.0, 0.0], output_shape [100, 100]",
            "the grid lies elsewhere",
        ),
    ],
)
def test_grids_that_make_no_image(resample, key, words):
    problem = problem_of(resample)
    assert problem.startswith(f"--config: {key}")
    assert words in problem
    assert "8 x 4 arcsec around [150.00000, 2.00000]" in problem


def test_values_of_a_step_that_is_skipped_do_not_matter():
    assert plan_of({"pixel_scale": 100, "skip": True})


def test_the_limit_is_a_key_of_the_configuration():
    """0.01 arcsec: 800 x 400 pixels, 31 MB."""
    problem = problem_of({"pixel_scale": 0.01}, max_output_pixels=100_000)
    pixels = int(problem.rsplit(" ", 1)[1])
    assert pixels == pytest.approx(320_000, rel=0.01)
    assert "max_output_pixels, 100000 or 0.0028 GB" in problem
    assert plan_of({"pixel_scale": 0.01}, max_output_pixels=pixels)
    assert plan_of({"pixel_scale": 0.01}, max_output_pixels="3.3e5")


def test_a_shape_that_is_given_counts_exactly():
    assert plan_of({"output_shape": [100, 100]}, max_output_pixels=10_000)
    assert "100 x 101 pixels" in problem_of({"output_shape": [100, 101]}, max_output_pixels=10_000)


def test_exposures_far_apart_are_named():
    for number, x in enumerate((0.5, 0.0, -0.5, 3600.0)):
        write_cal("pqrs"[number], (x, 3 * x), number + 1)
    associate("y", *"pqrs")
    problem = problem_of(associations="y_asn.json")
    assert problem.startswith("y_asn.json: the image of y would have")
    assert "far from the others lie s: combine them apart" in problem


def test_exposures_outside_the_grid_are_told():
    notices = notices_of({"crval": list(CENTRE), "crpix": [400, 50], "output_shape": [350, 100]})
    assert notices == []  # a reaches it within the uncertainty of its pointing
    write_cal("b", (40.0, 0.0), 2)
    notices = notices_of({"crval": list(CENTRE), "crpix": [50, 50], "output_shape": [100, 100]})
    assert "stage3.resample: 1 of 2 exposures of x lie outside the grid: b" in notices


def write_grid(name, centre, shape, **more):
    """Write a WCS of north up, 0.1 arcsec."""
    ny, nx = shape
    projection = TanProjection((nx / 2, ny / 2), centre, SCALE / 3600, ((-1.0, 0.0), (0.0, 1.0)))
    wcs = projection.gwcs(shape, ((-0.5, nx - 0.5), (-0.5, ny - 0.5)))
    asdf.AsdfFile({"wcs": wcs} | more).write_to(name)
    return wcs


def test_a_grid_of_the_user():
    write_grid("grid.asdf", CENTRE, (300, 200))
    assert plan_of({"output_wcs": "grid.asdf"}).stage3.association("x").image_shape == (300, 200)
    problem = problem_of({"output_wcs": "grid.asdf"}, max_output_pixels=50_000)
    assert problem.startswith(
        "--config: stage3.resample.output_wcs: with output_wcs grid.asdf the image of x would have"
    )


def test_a_grid_of_the_user_elsewhere():
    write_grid("grid.asdf", (150.0, 2.1), (300, 200))
    problem = problem_of({"output_wcs": "grid.asdf"})
    assert problem.startswith("--config: stage3.resample.output_wcs: with output_wcs grid.asdf the grid lies elsewhere")
    assert "20 x 30 arcsec around [150.00001, 2.09999] (200 x 300 pixels)" in problem


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"meta": {}}, "has no key 'wcs'"),
        ({"wcs": {"a": 1}}, "is a dict, no gwcs"),
        ({"wcs": "text"}, "is a str, no gwcs"),
    ],
)
def test_a_file_without_a_wcs(tree, words):
    asdf.AsdfFile(tree).write_to("grid.asdf")
    problem = problem_of({"output_wcs": "grid.asdf"})
    assert problem.startswith("grid.asdf: wcs: gives no output grid")
    assert words in problem


def test_a_wcs_file_that_is_cut_off():
    write_grid("whole.asdf", CENTRE, (30, 20))
    Path("grid.asdf").write_bytes(Path("whole.asdf").read_bytes()[:700])
    assert problem_of({"output_wcs": "grid.asdf"}).startswith("grid.asdf: wcs: gives no output grid: ")


def test_common_grids_are_checked_for_each_association():
    write_cal("c", (60.0, 0.0), 1)
    write_cal("d", (61.0, 0.0), 2)
    associate("y", "c", "d")
    plan = plan_of(grids={"deep": {"associations": "*"}})
    shapes = {a.image_shape for a in plan.stage3.associations.values()}
    assert len(shapes) == 1
    np.testing.assert_allclose(shapes.pop(), (40, 680), atol=2)
    narrow = {"associations": "*", "crval": list(CENTRE), "crpix": [50, 50], "output_shape": [100, 100]}
    problem = problem_of(grids={"deep": narrow})
    assert problem.startswith("--config: grids.deep: with crpix")
    assert "no exposure of y reaches it" in problem
    assert "grids.deep.pixel_scale" in problem_of(grids={"deep": {"associations": "*", "pixel_scale": 1e-4}})


@pytest.fixture(scope="module")
def count_rates(tmp_path_factory):
    """Two count-rate exposures, their associations and references."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, Scene("miri_f1130w", detector_shape=(56, 64), exposures=2, stars=1, galaxies=0, seed=3))
    return folder


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"pixel_scale": 100}, ".pixel_scale: with pixel_scale 100.0 "),
        ({"crval": [150, 2.1], "crpix": [0, 0], "output_shape": [9, 9]}, ": with crpix [0.0, 0.0], crval "),
        ({"pixel_scale_ratio": 1e-3}, ".pixel_scale_ratio: with pixel_scale_ratio 0.001 the image of "),
    ],
)
def test_quick_looks_are_checked_too(count_rates, values, told):
    made = {"associations": f"{count_rates}/rate/*_asn.json", "references": {"directory": f"{count_rates}/references"}}
    assert problem_of(stage2={"resample": values}, **made).startswith(f"--config: stage2.resample{told}")
    assert plan_of(stage2={"resample": values | {"skip": True}}, **made)
    assert plan_of(stage2={"resample": {"output_shape": [5, 5]}}, **made)


# Fields ---------------------------------------------------------------------------------------------------


def test_fields_that_do_not_overlap_are_told():
    write_cal("c", (180.0, 0.0), 3)
    associate("x", "a", "b", "c")
    (notice,) = notices_of()
    assert notice == (
        "x_asn.json: the exposures of x make 2 fields that do not overlap, 0.05 degrees apart: a, b; c; tweakreg and "
        "skymatch cannot tie them to each other; stage3.tweakreg.abs_refcat can"
    )
    (notice,) = notices_of(tweakreg={"skip": True})
    assert notice.endswith("apart: a, b; c; skymatch cannot tie them to each other")


def test_detectors_of_one_exposure_are_one_field():
    write_cal("c", (8.0, 0.0), 1)  # a gap of 1 arcsec to b, and none to a: they were taken at once
    associate("x", "a", "b", "c")
    assert notices_of() == []


# Catalogues and star lists --------------------------------------------------------------------------------


def write_catalog(name="stars.csv", centre=CENTRE, number=40, **columns):
    rng = np.random.default_rng(1)
    ra, dec = to_sky(rng.uniform(-2, 2, (number, 2)), centre).T
    Table({"ra": ra, "dec": dec} | columns).write(name, overwrite=True)


ALIGNED = {"abs_refcat": "stars.csv"}


def test_a_catalogue_of_the_field():
    write_catalog()
    assert notices_of(tweakreg=ALIGNED) == []


def test_a_catalogue_of_another_field():
    write_catalog(centre=(150.0, 2.5))
    problem = problem_of(tweakreg=ALIGNED)
    assert problem.startswith(
        "stars.csv: none of its 40 positions lies in the field of x, 8 x 4 arcsec around [150.00000, 2.00000]; "
        "they lie within 0.000"
    )
    assert "degrees of [150.0" in problem
    plan_of(tweakreg=ALIGNED | {"skip": True})


def test_a_star_within_reach_of_the_search_may_match():
    """The field ends at 4 arcsec; searched are 6 + 0.7, and 10 more may be the pointing's."""
    for east, reached in ((18.0, True), (30.0, False)):
        write_catalog(centre=tuple(to_sky(np.array([east, 0.0]), CENTRE)), number=40)
        if reached:
            assert notices_of(tweakreg=ALIGNED) == []
        else:
            assert "none of its 40 positions" in problem_of(tweakreg=ALIGNED)


def test_too_few_stars_of_a_catalogue_are_told():
    write_catalog(number=14)
    (notice,) = notices_of(tweakreg=ALIGNED)
    assert notice.startswith("stars.csv: 14 of its positions lie in the field of x")
    assert "stage3.tweakreg.abs_minobj is 15" in notice


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"weight": ["good"] * 40}, "stars.csv: weight: is 'good' in row 1; give numbers"),
        ({"weight": np.zeros(40)}, "stars.csv: weight: is above 0 in no row"),
        ({"ra": np.full(40, np.nan)}, "stars.csv: no position in any of its 40 rows; give finite numbers"),
        ({"dec": np.full(40, 95.0)}, "stars.csv: dec: is 95 degrees in row 1; give declinations in degrees"),
    ],
)
def test_contents_of_a_catalogue(columns, words):
    write_catalog(**columns)
    assert problem_of(tweakreg=ALIGNED).startswith(words)


def test_an_empty_catalogue_is_told():
    Table({"ra": np.empty(0), "dec": np.empty(0)}).write("stars.ecsv")
    (notice,) = notices_of(tweakreg={"abs_refcat": "stars.ecsv"})
    assert notice == "stars.ecsv: has no rows, so that nothing is aligned by it"


def test_proper_motions_are_told():
    """7.5 years of 5 mas."""
    write_catalog(pmra=np.full(40, 3.0), pmdec=np.full(40, 4.0), ref_epoch=np.full(40, 2016.0))
    (notice,) = notices_of(tweakreg=ALIGNED)
    assert notice == (
        "stars.csv: its positions, of 2016, are taken as they stand; x was observed in 2023.5, "
        "and the proper motions (median 5 mas a year) are not applied"
    )
    write_catalog(pmra=np.full(40, 3.0), pmdec=np.full(40, 4.0), epoch=np.full(40, 2023.5))
    assert notices_of(tweakreg=ALIGNED) == []


def test_what_was_found_is_remembered_until_the_file_changes():
    """With everything remembered, planning reads no catalogue, and imports neither astropy nor asdf."""
    write_catalog()
    write_grid("grid.asdf", CENTRE, (300, 200))
    Table({"x": [1.0], "y": [2.0]}).write("a.csv")
    Path("cats.txt").write_text("a_cal.fits a.csv\n")
    stage3 = {
        "tweakreg": ALIGNED | {"use_custom_catalogs": True, "catfile": "cats.txt"},
        "resample": {"output_wcs": "grid.asdf"},
    }
    config = {"associations": "*_asn.json", "stage3": stage3}
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        "from pathlib import Path; from calflow.plan.planner import make_plan\n"
        "from calflow.configuration.settings import read_settings\n"
        f"make_plan(read_settings({config!r}), [], Path('.cache'))\n"
        "print(sorted({'astropy', 'asdf', 'gwcs'} & set(sys.modules)))"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert (first, second) == ("['asdf', 'astropy', 'gwcs']\n", "[]\n")
    write_catalog(centre=(150.0, 2.5))
    assert "none of its 40 positions" in problem_of(tweakreg=ALIGNED)


def test_more_matches_than_stars_that_are_kept():
    assert problem_of(tweakreg={"minobj": 201}) == (
        "--config: stage3.tweakreg.minobj: 201 stars are to match, but of x at most 200 are kept at once; "
        "give fewer, or a larger stage3.tweakreg.brightest (now 200), or null for all"
    )
    assert plan_of(tweakreg={"minobj": 201, "brightest": None})
    assert plan_of(tweakreg={"minobj": 201, "starfinder": "segmentation"})
    assert plan_of(tweakreg={"minobj": 201, "skip": True})
    write_cal("c", (0.0, 0.0), 1)  # taken at once with a: 400 stars
    associate("x", "a", "b", "c")
    assert plan_of(tweakreg={"minobj": 400})


OWN = {"use_custom_catalogs": True, "catfile": "cats.txt"}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"x": [100.0, 1.0], "y": [2.0, 50.0]},
            "none of its 2 positions lies in the 60 x 40 pixels of a; give its pixels",
        ),
        ({"x": [np.nan], "y": [2.0]}, "no position in any of its 1 rows"),
        ({"x": [1.0], "y": ["low"]}, "y: is 'low' in row 1"),
        ({"ra": [150.0], "dec": [2.0]}, "has the columns ra, dec; it needs x, y"),
    ],
)
def test_contents_of_a_star_list(columns, words):
    Table(columns).write("a.ecsv")
    Path("cats.txt").write_text("a_cal.fits a.ecsv\n")
    assert problem_of(tweakreg=OWN).startswith(f"a.ecsv: {words}")


def test_a_catfile_with_three_columns():
    Path("cats.txt").write_text("# lists\na_cal.fits a.ecsv 3\n")
    assert problem_of(tweakreg=OWN).startswith(
        "--config: stage3.tweakreg.catfile: 'cats.txt', line 2: 'a_cal.fits a.ecsv 3' has 3 columns, not two"
    )


def test_a_catfile_for_other_exposures():
    Table({"x": [1.0], "y": [2.0]}).write("a.ecsv")
    Path("cats.txt").write_text("c_cal.fits a.ecsv\nd_cal.fits a.ecsv\n")
    assert problem_of(tweakreg=OWN) == (
        "--config: stage3.tweakreg.catfile: 'cats.txt' names no member of a level-3 association, but c, d; "
        "members are a, b"
    )
    Path("cats.txt").write_text("c_cal.fits a.ecsv\na_cal.fits a.ecsv\n")
    (notice,) = notices_of(tweakreg=OWN)
    assert notice == "stage3.tweakreg.catfile: cats.txt names what is no member of an association: c"


def test_a_catfile_that_is_not_used():
    (notice,) = notices_of(tweakreg={"catfile": "cats.txt"})
    assert notice == "stage3.tweakreg.catfile: cats.txt is not used; set use_custom_catalogs: true"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a_cal.fits 1.0\nb_cal.fits\n", "line 2: 'b_cal.fits' has one column, not two; give two columns"),
        ("a_cal.fits 1.0\nb_cal.fits much\n", "b: 'much' is not a finite number"),
        ("a_cal.fits 1.0\n", "has no level of b; give one for each exposure"),
        ("a_cal.fits 1.0\nb_cal.fits 1\nc_cal.fits 1\n", "c is no exposure of this configuration"),
    ],
)
def test_a_list_of_sky_levels(text, words):
    Path("sky.txt").write_text(text)
    assert problem_of(skymatch={"skymethod": "user", "skylist": "sky.txt"}).startswith(f"sky.txt: {words}")


def test_one_list_of_sky_levels_for_two_associations():
    write_cal("c", (60.0, 0.0), 1)
    write_cal("d", (61.0, 0.0), 2)
    associate("y", "c", "d")
    Path("sky.txt").write_text("".join(f"{root}_cal.fits 1\n" for root in "abcd"))
    assert plan_of(skymatch={"skymethod": "user", "skylist": "sky.txt"})


# What jobs ask for ----------------------------------------------------------------------------------------


def test_requests_follow_the_size_of_a_quick_look(count_rates):
    made = {"associations": f"{count_rates}/rate/*_asn.json", "references": {"directory": f"{count_rates}/references"}}
    for resample, factor in (({}, 1), ({"pixel_scale_ratio": 0.2}, 25)):
        plan = plan_of(stage2={"resample": resample}, **made)
        for root in plan.exposures:
            size = Sizes(plan).of({"exposure": root}, whole=False)
            assert size.image == pytest.approx(factor * 56 * 64 / 1e6, rel=0.1)
