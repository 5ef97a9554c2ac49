"""Versions of libraries that make products stale, and those that do not."""

from pathlib import Path

import pytest

from calflow.jobs import libraries
from calflow.jobs.code_hash import CodeHashes

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def installed(monkeypatch):
    """Versions in place of those that are installed."""
    found = {"numpy": "2.3.1", "PyYAML": "6.0.2", "asdf": "4.1.0", "gwcs": "0.26.1", "photutils": "3.0.0"}

    def version(name):
        if name not in found:
            raise libraries.PackageNotFoundError(name)
        return found[name]

    libraries._version.cache_clear()
    monkeypatch.setattr(libraries, "version", version)
    yield found
    libraries._version.cache_clear()


def test_libraries_are_listed_with_what_counts_of_their_versions(installed):
    text = libraries.versions(["photutils", "yaml", "numpy", "not_there"])
    assert text == "libraries: numpy 2.3, photutils 3.0.0, yaml 6.0"


def test_world_coordinates_come_with_asdf(installed):
    assert libraries.versions(["asdf"]) == "libraries: asdf 4.1, gwcs 0.26"


@pytest.mark.parametrize(
    ("name", "release", "found"),
    [
        ("photutils", "3.0.1", ["photutils 3.0.0 -> 3.0.1"]),
        ("numpy", "2.3.2", []),
        ("numpy", "2.4.0", ["numpy 2.3 -> 2.4"]),
    ],
)
def test_a_patch_release_counts_where_algorithms_are(installed, name, release, found):
    before = libraries.versions(["numpy", "photutils"])
    installed[name] = release
    libraries._version.cache_clear()
    assert libraries.changes(before, libraries.versions(["numpy", "photutils"])) == found


def test_a_library_that_comes_or_goes_is_told():
    assert libraries.changes("libraries: numpy 2.3", "libraries: scipy 1.16") == [
        "numpy 2.3 -> (none)",
        "scipy (none) -> 1.16",
    ]
    assert libraries.changes("", "libraries: numpy 2.3") == ["numpy (none) -> 2.3"]


def test_jobs_have_the_libraries_that_they_use(tmp_path):
    hashes = CodeHashes(tmp_path / "cache")
    named = {name: hashes.libraries(SCRIPTS / f"{name}.py") for name in ("calibrate", "catalog_sources", "match_sky")}
    assert "photutils" in named["catalog_sources"]
    assert "photutils" not in named["calibrate"] | named["match_sky"]
    assert "asdf" in named["calibrate"]
    assert "asdf" not in named["match_sky"]
