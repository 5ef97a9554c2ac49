"""Liger and IRIS through real snakemake runs on a tiny simulated field: jobs, products, errors, staleness."""

import json
import shutil

import numpy as np
import pytest
from astropy.io import fits

from calflow.instruments.iris.simulation import IRIS_K, IrisField, simulate_iris
from calflow.simulation import Scene, simulate
from tests.workflow.conftest import Workflow
from tests.workflow.test_errors import edit_header, refused

pytestmark = pytest.mark.slow

FULL, FRAME = "iris_p001_001_0001", "iris_p001_001_0002"
STATUS = "S_BKDSUB S_PARSSA S_WCS S_DARK S_FLAT S_PHOTOM S_RESAMP".split()


@pytest.fixture(scope="session")
def simulated_iris(tmp_path_factory):
    """Two dithered full frames, in the second of which a saturated star has a subarray, and two backgrounds."""
    folder = tmp_path_factory.mktemp("iris")
    scene = Scene(
        IRIS_K,
        detector_shape=(90, 110),
        exposures=2,
        backgrounds=2,
        stars=3,
        galaxies=2,
        cosmic_rays=0.0,
        program="001",
        seed=3,
    )
    field = IrisField(scene, bright_stars=[(55.0, 45.0, 30.0)], subarrays=1, subarray_exposures=[2], subarray_size=24)
    simulate_iris(folder / "data", field)
    return folder


@pytest.fixture
def iris(simulated_iris, tmp_path):
    """A fresh working folder."""
    shutil.copytree(simulated_iris, tmp_path / "iris")
    return Workflow(tmp_path / "iris")


@pytest.fixture(scope="session")
def made(simulated_iris, tmp_path_factory):
    """A working folder in which everything of stage 2 is made, the merge too."""
    folder = tmp_path_factory.mktemp("made") / "iris"
    shutil.copytree(simulated_iris, folder)
    workflow = Workflow(folder)
    workflow.config["associations"] = ["data/rate/*_asn.json", "data/merge/*_asn.json"]
    workflow.config["stage2"] = {"save_bsub": True, "dark_current": {"dark_output": True}}
    run = workflow.run()
    assert run.code == 0, run.output
    workflow.first = run
    return workflow


def single(workflow, name=FULL, **stage2):
    """Configure one exposure without an association."""
    workflow.config |= {"associations": [], "exposures": f"data/rate/{name}_rate.fits", "stage2": stage2}
    return workflow


def run(workflow):
    done = workflow.run()
    assert done.code == 0, done.output
    return done


def header(workflow, name):
    return fits.getheader(workflow.product(name))


def test_jobs(made):
    assert made.first.rules == {
        "calibrate": 3,
        "combine_background": 2,  # one for the window of the subarray
        "merge_subarrays": 1,
        "resample_exposure": 4,
        "save_dark": 3,
        "subtract_background": 3,
    }
    assert made.planned() == {}


def test_status_and_references(made):
    cal = header(made, f"{FULL}_cal.fits")
    done = dict.fromkeys(STATUS, "COMPLETE") | {"S_PARSSA": "SKIPPED", "S_RESAMP": None}
    assert {keyword: cal.get(keyword) for keyword in STATUS} == done
    assert [cal[f"R_{kind}"] for kind in ("DARK", "FLAT", "PHOTOM")] == [
        f"ligeriri_iris_{kind}_0001.fits" for kind in ("dark", "flat", "photom")
    ]
    assert header(made, f"{FRAME}_cal.fits")["S_PARSSA"] == "COMPLETE"
    assert header(made, f"{FULL}_i2d.fits")["S_RESAMP"] == "COMPLETE"
    assert cal["DATAMODL"] == "LigerIrisImageModel"


def test_products_are_fits(made):
    for name in made.products():
        with fits.open(made.product(name)) as hdus:
            hdus.verify("exception")


def test_units_and_world_coordinates(made):
    science = fits.getheader(made.product(f"{FULL}_cal.fits"), "SCI")
    assert science["BUNIT"] == "MJy/sr"
    assert science["S_REGION"].startswith("POLYGON ICRS ")
    assert science["PIXAR_A2"] == pytest.approx(1.6e-5, rel=1e-3)
    primary = header(made, f"{FULL}_i2d.fits")
    assert "CRPIX1" not in primary
    assert fits.getheader(made.product(f"{FULL}_i2d.fits"), "SCI")["CTYPE1"] == "RA---TAN"


