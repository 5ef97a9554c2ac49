import numpy as np
import pytest
from astropy.io import fits

from calflow.files.exposure import Exposure
from calflow.files.sky_tables import SkyOfExposure, sky_of, write_sky
from calflow.files.tables import read_meta, read_table
from calflow.science.image import Image
from calflow.science.sky.skymatch import SkyLevel

LEVELS = [
    SkyLevel("a", "g", 0.1 + 0.2, "COMPLETE", 1000),
    SkyLevel("b", "g", 0.0, "COMPLETE", 900, "a set of its own"),
    SkyLevel("c", "h", None, "SKIPPED", 0, "no overlap with another exposure"),
]


def exposure(**keywords):
    plane = np.zeros((2, 3), np.float32)
    image = Image(plane, plane, plane.astype(np.uint32), plane, plane)
    return Exposure(image, {"PRIMARY": fits.Header(keywords), "SCI": fits.Header()})


@pytest.fixture
def table(tmp_path):
    write_sky(tmp_path / "x_sky.ecsv", LEVELS, {"skymethod": "match"})
    return tmp_path / "x_sky.ecsv"


def test_table_is_written(table):
    rows = read_table(table)
    assert [row["exposure"] for row in rows] == ["a", "b", "c"]
    assert [row["group"] for row in rows] == ["g", "g", "h"]
    assert [row["status"] for row in rows] == ["COMPLETE", "COMPLETE", "SKIPPED"]
    assert [row["level"] for row in rows[:2]] == [0.1 + 0.2, 0.0]
    assert np.isnan(rows[2]["level"])
    assert [row["pixels"] for row in rows] == [1000, 900, 0]
    assert [row["reason"] for row in rows] == ["", "a set of its own", "no overlap with another exposure"]
    assert read_meta(table) == {"skymethod": "match"}


def test_same_levels_same_bytes(table, tmp_path):
    write_sky(tmp_path / "y.ecsv", LEVELS, {"skymethod": "match"})
    assert (tmp_path / "y.ecsv").read_bytes() == table.read_bytes()


def test_a_level_of_the_table(table):
    assert sky_of(exposure(), "a", table) == SkyOfExposure("COMPLETE", "match", 0.1 + 0.2, 0.1 + 0.2)


def test_a_level_of_zero_is_a_level(table):
    assert sky_of(exposure(), "b", table) == SkyOfExposure("COMPLETE", "match", 0.0, 0.0)


def test_no_level(table):
    assert sky_of(exposure(), "c", table) == SkyOfExposure("SKIPPED", None, None, 0.0)


def test_a_level_found_before_is_replaced(table):
    """BKGSUB is False: it is in the pixels still."""
    found = sky_of(exposure(BKGLEVEL=5.0, BKGSUB=False), "a", table)
    assert (found.level, found.remaining) == (0.1 + 0.2, 0.1 + 0.2)


def test_a_level_subtracted_before_adds_up(table):
    """BKGSUB is True: what is found now is on top of it."""
    found = sky_of(exposure(BKGLEVEL=5.0, BKGSUB=True), "a", table)
    assert found.level == pytest.approx(5.3)
    assert found.remaining == 0.1 + 0.2


@pytest.mark.parametrize(
    ("keywords", "level", "remaining"),
    [
        ({}, None, 0.0),
        ({"BKGLEVEL": 5.0, "BKGSUB": False, "BKGMETH": "local"}, 5.0, 5.0),
        ({"BKGLEVEL": 5.0, "BKGSUB": True, "BKGMETH": "local"}, 5.0, 0.0),
        ({"BKGLEVEL": 0.0, "BKGSUB": False, "BKGMETH": "local"}, 0.0, 0.0),
    ],
)
def test_without_a_table_what_the_exposure_comes_with_counts(keywords, level, remaining):
    expected = SkyOfExposure("SKIPPED", keywords.get("BKGMETH"), level, remaining)
    assert sky_of(exposure(**keywords), "a", None) == expected
