"""What stage 3 makes of a small field, with the defaults and with other options."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import asdf
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

import combine
from calflow.configuration.settings import read_settings
from calflow.files.alignment_tables import read_alignment
from calflow.files.geometry_files import read_geometry
from calflow.files.tables import read_table
from calflow.jobs.all import JOBS
from calflow.plan.planner import make_plan
from calflow.science.combination import combination_parameters, resample
from calflow.science.dq_flags import DO_NOT_USE
from tests.workflow.conftest import combining

pytestmark = pytest.mark.slow

PRODUCT = "jw01234-o001_t001_nircam_clear-f200w"
ROOTS = [f"jw01234001001_02101_0000{n}_nrcb1" for n in (1, 2, 3, 4)]
IMAGE, CATALOG = f"{PRODUCT}_i2d.fits", f"{PRODUCT}_cat.ecsv"
OUTLIER = 16
STEPS = ("S_TWKREG", "S_SKYMAT", "S_OUTLIR", "S_RESAMP")


def crf(number):
    return f"{ROOTS[number - 1]}_o001_crf.fits"


def header(workflow, name):
    with fits.open(workflow.combined(name)) as hdus:
        return {**hdus[0].header, **hdus["SCI"].header}


def statuses(workflow, name):
    found = header(workflow, name)
    return tuple(found.get(keyword) for keyword in STEPS)


def table(workflow, kind):
    return Table.read(workflow.combined(f"{PRODUCT}_{kind}.ecsv"), format="ascii.ecsv")


def true_stars(workflow):
    truth = Table.read(workflow.folder / "data/truth.ecsv", format="ascii.ecsv")
    return truth[truth["type"] == "star"]


def test_products(combined):
    tables = {f"{PRODUCT}_{kind}.ecsv" for kind in ("alignment", "sky", "outliers", "cat")}
    images = {f"{PRODUCT}_{suffix}.fits" for suffix in ("i2d", "segm")}
    assert combined.combined_products() == tables | images | {crf(n) for n in (1, 2, 3, 4)} | {f"{PRODUCT}_cat.reg"}
    assert not list((combined.folder / "results").rglob("*_layer.npy"))  # temporary


def test_statuses(combined):
    assert statuses(combined, IMAGE) == ("COMPLETE",) * 4
    for number in (1, 2, 3, 4):
        assert statuses(combined, crf(number))[:3] == ("COMPLETE",) * 3


def test_keywords_of_the_image(combined):
    found = header(combined, IMAGE)
    assert found["NDRIZ"] == 4
    assert found["ASNTABLE"] == next((combined.folder / "data/stage3").glob("*_asn.json")).name
    assert found["BUNIT"] == "MJy/sr"
    rows = fits.getdata(combined.combined(IMAGE), "HDRTAB")
    assert list(rows["FILENAME"]) == [crf(n) for n in (1, 2, 3, 4)]
    exposure = fits.getheader(combined.combined(crf(1)))["EFFEXPTM"]
    assert found["XPOSURE"] == pytest.approx(4 * exposure)


@pytest.mark.filterwarnings("ignore:Card is too long")
def test_an_image_made_in_bands_by_several_threads_is_the_same_file(combined, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.chdir(combined.folder)
    monkeypatch.setattr(resample, "WORTHWHILE", 0)
    plan = make_plan(read_settings(combined.config), [], tmp_path / "headers")
    job = JOBS["combine"]
    files, params = SimpleNamespace(), job.parameters(plan, PRODUCT)
    vars(files).update(get=lambda name: None, **job.inputs(plan, PRODUCT))
    grid = json.loads(Path(files.grid).read_text())
    grid["shape"][0] += 250  # below the exposures: two bands that none reaches, and one that is hardly reached
    grid["projection"]["crpix"][1] += 250
    grid["box"][1][1] += 250
    files.grid = str(tmp_path / "grid.json")
    Path(files.grid).write_text(json.dumps(grid))
    made = {}
    # The exposures reach two and three bands.
    for rows, threads in ((10**6, 1), (10**6, 2), (101, 1), (101, 2), (101, 3)):
        monkeypatch.setattr(combination_parameters, "BAND_PIXELS", 1)
        monkeypatch.setattr(combination_parameters, "LEAST_BAND_ROWS", rows)
        path = tmp_path / f"{rows}_{threads}" / IMAGE
        combine.combine(files, SimpleNamespace(i2d=str(path)), params, threads)
        made[rows, threads] = path.read_bytes()
    assert set(made.values()) == {made[10**6, 1]}


def test_image_covers_all_exposures(combined):
    with fits.open(combined.combined(IMAGE)) as hdus:
        assert np.bitwise_or.reduce(hdus["CON"].data, axis=None) == 0b1111
        weight, image = hdus["WHT"].data, hdus["SCI"].data
        total = weight.sum(dtype=float)
    assert np.array_equal(np.isfinite(image), weight > 0)
    used = 0.0
    for number in (1, 2, 3, 4):
        with fits.open(combined.combined(crf(number))) as hdus:
            good = (hdus["DQ"].data & DO_NOT_USE) == 0
            used += np.nansum(1 / hdus["VAR_RNOISE"].data[good], dtype=float)
    # Drizzle keeps the weights, but for the half pixel that the grid cuts off.
    assert total == pytest.approx(used, rel=0.015)


def test_tables(combined):
    for kind in ("alignment", "sky", "outliers"):
        assert list(table(combined, kind)["exposure"]) == ROOTS
    aligned = table(combined, "alignment")
    assert list(aligned["reference"]) == [True, False, False, False]
    assert min(aligned["matches"][1:]) >= 15
    assert min(table(combined, "sky")["level"]) == 0
    outliers = table(combined, "outliers")
    for number, row in enumerate(outliers, start=1):
        flags = fits.getdata(combined.combined(crf(number)), "DQ")
        assert np.count_nonzero(flags & OUTLIER) == row["flagged"] > 0
        assert np.all(flags[(flags & OUTLIER) > 0] & DO_NOT_USE)
        assert row["fraction"] == row["flagged"] / flags.size


def test_sky_levels_are_in_the_headers_and_agree_with_the_truth(combined):
    truth = json.loads((combined.folder / "data/truth.json").read_text())
    sky = {e["file"].removesuffix("_rate.fits"): e["sky_mjysr"] for e in truth["exposures"]}
    levels = np.array([header(combined, crf(n))["BKGLEVEL"] for n in (1, 2, 3, 4)])
    np.testing.assert_allclose(levels, table(combined, "sky")["level"], rtol=1e-14)
    assert [header(combined, crf(n))["BKGSUB"] for n in (1, 2, 3, 4)] == [False] * 4
    expected = np.array([sky[name] for name in ROOTS])
    np.testing.assert_allclose(levels - levels.mean(), expected - expected.mean(), atol=0.01)


def test_catalogue_and_segmentation(combined):
    found = table(combined, "cat")
    segments = fits.getdata(combined.combined(f"{PRODUCT}_segm.fits"))
    assert found.meta["status"] == "COMPLETE"
    assert segments.shape == fits.getdata(combined.combined(IMAGE)).shape
    assert set(np.unique(segments)) - {0} == set(found["label"])
    regions = combined.combined(f"{PRODUCT}_cat.reg").read_text()
    assert regions.count("circle(") + regions.count("ellipse(") == len(found)


def test_catalogue_agrees_with_the_truth(combined):
    stars = true_stars(combined)
    stars = stars[np.argsort(stars["flux"])[-12:]]
    found = table(combined, "cat")
    nearest, distance, _ = SkyCoord(stars["ra"], stars["dec"], unit="deg").match_to_catalog_sky(found["sky_centroid"])
    assert np.median(distance.arcsec) < 0.005
    assert np.nanmedian(found["aper_total_flux"][nearest] / stars["flux"]) == pytest.approx(1, abs=0.1)


def test_alignment_undoes_the_pointing_errors(combined):
    errors = residuals(combined, "relative")
    # Pointings were off by 0.05 arcsec per axis.
    assert max(np.hypot(*shift) for shift in errors) < 0.004
    before = residuals(combined, "nominal")
    assert max(np.hypot(*shift) for shift in before) > 0.03


def residuals(workflow, kind, offset=(0.0, 0.0)):
    """Return the median offset (east, north; arcsec) of each exposure's stars from where they are, plus `offset`."""
    stars = true_stars(workflow)
    found = []
    for row in read_alignment(workflow.combined(f"{PRODUCT}_alignment.ecsv")):
        geometry = read_geometry(workflow.folder / f"results/stage2/geometry/{row.exposure}_cal.json")
        if kind != "nominal":
            geometry = geometry.corrected(row.correction)
        xy = Table.read(workflow.combined(f"stars/{row.exposure}_cal_cat.ecsv"), format="ascii.ecsv")
        ra, dec = geometry.sky(xy["x"], xy["y"]).T
        scale = np.cos(np.radians(dec[0]))
        east = (ra[:, None] - np.asarray(stars["ra"])) * scale * 3600 - offset[0]
        north = (dec[:, None] - np.asarray(stars["dec"])) * 3600 - offset[1]
        nearest = np.argmin(np.hypot(east, north), axis=1)
        each = np.arange(len(ra))
        found.append((np.median(east[each, nearest]), np.median(north[each, nearest])))
    return found