def test_merged_subarray(made):
    with (
        fits.open(made.product(f"{FRAME}_merged_cal.fits")) as merged,
        fits.open(made.product(f"{FRAME}_cal.fits")) as full,
        fits.open(made.product(f"{FRAME}_sub1_cal.fits")) as part,
    ):
        inside = full["SUBARR_MAP"].data == 1
        assert np.isnan(full["SCI"].data[inside]).all()
        np.testing.assert_array_equal(merged["SCI"].data[inside], part["SCI"].data.ravel())
        np.testing.assert_array_equal(merged["SCI"].data[~inside], full["SCI"].data[~inside])
        assert merged[0].header["S_MERGSA"] == "COMPLETE"
        assert merged[0].header["ASNTABLE"] == "iris_p001_merge_asn.json"


def test_errors_are_where_weights_are(made):
    for path in (made.folder / "results/stage2").glob("*_i2d.fits"):
        with fits.open(path) as hdus:
            weight, err = hdus["WHT"].data, hdus["ERR"].data
            assert np.array_equal(np.isfinite(err), weight > 0), path.name
            # Drizzled errors, of which the weights are made, too; the pixels have the size of those of the exposure.
            assert np.median((err**2 * weight)[weight > 0]) == pytest.approx(1, rel=0.1)


def test_what_is_no_value(iris):
    """NaN alone are left alone, but not what cannot be; an exposure without ERR has the error 0."""
    rates = iris.folder / "data/rate"
    odd = {"SCI": [(10, 10, np.inf), (20, 20, -3e38)], "ERR": [(30, 30, -1), (35, 30, np.inf)]}
    with fits.open(rates / f"{FULL}_rate.fits", mode="update") as hdus:
        hdus["DQ"].data[8:50, 8:50] = 0
        hdus["SCI"].data[15, 15] = np.nan
        for plane, values in odd.items():
            for y, x, value in values:
                hdus[plane].data[y, x] = value
    with fits.open(rates / f"{FRAME}_rate.fits", mode="update") as hdus:
        del hdus["ERR"]
    for kind, values in {"flat": (np.inf, 1e-25), "dark": (np.inf, 3e38)}.items():
        with fits.open(iris.reference(kind), mode="update") as hdus:
            hdus["SCI"].data[40, 20:22] = values
    single(iris)
    iris.config["exposures"] = [f"data/rate/{name}_rate.fits" for name in (FULL, FRAME)]
    run(iris)
    for name in iris.products():
        with fits.open(iris.product(name)) as hdus:
            assert not any(np.isinf(hdu.data).any() for hdu in hdus[1:] if hdu.is_image), name
            if "i2d" in name:
                assert np.array_equal(np.isfinite(hdus["ERR"].data), hdus["WHT"].data > 0), name
    with fits.open(iris.product(f"{FULL}_cal.fits")) as hdus:
        for plane, values in odd.items():
            for y, x, _ in values:
                assert hdus["DQ"].data[y, x] & 1
                assert np.isnan(hdus[plane].data[y, x])
        assert not hdus["DQ"].data[15, 15] & 1
        assert np.isfinite(hdus["SCI"].data[40, 20:22]).all()  # not divided, and no dark subtracted
        assert (hdus["DQ"].data[40, 20:22] & 2**18).all()
    with fits.open(iris.product(f"{FRAME}_i2d.fits")) as hdus:
        assert np.nanmax(hdus["ERR"].data) == 0
        assert np.median(hdus["WHT"].data) == pytest.approx(1, rel=0.01)


def test_the_dark_as_applied(made):
    with (
        fits.open(made.product(f"{FRAME}_sub1_applieddark.fits")) as applied,
        fits.open(made.reference("dark")) as dark,
    ):
        head = applied[0].header
        (x, y), (nx, ny) = ([head[f"{name}{axis}"] for axis in (1, 2)] for name in ("SUBSTRT", "SUBSIZE"))
        np.testing.assert_array_equal(applied["SCI"].data, dark["SCI"].data[y - 1 : y - 1 + ny, x - 1 : x - 1 + nx])
        assert (head["REFTYPE"], head["R_DARK"]) == ("DARK", made.reference("dark").name)


