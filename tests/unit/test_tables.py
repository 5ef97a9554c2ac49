import numpy as np
import pytest
from astropy.table import Table

from calflow.files.tables import read_meta, read_table, write_table

COLUMNS = (
    ("name", "", "which one"),
    ("used", "", ""),
    ("number", "", ""),
    ("level", "MJy / sr", "of the sky"),
    ("reason", "", ""),
)
ROWS = [
    {"name": "a b", "used": True, "number": 3, "level": 0.1 + 0.2, "reason": ""},
    {"name": "ünï", "used": False, "number": -7, "level": 1e-300, "reason": 'a, "quoted" text: # 5'},
]


def written(path, rows=ROWS, meta=None):
    write_table(path, COLUMNS, rows, meta)
    return path


def test_rows_are_read_as_they_were(tmp_path):
    rows = read_table(written(tmp_path / "x.ecsv"))
    assert rows == ROWS
    assert [type(value) for value in rows[0].values()] == [str, bool, int, float, str]


def test_nan_stays_nan(tmp_path):
    rows = read_table(written(tmp_path / "x.ecsv", [ROWS[0] | {"level": np.nan}, ROWS[1]]))
    assert np.isnan(rows[0]["level"])
    assert rows[1] == ROWS[1]


@pytest.mark.parametrize("reason", ["", "--", "nan", "N/A", "two\nlines"])
def test_texts_stay_as_they_are(tmp_path, reason):
    rows = [row | {"reason": reason} for row in ROWS]
    assert read_table(written(tmp_path / "x.ecsv", rows)) == rows


@pytest.mark.parametrize("text", ["12", "1.50", "True", "007"])
def test_texts_that_look_like_numbers_stay_texts(tmp_path, text):
    rows = [ROWS[0] | {"name": text}]
    assert read_table(written(tmp_path / "x.ecsv", rows)) == rows


def test_one_row(tmp_path):
    assert read_table(written(tmp_path / "x.ecsv", ROWS[:1])) == ROWS[:1]


def test_astropy_reads_units_and_descriptions(tmp_path):
    table = Table.read(written(tmp_path / "x.ecsv"))
    assert table.colnames == ["name", "used", "number", "level", "reason"]
    assert (str(table["level"].unit), table["level"].description) == ("MJy / sr", "of the sky")
    assert (table["number"].unit, table["number"].description) == (None, None)


def test_meta(tmp_path):
    meta = {"step": "tweakreg", "number": 3, "list": [1.5, 2.0], "none": None}
    assert read_meta(written(tmp_path / "x.ecsv", meta=meta)) == meta
    assert read_meta(written(tmp_path / "y.ecsv")) == {}


def test_columns_that_are_not_asked_for_are_left_out(tmp_path):
    assert read_table(written(tmp_path / "x.ecsv", [ROWS[0] | {"further": 1}])) == ROWS[:1]


def test_same_rows_same_bytes(tmp_path):
    first = written(tmp_path / "x.ecsv", meta={"b": 1, "a": 2}).read_bytes()
    assert written(tmp_path / "y.ecsv", meta={"b": 1, "a": 2}).read_bytes() == first


def test_a_file_is_replaced_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "x.ecsv"
    written(path)
    assert len(read_table(written(path, ROWS[:1]))) == 1
    assert [file.name for file in path.parent.iterdir()] == ["x.ecsv"]


def test_what_was_there_stays_if_writing_fails(tmp_path):
    path = written(tmp_path / "x.ecsv")
    with pytest.raises(KeyError):
        written(path, [{"name": "a"}])
    assert read_table(path) == ROWS
