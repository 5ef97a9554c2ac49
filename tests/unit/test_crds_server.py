"""Files from a stand-in of the CRDS server: verified, resumed, one run at a time."""

import ast
import fcntl
import hashlib
from types import SimpleNamespace

import pytest

from calflow.web import client, crds_server
from calflow.web.client import WebError
from calflow.web.crds_server import (
    CrdsServer,
    fetch_mappings,
    fetch_reference,
    fetch_references,
    locked,
    record_server,
)
from tests.crds_stand_in import StandIn, serving

NAME = "jwst_miri_flat_0001.fits"
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(client, "PAUSE", 0.0)
    monkeypatch.setattr(crds_server, "LOCK_INTERVAL", 0.01)
    with serving(StandIn(files={NAME: CONTENT})) as server:
        yield server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "crds" / "references" / "jwst" / "miri" / NAME


def fetch(stand_in, path, retries=2, **options):
    fetch_reference(CrdsServer(stand_in.url, retries), "jwst", path, **options)


def refused(stand_in, path, **options):
    """Return the reason why a file cannot be had; nothing may be there then."""
    with pytest.raises(WebError) as caught:
        fetch(stand_in, path, **options)
    assert not path.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left(path):
    return sorted(file.name for file in path.parent.iterdir() if file.name != crds_server.LOCK)


def test_file_is_put_in_place(stand_in, path):
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT
    assert left(path) == [NAME]


def test_wrong_checksum(stand_in, path):
    stand_in.published[NAME] = {"sha1sum": "0" * 40}
    reason = refused(stand_in, path)
    assert f"its SHA-1 is {hashlib.sha1(CONTENT).hexdigest()} instead of {'0' * 40} (3 attempts)" in reason
    assert left(path) == []
    assert stand_in.downloads() == [NAME] * 3


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_wrong_size(stand_in, path, size):
    stand_in.published[NAME] = {"size": str(size)}
    assert f"{len(CONTENT)} bytes instead of {size}" in refused(stand_in, path, retries=0)


def test_content_that_is_right_at_the_second_attempt(stand_in, path):
    stand_in.faults[NAME] = ["garbled"]
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT
    assert stand_in.downloads() == [NAME, NAME]


def test_cut_connection_is_resumed(stand_in, path):
    stand_in.faults[NAME] = ["cut"]
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT
    assert stand_in.downloads() == [NAME, f"{NAME}@{len(CONTENT) // 2}"]


def test_what_a_killed_run_has_left_is_resumed(stand_in, path):
    path.parent.mkdir(parents=True)
    path.with_name(f".{NAME}.part").write_bytes(CONTENT[:100])
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT
    assert stand_in.downloads() == [f"{NAME}@100"]


@pytest.mark.parametrize("rest", [b"\x01" * 100, bytes(len(CONTENT)), bytes(len(CONTENT) + 1)])
def test_rest_of_another_file_is_not_believed(stand_in, path, rest):
    path.parent.mkdir(parents=True)
    path.with_name(f".{NAME}.part").write_bytes(rest)
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT


def test_cut_for_good(stand_in, path):
    stand_in.faults[NAME] = ["cut"] * 3
    reason = refused(stand_in, path)
    assert f"{len(CONTENT) // 2} bytes instead of {len(CONTENT)}; the connection was cut (3 attempts)" in reason


def test_server_that_has_nothing_to_go_on_with(stand_in, path):
    path.parent.mkdir(parents=True)
    path.with_name(f".{NAME}.part").write_bytes(CONTENT[:100])
    stand_in.faults[NAME] = [416]
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT
    assert stand_in.downloads() == [f"{NAME}@100", NAME]


def test_404_is_not_tried_again(stand_in, path):
    stand_in.faults[NAME] = [404]
    assert "the server answers 404 Not Found" in refused(stand_in, path)
    assert stand_in.downloads() == [NAME]


@pytest.mark.parametrize("what", [NAME, "get_file_info_map", "get_server_info"])
def test_busy_server_is_tried_again(stand_in, path, what):
    stand_in.faults[what] = [503, 503]
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT
    assert stand_in.requests.count(what) == 3


def test_file_that_the_server_does_not_have(stand_in, path):
    del stand_in.files[NAME]
    assert f"{NAME}: not known to the CRDS server {stand_in.url} of jwst" in refused(stand_in, path)


def test_no_server(stand_in, path):
    stand_in.url = "http://127.0.0.1:9"
    assert "no connection to the server: Connection refused (1 attempt)" in refused(stand_in, path, retries=0)


