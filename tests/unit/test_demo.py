"""The script that simulates the demo's data."""

import json
from types import SimpleNamespace

import simulate_demo
from calflow import simulation
from calflow.simulation import Scene


def test_demo_script_writes_under_the_names_of_the_rule(tmp_path, monkeypatch):
    """The rule's output decides the directory and the associations' names."""
    small = Scene("miri_f1130w", backgrounds=1, detector_shape=(80, 96), exposures=2, stars=5, galaxies=2)
    original = simulation.simulate
    monkeypatch.setattr(simulation, "simulate", lambda directory, scene: original(directory, small))
    directory = tmp_path / "demo"
    association, combination = directory / "rate" / "two_asn.json", directory / "stage3" / "three_asn.json"
    output = SimpleNamespace(association=str(association), combination=str(combination))
    simulate_demo.simulate_demo(None, output, SimpleNamespace(seed=20))
    members = json.loads(association.read_text())["products"][0]["members"]
    assert all((association.parent / member["expname"]).exists() for member in members)
    products = [product["name"] for product in json.loads(association.read_text())["products"]]
    combined = [member["expname"] for member in json.loads(combination.read_text())["products"][0]["members"]]
    assert combined == [f"{name}_cal.fits" for name in products]
    assert (tmp_path / "demo" / "references" / "jwst_miri_flat_0001.fits").exists()


def test_demo_needs_all_steps_of_stage_3(tmp_path, monkeypatch):
    """Without errors of pointing there is nothing to align, without cosmic rays no outlier to find."""
    scenes = []
    monkeypatch.setattr(simulation, "simulate", lambda directory, scene: scenes.append(scene))
    simulate_demo.main(tmp_path)
    (scene,) = scenes
    assert scene.exposures == 4
    assert scene.pointing_error > 0.1  # a pixel of MIRI
    assert scene.cosmic_rays > 0
