from dataclasses import fields, replace

import numpy as np
import pytest

from calflow.files.alignment_tables import AlignmentRow, find_row, read_alignment, write_alignment
from calflow.files.tables import read_meta, read_table
from calflow.science.geometry.sky_rotation import SkyRotation
from calflow.science.geometry.tangent_plane import Affine

FOOTPRINT = np.array([[359.9999, -70.1], [0.1 + 0.2, -70.0], [1e-17, -69.9], [1 / 3, -70.2]])
FULL = AlignmentRow(
    exposure="a",
    group="g1",
    status="COMPLETE",
    reason="",
    used=True,
    footprint=FOOTPRINT,
    reference=True,
    stars=120,
    matches=80,
    rms=0.0123456789012345,
    shift=(0.1, -1 / 3),
    rotation=1e-5,
    scale=1.0000001,
    corner_motion=0.7,
    correction=Affine(((0.1 + 0.9, 1e-17), (-1e-17, 1 / 3)), (np.pi, -np.e)),
    rotation_of_sky=SkyRotation((1e-9, -0.25, 1 / 3)),
)
LEAST = AlignmentRow("b", "", "FAILED", "not enough matches, 3 of 15", False, FOOTPRINT[::-1])


def same(row, other):
    return all(
        np.array_equal(np.asarray(getattr(row, f.name)), np.asarray(getattr(other, f.name)), equal_nan=f.name == "rms")
        for f in fields(row)
        if f.name not in ("correction", "rotation_of_sky")
    ) and (row.correction, row.rotation_of_sky) == (other.correction, other.rotation_of_sky)


def test_rows_are_read_bit_for_bit(tmp_path):
    write_alignment(tmp_path / "x.ecsv", [FULL, LEAST], {"step": "tweakreg"})
    full, least = read_alignment(tmp_path / "x.ecsv")
    assert same(full, FULL)
    assert same(least, LEAST)
    assert read_meta(tmp_path / "x.ecsv") == {"step": "tweakreg"}


def test_defaults_are_no_correction(tmp_path):
    write_alignment(tmp_path / "x.ecsv", [LEAST], {})
    (row,) = read_alignment(tmp_path / "x.ecsv")
    assert row.correction.is_identity
    assert (row.shift, row.scale, row.stars) == ((0.0, 0.0), 1.0, 0)
    assert row.rotation_of_sky.is_identity
    assert np.isnan(row.rms)


def test_types_are_plain(tmp_path):
    write_alignment(tmp_path / "x.ecsv", [FULL, LEAST], {})
    row = read_alignment(tmp_path / "x.ecsv")[0]
    assert (type(row.used), type(row.matches), type(row.rms), type(row.reason)) == (bool, int, float, str)
    assert row.footprint.dtype == np.float64
    assert hash(row.correction) == hash(FULL.correction)


def test_columns_are_for_people(tmp_path):
    write_alignment(tmp_path / "x.ecsv", [FULL], {})
    (cells,) = read_table(tmp_path / "x.ecsv")
    assert list(cells)[:8] == "exposure group status used reference stars matches rms".split()
    assert list(cells)[-1] == "reason"
    assert (cells["shift_east"], cells["shift_north"]) == FULL.shift
    assert (cells["ra1"], cells["dec4"]) == (359.9999, -70.2)
    assert (cells["m12"], cells["m21"]) == (1e-17, -1e-17)


def test_rows_are_found_by_their_exposure():
    assert find_row([FULL, LEAST], "b") is LEAST


def test_same_rows_same_bytes(tmp_path):
    for name in "xy":
        write_alignment(tmp_path / f"{name}.ecsv", [FULL, LEAST], {"step": "tweakreg"})
    assert (tmp_path / "x.ecsv").read_bytes() == (tmp_path / "y.ecsv").read_bytes()


@pytest.mark.parametrize("name", ["12", "007", "1e5"])
def test_names_that_look_like_numbers(tmp_path, name):
    """A group_id of an association may be a number."""
    write_alignment(tmp_path / "x.ecsv", [replace(FULL, exposure=name, group=name)], {})
    (row,) = read_alignment(tmp_path / "x.ecsv")
    assert (row.exposure, row.group) == (name, name)
