"""The plan says what a run then does, and why."""

import json
import os
import re
import shutil
import zlib
from collections import Counter

import pytest
from astropy.io import fits

from tests.edits import edit_function

pytestmark = pytest.mark.slow

CHAIN = {"calibrate": 1, "resample_exposure": 1}
BOTH = dict.fromkeys(CHAIN, 2)


def plan_of(workflow, *targets):
    """Return the plan that is printed, and the one in the file."""
    run = workflow.run("plan", *targets)
    assert run.code == 0, run.output
    assert run.jobs == []
    return run.output, json.loads((workflow.folder / "results" / "plan.json").read_text())


def check(workflow, rules, why):
    """Plan, run and compare; `why` are the causes that the plan names, those that follow left out."""
    text, plan = plan_of(workflow)
    assert {rule: entry["jobs"] for rule, entry in plan["rules"].items()} == rules
    assert Counter(job["rule"] for job in plan["jobs"]) == rules
    found = {kind: set(abouts) for kind, abouts in plan["why"].items() if kind != "follows another job"}
    assert found == {kind: set(abouts) for kind, abouts in why.items()}
    for kind in why:
        assert kind in text
    run = workflow.run()
    assert run.code == 0, run.output
    left_out = Counter(re.findall(r"As before, not run: (\w+)", run.logged))
    assert Counter(run.rules) + left_out == rules
    assert sum(run.rules.values()) >= plan["totals"]["least_jobs"]
    assert sum(len(job["output"]) for job in plan["jobs"]) >= len(run.jobs) - 1
    assert plan_of(workflow)[1]["jobs"] == []


def test_new(workflow):
    check(workflow, {"combine_background": 1, **BOTH}, {"new": [""]})


def test_nothing_to_do(finished):
    text, plan = plan_of(finished)
    assert "nothing to be done, 4 of 4 products up to date" in text
    assert plan["totals"]["jobs"] == 0


def test_reference(finished):
    flat = finished.reference("flat")
    with fits.open(flat, mode="update") as hdus:
        hdus["SCI"].data *= 1.01
    check(finished, BOTH, {"reference changed": [f"data/references/{flat.name}"]})


def test_another_reference(finished):
    flat = finished.reference("flat")
    shutil.copy2(flat, finished.folder / "my_flat.fits")
    finished.config["references"]["override"] = {"flat": "my_flat.fits"}
    _, plan = plan_of(finished)
    changed = set(plan["why"]["reference changed"])
    assert {"- data/references/" + flat.name, f"+ {finished.folder / 'my_flat.fits'}"} <= changed
    assert finished.run().rules == BOTH == {rule: entry["jobs"] for rule, entry in plan["rules"].items()}


def test_parameter(finished):
    finished.config["stage2"] = {"photom": {"apply_time_correction": False}}
    check(finished, BOTH, {"parameter changed": ["photom"]})


def test_raw_file(finished):
    rate = "data/rate/jw01234001001_02101_00002_mirimage_rate.fits"
    os.utime(finished.folder / rate)
    check(finished, CHAIN, {"input changed": [rate]})
    plan = json.loads((finished.folder / "results/plan.json").read_text())
    assert plan["up_to_date"] == 4  # of the plan after the run


def test_association_member(finished):
    finished.edit_association(lambda tree: tree["products"][0]["members"].pop())
    _, plan = plan_of(finished)
    assert plan["exposures"] == ["jw01234001001_02101_00001_mirimage"]
    assert {job["rule"]: job["why"][0][0] for job in plan["jobs"]} == {
        "combine_background": "new",
        "calibrate": "input changed",
        "resample_exposure": "follows another job",
    }
    assert finished.run().rules == {"combine_background": 1, **CHAIN}


def test_deleted_product(finished):
    name = "results/stage2/jw01234001001_02101_00001_mirimage_i2d.fits"
    (finished.folder / name).unlink()
    check(finished, {"resample_exposure": 1}, {"missing": [name]})


@pytest.mark.parametrize(
    ("module", "function", "rules"),
    [
        ("scripts/calflow/science/calibration/photom.py", "apply_conversion", BOTH),
        ("scripts/calflow/files/exposure.py", "write_product", {"combine_background": 1, **BOTH}),
    ],
    ids=["step", "helper"],
)
def test_code(finished, own_code, module, function, rules):
    finished.snakefile = own_code / "Snakefile"
    edit_function(own_code / module, function)
    check(finished, rules, {"code changed": [""]})


