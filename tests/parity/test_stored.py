"""calflow against stored results of jwst 3.0.0 on tiny scenes, one of each kind of exposure."""

import json

import numpy as np
import pytest
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
from scenes import FLOAT_PLANES, INTEGER_PLANES, SCENES, STORED, describe, digest, read_stored

from calflow.simulation import simulate

pytestmark = pytest.mark.slow

PRODUCTS = [
    ("miri", "bsub"),
    ("miri", "cal"),
    ("miri", "i2d"),
    ("nircam", "cal"),
    ("nircam", "i2d"),
    ("niriss", "cal"),
    ("niriss", "i2d"),
    ("tso", "calints"),
    ("wfs", "cal"),
]
# Of the file or of the FITS format, not of the data; and where files lie.
NOT_COMPARED = {"CHECKSUM", "DATASUM", "EXTVER", "BSCALE", "BZERO", "PCOUNT", "GCOUNT", "EXTEND", "XTENSION", "SIMPLE"}
NOT_COMPARED |= {"DATE", "CAL_VER", "CAL_VCS", "CRDS_VER", "CRDS_CTX"}


@pytest.fixture(scope="module")
def run_scene(tmp_path_factory):
    """Run calflow on a scene, once."""
    done = {}

    def run(name):
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            truth = simulate(folder / "data", SCENES[name])
            inputs, stored = read_stored(STORED / f"{name}.npz")
            assert digest(truth.science + truth.backgrounds) == inputs, "the simulator changed: run store_jwst.py"
            config = {
                "associations": [str(truth.association)],
                "references": {"directory": str(folder / "data" / "references")},
                "stage2": {"save_bsub": True},
            }
            products = run_calflow(folder, config)
            mine = {path.stem.rpartition("_")[2]: describe(path) for path in products.glob("*.fits")}
            done[name] = stored, mine
        return done[name]

    return run


@pytest.fixture(params=PRODUCTS, ids="-".join)
def pair(request, run_scene):
    """The same product of both: suffix, jwst's description, calflow's description."""
    name, suffix = request.param
    stored, mine = run_scene(name)
    return suffix, stored[suffix], mine[suffix]


@pytest.mark.parametrize("name", SCENES)
def test_both_make_the_same_products(name, run_scene):
    stored, mine = run_scene(name)
    assert set(mine) == set(stored) == {suffix for scene, suffix in PRODUCTS if scene == name}


def test_planes(pair):
    suffix, stored, mine = pair
    for plane in set(FLOAT_PLANES) & set(stored):
        assert mine[plane].shape == stored[plane].shape, plane
        np.testing.assert_array_equal(np.isnan(mine[plane]), np.isnan(stored[plane]), err_msg=plane)
        if (suffix, plane) == ("i2d", "SCI"):
            assert np.nanmax(np.abs(mine["SCI"] - stored["SCI"]) / stored["ERR"]) <= I2D_OF_ERR
        else:
            limit = I2D_RELATIVE if suffix == "i2d" else RELATIVE
            np.testing.assert_allclose(mine[plane], stored[plane], rtol=limit, err_msg=plane)


def test_flags_and_context(pair):
    _, stored, mine = pair
    for plane in set(INTEGER_PLANES) & set(stored):
        np.testing.assert_array_equal(mine[plane], stored[plane], err_msg=plane)


def test_sky_positions(pair):
    suffix, stored, mine = pair
    if suffix == "bsub":
        assert "gwcs_sky" not in mine
        return
    assert separation_mas(mine["gwcs_sky"], stored["gwcs_sky"]) <= SKY_MAS
    pixel_mas = 1e3 * np.sqrt(json.loads(str(stored["keywords"]))["SCI"]["PIXAR_A2"])
    assert separation_mas(mine["fits_sky"], stored["fits_sky"]) <= FITS_PIXELS * pixel_mas


def test_keywords(pair):
    _, stored, mine = pair
    theirs, ours = (json.loads(str(product["keywords"])) for product in (stored, mine))
    assert set(theirs) == set(ours)
    for extension, keywords in theirs.items():
        wanted = {key: value for key, value in keywords.items() if key not in NOT_COMPARED}
        assert set(wanted) - set(ours[extension]) - set(MISSING_KEYWORDS) == set(), extension
        different = {
            key: (value, ours[extension].get(key))
            for key, value in wanted.items()
            if not same_value(key, value, ours[extension].get(key))
        }
        assert different == {}, extension


def separation_mas(first, second):
    """Return the largest distance on the sky of two sets of positions (deg, shape (2, n))."""
    (ra1, dec1), (ra2, dec2) = np.radians(first), np.radians(second)
    across = (ra1 - ra2) * np.cos(dec1)
    return np.degrees(np.hypot(across, dec1 - dec2).max()) * 3.6e6
