"""A CRDS cache that is made up, and a stand-in of the CRDS server on this machine, which can be told to misbehave."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DATE = ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")


def write_mapping(folder: Path, name: str, selector: str, **header: Any) -> None:
    """Write a mapping with its checksum."""
    observatory = name.partition("_")[0].upper()
    lines = ["header = {", f"    'name' : {name!r},", f"    'observatory' : {observatory!r},"]
    lines += ["    'derived_from' : 'test',", *(f"    {key!r} : {value!r}," for key, value in header.items())]
    rest = ["}", "", f"selector = {selector}", ""]
    checksum = hashlib.sha1("\n".join([*lines, *rest]).encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([*lines, f"    'sha1sum' : '{checksum}',", *rest]))


def write_context(folder: Path, number: int, instrument: str, rules: Mapping[str, Mapping[str, str] | str]) -> str:
    """Write a context of one instrument into ``mappings/jwst`` and return its name.

    Parameters
    ----------
    folder : Path
    number : int
        Part of the names of its mappings.
    instrument : str
        Such as ``miri``.
    rules : mapping of type to reference
        One file for all exposures, or files by FILTER.
    """
    for reftype, files in rules.items():
        by_filter = {"N/A": files} if isinstance(files, str) else files
        body = "".join(
            f"    ({key!r},) : UseAfter({{\n        '2018-01-01 00:00:00' : {name!r},\n    }}),\n"
            for key, name in by_filter.items()
        )
        kinds = {"mapping": "REFERENCE", "instrument": instrument.upper()}
        kinds |= {"filekind": reftype.upper(), "filetype": reftype.upper()}
        name = f"jwst_{instrument}_{reftype}_{number}.rmap"
        parkey, classes = (("META.INSTRUMENT.FILTER",), DATE), ("Match", "UseAfter")
        write_mapping(folder, name, f"Match({{\n{body}}})", **kinds, parkey=parkey, classes=classes)
    names = "".join(f"    {reftype!r} : 'jwst_{instrument}_{reftype}_{number}.rmap',\n" for reftype in sorted(rules))
    imap = f"jwst_{instrument}_{number}.imap"
    kinds = {"mapping": "INSTRUMENT", "instrument": instrument.upper()}
    write_mapping(folder, imap, f"{{\n{names}}}", **kinds, parkey=("REFTYPE",))
    pmap = f"jwst_{number}.pmap"
    selector = f"{{\n    {instrument.upper()!r} : {imap!r},\n}}"
    write_mapping(folder, pmap, selector, mapping="PIPELINE", parkey=("META.INSTRUMENT.NAME",))
    return pmap


@dataclass
class StandIn:
    """What the server has, and how it misbehaves.

    Attributes
    ----------
    url : str
    files : mapping of name to bytes
        References and mappings.
    contexts : mapping of context to the names of its mappings
    operational : str
    published : mapping of name to dict
        What it publishes of a file in place of the truth: ``size``, ``sha1sum``.
    faults : mapping of name, or of method, to list
        What happens at the next requests: a status, ``cut`` (after half) or ``garbled``.
    delay : float
        Seconds that a download takes.
    requests : list of str
        Names and methods, in the order in which they were asked for; a resumed one with ``@`` and its beginning.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    contexts: dict[str, list[str]] = field(default_factory=dict)
    operational: str = "jwst_9000.pmap"
    published: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    delay: float = 0.0
    requests: list[str] = field(default_factory=list)

    def downloads(self) -> list[str]:
        """Return the names of the files that were asked for."""
        return [request for request in self.requests if "." in request]

    def call(self, method: str, params: list[Any]) -> Any:
        """Return the result of a method."""
        if method == "get_server_info":
            return {
                "observatory": "jwst",
                "operational_context": self.operational,
                "bad_files_list": [],
                "reference_url": {"unchecked": {"jwst": f"{self.url}/references/"}},
                "mapping_url": {"unchecked": {"jwst": f"{self.url}/mappings"}},
            }
        if method == "get_mapping_names":
            return self.contexts[params[0]]
        if method == "get_reference_names":
            return [name for name in self.files if not name.endswith("map")]
        if method == "get_file_info_map":
            return {name: self._published(name) for name in params[1]}
        raise KeyError(f"no method {method}")

    def _published(self, name: str) -> dict[str, str] | str:
        if name not in self.files:
            return "NOT FOUND unknown to server"
        content = self.files[name]
        truth = {"size": str(len(content)), "sha1sum": hashlib.sha1(content).hexdigest()}
        return truth | self.published.get(name, {})


@contextmanager
def serving(server: StandIn) -> Iterator[StandIn]:
    """Let it answer, at a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_POST(self) -> None:
            method = self.path.strip("/").split("/")[1]
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                answer = {"result": server.call(method, request["params"]), "error": None}
            except KeyError as error:
                answer = {"result": None, "error": {"message": str(error)}}
            self._answer(method, json.dumps(answer).encode())

        def do_GET(self) -> None:
            name = Path(self.path).name
            time.sleep(server.delay)
            begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            self._answer(name, server.files.get(name), begin)

        def _answer(self, what: str, content: bytes | None, begin: int = 0) -> None:
            server.requests.append(f"{what}@{begin}" if begin else what)
            faults = server.faults.get(what) or [None]
            fault = faults.pop(0)
            if content is None or isinstance(fault, int):
                self.send_error(fault if isinstance(fault, int) else 404)
                return
            content = bytes(len(content)) if fault == "garbled" else content
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            self.wfile.write(content[begin : len(content) // 2] if fault == "cut" else content[begin:])

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
