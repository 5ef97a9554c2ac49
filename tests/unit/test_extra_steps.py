"""Extra steps: what the configuration may say, which exposures are meant, how steps are called and recorded."""

import os
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from astropy.io import fits

from calflow.calibration.extra_steps import ExtraStep as Step
from calflow.calibration.extra_steps import apply_step, facts_of, own_function, read_others, record_step
from calflow.configuration.extra_steps import ExtraStep, ExtraSteps, check_extra_steps
from calflow.configuration.problems import InputError, Problems
from calflow.configuration.selection import Selection
from calflow.configuration.settings import Settings, read_settings
from calflow.files.exposure import Exposure, write_exposure
from calflow.files.keywords import STATUS
from calflow.forecast.target import _users_code
from calflow.jobs.all import JOBS
from calflow.jobs.code_hash import CodeHashes
from calflow.jobs.sizes import Sizes
from calflow.plan.components import components
from calflow.plan.extra_step_planner import TAKEN, keywords
from calflow.plan.plan_json import plan_from_json, plan_to_json
from calflow.plan.planner import make_plan
from calflow.science.cleaning.shipped import SHIPPED, in_full
from calflow.science.cleaning.step import Cleaned, Facts, with_cleaned
from calflow.science.image import Image
from calflow.shards.folders import files_of
from calflow.simulation import Scene, simulate

SCRIPTS = Path(__file__).parents[2] / "scripts"
OWN = """\
import numpy as np

LEVEL = 2.0


def pedestal(planes, parameters, facts, inputs):
    planes.sci -= parameters["times"] * LEVEL
    return planes, {"level": parameters["times"] * LEVEL}


def other(planes, parameters, facts, inputs):
    return planes
"""
FACTS = Facts("exposure", "rate")


def image(*shape):
    return Image(np.full(shape, 7, np.float32), np.ones(shape, np.float32), np.zeros(shape, np.uint32))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_steps.py").write_text(OWN)
    return tmp_path


def told(**section):
    problems = Problems()
    check_extra_steps(ExtraSteps.model_validate(section), problems)
    return [f"{problem.key}: {problem.wrong}; {problem.right}" for problem in problems]


# The configuration --------------------------------------------------------------------------------------


def test_what_is_right_is_no_problem(here):
    own = {"file": "my_steps.py", "function": "pedestal", "parameters": {"anything": [1, {"a": None}]}}
    regions = {"parameters": {"grow": 2}, "inputs": {"regions": "a.reg"}}
    assert told(rate=[{"name": "mine"} | own], cal=[{"name": "claws", "step": "mask_regions"} | regions]) == []


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            {"name": "a b", "file": "my_steps.py", "function": "other"},
            "name: 'a b' cannot be used; begin with a letter",
        ),
        ({"name": "mask_region"}, "name: 'mask_region' is no step that calflow has; did you mean 'mask_regions'?"),
        (
            {"name": "x", "step": "mask_region"},
            "step: 'mask_region' is no step that calflow has; did you mean 'mask_regions'?",
        ),
        ({"name": "mask_regions"}, "inputs.regions: is missing; mask_regions needs this file"),
        (
            {"name": "mask_regions", "inputs": {"region": "a.reg"}},
            "inputs.region: mask_regions has no such input; did you mean 'regions'?",
        ),
        (
            {"name": "mask_regions", "inputs": {"regions": "a"}, "parameters": {"grow": -1}},
            "parameters.grow: -1 is not valid; give number from 0 to 1000",
        ),
        (
            {"name": "mask_regions", "inputs": {"regions": "a"}, "parameters": {"grown": 1}},
            "parameters.grown: unknown key; did you mean 'grow'?",
        ),
        (
            {"name": "mask_regions", "inputs": {"regions": "a"}, "parameters": {"flags": "CLAW"}},
            "parameters: flags: 'CLAW' is no data quality flag; docs/configuration.md has what is allowed",
        ),
        (
            {"name": "mask_regions", "inputs": {"regions": "a"}, "others": "all"},
            "others: is for functions of your own, and mask_regions is a step of calflow",
        ),
        ({"name": "x", "file": "a.reg"}, "file: 'a.reg' is no Python file by its name; its name ends in .py"),
        ({"name": "x", "file": "none.py"}, "file: no such file 'none.py'; give the Python file"),
        ({"name": "x", "file": "a" * 300}, "is out of reach (File name too long); give the Python file"),
        ({"name": "pedestals", "file": "my_steps.py"}, "did you mean 'pedestal'?"),
        ({"name": "x", "file": "my_steps.py", "function": "LEVELS"}, "function: no function 'LEVELS' in my_steps.py"),
        ({"name": "x", "file": "broken.py"}, "file: line 2 of broken.py is no Python: "),
        (
            {"name": "few", "file": "others.py"},
            "few in line 1 of others.py cannot be called with planes, parameters, facts, inputs; write def few(planes",
        ),
        (
            {"name": "own", "file": "others.py", "others": "earlier"},
            "own in line 5 of others.py cannot be called with planes, parameters, facts, inputs, others",
        ),
        ({"name": "five", "file": "others.py", "collect": "LEVELS"}, "collect: no function 'LEVELS' in others.py"),
        (
            {"name": "five", "file": "others.py", "collect": "few"},
            "collect: few in line 1 of others.py cannot be called with exposures, parameters; write def few(exposures",
        ),
        (
            {"name": "own", "file": "others.py", "function": "five", "collect": "two", "others": "all"},
            "collect: is given beside others",
        ),
        ({"name": "other", "file": "my_steps.py", "step": "mask_regions"}, "step: is a step of calflow, and file"),
    ],
)
def test_what_is_wrong_with_a_step(here, step, problem):
    (here / "a.reg").touch()
    (here / "broken.py").write_text("a = 1\ndef f(:\n")
    (here / "others.py").write_text("def few(planes):\n    pass\n\n\ndef own(a, b, c, d):\n    pass\n")
    with (here / "others.py").open("a") as file:
        file.write("def five(a, b, c, d, e):\n    pass\n\n\ndef two(a, b):\n    pass\n")
    (only,) = told(rate=[step])
    assert only.startswith("extra_steps.rate[0].")
    assert problem in only


