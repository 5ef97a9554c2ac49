"""Files that are never half-written."""

import os

import pytest

from calflow.whole_files import PARTIAL, replace_text, replacing, this_host


def test_the_folder_is_made_and_nothing_else_stays(tmp_path):
    path = tmp_path / "a" / "b.json"
    replace_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert os.listdir(path.parent) == ["b.json"]


def test_what_stops_the_block_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(path) as partial:
        partial.write_bytes((tmp_path / "missing").read_bytes())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.fits"]


@pytest.mark.parametrize("name", ["a_cal.fits", "plan.json", "crds", "a.b.tar.gz"])
def test_the_temporary_name_tells_who_writes(tmp_path, name):
    with replacing(tmp_path / name) as partial:
        partial.touch()
        match = PARTIAL.fullmatch(partial.name)
        assert (match["host"], int(match["pid"])) == (this_host(), os.getpid())
        assert partial.parent == tmp_path
    assert os.listdir(tmp_path) == [name]
