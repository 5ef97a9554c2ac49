"""Choice of the row of a reference table that fits an exposure."""

import numpy as np
import pytest

from calflow.science.table_rows import select_row

MIRI = {
    "filter": np.array(["F560W", "F560W", "F1130W", "F1130W"]),
    "subarray": np.array(["FULL", "GENERIC", "FULL", "GENERIC"]),
}
NIRCAM = {"filter": np.array(["F090W", "F200W", "F200W"]), "pupil": np.array(["CLEAR", "CLEAR", "WLP8"])}


def miri(filter_name, subarray):
    return [{"filter": filter_name, "subarray": name} for name in (subarray, "GENERIC")]


def nircam(filter_name, pupil):
    return [{"filter": filter_name, "pupil": pupil, "subarray": "FULL"}]


def test_row_of_filter_and_pupil():
    assert select_row(NIRCAM, [{"filter": "F200W", "pupil": "WLP8"}]) == 2


def test_miri_prefers_the_row_of_its_subarray():
    assert select_row(MIRI, miri("F1130W", "FULL")) == 2


def test_miri_falls_back_to_generic():
    assert select_row(MIRI, miri("F1130W", "SUB256")) == 3


def test_an_empty_selector_takes_the_first_row():
    assert select_row({}, [{}]) == 0
    assert select_row(MIRI, [{"filter": "F770W"}, {}]) == 0


def test_case_and_trailing_blanks_do_not_matter():
    columns = {"filter": np.array(["F090W   ", "f200w"]), "pupil": np.array([b"CLEAR  ", b"Clear"])}
    assert select_row(columns, [{"filter": "F200w ", "pupil": "clear"}]) == 1


def test_leading_blanks_do_matter():
    with pytest.raises(LookupError):
        select_row({"filter": np.array(["F200W"])}, [{"filter": " F200W"}])


def test_an_optional_column_selects_only_if_the_table_has_it():
    assert select_row(NIRCAM, nircam("F200W", "CLEAR"), optional=["subarray"]) == 1
    columns = {"filter": ["F200W"] * 2, "pupil": ["CLEAR"] * 2, "subarray": ["SUB64P", "FULL"]}
    assert select_row(columns, nircam("F200W", "CLEAR"), optional=["subarray"]) == 1


def test_a_required_column_must_be_there():
    with pytest.raises(ValueError, match="no column subarray to select by; its columns are filter, pupil"):
        select_row(NIRCAM, nircam("F200W", "CLEAR"))


def test_a_selector_of_absent_columns_does_not_take_the_first_row():
    with pytest.raises(ValueError, match="no column subarray to select by"):
        select_row({}, [{"subarray": "FULL"}], optional=["subarray"])


def test_several_rows_that_fit_are_refused():
    with pytest.raises(ValueError, match="rows 2, 3 of the table all have filter = F200W; one row must fit"):
        select_row(NIRCAM, [{"filter": "F200W"}])


def test_several_rows_are_not_passed_over_for_the_next_alternative():
    columns = {"filter": ["F560W", "F560W", "F560W"], "subarray": ["FULL", "FULL", "GENERIC"]}
    with pytest.raises(ValueError, match="rows 1, 2"):
        select_row(columns, miri("F560W", "FULL"))


def test_no_row_tells_what_was_wanted_and_what_is_there_nearest_first():
    with pytest.raises(LookupError) as failure:
        select_row(MIRI, miri("F1135W", "FULL"))
    assert failure.value.args[0] == (
        "no row with filter = F1135W, subarray = FULL nor filter = F1135W, subarray = GENERIC; "
        "nearest rows by filter/subarray: F1130W/FULL, F560W/FULL, F1130W/GENERIC, F560W/GENERIC"
    )


def test_no_row_lists_only_the_nearest_rows():
    columns = {"filter": [f"F{number}W" for number in range(100, 120)]}
    with pytest.raises(LookupError, match=r"F119W, (F\d+W, ){3}F\d+W and 15 more$"):
        select_row(columns, [{"filter": "F119N"}])


def test_no_row_in_an_empty_table():
    with pytest.raises(LookupError, match="nearest rows by filter: none"):
        select_row({"filter": []}, [{"filter": "F200W"}])