def test_lost_metadata(finished):
    """Snakemake then goes by times alone, and the plan says so."""
    shutil.rmtree(finished.folder / ".snakemake" / "metadata")
    finished.config["stage2"] = {"photom": {"apply_time_correction": False}}
    text, plan = plan_of(finished)
    assert plan["jobs"] == []
    assert len(plan["unrecorded"]) == 5
    assert "5 products have no record of how they were made" in text
    assert finished.run().jobs == []


def test_only_some_targets(finished):
    finished.config["stage2"] = {"photom": {"apply_time_correction": False}}
    cal = "results/stage2/jw01234001001_02101_00001_mirimage_cal.fits"
    _, plan = plan_of(finished, cal)
    assert [job["rule"] for job in plan["jobs"]] == ["calibrate"]
    assert (plan["targets"], plan["products"], plan["up_to_date"]) == ([cal], 1, 0)


def test_combination(combined):
    """What is temporary, and gone, is made again with what needs it."""
    combined.config["leave_out_unchanged"] = False
    member = sorted((combined.folder / "results/stage2").glob("*_cal.fits"))[1]
    os.utime(combined.folder / "data/rate" / member.name.replace("_cal", "_rate"))
    _, plan = plan_of(combined)
    run = combined.run()
    assert run.code == 0, run.output
    assert run.rules == {rule: entry["jobs"] for rule, entry in plan["rules"].items()}
    assert plan["rules"]["resample_group"]["jobs"] == 4
    assert plan["totals"]["cpu_s"] == pytest.approx(sum(job["cpu_s"] for job in plan["jobs"]), abs=0.3)
    assert plan["totals"]["wall_s"] >= plan["totals"]["cpu_s"] / 2
    assert len(plan["associations"]) == 1
    assert plan["rules"]["calibrate"]["records"] > 0


def test_a_run_of_a_large_plan_looks_at_what_is_stale_only(combined, own_code, monkeypatch):
    """As with hundreds of exposures: the graph is built for the parts that need it."""
    target = own_code / "scripts/calflow/forecast/target.py"
    target.write_text(target.read_text().replace("WORTHWHILE = 100", "WORTHWHILE = 2"))
    parallel = own_code / "scripts/calflow/engine/graphs.py"
    parallel.write_text(parallel.read_text().replace("PER_GRAPH = 100", "PER_GRAPH = 1"))
    memory = own_code / "scripts/calflow/engine/up_to_date.py"
    memory.write_text(memory.read_text().replace("LEAST_AGE = 2.0", "LEAST_AGE = 0.0"))
    combined.snakefile = own_code / "Snakefile"
    combined.config["associations"] = "data/rate/*_asn.json"  # four exposures that have nothing in common
    assert combined.run().jobs == []
    assert (combined.folder / ".snakemake/calflow/up_to_date").exists()  # by which the next runs go
    assert combined.run().jobs == []
    dry = own_code / "scripts/calflow/forecast/large_dry_runs.py"
    dry.write_text(dry.read_text().replace("LARGE = 300", "LARGE = 2"))
    assert "Nothing to be done" in combined.run(dry=True).output
    os.utime(combined.folder / "data/rate/jw01234001001_02101_00002_nrcb1_rate.fits")
    told = combined.run(dry=True).output
    changed = "input changed: data/rate/jw01234001001_02101_00002_nrcb1_rate.fits"
    assert f"\ncalibrate jw01234001001_02101_00002_nrcb1, cal: {changed}\n\nJob stats:\n" in told
    assert "Job stats" in combined.run(dry=True, options=["--forcerun", "calibrate", "--verbose"]).output  # Snakemake's
    assert combined.planned() == {"calibrate": 1}
    _, plan = plan_of(combined)
    assert [job["rule"] for job in plan["jobs"]] == ["calibrate"]
    assert combined.run().rules == {"calibrate": 1}
    assert combined.run().jobs == []
    os.remove(combined.folder / "results/stage2/jw01234001001_02101_00003_nrcb1_cal.fits")
    assert combined.planned() == {"calibrate": 1}
    combined.config["stage2"] = combined.config.get("stage2", {}) | {"photom": {"apply_time_correction": False}}
    assert combined.planned() == {"calibrate": 4}


