"""Masks of a first pass: what is planned for them, what depends on what, and what is refused."""

import json
from pathlib import Path

import pytest

from calflow.configuration.problems import InputError
from calflow.configuration.settings import read_settings
from calflow.jobs.all import JOBS
from calflow.jobs.declaration import flat
from calflow.jobs.extra_steps import waits_for_others
from calflow.jobs.sizes import Sizes
from calflow.plan.components import components
from calflow.plan.first_pass import first_path
from calflow.plan.plan_json import plan_from_json, plan_to_json
from calflow.plan.planner import make_plan
from calflow.simulation import Scene, simulate

SCENE = Scene("miri_f1130w", exposures=2, backgrounds=1, detector_shape=(48, 56), stars=4, galaxies=0, seed=3)
ROOTS = [f"jw01234001001_02101_0000{n}_mirimage" for n in (1, 2)]
BACKGROUND = "jw01234002001_02101_00001_mirimage"
NAME = "jw01234-o001_t001_miri_f1130w"
STRIPES = {"name": "clean_flicker_noise", "mask_from": "association"}
SKY = {"name": "subtract_background_2d", "mask_from": "association"}
LIGHT = {"name": "clean_flicker_noise", "light_from": "association"}
FLAT = {"name": "sky_flat", "light_from": "association"}
OWN = {"name": "own", "file": "own.py", "mask_from": "association"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first_pass")
    simulate(folder / "data", SCENE)
    (folder / "own.py").write_text("def own(planes, parameters, facts, inputs):\n    return planes\n")
    (path,) = (folder / "data" / "stage3").glob("*_asn.json")
    tree = json.loads(path.read_text())
    assert tree["products"][0]["name"] == NAME
    tree["products"][0]["name"], tree["asn_id"] = "other", "a3009"
    (folder / "other_asn.json").write_text(json.dumps(tree).replace('"expname": "', '"expname": "data/stage3/'))
    return folder


@pytest.fixture
def planned(simulated, monkeypatch):
    """A function that plans with extra steps."""
    monkeypatch.chdir(simulated)

    def plan(config=None, more=(), **extra_steps):
        config = {
            "associations": ["data/rate/*_asn.json", "data/stage3/*_asn.json", *more],
            "references": {"directory": "data/references"},
            "extra_steps": extra_steps,
            **(config or {}),
        }
        return make_plan(read_settings(config), [], simulated / "cache")

    return plan


def refused(planned, *arguments, **extra_steps):
    """Return the one problem that there is, as one text."""
    with pytest.raises(InputError) as caught:
        planned(*arguments, **extra_steps)
    (problem,) = caught.value.problems
    return f"{problem.key}: {problem.wrong}; {problem.right}"


def read_by(plan):
    """Return the files that jobs make, each with those that it is made of, as far as steps and masks are concerned."""
    exposures = [*plan.exposures, *(e.root for e in plan.first_pass.exposures)]
    found = {}
    for cleaning in plan.cleanings.values():
        files = JOBS["apply_extra_steps"].inputs(plan, exposure=cleaning.root, place=cleaning.place)
        found[f"{plan.folder}/{cleaning.name}.fits"] = flat(files)
    for root in exposures:
        files = flat(JOBS["calibrate"].inputs(plan, exposure=root, cal="cal"))
        found[f"{plan.folder}/{root}_cal.fits"] = found[plan.geometry(plan.exposure(root))] = files
    for name in [*plan.stage3.associations, *(a.name for a in plan.first_pass.associations)]:
        members = plan.stage3.association(name).members
        files = [path for member in members for path in (member.pixels, member.geometry)]
        grids = [plan.stage3.path(f"{name}_i2d.fits")] if plan.stage3.association(name).common_grid else []
        catalog = plan.stage3.association(name).catalog_of
        files += [plan.stage3.path(f"{catalog}_i2d.fits")] if catalog not in ("", name) else []
        found[plan.stage3.path(f"{name}_i2d.fits")] = files + [path for path in grids if path not in found]
    for mask in plan.first_pass.masks:
        files = JOBS["mask_sources"].inputs(plan, source=mask.source, exposure=mask.exposure)
        found[f"{plan.folder}/masks/{mask.source}/{mask.exposure}_sources.fits"] = flat(
            {role: files[role] for role in ("images", "geometry")}
        )
    return found


def made_of(plan, path):
    """Return all that a file is made of, by whatever way; an error if that is the file itself."""
    files, found, waiting = read_by(plan), set(), [path]
    while waiting:
        for file in files.get(waiting.pop(), ()):
            assert file != path, "it waits for itself"
            if file not in found:
                found.add(file)
                waiting.append(file)
    return found


def test_before_stage_2_the_first_pass_is_made_without_the_mask(planned):
    plain, plan = planned(rate=[{"name": "clean_flicker_noise"}]), planned(rate=[STRIPES])
    mask = f"results/stage2/masks/association/{ROOTS[0]}_sources.fits"
    flat_file = "data/references/jwst_miri_flat_0001.fits"
    files = JOBS["apply_extra_steps"].inputs(plan, exposure=ROOTS[0], place="rate")
    assert files == {"exposure": f"data/rate/{ROOTS[0]}_rate.fits", "inputs_0": [flat_file, mask]}
    first = JOBS["apply_extra_steps"].inputs(plan, exposure=f"first_pass/{ROOTS[0]}", place="rate")
    assert first == {"exposure": f"data/rate/{ROOTS[0]}_rate.fits", "inputs_0": [flat_file]}
    image = f"results/stage3/first_pass/{NAME}_i2d.fits"
    assert JOBS["mask_sources"].inputs(plan, source="association", exposure=ROOTS[0]) == {
        "images": [image],
        "grids": [f"results/stage3/outliers/first_pass/{NAME}_grid.json"],
        "geometry": f"results/stage2/geometry/first_pass/{ROOTS[0]}_cal.json",
        "alignments": [f"results/stage3/first_pass/{NAME}_alignment.ecsv"],
    }
    parameters = JOBS["mask_sources"].parameters(plan, source="association", exposure=ROOTS[0])
    assert parameters.exposures == [f"first_pass/{ROOTS[0]}"]
    everything = made_of(plan, f"results/stage3/{NAME}_i2d.fits")
    assert {mask, image, f"results/stage2/first_pass/{ROOTS[1]}_cal.fits"} <= everything
    # Nothing else is made, or another: what is kept, and what is made of backgrounds.
    assert plan.products() == plain.products()
    assert JOBS["calibrate"].inputs(plan, exposure=ROOTS[0], cal="cal") == JOBS["calibrate"].inputs(
        plain, exposure=ROOTS[0], cal="cal"
    )
    background = JOBS["apply_extra_steps"].inputs(plan, exposure=BACKGROUND, place="rate")
    assert background == JOBS["apply_extra_steps"].inputs(plain, exposure=BACKGROUND, place="rate")


def test_the_plan_is_one_part_is_handed_on_and_has_sizes(planned):
    plan = planned(rate=[STRIPES], cal=[SKY])
    again = plan_from_json(plan_to_json(plan))
    assert again.first_pass == plan.first_pass
    assert again.masks.keys() == {("association", root) for root in ROOTS}
    assert len(components(plan)) == 1
    for root in [*ROOTS, *(f"first_pass/{root}" for root in ROOTS)]:
        assert Sizes(plan).of({"exposure": root}, whole=False).total == 48 * 56 / 1e6
        assert waits_for_others(plan, root, "cal")
    assert waits_for_others(plan, ROOTS[0], "rate")
    assert not waits_for_others(plan, f"first_pass/{ROOTS[0]}", "rate")


def test_before_stage_3_the_cal_is_the_same_in_both(planned):
    plan = planned(cal=[SKY])
    assert plan.first_pass.exposures == ()
    (first,) = plan.first_pass.associations
    assert [member.cal for member in first.members] == [f"results/stage2/{root}_cal.fits" for root in ROOTS]
    assert first.members[0].clean == f"results/stage2/first_pass/{ROOTS[0]}_cal_clean.fits"
    mask = f"results/stage2/masks/association/{ROOTS[0]}_sources.fits"
    assert mask not in made_of(plan, f"results/stage3/first_pass/{NAME}_i2d.fits")
    assert mask in made_of(plan, f"results/stage3/{NAME}_i2d.fits")


def test_with_light_the_mask_has_that_too_in_the_unit_of_the_exposure(planned):
    plan, masked = planned(rate=[LIGHT]), planned(rate=[STRIPES])
    mask = f"results/stage2/masks/association/{ROOTS[0]}_sources.fits"
    flat_file = "data/references/jwst_miri_flat_0001.fits"
    assert JOBS["apply_extra_steps"].inputs(plan, exposure=ROOTS[0], place="rate")["inputs_0"] == [
        flat_file,
        mask,
        mask,
    ]
    parameters = JOBS["apply_extra_steps"].parameters(plan, exposure=ROOTS[0], place="rate")
    assert parameters.steps[0]["inputs"] == [["flat", "response"], ["sources", "image"], ["light", "light"]]
    wanted = {"source": "association", "exposure": ROOTS[0]}
    files = JOBS["mask_sources"].inputs(plan, **wanted)
    assert files.pop("calibrated") == f"results/stage2/first_pass/{ROOTS[0]}_cal.fits"
    assert files == JOBS["mask_sources"].inputs(masked, **wanted)
    first = JOBS["apply_extra_steps"].inputs(plan, exposure=f"first_pass/{ROOTS[0]}", place="rate")
    assert first["inputs_0"] == [flat_file]
    # Wide stripes that are taken off wrongly could not be told from light.
    wide = [
        JOBS["apply_extra_steps"]
        .parameters(each, exposure=f"first_pass/{ROOTS[0]}", place="rate")
        .steps[0]["parameters"]
        for each in (plan, masked)
    ]
    assert [each["wide"] for each in wide] == [False, None]
    assert plan.products() == masked.products()
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))).first_pass == plan.first_pass


