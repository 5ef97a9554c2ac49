"""What stage 2 makes of the variants of the pipeline, and how it is called."""

import gzip
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from calflow.simulation import Scene, simulate
from tests.workflow.conftest import Workflow

pytestmark = pytest.mark.slow

ROOT_1 = "jw01234001001_02101_00001_mirimage"


def make(folder, **scene):
    """Simulate a scene on a tiny detector, run everything, return the workflow and the run."""
    options = {"detector_shape": (48, 56), "exposures": 1, "stars": 3, "galaxies": 0, "seed": 1}
    simulate(folder / "data", Scene(**(options | scene)))
    workflow = Workflow(folder)
    run = workflow.run()
    assert run.code == 0, run.output
    return workflow


def test_packed_exposures_give_the_same_bytes(finished):
    before = {name: finished.product(name).read_bytes() for name in finished.products()}
    for rate in (finished.folder / "data" / "rate").glob("*.fits"):
        (rate.parent / f"{rate.name}.gz").write_bytes(gzip.compress(rate.read_bytes()))
        rate.unlink()
    run = finished.run()
    assert run.code == 0, run.output
    assert set(run.rules) == {"combine_background", "calibrate"}  # what they make is as it was: nothing else follows
    assert {name: finished.product(name).read_bytes() for name in finished.products()} == before


def test_compressed_products_hold_the_same(finished):
    def pixels():
        found = {}
        for name in sorted(finished.products()):
            with fits.open(finished.product(name), memmap=False) as hdus:
                found |= {(name, hdu.name): hdu.data for hdu in hdus[1:] if hdu.is_image}
        return found

    before = pixels()
    finished.config["compress"] = "lossless"
    run = finished.run()
    assert run.code == 0, run.output
    assert run.rules == {"calibrate": 2, "resample_exposure": 2}
    for name in finished.products():
        with fits.open(finished.product(name), disable_image_compression=True) as hdus:
            assert hdus["SCI"].header["ZIMAGE"]
    after = pixels()
    assert after.keys() == before.keys()
    for key, plane in before.items():
        np.testing.assert_array_equal(after[key], plane)
    assert finished.planned() == {}


def header(workflow, name):
    return fits.getheader(workflow.product(name))


@pytest.mark.parametrize(
    ("scene", "products", "status"),
    [
        (
            {"instrument": "nircam_f200w"},
            {"nrcb1_cal", "nrcb1_i2d"},
            {"S_WCS": "COMPLETE", "S_FLAT": "COMPLETE", "S_PHOTOM": "COMPLETE", "S_BKDSUB": None, "S_RESAMP": None},
        ),
        ({"instrument": "niriss_f200w"}, {"nis_cal", "nis_i2d"}, {"S_PHOTOM": "COMPLETE"}),
        ({"instrument": "fgs"}, {"guider1_cal", "guider1_i2d"}, {"S_PHOTOM": "COMPLETE"}),
        (
            {"instrument": "nircam_f200w", "nints": 3, "backgrounds": 1},
            {"nrcb1_calints"},
            {"S_BKDSUB": "SKIPPED", "S_RESAMP": None, "DATAMODL": "CubeModel"},
        ),
        (
            {"instrument": "nircam_f200w", "visit_type": "PRIME_WFSC_ROUTINE"},
            {"nrcb1_cal"},
            {"S_RESAMP": "SKIPPED", "DATAMODL": "ImageModel"},
        ),
        ({"instrument": "nircam_f200w", "exp_type": "NRC_CORON", "nints": 2}, {"nrcb1_calints"}, {"S_RESAMP": None}),
        ({"instrument": "niriss_f200w", "exp_type": "NIS_AMI", "nints": 2}, {"nis_calints"}, {"S_PHOTOM": "SKIPPED"}),
    ],
)
def test_variants(tmp_path, scene, products, status):
    workflow = make(tmp_path, **scene)
    assert workflow.products() == {f"jw01234001001_02101_00001_{name}.fits" for name in products}
    (cal,) = [name for name in workflow.products() if "_cal" in name]
    found = header(workflow, cal)
    assert {keyword: found.get(keyword) for keyword in status} == status


def test_integrations_are_calibrated_one_by_one(tmp_path):
    workflow = make(tmp_path, instrument="nircam_f200w", nints=3)
    with fits.open(workflow.product("jw01234001001_02101_00001_nrcb1_calints.fits")) as hdus:
        assert hdus["SCI"].shape == hdus["VAR_FLAT"].shape == (3, 48, 56)
        assert hdus["AREA"].shape == (48, 56)
        assert len(hdus["INT_TIMES"].data) == 3
        assert hdus["SCI"].header["BUNIT"] == "MJy/sr"


def test_backgrounds_of_integrations(tmp_path):
    workflow = make(tmp_path, instrument="nircam_f200w", exp_type="NRC_CORON", nints=2, backgrounds=2)
    assert header(workflow, "jw01234001001_02101_00001_nrcb1_calints.fits")["S_BKDSUB"] == "COMPLETE"