def test_an_edited_dark_makes_again_what_uses_it(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "again")
    again = Workflow(tmp_path / "again")
    again.config = made.config
    with fits.open(again.reference("dark"), mode="update") as hdus:
        hdus["SCI"].data += 1
    assert "combine_background" not in again.planned()
    assert again.planned()["calibrate"] == 3


def test_raw_backgrounds_get_the_dark_subtracted(iris):
    def calibrated(**bkg_subtract):
        iris.config["stage2"] = {"resample": {"skip": True}, "bkg_subtract": bkg_subtract}
        done = run(iris)
        twice = "2 of its background exposures still have their dark" in done.output
        return fits.getdata(iris.product(f"{FULL}_cal.fits"), "SCI"), twice

    right, told = calibrated()
    assert not told
    for path in (iris.folder / "data/rate").glob("iris_p001_002_*_rate.fits"):
        edit_header(path, S_DARK=None)
        with fits.open(path, mode="update") as hdus, fits.open(iris.reference("dark")) as dark:
            hdus["SCI"].data += np.nan_to_num(dark["SCI"].data)
    wrong, told = calibrated()
    assert told
    assert np.nanmedian(right - wrong) > 1  # the dark rate of all pixels is positive
    again, told = calibrated(subtract_dark=True)
    assert not told
    np.testing.assert_allclose(again, right, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("members", [True, False])
def test_a_smooth_sky(iris, members):
    sky = {"method": "sky_model", "box_size": 30, "sigma_low": 3, "sigma_high": 3}
    iris.config["stage2"] = {"bkg_subtract": sky, "resample": {"skip": True}}
    if not members:
        single(iris, **iris.config["stage2"])
    done = run(iris)
    assert done.rules == ({"calibrate": 3, "model_sky": 2} if members else {"calibrate": 1})
    with fits.open(iris.product(f"{FULL}_cal.fits")) as hdus:
        assert hdus[0].header["S_BKDSUB"] == "COMPLETE"
        assert hdus["SCI"].header["BUNIT"] == "MJy/sr"
        subtracted = hdus["SCI"].data
    iris.config["stage2"]["bkg_subtract"] = {"skip": True}
    run(iris)
    sky = fits.getdata(iris.product(f"{FULL}_cal.fits"), "SCI") - subtracted
    assert np.nanmin(sky) > 0
    # Without a step from pixel to pixel.
    assert np.nanmax(np.abs(np.diff(sky, axis=1))) < 0.05 * np.nanmedian(sky)


def test_without_world_coordinates_there_is_no_quick_look(iris):
    edit_header(iris.folder / f"data/rate/{FULL}_rate.fits", CRPIX1=None)
    done = run(single(iris))
    assert "assign_wcs is SKIPPED, there will be no _i2d: CRPIX1 is missing" in done.output
    assert iris.products() == {f"{FULL}_cal.fits"}
    cal = header(iris, f"{FULL}_cal.fits")
    assert [cal[keyword] for keyword in ("S_WCS", "S_RESAMP", "S_PHOTOM")] == ["SKIPPED", "SKIPPED", "COMPLETE"]


def test_without_a_photom_reference(iris):
    iris.reference("photom").unlink()
    done = run(single(iris, resample={"skip": True}))
    assert "photom is SKIPPED: " in done.output
    cal = header(iris, f"{FULL}_cal.fits")
    assert (cal["S_PHOTOM"], cal["R_PHOTOM"]) == ("SKIPPED", "N/A")


def test_liger(iris):
    path = iris.folder / f"data/rate/{FULL}_rate.fits"
    edit_header(path, TELESCOP="Keck", INSTRUME="LIGER", DETECTOR="LIGER1", EXP_TYPE="LIGER_IMAGE")
    for kind in ("dark", "flat", "photom"):
        edit_header(iris.reference(kind), INSTRUME="LIGER", DETECTOR="LIGER1")
    run(single(iris))
    assert iris.products() == {f"{FULL}_cal.fits", f"{FULL}_i2d.fits"}
    assert header(iris, f"{FULL}_cal.fits")["S_DARK"] == "COMPLETE"


def test_two_families_in_one_run(iris):
    simulate(iris.folder / "jwst", Scene("nircam_f200w", detector_shape=(48, 56), exposures=1, stars=3, galaxies=0))
    for path in (iris.folder / "jwst/references").iterdir():
        shutil.copy(path, iris.folder / "data/references")
    iris.config |= {"associations": "jwst/rate/*_asn.json", "exposures": f"data/rate/{FULL}_rate.fits"}
    iris.config["stage2"] = {"resample": {"skip": True}}
    run(iris)
    telescopes = {fits.getheader(iris.product(name))["TELESCOP"] for name in iris.products()}
    assert telescopes == {"JWST", "TMT"}
    iris.config["stage2"]["bkg_subtract"] = {"method": "sky_model"}
    done = iris.run(dry=True)
    assert "stage2.bkg_subtract.method: 'sky_model' is not there for" in done.output


# What is refused before any job.


def test_no_row_of_the_photom_table(iris):
    edit_header(iris.folder / f"data/rate/{FULL}_rate.fits", FILTER="H")
    edit_header(iris.reference("flat"), FILTER="H")
    refused(single(iris), "photom_0001.fits: PHOTOM: ", "H")


def test_no_dark_for_the_detector(iris):
    edit_header(iris.reference("dark"), DETECTOR="IRIS2")
    refused(single(iris), "no dark reference for INSTRUME IRIS, DETECTOR IRIS1, SUBARRAY FULL", "DETECTOR IRIS2")


def test_a_dark_is_not_subtracted_twice(iris):
    edit_header(iris.folder / f"data/rate/{FULL}_rate.fits", S_DARK="COMPLETE")
    refused(single(iris), "S_DARK: is COMPLETE: the dark is already subtracted")


def test_backgrounds_that_do_not_cover_the_exposure(iris):
    def use_the_subarray(tree):
        tree["products"] = tree["products"][:1]
        tree["products"][0]["members"][1]["expname"] = f"{FRAME}_sub1_rate.fits"

    iris.edit_association(use_the_subarray)
    refused(iris, "its science exposure columns 1..110, rows 1..90: it is not all in it")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([f"{FRAME}_sub1"], "no full frame; the full frame of the subarrays has SUBARRID = 0"),
        ([FRAME], "no subarray; subarrays have SUBARRID of 1 or more"),
        ([FRAME, FULL, f"{FRAME}_sub1"], f"'{FULL}_cal.fits' has SUBARRID = 0, as '{FRAME}_cal.fits'"),
        ([FULL, f"{FRAME}_sub1"], f"'{FULL}_cal.fits' has no extension SUBARR_MAP"),
        ([FRAME, "lost"], "no such file"),
        ([FRAME, "without_error"], "'without_error_cal.fits' has no ERR, unlike"),
    ],
)
def test_what_cannot_be_merged(iris, members, text):
    association = next((iris.folder / "data/merge").glob("*_asn.json"))
    with fits.open(iris.folder / f"data/rate/{FRAME}_sub1_rate.fits") as hdus:
        del hdus["ERR"]
        hdus.writeto(association.with_name("without_error_cal.fits"))
    tree = json.loads(association.read_text())
    tree["products"][0]["members"] = [{"expname": f"{name}_cal.fits", "exptype": "science"} for name in members]
    association.write_text(json.dumps(tree))
    iris.config["associations"] = ["data/rate/*_asn.json", "data/merge/*_asn.json"]
    refused(iris, text)


def test_a_reference_that_is_made(iris):
    iris.config["reference_makers"] = {"mine": {"type": "dark", "exposures": f"data/rate/{FULL}_rate.fits"}}
    single(iris, resample={"skip": True})
    iris.config["references"]["override"] = {"dark": "mine"}
    done = run(iris)
    assert done.rules == {"calibrate": 1, "make_reference": 1}
    assert header(iris, f"{FULL}_cal.fits")["R_DARK"] == "mine.fits"
    iris.config["references"]["override"] = {"flat": "mine"}
    refused_output = iris.run(dry=True).output
    assert "references.override.flat: 'mine' makes a dark; give a flat" in refused_output
