"""What of stage 3 is made again after a change: exactly what depends on it.

The resampled groups and their median are temporary: whatever looks for outliers again makes them again.
"""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from calflow.files.alignment_tables import read_alignment, write_alignment
from calflow.files.asdf_files import wcs_from_bytes, wcs_to_bytes
from calflow.files.tables import read_table
from tests.edits import edit_function

pytestmark = pytest.mark.slow

PRODUCT = "jw01234-o001_t001_nircam_clear-f200w"
ROOTS = [f"jw01234001001_02101_0000{n}_nrcb1" for n in (1, 2, 3, 4)]
N = len(ROOTS)

# Each with all that follows from it.
CATALOG = {"catalog_sources": 1}
COMBINE = {"combine": 1, **CATALOG}
FLAGS = {"flag_outliers": N, "count_outliers": 1, **COMBINE}
OUTLIERS = {"resample_group": N, "take_median": 1, **FLAGS}
LEVELS = {"match_sky": 1, **OUTLIERS}
SKY = {"measure_sky": N, **LEVELS}
OVERLAPS = {"find_overlaps": 1, **SKY}
ALIGN = {"align": 1, "lay_outlier_grid": 1, **OVERLAPS}
STARS = {"find_stars": N, **ALIGN}
EVERYTHING = {"calibrate": N, **STARS}


def test_nothing_to_do_after_a_finished_run(combined):
    run = combined.run()
    assert run.code == 0
    assert run.jobs == []
    assert "Nothing to be done" in run.output


def test_first_run_makes_everything(field_workflow):
    assert field_workflow.planned() == EVERYTHING
    assert field_workflow.planned("stage2") == {"calibrate": N}
    assert field_workflow.planned(f"results/stage3/{PRODUCT}_alignment.ecsv") == {
        "calibrate": N,
        "find_stars": N,
        "align": 1,
    }


def test_touched_rate_is_calibrated_again_and_nothing_behind_it(combined):
    before = combined.product(f"{ROOTS[0]}_cal.fits").stat().st_mtime_ns
    os.utime(combined.folder / f"data/rate/{ROOTS[2]}_rate.fits")
    rules = {"calibrate": 1, **STARS, "find_stars": 1}
    assert combined.planned() == rules
    run = combined.run()
    assert run.rules == {"calibrate": 1}
    assert f"As before, not run: find_stars {ROOTS[2]}" in run.logged
    assert combined.product(f"{ROOTS[0]}_cal.fits").stat().st_mtime_ns == before
    assert combined.planned() == {}


@pytest.mark.parametrize(
    ("step", "parameter", "value", "rules"),
    [
        ("tweakreg", "snr_threshold", 12.0, STARS),
        ("tweakreg", "minobj", 12, ALIGN),
        ("tweakreg", "sip_degree", 3, FLAGS),
        ("tweakreg", "group_by", "detector", ALIGN),
        ("skymatch", "group_by", "detector", OVERLAPS),
        ("skymatch", "stepsize", 64, OVERLAPS),
        ("skymatch", "lsigma", 3.0, SKY),
        ("skymatch", "match_down", False, LEVELS),
        ("outlier_detection", "maskpt", 0.6, OUTLIERS),
        ("outlier_detection", "snr", [6.0, 5.0], FLAGS),
        ("resample", "pixfrac", 0.8, COMBINE),
        ("source_catalog", "npixels", 20, CATALOG),
        ("source_catalog", "skip", False, {}),  # as it was
        ("tweakreg", "in_memory", False, {}),
    ],
)
def test_changed_parameter(combined, step, parameter, value, rules):
    combined.config["stage3"] = {step: {parameter: value}}
    assert combined.planned() == rules


def test_changed_threshold_of_outliers(combined):
    combined.config["stage3"] = {"outlier_detection": {"snr": "50.0 40.0"}}
    before = fits.getdata(combined.combined(f"{ROOTS[0]}_o001_crf.fits"), "DQ") & 16 > 0
    assert combined.run().rules == FLAGS
    after = fits.getdata(combined.combined(f"{ROOTS[0]}_o001_crf.fits"), "DQ") & 16 > 0
    assert after.sum() < before.sum()
    assert not (after & ~before).any()