def test_absolute_alignment(combined):
    """A catalogue that is off by (0.3, -0.2) arcsec takes all exposures there."""
    stars = true_stars(combined)
    ra = np.asarray(stars["ra"]) + 0.3 / 3600 / np.cos(np.radians(stars["dec"]))
    catalog = Table({"RAJ2000": ra, "DEJ2000": np.asarray(stars["dec"]) - 0.2 / 3600}, units=["deg", "deg"])
    catalog.write(combined.folder / "truth.vot", format="votable")
    combined.config["stage3"] = {"tweakreg": {"abs_refcat": "truth.vot"}}
    run = combined.run(f"results/stage3/{PRODUCT}_alignment.ecsv")
    assert run.rules == {"align": 1}
    rows = read_alignment(combined.combined(f"{PRODUCT}_alignment.ecsv"))
    assert [row.status for row in rows] == ["COMPLETE"] * 4
    assert "catalogue" in rows[0].reason
    assert max(np.hypot(*shift) for shift in residuals(combined, "absolute", (0.3, -0.2))) < 0.005


def test_output_wcs(combined):
    """The grid of an image, given as a file, makes the same image."""
    before = header(combined, IMAGE)
    with fits.open(combined.combined(IMAGE)) as hdus:
        image = hdus["SCI"].data
        tree = asdf.open(_bytes(hdus["ASDF"])).tree
        asdf.AsdfFile({"wcs": tree["meta"]["wcs"]}).write_to(combined.folder / "grid.asdf")
    combined.config["stage3"] = {"resample": {"output_wcs": "grid.asdf"}}
    run = combined.run()
    assert run.rules == {"lay_grid": 1, "combine": 1, "catalog_sources": 1}
    after = header(combined, IMAGE)
    for keyword in ("NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "PC1_1", "PC1_2"):
        assert after[keyword] == pytest.approx(before[keyword], rel=1e-12), keyword
    again = fits.getdata(combined.combined(IMAGE))
    np.testing.assert_allclose(again, image, rtol=1e-4, atol=1e-4)


def _bytes(hdu):
    return BytesIO(hdu.data["ASDF_METADATA"].tobytes())


@pytest.fixture(scope="module")
def other_options(combined_folder, tmp_path_factory):
    """The field with options that do not concern each other."""
    folder = tmp_path_factory.mktemp("options") / "field"
    shutil.copytree(combined_folder, folder)
    workflow = combining(folder)
    levels = "".join(f"{name}_cal.fits {0.01 * n}\n" for n, name in enumerate(ROOTS))
    (folder / "levels.txt").write_text("# exposure level\n" + levels)
    for name in ROOTS[:2]:
        own = Table.read(folder / f"results/stage3/stars/{name}_cal_cat.ecsv", format="ascii.ecsv")[:20]
        own.rename_columns(["x", "y"], ["xcentroid", "ycentroid"])
        own["xcentroid", "ycentroid"].write(folder / f"{name}_own.ecsv")
    lines = [f"{name}_cal.fits {name}_own.ecsv\n" for name in ROOTS[:2]]
    (folder / "lists.txt").write_text("".join(lines) + f"{ROOTS[2]}_cal.fits\n")
    workflow.config["stage3"] = {
        "in_memory": False,
        "tweakreg": {"use_custom_catalogs": True, "catfile": "lists.txt", "catalog_format": "fits", "robust": False},
        "skymatch": {"skymethod": "user", "skylist": "levels.txt", "subtract": True},
        "outlier_detection": {"save_intermediate_results": True, "weight_type": "exptime", "in_memory": False},
        "resample": {"weight_type": "exptime", "in_memory": False, "propagate_dq": True},
        "source_catalog": {"starfinder": "iraf"},
    }
    run = workflow.run()
    assert run.code == 0, run.output
    return workflow


def test_custom_star_lists(other_options):
    rows = read_alignment(other_options.combined(f"{PRODUCT}_alignment.ecsv"))
    assert [row.stars for row in rows[:2]] == [20, 20]
    assert min(row.stars for row in rows[2:]) > 20
    assert {path.suffix for path in other_options.combined("stars").glob(f"{ROOTS[3]}*")} == {".ecsv", ".fits"}


def test_user_levels_are_subtracted(other_options):
    found = [row["level"] for row in read_table(other_options.combined(f"{PRODUCT}_sky.ecsv"))]
    np.testing.assert_allclose(found, [0.0, 0.01, 0.02, 0.03])
    for number in (1, 4):
        after = header(other_options, crf(number))
        assert (after["BKGMETH"], after["BKGSUB"]) == ("user", True)
        assert after["BKGLEVEL"] == pytest.approx(0.01 * (number - 1))
        with (
            fits.open(other_options.product(f"{ROOTS[number - 1]}_cal.fits")) as cal,
            fits.open(other_options.combined(crf(number))) as made,
        ):
            good = np.isfinite(made["SCI"].data)
            difference = (cal["SCI"].data - made["SCI"].data)[good]
        np.testing.assert_allclose(difference, 0.01 * (number - 1), atol=2e-4)


def test_intermediate_results_are_kept(other_options):
    kept = {f"{name}_o001_{suffix}.fits" for name in ROOTS for suffix in ("outlier_i2d", "blot")}
    kept |= {f"{ROOTS[0]}_o001_median.fits"}
    assert kept <= other_options.combined_products()
    groups = [fits.getdata(other_options.combined(f"{name}_o001_outlier_i2d.fits")) for name in ROOTS]
    median = fits.getdata(other_options.combined(f"{ROOTS[0]}_o001_median.fits"))
    # Where all have data, the mean of the middle two; but for pixels of little weight, which do not count.
    everywhere = np.isfinite(groups).all(axis=0)
    agree = np.isclose(np.median(groups, axis=0)[everywhere], median[everywhere], rtol=1e-5)
    assert agree.mean() > 0.9
    blot = fits.getdata(other_options.combined(f"{ROOTS[0]}_o001_blot.fits"))
    assert blot.shape == (128, 136)


def test_weight_by_exposure_time(other_options):
    with fits.open(other_options.combined(IMAGE)) as hdus:
        weight, planes = hdus["WHT"].data, {hdu.name for hdu in hdus}
        time = hdus[0].header["TMEASURE"] / 4
    assert header(other_options, IMAGE)["RESWHT"] == "exptime"
    inner = weight[60:90, 60:90]
    assert np.median(inner) == pytest.approx(4 * time, rel=0.02)
    assert "DQ" in planes


def test_catalogue_of_stars(other_options):
    found = table(other_options, "cat")
    assert len(found) > 10
    assert not fits.getdata(other_options.combined(f"{PRODUCT}_segm.fits")).any()


def test_all_steps_skipped_but_resample(combined):
    skipped = ("tweakreg", "skymatch", "outlier_detection", "source_catalog")
    combined.config["stage3"] = {step: {"skip": True} for step in skipped}
    run = combined.run()
    assert run.code == 0, run.output
    assert run.rules == {"align": 1, "lay_grid": 1, "flag_outliers": 4, "combine": 1}
    assert statuses(combined, IMAGE) == ("SKIPPED", "SKIPPED", "SKIPPED", "COMPLETE")
    for number in (1, 2):
        with (
            fits.open(combined.product(f"{ROOTS[number - 1]}_cal.fits")) as cal,
            fits.open(combined.combined(crf(number))) as made,
        ):
            for name in ("SCI", "ERR", "DQ"):
                np.testing.assert_array_equal(cal[name].data, made[name].data)
            assert cal["SCI"].header["S_REGION"] == made["SCI"].header["S_REGION"]
            assert "BKGLEVEL" not in made[0].header
    assert combined.planned() == {}


@pytest.mark.parametrize("step", ["resample", "source_catalog"])
def test_a_skipped_last_step_makes_nothing_before_it_again(combined, step):
    combined.config["stage3"] = {step: {"skip": True}}
    assert combined.planned() == {}


def test_an_image_of_each_group_on_the_common_grid(combined):
    combined.config["stage3"] = {"resample": {"single": True}}
    run = combined.run()
    assert run.code == 0, run.output
    assert run.rules == {"combine_group": 4}
    shapes = set()
    for number, root in enumerate(ROOTS):
        with fits.open(combined.combined(f"{PRODUCT}_{number}_i2d.fits")) as hdus:
            assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "ERR", "CON", "WHT", "HDRTAB", "ASDF"]
            assert hdus["HDRTAB"].data["FILENAME"].tolist() == [f"{root}_o001_crf.fits"]
            assert hdus[0].header["NDRIZ"] == 1
            shapes.add(hdus["SCI"].shape)
            assert 0.5 < np.isfinite(hdus["SCI"].data).mean() < 1  # its own part of the grid
    with fits.open(combined.combined(IMAGE)) as hdus:
        assert shapes == {hdus["SCI"].shape}
    assert combined.planned(f"results/stage3/{PRODUCT}_0_i2d.fits") == {}
    told = combined.run(f"results/stage3/{PRODUCT}_4_i2d.fits", dry=True).output
    assert f"did you mean 'results/stage3/{PRODUCT}_3_i2d.fits'?" in told


