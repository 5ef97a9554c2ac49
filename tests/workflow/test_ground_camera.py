"""A third instrument family, in one folder: raw frames of a camera on the ground reduced to a catalogue."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from calflow.files.alignment_tables import read_alignment
from tests.ground_camera.simulation import SKY, simulate
from tests.workflow.conftest import Workflow

FOLDER = Path(__file__).parents[1] / "ground_camera"


@pytest.fixture
def camera(tmp_path, own_code):
    """calflow with the folder of the camera put among its instruments, and simulated frames."""
    shutil.copytree(FOLDER, own_code / "scripts" / "calflow" / "instruments" / "ground_camera")
    workflow = Workflow(tmp_path / "work", own_code / "Snakefile")
    workflow.truth = simulate(workflow.folder / "data")
    workflow.config["associations"] = ["data/raw/*_asn.json", "data/stage3/*_asn.json"]
    return workflow


def test_from_raw_frames_to_a_catalogue(camera):
    run = camera.run()
    assert run.code == 0, run.output
    assert run.rules["calibrate"] == 4
    is_calibrated(camera.product("gcam000_cal.fits"))
    is_aligned(camera.combined("hill_field_alignment.ecsv"))
    has_the_stars(camera.combined("hill_field_cat.ecsv"), camera.truth.stars)


def is_calibrated(path):
    with fits.open(path) as hdus:
        hdus.verify("exception")
        primary, science = hdus[0].header, hdus["SCI"].header
        statuses = [primary[f"S_{name}"] for name in ("BIAS", "WCS", "FLAT", "PHOTOM")]
        assert statuses == ["COMPLETE"] * 4
        assert primary["R_BIAS"] == "hill_bias.fits"
        assert (primary["DATE-OBS"], primary["TIME-OBS"], primary["EXP_TYPE"]) == ("2026-03-01", "22:10:05", "OBJECT")
        assert (science["BUNIT"], "BUNIT" in primary) == ("MJy/sr", False)
        assert np.nanmedian(hdus["SCI"].data) == pytest.approx(SKY, rel=0.02)
        assert hdus[0].data is None


def is_aligned(path):
    rows = read_alignment(path)
    assert [row.status for row in rows] == ["COMPLETE"] * 4
    assert max(row.rms for row in rows[1:]) < 0.03  # arcsec; a pixel is 0.3


def has_the_stars(path, stars):
    found = Table.read(path)
    sky = SkyCoord(stars["ra"], stars["dec"], unit="deg")
    index, separation, _ = sky.match_to_catalog_sky(SkyCoord(found["sky_centroid"]))
    assert separation.arcsec.max() < 0.1
    ratio = np.asarray(found["aper_total_flux"][index]) / stars["flux"]
    assert np.abs(ratio - 1).max() < 0.05
    assert np.median(ratio) == pytest.approx(1, abs=0.02)  # the aperture correction is good to 1 %
