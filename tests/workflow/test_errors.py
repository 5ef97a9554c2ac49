"""Bad input: one message with everything that is wrong, before any job; bad pixels: one exposure fails."""

import json
import os
import re

import numpy as np
import pytest
from astropy.io import fits

pytestmark = pytest.mark.slow

RATES = [f"jw01234001001_02101_0000{n}_mirimage_rate.fits" for n in (1, 2)]
BACKGROUNDS = [f"jw01234002001_02101_0000{n}_mirimage_rate.fits" for n in (1, 2)]


def refused(workflow, *texts):
    """Assert that a run starts no job and that its message holds all these texts."""
    run = workflow.run()
    assert run.code != 0
    assert run.jobs == []
    assert "Traceback" not in run.output
    assert not (workflow.folder / "results").exists()
    for text in texts:
        assert text in run.output, run.output
    return run.output


def edit_header(path, extension=0, **cards):
    with fits.open(path, mode="update") as hdus:
        for keyword, value in cards.items():
            if value is None:
                del hdus[extension].header[keyword]
            else:
                hdus[extension].header[keyword] = value


def test_all_problems_are_told_together(workflow):
    def spoil(tree):
        tree["products"][0]["members"][1]["expname"] = "lost_rate.fits"
        tree["products"][1]["members"][0]["exptype"] = "scince"

    workflow.edit_association(spoil)
    workflow.config["exposures"] = ["none/*_rate.fits"]
    message = refused(workflow, "lost_rate.fits", "'scince'", "science", "none/*_rate.fits")
    assert message.count("  - ") == 3
    assert "3 problems" in message


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        ({"stage2": {"photom": {"aply_time_correction": True}}}, ("my.yaml: stage2.photom", "'apply_time_correction'")),
        (
            {"stage2": {"resample": {"pixfrac": 1.5}}},
            ("my.yaml: stage2.resample.pixfrac", "1.5", "from 0 to 1"),
        ),
        ({"stage2": {"flat_field": {"skip": "perhaps"}}}, ("stage2.flat_field.skip", "perhaps")),
        ({"refernces": {}}, ("refernces", "'references'")),
        ({"references": {"source": "web"}}, ("references.source", "'directory' or 'crds'")),
        ({"references": {"override": {"flt": "N/A"}}}, ("my.yaml: references.override.flt", "'flat'")),
        ({"references": {"override": {"flat": "no.fits"}}}, ("references.override.flat", "no such file")),
        ({"references": {"override": {"distortion": "N/A"}}}, ("distortion", "assign_wcs")),
        ({"output": "out/{x}"}, ("output", "braces")),
    ],
)
def test_wrong_configuration(workflow, config, texts):
    workflow.config.update(config)
    refused(workflow, *texts)


def test_not_json(workflow):
    workflow.association.write_text('{"products": [\n  {"name": }\n]}')
    refused(workflow, workflow.association.name, "line 2")


@pytest.mark.parametrize(
    "name", ["../../escape", "/a/../b", "..", "x{y}", "a;rm -rf $HOME", 'q"uote', "new\nline", "поле"]
)
def test_product_name_is_data(workflow, name):
    workflow.edit_association(lambda tree: tree["products"][0].update(name=name))
    refused(workflow, "products[0].name")


@pytest.mark.parametrize("name", ["my field 1", "f1130w+sub@2"])
def test_unusual_names_work(workflow, name):
    workflow.edit_association(lambda tree: tree["products"][0].update(name=name))
    run = workflow.run()
    assert run.code == 0, run.output
    assert workflow.product(f"{name}_i2d.fits").exists()


def test_truncated_file(workflow):
    path = workflow.folder / "data/rate" / RATES[0]
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    refused(workflow, RATES[0], "truncated")


def test_absurd_size_in_a_header(workflow):
    path = workflow.folder / "data/rate" / RATES[0]
    data = path.read_bytes()
    sci = data.index(b"XTENSION")
    card = data.index(b"NAXIS1  =", sci)
    path.write_bytes(data[:card] + b"NAXIS1  =           1000000000".ljust(80) + data[card + 80 :])
    refused(workflow, RATES[0])


