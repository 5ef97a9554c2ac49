"""Fetching the exposures of a programme, from a stand-in that answers as the archive does, well or badly."""

import os
import re
from types import SimpleNamespace

import pytest

from calflow.archive.download import download
from calflow.archive.selection import archived_exposures, exposure_of
from calflow.configuration.problems import InputError
from calflow.configuration.settings import Settings, read_settings
from calflow.web import client
from calflow.web.client import Published, WebClient, WebError
from tests.mast_stand_in import archive

FIRST, SECOND = "jw01234001001_02101_00001_nrcb1", "jw01234001001_02101_00002_nrcb1"
LONG, SPECTRUM = "jw01234002001_02101_00001_nrcblong", "jw01234003001_02101_00001_nrs1"
OTHER = "jw04321001001_02101_00001_nrcb1"
POOLS = "jw01234_20240101t000000_pool.csv", "jw01234_20250101t000000_pool.csv"
COMBINED = "jw01234-o001_t001_nircam_clear-f200w"


@pytest.fixture
def mast(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MAST_API_TOKEN", raising=False)
    with archive() as stand_in:
        for name in (FIRST, SECOND, OTHER):
            stand_in.add(name)
        stand_in.add(LONG, targprop="SKY", targname="", filter="F444W", opticalElements="F444W;F405N")
        stand_in.add(SPECTRUM, instrume="NIRSPEC", exp_type="NRS_MSASPEC")
        stand_in.exposures.append(stand_in.exposures[0] | {"fileSetName": COMBINED})
        stand_in.files |= {pool: pool.encode() for pool in POOLS}
        yield stand_in


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between the attempts, of which none is made."""
    made = []
    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def fetch(mast, tmp_path, pauses):
    """Call `download` for programme 1234 and return its exit status and what it says; files go to ``data``."""

    def fetch(dry=False, retries=2, **wanted):
        settings = Settings.model_validate(
            {"input": str(tmp_path / "data"), "download": {"program": 1234, "url": mast.url} | wanted}
        )
        said = []
        status = download(settings, dry=dry, tell=said.append, retries=retries)
        return status, "\n".join(said)

    fetch.there = lambda: sorted(path.name for path in (tmp_path / "data").glob("[!.]*"))
    fetch.parts = lambda: sorted(path.name for path in (tmp_path / "data").glob(".*.part"))
    fetch.folder = tmp_path / "data"
    return fetch


def rates(*names):
    return sorted(f"{name}_rate.fits" for name in names)


def test_what_is_missing_is_fetched_and_nothing_twice(fetch, mast):
    status, said = fetch()
    assert status == 0
    assert fetch.there() == rates(FIRST, SECOND, LONG)
    for name in fetch.there():
        assert (fetch.folder / name).read_bytes() == mast.files[name]
    assert re.search(r"^obs +target +instrument +filter +files +MB +there$", said, re.MULTILINE)
    assert re.search(r"^1 +M-92 +NIRCAM +F200W +2 +0 +0$", said, re.MULTILINE)
    assert re.search(r"^2 +SKY +NIRCAM +F444W F405N +1 +0 +0$", said, re.MULTILINE)
    assert "left out: 1 exposures of type NRS_MSASPEC, no imaging" in said
    assert said.endswith("3 fetched, 0 were there")

    (fetch.folder / rates(SECOND)[0]).unlink()
    asked = mast.asked.copy()
    status, said = fetch()
    assert status == 0
    assert said.endswith("1 fetched, 2 were there")
    assert {name: count for name, count in (mast.asked - asked).items() if name.endswith(".fits")} == {
        rates(SECOND)[0]: 1
    }


def test_a_large_programme_is_asked_for_in_parts(fetch, mast, monkeypatch):
    monkeypatch.setattr("calflow.web.mast.FILESETS", 2)
    assert fetch()[0] == 0
    assert fetch.there() == rates(FIRST, SECOND, LONG)
    assert mast.asked["/search"] == 3  # five rows, two at a time
    assert mast.asked["/post_list_products"] == 2  # three images


def test_a_dry_run_fetches_nothing(fetch):
    status, said = fetch(dry=True)
    assert status == 0
    assert not fetch.folder.exists()
    assert said.endswith("3 files would be fetched, 0 are there")


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"observations": 2}, rates(LONG)),
        ({"observations": ["001"]}, rates(FIRST, SECOND)),
        ({"targets": "m-*"}, rates(FIRST, SECOND)),
        ({"targets": ["M 92", "SKY"]}, rates(FIRST, SECOND, LONG)),
        ({"filters": ["F405N"]}, rates(LONG)),
        ({"instruments": "NIRCAM", "filters": "f2*"}, rates(FIRST, SECOND)),
        ({"instruments": "NIRSPEC"}, []),
        ({"products": ["cal", "rateints"], "observations": 2}, [f"{LONG}_cal.fits", f"{LONG}_rateints.fits"]),
        ({"observations": 2, "pool": True}, [POOLS[1], *rates(LONG)]),
        ({"program": 4321}, rates(OTHER)),
    ],
)
def test_what_is_selected(fetch, wanted, names):
    status, _ = fetch(**wanted)
    assert status == 0
    assert fetch.there() == sorted(names)


@pytest.mark.parametrize(
    ("turns", "requests", "pause"),
    [
        (["busy"], 2, 7.0),
        (["broken", "broken"], 3, 4.0),
        (["cut"], 2, 2.0),
        (["longer"], 2, 2.0),
        (["damaged"], 2, 2.0),
        (["cut", "refused range"], 2, 2.0),
        (["slow"], 1, 0.0),
    ],
)
def test_what_passes_is_tried_again(fetch, mast, pauses, turns, requests, pause):
    name = rates(LONG)[0]
    mast.behaviour[name] = list(turns)
    status, _ = fetch(observations=2)
    assert status == 0
    assert (fetch.folder / name).read_bytes() == mast.files[name]
    assert mast.asked[name] == requests
    assert max(pauses, default=0.0) == pause
    half = len(mast.files[name]) // 2
    assert mast.ranges == ([f"bytes={half}-"] if turns == ["cut"] else [])


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("busy", "the archive answers 429 Too Many Requests (3 attempts)"),
        ("broken", "the archive answers 500 Internal Server Error (3 attempts)"),
        ("longer", "instead of"),
        ("damaged", "its SHA-256 is"),
        ("gone", "the archive answers 404 Not Found; it may have been made anew"),
    ],
)
def test_what_does_not_pass_is_told_and_the_others_are_fetched(fetch, mast, how, why):
    name = rates(SECOND)[0]
    mast.behaviour[name] = [how] * 3
    status, said = fetch()
    assert status == 1
    assert fetch.there() == rates(FIRST, LONG)
    (line,) = [line for line in said.splitlines() if line.startswith("failed: ")]
    assert line.startswith(f"failed: {name}: ")
    assert why in line
    assert said.endswith("2 fetched, 0 were there, 1 failed: the next call goes on from here")
    mast.behaviour.clear()
    status, said = fetch()
    assert status == 0
    assert said.endswith("1 fetched, 2 were there")


def test_a_file_that_was_cut_is_gone_on_with_by_the_next_call(fetch, mast):
    name = rates(LONG)[0]
    mast.behaviour[name] = ["cut"]
    assert fetch(observations=2, retries=0)[0] == 1
    assert fetch.there() == []
    assert fetch.parts() == [f".{name}.part"]
    assert fetch(observations=2)[0] == 0
    assert mast.ranges == [f"bytes={len(mast.files[name]) // 2}-"]
    assert (fetch.folder / name).read_bytes() == mast.files[name]


def test_a_part_that_is_of_something_else_is_begun_anew(fetch, mast):
    name = rates(LONG)[0]
    fetch.folder.mkdir()
    (fetch.folder / f".{name}.part").write_bytes(b"x" * 100)
    assert fetch(observations=2)[0] == 0
    assert (fetch.folder / name).read_bytes() == mast.files[name]
    assert mast.asked[name] == 2


def test_without_a_checksum_the_size_counts(fetch, mast):
    mast.checksums = False
    mast.behaviour[rates(LONG)[0]] = ["longer"]
    assert fetch(observations=2)[0] == 0


def test_proprietary_files_need_a_token(fetch, mast, monkeypatch):
    name = rates(LONG)[0]
    mast.proprietary.add(name)
    status, said = fetch()
    assert status == 1
    assert "1 file of these is proprietary: MAST_API_TOKEN is not set" in said
    assert f"failed: {name}: the archive answers 401 Unauthorized; it is proprietary: set MAST_API_TOKEN" in said
    assert mast.asked[name] == 1
    monkeypatch.setenv("MAST_API_TOKEN", "bad")
    assert "the token in MAST_API_TOKEN is of nobody who may have it" in fetch()[1]
    monkeypatch.setenv("MAST_API_TOKEN", "good")
    status, said = fetch()
    assert status == 0
    assert "good" not in said


def test_a_store_to_which_the_archive_leads_gets_no_token(fetch, mast, monkeypatch):
    monkeypatch.setenv("MAST_API_TOKEN", "good")
    name = rates(LONG)[0]
    mast.behaviour[name] = ["elsewhere", "cut", "elsewhere"]
    assert fetch(observations=2)[0] == 0
    assert (fetch.folder / name).read_bytes() == mast.files[name]
    assert len(mast.at_store) == 2
    assert all("Authorization" not in headers for headers in mast.at_store)
    assert mast.at_store[1]["Range"] == f"bytes={len(mast.files[name]) // 2}-"


def test_files_that_are_there_stay_as_they_are(fetch, mast):
    fetch.folder.mkdir()
    (fetch.folder / rates(FIRST)[0]).write_bytes(b"of my own")
    (fetch.folder / f"{rates(SECOND)[0]}.gz").write_bytes(b"packed")
    status, said = fetch()
    assert status == 1
    size = len(mast.files[rates(FIRST)[0]])
    assert f"failed: {rates(FIRST)[0]}: is there with 9 bytes, in the archive it has {size}: delete it" in said
    assert (fetch.folder / rates(FIRST)[0]).read_bytes() == b"of my own"
    assert mast.asked[rates(SECOND)[0]] == 0


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_files_at_once(fetch, mast, at_once):
    for name in rates(FIRST, SECOND, LONG):
        mast.behaviour[name] = ["slow"]
    assert fetch(at_once=at_once)[0] == 0
    assert mast.at_once == at_once


def test_without_a_network_nothing_happens(fetch):
    status, said = fetch(url="http://127.0.0.1:9", retries=0)
    assert status == 1
    assert said.startswith("nothing is fetched: the archive http://127.0.0.1:9 cannot be asked: no connection to the")
    assert not fetch.folder.exists()


def test_something_else_than_the_archive(fetch, mast):
    mast.search = lambda wanted: ["?"]
    status, said = fetch()
    assert status == 1
    assert "does not answer as the archive" in said


def test_names_that_lead_elsewhere_are_not_written(fetch, mast):
    mast.files["jw01234001001_02101_00001_nrcb1/../../x_rate.fits"] = b"x"
    assert fetch()[0] == 0
    assert fetch.there() == rates(FIRST, SECOND, LONG)


@pytest.mark.parametrize(
    ("wanted", "key", "text"),
    [
        ({"program": None}, "program", "is not set"),
        ({"program": 99}, "program", "the archive has no exposures of programme 99"),
        ({"filters": "F115W"}, "filters", "has 'F115W'; there are"),
        ({"observations": 7}, "observations", "has '7'; there are 1, 2, 3"),
        ({"targets": ["M-92", "M-93"]}, "targets", "has 'M-93'; there are"),
        ({"targets": "SKY", "filters": "F200W"}, "targets", "fits targets and filters together; select less"),
    ],
)
def test_wishes_that_cannot_be_met(fetch, wanted, key, text):
    with pytest.raises(InputError) as raised:
        fetch(**wanted)
    (problem,) = raised.value.problems
    assert problem.key == f"download.{key}"
    assert text in str(problem)
    assert not fetch.folder.exists()


def test_a_folder_that_cannot_be_made(fetch, tmp_path):
    (tmp_path / "file").touch()
    status, said = fetch(folder=str(tmp_path / "file" / "x"))
    assert status == 1
    assert "nothing is fetched: " in said
    assert "Not a directory" in said


def test_the_file_that_holds_a_wrong_wish_is_named(mast, tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(f"download: {{program: 99, url: '{mast.url}'}}\n")
    settings = read_settings({"download": {"program": 99, "url": mast.url}}, [file])
    with pytest.raises(InputError) as raised:
        download(settings, [file], tell=lambda line: None)
    assert raised.value.problems[0].file == str(file)


def test_an_exposure_is_known_by_the_names_of_its_files():
    row = dict.fromkeys("observtn targprop targname instrume filter opticalElements exp_type".split(), "1")
    exposures = archived_exposures([row | {"fileSetName": name} for name in (FIRST, COMBINED, FIRST[:-6])])
    assert [exposure.name for exposure in exposures] == [FIRST[:-6], FIRST]
    by_name = {exposure.name: exposure for exposure in exposures}
    assert exposure_of(f"{FIRST}_rate.fits", by_name).name == FIRST
    assert exposure_of(f"{FIRST[:-6]}_nrca1_rateints.fits", by_name).name == FIRST[:-6]
    assert exposure_of(f"{LONG}_rate.fits", by_name) is None


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ({"Digest": "SHA-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, True),
        ({"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, True),
        ({"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfA=="}, False),
        ({"x-amz-checksum-sha1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}, True),
        ({"x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-3"}, True),  # of parts, not of it all
        ({"Repr-Digest": "unixsum=:AA==:, md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"}, True),
        ({"Repr-Digest": "md5=:no base 64:"}, True),
        ({"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'}, True),
        ({"ETag": '"00000000000000000000000000000000"'}, True),
    ],
)
def test_checksums_that_come_with_a_file(headers, right, tmp_path, monkeypatch, pauses):
    # All are of no bytes at all.
    web = WebClient(0, 5.0)
    answer = SimpleNamespace(headers=headers, status_code=200, raw=SimpleNamespace(stream=lambda *_, **__: iter(())))

    class Answered:
        def __enter__(self):
            return answer

        def __exit__(self, *_):
            return False

    monkeypatch.setattr(web, "_answer", lambda *_: Answered())
    if right:
        web.download("http://x", tmp_path / "x", Published(0))
        assert os.path.getsize(tmp_path / "x") == 0
    else:
        with pytest.raises(WebError, match="its MD5 is"):
            web.download("http://x", tmp_path / "x", Published(0))
