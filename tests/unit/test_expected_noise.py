"""The noise of an exposure after its photometry, told before it: errors, or the scatter where there are none."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calflow.calibration.expected_noise import expected_noise

PLAIN = {"images": ["SCI"]}


@pytest.fixture
def photom(tmp_path):
    table = fits.BinTableHDU.from_columns(
        [fits.Column("filter", "8A", array=["F200W"]), fits.Column("photmjsr", "E", array=[0.5])], name="PHOTOM"
    )
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "photom.fits")
    return tmp_path / "photom.fits"


def write_rate(path: Path, shape=(64, 64), errors=True):
    planes = {"SCI": np.random.default_rng(1).normal(9.0, 3.0, shape).astype(np.float32)}
    if errors:
        planes["ERR"] = np.full(shape, 2.0, np.float32)
        planes["DQ"] = np.zeros(shape, np.uint32)
        planes["ERR"][..., :40, :], planes["DQ"][..., :40, :] = 50.0, 1  # most of it cannot be used
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(plane, name=name) for name, plane in planes.items())]).writeto(
        path
    )
    return path


@pytest.mark.parametrize("shape", [(64, 64), (3, 64, 64)])
def test_the_errors_of_usable_pixels_count(tmp_path, shape):
    assert expected_noise(write_rate(tmp_path / "a.fits", shape), PLAIN, None) == 2.0


@pytest.mark.parametrize(("inverse", "noise"), [(False, 1.0), (True, 4.0)])
def test_they_are_converted(tmp_path, photom, inverse, noise):
    row = {"selectors": [{"filter": "F200W"}], "optional": []}
    settings = {"inverse": inverse, "apply_time_correction": True}
    source = {**PLAIN, "facts": {}, "photom_row": row, "photom": settings}
    assert expected_noise(write_rate(tmp_path / "a.fits"), source, photom) == noise


def test_without_errors_the_scatter_counts(tmp_path):
    found = expected_noise(write_rate(tmp_path / "a.fits", errors=False), PLAIN, None)
    assert found == pytest.approx(3.0, rel=0.1)
