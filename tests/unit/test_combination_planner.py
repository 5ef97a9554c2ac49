"""Planning stage 3: what is combined with what, under which names, and what is refused before any job starts."""

import json
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from calflow.configuration.problems import InputError
from calflow.configuration.settings import read_settings
from calflow.files.alignment_tables import AlignmentRow, write_alignment
from calflow.jobs.all import JOBS
from calflow.plan.colour_files import colour_paths, some_colour_paths
from calflow.plan.combination import UnknownAssociation, catalog_candidates
from calflow.plan.components import components
from calflow.plan.made_beside import made_beside
from calflow.plan.map_files import some_map_paths
from calflow.plan.plan import UnknownExposure
from calflow.plan.planner import make_plan
from calflow.science.geometry.tangent_plane import Affine
from calflow.simulation import Scene, simulate

PLANES = ("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE")
MIRI = {
    "TELESCOP": "JWST",
    "INSTRUME": "MIRI",
    "DETECTOR": "MIRIMAGE",
    "EXP_TYPE": "MIR_IMAGE",
    "FILTER": "F1130W",
    "SUBARRAY": "FULL",
    "DATE-OBS": "2023-03-12",
    "TIME-OBS": "07:47:13.140",
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "VISIT": "001",
    "VISITGRP": "02",
    "SEQ_ID": "1",
    "ACT_ID": "01",
    "TARGTYPE": "FIXED",
    "S_WCS": "COMPLETE",
    "S_FLAT": "COMPLETE",
}
NIRCAM = MIRI | {
    "INSTRUME": "NIRCAM",
    "DETECTOR": "NRCA1",
    "EXP_TYPE": "NRC_IMAGE",
    "CHANNEL": "SHORT",
    "FILTER": "F150W",
    "PUPIL": "CLEAR",
}
SCI = {"BUNIT": "MJy/sr", "V2_REF": 120.0, "V3_REF": -500.0, "RA_REF": 80.0, "DEC_REF": -70.0, "ROLL_REF": 30.0}
SCI |= {"VPARITY": -1, "V3I_YANG": 5.0}
SCENE = Scene("miri_f1130w", detector_shape=(56, 64), exposures=2, stars=1, galaxies=0, seed=3)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Two count-rate exposures, their associations of both levels and references."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, SCENE)
    return folder