def test_kept_products(workflow):
    workflow.config["stage2"] = {
        "save_bsub": True,
        "bkg_subtract": {"save_combined_background": True},
        "flat_field": {"save_interpolated_flat": True},
    }
    run = workflow.run()
    assert run.code == 0, run.output
    kept = {f"{ROOT_1}_{suffix}.fits" for suffix in ("bsub", "combinedbackground", "interpolatedflat", "cal", "i2d")}
    assert kept <= workflow.products()
    with (
        fits.open(workflow.product(f"{ROOT_1}_bsub.fits")) as bsub,
        fits.open(workflow.product(f"{ROOT_1}_combinedbackground.fits")) as average,
        fits.open(workflow.folder / f"data/rate/{ROOT_1}_rate.fits") as rate,
    ):
        np.testing.assert_allclose(bsub["SCI"].data, rate["SCI"].data - average["SCI"].data, rtol=1e-6)
        assert bsub[0].header["S_BKDSUB"] == "COMPLETE"


def test_all_keywords_of_the_input_survive(finished):
    with (
        fits.open(finished.folder / f"data/rate/{ROOT_1}_rate.fits") as rate,
        fits.open(finished.product(f"{ROOT_1}_cal.fits")) as cal,
    ):
        assert set(rate[0].header) <= set(cal[0].header)
        replaced = {"CDELT1", "CDELT2", "PC1_1", "PC1_2", "PC2_1", "PC2_2"}
        assert set(rate["SCI"].header) - set(cal["SCI"].header) <= replaced
        assert cal[0].header["CAL_VER"].startswith("calflow ")
        assert cal[0].header["DATE"] == rate[0].header["DATE"]
        assert cal[0].header["ASNTABLE"] == finished.association.name


def test_single_exposure_without_association(workflow):
    workflow.config |= {"associations": [], "exposures": f"data/rate/{ROOT_1}_rate.fits"}
    run = workflow.run()
    assert run.code == 0, run.output
    found = header(workflow, f"{ROOT_1}_cal.fits")
    assert (found["ASNPOOL"], found["ASNTABLE"], found.get("S_BKDSUB")) == ("singleton", "singleton", None)


def test_one_product_as_target(workflow):
    run = workflow.run(f"results/stage2/{ROOT_1}_cal.fits")
    assert run.code == 0, run.output
    assert workflow.products() == {f"{ROOT_1}_cal.fits"}


def test_stage2_as_target(workflow):
    assert workflow.planned("stage2") == workflow.planned()


def test_a_target_that_is_no_product(workflow):
    run = workflow.run("results/stage2/nobody_cal.fits")
    assert run.code != 0
    assert "no exposure 'nobody' in this configuration" in run.output


@pytest.mark.parametrize("output", [".", "./made/", "deep/er"])
def test_output_folders(workflow, output):
    workflow.config["output"] = output
    folder = {".": "stage2", "./made/": "made/stage2", "deep/er": "deep/er/stage2"}[output]
    run = workflow.run(f"{folder}/{ROOT_1}_cal.fits", dry=True)
    assert run.code == 0, run.output
    assert "discouraged" not in run.output


def test_from_another_folder(workflow, tmp_path_factory):
    workflow.run(dry=True)  # writes the configuration
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    arguments = ["--directory", str(workflow.folder), "--configfile", str(workflow.folder / "my.yaml"), "-n"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(workflow.snakefile), "--cores", "1", *arguments]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True)
    assert re.search(r"^calibrate +2$", done.stdout + done.stderr, re.MULTILINE)


def test_members_in_the_input_folder(workflow):
    moved = workflow.folder / "exposures"
    moved.mkdir()
    for path in (workflow.folder / "data/rate").glob("*_rate.fits"):
        shutil.move(path, moved)
    workflow.config["input"] = "exposures"
    assert workflow.planned()["calibrate"] == 2


def test_the_same_exposure_in_two_associations_is_made_once(workflow):
    tree = json.loads(workflow.association.read_text())
    tree["products"] = tree["products"][:1]
    workflow.association.with_name("one_image2_00002_asn.json").write_text(json.dumps(tree))
    assert workflow.planned()["calibrate"] == 2


def test_skipped_steps_are_recorded(workflow):
    workflow.config["stage2"] = {step: {"skip": True} for step in ("bkg_subtract", "flat_field", "photom", "resample")}
    run = workflow.run()
    assert run.code == 0, run.output
    found = header(workflow, f"{ROOT_1}_cal.fits")
    skipped = ("S_BKDSUB", "S_FLAT", "S_PHOTOM", "S_RESAMP")
    assert [found[keyword] for keyword in skipped] == ["SKIPPED"] * 4
    assert found["S_WCS"] == "COMPLETE"
    assert "R_FLAT" not in found
    assert fits.getheader(workflow.product(f"{ROOT_1}_cal.fits"), "SCI")["BUNIT"] == "DN/s"


def test_stdatamodels_reads_the_products(finished, datamodels):
    with datamodels.open(str(finished.product(f"{ROOT_1}_cal.fits"))) as model:
        assert type(model).__name__ == "ImageModel"
        ra, dec = model.meta.wcs(0.0, 0.0)
        region = [float(number) for number in model.meta.wcsinfo.s_region.split()[2:4]]
        assert np.hypot((ra - region[0]) * np.cos(np.radians(dec)), dec - region[1]) * 3600 < 0.2
        assert model.meta.cal_step.photom == "COMPLETE"
        assert model.var_flat.shape == model.data.shape