def test_light_for_what_is_collected_comes_from_images_without_that_step(planned):
    """It has light of its own place alone: `_cal`. The step itself takes nothing but what is collected."""
    plan = planned(cal=[{"name": "bad_pixels"}, FLAT])
    bad, flat = plan.collections.values()
    masks = tuple(f"results/stage2/masks/association/{root}_sources.fits" for root in ROOTS)
    assert (bad.lights, flat.lights) == ((), masks)
    files = JOBS["collect_exposures"].inputs(plan, collection=flat.name)
    assert files == {"exposures": list(flat.members), "lights": list(masks)}
    assert JOBS["collect_exposures"].parameters(plan, collection=flat.name).with_light == [0, 1]
    assert list(JOBS["collect_exposures"].inputs(plan, collection=bad.name)) == ["exposures"]
    own = JOBS["apply_extra_steps"].inputs(plan, exposure=ROOTS[0], place="cal")
    assert own["collected_1"] == f"results/stage2/collected/{flat.name}.fits"
    assert "inputs_1" not in own
    mask = JOBS["mask_sources"].inputs(plan, source="association", exposure=ROOTS[0])
    assert mask["images"] == [f"results/stage3/first_pass/{NAME}_i2d.fits"]
    assert mask["calibrated"] == f"results/stage2/{ROOTS[0]}_cal.fits"
    first = JOBS["apply_extra_steps"].parameters(plan, exposure=f"first_pass/{ROOTS[0]}", place="cal")
    assert [step["name"] for step in first.steps] == ["bad_pixels"]
    assert len(components(plan)) == 1
    assert plan_from_json(plan_to_json(plan)).collections == plan.collections
    alone = planned(cal=[FLAT])
    assert [member.clean for member in alone.first_pass.associations[0].members] == ["", ""]
    assert planned(cal=[{"name": "sky_flat"}]).first_pass.associations == ()


