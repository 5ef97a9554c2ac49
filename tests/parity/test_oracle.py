"""calflow against jwst 3.0.0, run now on simulated exposures of every kind: ``make parity``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from limits import (
    FITS_PIXELS,
    I2D_OF_ERR,
    I2D_RELATIVE,
    MISSING_KEYWORDS,
    RELATIVE,
    SKY_MAS,
    run_calflow,
    same_value,
)
from oracle import MARKS, calibrated_by_jwst, oracle, references, simulated

SMALL = ["miri", "nircam_sw", "nircam_lw", "niriss", "subarray", "tso", "wfs"]
CASES = [(case, "small", 1) for case in SMALL]
CASES += [(case, "small", 7) for case in SMALL]
# tso and subarray are the same in both sizes.
CASES += [(case, "full", 1) for case in SMALL if case not in ("tso", "subarray")]
FLOATS = ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
GRID = {f"{key}{axis}" for key in ("CRPIX", "CRVAL", "CDELT", "CTYPE", "CUNIT") for axis in (1, 2)}
GRID |= {f"{key}{i}_{j}" for key in ("PC", "CD") for i in (1, 2) for j in (1, 2)}

pytestmark = MARKS


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case)))
def comparison(request, tmp_path_factory):
    """Both sides' products of one case, and what the oracle says about them."""
    data = simulated(*request.param)
    reference = calibrated_by_jwst(data)
    folder = tmp_path_factory.mktemp(data.name)
    mine = run_calflow(
        folder,
        {
            "associations": [str(data / "rate" / "jw*_image2_asn.json")],
            "references": references(data),
            "stage2": {"save_bsub": True},
        },
    )
    report = folder / "compare.json"
    oracle("compare.py", reference, mine, "--json", report, "--rtol", RELATIVE, "--match", "jw*.fits")
    yield Comparison(reference, mine, json.loads(report.read_text()))
    for product in mine.glob("*.fits"):
        product.unlink()


class Comparison:
    """The two folders of products and the oracle's report on them."""

    def __init__(self, reference: Path, mine: Path, report: dict):
        self.reference, self.mine, self.report = reference, mine, report

    def files(self, *suffixes: str) -> dict[str, dict]:
        return {name: file for name, file in self.report["files"].items() if name.endswith(suffixes)}

    def difference(self, name: str, plane: str, relative_to) -> np.ndarray:
        """Return the absolute difference of a plane, over another plane of jwst's file or an array."""
        reference = fits.getdata(self.reference / name, plane)
        if isinstance(relative_to, str):
            relative_to = fits.getdata(self.reference / name, relative_to)
        return np.abs(fits.getdata(self.mine / name, plane) - reference) / relative_to


def test_every_product_of_jwst_is_made(comparison):
    assert comparison.report["missing"] == []
    assert {path.name for path in comparison.mine.glob("*.fits")} == set(comparison.report["files"])
    assert [name for name, file in comparison.report["files"].items() if "error" in file] == []


def test_every_extension_is_there(comparison):
    for name, file in comparison.files(".fits").items():
        assert (name, file["hdus_missing"], file["hdus_extra"]) == (name, [], [])


def test_planes_of_bsub_and_cal(comparison):
    for name, file in comparison.files("_bsub.fits", "_cal.fits", "_calints.fits").items():
        for plane in set(FLOATS) & set(file):
            difference = file[plane]
            assert "shape" not in difference, (name, plane, difference)
            assert difference["nanmask_disagree"] == 0, (name, plane, difference)
            assert difference["max_rel"] <= RELATIVE, (name, plane, difference)
        assert file["DQ"]["n_differ"] == 0, (name, file["DQ"])


def test_area_and_integration_times(comparison):
    for name, file in comparison.files("_cal.fits", "_calints.fits").items():
        if "AREA" in file:
            assert file["AREA"]["max_rel"] <= RELATIVE, (name, file["AREA"])
        if "INT_TIMES" in file:
            assert file["INT_TIMES"]["columns_differ"] == [], (name, file["INT_TIMES"])


def test_sky_positions_of_cal(comparison):
    for name, file in comparison.files("_cal.fits", "_calints.fits").items():
        wcs = file["wcs"]
        assert wcs["ref_gwcs_vs_mine_gwcs_mas"]["max"] <= SKY_MAS, (name, wcs)
        pixel = 1e3 * np.sqrt(fits.getval(comparison.reference / name, "PIXAR_A2", extname="SCI"))
        assert wcs["ref_fits_vs_mine_fits_mas"]["max"] <= FITS_PIXELS * pixel, (name, wcs)
        assert wcs["ref_frames"] == wcs["mine_frames"], (name, wcs)
        assert wcs["ref_bbox"] == wcs["mine_bbox"], (name, wcs)


def test_grid_of_i2d(comparison):
    for name, file in comparison.files("_i2d.fits").items():
        assert "shape" not in file["SCI"], (name, file["SCI"])
        header = file["headers"].get("SCI", {"differ": {}})
        assert GRID & set(header["differ"]) == set(), (name, header["differ"])
        assert file["wcs"]["ref_gwcs_vs_mine_gwcs_mas"]["max"] <= SKY_MAS, (name, file["wcs"])


def test_planes_of_i2d(comparison):
    for name, file in comparison.files("_i2d.fits").items():
        for plane in ("SCI", "ERR", "WHT", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT"):
            assert file[plane]["nanmask_disagree"] == 0, (name, plane, file[plane])
        for plane in ("ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT"):
            assert file[plane]["max_rel"] <= I2D_RELATIVE, (name, plane, file[plane])
        assert file["CON"]["n_differ"] == 0, (name, file["CON"])
        assert np.nanmax(comparison.difference(name, "SCI", relative_to="ERR")) <= I2D_OF_ERR, name
        weight = fits.getdata(comparison.reference / name, "WHT")
        scale = np.maximum(weight, np.median(weight[weight > 0]))
        assert np.max(comparison.difference(name, "WHT", relative_to=scale)) <= I2D_RELATIVE, name


def test_no_keyword_is_missing(comparison):
    for name, file in comparison.files(".fits").items():
        for extension, header in file["headers"].items():
            assert set(header["missing"]) <= set(MISSING_KEYWORDS), (name, extension)


def test_keywords_have_the_same_values(comparison):
    for name, file in comparison.files(".fits").items():
        for extension, header in file["headers"].items():
            different = {key: pair for key, pair in header["differ"].items() if not same_value(key, *pair)}
            assert different == {}, (name, extension)


def test_jwst_takes_our_calibrated_exposures_into_stage_3(tmp_path):
    data = simulated("nircam_sw", "small", 1)
    mine = run_calflow(
        tmp_path / "calflow",
        {
            "associations": [str(data / "rate" / "jw*_image2_asn.json")],
            "references": references(data),
            "stage2": {"resample": {"skip": True}},
        },
    )
    combined = {}
    for name, folder in (("ours", mine), ("jwst", calibrated_by_jwst(data))):
        (tmp_path / name).mkdir()
        for path in folder.glob("*_cal.fits"):
            shutil.copy(path, tmp_path / name)
        oracle("run_jwst.py", data, tmp_path / name, "--stage", 3)
        (combined[name],) = (tmp_path / name / "l3").glob("*_i2d.fits")
    with fits.open(combined["ours"]) as ours, fits.open(combined["jwst"]) as theirs:
        np.testing.assert_array_equal(ours["CON"].data, theirs["CON"].data)
        assert np.nanmax(np.abs(ours["SCI"].data - theirs["SCI"].data) / theirs["ERR"].data) < I2D_OF_ERR
