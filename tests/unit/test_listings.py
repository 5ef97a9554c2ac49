import pytest

from calflow.files.listings import ListingError, read_levels, read_listing


def listing(tmp_path, text):
    (tmp_path / "list.txt").write_text(text)
    return tmp_path / "list.txt"


def test_exposures_and_what_belongs_to_them(tmp_path):
    path = listing(tmp_path, "# exposure list\ndata/a_cal.fits  own.ecsv\n\n  b_crf.fits\tx.fits\n")
    assert read_listing(path) == {"a": "own.ecsv", "b": "x.fits"}


def test_a_second_column_that_may_be_missing(tmp_path):
    path = listing(tmp_path, "a_cal.fits\nb_cal.fits x\n")
    assert read_listing(path, optional=True) == {"a": None, "b": "x"}
    with pytest.raises(ListingError, match=r"list\.txt: line 1: 'a_cal\.fits' has one column, not two"):
        read_listing(path)


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize(
    ("text", "place", "wrong"),
    [
        ("a_cal.fits my list.ecsv\n", "line 1", "'a_cal.fits my list.ecsv' has 3 columns, not two"),
        ("a_cal.fits x\n# b\na_crf.fits y\n", "line 3", "'a' has a line before"),
    ],
)
def test_lines_that_are_no_pairs(tmp_path, text, place, wrong, optional):
    with pytest.raises(ListingError) as caught:
        read_listing(listing(tmp_path, text), optional=optional)
    assert (caught.value.place, caught.value.wrong) == (place, wrong)


def test_what_is_no_text(tmp_path):
    (tmp_path / "image.fits").write_bytes(b"\xff\xfe\x00")
    for name, wrong in {"image.fits": "not a text file", "none.txt": "is not there", ".": "is a folder"}.items():
        with pytest.raises(ListingError, match=wrong):
            read_listing(tmp_path / name)


def test_levels(tmp_path):
    assert read_levels(listing(tmp_path, "a_cal.fits 0.25\nb_cal.fits -1e-3\n")) == {"a": 0.25, "b": -0.001}
    for word in ("much", "nan", "inf"):
        with pytest.raises(ListingError, match=f"a: '{word}' is not a finite number"):
            read_levels(listing(tmp_path, f"a_cal.fits {word}\n"))
