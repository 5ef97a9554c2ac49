"""The workflow on Liger/IRIS exposures against what the original pipeline made of the same files."""

import json
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from astropy.io import fits
from limits import ROOT, run_calflow

from steps.dq_flags import CONCURRENT_SUBARRAY, DO_NOT_USE, NO_FLAT_FIELD

LIGER = ROOT.parent / "shared" / "oracle" / "liger"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LIGER.exists(), reason=f"no recorded data: {LIGER}"),
    pytest.mark.xdist_group("liger"),
]

RELATIVE = 2e-6
# Of the sky, 20 DN/s, where it is subtracted: what is left may be near 0.
ABSOLUTE = 20 * RELATIVE
STATUS = ("S_BKDSUB", "S_PARSSA", "S_WCS", "S_DARK", "S_FLAT", "S_PHOTOM", "S_RESAMP")
# Pixels of the flat in which ours differs on purpose: one is negative, one infinite.
BAD_FLATS = 2


def overrides(suffix=""):
    return {"override": {kind: f"data/old/{kind}{suffix}.fits" for kind in ("dark", "flat")} | {"photom": "N/A"}}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder with what the original made."""
    folder = tmp_path_factory.mktemp("recorded")
    with tarfile.open(LIGER / "recorded" / "old.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "out_old"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("liger")
    subprocess.run([sys.executable, LIGER / "sim.py", folder / "data"], check=True)
    return folder


@pytest.fixture(scope="module")
def products(simulated, recorded):
    """Everything that goes with references of the full frame, in one run."""
    backgrounds = [f"bkg{number:02d}_rate.fits" for number in range(3)]
    for name, science, members in (
        ("noerr", recorded / "noerr" / "x_rate.fits", []),
        ("noname", recorded / "sub_noname" / "x_rate.fits", []),
        ("sub1", "map_sub1_rate.fits", backgrounds),
        ("sub2", "map_sub2_rate.fits", backgrounds),
    ):
        exposures = [{"expname": str(science), "exptype": "science"}]
        exposures += [{"expname": background, "exptype": "background"} for background in members]
        tree = {"asn_type": "image2", "asn_rule": "Asn_Lv2Image", "products": [{"name": name, "members": exposures}]}
        (simulated / "data" / "old" / f"{name}_own_asn.json").write_text(json.dumps(tree))
    members = [{"expname": f"{name}_cal.fits", "exptype": "science"} for name in ("sub2", "map", "sub1")]
    tree = {"asn_type": "image3", "asn_rule": "Asn_MergeSubarrays", "products": [{"name": "whole", "members": members}]}
    (simulated / "data" / "merge_asn.json").write_text(json.dumps(tree))
    names = ("full", "many", "nobkg", "sub", "subbig", "map", "ints")
    config = {
        "associations": [
            *(f"data/old/{name}_asn.json" for name in names),
            "data/old/*_own_asn.json",
            "data/merge_asn.json",
        ],
        "exposures": ["data/old/sci_rate.fits"],
        "references": overrides(),
        "stage2": {"save_bsub": True},
    }
    return run_calflow(simulated, config)


def agree(ours, theirs, dq_besides=0):
    """Compare the planes of two files, but for the pixels whose flat is no flat."""
    with fits.open(ours) as mine, fits.open(theirs) as reference:
        mine.verify("exception")
        dq = [hdus["DQ"].data & ~np.uint32(dq_besides) for hdus in (mine, reference)]
        different = np.not_equal(*dq)
        assert different.sum() <= BAD_FLATS * (1 if dq[0].ndim == 2 else len(dq[0]))
        assert ((dq[0][different] & NO_FLAT_FIELD) != 0).all()
        for plane, absolute in (("SCI", ABSOLUTE), ("ERR", 0)):
            pair = (hdus[plane].data[~different] for hdus in (mine, reference))
            np.testing.assert_allclose(*pair, rtol=RELATIVE, atol=absolute, err_msg=plane)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("full_cal", "full/full_cal"),
        ("full_bsub", "full_savebsub/full_bsub"),
        ("many_cal", "many/many_cal"),
        ("nobkg_cal", "nobkg/nobkg_cal"),
        ("sci_cal", "singleton/sci_cal"),
        ("sub_cal", "sub/sub_cal"),
        ("noerr_cal", "noerr/x_cal"),
        ("noname_cal", "sub_noname/x_cal"),
        ("ints_bsubints", "rateints_anytype/ints_bsubints"),
        ("ints_calints", "rateints_anytype/ints_calints"),
        # The original cuts larger backgrounds in the wrong place: the right one is that of the full frames.
        ("subbig_cal", "sub/sub_cal"),
    ],
)
def test_products(products, recorded, ours, theirs):
    agree(products / f"{ours}.fits", recorded / f"{theirs}.fits")


@pytest.mark.parametrize(("suffix", "case"), [("_big", "sub_bigdarkflat"), ("_sub", "sub_subrefs")])
def test_references_of_other_windows(simulated, recorded, suffix, case):
    with_backgrounds = case == "sub_subrefs"
    exposures = (
        {"associations": ["data/old/sub_asn.json"]} if with_backgrounds else {"exposures": ["data/old/sub_rate.fits"]}
    )
    products = run_calflow(simulated, exposures | {"references": overrides(suffix), "output": case})
    agree(products / "sub_cal.fits", recorded / case / "sub_cal.fits")


def test_concurrent_subarrays_are_flagged_and_listed(products, recorded):
    # DO_NOT_USE, besides, keeps the pixels without value out of stage 3.
    agree(products / "map_cal.fits", recorded / "map" / "map_cal.fits", dq_besides=DO_NOT_USE)
    with fits.open(products / "map_cal.fits") as hdus:
        assert [tuple(row) for row in hdus["SUBARRAYS"].data] == [(1, 91, 71, 30, 20), (2, 11, 31, 20, 25)]
        inside = hdus["SUBARR_MAP"].data > 0
        assert (
            (hdus["DQ"].data[inside] & (CONCURRENT_SUBARRAY | DO_NOT_USE)) == CONCURRENT_SUBARRAY | DO_NOT_USE
        ).all()
        assert not [hdu for hdu in hdus[1:] if not hdu.name]


def test_subarrays_are_merged_by_their_id(products):
    with fits.open(products / "whole_cal.fits") as whole, fits.open(products / "map_cal.fits") as full:
        ids = full["SUBARR_MAP"].data
        for plane in ("SCI", "ERR", "DQ"):
            np.testing.assert_array_equal(whole[plane].data[ids == 0], full[plane].data[ids == 0])
            for number in (1, 2):
                part = fits.getdata(products / f"sub{number}_cal.fits", plane)
                np.testing.assert_array_equal(whole[plane].data[ids == number], part.ravel())


def test_keywords_say_what_was_done(products):
    def found(name):
        header = fits.getheader(products / name)
        return tuple(header.get(keyword) for keyword in STATUS)

    done, skipped = "COMPLETE", "SKIPPED"
    assert found("full_cal.fits")[:6] == (done, skipped, done, done, done, skipped)
    assert found("map_cal.fits")[:6] == (done, done, done, done, done, skipped)
    assert found("nobkg_cal.fits")[:6] == (skipped, skipped, done, done, done, skipped)
    assert found("full_i2d.fits")[6] == done
    assert fits.getheader(products / "full_cal.fits")["R_PHOTOM"] == "N/A"


def test_positions_are_those_of_the_header(products, simulated):
    from astropy.wcs import WCS

    from products.asdf_files import wcs_from_bytes

    for name in ("full", "sub"):
        with fits.open(products / f"{name}_cal.fits") as hdus:
            wcs = wcs_from_bytes(hdus["ASDF"].data["ASDF_METADATA"][0].tobytes())
        raw = fits.getheader(simulated / "data" / "old" / ("sci_rate.fits" if name == "full" else "sub_rate.fits"))
        raw["RADESYS"], raw["NAXIS"] = raw.pop("RADECSYS"), 2
        del raw["DATE-OBS"]  # of which astropy would make MJD-OBS, with a warning
        expected = WCS(raw).pixel_to_world_values(12.25, 7.5)
        np.testing.assert_allclose(wcs(12.25, 7.5), expected, rtol=0, atol=1e-11)


def test_skipped_steps(simulated, recorded):
    steps = ("bkg_subtract", "assign_wcs", "dark_current", "flat_field", "photom", "resample")
    config = {
        "associations": ["data/old/full_asn.json"],
        "references": overrides(),
        "stage2": {step: {"skip": True} for step in steps},
        "output": "skipped",
    }
    products = run_calflow(simulated, config)
    agree(products / "full_cal.fits", recorded / "skip_steps" / "full_cal.fits")
    assert fits.getheader(products / "full_cal.fits")["S_WCS"] == "SKIPPED"
    assert not (products / "full_i2d.fits").exists()
