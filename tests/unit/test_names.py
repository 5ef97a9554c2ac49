"""Names of products, and the refusal of names that are not safe as part of a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.files.names import (
    KNOWN_SUFFIXES,
    MAX_NAME_BYTES,
    check_product_name,
    exposure_suffix,
    other_packing,
    product_name,
    product_root,
    unpacked_name,
)


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("jw01234001001_02101_00001_nrca1", "jw01234001001_02101_00001_nrca1"),
        ("jw01234001001_02101_00001_nrca1_rate.fits", "jw01234001001_02101_00001_nrca1"),
        ("jw01185002001_01101_00001-seg006_nrca3_rateints.fits", "jw01185002001_01101_00001-seg006_nrca3"),
        ("jw01234-o001_t001_miri_f1130w-sub", "jw01234-o001_t001_miri_f1130w-sub"),
        ("data/night 1/x_cal.fits", "x"),
        ("x_calints", "x"),
        ("x-rate", "x"),
        ("x_assign_wcs", "x"),
        ("x_image2pipeline", "x"),
    ],
)
def test_root_is_the_name_without_folder_extension_and_suffix(name, root):
    assert product_root(name) == root


def test_only_one_suffix_is_taken_off():
    assert product_root("x_rate_cal.fits") == "x_rate"


@pytest.mark.parametrize("suffix", ["segm", "combinedbackground", "mask", "RATE", "mosaic", "foostep"])
def test_unknown_suffix_stays(suffix):
    assert product_root(f"x_{suffix}.fits") == f"x_{suffix}"


def test_outlier_i2d_is_not_a_suffix_but_its_end_is():
    assert product_root("x_outlier_i2d.fits") == "x_outlier"


@pytest.mark.parametrize("name", ["rate", "_cal", "cal.fits"])
def test_a_suffix_alone_is_a_name(name):
    assert product_root(name) == name.removesuffix(".fits")


def test_product_name_joins_root_and_suffix():
    assert product_name("x", "cal") == "x_cal.fits"


def test_product_name_takes_components_and_extension():
    assert product_name("jw_nrca2", "crf", "o001") == "jw_nrca2_o001_crf.fits"
    assert product_name("jw_nrca2", "crf", None, "") == "jw_nrca2_crf.fits"
    assert product_name("x", "cat", extension="ecsv") == "x_cat.ecsv"


@given(st.from_regex(r"[a-z0-9]{1,30}", fullmatch=True), st.sampled_from(sorted(KNOWN_SUFFIXES)))
def test_root_undoes_product_name(root, suffix):
    assert product_root(product_name(root, suffix)) == root


@pytest.mark.parametrize(
    ("name", "unpacked", "other"),
    [
        ("a/x_rate.fits", "a/x_rate.fits", "a/x_rate.fits.gz"),
        ("a/x_rate.fits.gz", "a/x_rate.fits", "a/x_rate.fits"),
        ("x_asn.json", "x_asn.json", "x_asn.json"),
        ("x.gz", "x.gz", "x.gz"),
    ],
)
def test_packed_names(name, unpacked, other):
    assert unpacked_name(name) == unpacked
    assert other_packing(name) == other
    assert product_root(name) == product_root(unpacked)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a/x_rate.fits", "rate"),
        ("x_rateints.fits", "rateints"),
        ("x_rate.fits.gz", "rate"),
        ("x_calints.fits", "calints"),
        ("x-cal.fits", "cal"),
        ("x_i2d.fits", "i2d"),
        ("x.fits", None),
        ("x_Rate.fits", None),
        ("rate.fits", None),
        ("x_flat_field.fits", None),
        ("x_rate", None),
    ],
)
def test_exposure_suffix(name, suffix):
    assert exposure_suffix(name) == suffix


@pytest.mark.parametrize(
    "name",
    [
        "jw01234-o001_t001_miri_f1130w-sub",
        "jw96090_t001_nircam_f150w2_mosaic.fits",
        "M 31, north+south",
        "a=b@c",
        ("abcdefghij0123456789_" * 10)[:MAX_NAME_BYTES],
    ],
)
def test_good_names_pass(name):
    assert check_product_name(name) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a/b", "path separator"),
        ("/etc/passwd", "path separator"),
        ("a\\b", "path separator"),
        ("..", "'..'"),
        ("a..b", "'..'"),
        ("-rf", "begins with '-'"),
        (".hidden", "begins with '.'"),
        (" x", "blank"),
        ("x ", "blank"),
        ("x\n", "blank"),
        ("a\nb", "U+000A"),
        ("a\tb", "U+0009"),
        ("a\0b", "U+0000"),
        ("a\u202eb", "U+202E"),
        ("a\u200bb", "U+200B"),
        ("a\u00a0b", "U+00A0"),
        ("a\ud800b", "U+D800"),
        ("{root}", "'{'"),
        ("it's", "'''"),
        ('a"b', "'\"'"),
        ("a*", "'*'"),
        ("a?", "'?'"),
        ("a[1]", "'['"),
        ("a;b", "';'"),
        ("a$(b)", "'$'"),
        ("a`b`", "'`'"),
        ("a|b", "'|'"),
        ("a&b", "'&'"),
        ("a<b>", "'<'"),
        ("a%b", "'%'"),
        ("a#b", "'#'"),
        ("~a", "'~'"),
        ("a!b", "'!'"),
        ("a^b", "'^'"),
        ("a:b", "':'"),
        ("x" * (MAX_NAME_BYTES + 1), "201 bytes"),
        ("x" * 40, "repetition"),
        ("Ångström", "ASCII"),
        ("星雲", "ASCII"),
        ("o\u0308", "ASCII"),
        ("___", "no letter or digit"),
    ],
)
def test_bad_names_are_refused_with_the_reason(name, word):
    wrong = check_product_name(name)
    assert word in wrong
    assert ";" in wrong, "the message says what would be right"


@given(st.text())
def test_an_accepted_name_stays_inside_the_folder(name):
    if check_product_name(name) is None:
        file = product_name(product_root(name), "cal")
        assert not set(file) & set("/\\\0{}*?[]'\"$`;&|<>")
        assert not file.startswith((".", "-", "~"))
        assert file.isprintable()
        assert len(file.encode()) < 255
