"""`snakemake quality`: what is measured, once, and the exit status; pictures."""

import json

from astropy.io import fits


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
