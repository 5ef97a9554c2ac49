"""What is made again after a change: exactly what depends on it."""

import os
import shutil
import time

import pytest
from astropy.io import fits

from tests.edits import edit_function

pytestmark = pytest.mark.slow

CHAIN = {"calibrate": 1, "resample_exposure": 1}
BOTH = dict.fromkeys(CHAIN, 2)


def touch(path):
    os.utime(path)


def test_everything_kept_and_an_edited_step(workflow, own_code):
    workflow.snakefile = own_code / "Snakefile"
    workflow.config["stage2"] = {
        "save_bsub": True,
        "bkg_subtract": {"save_combined_background": True},
        "flat_field": {"save_interpolated_flat": True},
    }
    assert workflow.run().code == 0
    assert workflow.planned() == {}
    edit_function(own_code / "scripts/calflow/science/geometry/sip.py", "sip_approximation")
    assert workflow.planned() == BOTH


def test_keeping_the_flat_makes_no_exposure_again(finished):
    finished.config["stage2"] = {"flat_field": {"save_interpolated_flat": True}}
    assert finished.planned() == {"save_flat": 2}


def test_first_run_makes_the_average_once_and_the_same_bytes_again(finished, workflow):
    run = workflow.run()
    assert run.code == 0, run.output
    assert run.rules == {"combine_background": 1, **BOTH}
    roots = ["jw01234001001_02101_00001_mirimage", "jw01234001001_02101_00002_mirimage"]
    assert workflow.products() == {f"{root}_{suffix}.fits" for root in roots for suffix in ("cal", "i2d")}
    assert workflow.products() == finished.products()
    for name in finished.products():
        assert finished.product(name).read_bytes() == workflow.product(name).read_bytes(), name


def test_nothing_to_do_after_a_finished_run(finished):
    run = finished.run()
    assert run.code == 0
    assert run.jobs == []
    assert "Nothing to be done" in run.output


@pytest.mark.parametrize(
    ("step", "parameter", "value", "rules", "done"),
    [
        ("photom", "apply_time_correction", False, BOTH, BOTH),
        ("resample", "pixfrac", 0.7, {"resample_exposure": 2}, {"resample_exposure": 2}),
        # Nothing is clipped at this level either: the average comes out as it was.
        ("bkg_subtract", "sigma", 2.0, {"combine_background": 1, **BOTH}, {"combine_background": 1}),
    ],
)
def test_changed_parameter(finished, step, parameter, value, rules, done):
    finished.config["stage2"] = {step: {parameter: value}}
    assert finished.planned() == rules
    assert finished.run().rules == done


@pytest.mark.parametrize("age", [0, 10_000], ids=["newer", "older"])
def test_replaced_flat(finished, age):
    flat = finished.reference("flat")
    with fits.open(flat, mode="update") as hdus:
        hdus["SCI"].data *= 1.01
    os.utime(flat, (time.time() - age, time.time() - age))
    assert finished.run().rules == BOTH


def test_touched_rate_is_calibrated_again_and_what_reads_the_same_bytes_is_left_out(finished):
    other = finished.product("jw01234001001_02101_00001_mirimage_i2d.fits")
    before = other.stat().st_mtime_ns
    touch(finished.folder / "data/rate/jw01234001001_02101_00002_mirimage_rate.fits")
    assert finished.planned() == CHAIN
    run = finished.run()
    assert run.rules == {"calibrate": 1}
    assert "Products: 1 made, 1 as before, 2 up to date" in run.output
    assert other.stat().st_mtime_ns == before
    assert finished.planned() == {}


def test_touched_background_member(finished):
    touch(min((finished.folder / "data/rate").glob("jw01234002*_rate.fits")))
    finished.config["leave_out_unchanged"] = False
    assert finished.planned() == {"combine_background": 1, **BOTH}
    finished.config["leave_out_unchanged"] = True
    assert finished.run().rules == {"combine_background": 1}


def test_removed_background_member(finished):
    def remove(tree):
        tree["products"][0]["members"].pop()

    finished.edit_association(remove)
    assert finished.run().rules == {"combine_background": 1, **CHAIN}


def test_added_product(finished):
    rate = finished.folder / "data/rate"
    new = "jw01234001001_02101_00009_mirimage"
    shutil.copy(rate / "jw01234001001_02101_00002_mirimage_rate.fits", rate / f"{new}_rate.fits")

    def add(tree):
        members = [dict(member) for member in tree["products"][1]["members"]]
        members[0]["expname"] = f"{new}_rate.fits"
        tree["products"].append({"name": new, "members": members})

    finished.edit_association(add)
    assert finished.run().rules == CHAIN


def test_deleted_product(finished):
    finished.product("jw01234001001_02101_00001_mirimage_i2d.fits").unlink()
    assert finished.run().rules == {"resample_exposure": 1}


@pytest.mark.parametrize(
    ("module", "function", "rules"),
    [
        ("scripts/calflow/science/calibration/photom.py", "apply_conversion", BOTH),
        ("scripts/calflow/science/calibration/dark_current.py", "subtract_dark", {}),
        ("scripts/calflow/science/geometry/pixel_map.py", "map_to_grid", {"resample_exposure": 2}),
        (
            "scripts/calflow/science/calibration/background.py",
            "average_integrations",
            {"combine_background": 1, **BOTH},
        ),
        ("scripts/calibrate.py", "calibrate", BOTH),
    ],
)
def test_edited_code(finished, own_code, module, function, rules):
    finished.snakefile = own_code / "Snakefile"
    edit_function(own_code / module, function)
    assert finished.planned() == rules


def test_cosmetic_edits_rebuild_nothing(finished, own_code):
    finished.snakefile = own_code / "Snakefile"
    for name in (
        "Snakefile",
        "rules/stage2.smk",
        "scripts/calflow/science/calibration/photom.py",
        "scripts/calibrate.py",
        "config.yaml",
    ):
        (own_code / name).write_text((own_code / name).read_text() + "\n# a remark\n")
    edit_function(own_code / "scripts/calflow/simulation/rendering.py", "render_sources")
    assert finished.planned() == {}
