"""HDRTAB: a row per input, a column per keyword, whatever the inputs have."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calflow.files.header_table import header_table


def table_of(*values, keyword="KEY"):
    """Return the table of inputs that have these values of one keyword; None: not at all."""
    return header_table([(fits.Header({} if v is None else {keyword: v}), fits.Header()) for v in values])


@pytest.mark.parametrize(
    ("values", "format", "expected"),
    [
        ([1, 2**40], "K", [1, 2**40]),
        ([1, 2.5], "D", [1.0, 2.5]),
        ([1, None, 3], "D", [1.0, np.nan, 3.0]),
        ([0.5, None], "D", [0.5, np.nan]),
        ([True, False], "L", [True, False]),
        ([True, None, False], "D", [1.0, np.nan, 0.0]),
        ([True, 2], "K", [1, 2]),
        (["ab", "abcde"], "5A", ["ab", "abcde"]),
        (["ab", None], "2A", ["ab", ""]),
        (["", ""], "1A", ["", ""]),
        (["F200W", 7], "5A", ["F200W", "7"]),
        ([2**70, 1], "D", [2.0**70, 1.0]),
        ([fits.card.UNDEFINED, 4.5], "D", [np.nan, 4.5]),
        ([np.int16(3), 4], "K", [3, 4]),
        ([np.float32(0.5), 1], "D", [0.5, 1.0]),
        ([np.bool_(True), False], "L", [True, False]),
    ],
)
def test_a_column_has_the_type_that_all_values_fit(values, format, expected):
    table = table_of(*values)
    assert table.columns["KEY"].format == format
    np.testing.assert_array_equal(table.data["KEY"], expected)


def test_columns_are_those_of_primary_then_science_then_later_inputs():
    first = fits.Header({"DATE-OBS": "2023-03-12", "B": 1}), fits.Header({"C": 2, "B": 3})
    second = fits.Header({"D": 4, "B": 5}), fits.Header({"E": 6})
    table = header_table([first, second])
    assert table.columns.names == ["DATE-OBS", "B", "C", "D", "E"]
    assert list(table.data["B"]) == [3, 5]
    np.testing.assert_array_equal(table.data["E"], [np.nan, 6.0])


def test_structure_remarks_and_sip_have_no_column():
    hdu = fits.ImageHDU(np.zeros((2, 3), np.float32), name="SCI", ver=1)
    hdu.header.update(
        {"CRPIX1": 1.5, "A_ORDER": 2, "BP_ORDER": 2, "A_0_2": 1e-6, "BP_1_1": 1e-6, "A_1": 3, "NAXISX": 4}
    )
    hdu.header["HISTORY"] = "made"
    hdu.header["COMMENT"] = "a remark"
    hdu.header.add_blank("Heading")
    hdu.add_checksum()
    table = header_table([(fits.PrimaryHDU().header, hdu.header)])
    assert table.columns.names == ["CRPIX1", "A_1", "NAXISX"]


def test_a_keyword_without_a_value_in_any_input_has_no_column():
    assert table_of(fits.card.UNDEFINED, None).columns.names == []
    assert len(table_of(1, None).data) == 2


def test_keywords_that_the_archive_leaves_out_have_no_column():
    primary = fits.Header({"TCATFILE": "x_cat.ecsv", "TARGNAME": "M 1"})
    assert header_table([(primary, fits.Header({"VELOSYS": 1.0}))]).columns.names == ["TARGNAME"]


def test_the_extension_can_be_written_and_read_again(tmp_path):
    region = "POLYGON ICRS  " + " ".join(["150.113533960 2.197639990"] * 20)  # longer than one card
    inputs = [
        (fits.Header({"DATE-OBS": "2023-03-12", "TSO": False}), fits.Header({"S_REGION": region})),
        (fits.Header({"HIERARCH ESO INS FILT": "J"}), fits.Header({"CRVAL1": 150.25})),
    ]
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), header_table(inputs)]).writeto(path)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        header, data = hdus["HDRTAB", 1].header, hdus["HDRTAB"].data
        assert [header[f"TTYPE{i}"] for i in range(1, 6)] == ["DATE-OBS", "TSO", "S_REGION", "ESO INS FILT", "CRVAL1"]
        assert [header[f"TFORM{i}"] for i in range(1, 6)] == ["10A", "D", f"{len(region)}A", "1A", "D"]
        assert data["S_REGION"][0] == region
        assert list(data["ESO INS FILT"]) == ["", "J"]
        np.testing.assert_array_equal(data["CRVAL1"], [np.nan, 150.25])


def test_a_thousand_inputs():
    science = fits.Header({f"KEY{i}": value for i, value in enumerate([1, 2.5, "text", True] * 35)})
    inputs = [(fits.Header({"NUMBER": n}), science) for n in range(1000)]
    table = header_table(inputs)
    assert len(table.columns) == 141
    np.testing.assert_array_equal(table.data["NUMBER"], np.arange(1000))


def test_no_input_is_refused():
    with pytest.raises(ValueError, match="at least one input"):
        header_table([])


numbers = st.one_of(st.integers(-(2**31), 2**31), st.floats(-1e6, 1e6, width=32), st.none())
texts = st.one_of(st.text("ABC xyz", max_size=12).map(str.rstrip), st.none())


@given(st.one_of(st.lists(numbers, min_size=1), st.lists(texts, min_size=1)))
def test_no_value_is_lost(values):
    table = table_of(*values)
    if all(value is None for value in values):
        assert table.columns.names == []
        return
    for value, cell in zip(values, table.data["KEY"], strict=True):
        assert cell == value if value is not None else cell == "" or np.isnan(cell)
