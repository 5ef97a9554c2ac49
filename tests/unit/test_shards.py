"""A survey cut into shards: what goes where, what is written, and what is told of their runs."""

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calflow.commands import shards as command
from calflow.commands.asked import Asked
from calflow.configuration.elsewhere import with_absolute_paths
from calflow.configuration.problems import InputError
from calflow.configuration.settings import Settings, read_settings
from calflow.engine.targets import cores_given
from calflow.inputs.associations import SINGLETON, Association, Member, Product
from calflow.plan.planner import Read
from calflow.shards.cut import Part, cut, pieces
from calflow.shards.folders import ranges, shards_in, write_files
from calflow.shards.manifests import aws_job
from calflow.shards.parts import grids_of, parts_of
from calflow.shards.plans import Plans, plans_lines
from calflow.shards.scripts import sbatch, scripts_of
from calflow.shards.states import COMPLETE, FAILED, RUNNING, WAITING, State, state_of

ROOT = Path(__file__).parents[2]


def part(name, *exposures, shares=()):
    return Part(Path(name), frozenset(exposures), frozenset([*(f"the exposure {each}" for each in exposures), *shares]))


def contents(shards):
    return {shard.number: shard.exposures for shard in shards}


# The cut ----------------------------------------------------------------------------------------------


def test_shards_are_filled_in_the_order_of_names():
    parts = [part(f"o{number}", f"o{number}") for number in (10, 2, 1, 3, 11)]
    assert contents(cut(parts, 2)) == {1: ["o1", "o2"], 2: ["o3", "o10"], 3: ["o11"]}


def test_what_hangs_together_is_one_piece():
    """Two exposures in an association of level 3, a third by a grid, a fourth by a background; a fifth alone."""
    parts = [
        part("a", "a"),
        part("b", "b"),
        part("c", "c", shares=["the background sky"]),
        part("d", "d", shares=["the background sky"]),
        part("e", "e"),
        part("ab", "a", "b", shares=["the grid deep"]),
        part("c3", "c", shares=["the grid deep"]),
    ]
    together, alone = pieces(parts)
    assert together.exposures == {"a", "b", "c", "d"}
    assert alone.exposures == {"e"}
    assert contents(cut(parts, 1)) == {1: ["a", "b", "c", "d"], 2: ["e"]}


def test_a_piece_that_does_not_fit_begins_a_shard():
    parts = [part("a", "a1", "a2"), part("b", "b1", "b2"), part("c", "c1")]
    assert contents(cut(parts, 3)) == {1: ["a1", "a2"], 2: ["b1", "b2", "c1"]}


def test_new_exposures_go_to_the_last_shard_and_change_no_other():
    parts = [part(name, name) for name in "bcdef"]
    before = contents(cut(parts, 2))
    assert before == {1: ["b", "c"], 2: ["d", "e"], 3: ["f"]}
    assert contents(cut([*parts, part("a", "a")], 2, before)) == {**before, 3: ["a", "f"]}
    assert contents(cut([*parts, part("a", "a"), part("g", "g")], 2, before)) == {**before, 3: ["a", "f"], 4: ["g"]}


def test_pieces_that_come_to_hang_together_go_where_most_of_them_is():
    parts = [part("a", "a"), part("b", "b"), part("cde", "c", "d", "e")]
    before = contents(cut(parts, 3))
    assert before == {1: ["a", "b"], 2: ["c", "d", "e"]}
    assert contents(cut([*parts, part("bc", "b", "c")], 3, before)) == {1: ["a"], 2: ["b", "c", "d", "e"]}


def test_a_number_of_which_nothing_is_left_is_not_used_again():
    before = {1: ["a"], 2: ["b"]}
    assert contents(cut([part("a", "a"), part("c", "c")], 1, before)) == {1: ["a"], 3: ["c"]}
    assert contents(cut([part("b", "b"), part("c", "c")], 1, before)) == {2: ["b"], 3: ["c"]}


SURVEYS = st.lists(
    st.tuples(st.sets(st.integers(0, 30), min_size=1, max_size=4), st.sets(st.integers(0, 5), max_size=1)), max_size=30
)


