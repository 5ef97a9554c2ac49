"""What a product was made of is told from records: with digests and causes, and with what is wrong with a record."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from calflow.engine.graph_jobs import GraphJob
from calflow.engine.reasons import Cause
from calflow.engine.records import DamagedRecord, Record, place_of_record, read_record, record_file
from calflow.jobs.rules import stamps
from calflow.provenance.lineage import digest_of, lineage_of, named_parameters

CODE, LIBRARIES = "'0123456789ab'", "'libraries: numpy 2.4, photutils 3.0.0'"


def record(folder: Path, path: str, rule: str, inputs: list[str], *params: str, **checksums: str) -> None:
    """Write a record as Snakemake does, whose names of files are such as ``cmVzdWx0cw==``."""
    place = folder / ".snakemake/metadata" / urlsafe_b64encode(path.encode()).decode()
    place.parent.mkdir(parents=True, exist_ok=True)
    tree = {"rule": rule, "input": inputs, "params": sorted(params), "input_checksums": checksums["digests"]}
    place.write_text(json.dumps(tree))


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A rate and a flat, a cal of both, and a catalogue of that."""
    monkeypatch.chdir(tmp_path)
    for name in ("rate.fits", "flat.fits", "cal.fits", "cat.ecsv"):
        Path(name).write_text(name)
    stamped = repr(stamps(["rate.fits", "flat.fits"]))
    record(Path(), "cal.fits", "calibrate", ["flat.fits", "rate.fits"], CODE, LIBRARIES, stamped, "['SCI']", digests={})
    digest = f"sha256:{sha256(b'cal.fits').hexdigest()}"
    record(Path(), "cat.ecsv", "catalog_sources", ["cal.fits"], CODE, "{'npixels': 25}", digests={"cal.fits": digest})


JOBS = {
    "cat.ecsv": GraphJob({"source_catalog": "{'npixels': 25}"}),
    "cal.fits": GraphJob({"images": "['SCI']"}),
}


def lineage(path="cat.ecsv", jobs=JOBS, **others):
    return lineage_of(Path(), path, jobs, lambda name: name == "flat.fits", **others)


def test_a_product_leads_to_exposure_and_reference(made):
    found = lineage()
    assert found.today == "current"
    assert found.digest == f"sha256:{sha256(b'cat.ecsv').hexdigest()}"
    assert [*found.files] == ["cat.ecsv", "cal.fits", "flat.fits", "rate.fits"]
    assert [source.kind for source in found.files.values()] == ["product", "product", "reference", "input"]
    assert found.files["cat.ecsv"].made_of == {"cal.fits": f"sha256:{sha256(b'cal.fits').hexdigest()}"}
    assert found.files["cat.ecsv"].parameters == {"source_catalog": "{'npixels': 25}"}
    assert found.files["cal.fits"].made_of == {"flat.fits": "", "rate.fits": ""}
    assert found.files["cal.fits"].code == "0123456789ab"
    assert found.files["cal.fits"].libraries == "numpy 2.4, photutils 3.0.0"


def test_the_text_is_a_tree_with_each_file_once(made):
    record(Path(), "cat.ecsv", "catalog_sources", ["cal.fits", "flat.fits"], CODE, digests={})
    assert lineage().text().splitlines()[:8] == [
        "cat.ecsv",
        f"  sha256:{sha256(b'cat.ecsv').hexdigest()}",
        "  is what would be made today",
        "",
        "cat.ecsv  catalog_sources",
        "├ cal.fits  calibrate",
        "│ ├ rate.fits  input",
        "│ └ 1 of the files above",
    ]


def test_files_that_no_job_made_get_a_digest_if_they_are_what_was_read(made):
    Path("rate.fits").write_text("another")
    found = lineage(digests=digest_of).files
    assert found["cal.fits"].made_of == {"flat.fits": f"sha256:{sha256(b'flat.fits').hexdigest()}", "rate.fits": ""}
    assert found["rate.fits"].trouble == "another file now"
    Path("rate.fits").unlink()
    assert lineage().files["rate.fits"].trouble == "is gone"


def test_what_a_run_would_make_again_is_told_with_why(made):
    stale = {
        "cat.ecsv": GraphJob({}, (Cause("follows another job"),)),
        "cal.fits": GraphJob({}, (Cause("parameter changed", "flat_field"),)),
    }
    found = lineage(jobs=stale)
    assert found.today == "stale"
    lines = found.text().splitlines()
    assert lines[2:5] == [
        "  a run would make it again:",
        "    catalog_sources: follows another job",
        "    calibrate: parameter changed: flat_field",
    ]
    assert "└ cal.fits  calibrate, sha256 " in lines[7]
    assert lines[7].endswith(", stale")


def test_a_product_of_another_run_is_told_of_its_records(made, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    folder, path = place_of_record(f"{tmp_path}/cat.ecsv")
    found = lineage_of(folder, path, None)
    assert (folder, path, found.today) == (tmp_path, "cat.ecsv", "unknown")
    assert found.files["rate.fits"].trouble == ""
    assert found.text().startswith(f"cat.ecsv of the run in {tmp_path}\n")


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"{}", b'{"rule": 1, "input": []}', b'{"rule": "a", "input": [1]}', b"\xff"]
)
def test_a_damaged_record_ends_the_tree_there(made, text):
    record_file(Path(), "cal.fits").write_bytes(text)
    with pytest.raises(DamagedRecord):
        read_record(Path(), "cal.fits")
    found = lineage()
    assert [*found.files] == ["cat.ecsv", "cal.fits"]
    assert found.files["cal.fits"].trouble.startswith("its record is damaged: ")
    assert "its record is damaged" in found.text()


def test_a_product_without_record_says_so(made):
    record_file(Path(), "cal.fits").unlink()
    found = lineage()
    assert found.files["cal.fits"].kind == "product"
    assert found.files["cal.fits"].trouble == "no record of how it was made"


def test_long_paths_are_in_folders_of_their_own(tmp_path):
    (tmp_path / ".snakemake/metadata").mkdir(parents=True)
    path = "results/" + "x" * 300
    place = record_file(tmp_path, path).relative_to(tmp_path / ".snakemake/metadata")
    text = urlsafe_b64encode(path.encode()).decode()
    assert place.parts == (f"@{text[:254]}", text[254:])


def test_parameters_have_the_names_of_equal_or_like_ones():
    now = {"a": "{'x': 1, 'y': 2}", "b": "True", "c": "True", "d": "'text'"}
    recorded = Record("rule", (), ("{'x': 1, 'y': 3}", "True", "True", "[1]"))
    assert named_parameters(recorded, now) == {"a": "{'x': 1, 'y': 3}", "b": "True", "c": "True", "1": "[1]"}