def test_error_of_all_exposures(combined):
    """The median of the images stays as it is, and on the way back that of the errors is not needed."""
    before = fits.getdata(combined.combined(f"{ROOTS[0]}_o001_crf.fits"), "DQ") & 16 > 0
    combined.config["stage3"] = {"outlier_detection": {"error": "median"}}
    rules = {"resample_error": N, "take_median_error": 1, "flag_outliers": N}
    assert combined.planned() == rules | FLAGS
    assert combined.run().rules == rules  # the same are flagged
    after = fits.getdata(combined.combined(f"{ROOTS[0]}_o001_crf.fits"), "DQ") & 16 > 0
    assert not (before & ~after).any()  # thresholds are lower, if anything
    assert combined.planned() == {}
    combined.config["stage3"] = {}
    assert combined.planned() == FLAGS


def test_search_by_the_lowest_exposure(combined):
    """The groups are resampled again, for their lowest alone; hits at the edge, where one looks, are found."""
    before = [fits.getdata(combined.combined(f"{root}_o001_crf.fits"), "DQ") & 16 > 0 for root in ROOTS]
    combined.config["stage3"] = {"outlier_detection": {"search": "lowest"}}
    run = combined.run(*[f"results/stage3/{root}_o001_crf.fits" for root in ROOTS])
    assert run.rules == {"resample_group": N, "take_lowest": 1, "flag_outliers": N}
    after = [fits.getdata(combined.combined(f"{root}_o001_crf.fits"), "DQ") & 16 > 0 for root in ROOTS]
    assert np.sum(after) > np.sum(before)
    combined.config["stage3"] = {}
    assert combined.planned(f"results/stage3/{ROOTS[0]}_o001_crf.fits") == {"flag_outliers": 1}


def test_changed_pixel_scale(combined):
    combined.config["stage3"] = {"resample": {"pixel_scale": 0.0154}}
    before = fits.getheader(combined.combined(f"{PRODUCT}_i2d.fits"), "SCI")
    assert combined.run().rules == {"lay_grid": 1, **COMBINE}
    after = fits.getheader(combined.combined(f"{PRODUCT}_i2d.fits"), "SCI")
    assert after["CDELT1"] == pytest.approx(0.0154 / 3600, rel=1e-12)
    assert after["NAXIS1"] == pytest.approx(2 * before["NAXIS1"], abs=3)
    assert combined.planned() == {}


def test_changed_aperture_corrections(combined):
    reference = combined.reference("apcorr")
    with fits.open(reference, mode="update") as hdus:
        for hdu in hdus[1:]:
            if "apcorr" in (hdu.columns.names if hasattr(hdu, "columns") else ()):
                hdu.data["apcorr"] *= 1.1
    assert combined.run().rules == CATALOG


def test_one_sky_level_for_a_visit(combined):
    """The sky is grouped by itself: the alignment table stays as it is, and so does the outlier search go by it."""
    combined.config["stage3"] = {"skymatch": {"group_by": "visit", "skymethod": "local"}}
    assert combined.planned() == OVERLAPS
    run = combined.run(f"results/stage3/{PRODUCT}_sky.ecsv")
    assert (run.code, run.rules) == (0, {"find_overlaps": 1, "measure_sky": N, "match_sky": 1}), run.output
    rows = read_table(combined.combined(f"{PRODUCT}_sky.ecsv"))
    assert {row["group"] for row in rows} == {"jw01234001001"}
    assert len({row["level"] for row in rows}) == 1
    _, aligned = alignment(combined)
    assert len({row.group for row in aligned}) == N


def move(combined, arcsec):
    """Have the second exposure lie further in the east, as if it had been aligned so."""
    path = combined.combined(f"{PRODUCT}_alignment.ecsv")
    rows = read_alignment(path)
    correction, east = rows[1].correction, np.array([arcsec / 3600 / np.cos(np.radians(rows[1].footprint[0, 1])), 0])
    moved = replace(correction, shift=(correction.shift[0] + arcsec, correction.shift[1]))
    rows[1] = replace(rows[1], correction=moved, footprint=rows[1].footprint + east)
    write_alignment(path, rows, {"step": "tweakreg"})