@given(SURVEYS, st.integers(1, 12), st.randoms())
def test_every_exposure_is_in_one_shard_and_nothing_in_two(survey, size, random):
    parts = [
        part(f"file{number}", *(f"e{each}" for each in exposures), shares=[f"the grid {each}" for each in grids])
        for number, (exposures, grids) in enumerate(survey)
    ]
    shards = cut(parts, size)
    shared = [name for shard in shards for name in {name for one in shard.parts for name in one.shares}]
    assert len(shared) == len(set(shared))
    assert sorted(root for shard in shards for root in shard.exposures) == sorted(
        {root for one in parts for root in one.exposures}
    )
    for shard in shards:
        assert len(shard.exposures) <= size or len(shard.pieces) == 1
    shuffled = random.sample(parts, len(parts))
    assert cut(shuffled, size) == shards
    assert cut(shuffled, size, contents(shards)) == shards


# What associations share --------------------------------------------------------------------------------


def association(name, level, *products, **keywords):
    return Association(
        Path(name), level, "none", keywords.pop("table", name), "o001", f"image{level}", products, **keywords
    )


def product(root, *sciences, backgrounds=()):
    members = [Member(Path(name).name, "science", Path(name)) for name in sciences]
    members += [Member(Path(name).name, "background", Path(name)) for name in backgrounds]
    return Product(root, root, tuple(members))


def test_associations_share_exposures_backgrounds_grids_and_frames():
    found = [
        association("one", 2, product("a", "a_rate.fits", backgrounds=["x_rate.fits", "y_rate.fits"])),
        association("two", 2, product("b", "b_rate.fits", backgrounds=["y_rate.fits", "x_rate.fits"])),
        association("three", 3, product("deep-f200w", "b_cal.fits", "merged_cal.fits")),
        association("four", 3, product("deep-f356w", "d_cal.fits")),
        association("five", 3, product("merged", "full_cal.fits", "sub1_cal.fits"), merges=True),
        association("six", 2, product("e", "e_rate.fits", backgrounds=["x_rate.fits"])),
        association("f_rate.fits", 2, product("f", "f_rate.fits"), table=SINGLETON),
        association("left_out", 3),
    ]
    settings = Settings(grids={"all": {"associations": ["deep-*"]}, "other": {"associations": "x"}})
    parts = parts_of(found, settings, {"three": {"of": "it"}})
    together, alone, single = pieces(parts)
    assert together.exposures == {"a", "b", "d", "full", "sub1"}  # what is merged is not one of its own
    assert (alone.exposures, single.exposures) == ({"e"}, {"f"})
    assert [one.is_single for one in single.parts] == [True]
    assert [one.tree for one in together.parts if one.path == Path("three")] == [{"of": "it"}]
    assert grids_of(together.parts, settings) == {"all": ["deep-*"]}
    assert grids_of(alone.parts, settings) == {}


def test_tiles_hold_nothing_together():
    found = [association(name, 3, product(name, f"{name}_cal.fits")) for name in ("a", "b")]
    settings = Settings(grids={"sky": {"associations": ["*"], "tile_shape": [100, 100]}})
    parts = parts_of(found, settings, {})
    assert [piece.exposures for piece in pieces(parts)] == [{"a"}, {"b"}]
    assert grids_of(parts[:1], settings) == {"sky": ["*"]}


def test_reference_makers_cannot_be_cut():
    settings = Settings(reference_makers={"dark": {"type": "dark", "exposures": ["d.fits"]}})
    with pytest.raises(InputError, match=r"reference_makers: every shard would make .*; make them once by"):
        parts_of([], settings, {})


@pytest.mark.parametrize("where", ["stage3", "overrides"])
def test_catalogues_of_other_associations_cannot_be_cut(where):
    stage3 = {"tweakreg": {"abs_refcat": {"association": "x"}}}
    config = {"stage3": stage3} if where == "stage3" else {"overrides": [{"stage3": stage3}]}
    with pytest.raises(InputError, match=r"abs_refcat: .* may come into different shards; make that one first"):
        parts_of([], read_settings(config), {})


def test_masks_of_other_associations_cannot_be_cut():
    steps = {"rate": [{"name": "clean_flicker_noise", "mask_from": {"association": "x"}}]}
    with pytest.raises(InputError, match=r"rate\[0\]\.mask_from: .* may come into different shards; give association"):
        parts_of([], read_settings({"extra_steps": steps}), {})
    steps["rate"][0]["mask_from"] = "association"
    assert parts_of([], read_settings({"extra_steps": steps}), {}) == []


# What is written ------------------------------------------------------------------------------------------


