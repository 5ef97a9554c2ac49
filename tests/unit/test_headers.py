"""Headers without pixels: values, structure, broken files, and the cache."""

import gzip
import math
import os
import warnings
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.configuration.problems import Problems
from calflow.inputs.fits_headers import MAX_DATA_BYTES, HduShape, read_hdus
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import read_exposure_header, read_reference_header

REAL = Path(__file__).parents[3] / "shared" / "realdata"


def exposure(shape=(4, 6), **planes):
    """Return an HDU list like a _rate file's; a plane can be replaced, or left out with None."""
    image = np.zeros(shape, "f4")
    arrays = {"SCI": image, "ERR": image, "DQ": image.astype("u4"), "VAR_POISSON": image, "VAR_RNOISE": image}
    arrays |= planes
    hdus = [fits.ImageHDU(array, name=name) for name, array in arrays.items() if array is not None]
    hdulist = fits.HDUList([fits.PrimaryHDU(), *hdus])
    hdulist[0].header["INSTRUME"] = "MIRI"
    hdulist[0].header["EXP_TYPE"] = "MIR_IMAGE"
    return hdulist


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x_rate.fits"


@pytest.fixture
def refuse(path):
    """Write an HDU list (or bytes), read it and return the one problem's text."""

    def refuse(content):
        content.writeto(path, overwrite=True) if isinstance(content, fits.HDUList) else path.write_bytes(content)
        problems = Problems()
        assert read_exposure_header(path, (), problems) is None
        (problem,) = problems
        assert (problem.file, problem.key) == (str(path), "")
        assert problem.right
        return problem.wrong

    return refuse


def read(path, *keywords):
    problems = Problems()
    header = read_exposure_header(path, keywords, problems)
    assert not problems
    return header


# Sound exposures --------------------------------------------------------------------------------------


def test_values_from_primary_then_sci(path):
    hdulist = exposure()
    hdulist["SCI"].header["V2_REF"] = -453.5
    hdulist["SCI"].header["EXP_TYPE"] = "not this"
    hdulist["ERR"].header["BUNIT"] = "not this"
    hdulist.writeto(path)
    header = read(path, "EXP_TYPE", "V2_REF", "BUNIT", "FILTER")
    assert header.values == {"EXP_TYPE": "MIR_IMAGE", "V2_REF": -453.5}


@pytest.mark.parametrize(("shape", "cube"), [((4, 6), False), ((3, 4, 6), True)])
def test_shape_is_in_numpy_order(path, shape, cube):
    exposure(shape).writeto(path)
    header = read(path)
    assert header.shape == shape
    assert header.is_cube is cube
    assert [hdu.name for hdu in header.hdus] == ["PRIMARY", "SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE"]


def test_tables_and_float64_are_no_defect(path):
    hdulist = exposure(SCI=np.zeros((4, 6), "f8"))
    hdulist.append(fits.BinTableHDU(np.zeros(3, [("a", "f8"), ("b", "i4")]), name="INT_TIMES"))
    hdulist.writeto(path)
    assert read(path).hdus[-1].shape == (3, 12)


def test_zeros_after_the_last_extension_are_no_defect(path):
    exposure().writeto(path)
    with path.open("ab") as file:
        file.write(bytes(5000))
    assert len(read(path).hdus) == 6


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200).map(str.rstrip)
VALUES = TEXT | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.from_regex(r"X[A-Z0-9_-]{0,7}", fullmatch=True), VALUES, max_size=50))
def test_values_are_those_of_astropy(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "values.fits"
    hdulist = exposure()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)  # comments that do not fit
        for key, value in values.items():
            hdulist[0].header[key] = (value, "[s] a comment with a / slash")
        hdulist.writeto(path, overwrite=True)
        expected = fits.getheader(path)
        mine = read(path, *values).values
        # astropy reads the text '/ as ' alone; what was written is right, too.
        assert all(mine[key] in (expected[key], values[key]) for key in values)
    assert all(type(mine[key]) is type(expected[key]) for key in values)