def test_the_sky_is_measured_again_only_where_other_pixels_overlap(combined):
    """A motion of a micro-arcsecond is another table of overlaps at the most; one of three pixels is other pixels."""
    sky = f"results/stage3/{PRODUCT}_sky.ecsv"
    move(combined, 1e-6)
    assert combined.planned(sky) == {"find_overlaps": 1, "measure_sky": N, "match_sky": 1}
    assert combined.run(sky).rules == {"find_overlaps": 1}
    overlaps = combined.combined(f"sky/{PRODUCT}_overlaps.json")
    tree = json.loads(overlaps.read_text())
    tree[ROOTS[2]]["overlaps"].popitem()
    overlaps.write_text(json.dumps(tree))
    assert combined.planned(sky) == {"measure_sky": 1, "match_sky": 1}
    run = combined.run(sky)
    assert run.rules == {"measure_sky": 1, "match_sky": 1}
    move(combined, 0.1)
    assert combined.run(sky).rules == {"find_overlaps": 1, "measure_sky": N, "match_sky": 1}
    assert combined.planned(sky) == {}


def test_the_catalogue_of_another_association(combined):
    """The association that gives it stays as it is; the other waits for its catalogue, now and when that is stale."""
    path = next((combined.folder / "data/stage3").glob("*_asn.json"))
    tree = json.loads(path.read_text())
    tree["asn_id"], tree["products"][0]["name"] = "c1001", "again"
    path.with_name("again_asn.json").write_text(json.dumps(tree))
    combined.config["stage3"] = {"tweakreg": {"abs_refcat": {"association": PRODUCT}}}
    assert combined.planned() == ALIGN
    table = "results/stage3/again_alignment.ecsv"
    run = combined.run(table)
    assert (run.code, run.rules) == (0, {"align": 1}), run.output
    _, rows = alignment(combined, "again")
    assert {row.status for row in rows} == {"COMPLETE"}
    assert all("is brought to the catalogue" in row.reason for row in rows)
    combined.config["stage3"]["source_catalog"] = {"npixels": 20}
    assert combined.planned(table) == {"catalog_sources": 1, "align": 1}


def alignment(combined, product=PRODUCT):
    """Return the corrections of the exposures, shape (n, 6), and the whole rows."""
    rows = read_alignment(combined.combined(f"{product}_alignment.ecsv"))
    return np.array([[*np.ravel(row.correction.matrix), *row.correction.shift] for row in rows]), rows


def test_pointings_that_another_run_found(combined):
    """The alignment table for all but one exposure, the WCS of its _crf for that: the images are the same again."""
    before, _ = alignment(combined)
    image = fits.getdata(combined.combined(f"{PRODUCT}_i2d.fits"))
    table = combined.combined(f"{PRODUCT}_alignment.ecsv").read_text().splitlines(keepends=True)
    (combined.folder / "known.ecsv").write_text("".join(line for line in table if not line.startswith(ROOTS[1])))
    with fits.open(combined.combined(f"{ROOTS[1]}_o001_crf.fits")) as crf:
        wcs = wcs_from_bytes(crf["ASDF"].data["ASDF_METADATA"].tobytes())
    (combined.folder / f"{ROOTS[1]}_wcs.asdf").write_bytes(wcs_to_bytes(wcs))
    given = {"wcs_from": ["known.ecsv", "*_wcs.asdf"]}
    combined.config["stage3"] = {"tweakreg": given | {"skip": True}}
    run = combined.run()
    assert run.code == 0, run.output
    assert {"align": 1, "flag_outliers": N, "combine": 1}.items() <= run.rules.items()
    assert not {"calibrate", "find_stars"} & set(run.rules)
    after, rows = alignment(combined)
    assert {row.status for row in rows} == {"SKIPPED"}
    assert after == pytest.approx(before, abs=1e-7)  # arcsec
    assert (after == before).all(axis=1).tolist() == [True, False, True, True]
    assert rows[1].reason.startswith(f"{ROOTS[1]}_wcs.asdf moved it by 0.")
    assert fits.getdata(combined.combined(f"{PRODUCT}_i2d.fits")) == pytest.approx(image, rel=1e-4, nan_ok=True)
    header = fits.getheader(combined.combined(f"{ROOTS[0]}_o001_crf.fits"))
    assert (header["S_TWKREG"], header["WCSFROM"]) == ("SKIPPED", f"known.ecsv, {ROOTS[1]}_wcs.asdf")
    assert combined.planned() == {}
    # Followed by the alignment, which finds next to nothing to do.
    combined.config["stage3"] = {"tweakreg": given}
    assert combined.run(f"results/stage3/{PRODUCT}_alignment.ecsv").code == 0
    again, rows = alignment(combined)
    assert {row.status for row in rows} == {"COMPLETE"}
    assert rows[0].reason.endswith("; known.ecsv moved it by 0.0000 arcsec")
    assert again == pytest.approx(before, abs=2e-3)


