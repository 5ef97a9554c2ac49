"""Files of a CRDS cache compared with what is published of them, and the contexts of builds."""

import hashlib
from pathlib import Path

import pytest

from calflow.configuration.problems import InputError, Problem
from calflow.configuration.settings import References
from calflow.references.crds_builds import UnknownBuild, builds, pinned
from calflow.references.crds_cache import CrdsCache, check_crds_source, check_update, pinned_contexts, wanted_contexts
from calflow.references.crds_checks import check_cache
from calflow.references.crds_contexts import CrdsContext, find_context
from calflow.references.crds_mappings import mapping_difference, mappings_of
from calflow.web.crds_server import CrdsServer
from tests.crds_stand_in import StandIn, serving, write_context, write_mapping

RULES = {"flat": "jwst_miri_flat_0001.fits", "photom": "jwst_miri_photom_0001.fits"}


@pytest.fixture
def crds(tmp_path):
    """A cache with one context and two references."""
    write_context(tmp_path / "mappings" / "jwst", 9000, "miri", RULES)
    folder = tmp_path / "references" / "jwst" / "miri"
    folder.mkdir(parents=True)
    for name in RULES.values():
        (folder / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def stand_in(crds):
    with serving(StandIn()) as server:
        server.files = {path.name: path.read_bytes() for path in crds.rglob("*_*") if path.is_file()}
        yield server


def check(crds, url):
    mappings = {"jwst": mappings_of(crds / "mappings" / "jwst", "jwst_9000.pmap")}
    references = {"jwst": sorted((crds / "references").rglob("*.fits"))}
    return check_cache(mappings, references, {"jwst": CrdsServer(url, retries=0) if url else None})


def test_mappings_of_a_context(crds):
    folder = crds / "mappings" / "jwst"
    write_context(folder, 9001, "miri", RULES)  # another context
    names = ["jwst_9000.pmap", "jwst_miri_9000.imap", "jwst_miri_flat_9000.rmap", "jwst_miri_photom_9000.rmap"]
    assert [path.name for path in mappings_of(folder, "jwst_9000.pmap")] == names
    (folder / "jwst_miri_flat_9000.rmap").unlink()  # of a type that is not used, a cache need not have them
    assert len(mappings_of(folder, "jwst_9000.pmap")) == 3


def test_mappings_are_not_looked_for_elsewhere(crds):
    folder = crds / "mappings" / "jwst"
    write_mapping(folder, "jwst_9000.pmap", "{'MIRI': '../../x.imap', 'NIRCAM': 'N/A', 'FGS': 'lost.imap'}")
    (crds / "x.imap").touch()
    assert [path.name for path in mappings_of(folder, "jwst_9000.pmap")] == ["jwst_9000.pmap"]


def test_a_mapping_with_a_name_that_no_file_can_have_is_not_there(tmp_path):
    name = f"jwst_{'x' * 300}.imap"
    (tmp_path / "jwst_1.pmap").write_text(f"header = {{}}\nselector = {{'MIRI': '{name}'}}\n")
    assert mappings_of(tmp_path, "jwst_1.pmap") == [tmp_path / "jwst_1.pmap"]


def test_checksum_of_a_mapping_is_over_its_other_lines(tmp_path):
    """Worked out by hand: the line with sha1sum is left out."""
    rest = [b"header = {\n", b"}\n", b"selector = {}\n"]
    sha1 = hashlib.sha1(b"".join(rest)).hexdigest()
    path = tmp_path / "x.rmap"
    path.write_bytes(rest[0] + f"    'sha1sum' : '{sha1}',\n".encode() + rest[1] + rest[2])
    assert mapping_difference(path) is None
    path.write_bytes(path.read_bytes().replace(b"{}", b"{ }"))
    assert f"instead of {sha1}, as it says itself" in mapping_difference(path)
    path.write_bytes(b"".join(rest))
    assert "no checksum" in mapping_difference(path)


def test_cache_as_published(crds, stand_in):
    found = check(crds, stand_in.url)
    assert (len(found.by_itself), len(found.by_server)) == (4, 6)
    assert (found.differences, found.unknown, found.not_asked) == ([], [], {})
    assert stand_in.requests == ["get_file_info_map"]  # once, and nothing is downloaded


def test_mapping_that_was_corrected_in_place_is_told_by_the_server_alone(crds, stand_in):
    """Its own checksum is right: this is what the public case of 2022 looked like."""
    name = "jwst_miri_flat_9000.rmap"
    write_mapping(crds / "mappings" / "jwst", name, "Match({})", mapping="REFERENCE")
    (line,) = check(crds, stand_in.url).differences
    assert line.startswith(f"{crds / 'mappings' / 'jwst' / name}: ")
    assert f" bytes instead of {len(stand_in.files[name])}" in line
    assert line.endswith(f", as {stand_in.url} says")


def test_damaged_mapping_is_told_offline(crds):
    path = crds / "mappings" / "jwst" / "jwst_miri_9000.imap"
    path.write_text(path.read_text().replace("test", "tset"))
    found = check(crds, None)
    assert [line.partition(": ")[0] for line in found.differences] == [str(path)]
    assert found.not_asked == {"jwst": "no server of jwst is known"}
    assert found.by_server == []


@pytest.mark.parametrize(
    ("content", "word"), [(b"jwst_miri_flat_0002.fits", "its SHA-1 is"), (b"x", "1 bytes instead of 24")]
)
def test_reference_that_is_not_the_published_one(crds, stand_in, content, word):
    path = crds / "references" / "jwst" / "miri" / "jwst_miri_flat_0001.fits"
    path.write_bytes(content)
    (line,) = check(crds, stand_in.url).differences
    assert line.startswith(f"{path}: {word}")


def test_file_that_the_server_does_not_know(crds, stand_in):
    del stand_in.files["jwst_miri_flat_0001.fits"]
    found = check(crds, stand_in.url)
    assert ([path.name for path in found.unknown], found.differences) == (["jwst_miri_flat_0001.fits"], [])


def test_server_that_does_not_answer_is_told(crds):
    found = check(crds, "http://127.0.0.1:9")
    assert (len(found.by_itself), found.by_server, found.differences) == (4, [], [])
    assert "could not be fetched" in found.not_asked["jwst"]


def test_check_needs_a_cache():
    with pytest.raises(InputError, match=r"references\.source: is 'directory'"):
        check_crds_source(References())
    check_crds_source(References(source="crds"))


def test_references_are_found_by_instrument_or_flat(crds):
    cache = CrdsCache(crds)
    assert cache.find("jwst_miri_flat_0001.fits", "jwst") == str(
        crds / "references" / "jwst" / "miri" / "jwst_miri_flat_0001.fits"
    )
    (crds / "references" / "jwst" / "x.fits").touch()
    assert cache.find("x.fits", "jwst") == str(crds / "references" / "jwst" / "x.fits")
    assert cache.find("y.fits", "jwst") is None


# Builds ---------------------------------------------------------------------------------------------------


def test_the_table_of_builds():
    """As published: two lines, and that all lines are contexts of JWST."""
    assert (pinned("build-12.0"), pinned("BUILD-11.2")) == ("jwst_1408.pmap", "jwst_1321.pmap")
    assert all(Path(name).suffix == ".pmap" and name.startswith("jwst_") for name in builds().values())
    assert pinned("jwst_1364.pmap") == "jwst_1364.pmap"
    assert pinned("operational") == "operational"


@pytest.mark.parametrize("name", ["build-12.00", "build-10.2", "build-"])
def test_build_that_is_not_in_the_table(name):
    with pytest.raises(UnknownBuild, match=r"known are build-11\.0, .*CRDS_CTX"):
        pinned(name)
    problem = find_context([name], Path("crds"), ["jwst"], None)
    assert isinstance(problem, Problem)
    assert (problem.file, problem.key) == ("config", "references.crds_context")
    with pytest.raises(InputError, match="no build whose context is known"):
        check_update(References(source="crds", crds_path="crds", crds_context=name))


def test_context_of_a_build():
    found = find_context(["build-12.0", "ligeriri_0001.pmap"], Path("crds"), ["jwst"], None)
    assert found == CrdsContext("jwst_1408.pmap", "jwst", "references.crds_context = build-12.0")
    other = find_context(["build-12.0", "ligeriri_0001.pmap"], Path("crds"), ["ligeriri"], None)
    assert other.name == "ligeriri_0001.pmap"
    settings = References(crds_context="build-12.0", compare_context="build-12.1")
    assert wanted_contexts(settings) == ["jwst_1408.pmap", "jwst_1464.pmap"]
    assert pinned_contexts(settings) == [("jwst", "jwst_1408.pmap"), ("jwst", "jwst_1464.pmap")]
    assert pinned_contexts(References(crds_context="build-0.1")) == []
