"""A local server that answers as the archive of JWST does, well or badly."""

import base64
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MOST = 2  # exposures in one answer, whatever was asked for
REFUSALS = {"busy": 429, "broken": 500, "gone": 404}
BEHAVIOURS = (*REFUSALS, "elsewhere", "cut", "longer", "damaged", "slow", "refused range")


@dataclass
class MastStandIn:
    """What the archive has, and what was asked of it.

    Attributes
    ----------
    exposures : list of dict
        As the archive's search tells them.
    files : dict of str to bytes
        Content by name; that of an exposure begins with its ``fileSetName``.
    behaviour : dict of str to list of str
        By the name of a file, how its next requests are answered, of `BEHAVIOURS`; then it is sent.
    proprietary : set of str
        Names of files that only the token ``good`` opens.
    checksums : bool
        Whether files come with a checksum.
    """

    exposures: list[dict] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    behaviour: dict[str, list[str]] = field(default_factory=dict)
    proprietary: set[str] = field(default_factory=set)
    checksums: bool = True
    url: str = ""
    asked: Counter = field(default_factory=Counter)  # by path, files by name
    ranges: list[str] = field(default_factory=list)
    at_store: list[dict] = field(default_factory=list)  # the headers of requests that were led on to a store
    at_once: int = 0  # the most files that were being sent at a time
    under_way: int = 0

    def add(self, name: str, **more: str) -> None:
        """Add an exposure with its files ``_rate``, ``_rateints`` and ``_cal``."""
        row = {
            "fileSetName": name,
            "observtn": str(int(name[7:10])),
            "targprop": "M-92",
            "targname": "M 92",
            "instrume": "NIRCAM",
            "filter": "F200W",
            "opticalElements": "F200W;CLEAR",
            "exp_type": "NRC_IMAGE",
        }
        self.exposures.append(row | more)
        for number, suffix in enumerate(("rate", "rateints", "cal"), 1):
            self.files[f"{name}_{suffix}.fits"] = f"{name} {suffix} ".encode() * 1000 * number

    def search(self, wanted: dict) -> dict:
        """Answer a search."""
        (condition,) = wanted["conditions"]
        rows = [row for row in self.exposures if row["fileSetName"].startswith(f"jw{int(condition['program']):05d}")]
        part = rows[wanted["offset"] :][: min(MOST, wanted["limit"])]
        return {
            "totalResults": len(rows),
            "results": [{key: row[key] for key in wanted["select_cols"]} for row in part],
        }

    def products(self, filesets: list[str]) -> dict:
        """Answer what files there are."""
        return {
            "products": [
                {
                    "filename": name,
                    "uri": f"{fileset}/{name}",
                    "size": len(content),
                    "access": "EXCLUSIVE" if name in self.proprietary else "PUBLIC",
                    "dataset": fileset,
                }
                for fileset in filesets
                for name, content in self.files.items()
                if name.startswith(fileset) or name.endswith("_pool.csv")
            ]
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: MastStandIn
    lock: threading.Lock

    def log_message(self, *arguments):
        """Say nothing."""

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.stand_in.asked[self.path] += 1
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_search = self.path == "/search"
        answer = self.stand_in.search(wanted) if is_search else self.stand_in.products(wanted["dataset_ids"])
        self.answer(200, json.dumps(answer).encode())

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        self.send_file(query["product_name"][0].rpartition("/")[2])

    def send_file(self, name: str) -> None:
        """Send a file in the way that is its turn."""
        stand_in = self.stand_in
        stand_in.asked[name] += 1
        content = stand_in.files[name]
        turns = stand_in.behaviour.get(name, [])
        how = turns.pop(0) if turns else ""
        if how == "elsewhere":  # the same server under another name, with the rest of the turns
            self.answer(302, b"", Location=f"http://localhost:{urlsplit(stand_in.url).port}{self.path}&signed=1")
            return
        if "&signed=1" in self.path:
            stand_in.at_store.append(dict(self.headers))
        if how in REFUSALS:
            self.answer(REFUSALS[how], b"", Retry_After="7" if how == "busy" else "0")
            return
        if name in stand_in.proprietary and self.headers.get("Authorization") != "token good":
            self.answer(401, b"")
            return
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers = {"Repr-Digest": f"sha-256=:{checksum}:"} if stand_in.checksums else {}
        begin = 0
        if how != "refused range" and (asked := self.headers.get("Range")):
            stand_in.ranges.append(asked)
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self.send(content[begin:], how, headers, 206 if begin else 200)

    def send(self, sent: bytes, how: str, headers: dict[str, str], status: int) -> None:
        """Send bytes, and count how many files are being sent."""
        if how == "longer":
            sent += b"more"
        elif how == "damaged":
            sent = sent[:-1] + bytes([sent[-1] ^ 1])
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(sent))}.items():
            self.send_header(header, value)
        self.end_headers()
        if how == "cut":
            sent = sent[: len(sent) // 2]
            self.close_connection = True
        with self.lock:
            self.stand_in.under_way += 1
            self.stand_in.at_once = max(self.stand_in.at_once, self.stand_in.under_way)
        for start in range(0, len(sent), 4096):
            time.sleep(0.03 if how == "slow" else 0.0)
            if start + 4096 >= len(sent):  # before the client has it all, and asks for the next
                with self.lock:
                    self.stand_in.under_way -= 1
            self.wfile.write(sent[start : start + 4096])


@contextmanager
def archive() -> Iterator[MastStandIn]:
    """Yield a stand-in that answers."""
    stand_in = MastStandIn()
    handler = type("Handler", (_Handler,), {"stand_in": stand_in, "lock": threading.Lock()})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield stand_in
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
