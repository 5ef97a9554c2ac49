"""The configuration: defaults in config.yaml, checks, and whose fault an error is."""

from pathlib import Path

import pytest
import yaml

from problems import InputError
from settings import Settings, default_config, read_settings

ROOT = Path(__file__).parents[2]


def problems(config, files=()):
    with pytest.raises(InputError) as caught:
        read_settings(config, files)
    return [str(problem) for problem in caught.value.problems]


def test_config_yaml_is_written_from_the_models():
    assert (ROOT / "config.yaml").read_text() == default_config()


def test_config_yaml_holds_the_defaults():
    assert read_settings(yaml.safe_load((ROOT / "config.yaml").read_text())) == Settings()


def test_defaults_are_those_of_jwst():
    stage2 = Settings().stage2
    assert (stage2.bkg_subtract.sigma, stage2.bkg_subtract.maxiters) == (3.0, None)
    assert (stage2.assign_wcs.sip_max_pix_error, stage2.assign_wcs.sip_npoints) == (0.01, 12)
    resample = stage2.resample
    assert (resample.pixfrac, resample.kernel, resample.fillval, resample.weight_type) == (1.0, "square", "NAN", "ivm")
    assert (resample.pixmap_stepsize, resample.pixmap_order, resample.propagate_dq) == (1.0, 1, False)


def test_text_from_the_command_line_is_read_as_its_type():
    given = {"stage2": {"resample": {"pixfrac": "0.5", "rotation": "None", "enable_err": "false", "fillval": "0"}}}
    resample = read_settings(given).stage2.resample
    assert (resample.pixfrac, resample.rotation, resample.enable_err, resample.fillval) == (0.5, None, False, "0.0")


def test_one_file_is_a_list_of_one():
    assert read_settings({"associations": "a.json"}).associations == ["a.json"]


@pytest.mark.parametrize(("given", "normal"), [("./out/", "out"), (".", "."), ("a//b/../c", "a/c")])
def test_the_output_folder_has_one_spelling(given, normal):
    assert read_settings({"output": given}).output == normal


def test_an_empty_section_is_its_defaults():
    assert read_settings({"stage2": {"resample": None}, "references": None}) == Settings()


def test_a_wrong_item_of_a_list(tmp_path):
    (tmp_path / "my.yaml").write_text("associations: [3]")
    (problem,) = problems({"associations": [3]}, [ROOT / "config.yaml", tmp_path / "my.yaml"])
    assert problem.startswith(f"{tmp_path}/my.yaml: associations.0: 3 is not valid")


def test_all_problems_together():
    found = problems({"outputt": "x", "stage2": {"photom": {"skp": True}, "resample": {"pixfrac": 3}}})
    assert len(found) == 3


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"stage2": {"resample": {"weight_type": "None"}}}, "'ivm' or 'exptime'"),
        ({"stage2": {"resample": {"output_shape": [0, 5]}}}, "output_shape.0"),
        ({"stage2": {"resample": {"output_shape": [60000, 60000]}}}, "at most 2.5e+08 pixels"),
        ({"stage2": {"resample": {"crval": [10, 95]}}}, "dec from -90 to 90"),
        ({"stage2": {"resample": {"pixel_scale": -1}}}, "greater than 0"),
        ({"stage2": {"assign_wcs": {"sip_degree": 7}}}, "less than or equal to 6"),
        ({"stage2": {"bkg_subtract": {"sigma": float("nan")}}}, "finite"),
        ({"stage2": {"bkg_subtract": {"bkg_list": []}}}, "unknown key"),
        ({"stage2": {"photon": {}}}, "did you mean 'photom'?"),
        ({"output": ""}, "at least 1 character"),
    ],
)
def test_wrong_values(config, words):
    (problem,) = problems(config)
    assert words in problem


def test_the_file_with_the_wrong_key_is_named(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("stage2: {photom: {skip: maybe}}")
    second.write_text("output: x")
    (problem,) = problems({"output": "x", "stage2": {"photom": {"skip": "maybe"}}}, [second, first])
    assert problem.startswith(f"{first}: stage2.photom.skip: 'maybe'")


def test_a_value_from_no_file_is_from_the_command_line():
    (problem,) = problems({"stage2": {"photom": {"skip": "maybe"}}}, [ROOT / "config.yaml"])
    assert problem.startswith("--config: ")
