"""Astrometric catalogues from a web service: here one on this machine."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

import fetch_catalog as rule_script
from calflow.files.geometry_files import write_geometry
from calflow.files.star_lists import read_sky_catalog
from calflow.inputs.times import decimal_year
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.output_grid import InputPixels
from calflow.science.geometry.smooth_map import SmoothMap
from calflow.science.geometry.tangent_plane import to_sky
from calflow.web import astrometric_catalogs, client
from calflow.web.astrometric_catalogs import (
    Cone,
    cone_around,
    fetch_catalog,
    read_answer,
    write_astrometric_catalog,
)
from calflow.web.client import TemporaryError, WebError

CONE = Cone(83.633083, -22.0145, 0.04)
ANSWER = """# Gaia DR3
objID,ra,dec,raErr,decErr,mag,pmra,pmdec
4295806720000000001,83.60000000123,-22.01,0.11,0.12,15.5,1.5,-2.5
4295806720000000002,83.61,-22.02,0.13,0.14,19.25,0.1,0.2
4295806720000000003,83.62,-22.03,0.15,0.16,18.0,,
4295806720000000004,83.63,-22.04,0.17,0.18,,3.0,4.0
4295806720000000005,83.64,-22.05,0.19,0.20,17.0,5.0,
"""
HEADER = "\n".join(ANSWER.splitlines()[:2]) + "\n"


class Service:
    """A web service that gives the answers it was told, one after the other and the last one again and again."""

    def __init__(self):
        self.answers = []
        self.asked = []
        self.url = ""

    def gives(self, *answers):
        """Each is (status, text), a function of the request handler, or a text."""
        self.answers = list(answers)


@pytest.fixture
def service(monkeypatch):
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            service.asked.append(self.path)
            answer = service.answers.pop(0) if len(service.answers) > 1 else service.answers[0]
            if callable(answer):
                answer(self)
                return
            status, text = (200, answer) if isinstance(answer, str) else answer
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/webservices"
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("ASTROMETRIC_CATALOG_URL", raising=False)
    yield service
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses between the attempts, of which none is made."""
    made = []
    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=made.append))
    return made


def fetch(service, name="GAIADR3", retries=2):
    return fetch_catalog(name, CONE, 2023.1917808, service.url, retries)


def test_the_stars_with_proper_motions_from_faint_to_bright(service):
    service.gives(ANSWER)
    catalog = fetch(service)
    # A star without a magnitude counts as the faintest.
    assert catalog["objID"].tolist() == [4295806720000000004, 4295806720000000002, 4295806720000000001]
    assert catalog["ra"].tolist() == [83.63, 83.61, 83.60000000123]
    assert catalog["dec"].tolist() == [-22.04, -22.02, -22.01]
    assert catalog["raErr"].tolist() == [0.17, 0.13, 0.11]
    assert catalog["mag"].tolist() == [None, 19.25, 15.5]
    assert catalog["ra"].unit == catalog["dec"].unit == "deg"


def test_what_is_asked(service):
    service.gives(ANSWER)
    fetch(service, "gaiadr2")
    (asked,) = service.asked
    assert urlsplit(asked).path == "/webservices/vo/CatalogSearch.aspx"
    assert parse_qs(urlsplit(asked).query) == {
        "RA": ["83.633083000"],
        "DEC": ["-22.014500000"],
        "EPOCH": ["2023.1918"],
        "SR": ["0.040000000"],
        "FORMAT": ["CSV"],
        "CAT": ["GAIADR2"],
    }


def test_the_name_of_another_server_of_gaia_dr3(service):
    service.gives(ANSWER)
    catalog = fetch(service, "GaiaDR3_S3")
    assert parse_qs(service.asked[0])["CAT"] == ["GAIADR3"]
    assert catalog.meta["catalog"] == "GAIADR3_S3"


@pytest.mark.parametrize("ending", ["", "/", "/vo/CatalogSearch.aspx"])
def test_the_service_of_the_environment(service, monkeypatch, ending):
    service.gives(ANSWER)
    monkeypatch.setenv("ASTROMETRIC_CATALOG_URL", service.url + ending)
    assert len(fetch_catalog("GAIADR3", CONE, 2023.2)) == 3
    assert service.asked[0].startswith("/webservices/vo/CatalogSearch.aspx?RA=")


