"""A plan written as JSON is the same plan when it is read; what is no plan is refused, and runs nothing."""

import json
from pathlib import Path

import pytest

from calflow.configuration.settings import Settings, read_settings
from calflow.instruments.iris.simulation import IRIS_K, IrisField, simulate_iris
from calflow.jobs.all import JOBS
from calflow.plan.plan import Plan
from calflow.plan.plan_json import NotAPlan, plan_from_json, plan_to_json
from calflow.plan.planner import make_plan
from calflow.references.crds_cache import CrdsCache, Fetch
from calflow.simulation import Scene, simulate

STARS = {"detector_shape": (48, 56), "stars": 4, "galaxies": 0, "seed": 3}
JWST = Scene("miri_f1130w", exposures=3, backgrounds=2, **STARS)
IRIS = IrisField(
    Scene(IRIS_K, exposures=2, backgrounds=2, pointing_error=0.01, **STARS | {"detector_shape": (90, 110)}),
    bright_stars=[(50.2, 40.7, 20.0)],
    subarrays=1,
    subarray_exposures=[2],
    subarray_size=24,
)


def described(plan):
    """Return all that a plan holds."""
    return vars(plan) | {"stage3": vars(plan.stage3), "crds": vars(plan.crds)}


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """The plan of exposures of two telescopes, with backgrounds, merged subarrays and stage 3."""
    folder = tmp_path_factory.mktemp("planned")
    simulate(folder / "jwst", JWST)
    simulate_iris(folder / "iris", IRIS)
    config = {
        "output": "out",
        "associations": [f"{folder}/*/{kind}/*_asn.json" for kind in ("rate", "merge", "stage3")],
        "references": {"directory": str(folder / "references")},
        "stage2": {"save_bsub": True, "resample": {"fillval": "NAN"}},
    }
    (folder / "references").mkdir()
    for file in folder.glob("*/references/*"):
        file.rename(folder / "references" / file.name)
    return make_plan(read_settings(config), [], folder / "cache")


def test_the_same_plan_comes_back(planned):
    assert planned.merges
    assert planned.stage3.associations
    text = plan_to_json(planned)
    again = plan_from_json(text)
    assert described(again) == described(planned)
    assert again.products() == planned.products()
    assert JOBS["calibrate"].inputs(again, exposure=next(iter(planned.exposures)), cal="cal")
    assert plan_to_json(again) == text


def test_what_the_cache_lacks_comes_back():
    fetch = Fetch(Path("cache/references/jwst/miri/a.fits"), "jwst", "https://example.org")
    plan = Plan(Settings(), (), notices=["é \udcff"], cache=CrdsCache(Path("cache"), [fetch], [], [("jwst", "a.pmap")]))
    again = plan_from_json(plan_to_json(plan))
    assert described(again) == described(plan)


@pytest.mark.parametrize(
    "objects",
    [
        [],
        {},
        5,
        [["Plan"]],
        [["list", 1]],
        [["list", [5]]],
        [["system", "touch x"]],
        [["Path", 5]],
        [["Settings", [0]]],
        [["dict", "output", 7], ["Settings", [0]]],
        [["Window", 0, 0, 0, 0]],
        [["Family", 99]],
        [["dict", 1]],
        [[["list"]]],
    ],
    ids=repr,
)
def test_what_is_no_plan(objects):
    with pytest.raises(NotAPlan):
        plan_from_json(json.dumps(objects))


def test_text_that_is_no_json():
    with pytest.raises(NotAPlan):
        plan_from_json("cposix\nsystem\n(S'true'\ntR.")


def test_what_has_no_kind_cannot_be_written():
    plan = Plan(Settings(), (), notices=[object()])
    with pytest.raises(TypeError, match="holds no <class 'object'>"):
        plan_to_json(plan)