def test_paths_are_written_out_where_something_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("references", "stars.ecsv", "strun.cfg", "flat.fits"):
        Path(name).touch()
    config = {
        "references": {"override": {"flat": "flat.fits", "dark": "N/A"}},
        "stage3": {"tweakreg": {"abs_refcat": "GAIADR3"}, "skymatch": {"skymethod": "local"}},
        "grids": {"deep": {"associations": "x", "crval": [1, 2]}},
    }
    assert with_absolute_paths(read_settings(config), config) == {
        **config,
        "input": str(tmp_path),
        "references": {
            "override": {"flat": str(tmp_path / "flat.fits"), "dark": "N/A"},
            "directory": str(tmp_path / "references"),
        },
    }
    config["stage3"]["tweakreg"]["abs_refcat"] = "stars.ecsv"
    assert with_absolute_paths(read_settings(config), config)["stage3"]["tweakreg"] == {
        "abs_refcat": str(tmp_path / "stars.ecsv")
    }


def test_numbers_are_written_as_slurm_writes_them():
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3,7,9-10"
    assert sbatch([2, 5], Path("/a b")) == "sbatch --array=2,5 '/a b/slurm.sh'"


@pytest.fixture
def survey(tmp_path, monkeypatch):
    """Return a function that asks for shards in a folder with five exposures of associations that are made up."""
    monkeypatch.chdir(tmp_path)
    config = {"shards": {"exposures": 2}, "targets": "M-16", "output": "out"}
    made = [association(f"{name}_asn.json", 2, product(name, f"{name}_rate.fits")) for name in "abcde"]

    def ask(*words, associations=made, **changes):
        found = Read(list(associations), None, [])
        monkeypatch.setattr(command, "read_associations", lambda settings, files, cache: found)
        return command.answer(Asked(words, config | changes, config | changes))

    return ask


def test_shards_are_written_once(survey, tmp_path):
    answer = survey()
    assert answer.text == (
        f"5 exposures in 3 shards, in '{tmp_path}/shards': 1-3 written\n"
        f"to run: sbatch --array=1-3 {tmp_path}/shards/slurm.sh"
    )
    assert yaml.safe_load((tmp_path / "shards/0002/shard.yaml").read_text()) == {
        "input": str(tmp_path),
        "associations": [f"{tmp_path}/c_asn.json", f"{tmp_path}/d_asn.json"],
        "exposures": [],
        "output": "results",
    }
    assert (tmp_path / "shards/0002/exposures.txt").read_text() == "c\nd\n"
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert survey().text == f"5 exposures in 3 shards, in '{tmp_path}/shards': none of them changed"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == stamps


def test_what_left_a_survey_and_what_came_is_told(survey, tmp_path):
    survey()
    left = [association(f"{name}_asn.json", 2, product(name, f"{name}_rate.fits")) for name in "abcf"]
    text = survey(associations=left).text
    assert "shard 0002: 1 exposure no longer in the survey; what was made of them stays where it is" in text
    assert "4 exposures in 3 shards" in text
    assert "sbatch --array=2,4 " in text
    assert shards_in(tmp_path / "shards") == {1: ["a", "b"], 2: ["c"], 3: [], 4: ["f"]}
    assert not (tmp_path / "shards/0003/shard.yaml").exists()
    survey(associations=left[:3])
    assert "#SBATCH --array=1-2\n" in (tmp_path / "shards/slurm.sh").read_text()


def test_what_hangs_together_too_much_is_told(survey):
    told = "shard 0001 has 3 exposures that hang together, most by "
    joined = association("all_asn.json", 3, product("all", *(f"{name}_cal.fits" for name in "abc")))
    assert f"{told}the association all_asn.json" in survey(associations=[joined]).text
    sky = [
        association(
            f"{name}_asn.json", 2, product(name, f"{name}_rate.fits", backgrounds=["s_rate.fits", "t_rate.fits"])
        )
        for name in "abc"
    ]
    assert f"{told}the background s and 1 more" in survey(associations=sky).text


def test_other_words_are_refused(survey):
    with pytest.raises(InputError, match=r"command line: shards: 'state' is not valid; give nothing, or plan, status"):
        survey("state")
    with pytest.raises(InputError, match="there are no shards; `snakemake shards` makes them"):
        survey("status")
    with pytest.raises(InputError, match="names nothing to make for shards"):
        survey(associations=[])


