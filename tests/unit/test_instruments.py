"""Instrument families as folders: found by being there, each telescope in one of them."""

import sys

import pytest

from calflow import instruments


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A folder where families are looked for, too; what is imported from it is forgotten afterwards."""
    monkeypatch.setattr(instruments, "__path__", [*instruments.__path__, str(tmp_path)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("calflow.instruments.new_camera")]:
        del sys.modules[name]


def put(folder, telescope):
    (folder / "new_camera").mkdir()
    text = "from dataclasses import replace\nfrom calflow.instruments.jwst import FAMILY as JWST\n"
    text += f"FAMILY = replace(JWST, telescopes=({telescope!r},))\n"
    (folder / "new_camera" / "__init__.py").write_text(text)


def test_a_folder_that_is_there_is_found(folders):
    put(folders, "HILL")
    assert [family.telescopes[0] for family in instruments._families()] == ["TMT", "JWST", "HILL"]


def test_a_telescope_belongs_to_one_family(folders):
    put(folders, "JWST")
    with pytest.raises(ValueError, match="TELESCOP 'JWST' is claimed by two instrument families, jwst and new_camera"):
        instruments._families()