def card_value(path, card):
    exposure().writeto(path)
    content = path.read_bytes()
    old = content[content.index(b"INSTRUME") :][:80]
    path.write_bytes(content.replace(old, card.ljust(80)))
    return read(path, "INSTRUME").values["INSTRUME"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"1.5D3", 1500.0),
        (b"'O''NEILL '", "O'NEILL"),
        (b"''", ""),
        (b"", None),
        (b"/ undefined", None),
        (b"(1, 2)", None),
        (b"+7 / comment", 7),
        (b".5", 0.5),
        (b"1E999", None),
        (b"'no end", None),
        (b"'caf\xe9'", "caf\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_unusual_values(path, field, value):
    found = card_value(path, b"INSTRUME= " + field)
    assert found == value
    assert type(found) is type(value)


# Broken exposures -------------------------------------------------------------------------------------


def test_missing_file(path):
    problems = Problems()
    assert read_exposure_header(path, (), problems) is None
    assert problems[0].wrong == "no such file"


def test_pipe_is_not_waited_for(path):
    os.mkfifo(path)
    problems = Problems()
    assert read_exposure_header(path, (), problems) is None
    assert problems[0].wrong == "not a file"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello", "not a FITS file"),
        (b"SIMPLE = yes".ljust(2880), "not a FITS file"),
        (gzip.compress(b"SIMPLE", mtime=0), "not a FITS file"),
        (gzip.compress(b"", mtime=0), "empty"),
        (gzip.compress(gzip.compress(b"SIMPLE", mtime=0), mtime=0), "compressed with gzip"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip, and cut off or damaged"),
        (b"BZh9", "compressed with bzip2"),
    ],
)
def test_other_files(refuse, content, word):
    assert word in refuse(content)


def test_truncated_data_gives_both_sizes(refuse, path):
    exposure((100, 100)).writeto(path)
    content = path.read_bytes()
    whole = len(content)
    # 40,000 bytes of data are padded to 14 blocks, 40,320
    wrong = refuse(content[: whole - 5000])
    assert wrong == (
        f"truncated in VAR_RNOISE: the file has {whole - 5000} bytes, its headers promise at least {whole - 320}"
    )


def test_a_packed_exposure_is_read_as_it_is_unpacked(path):
    exposure((100, 100)).writeto(path)
    problems = Problems()
    keywords = ("INSTRUME", "EXP_TYPE")
    plain = read_exposure_header(path, keywords, problems)
    packed = path.with_name("packed_rate.fits.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    found = read_exposure_header(packed, keywords, problems)
    assert (found.values, found.hdus, found.shape) == (plain.values, plain.hdus, (100, 100))
    assert not problems


@pytest.mark.parametrize("cut", [2880, 5000, 40_000])
def test_a_packed_exposure_that_was_truncated_before(refuse, path, cut):
    exposure((100, 100)).writeto(path)
    content = path.read_bytes()
    wrong = refuse(content[:-cut])
    assert "truncated" in wrong
    assert refuse(gzip.compress(content[:-cut])) == wrong


def test_a_packed_exposure_that_is_cut_off_or_damaged(refuse, path):
    exposure((100, 100)).writeto(path)
    packed = bytearray(gzip.compress(path.read_bytes()))
    for end in (-1, -8, -9, len(packed) // 2, 30, 5):
        assert "compressed with gzip, and cut off or damaged" in refuse(bytes(packed[:end]))
    packed[-5] ^= 1  # of the checksum at its end
    assert "CRC" in refuse(bytes(packed))


def test_truncated_header(refuse, path):
    exposure().writeto(path)
    content = path.read_bytes()
    wrong = refuse(content[: content.index(b"VAR_RNOISE")])
    assert "truncated in the header of HDU 5" in wrong


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_header_without_end_does_not_take_that_of_the_next(refuse, path, number):
    hdus = exposure()
    hdus.writeto(path)
    end = hdus[number]._header_offset + 80 * len(hdus[number].header)
    content = bytearray(path.read_bytes())
    assert content[end : end + 4] == b"END "
    content[end : end + 3] = b"   "
    assert f"the header of HDU {number} has no END card" in refuse(bytes(content))


def test_missing_padding_is_no_defect(path):
    exposure().writeto(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 2880 + 4 * 4 * 6])
    assert read(path).shape == (4, 6)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_truncation_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "cut.fits"
    exposure((20, 40)).writeto(path, overwrite=True)
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content) - 2880))
    path.write_bytes(content[:kept])
    problems = Problems()
    assert read_exposure_header(path, ("INSTRUME",), problems) is None
    assert len(problems) == 1


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.fits"
    exposure().writeto(path, overwrite=True)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=80))
        content[position : position + len(piece)] = piece
    path.write_bytes(content)
    problems = Problems()
    header = read_exposure_header(path, ("INSTRUME", "NAXIS1"), problems)
    assert (header is None) == bool(problems)