def test_server_that_is_none_of_crds(stand_in, path):
    stand_in.faults["get_file_info_map"] = ["garbled"]
    assert "does not answer as a CRDS server" in refused(stand_in, path)


def test_full_disk_is_told_before(stand_in, path, monkeypatch):
    monkeypatch.setattr(client.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    assert "0 MB are free" in refused(stand_in, path)
    assert stand_in.downloads() == []


def test_busy_lock_is_waited_for_and_then_told(stand_in, path):
    with locked(path.parent):
        reason = refused(stand_in, path, lock_timeout=0.05)
    assert f"another run has been downloading into {path.parent}" in reason
    assert stand_in.requests == []


def test_file_that_another_run_has_fetched_meanwhile_is_left_alone(stand_in, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    before = path.stat()
    fetch(stand_in, path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert stand_in.downloads() == []


def test_other_file_of_that_name_is_neither_used_nor_deleted(stand_in, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(WebError, match=r"is not the file of the CRDS server .*; remove it"):
        fetch(stand_in, path)
    assert path.read_bytes() == b"mine"


def test_file_system_without_locks(stand_in, path, monkeypatch):
    def unsupported(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    fetch(stand_in, path)
    assert path.read_bytes() == CONTENT


# Mappings ---------------------------------------------------------------------------------------------


@pytest.fixture
def context(stand_in):
    names = ["jwst_9000.pmap", "jwst_miri_9000.imap", "jwst_miri_flat_9000.rmap"]
    stand_in.contexts["jwst_9000.pmap"] = names
    stand_in.files |= {name: name.encode() for name in names}
    return "jwst_9000.pmap"


def update(stand_in, crds_path, context):
    server = CrdsServer(stand_in.url, 0)
    return fetch_mappings(server, server.info(), crds_path, context)


def test_mappings_are_fetched_the_context_last(stand_in, context, tmp_path):
    folder = tmp_path / "mappings" / "jwst"
    folder.mkdir(parents=True)
    (folder / "jwst_miri_9000.imap").write_text("is there")
    assert update(stand_in, tmp_path, context) == ["jwst_miri_flat_9000.rmap", "jwst_9000.pmap"]
    assert stand_in.downloads() == ["jwst_miri_flat_9000.rmap", "jwst_9000.pmap"]
    assert (folder / "jwst_miri_9000.imap").read_text() == "is there"
    assert (folder / context).read_text() == context


def test_context_is_not_there_without_its_mappings(stand_in, context, tmp_path):
    stand_in.faults["jwst_miri_flat_9000.rmap"] = [404]
    with pytest.raises(WebError, match="404"):
        update(stand_in, tmp_path, context)
    assert not (tmp_path / "mappings" / "jwst" / context).exists()


def test_complete_context_is_not_asked_for(stand_in, context, tmp_path):
    update(stand_in, tmp_path, context)
    del stand_in.requests[:]
    assert update(stand_in, tmp_path, context) == []
    assert stand_in.requests == ["get_server_info"]


def test_context_that_the_server_does_not_have(stand_in, tmp_path):
    with pytest.raises(WebError, match=r"get_mapping_names: the CRDS server .* says: 'jwst_1.pmap'"):
        update(stand_in, tmp_path, "jwst_1.pmap")


def test_references_of_some_types_are_fetched(stand_in, tmp_path):
    names = [f"jwst_{name}_0001.asdf" for name in ("miri_pars-tweakregstep", "nircam_pars-tweakregstep", "miri_wcs")]
    stand_in.files |= {name: name.encode() for name in names}
    server = CrdsServer(stand_in.url, 0)
    arguments = server, server.info(), tmp_path, "jwst_9000.pmap", ["pars-tweakregstep"]
    assert fetch_references(*arguments) == names[:2]
    folder = tmp_path / "references" / "jwst"
    assert (folder / "nircam" / names[1]).read_text() == names[1]
    (folder / "miri" / names[0]).rename(folder / names[0])  # as in a flat cache
    assert fetch_references(*arguments) == []


def test_record_of_the_server_is_that_of_crds(stand_in, tmp_path):
    record_server(CrdsServer(stand_in.url).info(), tmp_path)
    record = ast.literal_eval((tmp_path / "config" / "jwst" / "server_config").read_text())
    assert record["operational_context"] == "jwst_9000.pmap"
    assert record["bad_files_list"] == []
    assert record["reference_url"] == {"jwst": f"{stand_in.url}/references/"}
    assert record["server"] == stand_in.url
