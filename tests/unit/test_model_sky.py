"""What the script of model_sky says of sky exposures that it cannot use."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from calflow.job import UnusableExposure

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(("corner", "covers"), [((101, 1), "nothing"), ((3, 1), "columns 3..4, rows 1..4")])
def test_a_sky_exposure_that_does_not_cover_the_window_is_named(tmp_path, monkeypatch, corner, covers):
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    model_sky = importlib.import_module("model_sky").model_sky
    path = tmp_path / "sky_rate.fits"
    primary = fits.PrimaryHDU()
    primary.header.update(SUBSTRT1=corner[0], SUBSTRT2=corner[1], SUBSIZE1=4, SUBSIZE2=4)
    fits.HDUList([primary, fits.ImageHDU(np.ones((4, 4), np.float32), name="SCI")]).writeto(path)
    params = SimpleNamespace(window=(1, 1, 4, 4), undarkened=[], images=["SCI"], sky_model={})
    with pytest.raises(UnusableExposure, match=f"sky_rate.fits covers {covers} of columns 1..4, rows 1..4;"):
        model_sky(SimpleNamespace(members=[path], get=lambda name: None), SimpleNamespace(background=""), params)
