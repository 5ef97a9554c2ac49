"""calflow's stage 3 against stored results of jwst 3.0.0, on three tiny dithered exposures."""

import json

import numpy as np
import pytest
from limits import (
    CATALOG_PIXELS,
    CATALOG_RELATIVE,
    FITS_PIXELS,
    I2D_OF_ERR,
    I2D_RELATIVE,
    MISSING_IN_SEGM,
    MISSING_KEYWORDS,
    OUTLIERS,
    SKY_MAS,
    SKY_OF_NOISE,
    run_calflow,
    same_value,
)
from scenes import COMBINED, STORED, describe_combined, digest, read_stored
from test_stored import NOT_COMPARED, separation_mas

from calflow.simulation import simulate

pytestmark = pytest.mark.slow

EXPOSURES = ["crf1", "crf2", "crf3"]
VARIANCES = ("VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The products of both, each described: jwst's, calflow's."""
    folder = tmp_path_factory.mktemp("dithers")
    truth = simulate(folder / "data", COMBINED["dithers"])
    inputs, stored = read_stored(STORED / "dithers.npz")
    assert digest(truth.science) == inputs, "the simulator changed: run store_jwst.py"
    config = {
        "associations": [str(truth.association), str(truth.stage3_association)],
        "references": {"directory": str(folder / "data" / "references")},
        "stage3": {"tweakreg": {"robust": False}},
    }
    products = run_calflow(folder, config).parent / "stage3"
    return stored, describe_combined(products, truth.stage3_association)


def test_both_make_the_same_products(both):
    stored, mine = both
    assert set(mine) == set(stored) == {*EXPOSURES, "i2d", "segm", "cat"}


@pytest.mark.parametrize("name", [*EXPOSURES, "i2d", "segm"])
def test_sky_positions(name, both):
    stored, mine = (products[name] for products in both)
    assert separation_mas(mine["gwcs_sky"], stored["gwcs_sky"]) <= SKY_MAS
    pixel_mas = 1e3 * np.sqrt(keywords_of(both[1]["i2d"])["SCI"]["PIXAR_A2"])
    assert separation_mas(mine["fits_sky"], stored["fits_sky"]) <= FITS_PIXELS * pixel_mas


def test_sky_levels(both):
    noise = np.nanmedian(both[0]["i2d"]["ERR"])
    theirs, ours = (
        np.array([keywords_of(products[name])["PRIMARY"]["BKGLEVEL"] for name in EXPOSURES]) for products in both
    )
    assert theirs.max() > noise
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=SKY_OF_NOISE * noise)


def test_outliers(both):
    theirs, ours = (
        np.concatenate([np.unpackbits(products[name]["outliers"]) for name in EXPOSURES]) for products in both
    )
    assert theirs.sum() > 20
    assert np.mean(theirs != ours) < OUTLIERS


def test_image(both):
    stored, mine = (products["i2d"] for products in both)
    for plane in ("SCI", "ERR", *VARIANCES):
        assert mine[plane].shape == stored[plane].shape, plane
        np.testing.assert_array_equal(np.isnan(mine[plane]), np.isnan(stored[plane]), err_msg=plane)
    assert np.nanmax(np.abs(mine["SCI"] - stored["SCI"]) / stored["ERR"]) <= I2D_OF_ERR
    for plane in ("ERR", *VARIANCES):
        np.testing.assert_allclose(mine[plane], stored[plane], rtol=I2D_RELATIVE, err_msg=plane)
    scale = np.maximum(stored["WHT"], np.median(stored["WHT"][stored["WHT"] > 0]))
    assert np.max(np.abs(mine["WHT"] - stored["WHT"]) / scale) <= I2D_RELATIVE
    np.testing.assert_array_equal(mine["CON"], stored["CON"])


@pytest.mark.parametrize("name", [*EXPOSURES, "i2d", "segm"])
def test_keywords(name, both):
    theirs, ours = (keywords_of(products[name]) for products in both)
    assert set(theirs) == set(ours)
    left_out = NOT_COMPARED | set(MISSING_KEYWORDS) | {"BKGLEVEL"} | (set(MISSING_IN_SEGM) if name == "segm" else set())
    for extension, keywords in theirs.items():
        different = {
            key: (value, ours[extension].get(key))
            for key, value in keywords.items()
            if key not in left_out and not same_value(key, value, ours[extension].get(key))
        }
        assert different == {}, extension


def test_table_of_headers(both):
    theirs, ours = (json.loads(str(products["i2d"]["header_table"])) for products in both)
    assert set(ours) == set(theirs)
    for name in set(theirs) - NOT_COMPARED - {"BKGLEVEL"}:
        pairs = zip(theirs[name], ours[name], strict=True)
        assert [pair for pair in pairs if not same_value(name, *pair) and pair[0] == pair[0]] == [], name


def test_catalog(both):
    theirs, ours = (products["cat"] for products in both)
    assert list(ours) == list(theirs)
    np.testing.assert_array_equal(ours["label"], theirs["label"])
    assert len(theirs["label"]) > 20
    assert separation_mas(*((each["ra"], each["dec"]) for each in (ours, theirs))) < 1
    for name, column in theirs.items():
        if "flux" in name or name.startswith("CI_"):
            np.testing.assert_allclose(ours[name], column, rtol=CATALOG_RELATIVE, err_msg=name)
        elif "mag" in name:
            np.testing.assert_allclose(ours[name], column, rtol=0, atol=CATALOG_RELATIVE, err_msg=name)
        elif name in ("xcentroid", "ycentroid"):
            np.testing.assert_allclose(ours[name], column, rtol=0, atol=CATALOG_PIXELS, err_msg=name)
        elif name in ("is_extended", "nn_label", "isophotal_area"):
            np.testing.assert_array_equal(ours[name], column, err_msg=name)


def test_segments(both):
    theirs, ours = (products["segm"]["labels"] for products in both)
    np.testing.assert_array_equal(ours, theirs)


def keywords_of(product):
    return json.loads(str(product["keywords"]))