def test_absurd_size_is_refused(refuse, path):
    exposure().writeto(path)
    content = path.read_bytes()
    card = content[content.index(b"NAXIS1  =") :][:80]
    wrong = refuse(content.replace(card, b"NAXIS1  =   9999999999999".ljust(80), 1))
    assert "SCI is 159999999999984 bytes large" in wrong  # 4 x 9999999999999 x 4 bytes
    assert MAX_DATA_BYTES < 4 * 4 * 9999999999999


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b"NAXIS1  =", b"NAXIS1  = -6", "NAXIS1 is -6"),
        (b"NAXIS1  =", b"NAXIS1  = 'six'", "NAXIS1 is 'six'"),
        (b"NAXIS1  =", b"COMMENT", "NAXIS1 is missing"),
        (b"NAXIS   =                    2", b"NAXIS   = 1000", "NAXIS is 1000"),
        (b"BITPIX  =                  -32", b"BITPIX  = -31", "BITPIX is -31"),
    ],
)
def test_impossible_structure(refuse, path, old, new, word):
    exposure().writeto(path)
    content = path.read_bytes()
    assert word in refuse(content.replace(content[content.index(old) :][:80], new.ljust(80), 1))


@pytest.mark.parametrize(
    ("hdulist", "word"),
    [
        (fits.HDUList([fits.PrimaryHDU(np.zeros((4, 6), "f4"))]), "no SCI extension (it has PRIMARY)"),
        (exposure(SCI=None), "no SCI extension"),
        (exposure(ERR=None), "no ERR extension"),
        (exposure(DQ=None, VAR_POISSON=None), "no DQ, VAR_POISSON extension"),
        (exposure((4,)), "SCI has 1 dimensions"),
        (exposure((1, 2, 4, 6)), "SCI has 4 dimensions"),
        (exposure(SCI=np.zeros((4, 6), "i2")), "SCI has BITPIX 16"),
        (exposure(DQ=np.zeros((4, 6), "f4")), "DQ has BITPIX -32"),
        (exposure(ERR=np.zeros((4, 6), "i4")), "ERR has BITPIX 32"),
        (exposure(VAR_RNOISE=np.zeros((6, 4), "f4")), "VAR_RNOISE has the shape (6, 4)"),
        (exposure((3, 4, 6), ERR=np.zeros((4, 6), "f4")), "ERR has the shape (4, 6)"),
    ],
)
def test_planes_that_do_not_make_an_exposure(refuse, hdulist, word):
    assert word in refuse(hdulist)


def test_semicolon_in_the_name_of_an_extension(refuse):
    hdulist = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((4, 6), "f4"), name="A; B")])
    assert refuse(hdulist) == "no SCI extension (it has PRIMARY, A; B)"


@pytest.mark.parametrize("name", ["SCI", "DQ"])
@pytest.mark.parametrize("version", [1, 2])
def test_extension_that_stands_twice(refuse, name, version):
    hdulist = exposure()
    hdulist.append(fits.ImageHDU(hdulist[name].data, name=name, ver=version))
    assert refuse(hdulist) == f"{name} stands twice (EXTVER 1 and {version})"


def test_other_extensions_may_stand_twice(path):
    hdulist = exposure()
    for version in (1, 2):
        hdulist.append(fits.ImageHDU(np.zeros(3, "f4"), name="EXTRA", ver=version))
    hdulist.writeto(path)
    assert len(read(path).hdus) == 8


def test_sci_without_data(refuse):
    hdulist = exposure(SCI=None)
    hdulist.insert(1, fits.ImageHDU(name="SCI"))
    assert refuse(hdulist) == "SCI holds no data"


