"""Exposures read and written block of integrations by block: nothing depends on the size of a block."""

import gzip
import logging
from contextlib import closing
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

import calibrate
from calflow.calibration.work import work_on_integrations
from calflow.files import growing_files
from calflow.files.exposure import read_exposure, write_exposure, write_product, writing_exposure
from calflow.files.growing_files import Later, growing
from calflow.files.integrations import read_by_integrations
from calflow.job import UnusableExposure
from calflow.jobs.sizes import Size

SHAPE = (5, 3, 4)


def cube(folder, *, checksum=False, blank=False, seed=1):
    """Return a file of 5 integrations of 3 x 4 pixels, with NaN, values that are none, and a table."""
    random = np.random.default_rng(seed)
    sci, err, noise = random.uniform(1, 2, (3, *SHAPE)).astype(np.float32)
    sci[0, 0, 0], sci[4, 2, 3], err[1, 1, 1], err[3, 0, 2] = np.nan, np.inf, -1, -2
    if blank:
        sci = (100 * np.nan_to_num(sci, posinf=0)).astype(np.int16)
    dq = random.integers(0, 2**32, SHAPE, np.uint32)
    times = fits.BinTableHDU.from_columns([fits.Column("t", "D", array=np.arange(5.0))], name="INT_TIMES")
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(sci, name="SCI"), fits.ImageHDU(err, name="ERR"))]
    hdus += [fits.ImageHDU(dq, name="DQ"), fits.ImageHDU(noise, name="VAR_RNOISE"), times]
    hdus[1].header["BUNIT"] = "DN/s"
    if blank:
        hdus[1].header["BLANK"] = int(sci[1, 2, 0])
    path = folder / "x_rateints.fits"
    fits.HDUList(hdus).writeto(path, checksum=checksum)
    return path


def blocks_of(path, block_pixels):
    with closing(read_by_integrations(path, ("SCI",), path.with_name("x_calints.fits"), block_pixels)) as blocks:
        return list(blocks)


@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("block_pixels", "sizes"), [(1, [1] * 5), (24, [2, 2, 1]), (36, [3, 2]), (60, [5]), (None, [5])]
)
def test_blocks_are_the_whole(tmp_path, block_pixels, sizes, packed, blank):
    path = cube(tmp_path, blank=blank)
    whole = read_exposure(path)
    if packed:
        path = path.with_name("x_rateints.fits.gz")
        path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    found = blocks_of(path, block_pixels)
    assert [len(block.image.sci) for block in found] == sizes
    assert [block.rest for block in found] == [5 - sum(sizes[: n + 1]) for n in range(len(sizes))]
    for name, plane in whole.image.planes().items():
        parts = [block.image.planes()[name] for block in found]
        assert all(part.dtype == plane.dtype and part.flags.writeable for part in parts)
        np.testing.assert_array_equal(np.concatenate(parts), plane, err_msg=name)
    assert found[-1].discarded == whole.discarded
    assert whole.discarded == ({"err": 2} if blank else {"sci": 1, "err": 2})
    for block in found:
        headers, expected = ({n: h.tostring() for n, h in e.headers.items()} for e in (block, whole))
        assert headers == expected
        assert [hdu.name for hdu in block.others] == ["INT_TIMES"]


@pytest.mark.parametrize("block_pixels", [1, 24, 48])
def test_blocks_are_written_as_the_same_bytes(tmp_path, block_pixels):
    path = cube(tmp_path)
    area = np.ones(SHAPE[1:], np.float32)
    whole = read_exposure(path)
    whole.area = area
    write_exposure(whole, tmp_path / "a" / "x_calints.fits")
    with writing_exposure(tmp_path / "b" / "x_calints.fits") as write:
        for block in blocks_of(path, block_pixels):
            block.area = area
            write(block)
    assert (tmp_path / "a" / "x_calints.fits").read_bytes() == (tmp_path / "b" / "x_calints.fits").read_bytes()


def test_a_failure_between_blocks_leaves_what_was_there(tmp_path):
    first, *_ = blocks_of(cube(tmp_path), 12)
    path = tmp_path / "products" / "x_calints.fits"
    path.parent.mkdir()
    path.write_text("old")

    def fail():
        with writing_exposure(path) as write:
            write(first)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("change", [None, "header", "data", "sum"])
def test_checksums_are_told_as_of_a_whole_file(tmp_path, caplog, change):
    path = cube(tmp_path, checksum=True)
    content = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        place = hdus["ERR"].fileinfo()
    if change == "header":
        content[content.index(b"DN/s")] = ord("E")
    elif change == "data":
        content[place["datLoc"] + 7] ^= 1
    elif change == "sum":
        content[content.index(b"DATASUM", place["hdrLoc"]) + 11] ^= 1
    path.write_bytes(content)
    whole = read_exposure(path).damaged
    assert len(whole) == (change is not None)
    (told,) = caplog.messages or [""]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert {block.damaged for block in blocks_of(path, 24)} == {whole}
    assert (caplog.messages or [""]) == [told]


class Input(dict):
    exposure = "x_rateints.fits"


def parameters(*steps):
    return SimpleNamespace(
        images=("SCI",),
        facts={},
        origin={},
        context={},
        status={},
        steps=[(step, step) for step in steps],
        by_integrations=True,
        writing={},
    )


def halve(exposure, input, params):
    exposure.image.sci = exposure.image.sci / 2


def flag_the_first(exposure, input, params):
    if exposure.rest == SHAPE[0] - 1:
        exposure.image.dq[:] = 1