def test_one_that_makes_nothing_is_no_shard(survey, tmp_path):
    nothing = replace(association("n_asn.json", 2), products=())
    text = survey(associations=[nothing, association("a_asn.json", 2, product("a", "a_rate.fits"))]).text
    assert text.startswith("1 exposure in 1 shard")


# What their runs are told and tell ------------------------------------------------------------------------


@pytest.fixture
def shard(tmp_path):
    """Return the folder of a shard, and a function that runs it with something else for Python."""
    folder = tmp_path / "a 'b' $c"
    write_files(folder, scripts_of([1, 2], folder, ROOT / "Snakefile"))
    write_files(folder / "0002", {"shard.yaml": "", "exposures.txt": "e\n"})

    def run(script, text):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{text}\n")
        python.chmod(0o755)
        environment = os.environ | {"PYTHON": str(python), "CORES": "3", "MEMORY_MB": "77", "SLURM_ARRAY_TASK_ID": "2"}
        command = ["sh", str(folder / script), *(["2"] if script == "run.sh" else [])]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)

    return folder / "0002", run


@pytest.mark.parametrize("script", ["run.sh", "slurm.sh"])
def test_a_shard_is_run_in_its_folder(shard, script):
    folder, run = shard
    assert state_of(2, 1, folder).state == WAITING
    done = run(script, 'pwd; for each in "$@"; do echo "$each"; done')
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"shard 2 ended with exit status 0: {folder}/output.txt\n"
    assert (folder / "output.txt").read_text().splitlines() == [
        str(folder),
        *f"-m snakemake --snakefile {ROOT}/Snakefile --configfile shard.yaml".split(),
        *"--cores 3 --resources mem_mb=77".split(),
    ]
    assert json.loads((folder / "run.json").read_text()) == {"ended": 0}
    assert state_of(2, 1, folder).state == COMPLETE


def test_a_signal_goes_to_the_run(shard):
    folder, run = shard
    done = run(
        "run.sh", "trap 'echo ending; exit 5' TERM; kill -TERM $PPID; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done"
    )
    assert done.returncode == 5
    assert "ending" in (folder / "output.txt").read_text()


def test_a_run_that_could_not_begin_says_why(shard):
    folder, run = shard
    run("run.sh", "echo '1 problem with the input'; exit 1")
    found = state_of(2, 1, folder)
    assert found.state == FAILED
    assert found.why == ("1 problem with the input", f"what it printed: {folder}/output.txt")


def test_a_run_that_was_killed_says_so(shard):
    folder, run = shard
    run("run.sh", "kill -KILL $$")
    assert state_of(2, 1, folder).why == (
        "killed by signal 9, perhaps out of memory",
        f"what it printed: {folder}/output.txt",
    )


def write(path, tree, seconds):
    """Write JSON as if that many seconds after the shard's configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree))
    os.utime(path, (NOON + seconds, NOON + seconds))


NOON = 1_800_000_000
SUMMARY, LOCK = "summary.json", ".snakemake/calflow/run.lock"
STOPPED = {"complete": False, "failures": [], "jobs": {"not_run": 4}, "products": {"made": 1, "not_run": ["x"]}}
BAD = {
    "complete": False,
    "failures": [
        {"rule": "calibrate", "wildcards": ["e", "cal"], "reason": "no usable pixel", "log": "results/logs/e"}
    ],
    "jobs": {"not_run": 0},
    "products": {"made": 3, "up_to_date": 2, "as_before": 1, "failed": ["e_cal"], "blocked": ["e_i2d"], "not_run": []},
}
GOOD = {"complete": True, "failures": [], "jobs": {}, "products": {"made": 2, "up_to_date": 1, "failed": []}}


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a shard with nothing but its configuration, of long ago."""
    write(tmp_path / "shard.yaml", {}, 0)
    return tmp_path


def test_a_shard_is_as_its_last_run_was(folder):
    assert (state_of(1, 9, folder).state, state_of(1, 9, folder).made) == (WAITING, None)
    write(folder / "run.json", {"ended": 1}, 10)
    write(folder / SUMMARY, BAD, 11)
    found = state_of(1, 9, folder)
    assert (found.state, found.made, found.products) == (FAILED, 6, 8)
    assert found.why == (f"calibrate e, cal: no usable pixel (log: {folder}/results/logs/e)",)
    write(folder / "run.json", {"ended": 0}, 20)
    write(folder / SUMMARY, GOOD, 31)
    assert state_of(1, 9, folder) == State(1, 9, COMPLETE, 3, 3)
    write(folder / "shard.yaml", {"more": 1}, 30)
    found = state_of(1, 9, folder)
    assert (found.state, found.why) == (WAITING, ("its exposures or its configuration changed since its last run",))