@pytest.mark.parametrize("how", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS"])
def test_of_a_tile_compressed_image_shape_and_type_are_those_of_the_image(path, how):
    hdulist = exposure((8, 12), SCI=None)
    hdulist.insert(1, fits.CompImageHDU(np.ones((8, 12), "f4"), name="SCI", compression_type=how, tile_shape=(4, 6)))
    hdulist.writeto(path)
    with path.open("rb") as file:
        ((_, shape),) = [hdu for hdu in read_hdus(file, ()) if hdu[1].name == "SCI"]
    assert shape == HduShape("SCI", 1, "IMAGE", (8, 12), -32)
    assert read(path).hdus


@pytest.mark.parametrize(
    ("keyword", "value", "wrong"),
    [
        ("ZCMPTYPE", "LZW", "SCI is compressed with ZCMPTYPE 'LZW'"),
        ("ZNAXIS2", 100000, "SCI is compressed in 4 tiles, its header promises 100000"),
        ("ZTILE2", 0, "ZTILE2 is 0"),
        ("ZNAXIS1", -6, "ZNAXIS1 is -6"),
        ("ZBITPIX", 7, "SCI has BITPIX 7"),
    ],
)
def test_a_tile_compressed_image_that_cannot_be_unpacked(path, refuse, keyword, value, wrong):
    hdulist = exposure(SCI=None)
    hdulist.insert(1, fits.CompImageHDU(np.ones((4, 6), "f4"), name="SCI"))
    hdulist.writeto(path)
    with fits.open(path, mode="update", disable_image_compression=True) as table:
        table["SCI"].header[keyword] = value
    assert refuse(path.read_bytes()) == wrong


# References -------------------------------------------------------------------------------------------


def reference(path):
    problems = Problems()
    header = read_reference_header(path, problems)
    assert not problems
    return header.values


def test_fits_reference(tmp_path):
    path = tmp_path / "flat.fits"
    hdu = fits.PrimaryHDU()
    cards = {
        "REFTYPE": "FLAT",
        "INSTRUME": "MIRI",
        "FILTER": "F770W",
        "P_SUBARR": "FULL|SUB256|",
        "SUBSTRT1": 1,
    }
    hdu.header.update(cards)
    hdu.writeto(path)
    del cards["SUBSTRT1"]
    assert reference(path) == cards


def test_asdf_reference(tmp_path):
    path = tmp_path / "distortion.asdf"
    meta = {
        "reftype": "distortion",
        "useafter": "2018-01-01T00:00:00",
        "instrument": {"name": "NIRCAM", "detector": "NRCB1", "channel": "SHORT", "p_pupil": "CLEAR|F162M|"},
        "exposure": {"type": "NRC_IMAGE", "p_exptype": ["NRC_IMAGE", "NRC_TACQ"], "other": [{"type": "x"}]},
        "subarray": {"name": "GENERIC"},
        "output_units": "arcsec",
    }
    asdf.AsdfFile({"a": {"meta": {"reftype": "no"}}, "meta": meta, "z": np.arange(9)}).write_to(path)
    assert reference(path) == {
        "REFTYPE": "distortion",
        "USEAFTER": "2018-01-01T00:00:00",
        "INSTRUME": "NIRCAM",
        "DETECTOR": "NRCB1",
        "CHANNEL": "SHORT",
        "P_PUPIL": "CLEAR|F162M|",
        "EXP_TYPE": "NRC_IMAGE",
        "P_EXP_TY": "NRC_IMAGE|NRC_TACQ",
        "SUBARRAY": "GENERIC",
    }


def write_asdf(path, yaml):
    path.write_text("#ASDF 1.0.0\n%YAML 1.1\n--- \n" + yaml + "\n...\n")
    return path


def test_tags_and_aliases_in_asdf_do_nothing(tmp_path):
    path = write_asdf(
        tmp_path / "x.asdf",
        """
a: &bomb [1, 2]
? [complex, key]
: !!python/object/apply:os.system ["touch never"]
*bomb : 5
meta: !<tag:stsci.edu:asdf/none>
  reftype: !!python/name:os.system flat
  instrument: *bomb
  ? {another: key}
  : 4
  subarray: {name: FULL}
""",
    )
    assert reference(path) == {"REFTYPE": "flat", "SUBARRAY": "FULL"}


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ("reftype: flat\ninstrument: MIRI\nfilter: F770W", {"REFTYPE": "flat", "INSTRUME": "MIRI"}),
        ("model: {reftype: flat}", {}),
    ],
)
def test_asdf_without_meta_has_keywords_at_the_top_or_none(tmp_path, text, keywords):
    assert reference(write_asdf(tmp_path / "x.asdf", text)) == keywords


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"#ASDF 1.0.0\nmeta: {reftype: flat}\n", "truncated"),
        (b"#ASDF 1.0.0\n--- \nmeta: {reftype: [\n...\n", "not readable as ASDF"),
        (b"#ASDF 1.0.0\n--- \nmeta: " + b"[" * 100_000 + b"\n...\n", "levels deep"),
        (b"#ASDF 1.0.0\n--- \nmeta: {reftype: \xff\xfe}\n...\n", "not readable as ASDF"),
        (b"hello", "not an ASDF file"),
    ],
)
def test_broken_references(tmp_path, content, word):
    path = tmp_path / "x.asdf"
    path.write_bytes(content)
    problems = Problems()
    assert read_reference_header(path, problems) is None
    assert word in problems[0].wrong


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the folder of real files")
class TestRealFiles:
    @pytest.mark.parametrize(
        ("name", "reftype", "instrument", "useafter"),
        [
            ("niriss_ref_photom.fits", "PHOTOM", "NIRISS", "Jan 01 2015 00:00:00"),
            ("niriss_ref_distortion.asdf", "distortion", "NIRISS", "2015-11-01T00:00:00"),
            ("jwst_fgs_distortion_bad_asdf_version.asdf", "distortion", "FGS", "2015-06-01"),
            ("jwst_miri_flat_slitlessprism.fits", "FLAT", "MIRI", None),
        ],
    )
    def test_references(self, name, reftype, instrument, useafter):
        values = reference(REAL / "reference" / name)
        assert (values["REFTYPE"], values["INSTRUME"], values.get("USEAFTER")) == (
            reftype,
            instrument,
            useafter,
        )

    def test_sliced_time_series_is_refused(self):
        for path in sorted((REAL / "nircam_tso_rateints").glob("*.fits")):
            problems = Problems()
            assert read_exposure_header(path, ("EXP_TYPE",), problems) is None
            assert problems[0].wrong == "no SCI extension (it has PRIMARY)"

    def test_rate_whose_pixels_were_blanked_is_refused(self, tmp_path):
        packed = REAL / "jwst_headers" / "jw42424001001_01101_00001_nrca1_rate.fits.gz"
        path = tmp_path / "x_rate.fits"
        path.write_bytes(gzip.decompress(packed.read_bytes()))
        for each in (path, packed):
            problems = Problems()
            assert read_exposure_header(each, (), problems) is None
            assert problems[0].wrong == "SCI has BITPIX 16"