def test_a_function_may_be_imported_and_take_defaults(here):
    (here / "more.py").write_text(
        "from numpy import add as mine\ndef f(*planes): ...\ndef g(a, b, c, d, e=1, *, k=2): ...\ng2 = g\n"
    )
    steps = [{"name": name, "file": "more.py"} for name in ("mine", "f", "g", "g2")]
    assert told(rate=steps) == []


def test_a_name_stands_once_in_both_places(here):
    step = {"name": "pedestal", "file": "my_steps.py"}
    assert told(rate=[step], cal=[step]) == [
        "extra_steps.cal[0].name: 'pedestal' is the name of extra_steps.rate[0], too; give each step a name of its own"
    ]


@pytest.mark.parametrize(
    ("section", "key", "right"),
    [
        ({"rate": [{"name": "a", "fil": "x"}]}, "extra_steps.rate[0].fil", "did you mean 'file'?"),
        ({"rate": [{"nam": "a"}]}, "extra_steps.rate[0].nam", "did you mean 'name'?"),
        ({"rate": [{"name": "a", "for": {"filtr": "F1"}}]}, "extra_steps.rate[0].for.filtr", "did you mean 'filter'?"),
        ({"rate": [3]}, "extra_steps.rate[0]", "it is a section: give keys with values below it, such as for"),
        ({"cal": 3}, "extra_steps.cal", "give a list of sections"),
        ({"cals": []}, "extra_steps.cals", "did you mean 'cal'?"),
    ],
)
def test_what_is_no_section_of_a_step_is_told_with_its_place(section, key, right):
    with pytest.raises(InputError) as caught:
        read_settings({"extra_steps": section})
    (problem,) = caught.value.problems
    assert problem.key == key
    assert problem.right.startswith(right)


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        ({}, True),
        ({"instrument": "miri"}, True),
        ({"instrument": ["NIRCAM", "MIRI"]}, True),
        ({"filter": "F770W"}, False),
        ({"filter": "CLEAR"}, True),  # the pupil
        ({"detector": "MIRI*"}, True),
        ({"exposures": "JW*_00001_*"}, True),
        ({"exposures": "JW*_00002_*"}, False),
        ({"filter": "F1130W", "exposures": "other"}, False),
    ],
)
def test_which_exposures_are_meant(selection, selected):
    values = {"INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE", "FILTER": "F1130W", "PUPIL": "CLEAR"}
    assert Selection.model_validate(selection).selects("jw1_00001_mirimage", values) is selected


def test_no_two_steps_have_the_keyword_of_another():
    names = ["mask_claws", "mask_ghosts", "mask-g2", "photom_zero", "wcs", "x", "mask_g3"]
    found = keywords([ExtraStep(name=name, file="f.py") for name in names])
    assert found == {
        "mask_claws": "S_MASK_C",
        "mask_ghosts": "S_MASK_G",
        "mask-g2": "S_MASK_2",
        "photom_zero": "S_PHOTO2",
        "wcs": "S_WCS2",
        "x": "S_X",
        "mask_g3": "S_MASK_3",
    }
    assert {keyword for keyword, _ in STATUS.values()} == TAKEN