def test_tiles_are_parts_of_the_image_on_their_plane(combined):
    before = header(combined, IMAGE)
    plane = {"crval": [before["CRVAL1"], before["CRVAL2"]], "pixel_scale": 0.031, "rotation": 0.0}
    combined.config["stage3"] = {step: {"skip": True} for step in ("tweakreg", "skymatch", "outlier_detection")}
    whole = {"crpix": [100, 100], "output_shape": [200, 200]}
    combined.config["grids"] = {"sky": {"associations": PRODUCT} | plane | whole}
    assert combined.run(f"results/stage3/{IMAGE}").code == 0
    tiles = {"tile_shape": [100, 100], "tile_overlap": 10}
    combined.config["grids"] = {"sky": {"associations": PRODUCT} | plane | tiles}
    names = [f"{PRODUCT}_x{x}y{y}" for x in (-1, 0) for y in (-1, 0)]
    run = combined.run(*(f"results/stage3/{name}_cat.ecsv" for name in names))
    assert run.code == 0, run.output
    made = {rule: run.rules[rule] for rule in ("lay_common_grid", "combine", "catalog_sources")}
    assert made == dict.fromkeys(made, 4)
    image = fits.getdata(combined.combined(IMAGE))
    for name in names:
        found = header(combined, f"{name}_i2d.fits")
        x, y = (101 - found[keyword] for keyword in ("CRPIX1", "CRPIX2"))
        assert (x % 1, y % 1, found["NAXIS1"], found["NAXIS2"]) == (0, 0, 120, 120)
        inner = slice(max(int(y), 0) + 5, int(y) + 115), slice(max(int(x), 0) + 5, int(x) + 115)
        expected = image[inner]
        corner = inner[0].start - int(y), inner[1].start - int(x)
        tile = fits.getdata(combined.combined(f"{name}_i2d.fits"))
        part = tile[corner[0] : corner[0] + expected.shape[0], corner[1] : corner[1] + expected.shape[1]]
        # The sky of a scene is 0.2 MJy/sr and more.
        np.testing.assert_allclose(part, expected, rtol=1e-6, atol=1e-6)
        assert np.isfinite(expected).mean() > 0.2