def test_a_run_that_found_nothing_to_make_leaves_the_summary_of_the_last(folder):
    write(folder / SUMMARY, BAD, 10)
    write(folder / "run.json", {"ended": 0}, 20)
    assert state_of(1, 9, folder) == State(1, 9, COMPLETE, 8, 8)


def test_nothing_was_left_to_make_for_the_job_after_one_that_was_killed_at_its_very_end(folder):
    (folder / "results/logs").mkdir(parents=True)
    write(folder / "results/logs" / SUMMARY, GOOD, 10)
    write(folder / "run.json", {"ended": 0}, 20)
    assert state_of(1, 9, folder) == State(1, 9, COMPLETE, 3, 3)


def test_what_was_changed_while_a_run_went_on_is_not_made(folder):
    write(folder / "run.json", {"ended": 0}, 10)  # the time is that of the beginning
    write(folder / "associations/a_asn.json", {}, 20)
    os.utime(folder / "associations", (NOON + 20, NOON + 20))
    assert state_of(1, 9, folder).state == WAITING
    os.utime(folder / "associations", (NOON + 5, NOON + 5))
    assert state_of(1, 9, folder).state == COMPLETE


def test_a_run_that_was_stopped_says_so(folder):
    write(folder / "run.json", {"ended": 1}, 10)
    write(folder / SUMMARY, STOPPED, 20)
    assert state_of(1, 9, folder).why[0] == "stopped before the end: 4 jobs not run"


def test_a_run_by_hand_does_not_count(shard):
    """It may be for a few products; that of the job keeps its summary."""
    folder, run = shard
    made = "mkdir -p results/logs; echo '{}' > results/logs/summary.json"
    run("run.sh", f"sleep 0.02; {made.format(json.dumps(GOOD))}")
    assert state_of(2, 1, folder) == State(2, 1, COMPLETE, 3, 3)
    (folder / "results/logs/summary.json").write_text(json.dumps(BAD))
    assert state_of(2, 1, folder) == State(2, 1, COMPLETE, 3, 3)
    time.sleep(0.02)
    run("run.sh", "true")  # with nothing to make
    assert state_of(2, 1, folder) == State(2, 1, COMPLETE, 3, 3)


def test_what_failed_before_the_shard_changed_is_not_told_of_a_run_that_could_not_begin(folder):
    write(folder / SUMMARY, BAD, -10)
    write(folder / "run.json", {"ended": 1}, 10)
    assert state_of(1, 9, folder).why == (f"what it printed: {folder}/output.txt",)


def test_many_failures_are_counted(folder):
    write(folder / "run.json", {"ended": 1}, 5)
    write(folder / SUMMARY, {**BAD, "failures": 5 * BAD["failures"]}, 10)
    assert state_of(1, 9, folder).why[3:4] == (f"and 2 more: {folder}/results/logs/summary.txt",)


def test_a_run_that_works_is_seen_on_this_host_and_on_another(folder):
    here = {"host": os.uname().nodename, "pid": os.getpid(), "started": "now"}
    gone = {**here, "pid": 2**22 + 5}
    (folder / LOCK).parent.mkdir(parents=True)
    for path in (LOCK, "run.json"):
        for holder, state in ((here, RUNNING), (gone, FAILED), ({**here, "host": "elsewhere"}, RUNNING)):
            (folder / path).write_text(json.dumps(holder))
            assert state_of(1, 9, folder).state == state
        (folder / path).unlink()
    write(folder / LOCK, {**here, "host": "elsewhere"}, -NOON / 2)
    (why,) = state_of(1, 9, folder).why
    assert why.startswith(f"the run (host elsewhere, process {os.getpid()}, since now) was killed, or its machine died")
    (folder / "run.json").write_text(json.dumps(here))  # which has been submitted again, and is planning
    assert state_of(1, 9, folder).state == RUNNING


def test_a_run_that_is_long_silent_is_told(folder):
    (folder / LOCK).parent.mkdir(parents=True)
    (folder / LOCK).write_text(json.dumps({"host": "elsewhere", "pid": 5, "started": "now"}))
    time = (folder / LOCK).stat().st_mtime - 300
    os.utime(folder / LOCK, (time, time))
    found = state_of(1, 9, folder)
    assert found.state == RUNNING
    assert found.why[0].startswith("no sign of life for 30")


