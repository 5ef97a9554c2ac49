"""The third instrument family: its header, its raw frames as they are read, its own step."""

import json

import numpy as np
import pytest
from astropy.io import fits

from calflow import instruments
from calflow.configuration.problems import InputError, Problems
from calflow.configuration.settings import Settings
from calflow.files.exposure import read_exposure, write_exposure
from calflow.files.keywords import record_status
from calflow.inputs.headers import read_exposure_header
from calflow.instruments import header_keywords, layout_of
from calflow.plan.planner import make_plan
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image
from tests.ground_camera import FAMILY
from tests.ground_camera.simulation import simulate
from tests.ground_camera.steps import count_rates

CARDS = {"TELESCOP": "HILL-1M", "INSTRUME": "GCAM", "IMAGETYP": "object", "DATE-OBS": "2026-03-01T22:10:05"}


@pytest.fixture
def camera(monkeypatch):
    monkeypatch.setattr(instruments, "FAMILIES", (*instruments.FAMILIES, FAMILY))


@pytest.fixture
def frame(tmp_path):
    """A raw frame of unsigned counts, as FITS stores them, of which one is BLANK."""
    path = tmp_path / "frame.fits"
    hdu = fits.PrimaryHDU(np.array([[1000, 40000, 65535]], np.uint16), header=fits.Header(CARDS | {"BUNIT": "adu"}))
    hdu.header["BLANK"] = 32767  # 65535 less BZERO
    hdu.writeto(path)
    return path


def test_its_header_in_the_words_of_calflow(camera, frame):
    problems = Problems()
    header = read_exposure_header(frame, header_keywords(), problems)
    assert not problems
    assert (header.image, header.shape) == ("PRIMARY", (1, 3))
    found = [header.values[name] for name in ("EXP_TYPE", "DATE-OBS", "TIME-OBS")]
    assert found == ["OBJECT", "2026-03-01", "22:10:05"]


def test_a_date_that_is_one_already_stays():
    assert FAMILY.derived(CARDS | {"DATE-OBS": "2026-03-01", "TIME-OBS": "22:10:05"})["DATE-OBS"] == "2026-03-01"


def test_layouts(camera):
    assert layout_of(CARDS, ["PRIMARY"]).image == "PRIMARY"
    assert layout_of(CARDS, ["PRIMARY", "SCI", "ERR"]).image == "SCI"
    assert layout_of({"TELESCOP": "OTHER"}, ["PRIMARY", "SCI"]).image == "SCI"


def test_counts_are_read_from_the_primary_hdu(frame):
    exposure = read_exposure(frame, FAMILY.images)
    assert exposure.image.sci.dtype == np.float32
    assert np.array_equal(exposure.image.sci, [[1000, 40000, np.nan]], equal_nan=True)
    assert exposure.image.dq.tolist() == [[0, 0, 0]]  # a NaN alone is left as it is
    assert (exposure.science["BUNIT"], "BUNIT" in exposure.primary) == ("adu", False)


def test_a_product_of_it_has_its_pixels_in_an_extension(frame, tmp_path):
    write_exposure(read_exposure(frame, FAMILY.images), tmp_path / "x_cal.fits")
    with fits.open(tmp_path / "x_cal.fits") as hdus:
        hdus.verify("exception")
        assert hdus[0].data is None
        assert hdus["SCI"].data.dtype == ">f4"


def test_a_primary_hdu_without_pixels_is_no_image(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2)), name="DATA")]).writeto(tmp_path / "x.fits")
    with pytest.raises(ValueError, match="has no extension SCI or PRIMARY"):
        read_exposure(tmp_path / "x.fits", FAMILY.images)


def test_integers_are_no_count_rates(tmp_path):
    problems = Problems()
    primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": "TMT"}))
    path = tmp_path / "x.fits"
    fits.HDUList([primary, fits.ImageHDU(np.ones((2, 2), np.int16), name="SCI")]).writeto(path)
    assert read_exposure_header(path, ["TELESCOP"], problems) is None
    assert "SCI has BITPIX 16" in str(problems[0])