def test_skipped_resample_makes_no_image(field_workflow):
    field_workflow.config["stage3"] = {"resample": {"skip": True}}
    planned = field_workflow.planned()
    assert not {"combine", "catalog_sources", "lay_grid"} & set(planned)
    assert planned["flag_outliers"] == 4


def test_catalogue_without_aperture_corrections(combined):
    combined.config["references"]["override"] = {"apcorr": "N/A"}
    before = combined.combined(IMAGE).stat().st_mtime_ns
    run = combined.run()
    assert run.code == 0, run.output
    assert run.rules == {"catalog_sources": 1}
    found = table(combined, "cat")
    assert (found.meta["status"], len(found)) == ("FAILED", 0)
    assert "apcorr" in found.meta["reason"]
    assert combined.combined(IMAGE).stat().st_mtime_ns == before


def test_outliers_without_resampling(combined):
    combined.config["stage3"] = {"outlier_detection": {"resample_data": False, "error": "median"}}
    run = combined.run(f"results/stage3/{crf(1)}")
    assert run.code == 0, run.output
    medians = {"take_median": 1, "take_median_error": 1}
    assert run.rules == {"resample_group": 4, "resample_error": 4, "flag_outliers": 1} | medians
    assert header(combined, crf(1))["S_OUTLIR"] == "COMPLETE"
    with (
        fits.open(combined.combined(crf(1))) as made,
        fits.open(combined.product(f"{ROOTS[0]}_cal.fits")) as cal,
    ):
        flagged = (made["DQ"].data & OUTLIER) > 0
        # In front of dithered exposures a star differs from the median: this is for exposures without dithers.
        bright = cal["SCI"].data > np.nanpercentile(cal["SCI"].data, 99.5)
    assert flagged[bright].mean() > 0.5


def test_absurd_pointing_is_refused_by_name(combined):
    path = combined.folder / f"data/rate/{ROOTS[2]}_rate.fits"
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].header["RA_REF"] += 5.0
    run = combined.run(f"results/stage3/{IMAGE}")
    assert run.code != 0
    assert run.jobs == []
    assert f"far from the others lie {ROOTS[2]}: combine them apart, or correct their pointing" in run.output
    assert "Traceback" not in run.output


def test_the_size_of_the_image_is_known_beforehand_and_its_limit_is_no_parameter(combined, monkeypatch):
    combined.config["max_output_pixels"] = 300_000_000
    assert combined.planned() == {}
    monkeypatch.chdir(combined.folder)
    plan = make_plan(read_settings(combined.config), [], combined.folder / "headers")
    made = header(combined, IMAGE)
    np.testing.assert_allclose(
        plan.stage3.association(PRODUCT).image_shape, (made["NAXIS2"], made["NAXIS1"]), rtol=0.02
    )
