"""What is remembered of parts that were up to date holds until anything changes that Snakemake goes by."""

import os
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from calflow.engine import up_to_date as module
from calflow.engine.up_to_date import LEAST_AGE, UpToDate, files_if_up_to_date, key_of
from calflow.forecast import target

PLACE = Path("memory")
TARGETS = ["cal.fits"]


class File(str):
    """A path as Snakemake has it."""

    is_temp = False


class Temporary(File):
    """One that is deleted when nothing needs it."""

    is_temp = True


def graph(needed=()):
    """Return a workflow of one job: raw.fits to cal.fits, a temporary file, and the records of both."""
    job = SimpleNamespace(
        input=[File("raw.fits")], output=[File("cal.fits"), Temporary("sky.json")], benchmark=File("cal.tsv")
    )
    return SimpleNamespace(dag=SimpleNamespace(jobs=[job], needrun_jobs=lambda: iter(needed)))


@pytest.fixture
def part(tmp_path, monkeypatch):
    """Files of a part that is up to date, of an hour ago, but for the temporary one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "file_of_record", lambda workflow, path: f"{path}.record")
    for name in ("raw.fits", "cal.fits", "cal.tsv", "cal.fits.record", "sky.json.record"):
        Path(name).write_text("before")
        os.utime(name, (1e9, 1e9))


def noted(key="key", since=None):
    """Note what is found of the part, and return what the next run knows."""
    is_up_to_date, files = files_if_up_to_date(graph(), since or time.time() + LEAST_AGE + 1)
    assert is_up_to_date
    known = UpToDate(PLACE, "key")
    known.note(TARGETS, files)
    known.save()
    return UpToDate(PLACE, key)


def test_a_part_that_was_up_to_date_is_so_in_the_next_run(part):
    assert not UpToDate(PLACE, "key").holds(TARGETS)
    assert noted().holds(TARGETS)
    assert not UpToDate(PLACE, "key").holds([*TARGETS, "another.fits"])
    assert not UpToDate(PLACE, "another key").holds(TARGETS)


def replace(name):
    """Put a file of the same size and time in the place of another."""
    Path("new").write_text("beside")
    os.utime("new", (1e9, 1e9))
    os.replace("new", name)


@pytest.mark.parametrize(
    "change",
    [
        lambda: os.utime("raw.fits"),
        lambda: os.utime("raw.fits", (1e8, 1e8)),
        lambda: os.utime("cal.fits"),
        lambda: os.remove("cal.fits"),
        lambda: os.remove("raw.fits"),
        lambda: replace("raw.fits"),
        lambda: Path("cal.fits.record").write_text("before"),
        lambda: os.remove("sky.json.record"),
        lambda: Path("sky.json").write_text("it is there again"),
    ],
    ids="newer older product-newer product-gone input-gone replaced record record-gone temporary-there".split(),
)
def test_a_change_of_any_file_counts(change, part):
    known = noted()
    change()
    assert not known.holds(TARGETS)


def test_a_product_that_is_being_made_counts(part):
    noted()
    incomplete = Path(".snakemake/incomplete/@long")
    incomplete.mkdir(parents=True)
    assert UpToDate(PLACE, "key").holds(TARGETS)
    (incomplete / "marker").touch()
    assert not UpToDate(PLACE, "key").holds(TARGETS)


def test_what_has_jobs_to_run_is_not_noted(part):
    assert files_if_up_to_date(graph(needed=["a job"]), 2e9) == (False, None)
    known = noted()
    known.note(TARGETS, None)
    assert not known.holds(TARGETS)


def test_what_changes_while_graphs_are_built_is_not_noted(part):
    begun = time.time() - 60  # the files of this test are younger
    assert files_if_up_to_date(graph(), begun) == (True, None)
    os.remove("cal.fits")
    assert files_if_up_to_date(graph(), time.time() + LEAST_AGE + 1) == (True, None)


def test_records_that_are_no_files_are_not_noted(part, monkeypatch):
    monkeypatch.setattr(module, "file_of_record", lambda workflow, path: None)
    assert files_if_up_to_date(graph(), 2e9) == (True, None)


@pytest.mark.parametrize("content", [b"", b"no zlib", zlib.compress(b'["key", {"a": 1}]')])
def test_a_damaged_memory_is_none(content, part):
    PLACE.write_bytes(content)
    assert not UpToDate(PLACE, "key").holds(TARGETS)
    assert noted().holds(TARGETS)


def execution(ancient=(), **asked):
    settings = {"targets": {"a"}, "forcerun": set(), "rerun_triggers": {"mtime", "params", "input"}} | asked
    workflow = SimpleNamespace(
        dag_settings=SimpleNamespace(**settings),
        workflow_settings=SimpleNamespace(consider_ancient=ancient),
        storage_settings=SimpleNamespace(notemp=False),
    )
    return SimpleNamespace(workflow=workflow, is_stored_elsewhere=False)


def test_the_key_is_of_plan_code_and_command_line_but_for_the_targets():
    key = key_of(execution(), "plan", "code")
    assert key == key_of(execution(targets={"b"}), "plan", "code")
    others = [execution(rerun_triggers={"mtime"}), execution(forcerun={"calibrate"}), execution(ancient=("raw.fits",))]
    assert key not in {key_of(other, "plan", "code") for other in others}
    assert key not in {key_of(execution(), "another plan", "code"), key_of(execution(), "plan", "another code")}


def test_the_key_is_of_the_folders_of_libraries_but_not_of_that_of_the_run(tmp_path, monkeypatch):
    run, libraries = tmp_path / "run", tmp_path / "libraries"
    for folder in (run, libraries):
        folder.mkdir()
        os.utime(folder, (1e9, 1e9))
    monkeypatch.chdir(run)
    monkeypatch.setattr(sys, "path", ["", str(run), str(libraries)])
    key = key_of(execution(), "plan", "code")
    (run / "results").mkdir()
    assert key_of(execution(), "plan", "code") == key
    (libraries / "another").mkdir()
    assert key_of(execution(), "plan", "code") != key


def test_graphs_are_built_of_what_is_not_known(part, monkeypatch):
    built = []

    def over_graphs(execution, parts, look, processes):
        built.append(parts)
        return [files_if_up_to_date(graph(), 2e9) if part == TARGETS else (False, None) for part in parts]

    monkeypatch.setattr(target, "over_graphs", over_graphs)
    monkeypatch.setattr(target, "plan_to_json", lambda plan: plan.name)
    plan, another = (SimpleNamespace(name=name, cleanings={}) for name in ("plan", "another plan"))
    stale = ["stale.fits"]

    def stale_parts(plan, parts):
        return target._stale_parts(execution(), target._known_up_to_date(execution(), plan), parts)

    assert stale_parts(plan, [TARGETS, stale]) == [stale]
    assert stale_parts(plan, [TARGETS, stale]) == [stale]
    assert stale_parts(plan, [TARGETS]) == []
    assert stale_parts(another, [TARGETS]) == []
    assert built == [[TARGETS, stale], [stale], [TARGETS]]
