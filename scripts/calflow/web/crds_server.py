"""The CRDS server: what it publishes of its files, and their download into a cache, verified.

The requests are those of the package crds (JSON-RPC and plain downloads), of which nothing else is needed here.
"""

import base64
import errno
import fcntl
import gzip
import json
import logging
import os
import pprint
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from calflow.files.version import VERSION
from calflow.web.client import AttemptsFailed, Published, WebClient, WebError
from calflow.whole_files import replace_text

log = logging.getLogger(__name__)

TIMEOUT = 60.0  # seconds
LOCK = ".calflow.lock"
# How long to wait for another run that downloads into the same folder, and how often to look, seconds.
LOCK_TIMEOUT = 3600.0
LOCK_INTERVAL = 0.5


class CrdsServer:
    """A CRDS server.

    Parameters
    ----------
    url : str
        Such as ``https://jwst-crds.stsci.edu``.
    retries : int
        Number of further attempts after a failure that may pass.
    """

    def __init__(self, url: str, retries: int = 4):
        self.url = url.rstrip("/")
        self._client = WebClient(retries, TIMEOUT)

    def info(self) -> dict[str, Any]:
        """Return what the server says of itself, in the form in which the package crds keeps it in a cache."""
        info = self.call("get_server_info")
        if not isinstance(info, dict) or not isinstance(info.get("bad_files_list"), list):
            raise WebError(f"{self.url} does not answer as a CRDS server: no list of bad files")
        for kind in ("reference_url", "mapping_url", "config_url", "pickle_url"):
            if isinstance(info.get(kind), dict) and "unchecked" in info[kind]:
                info[kind] = info[kind]["unchecked"]
        return info | {"server": self.url, "status": "server", "connected": True}

    def published(self, observatory: str, names: Iterable[str], *, required: bool = True) -> dict[str, Published]:
        """Return size and checksum of files; a file that the server does not have is an error, or left out.

        Parameters
        ----------
        observatory : str
        names : iterable of str
        required : bool
            Whether a file that the server does not have is an error.
        """
        names = sorted(set(names))
        told = self.call("get_file_info_map", observatory, names, ["sha1sum", "size"])
        found = {}
        for name in names:
            try:
                size, sha1 = int(told[name]["size"]), str(told[name].get("sha1sum") or "none").lower()
            except (TypeError, KeyError, ValueError, AttributeError):
                if not required:
                    continue
                raise WebError(f"{name}: not known to the CRDS server {self.url} of {observatory}") from None
            found[name] = Published(size, None if sha1 == "none" else sha1)
        return found

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the server and return its result.

        Parameters
        ----------
        method : str
            Of the server's JSON-RPC interface.
        *arguments : object
            What the method takes.
        """
        number = f"calflow-{VERSION}-{uuid.uuid4()}"
        body = json.dumps({"jsonrpc": "1.0", "method": method, "params": arguments, "id": number})
        url = f"{self.url}/json/{method}/{number}/"
        with self._named(method):
            text = self._client.attempt(method, lambda: self._client.read(url, body.encode()))
        try:
            answer = json.loads(text)
            result, error = answer["result"], answer.get("error")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise WebError(f"{url} does not answer as a CRDS server: {text[:80]!r}") from None
        if error:
            message = error.get("message") if isinstance(error, dict) else error
            raise WebError(f"{method}: the CRDS server {self.url} says: {message}")
        if isinstance(result, dict) and "crds_encoded" in result:
            return json.loads(gzip.decompress(base64.b64decode(result["crds_payload"])))
        return result

    def download(self, url: str, path: Path, published: Published) -> None:
        """Download a file into a folder that is `locked`, as `WebClient.download` does.

        Parameters
        ----------
        url : str
            Of the file.
        path : Path
            Of the new file.
        published : Published
            Its size and checksum.
        """
        with self._named(path.name):
            self._client.download(url, path, published)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Say what could not be had from which server when all attempts have failed."""
        try:
            yield
        except AttemptsFailed as error:
            raise WebError(f"{what} could not be fetched from {self.url}: {error}") from None


def fetch_reference(server: CrdsServer, observatory: str, path: Path, lock_timeout: float = LOCK_TIMEOUT) -> None:
    """Fetch a reference file into a cache; a file that another run has put there meanwhile is left alone.

    Parameters
    ----------
    server : CrdsServer
        Of the observatory.
    observatory : str
        Its name in CRDS, such as ``jwst``.
    path : Path
        Of the file in the cache.
    lock_timeout : float, optional
        How long to wait for other runs, s.

    Raises
    ------
    WebError
        If it cannot be had, or the folder stays locked.
    """
    with locked(path.parent, lock_timeout):
        published = server.published(observatory, [path.name])[path.name]
        if path.exists():
            log.info("%s is there: another run has fetched it", path)
            if reason := published.difference(path):
                raise WebError(f"{path} is not the file of the CRDS server ({reason}); remove it")
            return
        folder = _url_of(server.info(), "reference_url", observatory)
        log.info("%s: %d bytes from %s", path.name, published.size, folder)
        server.download(folder + quote(path.name), path, published)


