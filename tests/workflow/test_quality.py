"""`snakemake quality`: what is measured, once, and the exit status; what is wrong with an exposure; pictures."""

import json

import numpy as np
import pytest
from astropy.io import fits

from calflow.simulation import INSTRUMENTS, Scene, simulate
from tests.workflow.conftest import FIELD, combining


def test_completeness_is_measured_if_it_is_asked_for_and_nothing_is_made_again(combined):
    assert combined.run("quality").code == 0
    combined.config["quality"] = {"completeness": {"measure": True, "number": 100}}
    run = combined.run("quality")
    assert run.code == 0, run.output
    assert run.rules == {"association_completeness": 1, "association_quality": 1, "quality": 1}
    (path,) = (combined.folder / "results" / "quality" / "completeness").glob("*.json")
    found = json.loads(path.read_text())["kinds"][0]
    assert found["injected"] == 100
    assert f"completeness: 50 % found at {found['limit_50_abmag']:.2f} +- " in run.output


def test_quality_is_measured_once_and_wrong_errors_end_with_1(combined):
    run = combined.run("quality", "pages")
    (path,) = (combined.folder / "results" / "quality").glob("*.json")
    found = json.loads(path.read_text())
    assert run.code == 0, run.output
    assert run.rules == {
        "association_quality": 1,
        "exposure_quality": 4,
        "association_page": 1,
        "outlier_cutouts": 1,
        "pages": 1,
        "preview": 5,
        "preview_noise": 1,
        "preview_scale": 1,
        "quality": 1,
    }
    pages = [combined.folder / "results" / name for name in ("page.html", f"pages/{path.stem}.html")]
    assert f'href="pages/{path.stem}.html"' in pages[0].read_text()
    assert "refresh" not in pages[0].read_text()  # as while the run went on
    times = (combined.folder / "results" / "times.html").read_text()
    made = {rule: number for rule, number in run.rules.items() if rule not in ("pages", "quality")}
    for rule, number in (*made.items(), ("all", sum(made.values()))):
        assert f'<td>{rule}</td>\n<td class="number">{number}</td>' in times
    assert pages[1].read_text().count("data:image/webp") == 6
    (cutouts,) = (combined.folder / "results" / "previews" / "outliers").glob("*.json")
    flagged = [each for each in json.loads(cutouts.read_text())["outliers"] if each["flagged"]]
    assert len(flagged) == 6
    assert all(abs(each["strength"]) > 1 for each in flagged)
    assert {check["name"] for check in found["checks"]} >= {"alignment", "seams", "errors of the image", "catalogue"}
    assert f"{path.stem}: {found['judgement']}" in run.output
    assert len(found["exposures"]) == 4

    image = combined.combined(f"{path.stem}_i2d.fits")
    with fits.open(image, mode="update") as hdus:
        hdus["ERR"].data *= 10
    run = combined.run("quality")
    assert run.code == 1
    assert run.rules == {"association_quality": 1, "catalog_sources": 1, "quality": 1}
    assert "wrong  errors of the image: scatter over ERR 0." in run.output
    assert json.loads((combined.folder / "results" / "quality.json").read_text())["judgement"] == "wrong"

    with fits.open(image, mode="update") as hdus:
        hdus["ERR"].data /= 10
    run = combined.run("pages")
    assert run.code == 0, run.output
    assert run.rules["association_quality"] == run.rules["association_page"] == 1
    assert combined.planned("pages") == {}  # what it was made of was made in the same run


