"""Reference files made of raw exposures, and used."""

import os

import numpy as np
import pytest
from astropy.io import fits

from tests.workflow.conftest import Workflow

pytestmark = pytest.mark.slow

SHAPE = (6, 8)
KEYWORDS = {
    "TELESCOP": "TMT",
    "INSTRUME": "IRIS",
    "DETECTOR": "IRIS1",
    "FILTER": "K",
    "PUPIL": "CLEAR",
    "EXP_TYPE": "IRIS_IMAGE",
    "SUBARRAY": "FULL",
    "DATE-OBS": "2024-11-21",
    "TIME-OBS": "01:02:03",
}


def write(path, value, *, err=0.3, name="SCI", **keywords):
    shape = np.shape(value) if np.ndim(value) == 2 else SHAPE
    planes = {name: np.full(shape, value, np.float32), "ERR": np.full(shape, err, np.float32)}
    planes["DQ"] = np.zeros(shape, np.uint32)
    primary = fits.PrimaryHDU(header=fits.Header(list((KEYWORDS | keywords).items())))
    path.parent.mkdir(exist_ok=True)
    fits.HDUList([primary, *(fits.ImageHDU(data, name=plane) for plane, data in planes.items())]).writeto(path)


@pytest.fixture
def making(tmp_path):
    """Four darks of 1.0, 1.2, 0.8, 1.0, three flats of 21 with an upper half of 11, whose dark is 1."""
    workflow = Workflow(tmp_path)
    for number, level in enumerate((1.0, 1.2, 0.8, 1.0)):
        write(tmp_path / f"raw/dark{number}.fits", level)
    for number in range(3):
        write(tmp_path / f"raw/flat{number}.fits", np.where(np.arange(8) < 2, 11.0, 21.0), err=0.6)
    workflow.config = {
        "reference_makers": {
            "dark": {"type": "dark", "exposures": "raw/dark*.fits", "error": "propagate"},
            "flat_k": {"type": "flat", "exposures": "raw/flat*.fits", "dark": "dark", "error": "propagate"},
        }
    }
    return workflow


def reference(workflow, name):
    return fits.open(workflow.folder / "results" / "references" / f"{name}.fits")


def test_dark_and_flat(making):
    run = making.run()
    assert run.code == 0, run.output
    assert run.rules == {"make_reference": 2}
    with reference(making, "dark") as hdus:
        hdus.verify("exception")
        np.testing.assert_allclose(hdus["SCI"].data, 1.0, rtol=1e-6)
        np.testing.assert_allclose(hdus["ERR"].data, 0.3 / 2, rtol=1e-6)  # of four
        header = hdus[0].header
        assert (header["REFTYPE"], header["TELESCOP"], header["USEAFTER"]) == (
            "DARK",
            "LIGERIRI",
            "2024-11-21T01:02:03",
        )
        assert "FILTER" not in header
    with reference(making, "flat_k") as hdus:
        # 10 and 20 without the dark; the median is 20.
        np.testing.assert_allclose(
            hdus["SCI"].data, np.where(np.arange(8) < 2, [0.5] * 8, 1.0) + np.zeros(SHAPE), rtol=1e-6
        )
        np.testing.assert_allclose(hdus["ERR"].data, np.hypot(0.6 / 3**0.5, 0.3 / 2) / 20, rtol=1e-6)
        assert hdus[0].header["FILTER"] == "K"
    assert making.planned() == {}

    os.utime(making.folder / "raw/flat1.fits")
    assert making.planned() == {"make_reference": 1}
    os.utime(making.folder / "raw/dark1.fits")
    assert making.planned() == {"make_reference": 2}

    # They are what a run takes from the folder.
    write(making.folder / "science_rate.fits", 5.0, err=0.2)
    making.config = {
        "exposures": "science_rate.fits",
        "references": {"directory": "results/references"},
        "output": "reduced",
        "stage2": {step: {"skip": True} for step in ("assign_wcs", "photom", "resample")},
    }
    run = making.run()
    assert run.code == 0, run.output
    with fits.open(making.folder / "reduced/stage2/science_cal.fits") as hdus:
        np.testing.assert_allclose(hdus["SCI"].data, np.where(np.arange(8) < 2, 8.0, 4.0) + np.zeros(SHAPE), rtol=1e-6)
        assert (hdus[0].header["R_DARK"], hdus[0].header["R_FLAT"]) == ("dark.fits", "flat_k.fits")