def test_the_states_are_one_table_with_what_to_submit(survey, tmp_path):
    survey()
    for number in (1, 2, 3):
        write(tmp_path / f"shards/{number:04d}/shard.yaml", {}, 0)
    for number, code, summary in ((1, 0, GOOD), (2, 1, BAD)):
        os.utime(tmp_path / f"shards/{number:04d}/exposures.txt", (NOON, NOON))
        write(tmp_path / f"shards/{number:04d}/run.json", {"ended": code}, 5)
        write(tmp_path / f"shards/{number:04d}" / SUMMARY, summary, 10)
    answer = survey("status")
    assert answer.status == 1
    assert answer.text.splitlines() == [
        "shard  exposures  products  last run",
        "0001           2    3 of 3  COMPLETE",
        "0002           2    6 of 8  FAILED",
        "0003           1         -  waiting",
        "",
        f"0002: calibrate e, cal: no usable pixel (log: {tmp_path}/shards/0002/results/logs/e)",
        "5 exposures in 3 shards: 1 COMPLETE, 1 FAILED, 1 waiting",
        f"again: sbatch --array=2 {tmp_path}/shards/slurm.sh",
        f"to run: sbatch --array=3 {tmp_path}/shards/slurm.sh",
    ]
    tree = json.loads(survey("status", "json").text)
    assert [each["state"] for each in tree["shards"]] == [COMPLETE, FAILED, WAITING]


# The plan of the whole -----------------------------------------------------------------------------------


def tree(up_to_date, wall, memory, **rules):
    """Return the plan of a shard with jobs that take 60 s and write 10 MB each."""
    of_rules = {
        rule: {"jobs": jobs, "why": why, "cpu_s": 60.0 * jobs, "memory_mb": memory, "written_mb": 10.0 * jobs}
        for rule, (jobs, why) in rules.items()
    }
    jobs = sum(each["jobs"] for each in of_rules.values())
    totals = {"jobs": jobs, "cpu_s": 60.0 * jobs, "wall_s": wall, "peak_memory_mb": 2 * memory}
    totals |= {"written_mb": 10.0 * jobs, "replaced_mb": 15.0, "temporary_mb": 1.0}
    return {"products": 10, "up_to_date": up_to_date, "totals": totals, "rules": of_rules}


def test_the_plan_of_the_whole_is_the_sum():
    plans = Plans(
        {
            1: tree(10, 0.0, 0),
            2: tree(8, 120.0, 300, calibrate=(1, {"new": 1}), align=(1, {"new": 1})),
            4: tree(0, 90.0, 400, calibrate=(3, {"code changed": 3})),
        },
        {3: "1 problem"},
    )
    assert plans.stale == [2, 4]
    assert plans_lines(plans, 8) == [
        "Plan of 3 shards: 5 jobs, 18 of 30 products up to date",
        "",
        "rule       jobs         CPU  memory   disk  why",
        "calibrate     4  4 min 00 s  400 MB  40 MB  new 1, code changed 3",
        "align         1  1 min 00 s  300 MB  10 MB  new",
        "total         5  5 min 00 s  400 MB  50 MB",
        "",
        "Estimated on 8 cores for each shard: 2 min 00 s for the longest, 0002; "
        "3 min 30 s one after another (5 min 00 s of CPU),",
        "  800 MB of memory at most, in 0004,",
        "  50 MB written (5 MB more than there is now), up to 3 MB of temporary files if all run at once",
        "",
        "All jobs: results/plan.json in the folder of each shard",
    ]


def test_a_plan_with_nothing_to_do_is_a_line():
    assert plans_lines(Plans({1: tree(10, 0.0, 0)}, {}), 8) == [
        "Plan of 1 shard: 0 jobs: nothing to be done, 10 of 10 products up to date"
    ]


def test_cores_are_those_of_the_command_line():
    assert cores_given(["shards", "plan", "--cores", "8"]) == 8
    assert cores_given(["shards", "plan"]) is None
    assert cores_given(["shards", "plan", "--cores", "all"]) is None  # of this machine


# Elsewhere than on SLURM --------------------------------------------------------------------------------------


CONTAINERS = {"image": "calflow:1", "volume": "fs-1", "mount": "/", "queue": "night", "cores": 4, "memory_gb": 10}


