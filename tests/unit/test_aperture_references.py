"""APCORR and ABVEGAOFFSET references: the rows that fit, and what is wrong with the others."""

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from calflow.files.aperture_references import read_abvega_offset, read_apertures
from calflow.files.reference_files import ReferenceFileError

NIRCAM = [{"filter": "F200W", "pupil": "CLEAR"}]
FORMATS = {"filter": "12A", "pupil": "15A", "subarray": "17A"}


def write_apcorr(path, rows, names):
    columns = [
        fits.Column(name, FORMATS.get(name, "E"), array=[row[i] for row in rows]) for i, name in enumerate(names)
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="APCORR")]).writeto(path)
    return path


@pytest.fixture
def apcorr(tmp_path):
    """A table with two filters; radii 1.5, 3.0, ... for F200W and ten times that for F444W."""
    rows = [
        (name, "CLEAR", ee / 100, scale * ee / 20, 100 / ee, 10.0 * scale, 15.0 * scale)
        for ee in (30, 50, 70, 80)
        for name, scale in (("F444W", 10), ("F200W", 1))
    ]
    return write_apcorr(tmp_path / "apcorr.fits", rows, "filter pupil eefraction radius apcorr skyin skyout".split())


def test_apertures_of_the_exposures(apcorr):
    apertures = read_apertures(apcorr, NIRCAM, (30, 50, 70))
    assert apertures.ee == (30, 50, 70)
    np.testing.assert_allclose(apertures.radii, [1.5, 2.5, 3.5])
    np.testing.assert_allclose(apertures.corrections, [100 / 30, 2, 100 / 70], rtol=1e-6)
    assert (apertures.sky_inner, apertures.sky_outer) == (10, 15)


def test_other_encircled_energies(apcorr):
    assert read_apertures(apcorr, [{"filter": "F444W", "pupil": "CLEAR"}], [30, 70, 80]).radii == (15, 35, 40)


def test_table_without_selectors(tmp_path):
    rows = [(ee / 100, ee / 20, 1.0, 10.0, 15.0) for ee in (30, 50, 70)]
    path = write_apcorr(tmp_path / "apcorr.fits", rows, "eefraction radius apcorr skyin skyout".split())
    assert read_apertures(path, [{}], (30, 50, 70)).radii == (1.5, 2.5, 3.5)


def test_alternatives_in_order(apcorr):
    wanted = [{"filter": "F200W", "pupil": "F162M"}, {"filter": "F444W", "pupil": "CLEAR"}]
    assert read_apertures(apcorr, wanted, (30, 50, 70)).sky_inner == 100


def test_no_row_of_the_filter(apcorr):
    wanted = [{"filter": "F210M", "pupil": "CLEAR"}]
    with pytest.raises(ReferenceFileError, match=r"no row with filter = F210M, pupil = CLEAR; nearest.*F200W/CLEAR"):
        read_apertures(apcorr, wanted, (30, 50, 70))


def test_no_row_of_the_encircled_energy(apcorr):
    with pytest.raises(ReferenceFileError, match=r"no rows of the exposures are for 40%.*it has 30%, 50%, 70%, 80%"):
        read_apertures(apcorr, NIRCAM, (30, 40, 70))


def test_two_rows_of_one_encircled_energy(tmp_path):
    rows = [("F200W", "CLEAR", ee, 1.0, 1.0, 10.0, 15.0) for ee in (0.3, 0.5, 0.7, 0.702)]
    path = write_apcorr(tmp_path / "apcorr.fits", rows, "filter pupil eefraction radius apcorr skyin skyout".split())
    with pytest.raises(ReferenceFileError, match="2 rows of the exposures are for 70%"):
        read_apertures(path, NIRCAM, (30, 50, 70))


@pytest.mark.parametrize(
    ("annuli", "message"),
    [([10.0, 10.0, 11.0], "different annuli: 10 to 15, 11 to 15 pixels"), ([16.0] * 3, "annulus 16.0 to 15.0")],
)
def test_annulus_that_is_none(tmp_path, annuli, message):
    rows = [("F200W", "CLEAR", ee, 1.0, 1.0, sky, 15.0) for ee, sky in zip((0.3, 0.5, 0.7), annuli, strict=True)]
    path = write_apcorr(tmp_path / "apcorr.fits", rows, "filter pupil eefraction radius apcorr skyin skyout".split())
    with pytest.raises(ReferenceFileError, match=message):
        read_apertures(path, NIRCAM, (30, 50, 70))


def test_missing_column_or_table(tmp_path):
    path = write_apcorr(tmp_path / "apcorr.fits", [("F200W", 0.3)], ["filter", "eefraction"])
    with pytest.raises(ReferenceFileError, match="no column radius, apcorr, skyin, skyout"):
        read_apertures(path, NIRCAM, (30, 50, 70))
    fits.PrimaryHDU().writeto(tmp_path / "other.fits")
    with pytest.raises(ReferenceFileError, match="has no APCORR table"):
        read_apertures(tmp_path / "other.fits", NIRCAM, (30, 50, 70))


def test_empty_table(tmp_path):
    path = write_apcorr(tmp_path / "apcorr.fits", [], "eefraction radius apcorr skyin skyout".split())
    with pytest.raises(ReferenceFileError, match=r"no rows of the exposures are for 30%.*it has none"):
        read_apertures(path, [{}], (30, 50, 70))


def test_encircled_energies_must_increase(apcorr):
    with pytest.raises(ValueError, match="three integers between 1 and 99"):
        read_apertures(apcorr, NIRCAM, (50, 30, 70))


def write_offsets(path, **columns):
    asdf.AsdfFile({"meta": {"reftype": "abvegaoffset"}, "abvega_offset": Table(columns)}).write_to(path)
    return path


@pytest.mark.parametrize(
    ("selectors", "wanted"),
    [
        ({"filter": ["F090W", "F200W"], "pupil": ["CLEAR", "CLEAR"]}, NIRCAM),
        ({"filter": ["F560W", "F770W"]}, [{"filter": "F770W"}]),
        ({"detector": ["GUIDER1", "GUIDER2"]}, [{"detector": "GUIDER2"}]),
    ],
)
def test_offset(tmp_path, selectors, wanted):
    path = write_offsets(tmp_path / "offset.asdf", **selectors, abvega_offset=[0.5, 1.7])
    assert read_abvega_offset(path, wanted) == 1.7


def test_offset_without_row(tmp_path):
    path = write_offsets(tmp_path / "offset.asdf", filter=["F560W"], abvega_offset=[0.5])
    with pytest.raises(ReferenceFileError, match="no row with filter = F770W; nearest rows by filter: F560W"):
        read_abvega_offset(path, [{"filter": "F770W"}])


def test_offset_with_two_rows(tmp_path):
    path = write_offsets(tmp_path / "offset.asdf", filter=["F770W", "F770W"], abvega_offset=[0.5, 0.6])
    with pytest.raises(ReferenceFileError, match="rows 1, 2 of the table all have filter = F770W"):
        read_abvega_offset(path, [{"filter": "F770W"}])


def test_offset_without_table(tmp_path):
    asdf.AsdfFile({"meta": {}}).write_to(tmp_path / "a.asdf")
    with pytest.raises(ReferenceFileError, match="has no entry 'abvega_offset'"):
        read_abvega_offset(tmp_path / "a.asdf", NIRCAM)
    path = write_offsets(tmp_path / "b.asdf", filter=["F770W"])
    with pytest.raises(ReferenceFileError, match="no column abvega_offset; it has filter"):
        read_abvega_offset(path, [{"filter": "F770W"}])
