"""The demo with IRIS: what it makes of its data."""

import json

import numpy as np
import pytest
import yaml
from astropy.io import fits

from calflow.files.alignment_tables import read_alignment
from tests.workflow.conftest import ROOT, Workflow

pytestmark = pytest.mark.slow


def test_the_demo(tmp_path):
    demo = Workflow(tmp_path)
    demo.config = {}
    run = demo.run("demo_iris_data")
    assert run.code == 0, run.output
    assert run.rules == {"demo_iris_data": 1}
    demo.config = yaml.safe_load((ROOT / "rules" / "demo_iris.yaml").read_text())
    data_are_what_the_configuration_reduces(tmp_path, demo.config)
    makes_what_it_says(demo)


def data_are_what_the_configuration_reduces(tmp_path, config):
    """Every association that the configuration names is there, and every exposure of the level-2 association."""
    (stage2,), (merge,), (stage3,) = (sorted(tmp_path.glob(pattern)) for pattern in config["associations"])
    products = json.loads(stage2.read_text())["products"]
    members = [member["expname"] for product in products for member in product["members"]]
    assert all((stage2.parent / name).exists() for name in members)
    made = {f"{product['name']}_cal.fits" for product in products}
    (merged,) = json.loads(merge.read_text())["products"]
    assert {member["expname"] for member in merged["members"]} < made
    (combined,) = json.loads(stage3.read_text())["products"]
    assert {member["expname"] for member in combined["members"]} < made | {f"{merged['name']}_cal.fits"}
    assert {path.name for path in (tmp_path / config["references"]["directory"]).iterdir()} == {
        f"ligeriri_iris_{reftype}_0001.fits" for reftype in ("dark", "flat", "photom")
    }


def makes_what_it_says(demo):
    run = demo.run("demo_iris")
    assert run.code == 0, run.output
    assert (demo.folder / "iris.png").stat().st_size > 100_000
    assert demo.planned("demo_iris") == {}

    rows = read_alignment(demo.combined("iris_p001_clear-k_alignment.ecsv"))
    assert [row.status for row in rows] == ["COMPLETE"] * 4
    assert max(row.rms for row in rows[1:]) < 2e-4  # arcsec; a pixel is 0.004

    full, merged = (fits.getdata(demo.product(f"iris_p001_001_0004{name}_cal.fits")) for name in ("", "_merged"))
    assert np.isnan(full).sum() > 10_000 > 100 > np.isnan(merged).sum()
    with fits.open(demo.combined("iris_p001_clear-k_i2d.fits")) as hdus:
        hdus.verify("exception")
        assert hdus[0].header["NDRIZ"] == 4
        assert hdus["SCI"].header["CTYPE1"] == "RA---TAN"
        assert np.array_equal(np.isfinite(hdus["ERR"].data), hdus["WHT"].data > 0)