def test_the_default_service():
    source = astrometric_catalogs._query("GAIADR3", CONE, 2023.2, None)
    assert source.startswith("https://gsss.stsci.edu/webservices/vo/CatalogSearch.aspx?RA=")


@pytest.mark.parametrize("url", ["gsss.stsci.edu", "file:///etc/passwd", "ftp://gsss.stsci.edu"])
def test_an_address_that_is_none_of_the_web(url):
    with pytest.raises(WebError, match="is no address of a catalogue service"):
        fetch_catalog("GAIADR3", CONE, 2023.2, url)


@pytest.mark.parametrize("url", ["http://host name/", "http://host:port"])
def test_a_malformed_address(url):
    with pytest.raises(WebError, match="is no URL"):
        fetch_catalog("GAIADR3", CONE, 2023.2, url)


def test_the_file_is_what_was_fetched_and_always_the_same(service, tmp_path):
    service.gives(ANSWER)
    for name in ("a.ecsv", "b.ecsv"):
        write_astrometric_catalog(tmp_path / name, fetch(service))
    assert (tmp_path / "a.ecsv").read_bytes() == (tmp_path / "b.ecsv").read_bytes()
    catalog = Table.read(tmp_path / "a.ecsv")
    assert catalog.meta == {
        "catalog": "GAIADR3",
        "epoch": 2023.1917808,
        "centre": [83.633083, -22.0145],
        "radius": 0.04,
        "source": service.url + service.asked[0].removeprefix("/webservices"),
    }
    stars = read_sky_catalog(tmp_path / "a.ecsv")
    assert stars.positions.tolist() == [[83.63, -22.04], [83.61, -22.02], [83.60000000123, -22.01]]
    assert (stars.weight, stars.epoch) == (None, 2023.1917808)
    assert catalog["objID"][0] == 4295806720000000004
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ecsv", "b.ecsv"]


def test_no_star_is_a_catalogue_too(service, tmp_path):
    service.gives(HEADER)
    write_astrometric_catalog(tmp_path / "a.ecsv", fetch(service))
    stars = read_sky_catalog(tmp_path / "a.ecsv")
    assert stars.positions.shape == (0, 2)
    assert len(service.asked) == 1


def test_no_star_with_a_proper_motion(tmp_path):
    text = "ra,dec,mag,pmra,pmdec\n1.0,2.0,18.0,,\n1.1,2.1,17.0,null,null\n"
    write_astrometric_catalog(tmp_path / "a.ecsv", read_answer(text, "http://x"))
    assert read_sky_catalog(tmp_path / "a.ecsv").positions.shape == (0, 2)


def test_the_order_of_the_answer_does_not_matter():
    lines = ["1.0,2.0,18.0", "1.1,2.1,18.0", "1.1,2.0,18.0", "1.2,2.0,19.0"]
    header = "ra,dec,mag\n"
    one, two = (read_answer(header + "\n".join(order), "x") for order in (lines, lines[::-1]))
    assert one["ra"].tolist() == two["ra"].tolist() == [1.2, 1.0, 1.1, 1.1]
    assert one["dec"].tolist() == two["dec"].tolist() == [2.0, 2.0, 2.0, 2.1]


def test_columns_without_proper_motion_and_magnitude():
    catalog = read_answer("Gaia\r\nRA, DEC\r\n2.0, 5.0\r\n1.0, 6.0\r\n", "x")
    assert catalog["RA"].tolist() == [1.0, 2.0]
    assert catalog["DEC"].tolist() == [6.0, 5.0]


def test_a_star_without_a_position_is_left_out():
    assert read_answer("ra,dec\n2.0,\n1.0,6.0\n", "x")["ra"].tolist() == [1.0]


def test_the_second_further_attempt_succeeds(service, pauses):
    service.gives((503, "busy"), (503, "busy"), ANSWER)
    assert len(fetch(service)) == 3
    assert len(service.asked) == 3
    assert pauses == [2.0, 4.0]


