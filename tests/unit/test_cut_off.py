"""Jobs that would make what is there are left out of a run: tried with small files whose content is known by hand.

For each exposure ``a`` is made of a raw file, and one ``table`` of all; ``layer`` (temporary) of both; ``median``
(temporary) of all layers; ``flagged`` of the median and ``a``; one ``image`` of all flagged ones, and a ``catalogue``
of that. Each job keeps a part of what it reads, so that some changes have an effect and others have none.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.io import AnnotatedString

from calflow.engine.unchanged import Checksums, Unchanged, mark_part
from tests.workflow.forked import run_snakemake

ROOT = Path(__file__).parents[2]
SNAKEFILE = f"""
import sys, time
sys.path[:0] = [{str(ROOT / "scripts")!r}]
from calflow.engine.cut_off import leave_out_unchanged
from calflow.engine.execution import surround
from calflow.engine.signals import take_signals
from calflow.engine.timers import stop_timers

take_signals()
if config.get("cut_off", True):
    surround(workflow, [leave_out_unchanged(["out/"])])

N = range(3)
DO = "sleep {{params.sleep}}; echo {{rule}} {{output[0]}} >> done.txt; cat {{input}} | tr -d '\\\\n' | "
SLEEP = lambda wildcards, input: config.get("sleep", 0)

rule all:
    input: "out/catalogue", expand("out/{{what}}_{{n}}", what=["quick", "flagged"], n=N)

rule a:
    input: "raw_{{n}}"
    output: "out/a_{{n}}"
    params: keep=config["first"], code=config.get("code", 1), sleep=SLEEP
    benchmark: "benchmarks/a_{{n}}"
    shell: "if grep FAIL {{input}}; then echo a >> done.txt; exit 1; fi; " + DO + "cut -c1-{{params.keep}} > {{output}}"

rule table:
    input: expand("out/a_{{n}}", n=N)
    output: "out/table"
    params: sleep=SLEEP
    shell: DO + "cut -c1 > {{output}}"

rule quick:
    input: "out/a_{{n}}"
    output: "out/quick_{{n}}"
    params: sleep=SLEEP
    shell: DO + "cut -c1 > {{output}}"

rule layer:
    input: "out/a_{{n}}", "out/table"
    output: temp("out/layer_{{n}}")
    params: keep=config["layer"], sleep=SLEEP
    shell: DO + "cut -c1-{{params.keep}} > {{output}}"

rule median:
    input: expand("out/layer_{{n}}", n=N)
    output: temp("out/median")
    params: sleep=SLEEP
    shell: DO + "cat > {{output}}"

rule flagged:
    input: "out/median", "out/a_{{n}}"
    output: "out/flagged_{{n}}"
    params: keep=config["flagged"], sleep=SLEEP
    shell: DO + "cut -c1-{{params.keep}} > {{output}}"

rule image:
    input: expand("out/flagged_{{n}}", n=N)
    output: "out/image"
    params: sleep=SLEEP
    shell: DO + "cat > {{output}}"

rule catalogue:
    input: "out/image"
    output: "out/catalogue"
    params: sleep=SLEEP
    shell: DO + "cut -c1-12 > {{output}}"

onsuccess: stop_timers()
onerror: stop_timers()
"""
OPTIONS = (
    "--cores 2 --scheduler greedy --rerun-triggers params input mtime --rerun-incomplete --nolock"
    " --max-checksum-file-size 0 --keep-going --max-jobs-per-timespan 100000/1s"
).split()
CONFIG = {"first": 4, "layer": 2, "flagged": 20}
EVERYTHING = Counter(a=3, quick=3, table=1, layer=3, median=1, flagged=3, image=1, catalogue=1)


def expected(raw, first, layer, flagged, **_):
    """Return what the products hold."""
    of_a = [text[:first] for text in raw]
    table = "".join(of_a)[:1]
    median = "".join((text + table)[:layer] for text in of_a)
    all_flagged = [(median + text)[:flagged] for text in of_a]
    products = {f"a_{n}": text for n, text in enumerate(of_a)} | {f"quick_{n}": text[:1] for n, text in enumerate(of_a)}
    products |= {f"flagged_{n}": text for n, text in enumerate(all_flagged)}
    return products | {"table": table, "image": "".join(all_flagged), "catalogue": "".join(all_flagged)[:12]}


class Toy:
    """A folder with raw files, and runs in it."""

    def __init__(self, folder):
        self.folder, self.config, self.raw = folder, dict(CONFIG), ["abcdef", "ghijkl", "mnopqr"]
        if not (folder / "Snakefile").exists():
            (folder / "Snakefile").write_text(SNAKEFILE)
            for n in range(3):
                self.write(n, self.raw[n])

    def write(self, n, text):
        self.raw[n] = text
        (self.folder / f"raw_{n}").write_text(text)

    def command(self, *options):
        return [*OPTIONS, *options, "--config", *(f"{name}={value}" for name, value in self.config.items())]

    def run(self, *options, code=0):
        """Run, and return how many jobs of each rule did something."""
        done = self.folder / "done.txt"
        done.write_text("")
        found, self.output = run_snakemake(self.command(*options), self.folder, dict(os.environ), 60)
        assert found == code, self.output
        return Counter(line.split()[0] for line in done.read_text().splitlines())

    def products(self):
        return {path.name: path.read_text().strip() for path in (self.folder / "out").iterdir()}

    def check(self):
        """All products are what a fresh run would make of what there is now, and a run has nothing to do."""
        assert self.products() == expected(self.raw, **self.config)
        assert self.run() == {}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a run that is complete."""
    toy = Toy(tmp_path_factory.mktemp("toy"))
    assert toy.run() == EVERYTHING
    return toy.folder


