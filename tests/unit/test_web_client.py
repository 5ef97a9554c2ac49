"""The client for all servers, beside what the tests of CRDS and of Gaia ask of it."""

import gzip
import hashlib
import shutil
import ssl
import subprocess
import sys
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from calflow.web import client
from calflow.web.client import Published, WebClient, WebError

CONTENT = bytes(range(256)) * 4
SCRIPTS = Path(client.__file__).parents[2]


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between the attempts, of which none is made."""
    made = []
    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def server(monkeypatch):
    """A server that keeps connections, and answers with (status, headers, bytes) in turn, the last one for ever."""
    monkeypatch.setenv("no_proxy", "*")
    told = SimpleNamespace(answers=[(200, {}, CONTENT)], connections=set(), asked=[])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            told.connections.add(self.client_address)
            told.asked.append(dict(self.headers))
            status, headers, body = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.http = http
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{http.server_port}/file"
    yield told
    http.shutdown()
    thread.join()
    http.server_close()


def in_many_years():
    return formatdate(4102444800, usegmt=True)  # 2100-01-01


@pytest.mark.parametrize(
    ("status", "asked_for", "pause"),
    [
        (429, "7", 7.0),
        (503, "7", 7.0),
        (429, "1", client.PAUSE),  # never less than without it
        (429, "86400", client.LONGEST_PAUSE),
        (429, in_many_years(), client.LONGEST_PAUSE),
        (429, "soon", client.PAUSE),
        (429, "-3", client.PAUSE),
    ],
)
def test_pause_that_the_server_asks_for(server, pauses, status, asked_for, pause):
    server.answers = [(status, {"Retry-After": asked_for}, b""), (200, {}, b"yes")]
    web = WebClient(2, 5.0)
    assert web.attempt("it", lambda: web.read(server.url)) == "yes"
    assert pauses == [pause]


def test_connection_is_kept(server, tmp_path):
    web = WebClient(0, 5.0)
    for name in ("a", "b", "c"):
        web.download(server.url, tmp_path / name, Published(len(CONTENT)))
    assert len(server.asked) == 3
    assert len(server.connections) == 1


def test_what_is_downloaded_is_not_unpacked(server, tmp_path):
    """Size and checksum are those of the file, which may be a packed one that the server declares as such."""
    packed = gzip.compress(CONTENT)
    server.answers = [(200, {"Content-Encoding": "gzip"}, packed)]
    published = Published(len(packed), hashlib.sha256(packed).hexdigest(), "sha256")
    WebClient(0, 5.0).download(server.url, tmp_path / "a.fits.gz", published)
    assert (tmp_path / "a.fits.gz").read_bytes() == packed
    assert server.asked[0]["Accept-Encoding"] == "identity"


def test_checksum_of_another_kind(server, tmp_path):
    published = Published(len(CONTENT), "0" * 32, "md5")
    with pytest.raises(WebError, match=r"its MD5 is [0-9a-f]{32} instead of 0{32} \(1 attempt\)"):
        WebClient(0, 5.0).download(server.url, tmp_path / "a", published)
    assert list(tmp_path.iterdir()) == []


def test_text_that_was_packed_for_the_way_is_unpacked(server):
    server.answers = [(200, {"Content-Encoding": "gzip"}, gzip.compress(b"\xef\xbb\xbfra,dec"))]
    assert WebClient(0, 5.0).read(server.url) == "ra,dec"


def test_redirected(server):
    server.answers = [(302, {"Location": "/elsewhere"}, b""), (200, {}, b"there")]
    assert WebClient(0, 5.0).read(server.url) == "there"


def test_going_round_in_circles_is_told(server, pauses):
    server.answers = [(302, {"Location": "/file"}, b"")]
    web = WebClient(0, 5.0)
    with pytest.raises(WebError, match="30 redirects"):
        web.attempt("it", lambda: web.read(server.url))


def test_folder_that_cannot_be_written_is_not_tried_again(server, pauses, tmp_path):
    (tmp_path / ".a.part").mkdir()
    with pytest.raises(WebError, match=r"\.a\.part: Is a directory"):
        WebClient(2, 5.0).download(server.url, tmp_path / "a", Published(10**4))
    assert pauses == []


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")
def test_certificate_that_this_machine_trusts(server, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    web = WebClient(0, 5.0)
    with pytest.raises(WebError, match=r"no connection to the server: .*certificate"):
        web.attempt("it", lambda: web.read(url))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server.answers = [(200, {}, b"trusted")]
    assert WebClient(0, 5.0).read(url) == "trusted"


def test_planning_has_no_client():
    """Importing it takes longer than all else that planning imports when everything is remembered."""
    code = "import sys; import calflow.plan.planner; print({'requests', 'calflow.web'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
