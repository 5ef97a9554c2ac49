"""The end of a run says what is made, what failed and why, and what that blocked; the next run makes only that."""

import json
import re
import shutil

import numpy as np
import pytest
from astropy.io import fits

pytestmark = pytest.mark.slow

REASON = "no usable pixel before calibration: all are NaN or DO_NOT_USE"


def record_of(workflow):
    return json.loads((workflow.folder / "results/logs/summary.json").read_text())


@pytest.fixture
def spoil():
    def spoil(path):
        """Make a rate that only its pixels betray; return how to repair it."""
        kept = path.with_suffix(".kept")
        shutil.copy(path, kept)
        with fits.open(path, mode="update") as hdus:
            hdus["SCI"].data[:] = np.nan
        return lambda: shutil.copy(kept, path)

    return spoil


def test_what_failed_and_what_it_blocked(field_workflow, spoil):
    bad, *good = sorted((field_workflow.folder / "data/rate").glob("*_rate.fits"))
    root = bad.name.removesuffix("_rate.fits")
    repair = spoil(bad)
    run = field_workflow.run()
    assert run.code == 1
    log = f"results/logs/calibrate/{root}_cal.log"
    assert f"  calibrate {root}, cal: {REASON} (log: {log})\n" in run.output
    assert f"ERROR FAILED calibrate {root}, cal: {REASON}" in (field_workflow.folder / log).read_text()
    assert run.output.count("Traceback") == run.output.count("CalledProcessError") == 0
    assert run.output.count(REASON) == 2  # once when it happens, once in the summary
    lines = re.findall(r"^\d\d:\d\d:\d\d +\d+/\d+  (results/stage2/\S+_cal.fits)$", run.output, re.MULTILINE)
    assert sorted(lines) == [f"results/stage2/{path.name.replace('_rate', '_cal')}" for path in good]
    assert "Building DAG" not in run.output
    assert "Building DAG" in run.logged
    assert len(run.output.splitlines()) < 60

    record = record_of(field_workflow)
    assert record["complete"] is False
    assert record["products"]["made"] == len(good)
    assert record["products"]["failed"] == [f"results/stage2/{root}_cal.fits"]
    assert record["failures"] == [{"rule": "calibrate", "wildcards": [root, "cal"], "reason": REASON, "log": log}]
    blocked = record["products"]["blocked"]
    assert all(path.startswith("results/stage3/") for path in blocked)
    assert not any((field_workflow.folder / path).exists() for path in blocked)
    line = f"Products: {len(good)} made, 1 failed, {len(blocked)} blocked ("
    assert line in run.output
    assert line in (field_workflow.folder / "results/logs/summary.txt").read_text()

    repair()
    jobs = record["jobs"]
    again = field_workflow.run()
    assert again.code == 0, again.output
    assert len([rule for rule in again.jobs if rule != "all"]) == jobs["failed"] + jobs["blocked"]
    assert again.rules["calibrate"] == 1
    assert f"Products: {1 + len(blocked)} made, {len(good)} up to date (" in again.output
    assert record_of(field_workflow)["complete"] is True


def test_a_failed_product_that_was_not_asked_for(workflow, spoil):
    for path in (workflow.folder / "data/rate").glob("jw01234002*_rate.fits"):
        spoil(path)
    run = workflow.run()
    assert run.code == 1
    assert "Products: 0 made, 4 blocked (" in run.output
    assert "1 job failed, 4 jobs could not run without it:\n  combine_background " in run.output
    assert "no background exposure has a value" in record_of(workflow)["failures"][0]["reason"]


def test_a_target_that_is_a_file(workflow):
    run = workflow.run("results/stage2/jw01234001001_02101_00002_mirimage_cal.fits")
    assert run.code == 0
    assert "Products: 1 made (" in run.output


def test_a_defect_leaves_its_traceback_in_the_log(workflow, own_code):
    workflow.snakefile = own_code / "Snakefile"
    (own_code / "scripts/resample_exposure.py").write_text(
        "from calflow.job import run\n\ndef fail(input, output, params):\n    {}[1]\n\nrun(fail, snakemake)\n"
    )
    run = workflow.run()
    assert run.code == 1
    assert "Traceback" not in run.output
    assert run.output.count(": KeyError: 1 (log: ") == 4  # each once when it happens, once in the summary
    log = next((workflow.folder / "results/logs/resample_exposure").iterdir()).read_text()
    assert "Traceback" in log


def test_a_script_that_does_not_start(workflow, own_code):
    workflow.snakefile = own_code / "Snakefile"
    (own_code / "scripts/resample_exposure.py").write_text("import no_such_module\n")
    run = workflow.run()
    assert "No module named 'no_such_module'" in run.output
    assert "ended without a reason, exit status 1: see its log, and what it printed" in run.output