@pytest.fixture
def folder(simulated, tmp_path, monkeypatch):
    """A working folder with the references of the simulated exposures; names are relative to it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(simulated / "references", "references")
    return tmp_path


def files_of(job, **wildcards):
    """Return what a job of the default plan reads."""
    return JOBS[job].inputs(plan_of(), **wildcards)


def parameters_of(job, **wildcards):
    """Return what its script takes."""
    return JOBS[job].parameters(plan_of(), **wildcards)


def write_cal(name, base=MIRI, shape=(4, 6), asdf=True, planes=PLANES, **changes):
    """Write a calibrated exposure; keywords that are None are left out."""
    number = name.rpartition("/")[2][0]
    keywords = base | {"EXPOSURE": f"{'abcdefgh'.find(number) + 1}"} | SCI | changes
    hdus = [
        fits.PrimaryHDU(),
        *(fits.ImageHDU(np.zeros(shape, "u4" if plane == "DQ" else "f4"), name=plane) for plane in planes),
    ]
    for keyword, value in keywords.items():
        if value is not None:
            hdus[1 if keyword in SCI else 0].header[keyword] = value
    if asdf:
        hdus.append(fits.BinTableHDU(np.zeros(1, [("ASDF_METADATA", "u1", 8)]), name="ASDF"))
    fits.HDUList(hdus).writeto(name, overwrite=True)


def member(expname, **more):
    return {"expname": expname, "exptype": "science", **more}


def product(name, *members):
    return {"name": name, "members": [member(m) if isinstance(m, str) else m for m in members]}


def write_asn(name, *products, **more):
    tree = {"asn_type": "image3", "asn_id": "o001", "asn_pool": "pool", "products": list(products)} | more
    with open(name, "w") as file:
        json.dump(tree, file)
    return name


def plan_of(associations="x_asn.json", stage3=None, **config):
    settings = read_settings({"associations": associations, "stage3": stage3 or {}} | config)
    return make_plan(settings, [], Path(".cache"))


def problems_of(*arguments, **options):
    with pytest.raises(InputError) as caught:
        plan_of(*arguments, **options)
    return [str(problem) for problem in caught.value.problems]


def problem_of(*arguments, **options):
    (problem,) = problems_of(*arguments, **options)
    return problem


@pytest.fixture
def two(folder):
    """An association of two exposures of one filter."""
    write_cal("a_cal.fits")
    write_cal("b_cal.fits")
    return write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))


@pytest.fixture
def made(simulated, folder):
    """Level-2 and level-3 associations: the members are made in the same run."""
    shutil.copytree(simulated / "rate", "rate")
    shutil.copytree(simulated / "stage3", "level3")
    return {"associations": ["rate/*_asn.json", "level3/*_asn.json"]}


# Members ------------------------------------------------------------------------------------------------


def test_members_that_are_files_of_the_user(two):
    plan = plan_of()
    (association,) = plan.stage3.associations.values()
    assert (association.name, association.asn_id) == ("x", "o001")
    assert (association.pool, association.table) == ("pool", "x_asn.json")
    assert [(m.root, m.cal, m.size) for m in association.members] == [("a", "a_cal.fits", 24), ("b", "b_cal.fits", 24)]
    assert (association.moving, association.single) == (False, False)
    assert association.header["FILTER"] == "F1130W"
    assert association.status == {}
    assert plan.exposures == {}


def test_members_that_stage_2_makes(made):
    plan = plan_of(**made)
    (association,) = plan.stage3.associations.values()
    assert association.name == "jw01234-o001_t001_miri_f1130w"
    root = "jw01234001001_02101_0000{}_mirimage"
    assert [m.root for m in association.members] == [root.format(1), root.format(2)]
    assert [m.cal for m in association.members] == [f"results/stage2/{root.format(n)}_cal.fits" for n in (1, 2)]
    assert [m.size for m in association.members] == [56 * 64] * 2
    assert len({m.group for m in association.members}) == 2
    assert set(association.references) == {"apcorr", "abvegaoffset"}
    assert plan.notices == ()


def test_members_are_looked_for_in_input_too(folder):
    (folder / "cals").mkdir()
    write_cal("cals/a_cal.fits")
    write_cal("b_cal.fits")
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    found = plan_of(input="cals").stage3.association("x")
    assert [m.cal for m in found.members] == ["cals/a_cal.fits", "b_cal.fits"]


def test_a_member_neither_found_nor_made(folder):
    write_cal("a_cal.fits")
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    assert problem_of() == (
        "x_asn.json: products[0].members[1].expname: no such file 'b_cal.fits', and no exposure of this "
        "configuration makes it; give the level-2 association or the _rate file that it is made of, or the file itself"
    )


def test_a_member_that_is_listed_twice(two):
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits", "./a_cal.fits"))
    problem = problem_of()
    assert problem.startswith("x_asn.json: products[0].members[2].expname: './a_cal.fits' is already")


def test_a_member_that_is_listed_twice_once_with_its_whole_path(two, folder):
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits", f"{folder}/a_cal.fits"))
    problem = problem_of()
    assert problem == (
        "x_asn.json: products[0].members[2].expname: 'a' is already products[0].members[0].expname; "
        "list every exposure once"
    )


@pytest.mark.parametrize("again", ["{}", "{}_cal", "elsewhere/{}_cal.fits", "./{}_cal.fits"])
def test_a_member_that_is_made_and_listed_twice(made, again):
    root = "jw01234001001_02101_00001_mirimage"
    write_asn("x_asn.json", product("x", f"{root}_cal.fits", again.format(root)))
    problem = problem_of(["rate/*_asn.json", "x_asn.json"])
    assert problem.startswith("x_asn.json: products[0].members[1].expname: ")


def test_two_files_of_one_exposure(two, folder):
    (folder / "other").mkdir()
    write_cal("other/a_cal.fits")
    write_asn("y_asn.json", product("y", "other/a_cal.fits", "b_cal.fits"), asn_id="o002")
    problem = problem_of(["x_asn.json", "y_asn.json"])
    assert "'a' is both 'a_cal.fits' and 'other/a_cal.fits'; give one file for one exposure" in problem
    assert problem.startswith("y_asn.json")


def test_a_cube_is_refused(two):
    write_cal("b_calints.fits", shape=(3, 4, 6))
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_calints.fits"))
    assert problem_of() == (
        "x_asn.json: products[0].members[1].expname: 'b_calints.fits' has integrations (3-D); "
        "stage 3 combines 2-D exposures, _cal"
    )


def test_a_broken_file_is_told_of_itself(two, folder):
    (folder / "b_cal.fits").write_bytes(b"not FITS")
    assert problem_of().startswith("b_cal.fits: ")


def test_braces_in_a_path(folder):
    write_cal("a{1}_cal.fits")
    write_cal("b_cal.fits")
    write_asn("x_asn.json", product("x", "a{1}_cal.fits", "b_cal.fits"))
    assert problem_of() == (
        "a{1}_cal.fits: has braces in its path; Snakemake takes braces for wildcards; rename the file or folder"
    )


def test_a_name_that_is_too_long_for_a_file(folder):
    write_asn("x_asn.json", product("x", f"{'a' * 300}_cal.fits"))
    assert "and no exposure of this configuration makes it" in problem_of()


# What a calibrated exposure needs ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"asdf": False}, "S_WCS: the exposure has no world coordinates; stage 3 takes _cal with a gwcs"),
        ({"S_WCS": "SKIPPED"}, "S_WCS: the exposure has no world coordinates"),
        ({"S_WCS": "FAILED"}, "S_WCS: the exposure has no world coordinates"),
        ({"BUNIT": "DN/s"}, "BUNIT: is 'DN/s'; stage 3 takes surface brightness, MJy/sr"),
        ({"BUNIT": None}, "BUNIT: is missing; stage 3 takes surface brightness, MJy/sr"),
        ({"RA_REF": None}, "RA_REF: is missing; stage 3 needs a number"),
        ({"DEC_REF": "north"}, "DEC_REF: is 'north'; stage 3 needs a number"),
        ({"ROLL_REF": None}, "ROLL_REF: is missing"),
        ({"VPARITY": None}, "VPARITY: is missing"),
        ({"V3I_YANG": None}, "V3I_YANG: is missing"),
        ({"TELESCOP": "HST"}, "TELESCOP: is 'HST'; calflow processes JWST"),
        ({"TELESCOP": None}, "TELESCOP: is missing; calflow processes JWST"),
        ({"INSTRUME": None}, "INSTRUME: is missing; known are FGS, MIRI, NIRCAM, NIRISS"),
        ({"INSTRUME": "MIRIM"}, "INSTRUME: is 'MIRIM'; did you mean 'MIRI'?"),
        ({"EXP_TYPE": "MIR_MRS"}, "EXP_TYPE: is 'MIR_MRS'; stage 3 combines images"),
        ({"BKGSUB": True, "BKGLEVEL": 1.5}, "BKGSUB: a sky level was subtracted; set stage3.skymatch.subtract: true"),
        ({"BKGLEVEL": 1.5}, "BKGSUB: is missing, though BKGLEVEL is there; it tells whether the sky was subtracted"),
    ],
)
def test_a_calibrated_exposure_that_cannot_be_combined(two, changes, told):
    write_cal("b_cal.fits", **changes)
    assert problem_of().startswith(f"b_cal.fits: {told}")


def test_a_sky_level_that_was_not_subtracted(two):
    write_cal("b_cal.fits", BKGSUB=False, BKGLEVEL=1.5)
    assert plan_of().stage3.association("x")
    assert problem_of(stage3={"skymatch": {"subtract": True}}) == (
        "b_cal.fits: BKGSUB: a sky level was not subtracted; set stage3.skymatch.subtract: false"
    )


@pytest.mark.parametrize("unit", ["MJy/sr", "MJy / sr", "mjy/sr"])
def test_spellings_of_the_unit(two, unit):
    write_cal("b_cal.fits", BUNIT=unit)
    assert plan_of().stage3.association("x")


@pytest.mark.parametrize(
    ("step", "lost"), [("assign_wcs", "world coordinates"), ("photom", "unit of surface brightness, MJy/sr")]
)
def test_members_that_stage_2_leaves_without_what_is_needed(made, step, lost):
    found = problems_of(**made, stage2={step: {"skip": True}, "resample": {"skip": True}})
    assert len(found) == 2
    for index, problem in enumerate(found):
        assert problem.startswith(
            f"level3/jw01234-o001_20230312t074713_image3_00001_asn.json: products[0].members[{index}]"
        )
        assert f"gets no {lost}: {step} is skipped, or has no reference; let {step} run" in problem


def test_members_that_stage_2_makes_in_counts(made):
    found = problems_of(**made, stage2={"photom": {"inverse": True}})
    assert "gets DN/s: photom.inverse is set; stage 3 needs MJy/sr" in found[0]


# What the members have in common -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "changes", "keyword"),
    [
        (MIRI, {"FILTER": "F770W"}, "FILTER is 'F770W', that of products[0].members[0] 'F1130W'"),
        (NIRCAM, {"FILTER": "F200W"}, "FILTER is 'F200W', that of products[0].members[0] 'F150W'"),
        (NIRCAM, {"PUPIL": "F162M"}, "PUPIL is 'F162M', that of products[0].members[0] 'CLEAR'"),
        (
            NIRCAM,
            {"CHANNEL": "LONG", "DETECTOR": "NRCALONG", "FILTER": "F444W"},
            "CHANNEL is 'LONG', that of products[0].members[0] 'SHORT'",
        ),
    ],
)
def test_members_of_different_light_paths(folder, base, changes, keyword):
    write_cal("a_cal.fits", base)
    write_cal("b_cal.fits", base, **changes)
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    assert problem_of() == (
        f"x_asn.json: products[0].members[1]: {keyword}; combine exposures of one filter and wavelength channel"
    )


IRIS = MIRI | {"TELESCOP": "TMT", "INSTRUME": "IRIS", "DETECTOR": "IRIS1", "EXP_TYPE": "IRIS_IMAGE", "PUPIL": "CLEAR"}
ERRORS = ("ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
SUBSETS = [set(names) for n in range(5) for names in combinations(ERRORS, n)]


def of_parts(names):
    """Return the planes that count: ERR is made of the others if both of these are there."""
    return names - {"ERR"} if {"VAR_POISSON", "VAR_RNOISE"} <= names else names


@pytest.mark.parametrize("second", SUBSETS, ids=lambda names: "-".join(sorted(names)) or "none")
@pytest.mark.parametrize("first", [{"ERR", "VAR_POISSON", "VAR_RNOISE"}])
def test_members_whose_errors_are_told_by_different_planes(folder, first, second):
    for name, planes in (("a_cal.fits", first), ("b_cal.fits", second)):
        write_cal(name, IRIS, planes=("SCI", "DQ", *sorted(planes)))
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    if of_parts(first) == of_parts(second):
        assert plan_of().stage3.association("x")
        return
    problem = problem_of()
    assert problem.startswith("x_asn.json: products[0].members[1].expname: 'b_cal.fits' has ")
    told = problem[problem.index("has ") :].partition(", unlike")[0]
    lacking = of_parts(first) - of_parts(second)
    assert all(name in told for name in lacking or of_parts(second) - of_parts(first))
    assert ("has no" in told) == bool(lacking)
    assert problem.endswith("calibrate all exposures of a combination alike, or combine them apart")


def test_members_of_which_one_has_variances_beside_its_error(folder):
    """ERR is in both files: what differs are the variances."""
    write_cal("a_cal.fits", IRIS, planes=("SCI", "ERR", "DQ"))
    write_cal("b_cal.fits", IRIS, planes=("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE"))
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    assert "'b_cal.fits' has VAR_POISSON, VAR_RNOISE, unlike 'a_cal.fits'; calibrate" in problem_of()


def test_members_of_which_one_has_no_variance_of_the_flat(folder):
    write_cal("a_cal.fits", planes=(*PLANES, "VAR_FLAT"))
    write_cal("b_cal.fits")
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    assert "'b_cal.fits' has no VAR_FLAT, unlike 'a_cal.fits'; calibrate" in problem_of()


@pytest.mark.parametrize(("skip", "planes"), [(False, (*PLANES, "VAR_FLAT")), (True, PLANES)])
def test_members_that_are_made_have_the_variances_that_the_flat_leaves(made, skip, planes):
    tree = json.loads(next(Path("level3").glob("*_asn.json")).read_text())
    tree["products"][0]["members"][1]["expname"] = "b_cal.fits"
    Path(next(Path("level3").glob("*_asn.json"))).write_text(json.dumps(tree))
    write_cal("level3/b_cal.fits", planes=planes)
    stage2 = {"flat_field": {"skip": skip}}
    (association,) = plan_of(stage2=stage2, **made).stage3.associations.values()
    assert len(association.members) == 2
    other = set(planes) ^ {"VAR_FLAT"}
    write_cal("level3/b_cal.fits", planes=("SCI", *sorted(other - {"SCI"})))
    assert "b_cal.fits' has" in problem_of(stage2=stage2, **made)


def test_detectors_and_subarrays_may_differ(folder):
    write_cal("a_cal.fits", NIRCAM)
    write_cal("b_cal.fits", NIRCAM, DETECTOR="NRCA2", SUBARRAY="SUB640")
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    assert plan_of().stage3.association("x").header["DETECTOR"] == "NRCA1"


def test_moving_targets(folder):
    for name, ra in (("a_cal.fits", 10.25), ("b_cal.fits", 10.5)):
        write_cal(name, TARGTYPE="moving", MT_RA=ra, MT_DEC=-5.0)
    write_cal("c_cal.fits", TARGTYPE="MOVING")
    write_asn("x_asn.json", product("x", *(f"{name}_cal.fits" for name in "abc")))
    stage3 = plan_of().stage3
    association = stage3.association("x")
    assert association.moving
    assert association.alignment_step == "assign_mtwcs"
    assert parameters_of("align", association="x").targets == [(10.25, -5.0), (10.5, -5.0), None]
    assert files_of("align", association="x") == files_of("fetch_catalog", association="x", catalog="gaiadr3")
    assert not stage3.finds_stars("a")
    assert JOBS["find_stars"].parameters(plan_of(), member="a").finder is None
    assert "stars" not in JOBS["association_quality"].inputs(plan_of(), association="x")
    assert association.status == {}
    assert plan_of(stage3={"tweakreg": {"skip": True}}).stage3.association("x").status == {}
    not_moved = plan_of(stage3={"assign_mtwcs": {"skip": True}}).stage3.association("x")
    assert not_moved.status == {"assign_mtwcs": "SKIPPED"}


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [("MOVING", "FIXED", "TARGTYPE is not MOVING"), ("FIXED", "MOVING", "TARGTYPE is MOVING")],
)
def test_moving_and_fixed_targets_together(folder, first, second, told):
    write_cal("a_cal.fits", TARGTYPE=first)
    write_cal("b_cal.fits", TARGTYPE=second)
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    assert problem_of() == (
        f"x_asn.json: products[0].members[1]: {told}, unlike the first member; combine moving and fixed targets apart"
    )


# Groups ------------------------------------------------------------------------------------------------


def groups(**config):
    return {
        name: [m.root for m in members] for name, members in plan_of(**config).stage3.association("x").groups().items()
    }


def test_groups_by_the_header(folder):
    """Detectors of one exposure have all keywords in common."""
    for name, exposure in (("a", "1"), ("b", "1"), ("c", "2")):
        write_cal(f"{name}_cal.fits", EXPOSURE=exposure)
    write_asn("x_asn.json", product("x", "a_cal.fits", "c_cal.fits", "b_cal.fits"))
    assert groups() == {"jw01234001001_02101_1": ["a", "b"], "jw01234001001_02101_2": ["c"]}


def test_groups_by_the_association(two):
    write_asn("x_asn.json", product("x", member("a_cal.fits", group_id="g"), member("b_cal.fits", group_id="g")))
    assert groups() == {"g": ["a", "b"]}


def test_exposures_without_the_keywords_are_groups_of_their_own(two):
    write_cal("b_cal.fits", VISIT=None)
    assert groups() == {"jw01234001001_02101_1": ["a"], "exposure0002": ["b"]}


def test_one_group_of_two_detectors_has_no_outlier_detection(folder):
    for name in "ab":
        write_cal(f"{name}_cal.fits", EXPOSURE="1")
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    assert plan_of().stage3.association("x").status == {"outlier_detection": "FAILED"}
    assert plan_of(stage3={"outlier_detection": {"skip": True}}).stage3.association("x").status == {
        "outlier_detection": "SKIPPED"
    }
    names = [path.rpartition("/")[2] for path in plan_of().stage3.products()]
    assert names[:4] == [*CRFS, "x_alignment.ecsv", "x_sky.ecsv"]
    assert "x_outliers.ecsv" in names  # which says so


# What runs ---------------------------------------------------------------------------------------------

CRFS = ["a_o001_crf.fits", "b_o001_crf.fits"]
CATALOG = ["x_cat.ecsv", "x_segm.fits", "x_cat.reg"]


@pytest.mark.parametrize(
    ("stage3", "status", "products"),
    [
        (
            {},
            {},
            [*CRFS, "x_alignment.ecsv", "x_sky.ecsv", "x_outliers.ecsv", "x_i2d.fits", *CATALOG],
        ),
        (
            {"tweakreg": {"skip": True}, "skymatch": {"skip": True}},
            {"tweakreg": "SKIPPED", "skymatch": "SKIPPED"},
            [*CRFS, "x_alignment.ecsv", "x_outliers.ecsv", "x_i2d.fits", *CATALOG],
        ),
        (
            {"resample": {"skip": True}},
            {"resample": "SKIPPED", "source_catalog": "SKIPPED"},
            [*CRFS, "x_alignment.ecsv", "x_sky.ecsv", "x_outliers.ecsv"],
        ),
        (
            {"outlier_detection": {"skip": True}, "source_catalog": {"skip": True}},
            {"outlier_detection": "SKIPPED", "source_catalog": "SKIPPED"},
            [*CRFS, "x_alignment.ecsv", "x_sky.ecsv", "x_i2d.fits"],
        ),
        ({"assign_mtwcs": {"skip": True}}, {}, None),
    ],
)
def test_steps_and_products(two, stage3, status, products):
    found = plan_of(stage3=stage3).stage3
    assert found.association("x").status == status
    if products is not None:
        assert found.products() == [f"results/stage3/{name}" for name in products]


def test_intermediate_images_are_products_if_wanted(two):
    saved = {"save_intermediate_results": True}
    plain = set(plan_of().stage3.products())
    more = set(plan_of(stage3={"outlier_detection": saved}).stage3.products()) - plain
    names = ["a_o001_outlier_i2d", "b_o001_outlier_i2d", "a_o001_blot", "b_o001_blot", "a_o001_median"]
    assert more == {f"results/stage3/{name}.fits" for name in names}
    assert set(plan_of(stage3={"outlier_detection": saved | {"resample_data": False}}).stage3.products()) == plain


def test_products_in_the_working_folder(two):
    assert plan_of(output=".").stage3.products()[0] == "stage3/a_o001_crf.fits"


@pytest.mark.parametrize("catalog", ["", "gaia.ecsv"])
def test_one_exposure_alone(folder, catalog):
    """It is resampled and catalogued; aligned only if there is a catalogue."""
    Table({"ra": [80.0], "dec": [-70.0]}).write("gaia.ecsv")
    write_cal("a_cal.fits")
    plan = plan_of(associations=[], exposures="a_cal.fits", stage3={"tweakreg": {"abs_refcat": catalog}})
    association = plan.stage3.association("a")
    assert association.single
    assert (association.pool, association.table, association.asn_id) == ("singleton", "singleton", None)
    skipped = {"skymatch": "SKIPPED", "outlier_detection": "SKIPPED"}
    assert association.status == skipped | ({} if catalog else {"tweakreg": "SKIPPED"})
    assert plan.stage3.products() == [
        f"results/stage3/{name}" for name in ("a_i2d.fits", "a_cat.ecsv", "a_segm.fits", "a_cat.reg")
    ]
    found = JOBS["combine"].inputs(plan, association="a")
    assert found["exposures"] == ["a_cal.fits"]
    assert found["grid"] == "results/stage3/a_grid.json"


def test_one_exposure_in_an_association(folder):
    write_cal("a_cal.fits")
    write_asn("x_asn.json", product("x", "a_cal.fits"))
    assert plan_of().stage3.association("x").single
    assert plan_of().stage3.products()[0] == "results/stage3/x_i2d.fits"


@pytest.mark.parametrize("keys", [{"asn_type": "coron3"}, {"asn_type": "None", "asn_rule": "Asn_Lv3TSO"}])
def test_all_that_is_asked_for_is_not_done(two, keys):
    """Not a run without products that ends well."""
    write_asn("x_asn.json", product("x", "a_cal.fits"), **keys)
    assert "which calflow does not do; it does imaging: image2, " in problem_of()


def test_what_is_not_done_is_named_once_beside_what_is(two):
    write_asn("y_asn.json", product("y", "a_calints.fits"), product("z", "b_calints.fits"), asn_type="coron3")
    write_asn("s_asn.json", product("s_rate", "s_rate.fits"), asn_type="spec2")  # whose members are of no interest
    plan = plan_of(["?_asn.json"])
    assert list(plan.stage3.associations) == ["x"]
    assert sorted(notice for notice in plan.notices if "left out" in notice) == [
        "s_asn.json: left out: asn_type 'spec2' is spectroscopy, which calflow does not do",
        "y_asn.json: left out: asn_type 'coron3' is coronagraphy, which calflow does not do",
    ]


def test_a_stage_of_which_all_is_left_out(made):
    """Stage 2 can be made; but stage 3 alone is asked for."""
    write_asn("y_asn.json", product("y", "a_calints.fits"), asn_type="tso3")
    settings = read_settings({"associations": ["rate/*_asn.json", "y_asn.json"]})
    assert make_plan(settings, [], Path(".cache"), stages=(2,)).exposures
    with pytest.raises(InputError, match="time series"):
        make_plan(settings, [], Path(".cache"), stages=(3,))


@pytest.mark.parametrize("exp_type", ["MIR_MRS", "NRS_IFU", "NRC_WFSS", "MIR_LRS-FIXEDSLIT"])
def test_spectroscopic_exposures_of_an_association_without_a_type(two, exp_type):
    write_cal("s_cal.fits", EXP_TYPE=exp_type)
    write_asn("y_asn.json", product("y", "s_cal.fits"), asn_type="None", asn_rule="DMS_Level3_Base")
    expected = f"its exposures are spectroscopic (EXP_TYPE '{exp_type}'), which calflow does not do"
    assert f"y_asn.json: left out: {expected}" in plan_of(["x_asn.json", "y_asn.json"]).notices
    assert (
        problem_of("y_asn.json") == f"y_asn.json: {expected}; it does imaging: image2, tso-image2, wfs-image2, image3"
    )


def test_combination_of_spectroscopic_exposures_that_are_left_out(two):
    """Neither level has a type; of level 3 the members are not there."""
    write_cal("s_rate.fits", EXP_TYPE="MIR_MRS")
    write_asn("2_asn.json", product("s_rate", "s_rate.fits"), asn_type="None", asn_rule="DMSLevel2bBase")
    write_asn("3_asn.json", product("s3", "s_cal.fits"), asn_type="None", asn_rule="DMS_Level3_Base")
    plan = plan_of(["x_asn.json", "3_asn.json", "2_asn.json"])
    assert (list(plan.stage3.associations), list(plan.exposures)) == (["x"], [])
    assert len([notice for notice in plan.notices if "left out" in notice]) == 2


@pytest.mark.parametrize("asn_type", [None, "None", "image3"])
@pytest.mark.parametrize("rule", [None, "DMS_Level3_Base", "Asn_Lv3Image"])
def test_associations_without_a_type_are_combined(two, asn_type, rule):
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"), asn_type=asn_type, asn_rule=rule)
    assert "results/stage3/x_i2d.fits" in plan_of().stage3.products()


# References --------------------------------------------------------------------------------------------


def test_references_of_the_catalogue(two):
    assert files_of("catalog_sources", association="x") == {
        "i2d": "results/stage3/x_i2d.fits",
        "apcorr": "references/jwst_miri_apcorr_0001.fits",
        "abvegaoffset": "references/jwst_miri_abvegaoffset_0001.asdf",
    }
    parameters = parameters_of("catalog_sources", association="x")
    assert parameters.missing == {}
    assert parameters.rows["apcorr"] == [{"filter": "F1130W", "subarray": "FULL"}]


def test_a_missing_reference_of_the_catalogue_is_a_notice(two, folder):
    (folder / "references" / "jwst_miri_apcorr_0001.fits").unlink()
    plan = plan_of()
    (notice,) = plan.notices
    assert notice.startswith("x_asn.json: no source catalogue: ")
    assert "no apcorr reference for INSTRUME MIRI" in notice
    assert set(files_of("catalog_sources", association="x")) == {"i2d", "abvegaoffset"}
    assert list(parameters_of("catalog_sources", association="x").missing) == ["apcorr"]
    write_asn("y_asn.json", product("y", "a_cal.fits", "b_cal.fits"), asn_id="o002")
    (several,) = plan_of(["x_asn.json", "y_asn.json"]).notices
    assert several == notice.replace("x_asn.json", "x_asn.json and 1 more")


def test_without_the_catalogue_no_references_are_needed(two, folder):
    shutil.rmtree(folder / "references")
    plan = plan_of(stage3={"source_catalog": {"skip": True}})
    assert plan.notices == ()
    assert plan.stage3.association("x").references == {}


@pytest.mark.parametrize("changes", [{"DATE-OBS": "12 March"}, {"DATE-OBS": None}, {"TIME-OBS": "noon"}])
def test_the_time_of_observation_must_be_known(two, changes):
    write_cal("a_cal.fits", **changes)
    problem = problem_of()
    assert problem.startswith("a_cal.fits: DATE-OBS, TIME-OBS: ")
    assert problem.endswith("are not a date and a time; write 2023-03-12 and 07:47:13.140")


def test_the_time_of_an_exposure_that_is_made_must_be_known(made):
    path = "rate/jw01234001001_02101_00001_mirimage_rate.fits"
    fits.setval(path, "DATE-OBS", value="12 March")
    assert problems_of(**made)[0].startswith(f"{path}: DATE-OBS, TIME-OBS: '12 March', ")


# Names -------------------------------------------------------------------------------------------------


def test_two_products_of_one_name(two):
    write_asn("y_asn.json", product("x_i2d", "a_cal.fits"), asn_id="o002")
    assert problem_of(["x_asn.json", "y_asn.json"]) == (
        "y_asn.json: products[0].name: 'x' is made from another association too; give every product a name of its own"
    )


def test_one_exposure_in_two_associations(two):
    write_asn("y_asn.json", product("y", "b_cal.fits", "a_cal.fits"), asn_id="o002")
    stage3 = plan_of(["x_asn.json", "y_asn.json"]).stage3
    assert stage3.crf_of("a_o001") == ("x", "a")
    assert stage3.crf_of("a_o002") == ("y", "a")
    products = stage3.products()
    assert len(products) == len(set(products)) == 18


@pytest.mark.parametrize("asn_id", ["o001", None])
def test_one_crf_of_two_associations(two, asn_id):
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"), asn_id=asn_id)
    write_asn("y_asn.json", product("y", "a_cal.fits", "b_cal.fits"), asn_id=asn_id)
    first, second = problems_of(["x_asn.json", "y_asn.json"])
    name = "_".join(filter(None, ["a", asn_id, "crf.fits"]))
    assert first == (
        f"y_asn.json: asn_id: '{name}' is made for 'x' and for 'y'; combine an exposure once with one asn_id"
    )
    assert "b_" in second


def test_names_of_all_files_are_unique(two):
    write_cal("c_cal.fits")
    write_asn("y_asn.json", product("y", "a_cal.fits", "c_cal.fits"), asn_id="o002")
    plan = plan_of(["x_asn.json", "y_asn.json"], exposures="c_cal.fits")
    stage3, files = plan.stage3, plan.stage3.products()
    for name in stage3.associations:
        files += {stage3.grid(name), stage3.outlier_grid(name)}
        files += JOBS["match_sky"].inputs(plan, association=name)["measurements"]
        files += JOBS["count_outliers"].inputs(plan, association=name)["counts"]
    assert len(files) == len(set(files))


# What rules read ---------------------------------------------------------------------------------------


def test_alignment_reads_geometries_and_star_lists(two):
    stage3 = plan_of().stage3
    folder = "results/stage3"
    assert files_of("align", association="x") == {
        "geometries": [f"{folder}/geometry/a.json", f"{folder}/geometry/b.json"],
        "stars": [f"{folder}/stars/a_cal_cat.ecsv", f"{folder}/stars/b_cal_cat.ecsv"],
    }
    parameters = parameters_of("align", association="x")
    assert parameters.members == [["a", "jw01234001001_02101_1"], ["b", "jw01234001001_02101_2"]]
    assert parameters.targets is None
    assert (stage3.finds_stars("a"), stage3.finds_stars("zzz")) == (True, False)
    assert files_of("find_stars", member="b") == {"cal": "b_cal.fits", "geometry": f"{folder}/geometry/b.json"}
    assert stage3.exposure("b").size == 24
    epoch = parameters_of("fetch_catalog", association="x", catalog="gaiadr3").epoch
    assert epoch == pytest.approx(2023 + 70.5 / 365, abs=0.003)
    assert stage3.record("x") == {
        "ASNPOOL": ("pool", "Name of the ASN pool"),
        "ASNTABLE": ("x_asn.json", "Name of the ASN table"),
    }


def test_pictures_need_no_exposure_of_another_association(folder):
    for name in "abc":
        write_cal(f"{name}_cal.fits")
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    write_asn("y_asn.json", product("y", "b_cal.fits", "c_cal.fits"), asn_id="c1001")
    plan = plan_of(["x_asn.json", "y_asn.json"])
    names = ("x", "y", "a", "b_cal", "c", "b_c1001_crf")
    scales = [Path(JOBS["preview"].inputs(plan, preview=name)["scale"]).stem for name in names]
    assert scales == ["x", "y", "x", "x", "y", "y"]
    measured = [JOBS["preview_scale"].inputs(plan, scale=scale) for scale in "xy"]
    assert [[Path(path).stem for path in each["exposures"]] for each in measured] == [["a", "b"], ["b", "c"]]
    # What they have in common is told by files that no job makes.
    (noise,) = {Path(each["noise"]).stem for each in measured}
    exposures = {"exposures": ["a_cal.fits", "b_cal.fits", "c_cal.fits"], "photom": []}
    assert JOBS["preview_noise"].inputs(plan, optics=noise) == exposures
    assert JOBS["preview_noise"].parameters(plan, optics=noise).sources == 3 * [{"images": ["SCI"], "reference": None}]
    with pytest.raises(UnknownExposure, match="no exposure of 'miri'"):
        JOBS["preview_scale"].inputs(plan, scale="miri")
    with pytest.raises(UnknownExposure, match="no exposure of 'fgs'"):
        JOBS["preview_noise"].inputs(plan, optics="fgs")


def test_without_alignment_stars_are_needed_to_judge_it_alone(two):
    plan = plan_of(stage3={"tweakreg": {"skip": True}})
    assert "stars" not in JOBS["align"].inputs(plan, association="x")
    assert "stars" in JOBS["association_quality"].inputs(plan, association="x")  # which tell how well it is aligned
    assert JOBS["find_stars"].parameters(plan, member="a").finder


def test_outlier_search_reads_layers_of_the_groups(folder):
    for name, exposure in (("a", "1"), ("b", "1"), ("c", "2")):
        write_cal(f"{name}_cal.fits", EXPOSURE=exposure)
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits", "c_cal.fits"))
    stage3 = plan_of().stage3
    out = "results/stage3/outliers"
    assert [m.root for m in stage3.group("a_o001")] == ["a", "b"]
    assert files_of("resample_group", crf="a_o001") == {
        "cals": ["a_cal.fits", "b_cal.fits"],
        "geometries": ["results/stage3/geometry/a.json", "results/stage3/geometry/b.json"],
        "alignment": "results/stage3/x_alignment.ecsv",
        "grid": f"{out}/x_grid.json",
        "sky": "results/stage3/x_sky.ecsv",
    }
    assert files_of("take_median", crf="a_o001") == {
        "layers": [f"{out}/a_o001_layer.npy", f"{out}/c_o001_layer.npy"],
        "windows": [f"{out}/a_o001_layer.json", f"{out}/c_o001_layer.json"],
        "grid": f"{out}/x_grid.json",
    }
    assert files_of("flag_outliers", crf="b_o001") == {
        "cal": "b_cal.fits",
        "geometry": "results/stage3/geometry/b.json",
        "alignment": "results/stage3/x_alignment.ecsv",
        "sky": "results/stage3/x_sky.ecsv",
        "median": f"{out}/a_o001_median.npy",
        "grid": f"{out}/x_grid.json",
    }
    with pytest.raises(UnknownAssociation, match="'b_o001' is not the first of its group"):
        stage3.group("b_o001")
    by_error = plan_of(stage3={"outlier_detection": {"error": "median"}})
    assert set(JOBS["resample_error"].inputs(by_error, crf="a_o001")) == {"cals", "geometries", "alignment", "grid"}
    assert JOBS["take_median_error"].inputs(by_error, crf="a_o001") == {
        "layers": [f"{out}/a_o001_layer_error.npy", f"{out}/c_o001_layer_error.npy"],
        "windows": [f"{out}/a_o001_layer_error.json", f"{out}/c_o001_layer_error.json"],
        "grid": f"{out}/x_grid.json",
    }
    median_error = {"median_error": f"{out}/a_o001_median_error.npy"}
    found = JOBS["flag_outliers"].inputs(by_error, crf="b_o001")
    assert found == files_of("flag_outliers", crf="b_o001") | median_error
    by_lowest = plan_of(stage3={"outlier_detection": {"search": "lowest"}})
    found = JOBS["flag_outliers"].inputs(by_lowest, crf="b_o001")
    assert found == files_of("flag_outliers", crf="b_o001") | {"lowest": f"{out}/a_o001_lowest.npy"}
    assert JOBS["take_lowest"].inputs(by_lowest, crf="a_o001") == files_of("take_median", crf="a_o001")


def test_the_combination_shares_the_grid_of_the_outlier_search(two):
    assert plan_of().stage3.grid("x") == "results/stage3/outliers/x_grid.json"
    own = "results/stage3/x_grid.json"
    assert plan_of(stage3={"resample": {"pixel_scale": 0.05}}).stage3.grid("x") == own
    assert plan_of(stage3={"outlier_detection": {"skip": True}}).stage3.grid("x") == own
    assert plan_of(stage3={"outlier_detection": {"resample_data": False}}).stage3.grid("x") == own


@pytest.mark.parametrize(
    ("job", "wildcards", "told"),
    [
        ("align", {"association": "y"}, "no association 'y' in this configuration"),
        ("fetch_catalog", {"association": "y", "catalog": "gaiadr3"}, "no association 'y'"),
        ("lay_grid", {"association": "y"}, "no association 'y'"),
        ("lay_outlier_grid", {"association": "y"}, "no association 'y'"),
        ("match_sky", {"association": "y"}, "no association 'y'"),
        ("combine", {"association": "y"}, "no association 'y'"),
        ("combine_group", {"association": "x", "group": "2"}, "'x' has 2 groups, so there is no x_2_i2d"),
        ("catalog_sources", {"association": "y"}, "no association 'y'"),
        ("count_outliers", {"association": "y"}, "no association 'y'"),
        ("measure_sky", {"association": "x", "member": "c"}, "'x' has no exposure 'c'"),
        ("measure_sky", {"association": "y", "member": "a"}, "no association 'y'"),
        ("find_stars", {"member": "c"}, "no calibrated exposure 'c' in this configuration"),
        ("describe_geometry", {"member": "c"}, "no calibrated exposure 'c' in this configuration"),
        ("resample_group", {"crf": "a"}, "no exposure 'a' in an association of this configuration"),
        ("resample_error", {"crf": "c_o001"}, "no exposure 'c_o001'"),
        ("take_median", {"crf": "c_o001"}, "no exposure 'c_o001'"),
        ("flag_outliers", {"crf": "c_o001"}, "no exposure 'c_o001'"),
        ("lay_common_grid", {"grid": "deep"}, "no association of this configuration uses a grid 'deep'"),
    ],
)
def test_targets_that_cannot_be_made(two, job, wildcards, told):
    with pytest.raises(UnknownAssociation, match=told):
        files_of(job, **wildcards)


# Star lists and catalogues ------------------------------------------------------------------------------

OWN_LISTS = {"use_custom_catalogs": True}


def star_lists(**tweakreg):
    stage3 = plan_of(stage3={"tweakreg": OWN_LISTS | tweakreg}).stage3
    return [member.star_list and str(member.star_list) for member in stage3.association("x").members]


def test_star_lists_of_the_association(two, folder):
    Table({"x": [1.0], "y": [2.0]}).write("my.ecsv")
    write_asn("x_asn.json", product("x", member("a_cal.fits", tweakreg_catalog="my.ecsv"), "b_cal.fits"))
    assert star_lists() == ["my.ecsv", None]
    plan = plan_of(stage3={"tweakreg": OWN_LISTS})
    stars = JOBS["align"].inputs(plan, association="x")["stars"]
    assert stars == ["my.ecsv", "results/stage3/stars/b_cal_cat.ecsv"]
    stage3 = plan.stage3
    assert (stage3.finds_stars("a"), stage3.finds_stars("b")) == (False, True)
    assert plan_of().stage3.association("x").members[0].star_list is None  # they have to be wanted


def test_star_lists_of_the_header(two, folder):
    Table({"x": [1.0], "y": [2.0]}).write("my.ecsv")
    write_cal("b_cal.fits", TCATFILE="my.ecsv")
    assert star_lists() == [None, "my.ecsv"]


def test_star_lists_of_catfile_go_first(two, folder):
    (folder / "lists").mkdir()
    Table({"x": [1.0], "y": [2.0]}).write("lists/own.ecsv")
    (folder / "lists" / "catfile.txt").write_text("# exposure list\na_cal.fits own.ecsv\n\nb_cal.fits\n")
    write_asn("x_asn.json", product("x", "a_cal.fits", member("b_cal.fits", tweakreg_catalog="missing.ecsv")))
    assert star_lists(catfile="lists/catfile.txt") == ["lists/own.ecsv", None]


def test_a_star_list_that_is_not_there(two):
    write_asn("x_asn.json", product("x", "a_cal.fits", member("b_cal.fits", tweakreg_catalog="my.ecsv")))
    assert problem_of(stage3={"tweakreg": OWN_LISTS}) == (
        "x_asn.json: products[0].members[1]: its star list 'my.ecsv' is not there; give the file"
    )


def test_a_catfile_that_is_not_there(two):
    problem = problem_of(stage3={"tweakreg": OWN_LISTS | {"catfile": "my.txt"}})
    assert problem == (
        "--config: stage3.tweakreg.catfile: 'my.txt' is not there; "
        "give two columns of text, an exposure and its star list (without blanks in their names)"
    )


@pytest.mark.parametrize("name", ["GAIADR3", "gaiadr3", "GAIADR2", "GAIADR1", "GAIAREFCAT"])
def test_catalogues_on_line(two, name):
    files = JOBS["align"].inputs(plan_of(stage3={"tweakreg": {"abs_refcat": name}}), association="x")
    assert files["catalog"] == f"results/stage3/catalogs/x_fit_{name.lower()}_ref.ecsv"


def test_a_catalogue_of_the_user(two, folder):
    Table({"ra": [80.0], "dec": [-70.0]}).write("gaia.ecsv")
    plan = plan_of(stage3={"tweakreg": {"abs_refcat": "./gaia.ecsv"}})
    assert JOBS["align"].inputs(plan, association="x")["catalog"] == "gaia.ecsv"


def test_a_catalogue_that_is_neither_a_file_nor_known(two):
    assert problem_of(stage3={"tweakreg": {"abs_refcat": "GAIADR5"}}) == (
        "--config: stage3.tweakreg.abs_refcat: 'GAIADR5' is neither a file nor a catalogue that is known; "
        "give a file with RA and DEC, {association: name}, or one of GAIAREFCAT, GAIADR3, GAIADR2, GAIADR1, GAIADR3_S3"
    )


# Common grids ------------------------------------------------------------------------------------------


# Other groups ----------------------------------------------------------------------------------------------


def test_alignment_and_sky_are_grouped_each_by_itself(folder):
    roots = ["jw01_02_1_a", "jw01_02_1_b", "jw02_02_1_a"]
    for root, detector in zip(roots, ("NRCA1", "NRCA2", "NRCA1"), strict=True):
        write_cal(f"{root}_cal.fits", NIRCAM, DETECTOR=detector, EXPOSURE=root[3])
    write_asn("x_asn.json", product("x", *(f"{root}_cal.fits" for root in roots)))
    plan = plan_of(stage3={"tweakreg": {"group_by": "visit"}, "skymatch": {"group_by": "detector"}})
    assert JOBS["align"].parameters(plan, association="x").groups == dict(
        zip(roots, ("jw01", "jw01", "jw02"), strict=True)
    )
    assert JOBS["find_overlaps"].parameters(plan, association="x").groups == dict(zip(roots, roots, strict=True))
    plain = plan_of()
    assert JOBS["align"].parameters(plain, association="x").groups == {}
    assert JOBS["find_overlaps"].parameters(plain, association="x").groups == {}
    groups = [[len(members) for members in each.stage3.association("x").groups().values()] for each in (plan, plain)]
    assert groups == [[2, 1], [2, 1]]  # of the outlier search


# Catalogues of other associations ------------------------------------------------------------------------


def to(name, **override):
    """Return the configuration that aligns all to the catalogue of an association, and y to another."""
    config = {"stage3": {"tweakreg": {"abs_refcat": {"association": name}}}}
    if override:
        config["overrides"] = [{"for": {"exposures": "b"}, "stage3": {"tweakreg": {"abs_refcat": override}}}]
    return config


def test_the_catalogue_of_another_association(three):
    plan = plan_of(three, **to("z"))
    assert JOBS["align"].inputs(plan, association="x")["catalog"] == "results/stage3/z_cat.ecsv"
    assert JOBS["align"].parameters(plan, association="x").tweakreg["abs_refcat"] == "z"
    assert (
        plan_of(three, stage3={"tweakreg": {"abs_refcat": "association:z"}}).stage3.association("y").catalog_of == "z"
    )


def test_what_hangs_together_by_a_catalogue_is_one_part(two):
    Path("c_cal.fits").write_bytes(Path("a_cal.fits").read_bytes())
    write_asn("c_asn.json", product("c", "c_cal.fits"), asn_id="o003")
    apart, together = (plan_of(["x_asn.json", "c_asn.json"], **config) for config in ({}, to("c")))
    assert [len(components(plan)) for plan in (apart, together)] == [2, 1]


def test_the_association_that_gives_the_catalogue_is_aligned_to_none(three):
    plan = plan_of(three, **to("x"))
    assert "catalog" not in JOBS["align"].inputs(plan, association="x")
    assert JOBS["align"].parameters(plan, association="x").tweakreg["abs_refcat"] == ""
    assert "x: others are aligned to it, and it to no catalogue" in plan.notices
    single = plan_of(three, **to("z")).stage3.association("z")
    assert single.status["tweakreg"] == "SKIPPED"  # one exposure alone has nothing else to be aligned with


@pytest.mark.parametrize(
    ("pattern", "names", "found"),
    [
        ("p-o001_t1_f2", ["p-o001_t1_f1", "p-o001_t1_f2"], ["p-o001_t1_f2"]),
        ("*f2", ["p-o001_t1_f2", "p-o001_t2_f2"], ["p-o001_t1_f2"]),
        ("*f2", ["p-o002_t1_f2", "p-o001_t2_f2"], ["p-o002_t1_f2", "p-o001_t2_f2"]),
        ("f2", ["p-o001_t1_f2"], []),
    ],
)
def test_which_association_a_pattern_stands_for(pattern, names, found):
    assert catalog_candidates("p-o001_t1_f1", pattern, names) == found


def test_a_catalogue_of_no_association(three):
    assert problems_of(three, **to("zz"))[0] == (
        "--config: stage3.tweakreg.abs_refcat: 'zz', to which x is to be aligned, is no product of a level-3 "
        "association; did you mean 'z'?"
    )


def test_a_pattern_of_several_associations(three):
    assert problems_of(three, **to("[xy]"))[0] == (
        "--config: stage3.tweakreg.abs_refcat: of '[xy]', to which z is to be aligned, there are x, y; "
        "give the name of one, or choose by overrides"
    )


def test_associations_that_wait_for_each_other(three):
    """x is aligned to y; y, whose first exposure is b, to x."""
    assert problem_of(three[:2], **to("y", association="x")) == (
        "--config: stage3.tweakreg.abs_refcat: x is aligned to y is aligned to x: each waits for the next; "
        "align one of them to no other, by overrides"
    )


def test_a_catalogue_that_is_not_made(three):
    config = to("z")
    config["stage3"]["source_catalog"] = {"skip": True}
    assert problems_of(three, **config)[0] == (
        "--config: stage3.tweakreg.abs_refcat: z, to which x is to be aligned, gets no source catalogue; "
        "let its resample and source_catalog run"
    )


def test_a_catalogue_of_nothing_that_is_known(two):
    problem = problem_of(stage3={"tweakreg": {"abs_refcat": {"asociation": "x"}}})
    assert problem.endswith("give {association: name of a product of stage 3}")


# Pointings from outside -----------------------------------------------------------------------------------


def offsets(text, *more, name="offsets.csv", **tweakreg):
    """Write a table of offsets, and return the parameters of stage 3 that use it."""
    Path(name).write_text(text)
    return {"tweakreg": {"wcs_from": [name, *more], **tweakreg}}


def test_offsets_reach_the_job_of_the_alignment(two):
    table = offsets("exposure,dx,dy\na,0.1,0.2\nb_cal.fits,0,0\n")
    plan = plan_of(stage3=table)
    pointings = JOBS["align"].parameters(plan, association="x").pointings
    assert list(pointings) == ["a", "b"]
    assert (pointings["a"]["file"], pointings["a"]["offset"]["north"]) == ("offsets.csv", 0.2)
    assert plan.stage3.record("x")["WCSFROM"] == ("offsets.csv", "Where pointings were taken from")
    assert "wcs" not in JOBS["align"].inputs(plan, association="x")
    again = plan_of(stage3=table)  # from the cache
    assert JOBS["align"].parameters(again, association="x").pointings == pointings


def test_a_table_of_calflow_is_remembered_as_it_was_read(two):
    row = AlignmentRow("a", "g", "COMPLETE", "", True, np.zeros((4, 2)), correction=Affine(shift=(1.0, 2.0)))
    write_alignment(Path("other_alignment.ecsv"), [row, replace(row, exposure="b")], {})
    stage3 = {"tweakreg": {"wcs_from": "other_alignment.ecsv"}}
    first, second = (JOBS["align"].parameters(plan_of(stage3=stage3), association="x").pointings for _ in range(2))
    assert first == second
    assert first["a"]["offset"]["matrix"] == ((1.0, 0.0), (0.0, 1.0))


def test_the_row_that_says_most_closely_for_what_it_is_counts(two):
    plan = plan_of(stage3=offsets("exposure,filter,dx,dy\n*,,1,1\n*,F1130W,2,2\na,F1130W,3,3\n"))
    pointings = JOBS["align"].parameters(plan, association="x").pointings
    assert [pointings[name]["offset"]["east"] for name in "ab"] == [3.0, 2.0]


def test_rows_that_contradict_each_other(two):
    assert problem_of(stage3=offsets("exposure,dx,dy\na,1,1\nb,0,0\na,1,2\n")) == (
        "offsets.csv: rows 1, 3 are all for a, with different offsets; give one row for an exposure"
    )


def test_an_exposure_without_a_row(two):
    assert problem_of(stage3=offsets("exposure,dx,dy\na,1,1\n")) == (
        "--config: stage3.tweakreg.wcs_from: nothing in offsets.csv is for b, but for others of x; "
        "give them a row too, or one for all others: exposure *, with offsets of 0"
    )


def test_a_table_that_fits_no_exposure(two):
    assert problem_of(stage3=offsets("exposure,dx,dy\nq,1,1\n")) == (
        "offsets.csv: none of its rows is for a member of a level-3 association; members are a, b"
    )


def test_rows_for_no_exposure_and_associations_without_a_row_are_told(three):
    Path("zz_cal.fits").write_bytes(Path("a_cal.fits").read_bytes())
    write_asn("z_asn.json", product("z", "zz_cal.fits"), asn_id="o003")
    plan = plan_of(three, stage3=offsets("exposure,dx,dy\na,1,1\nb,0,0\nq,1,1\n"))
    assert {notice for notice in plan.notices if "wcs_from" in notice or "offsets" in notice} == {
        "z: stage3.tweakreg.wcs_from has nothing for its exposures, which are not moved",
        "offsets.csv: row 3 for no exposure of this configuration",
    }
    assert JOBS["align"].parameters(plan, association="z").pointings == {}


def test_two_tables_for_one_exposure(two):
    Path("more.csv").write_text("exposure,dx,dy\nb,1,1\n")
    assert problem_of(stage3=offsets("exposure,dx,dy\n*,1,1\n", "more.csv")) == (
        "--config: stage3.tweakreg.wcs_from: both 'offsets.csv' and 'more.csv' are for b; give one of them"
    )


def test_a_table_that_this_run_writes(two):
    Path("results/stage3").mkdir(parents=True)
    problem = problem_of(stage3=offsets("exposure,dx,dy\n*,1,1\n", name="results/stage3/x_alignment.ecsv"))
    assert problem.startswith("results/stage3/x_alignment.ecsv: lies where this run writes; copy it elsewhere")


def test_a_file_of_pointings_that_is_not_there(two):
    problem = problem_of(stage3={"tweakreg": {"wcs_from": "lost.csv"}})
    assert problem.startswith("--config: stage3.tweakreg.wcs_from[0]: no such file 'lost.csv'")


def test_an_asdf_file_without_a_wcs(two):
    asdf.AsdfFile({"roman": 1}).write_to("a_wcs.asdf")
    problem = problem_of(stage3={"tweakreg": {"wcs_from": "a_wcs.asdf"}})
    assert problem.startswith("a_wcs.asdf: it has no gwcs as 'wcs' or 'meta.wcs'; its keys are ")


def test_offsets_of_a_moving_target(folder):
    for name in "ab":
        write_cal(f"{name}_cal.fits", TARGTYPE="MOVING", MT_RA=80.0, MT_DEC=-70.0)
    write_asn("x_asn.json", product("x", "a_cal.fits", "b_cal.fits"))
    problem = problem_of(stage3=offsets("exposure,dx,dy\n*,1,1\n"))
    assert problem.endswith("gives pointings for x, which follows a moving target; give them for fixed targets alone")


@pytest.fixture
def three(two):
    """Three products: x of a and b, y of b and a, z of a alone."""
    write_asn("y_asn.json", product("y", "b_cal.fits", "a_cal.fits"), asn_id="o002")
    write_asn("z_asn.json", product("z", "a_cal.fits"), asn_id="o003")
    return ["x_asn.json", "y_asn.json", "z_asn.json"]


def test_products_on_a_common_grid(three):
    grids = {"deep": {"associations": ["[xy]"], "pixel_scale": 0.05}}
    plan = plan_of(three, grids=grids)
    stage3 = plan.stage3
    assert [stage3.association(name).common_grid for name in "xyz"] == ["deep", "deep", ""]
    assert [stage3.grid(name) for name in "xyz"] == [
        "results/stage3/grids/deep.json",
        "results/stage3/grids/deep.json",
        "results/stage3/z_grid.json",
    ]
    assert JOBS["lay_common_grid"].inputs(plan, grid="deep") == {
        "alignments": ["results/stage3/x_alignment.ecsv", "results/stage3/y_alignment.ecsv"],
        "first": "results/stage3/geometry/a.json",
    }
    assert JOBS["lay_common_grid"].parameters(plan, grid="deep").grid["pixel_scale"] == 0.05
    assert JOBS["combine"].inputs(plan, association="x")["grid"] == "results/stage3/grids/deep.json"


@pytest.mark.parametrize(
    ("pattern", "told"), [("xx*", "known are x, y, z"), ("X", "did you mean 'x'?"), ("yx", "did you mean 'x'?")]
)
def test_a_pattern_of_a_grid_that_matches_nothing(three, pattern, told):
    problem = problem_of(three, grids={"deep": {"associations": ["x", pattern]}})
    assert problem.startswith(
        f"--config: grids.deep.associations[1]: {pattern!r} is no product of a level-3 association; "
    )
    if pattern != "yx":
        assert problem.endswith(told)


def test_a_grid_without_any_association(folder):
    problem = problem_of([], grids={"deep": {"associations": "x"}})
    assert problem.startswith("--config: grids.deep.associations[0]: 'x' is no product of a level-3 association")
    assert problem.endswith("; this configuration has none")


def test_one_product_on_two_grids(three):
    grids = {"deep": {"associations": "x"}, "wide": {"associations": ["y", "*"]}}
    assert problem_of(three, grids=grids) == (
        "--config: grids.wide.associations[1]: 'x' already uses the grid 'deep'; one product has one grid"
    )


def test_a_grid_whose_name_cannot_be_a_file_name(three):
    assert problem_of(three, grids={"my grid": {"associations": "x"}}) == (
        "--config: grids: 'my grid' cannot be part of a file name; use letters, digits, _ and -"
    )


def test_output_wcs_must_be_a_file(three):
    grids = {"deep": {"associations": "x", "output_wcs": "grid.asdf"}}
    assert problem_of(three, grids=grids) == (
        "--config: grids.deep.output_wcs: no such file 'grid.asdf'; give an ASDF file"
    )


# Colour pictures ---------------------------------------------------------------------------------------


@pytest.fixture
def filters(folder):
    """Products of an exposure each, in four filters."""
    names = {"long": "F1500W", "middle": "F1130W", "short": "F770W", "blue": "F560W"}
    for name, value in names.items():
        write_cal(f"{name}_cal.fits", FILTER=value)
        write_asn(f"{name}_asn.json", product(name, f"{name}_cal.fits"), asn_id="o001")
    return [f"{name}_asn.json" for name in names]


def test_filters_of_a_grid_are_coloured_by_wavelength(filters):
    plan = plan_of(filters[::-1], grids={"deep": {"associations": ["long", "middle", "short"]}})
    assert colour_paths(plan) == some_colour_paths(plan) == ["results/colour/deep.png"]
    parameters = JOBS["colour_picture"].parameters(plan, grid="deep")
    assert parameters.filters == ["F1500W", "F1130W", "F770W"]
    assert parameters.of_each == [1, 1, 1]
    assert JOBS["colour_picture"].inputs(plan, grid="deep")["images"] == [
        f"results/stage3/{name}_i2d.fits" for name in ("long", "middle", "short")
    ]


def test_filters_in_the_order_of_the_user(filters):
    plan = plan_of(
        filters,
        grids={"deep": {"associations": "*"}},
        colour={"filters": ["f560w", "F770W", "F1500W"], "balance": {"f770w": 2.0}},
    )
    parameters = JOBS["colour_picture"].parameters(plan, grid="deep")
    assert parameters.filters == ["F560W", "F770W", "F1500W"]
    assert parameters.balance == [1.0, 2.0, 1.0]


def test_a_filter_of_two_products_is_one_colour(filters):
    write_cal("again_cal.fits", FILTER="F770W")
    write_asn("again_asn.json", product("again", "again_cal.fits"), asn_id="o001")
    plan = plan_of([*filters, "again_asn.json"], grids={"deep": {"associations": ["long", "middle", "short", "again"]}})
    assert JOBS["colour_picture"].parameters(plan, grid="deep").of_each == [1, 1, 2]


@pytest.mark.parametrize(
    ("grids", "told"),
    [
        ({}, "no images share a grid; name one below 'grids'"),
        (
            {"deep": {"associations": ["long", "short"]}},
            "deep: a colour picture takes images in 3 filters, there are 2",
        ),
    ],
)
def test_nothing_to_make_a_colour_picture_of(filters, grids, told):
    plan = plan_of(filters, grids=grids)
    assert colour_paths(plan) == []
    with pytest.raises(UnknownAssociation, match=told):
        some_colour_paths(plan)
    with pytest.raises(UnknownAssociation, match="no colour picture of the grid 'other': no images share such a grid"):
        JOBS["colour_picture"].inputs(plan, grid="other")


def test_a_filter_whose_wavelength_is_not_known(filters):
    write_cal("short_cal.fits", FILTER="FND")
    with pytest.raises(UnknownAssociation, match="the wavelength of FND is not known; name the filters in colour"):
        some_colour_paths(plan_of(filters, grids={"deep": {"associations": "*"}}))


def test_a_filter_that_no_image_has(filters):
    wrong = {"filters": ["F1500W", "F1130W", "F777W"], "balance": {"F1000W": 2}}
    found = problems_of(filters, grids={"deep": {"associations": "*"}}, colour=wrong)
    assert found == [
        "--config: colour.filters[2]: no image on a common grid is of the filter 'F777W'; did you mean 'F770W'?",
        "--config: colour.balance.F1000W: no image on a common grid is of the filter 'F1000W'; did you mean 'F1500W'?",
    ]


# Catalogues as parquet ---------------------------------------------------------------------------------


def test_catalogues_as_parquet_are_products_of_their_own(filters, monkeypatch):
    """For one filter alone here; the catalogue takes no parameter of it, so it is not made again."""
    monkeypatch.setattr("calflow.plan.combination_checks.find_spec", lambda name: name)
    plan = plan_of(filters)
    wanted = {"stage3": {"source_catalog": {"parquet": True}}}
    with_it = plan_of(filters, overrides=[{"for": {"filter": "F770W"}, **wanted}])
    assert set(with_it.stage3.products()) - set(plan.stage3.products()) == {"results/stage3/short_cat.parquet"}
    assert JOBS["save_parquet"].inputs(with_it, association="short") == {"catalog": "results/stage3/short_cat.ecsv"}
    job = JOBS["catalog_sources"]
    assert job.parameters(plan, association="short") == job.parameters(with_it, association="short")
    with pytest.raises(UnknownAssociation, match="no association 'red'"):
        JOBS["save_parquet"].inputs(with_it, association="red")
    skipped = {"stage3": {"source_catalog": {"parquet": True, "skip": True}}}
    assert not [path for path in plan_of(filters, **skipped).stage3.products() if path.endswith("parquet")]


def test_parquet_without_what_writes_it(filters, monkeypatch):
    monkeypatch.setattr("calflow.plan.combination_checks.find_spec", lambda name: None)
    assert problems_of(filters, stage3={"source_catalog": {"parquet": True}}) == [
        "--config: stage3.source_catalog.parquet: is true, and pyarrow, which writes parquet, is not installed; "
        "install envs/parquet.txt, as docs/products.md says, or give false"
    ]
    assert plan_of(filters, stage3={"source_catalog": {"parquet": True, "skip": True}})
    assert plan_of(filters)


# Maps --------------------------------------------------------------------------------------------------


def test_a_grid_has_one_map_of_all_its_filters(filters):
    plan = plan_of(filters, grids={"deep": {"associations": ["long", "middle", "short"]}})
    assert some_map_paths(plan) == ["results/map/grids/deep/index.html", "results/map/blue/index.html"]
    job = JOBS["grid_map"]
    files, parameters = job.inputs(plan, grid="deep"), job.parameters(plan, grid="deep")
    assert files["images"] == [f"results/stage3/{name}_i2d.fits" for name in ("long", "middle", "short")]
    assert files["segments"][0] == "results/stage3/long_segm.fits"
    assert parameters.layers == ["F1500W", "F1130W", "F770W"]
    assert (parameters.colour["filters"], parameters.coloured) == (["F1500W", "F1130W", "F770W"], [0, 1, 2])
    alone = JOBS["association_map"].parameters(plan, association="blue")
    assert (alone.title, alone.layers, alone.colour, alone.catalogued) == ("blue", ["F560W"], {}, [True])


def test_layers_of_one_filter_have_the_names_of_their_products_and_no_colour(filters):
    write_cal("again_cal.fits", FILTER="F770W")
    write_asn("again_asn.json", product("again", "again_cal.fits"), asn_id="o001")
    plan = plan_of(
        [*filters, "again_asn.json"],
        grids={"deep": {"associations": ["short", "again"]}},
        stage3={"source_catalog": {"skip": True}},
    )
    parameters = JOBS["grid_map"].parameters(plan, grid="deep")
    assert (parameters.layers, parameters.colour, parameters.catalogued) == (["short", "again"], {}, [False, False])
    assert JOBS["grid_map"].inputs(plan, grid="deep")["catalogs"] == []


def test_maps_take_an_image(filters):
    plan = plan_of(filters, stage3={"resample": {"skip": True}})
    with pytest.raises(
        UnknownAssociation, match="nothing to make a map of: this configuration makes no combined image"
    ):
        some_map_paths(plan)
    with pytest.raises(UnknownAssociation, match="no map of 'long': no image is made of it"):
        JOBS["association_map"].inputs(plan, association="long")
    with pytest.raises(UnknownAssociation, match="no map of the grid 'deep': no images share such a grid"):
        JOBS["grid_map"].inputs(plan, grid="deep")


@pytest.mark.parametrize(("wanted", "formats"), [("png", ["png"]), ("fits", ["fits"]), ("both", ["png", "fits"])])
def test_each_image_of_a_grid_has_a_hips_of_its_own(filters, wanted, formats):
    plan = plan_of(filters, grids={"deep": {"associations": ["long", "middle", "short"]}}, map={"hips": wanted})
    names = ["long", "middle", "short", "blue"]
    assert some_map_paths(plan)[2:] == [f"results/hips/{name}/properties" for name in names]
    job = JOBS["association_hips"]
    assert job.inputs(plan, association="long") == {"image": "results/stage3/long_i2d.fits"}
    assert job.parameters(plan, association="long") == ("long", formats)


def test_maps_come_without_hips_and_neither_without_being_wanted(filters):
    assert made_beside(plan_of(filters, page=True, map={"hips": "none"}))[-1] == "results/map/blue/index.html"
    assert made_beside(plan_of(filters, page=True, map={"hips": "png"}))[-1] == "results/hips/blue/properties"
    assert made_beside(plan_of(filters, map={"hips": "png"})) == []


# All together ------------------------------------------------------------------------------------------


def test_all_problems_are_told_together(two):
    write_cal("b_cal.fits", BUNIT="DN/s")
    write_cal("c_cal.fits", FILTER="F770W")
    write_asn("y_asn.json", product("y", "a_cal.fits", "c_cal.fits"), asn_id="o002")
    write_asn("z_asn.json", product("z", "a_cal.fits", "missing_cal.fits"), asn_id="o003")
    found = problems_of(["x_asn.json", "y_asn.json", "z_asn.json"], stage3={"tweakreg": {"abs_refcat": "no"}})
    assert sorted(problem.partition(":")[0] for problem in found) == [
        *["--config", "b_cal.fits", "y_asn.json", "z_asn.json"],
    ]


def test_a_problem_of_one_exposure_is_told_once(two):
    write_cal("b_cal.fits", BUNIT="DN/s")
    write_asn("y_asn.json", product("y", "b_cal.fits", "a_cal.fits"), asn_id="o002")
    assert problem_of(["x_asn.json", "y_asn.json"]).startswith("b_cal.fits: BUNIT")