def test_each_defect_is_called_by_the_check_that_is_about_it(tmp_path):
    pixel = INSTRUMENTS["nircam_f200w"].x_scale
    own = {"pointing_error": 0.0, "sky_scatter": 0.0, "cosmic_rays": 0.0, "mispointings": {2: (0.3 * pixel, 0.0)}}
    truth = simulate(tmp_path / "data", Scene(**FIELD | own))
    spoil(truth.science)
    workflow = combining(tmp_path)
    skipped = "tweakreg", "skymatch", "outlier_detection"
    workflow.config["stage3"] = {step: {"skip": True} for step in skipped}
    run = workflow.run("quality")
    assert run.code == 1, run.output
    found = json.loads(next((tmp_path / "results" / "quality").glob("*.json")).read_text())
    names = [path.name.removesuffix("_rate.fits") for path in truth.science]
    assert {check["name"]: [*check["exposures"]] for check in found["checks"] if check["judgement"] != "fine"} == {
        "cosmic rays left": [names[0]],
        "star positions": [names[1]],
        "noise of exposures": [names[2]],
        "seams": [names[3]],
    }


def spoil(paths):
    """Put cosmic rays into the first exposure, make the errors of the third too large, and the sky of the fourth."""
    for number, path in enumerate(paths):
        with fits.open(path, mode="update") as hdus:
            sigma = np.nanmedian(hdus["ERR"].data)
            if number == 0:
                hit = np.random.default_rng(8).random(hdus["SCI"].shape) < 0.005
                hdus["SCI"].data[hit] += 20 * sigma
            elif number == 2:
                hdus["ERR"].data *= 1.5
                for name in ("VAR_POISSON", "VAR_RNOISE"):
                    hdus[name].data *= 1.5**2
            elif number == 3:
                hdus["SCI"].data += sigma


def test_a_failed_exposure_leaves_the_pictures_of_its_filter_the_same(tmp_path):
    workflow, paths = two_associations(tmp_path)
    good = paths[4].read_bytes()
    with fits.open(paths[4], mode="update") as hdus:
        hdus["SCI"].data[:] = np.nan  # one of y: it cannot be calibrated
    scales = tmp_path / "results" / "previews" / "scales"
    targets = "results/pages/x.html", "results/previews/scales/y.json"
    run = workflow.run(*targets, options=["--keep-going"])
    assert run.code == 1, run.output
    assert (tmp_path / "results" / "pages" / "x.html").exists()
    assert not (scales / "y.json").exists()
    shallow = json.loads((scales / "x.json").read_text())

    paths[4].write_bytes(good)
    run = workflow.run(*targets)
    assert run.code == 0, run.output
    # The noise of the filter is the same with it, so nothing of x is made again.
    assert run.rules == {"calibrate": 1, "exposure_quality": 1, "preview_noise": 1, "preview_scale": 1}
    deep = json.loads((scales / "y.json").read_text())
    assert deep["linear"] == shallow["linear"]
    assert deep["high"] - deep["sky"] == pytest.approx(shallow["high"] - shallow["sky"], rel=1e-12)
    assert deep["sky"] > shallow["sky"] + shallow["linear"]


def two_associations(folder):
    """Return a workflow with two associations of a filter, x and y, and its exposures; y is deeper and has more sky."""
    paths = simulate(folder / "data", Scene(**FIELD | {"exposures": 5, "sky_scatter": 0.0})).science
    for path in paths[3:]:
        with fits.open(path, mode="update") as hdus:
            random = np.random.default_rng(4).normal(size=hdus["SCI"].shape)
            sigma = np.nanmedian(hdus["ERR"].data)
            hdus["SCI"].data[:] = np.nanmedian(hdus["SCI"].data) + sigma * (30 + 0.5 * random)
            for name, factor in (("ERR", 0.5), ("VAR_POISSON", 0.25), ("VAR_RNOISE", 0.25)):
                hdus[name].data *= factor
    made = next((folder / "data" / "stage3").glob("*_asn.json"))
    association = json.loads(made.read_text())
    (product,) = association["products"]
    parts = zip("xy", (product["members"][:3], product["members"][3:]), strict=True)
    association["products"] = [{"name": name, "members": members} for name, members in parts]
    made.write_text(json.dumps(association))
    workflow = combining(folder)
    skipped = "tweakreg", "skymatch", "outlier_detection", "source_catalog"
    workflow.config["stage3"] = {step: {"skip": True} for step in skipped}
    return workflow, paths
