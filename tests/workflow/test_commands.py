"""Commands in place of targets, in folders where something is made, failed or wrong."""

import json
import os
import re
from pathlib import Path

from tests.workflow.conftest import ROOT, Workflow


def test_status_of_a_finished_folder(combined):
    (combined.folder / "results/stage3/jw01234-o001_t001_nircam_clear-f200w_cat.reg").unlink()
    os.utime(combined.folder / "data/rate/jw01234001001_02101_00003_nrcb1_rate.fits")
    run = combined.run("status")
    assert run.code == 0, run.output
    lines = run.output.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("jw01234001001_")}
    steps = rows["jw01234001001_02101_00002_nrcb1"]
    assert rows["jw01234001001_02101_00003_nrcb1"] == ["stale", "stale", "stale", "SKIPPED"]
    assert steps == ["COMPLETE", "COMPLETE", "COMPLETE", "SKIPPED"]  # no background, no quick look
    (told,) = [line for line in lines if line.startswith("jw01234-o001_t001_nircam_clear-f200w: ")]
    assert re.fullmatch(r"[^:]+: 4 aligned, rms [\d.]+ mas; 4 combined; \d+ sources; 1 product not made", told)
    assert "are there, in results/stage2, results/stage3" in run.output


def test_status_for_programs_while_a_run_holds_the_folder(combined):
    lock = {"host": os.uname().nodename, "pid": os.getpid(), "started": "now"}
    (combined.folder / ".snakemake/calflow/run.lock").write_text(json.dumps(lock))
    run = combined.run("status", "json")
    assert run.code == 0, run.output
    tree = json.loads(run.output[run.output.index("{\n") : run.output.rindex("}\n") + 1])
    assert tree["running"].startswith("A run (host ")
    (association,) = tree["associations"]
    assert association["steps"]["resample"] == "COMPLETE"
    assert association["rms"] < 0.1
    assert len(tree["exposures"]) == 4


def test_check_says_what_is_there_or_all_that_is_wrong(workflow: Workflow):
    run = workflow.run("check")
    assert run.code == 0, run.output
    assert re.search(r"^2 exposures, 2 backgrounds, \d+ references: nothing wrong$", run.output, re.MULTILINE)
    assert not (workflow.folder / "results").exists()
    workflow.config |= {"grids": {"a b": {"associations": "x"}}, "exposures": "lost_rate.fits"}
    wrong = workflow.run("check")
    assert wrong.code == 1
    assert "lost_rate.fits" in wrong.output
    assert "cannot be part of a file name" in wrong.output


def test_help_needs_no_right_configuration_and_takes_a_snakefile_beside_this_folder(workflow):
    workflow.config |= {"nonsense": 1}
    run = workflow.run("help", "tweakreg", snakefile=Path(os.path.relpath(ROOT / "Snakefile", workflow.folder)))
    assert run.code == 0, run.output
    assert "minobj: 15" in run.output


def test_shards_are_cut_and_planned(workflow):
    run = workflow.run("shards")
    assert run.code == 0, run.output
    assert "2 exposures in 1 shard" in run.output
    other = workflow.folder / "shards/0002"
    other.mkdir()
    (other / "exposures.txt").write_text("a\nb\n")
    (other / "shard.yaml").write_text("input: lost")
    planned = workflow.run("shards", "plan", options=["--cores", "3"])
    assert planned.code == 1, planned.output
    assert re.search(r"^Plan of 1 shard: \d+ jobs, 0 of \d+ products up to date$", planned.output, re.MULTILINE)
    assert "Estimated on 3 cores for each shard" in planned.output
    assert "0002 cannot be planned: 1 problem with the input" in planned.output
    assert re.search(r"^0001 +2 +-  waiting$", workflow.run("shards", "status").output, re.MULTILINE)
