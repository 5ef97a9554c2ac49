"""The short version: the first cases of each reader; a spoiled file is accepted or refused, and no more than that."""

import pytest

from tests.fuzz.night import REAL, make_night
from tests.fuzz.readers import NAMES, REAL_NAMES, open_reader

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    make_night(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_spoiled_files_are_accepted_or_refused(name, night, monkeypatch):
    monkeypatch.chdir(night)
    reader = open_reader(name)
    reader.read_sound()
    outcomes = {reader.try_case(number) for number in range(reader.short)}
    # What an earlier run left counts as not there when it is damaged, which may be so in all cases or not be seen.
    assert outcomes == {True, False} or name.startswith("remembered")


@pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the repository")
@pytest.mark.parametrize("name", REAL_NAMES)
def test_spoiled_files_of_others(name, night, monkeypatch):
    monkeypatch.chdir(night)
    reader = open_reader(name)
    assert {reader.try_case(number) for number in range(reader.short)} <= {True, False}
