"""The job that takes an exposure through its extra steps: a file in, a file out."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

import apply_extra_steps
import collect_exposures
from calflow.calibration.extra_steps import ExtraStep, read_collection
from calflow.files.exposure import Exposure, read_exposure, write_exposure
from calflow.job import UnusableExposure
from calflow.science.cleaning.shipped import in_full
from calflow.science.cleaning.step import Facts
from calflow.science.image import Image

OWN = """\
def add(planes, parameters, facts, inputs):
    planes.sci += 10 * facts.integration if facts.integration is not None else parameters["level"]
    return planes, {"pixels": 4}


def spoil(planes, parameters, facts, inputs):
    planes.dq[:] |= 1
    return planes


def overflow(planes, parameters, facts, inputs):
    planes.sci = planes.sci.astype(float)
    planes.sci[0, 0] = 1e300
    planes.sci[0, 1] = 1e30
    return planes


def earlier(planes, parameters, facts, inputs, others):
    names = [f"{of.name} {other.sci[0, 0]:g}" for other, of in others]
    return planes, {"seen": " and ".join(names)}
"""


class Files(dict):
    """Files by their roles, as Snakemake has them."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def set_of_three(tmp_path, monkeypatch):
    """Three exposures, of which a pixel is high in two."""
    monkeypatch.chdir(tmp_path)
    for number, value in enumerate((1, 1, 1)):
        write(tmp_path / f"{number}_rate.fits", 2, 3, value=value)
        if number:
            with fits.open(tmp_path / f"{number}_rate.fits", mode="update") as hdus:
                hdus["SCI"].data[1, 2] = 9
    return [f"{number}_rate.fits" for number in range(3)]


def collected(tmp_path, body, exposures):
    (tmp_path / "set.py").write_text(body)
    params = SimpleNamespace(
        step="bad",
        place="rate",
        images=["SCI"],
        function="set.py:count",
        parameters={"limit": 5},
        parameter_class="",
        with_light=[],
    )
    output = SimpleNamespace(collection=str(tmp_path / "bad.fits"))
    collect_exposures.collect_exposures(SimpleNamespace(exposures=exposures), output, params)
    return read_collection(output.collection)