def test_deleted_image(combined):
    combined.combined(f"{PRODUCT}_i2d.fits").unlink()
    assert combined.run().rules == {"combine": 1}


def test_deleted_exposure_product(combined):
    combined.combined(f"{ROOTS[1]}_o001_crf.fits").unlink()
    assert combined.planned() == {**FLAGS, "flag_outliers": 1}


def test_removed_member(combined):
    path = next((combined.folder / "data/stage3").glob("*_asn.json"))
    tree = json.loads(path.read_text())
    tree["products"][0]["members"].pop()
    path.write_text(json.dumps(tree))
    fewer = N - 1
    assert combined.planned() == {**ALIGN, "measure_sky": fewer, "resample_group": fewer, "flag_outliers": fewer}


def test_another_association_of_the_same_exposures(combined):
    path = next((combined.folder / "data/stage3").glob("*_asn.json"))
    tree = json.loads(path.read_text())
    tree["asn_id"] = "c1001"
    tree["products"][0]["name"] = "again"
    path.with_name("again_asn.json").write_text(json.dumps(tree))
    assert combined.planned() == ALIGN


@pytest.mark.parametrize(
    ("module", "function", "rules"),
    [
        ("scripts/calflow/science/sources/source_catalog.py", "source_catalog", CATALOG),
        ("scripts/calflow/files/header_table.py", "header_table", COMBINE),
        ("scripts/calflow/science/combination/median.py", "median_of_groups", OUTLIERS),
        ("scripts/calflow/science/sky/skymatch.py", "match_sky", LEVELS),
        ("scripts/calflow/science/sky/sky_statistics.py", "sky_statistic", SKY),
        ("scripts/calflow/science/stars/alignment.py", "align_relative", ALIGN),
        ("scripts/find_stars.py", "find", STARS),
        ("scripts/calflow/science/calibration/photom.py", "apply_conversion", EVERYTHING),
        ("scripts/calflow/simulation/rendering.py", "render_sources", {}),
    ],
)
def test_edited_code(combined, own_code, module, function, rules):
    combined.snakefile = own_code / "Snakefile"
    edit_function(own_code / module, function)
    assert combined.planned() == rules


def test_products_are_the_same_bytes_again(combined, field_workflow):
    run = field_workflow.run()
    assert run.code == 0, run.output
    assert run.rules == EVERYTHING
    folder = combined.folder / "results"
    made = sorted(path.relative_to(folder) for path in folder.rglob("stage?/**/*") if path.is_file())
    again = field_workflow.folder / "results"
    assert made == sorted(path.relative_to(again) for path in again.rglob("stage?/**/*") if path.is_file())
    assert len(made) > 30
    for name in made:
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name


def test_another_version_of_a_library_makes_stale_what_its_code_makes(combined, tmp_path, monkeypatch):
    installed = tmp_path / "photutils-99.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: photutils\nVersion: 99.1\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = combined.run("plan", started=True)
    assert run.code == 0, run.output
    line = next(line for line in run.output.splitlines() if "library changed: photutils" in line)
    assert line.endswith(f"-> 99.1 ({N + 1} jobs: {N} find_stars, 1 catalog_sources)"), run.output
