"""Headers of exposures: what stage 2 and stage 3 cannot work with is named by its keyword."""

from pathlib import Path

import pytest

from calflow.configuration.problems import Problems
from calflow.inputs.exposure_checks import check_calibrated, check_science
from calflow.inputs.fits_headers import HduShape
from calflow.inputs.headers import ExposureHeader
from calflow.instruments import family_of

RATE = {
    "TELESCOP": "JWST",
    "INSTRUME": "NIRCAM",
    "DETECTOR": "NRCB1",
    "EXP_TYPE": "NRC_IMAGE",
    "DATE-OBS": "2023-03-12",
    "TIME-OBS": "07:47:13",
    "EXPMID": 60015.3,
    "EFFEXPTM": 42.9,
    "V2_REF": -120.1,
    "V3_REF": -457.9,
    "RA_REF": 83.8,
    "DEC_REF": -5.4,
    "ROLL_REF": 359.9,
    "VPARITY": -1,
    "V3I_YANG": 0.2,
    "VA_SCALE": 1.00009,
    "BUNIT": "DN/s",
}


def header(changes, hdus=("PRIMARY", "SCI", "ASDF")):
    values = {keyword: value for keyword, value in {**RATE, **changes}.items() if value is not None}
    shapes = tuple(HduShape(name, 1, "IMAGE", (8, 9) if name == "SCI" else (), -32) for name in hdus)
    return ExposureHeader(Path("x_rate.fits"), values, shapes)


def refused(changes):
    """Return the keywords that stage 2 does not take."""
    problems = Problems()
    values = header(changes)
    check_science(Path("x_rate.fits"), values, family_of(values.values), problems)
    return [problem.key for problem in problems]


def test_a_sound_header():
    assert refused({}) == []


@pytest.mark.parametrize(
    ("keyword", "wrong"),
    [
        ("RA_REF", (360.1, -361, 1e6)),
        ("DEC_REF", (90.1, -95)),
        ("ROLL_REF", (400, -1e9)),
        ("V3I_YANG", (361,)),
        ("V2_REF", (1e7,)),
        ("V3_REF", (-4000,)),
        ("CRPIX1", (1e7, -(10**30))),
        ("VA_SCALE", (0, -1, 3, "one")),
        ("EFFEXPTM", (0, -1, "long", True)),
        ("TMEASURE", (0.0, -5.0, "42")),
        ("EXPMID", (0, -1, 2460015.8)),
        ("MT_RA", (1e6,)),
        ("MT_DEC", (91,)),
    ],
)
def test_numbers_that_cannot_be(keyword, wrong):
    for value in wrong:
        assert refused({keyword: value}) == [keyword]


@pytest.mark.parametrize(
    "changes",
    [
        {"RA_REF": 0, "DEC_REF": 90},
        {"RA_REF": 360, "DEC_REF": -90, "ROLL_REF": -180},
        {"EFFEXPTM": None},
        {"EFFEXPTM": "", "TMEASURE": None},
        {"VA_SCALE": None},
        {"EXPMID": 1},
    ],
)
def test_numbers_that_can_be(changes):
    assert refused(changes) == []


@pytest.mark.parametrize("date", ["yesterday", "2023-13-01", "12/03/2023"])
def test_a_date_that_is_none(date):
    assert refused({"DATE-OBS": date}) == ["DATE-OBS, TIME-OBS"]


def test_a_missing_date_is_told_once():
    assert refused({"DATE-OBS": None}) == ["DATE-OBS"]


@pytest.mark.parametrize(
    ("keyword", "wrong"), [("RA_REF", 1e6), ("DEC_REF", 95), ("VPARITY", 0), ("EFFEXPTM", 0), ("TMEASURE", "x")]
)
def test_calibrated_exposures_of_others(keyword, wrong):
    calibrated = {"BUNIT": "MJy/sr", "S_WCS": "COMPLETE"}
    for changes, keys in (({}, []), ({keyword: wrong}, [keyword])):
        problems = Problems()
        check_calibrated(Path("x_cal.fits"), header({**calibrated, **changes}), None, problems)
        assert [problem.key for problem in problems] == keys