@pytest.fixture
def toy(made, tmp_path):
    shutil.copytree(made, tmp_path / "toy")  # with the times
    return Toy(tmp_path / "toy")


def test_a_change_without_effect_ends_where_it_is_made(toy):
    toy.config["code"] = 2
    assert toy.run() == {"a": 3}
    assert toy.output.count("As before, not run") == EVERYTHING.total() - 3
    toy.check()


def test_a_change_goes_as_far_as_it_has_an_effect(toy):
    toy.config["flagged"] = 6  # all of it the median
    assert toy.run() == Counter(layer=3, median=1, flagged=3, image=1, catalogue=1)
    toy.config["first"] = 3  # of which layers keep 2
    assert toy.run() == EVERYTHING - Counter(image=1, catalogue=1)
    toy.check()


def test_an_effect_on_one_exposure_runs_what_reads_it_and_the_layers_that_are_gone(toy):
    toy.write(1, "ghiXkl")
    assert toy.run() == {
        "a": 1,
        "quick": 1,
        "table": 1,
        "layer": 3,
        "median": 1,
        "flagged": 1,
        "image": 1,
        "catalogue": 1,
    }
    toy.check()


def test_layers_are_not_made_again_for_an_input_of_which_the_same_is_made(toy):
    toy.write(1, "ghijXX")
    assert toy.run() == {"a": 1}
    toy.check()


def test_a_reason_of_its_own_behind_an_unchanged_job(toy):
    toy.config |= {"code": 2, "flagged": 19}
    assert toy.run() == {"a": 3, "layer": 3, "median": 1, "flagged": 3}
    toy.check()


def test_a_layer_that_was_made_again_and_deleted_before_it_was_read(toy):
    """Its record agrees with what it was made of; what was made of it before does not."""
    toy.config["first"] = 1
    toy.run("--until", "layer")
    for path in (toy.folder / "out").glob("layer_*"):
        path.unlink()
    assert toy.run()["median"] == 1
    toy.check()


def test_what_is_forced_runs_and_what_reads_it_is_judged(toy):
    assert toy.run("--forcerun", "median") == {"layer": 3, "median": 1}
    # Behind another that runs no reason of Snakemake says that it is forced.
    toy.config["code"] = 2
    assert toy.run("--forcerun", "image") == {"a": 3, "image": 1}
    assert toy.run("--forceall") == EVERYTHING
    toy.check()


def test_a_touched_or_deleted_product(toy):
    (toy.folder / "out/a_1").touch()
    assert toy.run() == {}
    (toy.folder / "out/flagged_1").unlink()
    assert toy.run() == {"layer": 3, "median": 1, "flagged": 1}
    (toy.folder / "out/image").write_text("edited")
    assert toy.run() == {"catalogue": 1}


def test_a_job_that_failed_and_the_others(toy):
    toy.config["code"] = 2
    toy.write(1, "FAIL")
    assert toy.run(code=1) == {"a": 3}
    assert toy.output.count("As before, not run: quick") == 2
    toy.write(1, "ghijkl")
    assert toy.run() == {"a": 1}
    toy.check()


def test_dry_runs_and_touching_leave_nothing_out(toy):
    toy.config["code"] = 2
    assert toy.run("--dry-run") == {}
    assert toy.output.count("rule catalogue:") == 1
    assert toy.run("--touch") == {}
    assert toy.run() == {}


def test_it_can_be_turned_off_and_on(toy):
    toy.config |= {"code": 2, "cut_off": ""}
    assert toy.run() == EVERYTHING
    toy.config |= {"code": 3, "cut_off": 1}
    assert toy.run() == EVERYTHING  # without it no content was recorded
    toy.config["code"] = 4
    assert toy.run() == {"a": 3}
    toy.check()


class Maker:
    """A job, as far as it is asked here."""

    def __init__(self, output):
        self.output = output

    def is_group(self):
        return False


