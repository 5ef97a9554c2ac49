"""The demo: what it makes of its data."""

import pytest


@pytest.fixture
def demo(workflow):
    """A working folder as the rule `demo_data` leaves it, of a smaller detector with two exposures."""
    workflow.config["associations"] = ["data/rate/*_asn.json", "data/stage3/*_asn.json"]
    return workflow


def test_demo_goes_from_count_rates_to_catalogue_and_pictures(demo):
    planned = demo.planned("demo")
    assert planned["demo"] == planned["demo_picture"] == planned["demo_combined_picture"] == 1
    assert planned["calibrate"] == planned["flag_outliers"] == 2
    assert planned["combine"] == planned["catalog_sources"] == 1
    assert "demo_data" not in planned


def test_combined_picture_needs_a_catalogue(demo):
    demo.config["stage3"] = {"source_catalog": {"skip": True}}
    run = demo.run("demo", dry=True)
    assert run.code != 0
    assert "no association of this configuration gets a catalogue to make a picture of" in run.output