# Cache ------------------------------------------------------------------------------------------------


@pytest.fixture
def cached(tmp_path, path):
    """An exposure, and a function that reads it through a cache kept in a file."""
    exposure().writeto(path)

    def read(keywords=("INSTRUME",)):
        cache = HeaderCache(tmp_path / "new folder" / "headers")
        problems = Problems()
        header = read_exposure_header(path, keywords, problems, cache)
        assert not problems
        cache.save()
        return header

    return read


def spoil(path):
    """Change the content of a file, not its size nor its time."""
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"MIRI    ", b"NIRCAM  "))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_unchanged_file_is_not_read_again(cached, path):
    first = cached()
    spoil(path)
    assert cached() == first


def test_changed_file_is_read_again(cached, path):
    cached()
    spoil(path)
    os.utime(path, ns=(0, 1))
    assert cached().values == {"INSTRUME": "NIRCAM"}


def test_other_keywords_are_read_again(cached):
    cached()
    assert cached(("EXP_TYPE",)).values == {"EXP_TYPE": "MIR_IMAGE"}


def test_exposure_and_reference_entries_are_apart(cached, path, tmp_path):
    cached()
    cache, problems = HeaderCache(tmp_path / "new folder" / "headers"), Problems()
    assert read_reference_header(path, problems, cache).values["EXP_TYPE"] == "MIR_IMAGE"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"rubbish\nrubbish\t\n", b"calflow headers 2\nx\ty"])
def test_broken_cache_is_as_none(cached, tmp_path, content):
    cached()
    file = tmp_path / "new folder" / "headers"
    file.write_bytes(content)
    assert cached().values == {"INSTRUME": "MIRI"}
    assert b"MIRI" in file.read_bytes()


def test_damaged_entry_is_read_again(cached, tmp_path):
    cached()
    file = tmp_path / "new folder" / "headers"
    file.write_bytes(file.read_bytes()[:-20])
    assert cached().shape == (4, 6)


