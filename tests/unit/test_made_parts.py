"""A run notes the parts that it leaves up to date, and none in which a graph might find something to do."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from calflow.engine import made_parts as module
from calflow.engine.made_parts import MadeParts, files_of_made_parts
from calflow.engine.up_to_date import LEAST_AGE

BEGUN = time.time() - 1000  # of the run
TARGETS = ["i2d.fits"]


class File(str):
    """A path as Snakemake has it."""

    is_temp = is_ancient = False


class Temporary(File):
    """One that is deleted when nothing needs it."""

    is_temp = True


class Ancient(File):
    """One whose time does not count."""

    is_ancient = True


class Job:
    """A job of the graph; its benchmark is named after its first output."""

    def __init__(self, inputs, outputs):
        self.input, self.output = inputs, outputs
        self.benchmark = File(f"{outputs[0]}.tsv")


class Graph:
    """calibrate: raw and flat to cal; measure: cal to sky, which is temporary; combine: cal and sky to i2d."""

    def __init__(self, raw=File):
        self.calibrate = Job([raw("raw.fits"), File("flat.fits")], [File("cal.fits")])
        self.measure = Job([File("cal.fits")], [Temporary("sky.json")])
        self.combine = Job([File("cal.fits"), File("sky.json")], [File("i2d.fits")])
        self.jobs = [self.calibrate, self.measure, self.combine]
        self.run = set(self.jobs)  # of those that were needed
        self.depending = {self.calibrate: [self.measure, self.combine], self.measure: [self.combine], self.combine: []}
        self.failed = set()

    def job_dependencies(self, job):
        return [other for other in self.jobs if job in self.depending[other]]

    def needrun(self, job):
        return job in self.run

    def finished(self, job):
        return job in self.run - self.failed


def write(name, written):
    """Write a file that looks as if it had been written at a time, in seconds from the beginning of the run."""
    Path(name).write_text("")
    os.utime(name, (BEGUN + written, BEGUN + written))


@pytest.fixture
def graph(tmp_path, monkeypatch):
    """A run that has made everything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "file_of_record", lambda workflow, path: f"{path}.record")
    for name in ("raw.fits", "flat.fits"):
        write(name, -500)
    for number, name in enumerate(("cal.fits", "sky.json", "i2d.fits")):
        for end in ("", ".record", ".tsv"):
            write(f"{name}{end}", 10 * number + 10)
    os.remove("sky.json")
    changed = {"raw.fits": -500, "flat.fits": -500}  # the kernel sets this time; tests cannot
    looked_at = module._looked_at

    def looked_at_then(path):
        looked = looked_at(path)
        at = BEGUN + changed[path] if path in changed else looked and looked.newest / 1e9
        return looked and module.Looked(looked.state, looked.oldest, looked.newest, int(at * 1e9))

    monkeypatch.setattr(module, "_looked_at", looked_at_then)
    graph = Graph()
    graph.changed = changed
    return graph


def files_of(graph, targets=TARGETS, params_changed=False):
    """Return what the run notes of the part."""
    persistence = SimpleNamespace(
        has_outdated_metadata=lambda job: False,
        params_changed=lambda job: params_changed,
        input_changed=lambda job: [],
    )
    return MadeParts(SimpleNamespace(dag=graph, persistence=persistence), BEGUN).files_of(targets)


def test_a_part_that_was_made_is_noted_by_all_its_files(graph):
    digest, files = files_of(graph)
    names = [f"{name}{end}" for name in ("cal.fits", "i2d.fits", "sky.json") for end in ("", ".record", ".tsv")]
    assert files == sorted([*names, "raw.fits", "flat.fits"])
    assert len(digest) == 64


def test_a_part_of_which_only_the_end_was_made_is_noted(graph):
    graph.run = {graph.combine}
    for name in ("cal.fits", "sky.json"):
        for end in ("", ".record", ".tsv"):
            if Path(f"{name}{end}").exists():
                write(f"{name}{end}", -100)
    assert files_of(graph)
    graph.changed["cal.fits"] = 5.0  # written anew meanwhile, with another time
    assert files_of(graph) is None


def leave_out(graph):
    """Have the job of the image left out: its files get a new time, its record stays as it was."""
    write("i2d.fits.record", -100)


def test_a_job_that_was_left_out_counts_if_its_record_is_that_of_this_graph(graph):
    leave_out(graph)
    assert files_of(graph)
    assert files_of(graph, params_changed=True) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: graph.failed.add(graph.combine),
        lambda graph: graph.failed.add(graph.calibrate),
        lambda graph: os.remove("i2d.fits"),
        lambda graph: os.remove("raw.fits"),
        lambda graph: os.remove("i2d.fits.record"),
        lambda graph: os.remove("sky.json.record"),
        lambda graph: graph.changed.update({"raw.fits": 5.0}),
        lambda graph: graph.changed.update({"flat.fits": -LEAST_AGE / 2}),
        lambda graph: write("raw.fits", 15),
        lambda graph: write("cal.fits", 31),
        lambda graph: write("i2d.fits", -1),
        lambda graph: write("cal.fits.tsv", -600),
        lambda graph: graph.changed.update({"i2d.fits": 1e6}),
    ],
    ids="failed blocked product-gone input-gone record-gone record-of-temporary-gone input-replaced-meanwhile "
    "reference-replaced-just-before input-newer product-newer-than-what-was-made-of-it product-not-made "
    "benchmark-older-than-input just-written".split(),
)
def test_what_is_in_doubt_is_not_noted(change, graph):
    change(graph)
    assert files_of(graph) is None


def test_the_time_of_an_input_that_does_not_count_by_time_says_nothing(graph):
    write("raw.fits", 15)
    ancient = Graph(raw=Ancient)
    assert files_of(ancient)


def test_the_target_of_a_link_counts(graph):
    os.rename("raw.fits", "there.fits")
    os.symlink("there.fits", "raw.fits")
    os.utime("raw.fits", (BEGUN - 500, BEGUN - 500), follow_symlinks=False)
    assert files_of(graph)
    write("there.fits", 15)
    assert files_of(graph) is None


def test_a_product_that_is_not_of_this_run_is_not_noted(graph):
    assert files_of(graph, ["i2d.fits", "another.fits"]) is None


@pytest.mark.parametrize("asked", [{"is_dry": True}, {"forced": {"calibrate"}}, {"graph": None}], ids=str)
def test_a_run_that_was_forced_or_made_nothing_notes_nothing(asked, graph):
    workflow = SimpleNamespace(
        dag=asked.get("graph", graph), dag_settings=SimpleNamespace(forcerun=asked.get("forced", set()))
    )
    execution = SimpleNamespace(workflow=workflow, is_dry=asked.get("is_dry", False))
    assert files_of_made_parts(execution, [TARGETS, TARGETS], BEGUN) == [None, None]
