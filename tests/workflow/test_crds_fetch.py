"""References that the CRDS cache lacks, from a stand-in of its server, in real runs."""

import hashlib
import importlib.util
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calflow.configuration.settings import read_settings
from calflow.plan.planner import make_plan
from tests.crds_stand_in import StandIn, serving, write_context
from tests.workflow.conftest import Workflow

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("crds") and importlib.util.find_spec("stdatamodels")),
    reason="needs the packages crds and stdatamodels",
)
MISSING = ("jwst_miri_flat_0001.fits", "jwst_miri_photom_0001.fits")
RULES = {
    reftype: f"jwst_miri_{reftype}_0001.{'asdf' if reftype in ('distortion', 'filteroffset') else 'fits'}"
    for reftype in ("distortion", "filteroffset", "flat", "photom", "area")
}
WHOLE_RUN = {"calibrate": 2, "combine_background": 1}


@pytest.fixture
def cached(workflow, monkeypatch):
    """Two exposures and a complete cache."""
    for name in ("CRDS_PATH", "CRDS_CONTEXT", "CRDS_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    crds = workflow.folder / "crds"
    write_context(crds / "mappings" / "jwst", 9000, "miri", RULES)
    (crds / "references" / "jwst").mkdir(parents=True)
    (workflow.folder / "data" / "references").rename(crds / "references" / "jwst" / "miri")
    workflow.config["references"] = {"source": "crds", "crds_path": "crds", "crds_context": "jwst_9000.pmap"}
    workflow.config["stage2"] = {"resample": {"skip": True}}
    return workflow


@pytest.fixture
def server(cached):
    folder = cached.folder / "crds"
    with serving(StandIn()) as server:
        files = [*folder.rglob("*.fits"), *folder.rglob("*.asdf"), *folder.rglob("*map")]
        server.files = {path.name: path.read_bytes() for path in files}
        server.contexts = {"jwst_9000.pmap": [path.name for path in folder.rglob("*map")]}
        cached.config["references"] |= {"fetch": True, "crds_server": server.url}
        yield server


def reference(workflow: Workflow, name: str) -> Path:
    return workflow.folder / "crds" / "references" / "jwst" / "miri" / name


def remove(workflow: Workflow, *names: str) -> None:
    for name in names:
        reference(workflow, name).unlink()


def checksums(workflow: Workflow) -> dict[str, str]:
    return {name: hashlib.sha1(workflow.product(name).read_bytes()).hexdigest() for name in workflow.products()}


def test_incomplete_cache_says_what_is_missing_before_any_job(cached):
    remove(cached, *MISSING)
    run = cached.run()
    assert (run.code, run.jobs) == (1, [])
    assert "2 problems with the input" in run.output
    for reftype, name in zip(("flat", "photom"), MISSING, strict=True):
        assert f"{reftype}: needs {name!r}; not in the cache (1 more need it)" in run.output
    assert "set references.fetch: true" in run.output


@pytest.mark.slow
def test_missing_references_are_fetched_once_and_change_nothing(cached, server):
    run = cached.run()
    assert (run.code, run.rules) == (0, WHOLE_RUN)
    assert "CRDS context jwst_9000.pmap (references.crds_context)" in run.output
    complete = checksums(cached)
    assert server.requests == []

    shutil.rmtree(cached.folder / "results")
    remove(cached, *MISSING)
    assert cached.planned() == WHOLE_RUN | {"fetch_reference": 2}
    assert server.requests == []
    run = cached.run()
    assert run.rules == WHOLE_RUN | {"fetch_reference": 2}
    assert sorted(server.downloads()) == sorted(MISSING)
    assert checksums(cached) == complete
    assert cached.planned() == {}

    # Its name says what it is: neither a later time, nor that it is gone, makes a product stale.
    reference(cached, MISSING[0]).touch()
    assert cached.planned() == {}
    remove(cached, MISSING[1])
    assert cached.planned() == {}
    del cached.config["references"]["fetch"]
    reference(cached, MISSING[1]).write_bytes(server.files[MISSING[1]])
    assert cached.planned() == {}


@pytest.mark.slow
def test_reference_that_cannot_be_had_fails_what_needs_it(cached, server):
    remove(cached, *MISSING)
    server.faults[MISSING[0]] = [404]
    run = cached.run()
    assert run.code == 1
    assert run.rules == {"combine_background": 1, "fetch_reference": 1}
    (line,) = {line for line in run.output.splitlines() if line.startswith("FAILED fetch_reference")}
    assert "jwst_miri_flat_0001.fits: the server answers 404 Not Found (log: " in line
    assert cached.planned() == {"fetch_reference": 1, "calibrate": 2}


@pytest.mark.slow
def test_two_runs_with_one_cache_fetch_once(cached, server, tmp_path):
    remove(cached, MISSING[0])
    server.delay = 1.5  # seconds, in which both have planned
    cached.config["references"]["crds_path"] = str(cached.folder / "crds")
    other = Workflow(tmp_path / "other")
    shutil.copytree(cached.folder / "data", other.folder / "data")
    other.config = cached.config
    with ThreadPoolExecutor() as pool:
        # Both started, which takes as long: only one of them could be forked, and would be through before.
        first, second = pool.map(lambda workflow: workflow.run(started=True), (cached, other))
    assert first.rules == second.rules == WHOLE_RUN | {"fetch_reference": 1}
    assert server.downloads() == [MISSING[0]]


@pytest.mark.slow
def test_another_context_redoes_what_its_references_differ_for(cached, monkeypatch):
    assert cached.run().code == 0
    mappings = cached.folder / "crds" / "mappings" / "jwst"
    write_context(mappings, 9001, "miri", RULES)
    cached.config["references"]["crds_context"] = "jwst_9001.pmap"
    assert cached.planned() == {}
    shutil.copy(reference(cached, MISSING[1]), reference(cached, "jwst_miri_photom_0002.fits"))
    write_context(mappings, 9002, "miri", RULES | {"photom": "jwst_miri_photom_0002.fits"})
    cached.config["references"]["compare_context"] = "jwst_9002.pmap"
    with monkeypatch.context() as patch:
        patch.chdir(cached.folder)
        plan = make_plan(read_settings(cached.config), [], Path(".snakemake/calflow/headers"))
    (change,) = plan.reference_changes
    assert (change.reftype, change.before, change.after) == ("photom", MISSING[1], "jwst_miri_photom_0002.fits")
    assert set(change.exposures) == {name.removesuffix("_cal.fits") for name in cached.products() if "_cal." in name}
    cached.config["references"] |= {"crds_context": "jwst_9002.pmap", "compare_context": None}
    assert cached.planned() == {"calibrate": 2}


def test_update_fetches_a_context_to_plan_with(cached, server):
    shutil.rmtree(cached.folder / "crds" / "mappings")
    server.files["jwst_miri_pars-tweakregstep_0001.asdf"] = b"parameters"
    cached.config["references"] |= {"crds_context": None}
    run = cached.run(dry=True)
    assert run.code == 1
    assert "run 'snakemake update_crds'" in run.output
    run = cached.run("update_crds")
    assert (run.code, run.rules) == (0, {"update_crds": 1})
    assert "jwst_9000.pmap: 8 files fetched into crds" in run.output
    run = cached.run(dry=True)
    assert run.code == 0
    assert "CRDS context jwst_9000.pmap (operational, as recorded on" in run.output
    assert reference(cached, "jwst_miri_pars-tweakregstep_0001.asdf").is_file()
    run = cached.run("update_crds")
    assert "jwst_9000.pmap: complete" in run.output


@pytest.mark.slow
def test_files_in_use_are_compared_with_what_is_published(cached, server):
    """A mapping and a reference that the server has corrected under their names since they were fetched."""
    run = cached.run("check_crds")
    assert (run.code, run.rules) == (0, {"check_crds": 1})
    assert "7 mappings compared with their own checksums" in run.output
    assert "12 mappings and reference files compared with the server" in run.output
    assert server.downloads() == []
    rmap = next(name for name in server.files if name.endswith("flat_9000.rmap"))
    server.files[rmap] += b"# corrected\n"
    server.files[MISSING[0]] = bytes(reversed(server.files[MISSING[0]]))
    run = cached.run("check_crds")
    assert run.code == 1
    assert run.output.count("differs: crds/") == 2
    assert f"{MISSING[0]}: its SHA-1 is " in run.output
    assert "2 differences from what is published" in run.output


def test_nothing_is_fetched_into_a_folder_that_is_none(cached, server):
    shutil.rmtree(cached.folder / "crds" / "references" / "jwst" / "miri")
    (cached.folder / "crds" / "references" / "jwst" / "miri").touch()
    run = cached.run(dry=True)
    assert run.code == 1
    assert "crds/references/jwst/miri: reference files cannot be written here" in run.output
