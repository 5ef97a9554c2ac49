"""Liger/IRIS through the whole workflow, on the data and the products that the original pipeline has recorded."""

import json
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from limits import ROOT

from calflow.files.exposure import read_exposure
from calflow.science.dq_flags import CONCURRENT_SUBARRAY, DO_NOT_USE, NO_FLAT_FIELD
from tests.workflow.conftest import Workflow

LIGER = ROOT.parent / "shared" / "oracle" / "liger"
pytestmark = [
    pytest.mark.skipif(not LIGER.exists(), reason=f"no recorded data: {LIGER}"),
    pytest.mark.slow,
]

RELATIVE = 2e-6
# Where the sky is subtracted what is left may be near 0.
ABSOLUTE = RELATIVE * 20
BACKGROUNDS = ["bkg00", "bkg01", "bkg02"]
# Product: its science exposure and its backgrounds.
PRODUCTS = {
    "full": ("sci", BACKGROUNDS),
    "many": ("sci", [f"many{n:02d}" for n in range(12)]),
    "nobkg": ("sci", []),
    "sub": ("sub", BACKGROUNDS),
    "subbig": ("sub", ["bkgbig00", "bkgbig01", "bkgbig02"]),
    "map": ("map", BACKGROUNDS),
    "mapped": ("map", []),
    "mapped1": ("map_sub1", []),
    "mapped2": ("map_sub2", []),
    "noerr": ("noerr", []),
    "noname": ("noname", []),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder with what the original made."""
    folder = tmp_path_factory.mktemp("recorded")
    with tarfile.open(LIGER / "recorded" / "old.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "out_old"


@pytest.fixture(scope="module")
def data(tmp_path_factory, recorded):
    """Return the folder of the simulated exposures, those that the recording changed among them."""
    folder = tmp_path_factory.mktemp("liger")
    subprocess.run([sys.executable, LIGER / "sim.py", folder], check=True)
    old = folder / "old"
    shutil.copy(recorded / "noerr/x_rate.fits", old / "noerr_rate.fits")
    shutil.copy(recorded / "sub_noname/x_rate.fits", old / "noname_rate.fits")
    shutil.copy(recorded / "rateints_anytype/sci_rateints.fits", old / "any_rateints.fits")
    for name, kinds in {"full": ("dark", "flat"), "exact": ("dark_sub", "flat_sub")}.items():
        (folder / f"references_{name}").mkdir()
        for kind in kinds:
            shutil.copy(old / f"{kind}.fits", folder / f"references_{name}")
    return folder


def association(path, products, kind="rate", rule="Asn_Lv2Image", level=2):
    """Write an association; the backgrounds of integrations are 2-D."""
    trees = []
    for name, (science, backgrounds) in products.items():
        sciences = [science] if isinstance(science, str) else science
        members = [{"expname": f"{member}_{kind}.fits", "exptype": "science"} for member in sciences]
        members += [{"expname": f"{member}_rate.fits", "exptype": "background"} for member in backgrounds]
        trees.append({"name": name, "members": members})
    tree = {"asn_type": f"image{level}", "asn_rule": rule, "asn_pool": "pool", "products": trees}
    path.write_text(json.dumps(tree))


def workflow(folder, data, products, references="full", **stage2):
    """Return a workflow of some products."""
    folder.mkdir(exist_ok=True)
    association(folder / "a_asn.json", products)
    made = Workflow(folder)
    made.config = {
        "input": str(data / "old"),
        "associations": ["a_asn.json"],
        "references": {"directory": str(data / f"references_{references}")},
        "stage2": {"resample": {"skip": True}, **stage2},
    }
    return made


def run(made):
    done = made.run()
    assert done.code == 0, done.output
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory, data):
    """Return the workflow in which all products are made that need no parameters of their own."""
    made = workflow(tmp_path_factory.mktemp("made"), data, PRODUCTS, save_bsub=True)
    association(made.folder / "ints_asn.json", {"ints": ("any", BACKGROUNDS)}, kind="rateints")
    association(
        made.folder / "merge_asn.json",
        {"merged": (["mapped", "mapped1", "mapped2"], [])},
        kind="cal",
        rule="Asn_MergeSubarrays",
        level=3,
    )
    made.config["associations"] = ["*_asn.json"]
    made.config["exposures"] = [str(data / "old" / "sci_rate.fits")]
    run(made)
    return made


def agree(ours, theirs, absolute=ABSOLUTE, flagged=0):
    """Compare SCI, ERR, DQ, but for a negative and an infinite flat, by which the original divides."""
    with fits.open(ours) as mine, fits.open(theirs) as other:
        mine.verify("exception")
        skipped = (mine["DQ"].data & NO_FLAT_FIELD) != (other["DQ"].data & NO_FLAT_FIELD)
        assert np.count_nonzero(skipped) <= 2 * max(1, mine["SCI"].data.ndim * 3 - 6)
        same = ~skipped
        np.testing.assert_allclose(mine["SCI"].data[same], other["SCI"].data[same], rtol=RELATIVE, atol=absolute)
        np.testing.assert_allclose(mine["ERR"].data[same], other["ERR"].data[same], rtol=RELATIVE)
        different = mine["DQ"].data[same] ^ other["DQ"].data[same]
        assert np.count_nonzero(different & ~np.uint32(flagged)) == 0


@pytest.mark.parametrize(
    ("product", "case"),
    [
        ("full_cal", "full/full_cal"),
        ("full_cal", "multi/full_cal"),
        ("full_cal", "defaults/full_cal"),
        ("full_cal", "nocmap_cfg/full_cal"),
        ("full_cal", "outdir_exists/res/full_cal"),
        ("full_bsub", "full_savebsub/full_bsub"),
        ("full_bsub", "outdir_exists/res/full_bsub"),
        ("many_cal", "many/many_cal"),
        ("nobkg_cal", "nobkg/nobkg_cal"),
        ("nobkg_cal", "multi/nobkg_cal"),
        ("sci_cal", "singleton/sci_cal"),
        ("sub_cal", "sub/sub_cal"),
        ("noerr_cal", "noerr/x_cal"),
        ("noname_cal", "sub_noname/x_cal"),
        ("ints_calints", "rateints_anytype/ints_calints"),
        ("ints_bsubints", "rateints_anytype/ints_bsubints"),
        ("mapped1_cal", "map_full_sub/map_sub1_cal"),
        ("mapped2_cal", "map_full_sub/map_sub2_cal"),
        ("merged_cal", "map_full_sub/merge_asn_mergesubarraysstep"),
    ],
)
def test_as_the_original(made, recorded, product, case):
    agree(made.product(f"{product}.fits"), recorded / f"{case}.fits")


@pytest.mark.parametrize(("product", "case"), [("map_cal", "map/map_cal"), ("mapped_cal", "map_full_sub/map_cal")])
def test_pixels_of_subarrays_are_bad_until_they_are_merged(made, recorded, product, case):
    agree(made.product(f"{product}.fits"), recorded / f"{case}.fits", flagged=DO_NOT_USE)
    with fits.open(made.product(f"{product}.fits")) as hdus:
        inside = hdus["SUBARR_MAP"].data > 0
        assert (
            (hdus["DQ"].data[inside] & (CONCURRENT_SUBARRAY | DO_NOT_USE)) == CONCURRENT_SUBARRAY | DO_NOT_USE
        ).all()
        assert [tuple(row) for row in hdus["SUBARRAYS"].data] == [(1, 91, 71, 30, 20), (2, 11, 31, 20, 25)]
        assert hdus[0].header["S_PARSSA"] == "COMPLETE"
        assert hdus[0].header["R_DARK"] == "dark.fits"


def test_backgrounds_of_a_larger_window_are_cut_where_they_lie(made):
    # The original takes them to start at (1, 1).
    same, larger = (read_exposure(made.product(f"{name}_cal.fits")).image for name in ("sub", "subbig"))
    for name, plane in same.planes().items():
        np.testing.assert_array_equal(plane, larger.planes()[name])


def test_a_dark_in_raw_backgrounds_is_told(made):
    assert "still have their dark" in made.run(dry=True).output


def test_world_coordinates_are_those_of_the_header(made, data):
    keywords = [f"{name}{axis}" for name in ("CTYPE", "CRPIX", "CRVAL", "CDELT") for axis in (1, 2)]
    header = fits.getheader(data / "old" / "sub_rate.fits")
    theirs = WCS(fits.Header({keyword: header[keyword] for keyword in keywords}))
    ours = read_exposure(made.product("sub_cal.fits"), with_wcs=True)
    x, y = np.meshgrid(np.linspace(-0.4, 39.4, 5), np.linspace(-0.4, 49.4, 4))
    sky = np.stack(ours.wcs(x, y), axis=-1)
    np.testing.assert_allclose(sky, np.stack(theirs.pixel_to_world_values(x, y), axis=-1), atol=1e-11)
    np.testing.assert_allclose(ours.wcs.invert(*np.moveaxis(sky, -1, 0)), [x, y], atol=1e-6)
    assert ours.primary["S_WCS"] == "COMPLETE"
    assert ours.science["S_REGION"].startswith("POLYGON ICRS ")


def test_sigma_of_the_average(tmp_path, data, recorded):
    # The recorded numbers are those of one round.
    made = workflow(tmp_path / "a", data, {"many": PRODUCTS["many"]}, bkg_subtract={"sigma": 2.0, "maxiters": 1})
    run(made)
    agree(made.product("many_cal.fits"), recorded / "many_sigma2/many_cal.fits")


def test_references_of_the_subarray_itself(tmp_path, data, recorded):
    made = workflow(tmp_path / "a", data, {"sub": PRODUCTS["sub"]}, references="exact")
    run(made)
    agree(made.product("sub_cal.fits"), recorded / "sub_subrefs/sub_cal.fits")


def overridden(folder, data, products, **files):
    made = workflow(folder, data, products)
    made.config["references"]["override"] = {
        kind: name if name == "N/A" else str(data / "old" / name) for kind, name in files.items()
    }
    return made


def test_references_larger_than_the_subarray(tmp_path, data, recorded):
    made = overridden(tmp_path / "a", data, {"x": ("sub", [])}, dark="dark_big.fits", flat="flat_big.fits")
    run(made)
    agree(made.product("x_cal.fits"), recorded / "sub_bigdarkflat/sub_cal.fits")


def test_without_references_nothing_is_done(tmp_path, data, recorded):
    made = overridden(tmp_path / "a", data, {"nobkg": PRODUCTS["nobkg"]}, dark="N/A", flat="N/A")
    run(made)
    agree(made.product("nobkg_cal.fits"), recorded / "skip_refs/nobkg_cal.fits")
    header = fits.getheader(made.product("nobkg_cal.fits"))
    assert [header[name] for name in ("R_DARK", "R_FLAT", "S_DARK", "S_FLAT")] == ["N/A", "N/A", "SKIPPED", "SKIPPED"]


def test_every_step_can_be_skipped(tmp_path, data, recorded):
    steps = "bkg_subtract parse_subarray_map assign_wcs dark_current flat_field photom resample".split()
    made = workflow(tmp_path / "a", data, {"full": PRODUCTS["full"]}, **{step: {"skip": True} for step in steps})
    done = run(made)
    assert done.rules == {"calibrate": 1}
    agree(made.product("full_cal.fits"), recorded / "skip_steps/full_cal.fits")
    header = fits.getheader(made.product("full_cal.fits"))
    keywords = "S_BKDSUB S_PARSSA S_WCS S_DARK S_FLAT S_PHOTOM S_RESAMP".split()
    assert {header[keyword] for keyword in keywords} == {"SKIPPED"}


# Cases in which the original fails.


def refused(made, *texts):
    done = made.run()
    assert done.code != 0
    assert done.jobs == []
    for text in texts:
        assert text in done.output, done.output


def test_references_of_a_subarray_for_a_full_frame(tmp_path, data):
    made = overridden(tmp_path / "a", data, {"nobkg": ("sci", [])}, dark="dark_sub.fits", flat="flat_sub.fits")
    refused(made, "dark_sub.fits: SCI: covers columns 31..70", "flat_sub.fits: SCI: covers", "2 problems")


def test_without_a_type_of_exposure(tmp_path, data, recorded):
    made = workflow(tmp_path / "a", data, {"x": ("x", [])})
    made.config["input"] = str(recorded / "noexptype")
    refused(made, "x_rate.fits: EXP_TYPE: is missing")


def test_two_science_exposures_in_one_product(tmp_path, data):
    made = workflow(tmp_path / "a", data, {"x": (["sci", "sub"], [])})
    refused(made, "2 science members ('sci_rate.fits', 'sub_rate.fits')")


def test_labelled_integrations(tmp_path, data, made):
    # DATAMODL = CubeModel and EXP_TYPE = IRIS_IMAGE: the original does not open it.
    other = workflow(tmp_path / "a", data, {})
    association(other.folder / "a_asn.json", {"ints": ("sci", BACKGROUNDS)}, kind="rateints")
    run(other)
    ours, as_any = (read_exposure(folder.product("ints_calints.fits")).image for folder in (other, made))
    np.testing.assert_array_equal(ours.sci, as_any.sci)


def test_newer_layout(tmp_path, data):
    made = workflow(tmp_path / "a", data, {})
    (made.folder / "a_asn.json").write_text(json.dumps({"SCI": ["sci_rate.fits"], "SKY": ["bkg00_rate.fits"]}))
    made.config["input"] = str(data / "new")
    made.config["references"]["override"] = {kind: str(data / "new" / f"{kind}.fits") for kind in ("dark", "flat")}
    run(made)
    other = workflow(tmp_path / "b", data, {"sci": ("sci", ["bkg00"])})
    run(other)
    newer, older = (read_exposure(folder.product("sci_cal.fits")) for folder in (made, other))
    np.testing.assert_array_equal(newer.image.sci, older.image.sci)
    facts = [newer.primary[name] for name in ("EXP_TYPE", "DATE-OBS", "EFFEXPTM", "S_DARK")]
    assert facts == ["IRIS_IMAGE", "2024-11-21", 300.0, "COMPLETE"]
    np.testing.assert_array_equal(newer.image.dq & 0xFFFF, older.image.dq & 0xFFFF)  # its darks have 16 bits
