"""The configurations of docs/recipes on simulated exposures: what they run, and how near it comes to the truth."""

import os
import sys
from pathlib import Path

import pytest
from astropy.io import fits

from calflow.simulation.associations import product_name
from tests.workflow.forked import run_snakemake

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import recipes

pytestmark = pytest.mark.slow


def reduced(recipe, folder):
    """Run a recipe on its exposures, and again; return what it says of each step, and its figures."""
    truth = recipes.simulate_data(recipe, folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    for options, said in (([], "Products: "), (["--dry-run"], "Nothing to be done")):
        code, output = run_snakemake(recipes.command(recipe, options=options), folder, environment, timeout=900)
        assert code == 0, output
        assert said in output
    results = folder / "results"
    header = fits.getheader(results / "stage3" / f"{product_name(truth.scene)}_i2d.fits")
    figures = recipes.measure(truth, results)
    page = recipes.PAGE.read_text()
    assert [title for key, (title, _) in recipes.ROWS.items() if key in figures and f"| {title} |" not in page] == []
    return header, figures


def status(header, *names):
    return [header[f"S_{name}"] for name in names]


def test_a_deep_field(tmp_path):
    header, found = reduced("deep_field", tmp_path)
    assert status(header, "CLNFNS", "PERSIS", "SUBTRA", "SUBTR2", "TWKREG", "OUTLIR") == ["COMPLETE"] * 6
    assert header["S_SKYMAT"] == "SKIPPED"
    assert (tmp_path / "results" / "page.html").exists()
    assert found["lines"] < 1.3
    assert found["background"] < 2.5  # without the recipe 10 or more
    assert found["stars"] == pytest.approx(1, abs=0.01)
    assert found["galaxies"] == pytest.approx(1, abs=0.01)
    assert found["aligned"] < 1  # mas
    assert found["rays"] > 0.98
    assert found["edge rays"] > 0.9
    assert found["false rays"] < 5e-4
    assert found["persistence"] > 0.95
    assert found["false persistence"] == 0


def test_miri_with_flats_of_the_sky(tmp_path):
    header, found = reduced("miri_sky_flat", tmp_path)
    assert status(header, "BADPIX", "SKYFLT", "BACKGR", "TWKREG", "OUTLIR") == ["COMPLETE"] * 5
    # Of a flat that is wrong by 1.7 times the noise; the flat of six other exposures adds a sixth of their variance.
    assert found["pixels"] < 1.05 * (7 / 6) ** 0.5
    assert found["background"] < 3
    assert found["stars"] == pytest.approx(1, abs=0.02)
    assert found["scatter"] < 0.015
    # The noise of the flat, 0.2 % of a bright sky, is the same in all exposures where they hardly move over a galaxy.
    assert found["galaxies"] == pytest.approx(1, abs=0.04)
    assert found["warm"] > 0.5
    assert found["false warm"] < 1e-4


def test_a_nebula(tmp_path):
    header, found = reduced("nebula", tmp_path)
    assert status(header, "CLNFNS", "SKYMAT", "OUTLIR") == ["COMPLETE"] * 3
    assert "S_SUBTRA" not in header
    assert found["neighbours"] < 1.3
    assert found["nebula 0"] == pytest.approx(1, abs=0.02)
    assert found["nebula 1"] == pytest.approx(1, abs=0.005)
    assert found["nebula 2"] == pytest.approx(1, abs=0.005)
    assert found["stars"] == pytest.approx(1, abs=0.01)
    assert found["complete"] > 0.85
    assert found["sky"] < 0.15