@pytest.fixture
def elsewhere(survey, tmp_path):
    """Return a function that asks for shards to be run in containers, of which three are there."""
    survey()

    def ask(*words, **changes):
        answer = survey(*words, shards={"exposures": 2, **CONTAINERS, **changes})
        assert answer.status == 0
        return answer.text

    return ask


def shard_of_index(command, variables, folder):
    """Return what the command of a container gives to the script of one shard, in a plain shell."""
    (folder / "shards/run.sh").write_text('echo "$@"')
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def named(environment):
    return {each["name"]: each["value"] for each in environment}


@pytest.mark.parametrize(("words", "numbers"), [((), ["1", "2", "3"]), (("3", "1"), ["1", "3"])])
def test_a_job_of_kubernetes_has_an_index_for_each_shard(elsewhere, tmp_path, words, numbers):
    job = yaml.safe_load(elsewhere("kubernetes", *words))
    assert (job["apiVersion"], job["kind"], job["spec"]["completionMode"]) == ("batch/v1", "Job", "Indexed")
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == len(numbers)
    assert job["spec"]["backoffLimitPerIndex"] == 0
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["restartPolicy"] == "Never"  # which a limit per index needs
    assert container["image"] == "calflow:1"
    assert container["resources"] == {"requests": {"cpu": "4", "memory": "10G"}, "limits": {"memory": "10G"}}
    (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
    assert volume == {"name": mount["name"], "persistentVolumeClaim": {"claimName": "fs-1"}}
    variables = named(container["env"])
    assert variables.items() >= {"PYTHON": "python", "CORES": "4", "MEMORY_MB": "9000"}.items()
    found = [
        shard_of_index(container["command"], {**variables, "JOB_COMPLETION_INDEX": str(index)}, tmp_path)
        for index in range(len(numbers))
    ]
    assert found == numbers


def test_an_array_of_aws_has_an_index_for_each_shard(elsewhere, tmp_path):
    definition, job = json.loads(elsewhere("aws-definition")), json.loads(elsewhere("aws-job"))
    container = definition["containerProperties"]
    assert (job["jobQueue"], job["jobDefinition"]) == ("night", definition["jobDefinitionName"])
    assert job["arrayProperties"] == {"size": 3}
    assert container["resourceRequirements"] == [
        {"type": "VCPU", "value": "4"},
        {"type": "MEMORY", "value": "10000"},
    ]
    assert container["volumes"][0]["efsVolumeConfiguration"] == {"fileSystemId": "fs-1"}
    assert container["mountPoints"] == [{"sourceVolume": container["volumes"][0]["name"], "containerPath": "/"}]
    variables = named(container["environment"]) | named(job["containerOverrides"]["environment"])
    found = [
        shard_of_index(container["command"], {**variables, "AWS_BATCH_JOB_ARRAY_INDEX": str(index)}, tmp_path)
        for index in range(3)
    ]
    assert found == ["1", "2", "3"]


def test_one_shard_is_no_array_of_aws(elsewhere, tmp_path):
    job = json.loads(elsewhere("aws-job", "2"))
    assert "arrayProperties" not in job
    command = json.loads(elsewhere("aws-definition"))["containerProperties"]["command"]
    assert shard_of_index(command, named(job["containerOverrides"]["environment"]), tmp_path) == "2"


def test_what_a_container_would_not_find_is_told(elsewhere, tmp_path):
    with pytest.raises(InputError) as caught:
        elsewhere("kubernetes", image=None, mount="/mnt")
    told = [f"{problem.key}: {problem.wrong}" for problem in caught.value.problems]
    assert told[0] == "shards.image: is not given"
    assert told[1].startswith(f"shards.mount: the shards, '{tmp_path}/shards', cannot be seen in a container that has")
    assert [text.split(",")[0] for text in told[2:]] == [
        f"shards.mount: {what}" for what in ("calflow", "input", "references")
    ]
    with pytest.raises(InputError, match=r"shards.queue: is not given"):
        elsewhere("aws-job", queue=None)
    with pytest.raises(InputError, match=r"shards: '4' is no shard in .*; there are 1-3"):
        elsewhere("aws-job", "4")
    with pytest.raises(InputError, match=r"at most 10000 jobs in an array, here are 10001; name some"):
        aws_job(range(10_001), Settings(shards=CONTAINERS))