def test_what_is_remembered_is_looked_at_once_and_a_failure_never(tmp_path):
    path, cache, looks = tmp_path / "a", HeaderCache(tmp_path / "headers"), []
    path.write_text("a")

    def look():
        looks.append(path.read_text())
        if looks[-1] == "bad":
            raise ValueError("bad")
        return {"text": looks[-1]}

    assert cache.remembered(path, "text", look) == cache.remembered(path, "text", look) == {"text": "a"}
    cache.remembered(path, "another kind", look)
    path.write_text("bad")
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            cache.remembered(path, "text", look)
    assert looks == ["a", "a", "bad", "bad"]


def test_an_entry_that_is_not_as_it_was_written_counts_as_none(cached, tmp_path):
    cached()
    file = tmp_path / "new folder" / "headers"
    for old, new in ((b'"MIRI"', b'["X"]'), (b'"hdus"', b'"hduz"'), (b"{", b"["), (b"MIRI", b"FGS ")):
        file.write_bytes(file.read_bytes().replace(old, new, 1))
        assert cached().values == {"INSTRUME": "MIRI"}


def test_broken_files_are_not_remembered(path, tmp_path):
    path.write_bytes(b"hello")
    cache = HeaderCache(tmp_path / "headers")
    for count in (1, 2):
        problems = Problems()
        read_exposure_header(path, (), problems, cache)
        assert len(problems) == 1, count
    cache.save()
    assert not (tmp_path / "headers").exists()


def test_two_runs_keep_each_others_entries(tmp_path, path):
    exposure().writeto(path)
    first, second = HeaderCache(tmp_path / "headers"), HeaderCache(tmp_path / "headers")
    before = [
        read_exposure_header(path, ("INSTRUME",), [], first),
        read_exposure_header(path, ("EXP_TYPE", "INSTRUME"), [], second),
    ]
    first.save()
    second.save()
    spoil(path)
    both = HeaderCache(tmp_path / "headers")
    assert [read_exposure_header(path, tuple(header.values), [], both) for header in before] == before
    assert not list(tmp_path.glob("headers?*")), "no temporary file is left"


def test_cache_that_cannot_be_written_is_no_error(tmp_path, path):
    exposure().writeto(path)
    (tmp_path / "file").touch()
    cache = HeaderCache(tmp_path / "file" / "headers")
    assert read_exposure_header(path, (), [], cache) is not None
    cache.save()


def test_values_survive_the_cache_exactly(cached, path):
    with fits.open(path, mode="update") as hdulist:
        hdulist[0].header["RA_REF"] = math.nextafter(274.7, 300)
        hdulist[0].header["TSOVISIT"] = False
    keywords = ("RA_REF", "TSOVISIT")
    assert cached(keywords) == cached(keywords)
    assert cached(keywords).values == {"RA_REF": math.nextafter(274.7, 300), "TSOVISIT": False}


# Strings over several cards -----------------------------------------------------------------------------


def with_cards(path, *cards):
    """Write an exposure whose primary header begins with these cards, each as a text of up to 80 characters."""
    exposure().writeto(path)
    content = path.read_bytes()
    extra = "".join(card.ljust(80) for card in cards).encode()
    padded = extra + b"COMMENT".ljust(80) * (-len(extra) % 2880 // 80)
    path.write_bytes(content[:80] + padded + content[80:])


def test_a_string_goes_on_in_the_next_cards(path):
    with_cards(path, "LONG    = 'a b&'", "CONTINUE  ' c&'", "CONTINUE  'd''e' / comment", "CONTINUE  'no more'")
    assert read(path, "LONG").values == {"LONG": "a b cd'e"}


def test_what_does_not_go_on_is_as_it_stands(path):
    with_cards(path, "A       = 'a&'", "CONTINUE  no string", "B       = 5", "CONTINUE  'x'", "C       = '&&'")
    assert read(path, "A", "B", "C").values == {"A": "a&", "B": 5, "C": "&&"}


def test_a_string_of_thousands_of_cards(path):
    with_cards(path, "LONG    = '&'", *[f"CONTINUE  '{'x' * 60}&'"] * 20_000)
    assert read(path, "LONG").values == {"LONG": "x" * 60 * 20_000 + "&"}


def test_more_columns_than_fits_allows(path, refuse):
    hdulist = exposure()
    hdulist.append(fits.BinTableHDU.from_columns([fits.Column("x", "D", array=[1.0])], name="TABLE"))
    hdulist.writeto(path)
    content = path.read_bytes().replace(b"TFIELDS =                    1", b"TFIELDS =  9223372036854775808")
    assert refuse(content).startswith("TFIELDS is above 999 in HDU 6")
