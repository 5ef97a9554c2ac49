"""The demo with IRIS: what it makes of its data."""

import json

import yaml

from tests.workflow.conftest import ROOT, Workflow


def test_data_of_the_demo_are_what_its_configuration_reduces(tmp_path):
    """Every association that the configuration names is there, and every exposure of the level-2 association."""
    demo = Workflow(tmp_path)
    demo.config = {}
    run = demo.run("demo_iris_data")
    assert run.code == 0, run.output
    assert run.rules == {"demo_iris_data": 1}
    config = yaml.safe_load((ROOT / "rules" / "demo_iris.yaml").read_text())
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
