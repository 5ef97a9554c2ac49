"""The job that calibrates an exposure: what it says of one that comes to nothing."""

from types import SimpleNamespace

import numpy as np
import pytest

import calibrate
from calflow.job import UnusableExposure
from calflow.science.image import Image


def flag_all(exposure, input, params):
    exposure.image.dq[:] = 1


def nothing(*_):
    pass


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("flat_field", r"after flat_field \(my_flat.fits\): all are"),
        ("photom", r"after photom \(my_photom.fits\): all are"),
        ("assign_wcs", "after assign_wcs: all are"),
    ],
)
def test_the_step_after_which_no_pixel_is_left_is_named(monkeypatch, step, told):
    image = Image(np.ones((2, 3)), np.ones((2, 3)), np.zeros((2, 3), np.uint32))
    exposure = SimpleNamespace(image=image, damaged=False, discarded={}, rest=0)
    monkeypatch.setattr(calibrate, "read_by_integrations", lambda *_: (block for block in [exposure]))
    for name in ("record_facts", "record_origin", "record_status"):
        monkeypatch.setattr(calibrate, name, nothing)
    monkeypatch.setattr(calibrate, "function_named", {"a:nothing": nothing, "a:flag_all": flag_all}.get)
    params = SimpleNamespace(
        images=("SCI",),
        facts={},
        origin={},
        context={},
        status={},
        steps=[("skipped", "a:nothing"), (step, "a:flag_all")],
        by_integrations=True,
        writing={},
    )

    class Input(dict):
        exposure = "a_rate.fits"

    with pytest.raises(UnusableExposure, match=told):
        calibrate.calibrate(Input(flat="my_flat.fits", photom="my_photom.fits"), SimpleNamespace(cal="x"), params)
