"""The plan that a run leaves for its jobs."""

import shutil

import pytest

from calflow.configuration.settings import Settings
from calflow.plan import handed_on as module
from calflow.plan.handed_on import hand_on, handed_on
from calflow.plan.plan import Plan

CONFIG = {"output": "results", "stage2": {"photom": {"skip": True}}}


def test_jobs_with_the_same_configuration_get_it(tmp_path):
    plan = Plan(Settings.model_validate(CONFIG), ())
    hand_on(plan, CONFIG, tmp_path / "new" / "plan")
    found = handed_on(CONFIG, tmp_path / "new" / "plan")
    assert found.settings == plan.settings
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["plan"]


def test_others_do_not(tmp_path):
    hand_on(Plan(Settings.model_validate(CONFIG), ()), CONFIG, tmp_path / "plan")
    assert handed_on(CONFIG | {"output": "elsewhere"}, tmp_path / "plan") is None


@pytest.mark.parametrize(
    "name",
    [
        "settings.py",
        "calflow/job.py",
        "calflow/configuration/problems.py",
        "calflow/instruments/jwst.py",
        "calflow/references/crds_builds.csv",
    ],
)
def test_other_code_does_not_take_it(tmp_path, monkeypatch, name):
    code = tmp_path / "scripts"
    shutil.copytree(module.CODE, code, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "CODE", code)
    hand_on(Plan(Settings.model_validate(CONFIG), ()), CONFIG, tmp_path / "plan")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "settings.pyc").touch()
    assert handed_on(CONFIG, tmp_path / "plan") is not None
    with (code / name).open("a") as file:
        file.write("\n")
    assert handed_on(CONFIG, tmp_path / "plan") is None


def test_none_was_left(tmp_path):
    assert handed_on(CONFIG, tmp_path / "plan") is None
    (tmp_path / "plan").write_bytes(b"damaged")
    assert handed_on(CONFIG, tmp_path / "plan") is None


def test_one_that_is_not_as_it_was_left_counts_as_none(tmp_path):
    hand_on(Plan(Settings.model_validate(CONFIG), ()), CONFIG, tmp_path / "plan")
    whole = (tmp_path / "plan").read_text()
    first = whole.partition("\n")[0]
    for text in (whole.replace("results", "elsewhere"), whole[:-5], f"{first}\n{'[' * 100_000}", f"{first}\n5"):
        (tmp_path / "plan").write_text(text)
        assert handed_on(CONFIG, tmp_path / "plan") is None


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").touch()
    hand_on(Plan(Settings.model_validate(CONFIG), ()), CONFIG, tmp_path / "file" / "plan")


def test_it_is_read_as_data_alone(tmp_path):
    """A file that a run left in which something else was put, after the line that tells whose it is."""
    hand_on(Plan(Settings.model_validate(CONFIG), ()), CONFIG, tmp_path / "plan")
    key = (tmp_path / "plan").read_text().partition("\n")[0]
    (tmp_path / "plan").write_text(f"{key}\ncposix\nsystem\n(S'touch {tmp_path}/run'\ntR.")
    assert handed_on(CONFIG, tmp_path / "plan") is None
    assert not (tmp_path / "run").exists()