@pytest.mark.parametrize(
    ("extension", "cards", "texts"),
    [
        (0, {"EXP_TYPE": None}, ("EXP_TYPE", "missing")),
        (0, {"EXP_TYPE": "MIR_MRS"}, ("EXP_TYPE", "'MIR_MRS' is not imaging")),
        (0, {"TELESCOP": "HST"}, ("TELESCOP", "JWST")),
        (0, {"S_PHOTOM": "COMPLETE"}, ("S_PHOTOM", "already calibrated")),
        (0, {"SUBSIZE1": 12}, ("SUBSIZE1", "12")),
        (0, {"SUBSTRT1": 4000}, ("SUBSTRT1", "outside the detector")),
        (0, {"FILTER": "F999W"}, ("flat", "F999W")),
        (0, {"DATE-OBS": "1999-01-01"}, ("1999-01-01",)),
        ("SCI", {"RA_REF": None}, ("RA_REF", "missing")),
        ("SCI", {"VA_SCALE": -1.0}, ("VA_SCALE", "between 0.99 and 1.01")),
        ("SCI", {"BUNIT": "MJy/sr"}, ("BUNIT", "DN/s")),
    ],
)
def test_wrong_header(workflow, extension, cards, texts):
    edit_header(workflow.folder / "data/rate" / RATES[0], extension, **cards)
    refused(workflow, RATES[0], *texts)


def test_calibrated_member(workflow):
    folder = workflow.folder / "data/rate"
    os.rename(folder / RATES[0], folder / RATES[0].replace("_rate", "_cal"))

    def use_cal(tree):
        tree["products"][0]["members"][0]["expname"] = RATES[0].replace("_rate", "_cal")

    workflow.edit_association(use_cal)
    refused(workflow, "already calibrated")


def test_background_of_another_filter(workflow):
    edit_header(workflow.folder / "data/rate" / BACKGROUNDS[0], FILTER="F770W")
    refused(workflow, BACKGROUNDS[0], "FILTER", "F770W")


def test_cube_with_flat_background(workflow):
    path = workflow.folder / "data/rate" / RATES[0]
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus[1:]:
            if hdu.is_image:
                hdu.data = np.stack([hdu.data, hdu.data])
    refused(workflow, BACKGROUNDS[0], "2-D", "3-D")


def test_photom_without_a_row(workflow):
    with fits.open(workflow.reference("photom"), mode="update") as hdus:
        hdus["PHOTOM"].data["filter"][:] = "F560W"
    refused(workflow, workflow.reference("photom").name, "F1130W", "F560W")


def test_photom_without_a_factor(workflow):
    with fits.open(workflow.reference("photom"), mode="update") as hdus:
        hdus["PHOTOM"].data["photmjsr"][:] = np.nan
    refused(workflow, workflow.reference("photom").name, "photmjsr", "not finite")


@pytest.mark.parametrize(
    ("kind", "given", "texts"),
    [
        ("area", "flat", ("REFTYPE", "'FLAT'")),
        ("distortion", "filteroffset", ("REFTYPE", "'FILTEROFFSET'")),
        ("distortion", "flat", ("is not an ASDF file",)),
        ("flat", "distortion", ("is not a FITS file",)),
    ],
)
def test_reference_of_another_type(workflow, kind, given, texts):
    path = workflow.reference(given)
    workflow.config["references"]["override"] = {kind: str(path.relative_to(workflow.folder))}
    refused(workflow, path.name, *texts)


def test_reference_of_another_detector(workflow):
    flat = workflow.reference("flat")
    edit_header(flat, DETECTOR="MIRIFULONG")
    workflow.config["stage2"] = {"flat_field": {"user_supplied_flat": str(flat.relative_to(workflow.folder))}}
    refused(workflow, flat.name, "DETECTOR", "'MIRIFULONG'")


def test_assign_wcs_skipped_needs_the_quick_look_skipped(workflow):
    workflow.config["stage2"] = {"assign_wcs": {"skip": True}}
    refused(workflow, "stage2.resample", "assign_wcs")


def test_flat_without_error(workflow):
    with fits.open(workflow.reference("flat"), mode="update") as hdus:
        del hdus["ERR"]
    refused(workflow, workflow.reference("flat").name, "no extension ERR")


def test_background_beside_the_science_window(workflow):
    edit_header(workflow.folder / "data/rate" / BACKGROUNDS[0], SUBSTRT1=500)
    refused(workflow, BACKGROUNDS[0], "they do not overlap")


def test_output_in_the_place_of_a_file(workflow):
    (workflow.folder / "made").write_text("")
    workflow.config["output"] = "made/here"
    refused(workflow, "output", "is not a folder")