def test_what_is_made_is_used_in_the_same_run(making):
    write(making.folder / "science_rate.fits", 5.0, err=0.2)
    making.config |= {
        "exposures": "science_rate.fits",
        "references": {"override": {"dark": "dark", "flat": "flat_k", "photom": "N/A"}},
        "stage2": {step: {"skip": True} for step in ("assign_wcs", "resample")},
    }
    run = making.run()
    assert run.code == 0, run.output
    assert run.rules == {"make_reference": 2, "calibrate": 1}
    with fits.open(making.product("science_cal.fits")) as hdus:
        np.testing.assert_allclose(hdus["SCI"].data[0], [8.0] * 2 + [4.0] * 6, rtol=1e-6)
    os.utime(making.folder / "raw/flat1.fits")
    assert making.planned() == {"make_reference": 1, "calibrate": 1}


def test_a_flat_of_the_sky_corrects_another_and_is_used_in_the_same_run(tmp_path):
    workflow, random = Workflow(tmp_path), np.random.default_rng(5)
    response = 1 + random.normal(0, 0.03, (64, 64))
    for number in range(6):
        image = np.where(random.uniform(size=(64, 64)) < 0.001, 500, 100) * response + random.normal(0, 1, (64, 64))
        write(tmp_path / f"science{number}_rate.fits", image, err=1.0, **{"TIME-OBS": f"0{number}:00:00"})
    write(tmp_path / "known.fits", np.ones((64, 64)), err=0.01, REFTYPE="FLAT")
    maker = {"type": "sky_flat", "exposures": "science*_rate.fits", "known_flat": "known.fits", "sky_exposures": 4}
    workflow.config = {
        "exposures": "science0_rate.fits",
        "reference_makers": {"skies": maker | {"before": "2024-11-21T05:00:00"}},
        "references": {"override": {"flat": "skies", "photom": "N/A", "dark": "N/A"}},
        "stage2": {step: {"skip": True} for step in ("assign_wcs", "resample", "dark_current")},
    }
    run = workflow.run()
    assert run.code == 0, run.output
    assert run.rules == {"make_reference": 1, "calibrate": 1}
    with reference(workflow, "skies") as hdus:
        made, known, header = hdus["SCI"].data, hdus["DQ"].data == 0, hdus[0].header
        assert (header["REFTYPE"], header["DESCRIP"]) == ("FLAT", "sky_flat: skies of 5 exposures")
        assert header["CORRECTS"] == pytest.approx(0.03, rel=0.1)
        assert known.mean() > 0.95
        assert np.std((made / response)[known]) < 1.3 * header["FLATNOIS"]
    with fits.open(workflow.product("science0_cal.fits")) as hdus:
        assert hdus[0].header["R_FLAT"] == "skies.fits"
        cleaned = hdus["SCI"].data
    # Of the scatter of 3 % what is left is the noise of the exposure and of the flat.
    assert np.std(cleaned[known & (cleaned < 200)]) / 100 < 1.2 * np.hypot(0.01, 0.01 / np.sqrt(5))
    assert workflow.planned() == {}
    os.utime(tmp_path / "known.fits")
    assert workflow.planned() == {"make_reference": 1, "calibrate": 1}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"dark": "drak"},
            "reference_makers.flat_k.dark: 'drak' is neither a file nor the name of a maker of darks",
        ),
        (
            {"dark": "flat_k"},
            "reference_makers.flat_k.dark: 'flat_k' is neither a file nor the name of a maker of darks",
        ),
        ({"exposures": "raw/none*.fits"}, "reference_makers.flat_k.exposures[0]: "),
        (
            {"exposures": ["raw/flat0.fits", "raw/other.fits"]},
            "raw/other.fits: FILTER: is 'Y', that of 'raw/flat0.fits' 'K'",
        ),
        ({"exposures": "raw/jwst.fits"}, "raw/jwst.fits: "),
        ({"method": "average"}, "reference_makers.flat_k.method"),
    ],
)
def test_problems_are_told_before_any_job(making, change, told):
    write(making.folder / "raw/other.fits", 1.0, FILTER="Y")
    write(making.folder / "raw/jwst.fits", 1.0, TELESCOP="JWST", INSTRUME="NIRCAM")
    making.config["reference_makers"]["flat_k"] |= change
    run = making.run(dry=True)
    assert run.code == 1
    assert told in run.output
    assert "no job was started" in run.output


def test_a_flat_without_light_fails_with_its_reason(making):
    for number in range(3):
        (making.folder / f"raw/flat{number}.fits").unlink()
        write(making.folder / f"raw/flat{number}.fits", 0.5)
    run = making.run()
    assert run.code == 1
    assert "FAILED make_reference flat_k: the median of the flat is -0.5; a flat has a positive level" in run.output
    assert not (making.folder / "results/references/flat_k.fits").exists()
