"""A run as an RO-Crate: each file, job and library once, all that is referred to is there, the same for a run alike."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from calflow.commands import crate as command
from calflow.provenance.crate import Run, crate_of
from calflow.provenance.lineage import Source

CITATION = {
    "title": "calflow",
    "authors": [
        {"name": "The developers"},
        {"given-names": "Ada", "family-names": "L", "orcid": "https://orcid.org/0"},
    ],
}
RATE = f"sha256:{sha256(b'rate').hexdigest()}"
LIBRARIES = "numpy 2.4, photutils 3.0.0"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that has made a cal of a rate, a star list of that, which is gone, and a table of both."""
    monkeypatch.chdir(tmp_path)
    Path("out/stage2").mkdir(parents=True)
    for path, text in (("rate.fits", "rate"), ("out/stage2/a b_cal.fits", "cal"), ("out/table.ecsv", "table")):
        Path(path).write_text(text)
    cal, stars = "out/stage2/a b_cal.fits", "out/stars.ecsv"
    sources = {
        "out/table.ecsv": Source("product", "align", {stars: "sha256:ab", cal: ""}, {}, "1", LIBRARIES),
        cal: Source("product", "calibrate", {"rate.fits": RATE, "dark.fits": ""}, {"1": "{'x': 1}"}, "2", "numpy 2.4"),
        stars: Source("product", "find_stars", {cal: ""}, {}, "3", LIBRARIES),
        "rate.fits": Source("input"),
        "dark.fits": Source("reference", trouble="is gone"),
    }
    return Run("out/", [cal, "out/table.ecsv"], [], sources, ["o001"], "2023-03-12", CITATION, {"snakemake": "9.27.1"})


def entities(run):
    graph = json.loads(crate_of(run))["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    assert len(by_id) == len(graph)
    return by_id


def references(value):
    if isinstance(value, dict):
        yield from [value["@id"]] if value.keys() == {"@id"} else ()
        value = value.values()
    if not isinstance(value, str):
        for each in value:
            yield from references(each)


def test_all_that_is_referred_to_is_there(run):
    found = entities(run)
    outside = {"https://w3id.org/ro/crate/1.1", "https://snakemake.github.io"}
    assert {each for each in references(found) if each not in found} <= {
        *outside,
        found["#snakemake"]["identifier"]["@id"],
    }
    files = {each for each, entity in found.items() if "File" in entity["@type"]}
    assert files <= set(references(found["./"]["hasPart"]))


def test_products_are_named_by_place_and_inputs_by_content(run):
    found = entities(run)
    assert found["stage2/a%20b_cal.fits"]["sha256"] == sha256(b"cal").hexdigest()
    assert found["stage2/a%20b_cal.fits"]["contentSize"] == "3"
    # ni:///sha-256;... of RFC 6920: the digest in base64 for addresses, without its padding.
    (rate,) = [each for each in found if each.startswith("ni:")]
    assert (found[rate]["name"], found[rate]["description"]) == ("rate.fits", "input")
    assert len(rate.partition(";")[2]) == 43


def test_pages_of_the_run_belong_to_it(run):
    Path("out/pages").mkdir()
    Path("out/pages/o001.html").write_text("<html></html>")
    found = entities(replace(run, others=["out/pages/o001.html"]))
    assert found["pages/o001.html"]["encodingFormat"] == "text/html"


def test_a_job_has_what_it_read_and_made_though_it_be_gone(run):
    job = entities(run)["#job/calibrate/stage2/a%20b_cal.fits"]
    assert job["instrument"] == {"@id": "crate/workflow/scripts/calibrate.py"}
    assert job["description"] == "by code 2"
    assert job["result"] == {"@id": "stage2/a%20b_cal.fits"}
    assert [each["@id"].partition(":")[0][:5] for each in job["object"]] == ["ni", "#gone", "#para"]
    assert entities(run)["#gone/dark.fits"]["description"] == "is gone"
    assert entities(run)["#gone/stars.ecsv"]["sha256"] == "ab"


def test_authors_are_people_or_others_and_libraries_have_versions(run):
    found = entities(run)
    assert found["#author/1"]["@type"] == "Organization"
    assert found["https://orcid.org/0"] == {"@id": "https://orcid.org/0", "@type": "Person", "name": "Ada L"}
    assert found["#software/photutils-3.0.0"]["version"] == "3.0.0"
    scripts = found["crate/workflow/scripts/calibrate.py"]["softwareRequirements"]
    assert scripts == {"@id": "#software/numpy-2.4"}


def test_a_run_elsewhere_has_the_same_crate(run, tmp_path, monkeypatch):
    first = crate_of(run)
    output = f"{tmp_path}/out/"
    absolute = {path.replace("out/", output): source for path, source in run.sources.items()}
    for path, source in absolute.items():
        made_of = {name.replace("out/", output): digest for name, digest in source.made_of.items()}
        absolute[path] = Source(source.kind, source.rule, made_of, source.parameters, source.code, source.libraries)
    absolute["dark.fits"] = run.sources["dark.fits"]
    products = [path.replace("out/", output) for path in run.products]
    assert crate_of(Run(output, products, [], absolute, run.names, run.date, CITATION, run.libraries)) == first


def test_the_code_that_is_copied_runs_and_has_no_more(tmp_path):
    command._write_code(tmp_path / "workflow")
    copied = {str(path.relative_to(tmp_path / "workflow")) for path in (tmp_path / "workflow").rglob("*")}
    assert {"Snakefile", "rules/stage2.smk", "scripts/calflow/run.py", "profiles/default/config.yaml"} <= copied
    assert not any("__pycache__" in path for path in copied)
    (tmp_path / "workflow/old.py").write_text("")
    command._write_code(tmp_path / "workflow")
    assert not (tmp_path / "workflow/old.py").exists()
