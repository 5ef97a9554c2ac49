"""Reference files: the part that belongs to an exposure, and what is wrong with the others."""

from types import SimpleNamespace

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Identity, Shift

from calflow.calibration.world_coordinates import _filter_offset
from calflow.files.reference_files import (
    ReferenceFileError,
    covered_window,
    read_area,
    read_detector_reference,
    read_distortion,
    read_photom,
)
from calflow.science.dq_flags import FLAGS
from calflow.science.windows import Window


def write_flat(path, start=(1, 1), checksum=False, **primary):
    sci = np.arange(20, dtype=np.float32).reshape(4, 5)
    dq = np.zeros((4, 5), np.uint8)
    dq[1, 2] = 4
    header = fits.PrimaryHDU()
    header.header.update({"SUBSTRT1": start[0], "SUBSTRT2": start[1]} | primary)
    definitions = fits.BinTableHDU.from_columns(
        [
            fits.Column("BIT", "J", array=[2]),
            fits.Column("VALUE", "J", array=[4]),
            fits.Column("NAME", "40A", array=["NO_FLAT_FIELD"]),
        ],
        name="DQ_DEF",
    )
    planes = [fits.ImageHDU(plane, name=name) for name, plane in (("SCI", sci), ("ERR", sci / 10), ("DQ", dq))]
    fits.HDUList([header, *planes, definitions]).writeto(path, checksum=checksum)
    return path


def test_flat_is_cut_to_the_window(tmp_path):
    sci, err, dq = read_detector_reference(write_flat(tmp_path / "flat.fits", start=(11, 21)), Window(12, 22, 3, 2))
    np.testing.assert_array_equal(sci, [[6, 7, 8], [11, 12, 13]])
    np.testing.assert_allclose(err, sci / 10)
    assert dq[0, 1] == FLAGS["NO_FLAT_FIELD"]
    assert dq.dtype == np.uint32
    assert sci.dtype == np.dtype("=f4")


def test_checksums_are_looked_at_where_pixels_are_read(tmp_path, caplog):
    path = write_flat(tmp_path / "flat.fits", checksum=True)
    with fits.open(path) as hdus:
        place = hdus["ERR"].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[place + 7] ^= 1
    path.write_bytes(content)
    covered_window(path, ("ERR", "DQ"))
    assert caplog.messages == []
    read_detector_reference(path, Window(1, 1, 5, 4))
    (message,) = caplog.messages
    assert message.startswith(f"{path}: wrong checksum of ERR: ")


def test_what_is_no_value_is_nan(tmp_path):
    path = write_flat(tmp_path / "flat.fits")
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data[0, :2] = np.inf, 3e38
        hdus["ERR"].data[1, :2] = -1, np.inf
    sci, err, _ = read_detector_reference(path, Window(1, 1, 3, 2))
    assert np.isnan(sci).tolist() == [[True, True, False], [False] * 3]
    assert np.isnan(err).tolist() == [[False] * 3, [True, True, False]]


def test_flat_that_does_not_cover_the_exposure(tmp_path):
    path = write_flat(tmp_path / "flat.fits")
    with pytest.raises(ReferenceFileError, match=r"covers columns 1\.\.5, rows 1\.\.4 of the detector, the exposure"):
        read_detector_reference(path, Window(4, 1, 3, 2))


def test_reference_without_window_starts_at_the_first_pixel(tmp_path):
    path = tmp_path / "area.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((4, 5), np.float32), name="SCI")]).writeto(path)
    assert covered_window(path) == Window(1, 1, 5, 4)
    area, steradians, square_arcsec = read_area(path, Window(2, 2, 2, 2))
    assert area.shape == (2, 2)
    assert (steradians, square_arcsec) == (None, None)


def test_reference_whose_window_keywords_are_0_starts_at_the_first_pixel(tmp_path):
    assert covered_window(write_flat(tmp_path / "flat.fits", start=(0, 0))) == Window(1, 1, 5, 4)


def test_reference_without_image(tmp_path):
    path = tmp_path / "area.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(ReferenceFileError, match="no two-dimensional SCI"):
        covered_window(path)


def write_photom(path, linear_rows=2):
    table = fits.BinTableHDU.from_columns(
        [fits.Column("filter", "12A", array=["F200W", "F444W"]), fits.Column("photmjsr", "E", array=[1.5, 2.5])],
        name="PHOTOM",
    )
    linear = fits.BinTableHDU.from_columns(
        [
            fits.Column("t0", "E", array=[59700.0] * linear_rows),
            fits.Column("lossperyear", "E", array=[0.01] * linear_rows),
        ],
        name="TIMECOEFF_LINEAR",
    )
    fits.HDUList([fits.PrimaryHDU(), table, linear]).writeto(path)
    return path


def test_photom_tables(tmp_path):
    table = read_photom(write_photom(tmp_path / "photom.fits"))
    assert list(table.rows["filter"]) == ["F200W", "F444W"]
    assert table.rows["photmjsr"][1] == 2.5
    assert list(table.time_tables) == ["linear"]
    assert table.pixel_area_sr is None


def test_time_table_with_other_rows(tmp_path):
    with pytest.raises(ReferenceFileError, match="TIMECOEFF_LINEAR has 1 rows, PHOTOM has 2"):
        read_photom(write_photom(tmp_path / "photom.fits", linear_rows=1))


def test_a_damaged_table_is_named(tmp_path):
    path = write_photom(tmp_path / "photom.fits")
    path.write_bytes(path.read_bytes().replace(b"TFORM2  = 'E       '", b"TFORM2  = '17Q9    '"))
    with pytest.raises(ReferenceFileError, match=r"photom\.fits: cannot be read as a FITS reference \("):
        read_photom(path)


def test_a_conversion_that_is_no_number(tmp_path):
    path = write_photom(tmp_path / "photom.fits")
    path.write_bytes(path.read_bytes().replace(b"TFORM2  = 'E       '", b"TFORM2  = '4A      '"))
    with pytest.raises(ReferenceFileError, match="photmjsr of PHOTOM does not hold one number"):
        read_photom(path)


@pytest.mark.parametrize("model", [Shift(1.0), Identity(3), 5, None])
def test_a_distortion_is_of_two_coordinates(tmp_path, model):
    path = tmp_path / "distortion.asdf"
    asdf.AsdfFile({"model": model}).write_to(path)
    with pytest.raises(ReferenceFileError, match=r"distortion.asdf: .*'model'"):
        read_distortion(path)
    asdf.AsdfFile({"model": Identity(2)}).write_to(path)
    assert read_distortion(path)(1.0, 2.0) == (1.0, 2.0)


class Inputs(SimpleNamespace):
    """The inputs of a job, by attribute and by name."""

    def get(self, name):
        return getattr(self, name, None)


@pytest.mark.parametrize("offset", ["x", None, float("nan"), float("inf")])
def test_filter_offsets_are_numbers(tmp_path, offset):
    inputs, selectors = Inputs(filteroffset=tmp_path / "offsets.asdf"), [{"filter": "F200W"}]
    entry = {"filter": "F200W", "column_offset": 0.5, "row_offset": -1}
    asdf.AsdfFile({"filters": [entry]}).write_to(inputs.filteroffset)
    assert _filter_offset(inputs, selectors, True) == (0.5, -1)
    asdf.AsdfFile({"filters": [entry | {"row_offset": offset}]}).write_to(inputs.filteroffset)
    with pytest.raises(ValueError, match=r"offsets.asdf: the offset of the filter is .*; it is two finite numbers"):
        _filter_offset(inputs, selectors, True)