def test_count_rates():
    counts = np.array([[1100.0, 990.0, 65535.0, 1100.0]], np.float32)
    raw = Image(counts, np.zeros_like(counts), np.zeros((1, 4), np.uint32))
    bias = np.array([[1000.0, 1000.0, 1000.0, np.nan]], np.float32)
    rates = count_rates(raw, bias, np.zeros((1, 4), np.uint32), time=10.0, gain=4.0, read_noise=8.0)
    # 100 adu are 400 electrons with an error of 20, which is 5 adu; the read noise is 2 adu.
    assert rates.sci[0, :2] == pytest.approx([10.0, -1.0])
    assert rates.var_poisson[0, :2] == pytest.approx([0.25, 0.0])
    assert rates.var_rnoise[0, :2] == pytest.approx([0.04, 0.04])
    assert rates.err[0, :2] == pytest.approx([np.sqrt(0.29), 0.2])
    assert rates.dq[0].tolist() == [0, 0, FLAGS["SATURATED"] | FLAGS["DO_NOT_USE"], 0]
    assert np.isnan([rates.sci[0, 3], rates.err[0, 3], rates.var_rnoise[0, 3]]).all()


def test_the_status_of_a_step_of_its_own(frame):
    exposure = read_exposure(frame, FAMILY.images)
    record_status(exposure, "bias", "COMPLETE")
    assert exposure.primary["S_BIAS"] == "COMPLETE"


def test_a_step_of_its_own_has_no_section():
    stage2 = Settings.model_validate({"stage2": {"photom": {"skip": True}}}).stage2
    assert (stage2.skips("bias"), stage2.skips("flat_field"), stage2.skips("photom")) == (False, False, True)


def refused(folder, truth):
    """Return what is wrong, before any job, with what was simulated in a folder."""
    settings = {"associations": [str(truth.stage2)], "references": {"directory": str(folder / "references")}}
    with pytest.raises(InputError) as caught:
        make_plan(Settings.model_validate(settings), [], folder / "cache")
    return caught.value.problems


def test_a_background_is_refused_where_no_step_subtracts_one(camera, tmp_path):
    truth = simulate(tmp_path)
    tree = json.loads(truth.stage2.read_text())
    tree["products"][0]["members"].append({"expname": "gcam001.fits", "exptype": "background"})
    truth.stage2.write_text(json.dumps(tree))
    (problem,) = refused(tmp_path, truth)
    assert problem.key == "products[0].members[1]"
    assert "no background is subtracted from exposures of HILL-1M" in problem.right


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("GAIN", None, "GAIN: is missing; stage 2 cannot do without it"),
        ("RDNOISE", "low", "RDNOISE: 'low' is not a number; give a finite number"),
        ("IMAGETYP", "zero", "EXP_TYPE: 'ZERO' is not imaging"),
        ("DATE-OBS", "2026-03-41T22:10:05", "'2026-03-41', '22:10:05' are not a date and a time"),
        ("FILTER", "Z", "FILTER"),
    ],
)
def test_a_wrong_header_is_one_error_before_any_job(camera, tmp_path, keyword, value, told):
    truth = simulate(tmp_path)
    with fits.open(tmp_path / "raw" / "gcam002.fits", mode="update") as hdus:
        if value is None:
            del hdus[0].header[keyword]
        else:
            hdus[0].header[keyword] = value
    problems = refused(tmp_path, truth)
    assert told in str(problems[0])
    assert all("gcam002.fits" in problem.file for problem in problems)


def test_a_bias_that_is_not_there_is_told_before_any_job(camera, tmp_path):
    truth = simulate(tmp_path)
    (tmp_path / "references" / "hill_bias.fits").unlink()
    assert {problem.key for problem in refused(tmp_path, truth)} == {"bias"}
