"""Exposures of JWST and of IRIS in one configuration."""

import numpy as np
import pytest
from astropy.io import fits

from tests.workflow.test_reference_makers import write

pytestmark = pytest.mark.slow


def test_each_is_reduced_as_if_alone(workflow):
    alone = workflow.run()
    assert alone.code == 0, alone.output
    before = {name: workflow.product(name).read_bytes() for name in workflow.products()}

    folder = workflow.folder
    write(folder / "data/iris_rate.fits", 5.0, **{"DATE-OBS": "2024-11-22"})
    about = {"TELESCOP": "LIGERIRI", "USEAFTER": "2024-01-01T00:00:00"}
    write(folder / "data/references/iris_dark.fits", 1.0, REFTYPE="DARK", **about)
    write(folder / "data/references/iris_flat.fits", 2.0, REFTYPE="FLAT", **about)
    workflow.config["exposures"] = "data/iris_rate.fits"
    run = workflow.run()
    assert run.code == 0, run.output
    assert run.rules == {"calibrate": 1}
    assert "iris_rate.fits: assign_wcs is SKIPPED, there will be no _i2d" in run.output
    assert {name: workflow.product(name).read_bytes() for name in before} == before
    with fits.open(workflow.product("iris_cal.fits")) as hdus:
        np.testing.assert_allclose(hdus["SCI"].data, (5 - 1) / 2, rtol=1e-6)
        statuses = [hdus[0].header[keyword] for keyword in ("S_WCS", "S_DARK", "S_FLAT", "S_PHOTOM")]
        assert statuses == ["SKIPPED", "COMPLETE", "COMPLETE", "SKIPPED"]