def flag_all(exposure, input, params):
    exposure.image.dq |= np.uint32(1)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A function that calibrates the cube in blocks of some pixels by some steps, and returns the product."""
    steps = {"flat_field": halve, "photom": flag_the_first, "dark_current": flag_all}
    monkeypatch.setattr(calibrate, "function_named", steps.get)
    source = Input()
    source.exposure = str(cube(tmp_path))

    def calibrated(block_pixels, *names):
        monkeypatch.setattr(calibrate, "BLOCK_PIXELS", block_pixels)
        product = tmp_path / f"{block_pixels}" / "x_calints.fits"
        output = type("Output", (dict,), {"cal": str(product)})()
        calibrate.calibrate(source, output, parameters(*names))
        return product

    return calibrated


def test_calibrated_in_blocks_or_not_is_the_same_file(work):
    one, two, all_at_once = (work(pixels, "flat_field").read_bytes() for pixels in (12, 24, 60))
    assert one == two == all_at_once


def test_one_usable_integration_is_enough(work):
    with fits.open(work(12, "photom")) as hdus:
        assert hdus[0].header["S_PHOTOM"] == "COMPLETE"
        assert (hdus["DQ"].data[0] == 1).all()


def test_no_usable_integration_is_told_and_leaves_nothing(work, tmp_path):
    with pytest.raises(
        UnusableExposure, match="no usable pixel after dark_current: all are NaN or DO_NOT_USE; no value"
    ):
        work(12, "flat_field", "dark_current")
    assert list((tmp_path / "12").iterdir()) == []


def test_what_looks_at_all_integrations_gets_them_all():
    assert work_on_integrations([("assign_wcs", "distortion"), ("flat_field", "variance"), ("photom", "match_nans")])
    assert not work_on_integrations([("flat_field", "divide"), ("bkg_subtract", "sky_model")])
    assert not work_on_integrations([("bias", "calflow.instruments.ground_camera.steps:subtract_bias")])


def test_the_size_of_a_block():
    assert Size(50.0, 50.0, 50.0, integrations=12_000).block == pytest.approx(4.194304)
    assert Size(50.0, 50.0, 50.0, integrations=5).block == 10.0
    assert Size(50.0, 50.0, 50.0).block == 50.0
    assert Size(1.0, 1.0, 1.0, integrations=10).block == 1.0


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    dtype=st.sampled_from([np.float32, np.float64, np.int32, np.int16, np.uint32, np.uint16, np.uint8]),
    data=st.data(),
)
def test_a_growing_file_has_the_bytes_of_a_written_one(tmp_path_factory, shape, dtype, data):
    folder = tmp_path_factory.mktemp("growing")
    values = np.random.default_rng(3).integers(0, 100, shape).astype(dtype)
    header, after = fits.Header([("BUNIT", "DN/s")]), fits.ImageHDU(np.arange(3), name="AFTER")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values, header, name="SCI"), after]).writeto(folder / "a.fits")
    later = Later(shape, values.dtype)
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(later.stand_in(), header, name="SCI"), after]
    step = data.draw(st.integers(1, 5))
    at_once = mock.patch.object(growing_files, "AT_ONCE", data.draw(st.integers(1, 70)))
    with at_once, growing(folder / "b.fits", hdus, {"SCI": later}) as sections:
        for start in data.draw(st.permutations(range(0, shape[0], step))):
            sections["SCI"].write(values[start : start + step], start)
    assert (folder / "a.fits").read_bytes() == (folder / "b.fits").read_bytes()


def test_rows_of_one_plane_of_many(tmp_path):
    later = Later((2, 3, 2), np.dtype(np.int32))
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(later.stand_in(), name="CON")]
    with growing(tmp_path / "x.fits", hdus, {"CON": later}) as sections:
        sections["CON"].write(np.array([[1, 2], [3, 4]], np.int32), 1, 1)
        for values, start in (
            (np.ones((2, 2), np.int32), (1, 2)),  # a row too many
            (np.ones((2, 1), np.int32), (0, 0)),  # half of each of two rows
            (np.ones((2, 2, 2), np.int32), ()),  # two of three rows of each plane
            (np.ones((1, 2), np.int64), (0, 0)),
        ):
            with pytest.raises(ValueError, match="is no part of int32"):
                sections["CON"].write(values, *start)
    assert fits.getdata(tmp_path / "x.fits").tolist() == [[[0, 0], [0, 0], [0, 0]], [[0, 0], [1, 2], [3, 4]]]


def test_a_whole_product_is_written_as_before(tmp_path):
    write_product(tmp_path / "x.fits", fits.Header(), {"SCI": np.zeros((2, 3), np.float32)})
    assert fits.getdata(tmp_path / "x.fits").shape == (2, 3)


@pytest.mark.parametrize("summed", ["image", "file"])
def test_checksums_from_before_a_series_was_compressed_are_not_wrong(tmp_path, summed):
    cube = np.random.default_rng(1).normal(size=(6, 32, 40)).astype(np.float32)
    image = fits.ImageHDU(cube, name="SCI")
    if summed == "image":
        image.add_checksum()
    packed = fits.CompImageHDU(cube, header=image.header, name="SCI", compression_type="GZIP_2", quantize_level=0.0)
    path = tmp_path / "x_rateints.fits"
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path, checksum=summed == "file")
    blocks = list(read_by_integrations(path, ("SCI",), tmp_path / "x_calints.fits", 2 * 32 * 40))
    assert [block.damaged for block in blocks] == 3 * [()]
    np.testing.assert_array_equal(np.concatenate([block.image.sci for block in blocks]), cube)