def test_a_service_that_stays_away(service, pauses):
    service.gives((503, "busy"))
    with pytest.raises(WebError) as caught:
        fetch(service)
    message = str(caught.value)
    assert message.startswith("GAIADR3 could not be fetched: the service answers 503 Service Unavailable (3 attempts, ")
    assert f"{service.url}/vo/CatalogSearch.aspx?RA=83.633083000&" in message
    assert message.endswith("run again when there is a network, or set stage3.tweakreg.abs_refcat to a catalogue file")
    assert "\n" not in message
    assert len(service.asked) == 3
    assert pauses == [2.0, 4.0]


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (400, 1), (408, 3), (429, 3), (500, 3)])
def test_which_refusals_may_be_temporary(service, status, attempts):
    service.gives((status, "no"))
    with pytest.raises(WebError, match=f"the service answers {status} "):
        fetch(service)
    assert len(service.asked) == attempts


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!DOCTYPE html>\n<html><body>Error</body></html>", "its answer begins with '<!DOCTYPE html>'"),
        ("\n  Error: unknown catalog\n", "its answer begins with 'Error: unknown catalog'"),
        ("a,b\n1,2\n3,4\nra,dec\n", "its answer begins with 'a,b'"),
        ("", "its answer is empty"),
        ("\n \n", "its answer is empty"),
        ("x" * 1000, f"its answer begins with '{'x' * 100}'"),
    ],
)
def test_what_is_no_table_of_stars(service, text, told):
    service.gives(text)
    with pytest.raises(WebError) as caught:
        fetch(service)
    assert str(caught.value).endswith(f"did not answer with a table of ra and dec: {told}")
    assert service.url in str(caught.value)
    assert len(service.asked) == 1


@pytest.mark.parametrize("text", ["ra,dec\nnorth,1.0\n", "ra,dec,pmra\n1.0,2.0,fast\n", "ra,dec,mag\n1.0,2.0,bright\n"])
def test_columns_that_are_not_of_numbers(text):
    with pytest.raises(WebError, match=r"the column (ra|pmra|mag) of http://x is not of numbers"):
        read_answer(text, "http://x")


def test_an_answer_cut_within_a_row():
    with pytest.raises(TemporaryError, match="incomplete"):
        read_answer(ANSWER[:-30], "x")


def cut_short(handler):
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(ANSWER) + 100))
    handler.end_headers()
    handler.wfile.write(ANSWER.encode())


def hang_up(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("failure", [cut_short, hang_up, ANSWER[:-30]])
def test_an_answer_cut_short_is_asked_for_again(service, failure):
    service.gives(failure, ANSWER)
    assert len(fetch(service)) == 3
    service.gives(failure)
    with pytest.raises(WebError, match=r"incomplete|no connection"):
        fetch(service)
    assert len(service.asked) == 5


def silent(handler):
    time.sleep(0.3)


def silent_in_the_middle(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(ANSWER)))
    handler.end_headers()
    handler.wfile.write(ANSWER[:50].encode())
    handler.wfile.flush()
    time.sleep(0.3)


@pytest.mark.parametrize("failure", [silent, silent_in_the_middle])
def test_a_service_that_does_not_answer_in_time(service, monkeypatch, failure):
    monkeypatch.setattr(astrometric_catalogs, "TIMEOUT", 0.1)
    service.gives(failure)
    with pytest.raises(WebError, match=r"no answer within 0\.1 s \(2 attempts"):
        fetch(service, retries=1)
    assert len(service.asked) == 2


def test_no_server(monkeypatch, pauses):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(WebError, match=r"no connection to the service: .*refused \(5 attempts"):
            fetch_catalog("GAIADR3", CONE, 2023.2, url, retries=4)
    assert pauses == [2.0, 4.0, 8.0, 16.0]