def test_light_before_both_stages_is_that_of_one_image(planned):
    plan = planned(rate=[LIGHT], cal=[FLAT])
    assert len(plan.first_pass.masks) == 2
    mask = JOBS["mask_sources"].inputs(plan, source="association", exposure=ROOTS[0])
    assert mask["calibrated"] == f"results/stage2/first_pass/{ROOTS[0]}_cal.fits"
    (flat,) = plan.collections.values()
    assert flat.members == tuple(f"results/stage2/{root}_cal.fits" for root in ROOTS)
    assert len(flat.lights) == 2


def test_an_exposure_alone_in_its_association_gets_a_mask_and_no_light_and_is_told(planned):
    tree = json.loads(Path("other_asn.json").read_text())
    tree["products"][0]["members"] = [m for m in tree["products"][0]["members"] if ROOTS[1] in m["expname"]]
    Path("single_asn.json").write_text(json.dumps(tree))
    step = LIGHT | {"for": {"exposures": ROOTS[1]}}
    plan = planned({"associations": ["data/rate/*_asn.json", "single_asn.json"]}, rate=[step])
    parameters = JOBS["apply_extra_steps"].parameters(plan, exposure=ROOTS[1], place="rate")
    assert [role for role, _ in parameters.steps[0]["inputs"]] == ["flat", "sources"]
    assert any(notice.startswith("clean_flicker_noise: alone in their associations") for notice in plan.notices)