def fetch_mappings(
    server: CrdsServer, info: Mapping[str, Any], crds_path: Path, context: str, lock_timeout: float = LOCK_TIMEOUT
) -> list[str]:
    """Fetch the mappings of a context that a cache lacks, the context itself last, and return their names.

    Parameters
    ----------
    server : CrdsServer
        Of the observatory.
    info : mapping of str to object
        What the server says of itself.
    crds_path : Path
        The cache.
    context : str
        Its name, such as ``jwst_1364.pmap``.
    lock_timeout : float, optional
        How long to wait for other runs, s.
    """
    observatory = str(info["observatory"])
    folder = crds_path / "mappings" / observatory
    if os.path.isfile(folder / context):
        return []  # it comes last, so all others are there
    with locked(folder, lock_timeout):
        names = [str(name) for name in server.call("get_mapping_names", context)]
        bad = [name for name in names if Path(name).name != name]
        if bad or context not in names:
            raise WebError(f"{context}: the CRDS server {server.url} has no such context")
        order = (".rmap", ".imap", ".pmap")
        lacking = sorted(
            (n for n in names if not os.path.isfile(folder / n)), key=lambda n: (order.index(Path(n).suffix), n)
        )
        published = server.published(observatory, lacking)
        for name in lacking:
            server.download(_url_of(info, "mapping_url", observatory) + quote(name), folder / name, published[name])
            log.info("%s fetched", name)
    return lacking


def fetch_references(
    server: CrdsServer,
    info: Mapping[str, Any],
    crds_path: Path,
    context: str,
    reftypes: Iterable[str],
    lock_timeout: float = LOCK_TIMEOUT,
) -> list[str]:
    """Fetch the references of a context, of some types, that a cache lacks; return their names.

    Parameters
    ----------
    server : CrdsServer
        Of the observatory.
    info : mapping of str to object
        What the server says of itself.
    crds_path : Path
        The cache.
    context : str
        Its name, such as ``jwst_1364.pmap``.
    reftypes : iterable of str
        Types of reference.
    lock_timeout : float, optional
        How long to wait for other runs, s.
    """
    observatory = str(info["observatory"])
    kinds = tuple(f"_{reftype}_" for reftype in reftypes)
    names = [str(name) for name in server.call("get_reference_names", context)]
    paths = {}
    for name in sorted(name for name in names if any(kind in name for kind in kinds) and Path(name).name == name):
        # A cache is laid out by instrument, the second part of a name, or flat.
        folder = crds_path / "references" / observatory
        path = folder / name.split("_")[1] / name
        if not os.path.isfile(path) and not os.path.isfile(folder / name):
            paths[name] = path
    published = server.published(observatory, paths) if paths else {}
    for name, path in paths.items():
        with locked(path.parent, lock_timeout):
            if not path.is_file():
                server.download(_url_of(info, "reference_url", observatory) + quote(name), path, published[name])
                log.info("%s fetched", name)
    return list(paths)


def record_server(info: Mapping[str, Any], crds_path: Path, lock_timeout: float = LOCK_TIMEOUT) -> None:
    """Write what the server says of itself into a cache, as the package crds does.

    Parameters
    ----------
    info : mapping of str to object
        What the server says of itself.
    crds_path : Path
        The cache.
    lock_timeout : float, optional
        How long to wait for other runs, s.
    """
    folder = crds_path / "config" / str(info["observatory"])
    with locked(folder, lock_timeout):
        replace_text(folder / "bad_files.txt", "\n".join(map(str, info["bad_files_list"])))
        replace_text(folder / "server_config", pprint.pformat(dict(info)))


@contextmanager
def locked(folder: Path, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Let one run at a time download into a folder. The lock of a run that is killed goes with it.

    Parameters
    ----------
    folder : Path
        Of the cache.
    timeout : float, optional
        How long to wait for other runs, s.

    Raises
    ------
    WebError
        If another run holds the lock for longer than `timeout` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        _wait_for_lock(file.fileno(), folder, timeout)
        yield


def _wait_for_lock(file: int, folder: Path, timeout: float) -> None:
    until = time.monotonic() + timeout
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                # Some network file systems have no locks. Files are still moved into place complete.
                log.warning("%s cannot be locked: %s", folder, error.strerror)
                return
        if time.monotonic() >= until:
            raise WebError(f"another run has been downloading into {folder} for {timeout:g} s; run again later")
        if not told:
            log.info("waiting for another run that downloads into %s", folder)
            told = True
        time.sleep(LOCK_INTERVAL)


def _url_of(info: Mapping[str, Any], kind: str, observatory: str) -> str:
    try:
        url = str(info[kind][observatory])
    except (KeyError, TypeError):
        raise WebError(f"the CRDS server {info.get('server')} has no {kind} of {observatory}") from None
    if not url.startswith(("http://", "https://")):
        raise WebError(f"the CRDS server {info.get('server')} keeps its files at {url!r}, not on the web")
    return url.rstrip("/") + "/"