def test_a_file_that_looks_as_before_its_job_ran_is_not_believed(tmp_path):
    """So a network file system may show it for a while."""
    path = tmp_path / "out.txt"
    path.write_text("old")
    checksums = Checksums(lambda path: True)
    record = SimpleNamespace(input_checksums={str(path): checksums.of(str(path))}, endtime=0.0)
    maker, file = Maker([path]), AnnotatedString(path)
    unchanged = Unchanged(SimpleNamespace(dag=SimpleNamespace(finished=lambda job: True)), checksums)
    unchanged.expect(maker)
    assert not unchanged._has_same(file, maker, [record], 0.0)
    path.unlink()
    (tmp_path / "new").write_text("old")
    (tmp_path / "new").rename(path)
    assert unchanged._has_same(file, maker, [record], 0.0)
    path.write_text("not")
    os.utime(path, (1, 1))  # other content counts, however old
    assert not unchanged._has_same(file, maker, [record], 2.0)


def test_checksums_are_those_of_products_and_taken_once(tmp_path, monkeypatch):
    path = tmp_path / "out.txt"
    path.write_text("abc")
    checksums = Checksums(lambda path: path.endswith(".txt"))
    # of FIPS 180
    assert checksums.of(str(path)) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.sha256", None)
        assert checksums.of(str(path)).startswith("sha256:ba78")
    assert checksums.of(str(tmp_path / "raw.fits")) is None
    assert checksums.of(str(tmp_path / "gone.txt")) is None
    path.write_text("")
    assert checksums.of(str(path)).startswith("sha256:e3b0c442")


def test_checksums_of_one_item_are_those_of_its_values(tmp_path):
    path = tmp_path / "items.json"
    checksums = Checksums(lambda path: path.endswith(".json"))

    def of(text, name):
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(path)
        return checksums.of_input(mark_part(str(path), name))

    before = of('{"a": {"x": [1, 2], "y": null}, "b": 1}', "a")
    assert before == "sha256:" + hashlib.sha256(b'{"x": [1, 2], "y": null}').hexdigest()
    assert of('{"b": 2,\n "a": {"y": null, "x": [1, 2]}}', "a") == before
    assert of('{"a": {"x": [1, 2.0], "y": null}}', "a") != before
    assert of('{"b": 1}', "a") is None
    assert of('["a"]', "a") is None
    assert of('{"a": ', "a") is None
    assert checksums.of_input(mark_part(str(tmp_path / "gone.json"), "a")) is None
    assert checksums.of_input(mark_part(str(tmp_path / "new.txt"), "a")) is None
    assert checksums.of_input(AnnotatedString(path)) == checksums.of(str(path))


def test_files_read_ahead_are_read_once_and_again_when_they_have_changed(tmp_path, monkeypatch):
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    for path in paths:
        path.write_bytes(b"a" * 5_000_000)
    expected = f"sha256:{hashlib.sha256(b'a' * 5_000_000).hexdigest()}"
    checksums = Checksums(lambda path: path != str(paths[2]))
    checksums.read_ahead(map(str, [*paths, tmp_path / "gone.txt"]))
    paths[1].write_text("abc")
    os.utime(paths[1], (1, 1))
    assert checksums.of(str(paths[1])).startswith("sha256:ba7816bf")
    checksums.read_ahead(map(str, paths))
    assert checksums.of(str(paths[0])) == expected
    monkeypatch.setattr("hashlib.sha256", None)
    assert checksums.of(str(paths[0])) == expected
    assert checksums.of(str(paths[2])) is None
    assert checksums.of(str(tmp_path / "gone.txt")) is None


def test_a_file_that_cannot_be_read_ahead_has_no_checksum(tmp_path):
    checksums = Checksums(lambda path: True)
    checksums.read_ahead([str(tmp_path)])  # a folder
    assert checksums.of(str(tmp_path)) is None


def kill_at_random(toy, kills, seed):
    """Kill runs at random moments, change the configuration between them or not, delete temporary files or not."""
    moments = random.Random(seed)
    for _ in range(kills):
        toy.config |= {
            "code": moments.randrange(3),
            "first": moments.choice([2, 3, 4]),
            "layer": moments.choice([1, 2]),
        }
        toy.config["flagged"] = moments.choice([6, 20])
        toy.write(moments.randrange(3), moments.choice(["ghijkl", "ghijXX", "gXXXXX"]))
        command = [sys.executable, "-m", "snakemake", *toy.command(), "sleep=0.05"]
        run = subprocess.Popen(command, cwd=toy.folder, stderr=subprocess.DEVNULL, process_group=0)
        time.sleep(moments.uniform(0.8, 3.5))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        for path in [*(toy.folder / "out").glob("layer_*"), *(toy.folder / "out").glob("median")]:
            if moments.random() < 0.5:
                path.unlink(missing_ok=True)
        if moments.random() < 0.5:
            toy.run()
            toy.check()
    toy.run()
    toy.check()


def test_killed_runs_lead_to_no_wrong_product(toy):
    kill_at_random(toy, kills=3, seed=1)


if __name__ == "__main__":  # PYTHONPATH=scripts python -m tests.unit.test_cut_off KILLS SEED
    with tempfile.TemporaryDirectory() as name:
        tried = Toy(Path(name))
        tried.run()
        kill_at_random(tried, int(sys.argv[1]), int(sys.argv[2]))
        print(f"{sys.argv[1]} kills: all products right")