def test_a_function_of_the_users_own_does_not_run_in_the_first_pass(planned):
    plan = planned(rate=[OWN])
    files = JOBS["apply_extra_steps"].inputs(plan, exposure=ROOTS[0], place="rate")
    assert files["inputs_0"] == [f"results/stage2/masks/association/{ROOTS[0]}_sources.fits"]
    (step,) = JOBS["apply_extra_steps"].parameters(plan, exposure=ROOTS[0], place="rate").steps
    assert step["inputs"] == [["sources", ""]]
    first = JOBS["calibrate"].inputs(plan, exposure=f"first_pass/{ROOTS[0]}", cal="cal")
    assert first["exposure"] == f"data/rate/{ROOTS[0]}_rate.fits"


def test_what_is_collected_of_exposures_that_have_masks_has_a_first_pass(planned):
    plan = planned(rate=[STRIPES], cal=[{"name": "bad_pixels"}])
    collected, first = plan.collections
    assert first == f"{collected}_first_pass"
    members = JOBS["collect_exposures"].inputs(plan, collection=first)["exposures"]
    assert members == [first_path(path) for path in plan.collections[collected].members]
    files = JOBS["apply_extra_steps"].inputs(plan, exposure=f"first_pass/{ROOTS[0]}", place="cal")
    assert files["exposure"] == f"results/stage2/first_pass/{ROOTS[0]}_cal.fits"
    assert files["collected_0"] == f"results/stage2/collected/{first}.fits"
    assert files["geometry"] == f"results/stage2/geometry/first_pass/{ROOTS[0]}_cal.json"


def test_another_association_of_the_same_exposures_has_a_first_pass(planned):
    plan = planned(more=["other_asn.json"], rate=[STRIPES | {"mask_from": {"association": "oth*"}}])
    assert [each.name for each in plan.first_pass.associations] == ["first_pass/other"]
    mask = f"results/stage2/masks/other/{ROOTS[0]}_sources.fits"
    assert mask in made_of(plan, f"results/stage3/{NAME}_i2d.fits")
    assert "results/stage3/first_pass/other_i2d.fits" in made_of(plan, mask)


def test_of_several_associations_of_an_exposure_as_tiles_are_all_tell(planned):
    plan = planned(more=["other_asn.json"], rate=[STRIPES])
    names = [f"first_pass/{NAME}", "first_pass/other"]
    files = JOBS["mask_sources"].inputs(plan, source="association", exposure=ROOTS[0])
    assert files["images"] == [f"results/stage3/{name}_i2d.fits" for name in names]
    assert files["alignments"] == [f"results/stage3/{name}_alignment.ecsv" for name in names]


def test_an_association_that_no_mask_changes_is_looked_at_as_it_is(planned):
    step = STRIPES | {"for": {"exposures": ROOTS[0]}, "mask_from": {"association": "other"}}
    tree = json.loads(Path("other_asn.json").read_text())
    tree["products"][0]["members"] = [m for m in tree["products"][0]["members"] if ROOTS[1] in m["expname"]]
    Path("single_asn.json").write_text(json.dumps(tree))
    plan = planned(more=["single_asn.json"], rate=[step])
    assert [each.name for each in plan.first_pass.associations] == [f"first_pass/{NAME}"]  # which places the exposure
    files = JOBS["mask_sources"].inputs(plan, source="other", exposure=ROOTS[0])
    assert files["images"] == ["results/stage3/other_i2d.fits"]
    assert files["alignments"] == [f"results/stage3/first_pass/{NAME}_alignment.ecsv"]
    made_of(plan, f"results/stage3/{NAME}_i2d.fits")


def test_a_catalogue_of_the_association_that_has_the_mask_does_not_make_it_wait_for_itself(planned):
    """`other` is aligned to the catalogue of an association whose exposures have masks by the image of `other`."""
    config = {"stage3": {"tweakreg": {"abs_refcat": {"association": NAME}}}}
    plan = planned(config, ["other_asn.json"], rate=[STRIPES | {"mask_from": {"association": "other"}}])
    first = {each.name: each.catalog_of for each in plan.first_pass.associations}
    assert first == {"first_pass/other": f"first_pass/{NAME}", f"first_pass/{NAME}": f"first_pass/{NAME}"}
    for name in (NAME, "other"):
        made_of(plan, f"results/stage3/{name}_i2d.fits")


def test_a_grid_in_common_is_no_reason_to_wait(planned):
    grids = {"grids": {"deep": {"associations": "*", "pixel_scale": 0.11}}}
    plan = planned(grids, ["other_asn.json"], rate=[STRIPES])
    assert {each.name for each in plan.first_pass.associations} == {f"first_pass/{NAME}", "first_pass/other"}
    assert not any(each.common_grid for each in plan.first_pass.associations)