def test_every_shipped_step_is_what_its_entry_says():
    for name, shipped in SHIPPED.items():
        assert callable(resolve_name(in_full(shipped.function))), name
        shipped.parameter_class()()  # all parameters have a default
        assert set(shipped.optional) <= set(shipped.inputs)
        assert not shipped.check or callable(resolve_name(in_full(shipped.check)))
        assert not shipped.collect or callable(resolve_name(in_full(shipped.collect)))
        assert not shipped.instead or (shipped.instead in shipped.optional and shipped.collect)


# Calls --------------------------------------------------------------------------------------------------


def own_step(function, **parameters):
    return Step("mine", "S_MINE", f"my_steps.py:{function}", parameters)


def test_a_function_of_the_users_own_gets_copies_and_returns_planes_and_figures(here):
    planes = image(3, 4)
    found, figures = own_step("pedestal", times=2).called(["SCI"], "rate")(planes, FACTS)
    np.testing.assert_array_equal(found.sci, np.full((3, 4), 3, np.float32))
    assert figures == {"level": 4.0}
    assert (planes.sci == 7).all()


def test_of_integrations_each_is_given_by_itself(here):
    (here / "my_steps.py").write_text(
        "def add(planes, parameters, facts, inputs):\n"
        "    planes.sci += facts.integration\n"
        "    return planes, {'pixels': planes.sci.size, 'mean': float(planes.sci[0, 0]), 'word': 'x'}\n"
    )
    exposure = Exposure(image(3, 2, 2), {"PRIMARY": fits.Header(), "SCI": fits.Header()})
    step = own_step("add")
    figures, is_applied = apply_step(exposure, step, step.called(["SCI"], "rate"), replace(FACTS, integration=5))
    np.testing.assert_array_equal(exposure.image.sci[:, 0, 0], [12, 13, 14])
    assert (figures, is_applied) == ({"pixels": 12, "mean": 13.0, "word": "x"}, True)


@pytest.mark.parametrize("shape", [(64, 64), (2, 64, 64)])
def test_a_step_that_changes_nothing_is_skipped(shape, tmp_path):
    """A template of which nothing is in the exposure."""
    y, x = np.mgrid[:64, :64] / 64
    fits.writeto(tmp_path / "wisp.fits", np.exp(-(((x - 0.5) / 0.1) ** 2 + ((y - 0.5) / 0.2) ** 2)))
    planes = image(*shape)
    planes.sci[:] = np.random.default_rng(1).normal(5, 1, shape)
    before = planes.sci.copy()
    exposure = Exposure(planes, {"PRIMARY": fits.Header(), "SCI": fits.Header()})
    step = Step(
        "wisps",
        "S_WISPS",
        "calflow.science.cleaning.subtract_template:subtract_template",
        {"significance": 50.0},
        "calflow.science.cleaning.subtract_template_parameters:TemplateFit",
        {"template": (str(tmp_path / "wisp.fits"), "template")},
    )
    figures, is_applied = apply_step(exposure, step, step.called(["SCI"], "rate"), FACTS)
    assert not is_applied
    assert figures["left"].startswith("the template, whose amplitude is not significant")
    np.testing.assert_array_equal(exposure.image.sci, before)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("    return 1 / 0", "mine: my_steps.py, line 2: ZeroDivisionError: division by zero"),
        ("    raise ValueError('two\\nlines')", "mine: my_steps.py, line 2: ValueError: two lines"),
        ("    raise SystemExit(3)", "mine: my_steps.py, line 2: SystemExit: 3"),
        ("    import helping\n    helping.fail()", "mine: my_steps.py, line 3: KeyError: 'no'"),
        ("    return None", "mine: my_steps.py, line 1: returned NoneType: return planes, or planes and figures"),
        ("    return planes.sci", "mine: my_steps.py, line 1: returned ndarray: return planes, or planes and figures"),
        (
            "    planes.sci = planes.sci[1:]\n    return planes",
            "mine: my_steps.py, line 1: returned SCI of shape (2, 4), not (3, 4)",
        ),
        (
            "    planes.dq = planes.dq * 1.5\n    return planes",
            "mine: my_steps.py, line 1: returned DQ of type float64",
        ),
        (
            "    planes.err = None\n    return planes",
            "mine: my_steps.py, line 1: returned ERR of shape (), not (3, 4)",
        ),
    ],
)
def test_an_error_in_the_users_own_code_is_one_line_with_file_and_line(here, body, reason):
    (here / "helping.py").write_text("def fail():\n    {}['no']\n")
    (here / "my_steps.py").write_text(f"def wrong(planes, parameters, facts, inputs):\n{body}\n")
    with pytest.raises(ValueError, match="mine") as caught:
        own_step("wrong").called(["SCI"], "rate")(image(3, 4), FACTS)
    assert str(caught.value) == reason


