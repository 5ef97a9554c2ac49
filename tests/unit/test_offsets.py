"""Pointings from outside: offsets and whole WCS as corrections, and the tables that they stand in."""

import numpy as np
import pytest

from calflow.files.alignment_tables import AlignmentRow, write_alignment
from calflow.files.offset_rows import OffsetRow, Subject
from calflow.files.offset_tables import read_offsets
from calflow.files.user_tables import UserTableError
from calflow.science.geometry.offsets import Offset, correction_between, correction_of
from calflow.science.geometry.tangent_plane import IDENTITY, Affine, to_sky

CENTRE = (150.0, 60.0)
A1 = Subject("jw01182004001_02101_00003_nrca1", "NRCA1", ("F212N", "CLEAR"))
B5 = Subject("jw01182004002_02101_00003_nrcblong", "NRCBLONG", ("F444W", "F405N"))


# Corrections --------------------------------------------------------------------------------------------


def test_an_offset_on_the_sky_is_the_shift_of_the_plane():
    assert correction_of(Offset(east=0.3, north=-0.2), CENTRE) == Affine(shift=(0.3, -0.2))


def test_no_offset_moves_nothing():
    assert correction_of(Offset(east=0.0, north=0.0), CENTRE) == IDENTITY


def test_an_offset_of_right_ascension_is_shorter_on_the_sky_by_the_cosine_of_the_declination():
    correction = correction_of(Offset(east=2.0, north=1.0, of_coordinates=True), CENTRE)
    assert correction.shift == pytest.approx((1.0, 1.0), abs=1e-4)  # cos 60 degrees is 1 / 2
    ((ra, dec),) = to_sky(np.array([correction.shift]), CENTRE)
    assert (ra, dec) == pytest.approx((150 + 2 / 3600, 60 + 1 / 3600), abs=1e-12)


def test_rotation_is_from_north_to_east_and_scale_a_factor():
    correction = correction_of(Offset(east=0.0, north=0.0, rotation=90.0, scale=1.05), CENTRE)
    assert correction(np.array([0.0, 10.0])) == pytest.approx([10.5, 0.0])  # what lay north lies east


def test_a_wcs_is_followed_by_the_correction_that_makes_it():
    wanted = correction_of(Offset(east=0.4, north=-1.2, rotation=0.01, scale=1.0001), CENTRE)
    plane = np.random.default_rng(1).uniform(-80, 80, (50, 2))
    found, residual = correction_between(to_sky(plane, CENTRE), to_sky(wanted(plane), CENTRE), CENTRE)
    assert residual < 1e-8
    assert found.shift == pytest.approx(wanted.shift, abs=1e-8)
    assert np.array(found.matrix) == pytest.approx(np.array(wanted.matrix), abs=1e-10)


def test_other_distortions_remain_as_residual():
    plane = np.stack(np.meshgrid(*[np.linspace(-50, 50, 11)] * 2), axis=-1).reshape(-1, 2)
    bent = plane + np.stack([1e-5 * plane[:, 1] ** 2, 0 * plane[:, 1]], axis=-1)  # up to 25 mas
    _, residual = correction_between(to_sky(plane, CENTRE), to_sky(bent, CENTRE), CENTRE)
    assert 0.005 < residual < 0.025


def test_positions_on_the_other_side_of_the_sky_are_no_correction():
    sky = to_sky(np.zeros((4, 2)), CENTRE)
    assert correction_between(sky, -sky, CENTRE) == (IDENTITY, np.inf)


# Tables -------------------------------------------------------------------------------------------------


def read(folder, text, name="offsets.csv"):
    (folder / name).write_text(text)
    return read_offsets(folder / name)


def told(folder, text):
    with pytest.raises(UserTableError) as caught:
        read(folder, text)
    return f"{caught.value.column}: {caught.value.wrong}; {caught.value.right}"