def test_without_masks_nothing_is_planned_twice(planned):
    plan = planned(rate=[{"name": "clean_flicker_noise"}])
    assert plan.first_pass == type(plan.first_pass)()
    assert not any(name.startswith("first_pass") for name in [*plan.cleanings, *plan.names()])


@pytest.mark.parametrize(
    ("steps", "config", "problem"),
    [
        (
            {"rate": [STRIPES | {"mask_from": {"association": NAME[:-1]}}]},
            {},
            f"extra_steps.rate[0].mask_from: {NAME[:-1]!r} is no product of a level-3 association; did you mean "
            f"{NAME!r}?",
        ),
        (
            {"rate": [STRIPES | {"inputs": {"sources": "own.py"}}]},
            {},
            "extra_steps.rate[0].mask_from: is given beside inputs.sources; leave one of them out",
        ),
        (
            {"rate": [{"name": "persistence", "mask_from": "association"}]},
            {},
            "extra_steps.rate[0].mask_from: persistence takes no mask of sources; leave it out; clean_flicker_noise, "
            "subtract_background_2d, subtract_own_template, subtract_template do",
        ),
        (
            {"cal": [SKY]},
            {"stage3": {"resample": {"skip": True}}},
            f"extra_steps.cal[0].mask_from: {NAME} gets no combined image, to find sources in; let stage3.resample run",
        ),
        (
            {"rate": [STRIPES]},
            {"associations": "data/rate/*_asn.json"},
            f"extra_steps.rate[0].mask_from: none of its exposures, such as {ROOTS[0]}, is in a level-3 association; "
            "give their associations, or leave mask_from out",
        ),
        (
            {"rate": [LIGHT | {"mask_from": "association"}]},
            {},
            "extra_steps.rate[0].light_from: is given beside mask_from; leave one of them out",
        ),
        (
            {"cal": [OWN | {"mask_from": None, "light_from": "association"}]},
            {},
            "extra_steps.cal[0].light_from: has the light in the unit of _rate; put the step into extra_steps.rate",
        ),
        (
            {"rate": [LIGHT | {"parameters": {"fit_method": "median"}}]},
            {},
            "extra_steps.rate[0].light_from: is not taken off with fit_method: median; give mask_from, or leave "
            "fit_method out",
        ),
        (
            {"rate": [{"name": "persistence", "light_from": "association"}]},
            {},
            "extra_steps.rate[0].light_from: persistence takes no light of sources; leave it out; clean_flicker_noise, "
            "sky_flat do",
        ),
        (
            {"rate": [{"name": "clean_flicker_noise", "inputs": {"light": "own.py"}}]},
            {},
            "extra_steps.rate[0].inputs.light: is given without inputs.sources; give the mask of the same image, too",
        ),
        (
            {"cal": [FLAT | {"inputs": {"flat": "own.py"}}]},
            {},
            "extra_steps.cal[0].light_from: is taken off what is collected, and inputs.flat has that of another run; "
            "leave one of them out",
        ),
        (
            {"cal": [{"name": "sky_flat", "mask_from": "association"}]},
            {},
            "extra_steps.cal[0].mask_from: sky_flat takes no mask of sources; leave it out",
        ),
        (
            {"rate": [LIGHT]},
            {"associations": "data/rate/*_asn.json"},
            f"extra_steps.rate[0].light_from: none of its exposures, such as {ROOTS[0]}, is in a level-3 association; "
            "give their associations, or leave light_from out",
        ),
        (
            {"rate": [STRIPES | {"mask_from": "associations"}]},
            {},
            "extra_steps.rate[0].mask_from: 'associations' is not valid; ",
        ),
    ],
)
def test_what_cannot_be_is_one_problem_before_any_job(planned, steps, config, problem):
    assert refused(planned, config, **steps).startswith(problem)


def test_exposures_in_no_association_go_without_and_are_told(planned):
    tree = json.loads(Path("other_asn.json").read_text())
    tree["products"][0]["members"] = [m for m in tree["products"][0]["members"] if ROOTS[1] in m["expname"]]
    Path("single_asn.json").write_text(json.dumps(tree))
    plan = planned({"associations": ["data/rate/*_asn.json", "single_asn.json"]}, rate=[STRIPES])
    assert plan.masks.keys() == {("association", ROOTS[1])}
    told = f"clean_flicker_noise: in no level-3 association, and so without its mask: {ROOTS[0]}"
    assert told in plan.notices