def test_an_error_when_the_file_is_run_is_told_with_its_line(here):
    (here / "my_steps.py").write_text("\n\nimport nothing_of_this_name\n")
    with pytest.raises(ValueError, match=r"^mine: my_steps\.py, line 3: ModuleNotFoundError: No module named"):
        own_function("my_steps.py:wrong", "mine")
    (here / "my_steps.py").write_text("wrong = 3\n")
    with pytest.raises(ValueError, match=r"mine: my_steps\.py has no function wrong"):
        own_function("my_steps.py:wrong", "mine")


def test_an_edited_file_is_run_as_it_is_at_once(here):
    """Within the second in which it was edited before, too, and with as many bytes."""
    times = os.stat("my_steps.py")
    assert own_function("my_steps.py:pedestal", "mine").__globals__["LEVEL"] == 2.0
    (here / "my_steps.py").write_text(OWN.replace("2.0", "3.0"))
    os.utime("my_steps.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert own_function("my_steps.py:pedestal", "mine").__globals__["LEVEL"] == 3.0


def test_what_a_shipped_step_returns_goes_into_the_planes():
    planes = replace(image(2, 2), var_rnoise=np.full((2, 2), 0.25, np.float32))
    dq = np.array([[0, 1], [0, 0]])
    found = with_cleaned(planes, Cleaned(np.zeros((2, 2)), np.full((2, 2), 8.0), dq))
    assert (found.sci == 0).all()
    assert found.sci.dtype == np.float32
    assert (found.var_rnoise == 8.25).all()
    assert (found.err == 3).all()  # sqrt(1 + 8)
    np.testing.assert_array_equal(found.dq, dq)
    assert found.dq.dtype == np.uint32
    unknown = with_cleaned(replace(planes, err=np.zeros((2, 2), np.float32)), Cleaned(variance=np.ones((2, 2))))
    assert not unknown.err.any()
    assert unknown.sci is planes.sci


def test_the_header_tells_what_was_done(here):
    exposure = Exposure(image(2, 2), {"PRIMARY": fits.Header(), "SCI": fits.Header()})
    step = Step("claws", "S_CLAWS", "a:b", {"grow": 2.0}, "a:C", {"regions": ("some/ü.reg", "text")})
    record_step(exposure, step, {"pixels": 5, "usable before": 3}, "COMPLETE")
    assert exposure.primary["S_CLAWS"] == "COMPLETE"
    assert exposure.primary["N_CLAWS"] == 5
    history = "".join(exposure.primary["HISTORY"])
    assert history == "Extra step claws; grow=2.0, regions=\\xfc.reg; pixels 5, usable before 3"
    record_step(exposure, replace(own_step("pedestal", times=1), keyword="S_MINE"), {}, "SKIPPED")
    assert "Extra step mine; pedestal of my_steps.py, times=1" in str(exposure.primary["HISTORY"])
    assert "N_MINE" not in exposure.primary
    assert exposure.primary["S_MINE"] == "SKIPPED"


def test_facts_have_the_same_words_for_all_instruments():
    primary = fits.Header({"INSTRUME": "x", "DETECTOR": " d1 ", "FASTAXIS": -1, "SLOWAXIS": 2, "SUBSTRT1": 5})
    primary["EXPSTART"], primary["EFFEXPTM"], primary["SUBSTRT2"] = 60000.5, 30.0, 9
    exposure = Exposure(image(2, 2), {"PRIMARY": primary, "SCI": fits.Header({"BUNIT": "DN/s", "GAIN": 2})})
    facts = facts_of(exposure, "root", "rate", {"FILTER": "K"})
    assert (facts.instrument, facts.detector, facts.filter, facts.pupil) == ("X", "D1", "K", "")
    assert (facts.fast_axis, facts.slow_axis, facts.first_pixel, facts.unit) == (-1, 2, (5, 9), "DN/s")
    assert (facts.start, facts.exposure_time, facts.integration, facts.sky) == (60000.5, 30.0, None, None)
    assert facts.header["GAIN"] == 2


def test_of_other_exposures_one_is_read_at_a_time(here):
    for number in (1, 2):
        exposure = Exposure(image(2, 2), {"PRIMARY": fits.Header({"DETECTOR": f"D{number}"}), "SCI": fits.Header()})
        write_exposure(exposure, here / f"{number}.fits")
    others = read_others(["1.fits", "2.fits", "3.fits"], ["SCI"], "rate")
    planes, facts = next(others)
    assert facts.detector == "D1"
    assert (planes.sci == 7).all()
    assert next(others)[1].detector == "D2"
    with pytest.raises(FileNotFoundError):  # it was not looked at before
        next(others)


# The code -----------------------------------------------------------------------------------------------


def test_the_users_own_code_counts_as_far_as_it_is_used(here):
    def hashed():
        return CodeHashes(here / "cache").hash(SCRIPTS / "apply_extra_steps.py", "my_steps.py:pedestal")

    first = hashed()
    (here / "my_steps.py").write_text(OWN.replace("    return planes\n", "    return planes  # as it is\n"))
    assert hashed() == first
    (here / "my_steps.py").write_text(OWN.replace("    return planes\n", "    planes.sci += 1\n    return planes\n"))
    assert hashed() == first  # of the other function
    (here / "my_steps.py").write_text(OWN.replace("LEVEL = 2.0", "LEVEL = 2.5"))
    assert hashed() != first


def test_what_the_users_own_code_imports_from_beside_it_counts(here):
    def hashed():
        return CodeHashes(here / "cache").hash(SCRIPTS / "apply_extra_steps.py", "my_steps.py:mine")

    (here / "my_steps.py").write_text("from helping import level\ndef mine(a, b, c, d):\n    return level(a)\n")
    (here / "helping.py").write_text("def level(a):\n    return a\ndef other():\n    return 1\n")
    first = hashed()
    (here / "helping.py").write_text("def level(a):\n    return a\ndef other():\n    return 2\n")
    assert hashed() == first
    (here / "helping.py").write_text("def level(a):\n    return a + 1\ndef other():\n    return 2\n")
    assert hashed() != first
    libraries = CodeHashes(here / "cache").libraries(SCRIPTS / "apply_extra_steps.py", "my_steps.py:mine")
    assert "astropy" in libraries


def test_another_jobs_hash_does_not_know_of_extra_steps(here):
    hashes = CodeHashes(here / "cache")
    script = SCRIPTS / "calibrate.py"
    assert not any("extra_steps" in said or "cleaning" in said for said in hashes._all_of(script, ()))


# The plan -----------------------------------------------------------------------------------------------

SCENE = Scene(
    "miri_f1130w", exposures=3, backgrounds=2, detector_shape=(48, 56), stars=4, galaxies=0, pointing_error=0.01, seed=3
)
ROOTS = [f"jw01234001001_02101_0000{n}_mirimage" for n in (1, 2, 3)]
BACKGROUNDS = [f"jw01234002001_02101_0000{n}_mirimage" for n in (1, 2)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extra_steps")
    simulate(folder / "data", SCENE)
    (folder / "my_steps.py").write_text(OWN)
    (folder / f"{ROOTS[0]}.reg").write_text("fk5; circle(1,1,5)")
    return folder


@pytest.fixture
def planned(simulated, monkeypatch):
    """A function that plans with extra steps."""
    monkeypatch.chdir(simulated)

    def plan(**extra_steps):
        config = {
            "associations": ["data/rate/*_asn.json", "data/stage3/*_asn.json"],
            "references": {"directory": "data/references"},
            "extra_steps": extra_steps,
        }
        return make_plan(read_settings(config), [], simulated / "cache")

    return plan


OWN_STEP = {"name": "pedestal", "file": "my_steps.py", "parameters": {"times": 2}}
REGIONS = {"name": "claws", "step": "mask_regions", "inputs": {"regions": "{exposure}.reg"}}


def test_stage_2_reads_what_the_steps_make_of_exposures_and_backgrounds(planned):
    plain, plan = planned(), planned(rate=[OWN_STEP])
    assert set(plan.cleanings) == {f"{root}_rate_clean" for root in [*ROOTS, *BACKGROUNDS]}
    files = JOBS["calibrate"].inputs(plan, exposure=ROOTS[0], cal="cal")
    assert files["exposure"] == f"results/stage2/{ROOTS[0]}_rate_clean.fits"
    name = plan.exposures[ROOTS[0]].background.name
    assert name != plain.exposures[ROOTS[0]].background.name
    members = JOBS["combine_background"].inputs(plan, background=name)["members"]
    assert members == [f"results/stage2/{root}_rate_clean.fits" for root in BACKGROUNDS]
    assert plan.products() == plain.products()
    for root in [*ROOTS, *BACKGROUNDS]:
        assert Sizes(plan).of({"exposure": root, "place": "rate"}, whole=False).total == 48 * 56 / 1e6
        assert root in plan.names()
    parts = components(plan)
    assert len(parts) == 1


def test_what_is_not_selected_goes_on_as_before(planned):
    plain, plan = planned(), planned(rate=[OWN_STEP | {"for": {"exposures": ROOTS[1]}}])
    assert set(plan.cleanings) == {f"{ROOTS[1]}_rate_clean"}
    for root in (ROOTS[0], ROOTS[2]):
        for function in (JOBS["calibrate"].inputs, JOBS["calibrate"].parameters):
            assert function(plan, exposure=root, cal="cal") == function(plain, exposure=root, cal="cal")


def test_stage_3_reads_what_the_steps_make_and_the_cal_stays(planned):
    plain, plan = planned(), planned(cal=[REGIONS], save_clean=True)
    clean = f"results/stage2/{ROOTS[0]}_cal_clean.fits"
    assert set(plan.products()) - set(plain.products()) == {clean}
    assert JOBS["find_stars"].inputs(plan, member=ROOTS[0])["cal"] == clean
    assert JOBS["find_stars"].inputs(plan, member=ROOTS[1])["cal"] == f"results/stage2/{ROOTS[1]}_cal.fits"
    assert JOBS["resample_exposure"].inputs(plan, exposure=ROOTS[0]) == JOBS["resample_exposure"].inputs(
        plain, exposure=ROOTS[0]
    )
    files = JOBS["apply_extra_steps"].inputs(plan, exposure=ROOTS[0], place="cal")
    assert files == {
        "exposure": f"results/stage2/{ROOTS[0]}_cal.fits",
        "geometry": f"results/stage2/geometry/{ROOTS[0]}_cal.json",
        "inputs_0": [f"{ROOTS[0]}.reg"],
    }
    (step,) = JOBS["apply_extra_steps"].parameters(plan, exposure=ROOTS[0], place="cal").steps
    assert step["parameters"] == {"flags": "DO_NOT_USE", "grow": 0.0}
    assert step["inputs"] == [["regions", "text"]]
    (notice,) = set(plan.notices) - set(plain.notices)
    assert notice == f"claws: not applied to {ROOTS[1]}, {ROOTS[2]}: there is no file {ROOTS[1]}.reg"


def test_the_flat_of_stage_2_is_given_to_the_step_that_asks_for_it(planned):
    step = {"name": "clean_flicker_noise"}
    flat = "data/references/jwst_miri_flat_0001.fits"

    def inputs(**changes):
        plan = planned(rate=[step | changes])
        return [
            JOBS["apply_extra_steps"].inputs(plan, exposure=root, place="rate").get("inputs_0")
            for root in (ROOTS[0], BACKGROUNDS[0])
        ]

    assert inputs() == [[flat], [flat]]
    assert inputs(parameters={"apply_flat_field": False}) == [None, None]
    Path("own.fits").touch()
    assert inputs(inputs={"flat": "own.fits"}) == [["own.fits"], ["own.fits"]]
    (kept,) = planned(rate=[step]).cleanings[f"{ROOTS[0]}_rate_clean"].steps
    assert kept.inputs == {"flat": (flat, "response")}


def test_a_flat_is_cut_to_the_exposure_and_has_no_response_where_it_is_flagged(here):
    flat = np.arange(20, dtype=np.float32).reshape(4, 5) + 1
    dq = np.zeros((4, 5), np.uint32)
    dq[2, 3] = 1
    header = fits.Header({"SUBSTRT1": 1, "SUBSTRT2": 1})
    write_exposure(
        Exposure(Image(flat, np.ones_like(flat), dq), {"PRIMARY": header, "SCI": fits.Header()}), here / "flat.fits"
    )
    seen = []

    def stub(planes, parameters, facts, flat):
        seen.append(flat)
        return Cleaned()

    name = SHIPPED["clean_flicker_noise"]
    step = Step(
        "a",
        "S_A",
        in_full(name.function),
        parameter_class=in_full(name.parameters),
        inputs={"flat": ("flat.fits", "response")},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calflow.science.cleaning.clean_flicker_noise.clean_flicker_noise", stub)
        call = step.called(["SCI"], "rate")
        call(image(2, 3), replace(FACTS, first_pixel=(2, 2)))
    np.testing.assert_array_equal(seen[0], [[7, 8, 9], [12, 13, np.nan]])


def test_earlier_exposures_of_the_detector_come_in_order_of_time(planned):
    step = {"name": "other", "file": "seen.py", "others": "earlier"}
    Path("seen.py").write_text("def other(planes, parameters, facts, inputs, others):\n    return planes\n")
    plan = planned(rate=[step])

    def others(plan, root, place="rate"):
        files = JOBS["apply_extra_steps"].inputs(plan, exposure=root, place=place).get("others_0", [])
        return [Path(file).name.removesuffix(f"_{place}.fits") for file in files]

    every = [*ROOTS, *BACKGROUNDS]
    times = {root: fits.getheader(f"data/rate/{root}_rate.fits")["EXPSTART"] for root in every}
    in_time = sorted(every, key=times.__getitem__)
    assert len(set(times.values())) == len(every)
    for number, root in enumerate(in_time):
        assert others(plan, root) == in_time[:number]
    plan = planned(rate=[step | {"others": "all"}])
    assert others(plan, in_time[2]) == [*in_time[:2], *in_time[3:]]
    hours = 24 * (times[in_time[3]] - times[in_time[1]]) + 0.001
    assert others(planned(rate=[step | {"within": hours}]), in_time[3]) == in_time[1:3]
    last = planned(cal=[step | {"others": "all"}])
    assert others(last, ROOTS[0], "cal") == ROOTS[1:]
    assert len(components(last)) == 1


def test_persistence_reads_what_ended_a_short_time_before(planned):
    headers = {root: fits.getheader(f"data/rate/{root}_rate.fits") for root in [*ROOTS, *BACKGROUNDS]}
    in_time = sorted(headers, key=lambda root: headers[root]["EXPSTART"])
    third, first = headers[in_time[2]], headers[in_time[0]]
    between = 86400 * (third["EXPSTART"] - first["EXPSTART"]) - first["TMEASURE"]

    def others(time):
        plan = planned(rate=[{"name": "persistence", "parameters": {"time": time}}])
        files = JOBS["apply_extra_steps"].inputs(plan, exposure=in_time[2], place="rate")["others_0"]
        return [Path(file).name.removesuffix("_rate.fits") for file in files]

    assert others(between + 1) == in_time[:2]
    assert others(between - 1) == in_time[1:2]


COLLECT = {"name": "bad", "file": "set.py", "collect": "count"}


def test_the_order_in_time_has_to_be_known(planned, tmp_path):
    Path("seen.py").write_text("def other(planes, parameters, facts, inputs, others):\n    return planes\n")
    path = Path(f"data/rate/{BACKGROUNDS[0]}_rate.fits")
    kept = path.read_bytes()
    try:
        with fits.open(path, mode="update") as hdus:
            del hdus[0].header["DATE-OBS"]
        with pytest.raises(InputError, match="None does not tell when the exposure began; the step other goes by"):
            planned(rate=[{"name": "other", "file": "seen.py", "others": "earlier"}])
    finally:
        path.write_bytes(kept)


def test_what_is_made_of_a_set_is_one_job_for_each_detector(planned):
    Path("set.py").write_text(
        "def count(exposures, parameters): ...\ndef bad(planes, parameters, facts, inputs, collected): ...\n"
    )
    plan = planned(rate=[COLLECT])
    (name,) = plan.collections
    assert name.startswith("bad_mirimage_")
    members = JOBS["collect_exposures"].inputs(plan, collection=name)["exposures"]
    assert sorted(members) == sorted(f"data/rate/{root}_rate.fits" for root in [*ROOTS, *BACKGROUNDS])
    for root in [*ROOTS, *BACKGROUNDS]:
        files = JOBS["apply_extra_steps"].inputs(plan, exposure=root, place="rate")
        assert files["collected_0"] == f"results/stage2/collected/{name}.fits"
    assert JOBS["collect_exposures"].parameters(plan, collection=name).function == "set.py:count"
    assert JOBS["collect_exposures"].functions(plan, collection=name) == ["set.py:count"]
    assert Sizes(plan).of({"collection": name}, whole=False).exposures == 5
    assert name in plan.names()
    assert len(components(plan)) == 1
    assert plan_from_json(plan_to_json(plan)).collections == plan.collections
    by_filter = planned(cal=[COLLECT | {"collect_by": "filter", "for": {"exposures": ROOTS[:2]}}])
    (name,) = by_filter.collections
    assert name.startswith("bad_mirimage-f1130w_")
    assert by_filter.collections[name].members == tuple(f"results/stage2/{root}_cal.fits" for root in ROOTS[:2])
    own = planned(cal=[{"name": "subtract_own_template"}])  # which goes by filter, unless told otherwise
    (name,) = own.collections
    assert name.startswith("subtract_own_template_mirimage-f1130w_")
    assert JOBS["collect_exposures"].functions(own, collection=name)[0].endswith("template_making:make_template")


def test_a_mask_of_another_run_takes_the_place_of_what_would_be_collected(planned):
    plan = planned(rate=[{"name": "bad_pixels"}])
    (name,) = plan.collections
    assert len(plan.collections[name].members) == 5
    assert JOBS["collect_exposures"].functions(plan, collection=name) == [
        in_full("bad_pixels:collect_bad_pixels"),
        in_full("bad_pixels_parameters:BadPixels"),
    ]
    Path("mirimage.fits").touch()
    plan = planned(rate=[{"name": "bad_pixels", "inputs": {"mask": "mirimage.fits"}}])
    assert not plan.collections
    (step,) = JOBS["apply_extra_steps"].parameters(plan, exposure=ROOTS[0], place="rate").steps
    assert step["inputs"] == [["mask", "arrays"]]
    assert "collected_0" not in JOBS["apply_extra_steps"].inputs(plan, exposure=ROOTS[0], place="rate")


def test_a_plan_with_extra_steps_comes_back_as_it_was(planned):
    plan = planned(rate=[OWN_STEP], cal=[REGIONS])
    again = plan_from_json(plan_to_json(plan))
    assert again.cleanings == plan.cleanings
    for name in ("apply_extra_steps", "calibrate"):
        wildcards = (
            {"exposure": ROOTS[0], "place": "rate"}
            if name.startswith("apply")
            else {"exposure": ROOTS[0], "cal": "cal"}
        )
        for function in (JOBS[name].inputs, JOBS[name].parameters):
            assert function(again, **wildcards) == function(plan, **wildcards)


@pytest.mark.parametrize(
    ("place", "step", "problem"),
    [
        ("rate", {"for": {"filter": "F770W"}}, "for: no exposure has filter F770W; there are F1130W; or set optional"),
        (
            "cal",
            {"for": {"detector": "X1", "filter": "F1130W"}},
            "for: no exposure has detector X1; there are MIRIMAGE",
        ),
        ("rate", {"for": {"exposures": "jw02*"}}, "for: selects none of 5 exposures; there are jw01234001001_02101_"),
        ("cal", {"for": {"exposures": BACKGROUNDS[0]}}, "for: selects none of 3 exposures"),
        ("rate", {"inputs": {"a": "none.fits"}}, "inputs.a: no such file 'none.fits'; give a file"),
        (
            "rate",
            {"inputs": {"a": "{detector}.fits"}},
            "inputs: there is a file for none of 5 exposures, such as 'MIRIM",
        ),
        ("rate", {"inputs": {"a": "{visit}.fits"}}, "inputs.a: {visit} stands for nothing; {exposure}, {instrument}"),
    ],
)
def test_what_is_wrong_is_one_problem_before_any_job(planned, place, step, problem):
    with pytest.raises(InputError) as caught:
        planned(**{place: [OWN_STEP | step]})
    (only,) = caught.value.problems
    assert f"{only.key}: {only.wrong}; {only.right}".startswith(f"extra_steps.{place}[0].{problem}")


def test_no_selected_exposure_may_be_no_mistake(planned):
    assert planned(rate=[OWN_STEP | {"for": {"filter": "F770W"}, "optional": True}]).cleanings == {}


def test_a_region_file_is_read_before_any_job(planned):
    Path("bad.reg").write_text("image\ncircle(1,2)\n")
    with pytest.raises(InputError) as caught:
        planned(cal=[REGIONS | {"inputs": {"regions": "bad.reg"}}])
    assert [(p.file, p.wrong) for p in caught.value.problems] == [
        ("bad.reg", "line 2: a circle has a position and 1 size")
    ]
    with pytest.raises(InputError, match=r"mask them in extra_steps\.cal"):
        planned(rate=[REGIONS])


def test_nothing_is_planned_of_steps_that_are_wrong(planned):
    with pytest.raises(InputError) as caught:
        planned(rate=[{"name": "nothing_such"}], cal=[REGIONS | {"parameters": {"grow": -1}}])
    assert len(caught.value.problems) == 2


def test_in_a_shard_paths_are_absolute_and_a_step_need_not_be_for_any_exposure(here):
    given = {"extra_steps": {"rate": [OWN_STEP | {"for": {"filter": "F1130W"}}], "cal": [REGIONS], "save_clean": True}}
    files = files_of(SimpleNamespace(parts=[], exposures=["a"]), read_settings(given), given, here / "0001")
    (rate,), (cal,) = (yaml.safe_load(files["shard.yaml"])["extra_steps"][place] for place in ("rate", "cal"))
    assert rate == OWN_STEP | {"for": {"filter": ["F1130W"]}, "file": str(here / "my_steps.py"), "optional": True}
    assert cal == REGIONS | {"inputs": {"regions": str(here / "{exposure}.reg")}, "optional": True}
    assert yaml.safe_load(files["shard.yaml"])["extra_steps"]["save_clean"] is True


def test_what_is_remembered_as_up_to_date_goes_by_the_users_code(planned):
    assert _users_code(planned()) == _users_code(planned(cal=[REGIONS])) == ""
    before = _users_code(planned(rate=[OWN_STEP]))
    try:
        Path("my_steps.py").write_text(OWN.replace("LEVEL = 2.0", "LEVEL = 1.0"))
        assert before != _users_code(planned(rate=[OWN_STEP])) != ""
    finally:
        Path("my_steps.py").write_text(OWN)


def test_without_extra_steps_there_is_nothing():
    assert list(Settings().extra_steps.steps()) == []
