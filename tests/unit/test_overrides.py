"""Parameters for some exposures alone."""

from types import SimpleNamespace

import pytest
import yaml

from calflow.configuration.problems import InputError
from calflow.configuration.settings import read_settings
from calflow.jobs.all import JOBS
from calflow.plan.plan_json import plan_from_json, plan_to_json
from calflow.plan.planner import make_plan
from calflow.shards.folders import files_of
from calflow.simulation import Scene, simulate

SCENE = Scene(
    "miri_f1130w", exposures=3, backgrounds=2, detector_shape=(48, 56), stars=4, galaxies=0, pointing_error=0.01, seed=3
)
ROOTS = [f"jw01234001001_02101_0000{n}_mirimage" for n in (1, 2, 3)]
PRODUCT = "jw01234-o001_t001_miri_f1130w"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overrides")
    simulate(folder / "data", SCENE)
    return folder


@pytest.fixture
def planned(simulated, monkeypatch):
    """A function that plans with overrides."""
    monkeypatch.chdir(simulated)

    def plan(*overrides, **more):
        config = {
            "associations": ["data/rate/*_asn.json", "data/stage3/*_asn.json"],
            "references": {"directory": "data/references"},
            "overrides": list(overrides),
        }
        return make_plan(read_settings(config | more), [], simulated / "cache")

    return plan


def calibration(plan, root):
    return JOBS["calibrate"].parameters(plan, exposure=root, cal="cal")


def test_an_exposure_has_its_own_parameters_and_the_others_theirs(planned):
    override = {"for": {"exposures": ROOTS[1]}, "stage2": {"assign_wcs": {"sip_degree": 3}}}
    plain, plan = planned(), planned(override)
    assert calibration(plan, ROOTS[1]).sip["degree"] == 3
    assert calibration(plan, ROOTS[1])._replace(sip=None) == calibration(plain, ROOTS[1])._replace(sip=None)
    for root in (ROOTS[0], ROOTS[2]):
        assert calibration(plan, root) == calibration(plain, root)


def test_they_win_over_all_else_and_of_several_the_last(planned):
    filters = [{"for": {"filter": "F1130W"}, "stage2": {"flat_field": {"skip": True}, "assign_wcs": {"sip_degree": 3}}}]
    last = {"for": {"detector": "MIRI*"}, "stage2": {"assign_wcs": {"sip_degree": 2}}}
    plan = planned(*filters, last, stage2={"assign_wcs": {"sip_degree": 4, "sip_npoints": 16}})
    assert plan.exposures[ROOTS[0]].status == {"flat_field": "SKIPPED"}
    sip = calibration(plan, ROOTS[0]).sip
    assert (sip["degree"], sip["npoints"]) == (2, 16)


def test_backgrounds_that_are_averaged_in_another_way_are_another_set(planned):
    override = {"for": {"exposures": ROOTS[0]}, "stage2": {"bkg_subtract": {"sigma": 5.0}}}
    plan = planned(override)
    sets = {root: plan.exposures[root].background.name for root in ROOTS}
    assert sets[ROOTS[1]] == sets[ROOTS[2]] != sets[ROOTS[0]]
    averages = {root: JOBS["combine_background"].parameters(plan, background=name) for root, name in sets.items()}
    assert [averages[root].bkg_subtract["sigma"] for root in ROOTS] == [5.0, 3.0, 3.0]


def test_stars_are_found_by_those_of_the_exposure_and_images_made_by_those_of_the_first(planned):
    first = {"for": {"exposures": ROOTS[0]}, "stage3": {"resample": {"pixfrac": 0.5}}}
    second = {
        "for": {"exposures": ROOTS[1]},
        "stage3": {"tweakreg": {"snr_threshold": 99.0}, "resample": {"pixfrac": 0.7}},
    }
    plan = planned(first, second)
    assert plan.stage3.parameters(PRODUCT).resample.pixfrac == 0.5
    found = [JOBS["find_stars"].parameters(plan, member=root).finder["snr_threshold"] for root in ROOTS]
    assert found[1] == 99.0
    assert found[0] == found[2] != 99.0


def test_headers_say_of_them_as_little_as_of_the_configuration(planned):
    override = {"for": {"filter": "F1130W"}, "stage2": {"assign_wcs": {"sip_degree": 3}}}
    assert calibration(planned(override), ROOTS[0]).origin == calibration(planned(), ROOTS[0]).origin
    assert plan_from_json(plan_to_json(planned(override))).exposures == planned(override).exposures


@pytest.mark.parametrize(
    ("override", "key", "text"),
    [
        ({"for": {"filter": "F770W"}, "stage2": {"photom": {"skip": True}}}, "overrides[0].for", "selects no exposure"),
        (
            {"stage2": {"save_bsub": True}},
            "overrides[0].stage2.save_bsub",
            "holds for all exposures; set stage2.save_bsub",
        ),
        (
            {"stage3": {"tweakreg": {"sharplo": 0.9}}},
            "overrides[0].stage3",
            "does not go with the other parameters; sharplo must be below sharphi",
        ),
    ],
)
def test_what_is_wrong_is_told_before_any_job(planned, override, key, text):
    with pytest.raises(InputError) as caught:
        planned(override, stage3={"tweakreg": {"sharphi": 0.8}})
    (problem,) = caught.value.problems
    assert problem.key == key
    assert f"{problem.wrong}; {problem.right}".startswith(text)


@pytest.mark.parametrize(
    ("override", "key", "right"),
    [
        ({"stage2": {"photm": {}}}, "overrides[0].stage2.photm", "did you mean 'photom'?"),
        ({"stage3": {"resample": {"pixfrac": 3}}}, "overrides[0].stage3.resample.pixfrac", "give a number from 0 to 1"),
        ({"for": "F770W"}, "overrides[0].for", "it is a section: give keys with values below it, such as instrument"),
    ],
)
def test_what_is_no_parameter_is_told_with_its_place(override, key, right):
    with pytest.raises(InputError) as caught:
        read_settings({"overrides": [override]})
    (problem,) = caught.value.problems
    assert problem.key == key
    assert problem.right.startswith(right)


def test_one_that_may_be_for_nothing_and_that_of_a_shard(planned, tmp_path, monkeypatch):
    override = {"for": {"filter": "F770W"}, "stage3": {"tweakreg": {"abs_refcat": "my.ecsv"}}}
    planned(override | {"optional": True})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.ecsv").touch()
    given = {"overrides": [override]}
    files = files_of(SimpleNamespace(parts=[], exposures=["a"]), read_settings(given), given, tmp_path / "0001")
    (written,) = yaml.safe_load(files["shard.yaml"])["overrides"]
    assert written["optional"] is True
    assert written["stage3"] == {"tweakreg": {"abs_refcat": str(tmp_path / "my.ecsv")}}


def test_those_of_others_are_not_looked_at_again_for_each():
    """With hundreds of them that took minutes: they are the same objects after values of one have been put in."""
    given = {"overrides": [{"for": {"filter": name}, "stage3": {"tweakreg": {"minobj": 9}}} for name in ("F1", "F2")]}
    settings = read_settings(given)
    changed = settings.overridden({"stage3": settings.overrides[0].values("stage3")})
    assert changed.stage3.tweakreg.minobj == 9
    assert all(after is before for after, before in zip(changed.overrides, settings.overrides, strict=True))