def test_what_is_made_of_a_set_is_given_to_the_step_for_each_exposure(set_of_three, tmp_path):
    body = (
        "import numpy as np\n"
        "def count(exposures, parameters):\n"
        "    high = [planes.sci > parameters['limit'] for planes, facts in exposures]\n"
        "    return {'bad': np.mean(high, axis=0) > 0.5, 'Number': np.sum(high, axis=0)}\n"
        "def flag(planes, parameters, facts, inputs, collected):\n"
        "    planes.dq[collected['bad'] > 0] |= 1\n"
        "    return planes, {'pixels': int(collected['bad'].sum())}\n"
    )
    found = collected(tmp_path, body, set_of_three)
    np.testing.assert_array_equal(found["bad"], [[0, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(found["number"], [[0, 0, 0], [0, 0, 2]])
    first = (tmp_path / "bad.fits").read_bytes()
    collected(tmp_path, body, set_of_three)
    assert (tmp_path / "bad.fits").read_bytes() == first
    step = ExtraStep("bad", "S_BAD", "set.py:flag", {}, collected=str(tmp_path / "bad.fits"))
    image = read_exposure(tmp_path / "0_rate.fits").image
    planes, figures = step.called(["SCI"], "rate")(image, Facts("0", "rate"))
    np.testing.assert_array_equal(planes.dq, found["bad"])
    assert figures == {"pixels": 1}


def test_an_exposure_is_left_out_as_it_was_collected(tmp_path, monkeypatch):
    """Whatever a step before has done to it: the flat of the others is 1 where theirs is."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    response = random.normal(1, 0.02, (64, 64))
    for number in range(6):
        sky = random.normal(100 * response, 0.1).astype(np.float32)
        sky[30:34, 30:34] += 0.25 * (number == 0)
        write(tmp_path / f"{number}_cal.fits", 64, 64, value=sky)
    params = SimpleNamespace(
        step="sky_flat",
        place="cal",
        images=["SCI"],
        function=in_full("sky_flat:collect_sky_flat"),
        parameters={},
        parameter_class=in_full("sky_flat_parameters:SkyFlat"),
        with_light=[],
    )
    names = SimpleNamespace(exposures=[f"{number}_cal.fits" for number in range(6)])
    collect_exposures.collect_exposures(names, SimpleNamespace(collection="flat.fits"), params)
    planned = in_full("sky_flat:sky_flat"), {}, params.parameter_class
    step = ExtraStep("sky_flat", "S_SKYFLT", *planned, collected="flat.fits", leaves_out=True)
    image = read_exposure(tmp_path / "0_cal.fits").image
    image.sci[:] = 100
    planes, _ = step.called(["SCI"], "cal", "0_cal.fits")(image, Facts("0", "cal"))
    others = [read_exposure(tmp_path / f"{number}_cal.fits").image.sci[30:34, 30:34] for number in range(1, 6)]
    ratio = planes.sci[30:34, 30:34] * np.mean(others, axis=0) / 1e4
    assert ratio.mean() == pytest.approx(1, abs=2e-3)  # the median of all pixels is another one
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)  # a sixth of 0.25 per cent is four times as much


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("1 / 0", "bad: set.py, line 2: ZeroDivisionError: division by zero"),
        ("None", "bad: count returned NoneType: return arrays by name"),
        ("{'a': 'b'}", "bad: a is <U1 of shape (): return arrays of numbers"),
    ],
)
def test_what_a_set_comes_to_is_arrays(set_of_three, tmp_path, returned, reason):
    with pytest.raises(ValueError, match="bad") as caught:
        collected(tmp_path, f"def count(exposures, parameters):\n    return {returned}\n", set_of_three)
    assert str(caught.value) == reason


@pytest.fixture
def apply(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_steps.py").write_text(OWN)

    def apply(*functions, **files):
        steps = [
            {
                "name": function,
                "keyword": f"S_{function[:6].upper()}",
                "function": f"my_steps.py:{function}",
                "parameters": {"level": 0.5},
                "parameter_class": "",
                "inputs": [],
                "takes_others": function == "earlier",
                "leaves_out": False,
            }
            for function in functions
        ]
        params = SimpleNamespace(root="a", place="rate", images=["SCI"], facts={}, steps=steps, writing={})
        output = Files(clean=str(tmp_path / "a_rate_clean.fits"))
        apply_extra_steps.apply_extra_steps(Files(exposure="a_rate.fits", **files), output, params)
        return read_exposure(tmp_path / "a_rate_clean.fits")

    return apply


def write(name, *shape, value=1):
    image = Image(np.full(shape, value, np.float32), np.ones(shape, np.float32), np.zeros(shape, np.uint32))
    primary = fits.Header({"DETECTOR": "D", "OBS_ID": "kept"})
    write_exposure(Exposure(image, {"PRIMARY": primary, "SCI": fits.Header({"BUNIT": "DN/s"})}), name)


def test_steps_run_in_their_order_and_are_recorded(apply, tmp_path):
    write(tmp_path / "a_rate.fits", 2, 3)
    found = apply("add", "overflow")
    assert found.image.sci[1, 1] == 1.5
    header = found.primary
    assert (header["S_ADD"], header["N_ADD"], header["S_OVERFL"], header["OBS_ID"]) == (
        "COMPLETE",
        4,
        "COMPLETE",
        "kept",
    )
    history = list(header["HISTORY"])
    assert history == [
        "Extra step add; add of my_steps.py, level=0.5; pixels 4",
        "Extra step overflow; overflow of my_steps.py, level=0.5",
    ]
    assert found.science["BUNIT"] == "DN/s"


def test_what_a_step_leaves_that_is_no_value_is_marked(apply, tmp_path):
    write(tmp_path / "a_rate.fits", 2, 3)
    image = apply("overflow").image
    assert np.isnan(image.sci[0, :2]).all()
    np.testing.assert_array_equal(image.dq, [[1, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("block", [1 << 22, 6])
def test_of_many_integrations_each_is_worked_on_by_itself_in_blocks(apply, tmp_path, monkeypatch, block):
    monkeypatch.setattr(apply_extra_steps, "BLOCK_PIXELS", block)
    write(tmp_path / "a_rate.fits", 3, 2, 3)
    found = apply("add")
    np.testing.assert_array_equal(found.image.sci[:, 0, 0], [1, 11, 21])
    assert found.primary["S_ADD"] == "COMPLETE"
    assert found.primary.get("N_ADD") == (12 if block > 6 else None)


def test_other_exposures_are_given_with_their_names(apply, tmp_path):
    for name, value in (("a", 1), ("b", 2), ("c", 3)):
        write(tmp_path / f"{name}_rate.fits", 2, 3, value=value)
    assert "seen b 2 and c 3" in str(apply("earlier", others_0=["b_rate.fits", "c_rate.fits"]).primary["HISTORY"])
    assert "seen c 3" in str(apply("earlier", others_0="c_rate.fits").primary["HISTORY"])
    assert "seen" in str(apply("earlier").primary["HISTORY"])


def test_an_exposure_of_which_nothing_is_left_fails(apply, tmp_path):
    write(tmp_path / "a_rate.fits", 2, 3)
    with pytest.raises(UnusableExposure, match="no usable pixel is left after add, spoil"):
        apply("add", "spoil")
    assert not (tmp_path / "a_rate_clean.fits").exists()