def test_offsets_by_the_names_of_exposures(tmp_path):
    first, second = read(
        tmp_path, "exposure,dx,dy,rotation,scale\na/b/x_nrca1_cal.fits,0.1,-0.2,0.01,1.001\ny,0,0,0,1\n"
    )
    assert first == OffsetRow(
        1, {"name": "x_nrca1"}, Offset(east=0.1, north=-0.2, rotation=0.01, scale=1.001, of_coordinates=False)
    )
    assert second.exposures == {"name": "y"}


def test_a_table_by_visit_exposure_filter_and_module_as_teams_write_it(tmp_path):
    """With the zeros lost, a module for its detectors, and the offsets twice: those that tell their unit count."""
    text = 'Visit,Exposure,Filter,Module,dra,ddec,"dra (arcsec)","ddec (arcsec)"\n'
    row, of_visit = read(tmp_path, text + "jw01182004001,3,F212N,nrca,9,9,0.02,-0.03\n1182004002,,,,9,9,1,1\n")
    assert row.offset == Offset(east=0.02, north=-0.03, of_coordinates=True)
    assert row.exposures == {"visit": "jw01182004001", "number": "3", "detector": "nrca", "filter": "F212N"}
    assert (row.fits(A1), row.fits(B5)) == (True, False)
    assert (of_visit.fits(A1), of_visit.fits(B5)) == (False, True)
    assert row.exactness > of_visit.exactness


@pytest.mark.parametrize(
    ("exposures", "fits"),
    [
        ({"name": "*"}, True),
        ({"name": "JW01182004001*"}, True),
        ({"name": "jw01182004002*"}, False),
        ({"detector": "NRCA1"}, True),
        ({"detector": "nrcb"}, False),
        ({"filter": "clear"}, True),
        ({"activity": "2101"}, True),
        ({"number": "30"}, False),
        ({"number": "3", "filter": "F444W"}, False),
    ],
)
def test_what_a_row_is_for(exposures, fits):
    assert OffsetRow(1, exposures, Offset(east=0.0, north=0.0)).fits(A1) is fits


def test_units_that_columns_tell(tmp_path):
    text = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: exposure, datatype: string}\n"
    text += "# - {name: dx, unit: mas, datatype: float64}\n# - {name: dy, unit: deg, datatype: float64}\n"
    (row,) = read(tmp_path, text + "exposure dx dy\nx 250.0 0.0001\n", "offsets.ecsv")
    assert (row.offset.east, row.offset.north) == pytest.approx((0.25, 0.36))


def test_the_alignment_table_of_a_run_gives_its_corrections_exactly(tmp_path):
    correction = Affine(((1.0001, 2e-5), (-1e-5, 0.9999)), (0.123456789, -3.21))
    row = AlignmentRow("x", "g", "COMPLETE", "", True, np.zeros((4, 2)), correction=correction)
    write_alignment(tmp_path / "x_alignment.ecsv", [row], {})
    (found,) = read_offsets(tmp_path / "x_alignment.ecsv")
    assert found.exposures == {"name": "x"}
    assert correction_of(found.offset, CENTRE) == correction


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exposure,xshift,yshift\nx,1,2\n", "has no offsets; it needs the columns shift_east, shift_north or dx, dy"),
        ("dx,dy\n1,2\n", "does not say of which exposures its offsets are; give a column exposure"),
        ("exposure,dx,dy\nx,1,\n", "dy: has no value in row 1; give finite numbers in arcsec"),
        ("exposure,dx,dy\nx,1,nan\n", "dy: has no value in row 1"),
        ("exposure,dx,dy\nx,1,a\n", "dy: has no numbers; give finite numbers in arcsec"),
        ("exposure,dx,dy\nx,1,2000\n", "is 1, 2000 arcsec, farther than any pointing is off; give arcsec"),
        ("exposure,dx (pix),dy\nx,1,2\n", "dx (pix): has the unit pix, which is no angle"),
        ("exposure,dx,dy,scale\nx,1,2,0.0001\n", "the scale of row 1 is 0.0001; give a factor, 1 for"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, words):
    assert words in told(tmp_path, text)