def test_what_graphs_of_parts_do_not_ask_tells_nothing(combined, own_code):
    """Whatever changed: the same jobs, for the same reasons, as by graphs that ask Snakemake in its own way."""
    combined.config |= {"associations": "data/rate/*_asn.json", "stage2": {}}  # with quick looks, of which none is made
    combined.snakefile = own_code / "Snakefile"
    graphs = own_code / "scripts/calflow/engine/graphs.py"
    edit(graphs, **{"PER_GRAPH = 100": "PER_GRAPH = 1"})
    by_shortcuts = graphs.read_text()
    edit(graphs, **{"        look_at_files_once()": "        pass"})
    by_snakemake = graphs.read_text()

    def checked():
        plans = []
        for code in (by_shortcuts, by_snakemake):
            graphs.write_text(code)
            plans.append(plan_of(combined)[1])
        assert plans[0] == plans[1]
        return plans[0]["why"]

    rate = "data/rate/jw01234001001_02101_00002_nrcb1_rate.fits"
    cal = "results/stage2/jw01234001001_02101_00003_nrcb1_cal.fits"
    os.utime(combined.folder / rate)
    (combined.folder / cal).unlink()
    why = checked()
    assert (why["new"], why["missing"], why["input changed"]) == ({"": 4}, {cal: 1}, {rate: 1})
    edit_function(own_code / "scripts/calflow/science/calibration/photom.py", "apply_conversion")
    combined.config["stage2"] = {"photom": {"apply_time_correction": False}}
    why = checked()  # of the two of which nothing is told by times
    assert why["code changed"] == {"": 2}
    assert why["parameter changed"]["photom"] == 2
    flat = combined.reference("flat")
    os.utime(flat)
    assert checked()["reference changed"] == {f"data/references/{flat.name}": 3}  # but where the product is missing


def edit(path, **texts):
    """Replace texts of a file, each of which is there."""
    text = path.read_text()
    for before, after in texts.items():
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)


def noted(workflow):
    """Return what is remembered of the parts of a plan: the states and names of their files."""
    return json.loads(zlib.decompress((workflow.folder / ".snakemake/calflow/up_to_date").read_bytes()))


def test_a_run_notes_what_graphs_would_find(combined, own_code):
    """Of jobs that ran, that were left out, and that were done before; then no run builds a graph until a change."""
    target, memory = (own_code / "scripts/calflow" / name for name in ("forecast/target.py", "engine/up_to_date.py"))
    graphs = "    return over_graphs("
    edit(target, **{"WORTHWHILE = 100": "WORTHWHILE = 2", "len(parts) > 1": "len(parts) > 0"})
    edit(target, **{graphs: f"    if parts: print('graphs are built')\n{graphs}"})
    edit(memory, **{"LEAST_AGE = 2.0": "LEAST_AGE = 0.0"})
    combined.snakefile = own_code / "Snakefile"
    edited, touched = (combined.folder / f"data/rate/jw01234001001_02101_0000{n}_nrcb1_rate.fits" for n in (1, 2))
    with fits.open(edited, mode="update") as hdus:
        hdus["SCI"].data += 0.01
    os.utime(touched)
    run = combined.run()
    assert run.code == 0, run.output
    assert run.rules["calibrate"] == 2
    assert "As before, not run: find_stars" in run.logged
    by_run = noted(combined)
    (combined.folder / ".snakemake/calflow/up_to_date").unlink()
    run = combined.run()
    assert run.jobs == []
    assert "graphs are built" in run.output
    assert noted(combined) == by_run
    (combined.folder / "notes.txt").touch()  # which changes the folder
    text, _ = plan_of(combined)
    assert "nothing to be done" in text
    assert "graphs are built" not in text
    combined.product("jw01234001001_02101_00003_nrcb1_cal.fits").unlink()
    text, plan = plan_of(combined)
    assert "graphs are built" in text
    assert plan["rules"]["calibrate"]["jobs"] == 1