def test_no_network(monkeypatch, pauses):
    def lookup(*args, **kwargs):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("ASTROMETRIC_CATALOG_URL", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(WebError) as caught:
        fetch_catalog("gaiadr3", CONE, 2023.2, retries=0)
    assert str(caught.value).startswith(
        "GAIADR3 could not be fetched: there is no network, or no such server: Temporary failure in name resolution "
        "(1 attempt, https://gsss.stsci.edu/webservices/vo/CatalogSearch.aspx?RA="
    )
    assert pauses == []


def square(ra, dec, half):
    """Return the corners of a square, with sides of right ascension and declination."""
    across = half / np.cos(np.radians(dec))
    return np.array(
        [[ra - across, dec - half], [ra - across, dec + half], [ra + across, dec + half], [ra + across, dec - half]]
    )


def test_the_cone_around_a_square():
    cone = cone_around(square(10.0, 0.0, 0.01))
    assert (cone.ra, cone.dec) == pytest.approx((10.0, 0.0), abs=1e-9)
    assert cone.radius == pytest.approx(0.01 * 2**0.5, rel=1e-7)


def test_the_cone_around_two_exposures():
    cone = cone_around(np.stack([square(10.0, 0.0, 0.01), square(10.06, 0.0, 0.01)]))
    assert (cone.ra, cone.dec) == pytest.approx((10.03, 0.0), abs=1e-8)
    assert cone.radius == pytest.approx(np.hypot(0.04, 0.01), rel=1e-6)


def test_the_cone_across_right_ascension_0():
    cone = cone_around(square(0.005, 60.0, 0.01) % 360.0)
    assert cone.ra == pytest.approx(0.005, abs=1e-5)
    assert cone.dec == pytest.approx(60.0, abs=1e-5)
    assert cone.radius == pytest.approx(0.01 * 2**0.5, rel=1e-3)


def test_the_cone_at_the_pole():
    corners = np.array([[0.0, 89.98], [90.0, 89.98], [180.0, 89.98], [270.0, 89.98]])
    cone = cone_around(corners)
    assert cone.dec == pytest.approx(90.0, abs=1e-9)
    assert cone.radius == pytest.approx(0.02, rel=1e-9)


@given(st.floats(0, 359.99), st.floats(-89.5, 89.5), st.floats(0.005, 0.2), st.floats(0.0, 360.0))
def test_the_cone_holds_every_corner_and_touches_one(ra, dec, half, turn):
    turns = np.radians(turn + np.array([45.0, 135.0, 225.0, 315.0]))
    corners = to_sky(3600 * half * np.stack([np.sin(turns), np.cos(turns)], axis=-1), (ra, dec))
    cone = cone_around(corners)
    away = SkyCoord(*corners.T, unit="deg").separation(SkyCoord(cone.ra, cone.dec, unit="deg")).deg
    assert away.max() == pytest.approx(cone.radius, rel=1e-6)
    assert cone.radius == pytest.approx(half, rel=0.3)


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("2023-01-01", 2023.0),
        ("2023-03-12", 2023 + 70 / 365),
        ("2024-03-12", 2024 + 71 / 366),
        ("2024-12-31", 2024 + 365 / 366),
        ("2023-07-02T12:00:00.000", 2023.5),
        (" 2023-03-12 ", 2023 + 70 / 365),
        ("9999-01-01", 9999.0),
    ],
)
def test_decimal_year(date, year):
    assert decimal_year(date) == pytest.approx(year, abs=1e-12)


@pytest.mark.parametrize("date", ["", "2023", "12/03/2023", "2023-02-29", "None"])
def test_what_is_no_date(date):
    with pytest.raises(ValueError, match="is no date; it should be like 2023-03-12"):
        decimal_year(date)


def geometry(ra, dec, half):
    """Return the geometry of 100 x 100 pixels that reach half arcsec from the middle in x and y."""
    coefficients = np.zeros((2, 2, 2))
    coefficients[0, 1, 0] = coefficients[1, 0, 1] = half
    forward = SmoothMap((-0.5, 99.5), (-0.5, 99.5), coefficients)
    return Geometry((100, 100), (ra, dec), forward, forward, InputPixels(1.0, 1.0, 0.0, -1))  # the inverse is not used


def test_the_rule_script(service, tmp_path):
    service.gives(ANSWER)
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, ra in zip(paths, (10.0, 10.02), strict=True):
        write_geometry(path, geometry(ra, 0.0, 36.0))
    rule_script.fetch(
        SimpleNamespace(geometries=paths),
        SimpleNamespace(catalog=tmp_path / "gaia.ecsv"),
        SimpleNamespace(catalog="GAIADR3", epoch=2023.5, url=service.url, retries=0),
    )
    meta = Table.read(tmp_path / "gaia.ecsv").meta
    assert meta["centre"] == pytest.approx([10.01, 0.0], abs=1e-7)
    assert meta["radius"] == pytest.approx(np.hypot(0.02, 0.01), rel=1e-5)
    assert len(read_sky_catalog(tmp_path / "gaia.ecsv").positions) == 3


def test_a_failed_job_leaves_no_file(service, tmp_path):
    service.gives((503, "busy"))
    write_geometry(tmp_path / "a.json", geometry(10.0, 0.0, 36.0))
    with pytest.raises(WebError):
        rule_script.fetch(
            SimpleNamespace(geometries=[tmp_path / "a.json"]),
            SimpleNamespace(catalog=tmp_path / "gaia.ecsv"),
            SimpleNamespace(catalog="GAIADR3", epoch=2023.5, url=service.url, retries=0),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
