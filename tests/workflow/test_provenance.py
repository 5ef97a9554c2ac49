"""Where the products of a real run came from."""

import json
import os
import subprocess
from hashlib import sha256

import pytest
from astropy.io import fits

from calflow.engine.attempts import attempts_in
from calflow.provenance.carrying import carried_by
from tests.workflow.conftest import ROOT

IMAGE = "results/stage3/jw01234-o001_t001_nircam_clear-f200w_i2d.fits"
ROCRATE = os.environ.get("CALFLOW_ROCRATE_PYTHON", "")
EXPOSURE = "jw01234001001_02101_00001_mirimage"
CAL = "results/stage2/jw01234001001_02101_00001_nrcb1_cal.fits"


def tree_of(run):
    assert run.code == 0, run.output
    return json.loads(run.output[run.output.index("[\n") : run.output.rindex("]\n") + 1])


def test_the_lineage_of_an_image_and_whether_a_run_would_make_it_again(combined):
    made = combined.run("lineage", "json", IMAGE, CAL, "digests")
    cal, image = tree_of(made)
    assert (cal["today"], image["today"]) == ("current", "current")
    kinds = {path: source["kind"] for path, source in cal["files"].items()}
    assert [kinds[CAL], *kinds.values()].count("product") == 2
    assert sorted(kinds.values()) == ["input", "product", *["reference"] * 5]
    made_of = cal["files"][CAL]["made_of"]
    assert all(digest.startswith("sha256:") for digest in made_of.values())
    assert image["files"][CAL]["made_of"] == made_of
    readers = [source for source in image["files"].values() if CAL in source["made_of"]]
    assert {source["made_of"][CAL] for source in readers} == {cal["digest"]}
    combined.config["stage2"] |= {"photom": {"apply_time_correction": False}}
    told = combined.run("lineage", IMAGE)
    assert told.code == 0
    assert "    combine: follows another job\n    calibrate: parameter changed: photom (8 files)\n" in told.output
    assert not told.jobs
    wrong = combined.run("lineage", "results/lost.fits")
    assert wrong.code == 1
    assert "results/lost.fits: no such file, and no record of it" in wrong.output
    made = combined.folder / IMAGE
    before = made.with_name("before_i2d.fits")
    before.write_bytes(made.read_bytes())
    copied = combined.run("difference", str(before), IMAGE)
    assert copied.code == 0
    assert "They have the same bytes." in copied.output
    assert "before_i2d.fits of the first: no record of how it was made" in copied.output


def test_a_run_is_a_crate_of_files_that_are_there_and_the_same_again(combined):
    made = combined.run("crate")
    assert made.code == 0, made.output
    assert "results/ro-crate-metadata.json: 15 products, 4 inputs, 7 references\n" in made.output
    path = combined.folder / "results/ro-crate-metadata.json"
    first = path.read_bytes()
    assert combined.run("crate").code == 0
    assert path.read_bytes() == first
    there = [entity["@id"] for entity in json.loads(first)["@graph"] if "File" in entity["@type"]]
    assert all((path.parent / name).is_file() for name in there if not name.startswith("ni:"))
    assert sum(name.startswith("ni:") for name in there) == 11


def test_products_carry_what_they_were_made_of_and_an_edit_without_effect_still_ends_at_once(finished):
    before = finished.product(f"{EXPOSURE}_cal.fits").read_bytes()
    finished.config["provenance"] = "inputs"
    made = finished.run("stage2")
    assert made.code == 0, made.output
    carried = carried_by(finished.product(f"{EXPOSURE}_cal.fits"))
    (rate, background) = carried["inputs"]
    (science,) = finished.folder.glob(f"data/rate/{EXPOSURE}_rate.fits")
    assert rate["sha256"] == sha256(science.read_bytes()).hexdigest()
    assert background["role"] == "background"
    assert {file["role"] for file in carried["references"]} >= {"flat", "photom", "distortion"}
    assert "code" not in carried
    look = fits.getheader(finished.product(f"{EXPOSURE}_i2d.fits"))
    assert (look["PRVRULE"], look["PRV001F"]) == ("resample_exposure", f"{EXPOSURE}_cal.fits")
    os.utime(science)
    again = finished.run("stage2")
    assert again.rules == {"calibrate": 1}
    finished.config["provenance"] = "none"
    assert finished.run("stage2").code == 0
    assert finished.product(f"{EXPOSURE}_cal.fits").read_bytes() == before
    attempts = [each for each in attempts_in(finished.folder / "results/logs") if EXPOSURE in each.wildcards]
    calibrated = [each for each in attempts if each.rule == "calibrate"]
    assert [(each.number, each.outcome) for each in calibrated] == [(n, "made") for n in (1, 2, 3, 4)]
    assert all(each.memory > 10 for each in calibrated)


@pytest.mark.skipif(not ROCRATE, reason="CALFLOW_ROCRATE_PYTHON names no Python that has roc-validator and rocrate")
def test_the_validator_takes_the_crate(combined):
    assert combined.run("crate").code == 0
    command = [ROCRATE, str(ROOT / "tests/validate_crate.py"), str(combined.folder / "results")]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert found.returncode == 0, found.stdout + found.stderr
