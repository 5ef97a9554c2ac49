"""Exposure files: what is read is what was written, complete or not at all."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calflow.files.exposure import read_exposure, read_planes, write_exposure
from calflow.files.packed import unpacked
from calflow.files.writing import Writing
from calflow.simulation import Scene, simulate
from calflow.whole_files import PARTIAL, replacing


@pytest.fixture(scope="module")
def rate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exposure")
    scene = Scene("nircam_f200w", detector_shape=(24, 32), exposures=1, stars=1, galaxies=0)
    return simulate(folder, scene).science[0]


@pytest.fixture
def cube(tmp_path):
    scene = Scene("nircam_f200w", detector_shape=(24, 32), exposures=1, stars=1, galaxies=0, nints=2)
    return simulate(tmp_path / "cube", scene).science[0]


def packed(path, folder):
    (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return folder / f"{path.name}.gz"


def test_a_packed_exposure_is_written_as_the_same_bytes(rate, tmp_path):
    for number, path in enumerate((rate, packed(rate, tmp_path))):
        (tmp_path / f"{number}").mkdir()
        write_exposure(read_exposure(path), tmp_path / f"{number}" / "x_cal.fits")
        np.testing.assert_array_equal(read_planes(path, "DQ")[0], read_exposure(rate).image.dq)
    assert (tmp_path / "0" / "x_cal.fits").read_bytes() == (tmp_path / "1" / "x_cal.fits").read_bytes()


def test_packed_exposures_are_unpacked_for_as_long_as_they_are_read(rate, tmp_path):
    product = tmp_path / "backgrounds" / "x.fits"
    with unpacked([str(rate), str(packed(rate, tmp_path))], product) as paths:
        assert paths[0] == str(rate)
        assert PARTIAL.fullmatch(Path(paths[1]).name)  # what a killed job leaves is found by this name
        assert Path(paths[1]).parent == product.parent
        assert Path(paths[1]).read_bytes() == rate.read_bytes()
    assert list(product.parent.iterdir()) == []


def test_planes_are_native_and_writable(rate):
    image = read_exposure(rate).image
    assert image.sci.dtype == np.dtype("=f4")
    assert image.dq.dtype == np.dtype("=u4")
    assert all(plane.flags.writeable for plane in image.planes().values())
    assert image.var_flat is None


def test_what_is_no_value_is_nan_from_reading_on(rate, tmp_path):
    path = shutil.copy(rate, tmp_path / "odd_rate.fits")
    assert not read_exposure(path).discarded
    before = read_exposure(path).image
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data[3, 4:7] = np.inf, -3e38, np.nan
        hdus["ERR"].data[5, 5] = -1
        hdus["VAR_POISSON"].data[6, 6:8] = -1e-30, np.inf
        hdus["DQ"].data[3, 4:7] = hdus["DQ"].data[5:7, 5:8] = 4
    exposure = read_exposure(path)
    assert exposure.discarded == {"sci": 2, "err": 1, "var_poisson": 2}
    told = "no value (infinite, above 1e+19, or an error or variance below 0): 2 of SCI, 1 of ERR, 2 of VAR_POISSON"
    assert exposure.without_value == told
    image = exposure.image
    assert image.dq[3, 4:7].tolist() == [5, 5, 4]  # a NaN is left as it is
    assert np.isnan(image.sci[3, 4:7]).all()
    np.testing.assert_array_equal(image.err[3, 4:7], before.err[3, 4:7])
    assert np.isnan([image.err[5, 5], *image.var_poisson[6, 6:8]]).all()
    assert image.dq[5:7, 5:8].tolist() == [[5, 4, 4], [4, 5, 5]]
    sci, dq = read_planes(path, "SCI", "DQ")
    np.testing.assert_array_equal(sci, image.sci)
    assert dq[3, 4:7].tolist() == [5, 5, 4]


def test_double_precision_that_single_precision_cannot_hold(rate, tmp_path):
    with fits.open(rate) as hdus:
        hdus["SCI"].data = hdus["SCI"].data.astype(float)
        hdus["SCI"].data[3, 4] = 1e300
        hdus.writeto(tmp_path / "x_rate.fits")
    exposure = read_exposure(tmp_path / "x_rate.fits")
    assert np.isnan(exposure.image.sci[3, 4])
    assert exposure.image.dq[3, 4] & 1


def test_written_and_read_again_is_the_same(rate, tmp_path):
    exposure = read_exposure(rate)
    exposure.image.dq[0, 0] = np.uint32(2**31 + 5)
    write_exposure(exposure, tmp_path / "x_cal.fits")
    again = read_exposure(tmp_path / "x_cal.fits")
    for name, plane in exposure.image.planes().items():
        np.testing.assert_array_equal(getattr(again.image, name), plane)
    assert again.primary["FILENAME"] == "x_cal.fits"
    assert again.science["BUNIT"] == exposure.science["BUNIT"]
    with fits.open(tmp_path / "x_cal.fits") as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus][:4] == ["PRIMARY", "SCI", "ERR", "DQ"]
        assert hdus["DQ"].header["BZERO"] == 2**31
        assert hdus["SCI"].data.dtype == np.dtype(">f4")


def test_a_cube_keeps_its_times(cube, tmp_path):
    exposure = read_exposure(cube)
    write_exposure(exposure, tmp_path / "x_calints.fits")
    with fits.open(tmp_path / "x_calints.fits") as hdus:
        assert hdus[0].header["DATAMODL"] == "CubeModel"
        assert len(hdus["INT_TIMES"].data) == 2


def test_the_date_is_written_on_request_only(rate, tmp_path):
    exposure = read_exposure(rate)
    write_exposure(exposure, tmp_path / "a.fits")
    write_exposure(exposure, tmp_path / "b.fits", Writing(date=True))
    assert fits.getheader(tmp_path / "a.fits")["DATE"] == exposure.primary["DATE"]
    assert fits.getheader(tmp_path / "b.fits")["DATE"] != exposure.primary["DATE"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "x.fits"
    path.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def with_checksums(rate, tmp_path):
    path = tmp_path / "checked_rate.fits"
    with fits.open(rate) as hdus:
        hdus.writeto(path, checksum=True)
    return path


def test_right_checksums_are_not_worth_a_word(with_checksums, caplog):
    assert read_exposure(with_checksums).damaged == ()
    assert caplog.messages == []


def test_wrong_checksums_are_told_in_one_line(with_checksums, caplog):
    content = bytearray(with_checksums.read_bytes())
    content[content.index(b"F200W")] = ord("G")  # in the primary header
    with fits.open(with_checksums) as hdus:
        content[hdus["ERR"].fileinfo()["datLoc"] + 7] ^= 1
    with_checksums.write_bytes(content)
    exposure = read_exposure(with_checksums)
    assert exposure.primary["FILTER"] == "G200W"
    assert exposure.damaged == ("PRIMARY", "ERR")
    assert exposure.wrong_checksums.startswith("of PRIMARY, ERR is wrong: ")
    (message,) = caplog.messages
    assert message.startswith(f"{with_checksums}: wrong checksum of PRIMARY, ERR: ")