def test_backgrounds_without_a_value(workflow):
    for name in BACKGROUNDS:
        with fits.open(workflow.folder / "data/rate" / name, mode="update") as hdus:
            hdus["SCI"].data[:] = np.nan
    run = workflow.run()
    assert run.code != 0
    assert "no background exposure has a value" in run.output


def test_the_same_name_twice(workflow):
    tree = json.loads(workflow.association.read_text())
    tree["products"][0]["members"][0]["expname"] = RATES[1]
    tree["products"] = tree["products"][:1]
    other = workflow.association.with_name("other_image2_00002_asn.json")
    other.write_text(json.dumps(tree))
    workflow.config["associations"] = ["data/rate/*_image2_*_asn.json"]
    refused(workflow, "already made", other.name)


def test_one_bad_exposure_does_not_stop_the_others(workflow):
    with fits.open(workflow.folder / "data/rate" / RATES[0], mode="update") as hdus:
        hdus["SCI"].data[:] = np.nan
    run = workflow.run()
    assert run.code != 0
    assert "FAILED calibrate jw01234001001_02101_00001_mirimage" in run.output
    assert "no usable pixel" in run.output
    assert "Traceback" not in run.output
    assert workflow.products() == {f"jw01234001001_02101_00002_mirimage_{suffix}.fits" for suffix in ("cal", "i2d")}


def test_what_is_no_value(workflow):
    """Pixels of the exposure, of a background and of the flat; and an exposure whose errors are all below 0."""
    rates = workflow.folder / "data/rate"
    odd = {
        "SCI": [(10, 10, np.inf), (20, 20, -3e38)],
        "ERR": [(30, 30, -1)],
        "VAR_POISSON": [(30, 40, -1), (35, 40, np.inf)],
    }
    with fits.open(rates / RATES[0], mode="update") as hdus:
        hdus["DQ"].data[8:50, 8:50] = 0
        for plane, values in odd.items():
            for y, x, value in values:
                hdus[plane].data[y, x] = value
    with fits.open(rates / RATES[1], mode="update") as hdus:
        hdus["ERR"].data[:] = -1
    with fits.open(rates / BACKGROUNDS[0], mode="update") as hdus:
        hdus["SCI"].data[45, 45] = np.inf
    with fits.open(workflow.reference("flat"), mode="update") as hdus:
        hdus["SCI"].data[40, 20:22] = np.inf, 1e-25
    workflow.config["stage2"] = {"bkg_subtract": {"save_combined_background": True}}
    run = workflow.run()
    assert run.code != 0
    assert "no usable pixel before calibration" in run.output
    assert re.search(r"or an error or variance below 0\): \d{4} of ERR", run.output)
    root = RATES[0].removesuffix("_rate.fits")
    log = (workflow.folder / f"results/logs/calibrate/{root}_cal.log").read_text()
    assert "2 of SCI, 1 of ERR, 2 of VAR_POISSON" in log
    assert f"{RATES[0]}: no value (infinite" in run.output
    for name in workflow.products():
        with fits.open(workflow.product(name)) as hdus:
            assert not any(np.isinf(hdu.data).any() for hdu in hdus[1:] if hdu.is_image), name
    with fits.open(workflow.product(f"{root}_cal.fits")) as hdus:
        for y, x in [*((y, x) for values in odd.values() for y, x, _ in values), (40, 20), (40, 21)]:
            assert hdus["DQ"].data[y, x] & 1
            assert np.isnan([hdus[name].data[y, x] for name in ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE")]).all()
        assert np.isfinite(hdus["SCI"].data[45, 45])  # the other background has a value there
        assert hdus["DQ"].data[40, 20] & 2**18  # NO_FLAT_FIELD
    with fits.open(workflow.product(f"{root}_i2d.fits")) as hdus:
        assert np.array_equal(np.isfinite(hdus["ERR"].data), hdus["WHT"].data > 0)


def test_everything_flagged(workflow):
    with fits.open(workflow.folder / "data/rate" / RATES[0], mode="update") as hdus:
        hdus["DQ"].data |= np.uint32(1)
    run = workflow.run()
    assert run.code != 0
    assert "no usable pixel" in run.output
    assert workflow.product("jw01234001001_02101_00002_mirimage_i2d.fits").exists()
