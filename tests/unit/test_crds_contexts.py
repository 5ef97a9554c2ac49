"""Which context of CRDS counts, and what another one would change."""

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from calflow.configuration.problems import InputError, Problem, Problems
from calflow.configuration.settings import References, Settings
from calflow.engine.targets import is_only_target
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader
from calflow.instruments.jwst import FAMILY as JWST
from calflow.plan.context_comparison import compare_contexts, comparison_lines
from calflow.references.crds_cache import MissingReferences, check_update, server_url, wanted_contexts
from calflow.references.crds_contexts import CrdsContext, find_context, read_server_record
from calflow.references.crds_references import CrdsSelector
from calflow.references.reference_change import ReferenceChange
from calflow.references.reference_choice import ReferenceChooser
from calflow.references.references import Reference
from tests.crds_stand_in import write_context

JWST_NAMES, IRIS_NAMES = ("jwst",), ("ligeriri", "tmt")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("CRDS_PATH", "CRDS_CONTEXT", "CRDS_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def crds(tmp_path):
    """A cache that knows the operational contexts of two observatories."""
    for observatory, context in (("jwst", "jwst_9000.pmap"), ("tmt", "tmt_0007.pmap")):
        folder = tmp_path / "crds" / "config" / observatory
        folder.mkdir(parents=True)
        told = {"operational_context": context, "bad_files_list": ["bad.fits"], "observatory": observatory}
        (folder / "server_config").write_text(repr(told))
    return tmp_path / "crds"


def context(crds, wanted, names=JWST_NAMES, variable=None):
    environment = {"CRDS_CONTEXT": variable} if variable else {}
    found = find_context(wanted, crds, names, None, environment=environment)
    assert isinstance(found, CrdsContext), found
    return found


def refused(crds, wanted, names=JWST_NAMES, variable=None):
    environment = {"CRDS_CONTEXT": variable} if variable else {}
    found = find_context(wanted, crds, names, None, environment=environment)
    assert isinstance(found, Problem), found
    return found


# Which context ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [None, ["operational"]])
def test_operational_context_is_that_of_the_cache(crds, wanted):
    found = context(crds, wanted)
    assert (found.name, found.observatory) == ("jwst_9000.pmap", "jwst")
    assert found.origin.startswith("operational, as recorded on 20")
    assert found.origin.endswith("crds/config/jwst/server_config")


def test_operational_context_of_an_observatory_by_its_second_name(crds):
    assert context(crds, None, IRIS_NAMES).name == "tmt_0007.pmap"


def test_servers_of_today_call_it_latest(crds):
    (crds / "config" / "jwst" / "server_config").write_text("{'latest_context': 'jwst_9.pmap', 'bad_files_list': []}")
    assert context(crds, None).name == "jwst_9.pmap"


def test_configuration_wins_over_the_environment(crds):
    found = context(crds, ["jwst_1.pmap"], variable="jwst_2.pmap")
    assert found == CrdsContext("jwst_1.pmap", "jwst", "references.crds_context")
    assert context(crds, ["operational"], variable="jwst_2.pmap").name == "jwst_9000.pmap"


def test_environment_wins_over_the_operational_context(crds):
    found = context(crds, None, variable="jwst_2.pmap")
    assert found == CrdsContext("jwst_2.pmap", "jwst", "environment variable CRDS_CONTEXT")


@pytest.mark.parametrize("variable", ["jwst-operational", "jwst-latest", "latest", "tmt_0001.pmap"])
def test_environment_that_means_the_operational_context(crds, variable):
    assert context(crds, None, variable=variable).name == "jwst_9000.pmap"


@pytest.mark.parametrize("variable", ["jwst-edit", "jwst-2024-01-01T00:00:00", "build"])
def test_environment_that_only_a_server_understands(crds, variable):
    problem = refused(crds, None, variable=variable)
    assert problem.file == "environment variable CRDS_CONTEXT"
    assert f"{variable!r} can be understood by a server only" in problem.wrong


def test_each_observatory_takes_its_own_of_several(crds):
    wanted = ["jwst_1.pmap", "ligeriri_0001.pmap"]
    assert context(crds, wanted).name == "jwst_1.pmap"
    assert context(crds, wanted, IRIS_NAMES) == CrdsContext("ligeriri_0001.pmap", "ligeriri", "references.crds_context")


def test_pinned_for_one_observatory_operational_for_the_others(crds):
    wanted = ["jwst_1.pmap", "operational"]
    assert [context(crds, wanted, names).name for names in (JWST_NAMES, IRIS_NAMES)] == ["jwst_1.pmap", "tmt_0007.pmap"]


def test_no_context_of_this_observatory(crds):
    problem = refused(crds, ["jwst_1.pmap"], IRIS_NAMES)
    assert problem.wrong == "'jwst_1.pmap' is no context of ligeriri"
    assert "[jwst_1.pmap, ligeriri_1364.pmap]" in problem.right


@pytest.mark.parametrize("wanted", ["latest", "../jwst_1.pmap", "jwst.pmap", "/jwst_1.pmap"])
def test_what_is_no_context(crds, wanted):
    assert refused(crds, [wanted]).wrong == f"{wanted!r} is not a context"


def test_cache_without_a_record_names_the_way_to_one(crds):
    (crds / "config" / "jwst" / "server_config").unlink()
    problem = refused(crds, None)
    assert problem.file == str(crds / "config" / "jwst" / "server_config")
    assert "run 'snakemake update_crds'" in problem.right
    assert "jwst_1364.pmap" in problem.right


def test_record_is_read_once(crds, tmp_path):
    cache = HeaderCache(tmp_path / "cache")
    first = read_server_record(crds, "jwst", cache)
    path = crds / "config" / "jwst" / "server_config"
    status = path.stat()
    path.write_text(" " * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read_server_record(crds, "jwst", cache) == first
    assert first.bad_files == {"bad.fits"}


@pytest.mark.parametrize("text", ["-" * 100_000 + "1", "[" * 300, "{[]: 1}", "5", "import os", "[1] * 2", "\0", ""])
def test_damaged_record(crds, text):
    path = crds / "config" / "jwst" / "server_config"
    path.write_text(text)
    problem = refused(crds, None)
    assert (problem.file, problem.wrong) == (str(path), "damaged: it has no 'bad_files_list'")


# What update_crds fetches, and whence -------------------------------------------------------------------


def test_contexts_to_fetch(monkeypatch):
    assert wanted_contexts(References()) == ["operational"]
    both = References(crds_context=["jwst_1.pmap", "operational"], compare_context="jwst_2.pmap")
    assert wanted_contexts(both) == ["jwst_1.pmap", "operational", "jwst_2.pmap"]
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_3.pmap")
    assert wanted_contexts(References()) == ["jwst_3.pmap"]


def test_server(monkeypatch):
    assert server_url(References(), "jwst") == "https://jwst-crds.stsci.edu"
    assert server_url(References(), "ligeriri") is None
    monkeypatch.setenv("CRDS_SERVER_URL", "https://example.org")
    assert server_url(References(), "ligeriri") == "https://example.org"
    assert server_url(References(crds_server="http://localhost:1"), "jwst") == "http://localhost:1"
    monkeypatch.setenv("CRDS_SERVER_URL", "https://jwst-serverless.stsci.edu")
    assert server_url(References(), "jwst") is None


def test_update_needs_a_cache_and_a_server(tmp_path):
    check_update(References(crds_path=str(tmp_path)))
    with pytest.raises(InputError) as caught:
        check_update(References(crds_server="jwst"))
    assert [problem.key for problem in caught.value.problems] == ["references.crds_path", "references.crds_server"]


def test_files_of_an_observatory_without_a_server_are_a_problem(tmp_path):
    problems = Problems()
    missing = MissingReferences(References(fetch=True), problems)
    path = tmp_path / "references" / "ligeriri" / "iris" / "dark.fits"
    missing.add({"dark": Reference("dark", path, "crds://dark.fits", missing=True)}, "ligeriri", Path("a_rate.fits"))
    missing.fetches()
    assert problems[0].wrong == "no server is known to fetch 1 reference files of 'ligeriri' from"
    assert problems[0].key == "references.crds_server"


def test_the_job_of_a_cluster_does_not_ask_whether_the_cache_can_be_written_to(tmp_path):
    (tmp_path / "cache").write_text("in place of a folder")
    reference = Reference("flat", tmp_path / "cache" / "flat.fits", "crds://flat.fits", missing=True)
    problems = Problems()
    missing = MissingReferences(References(fetch=True), problems)
    missing.add({"flat": reference}, "jwst", tmp_path / "a_rate.fits")
    (fetch,) = missing.fetches(is_job=True)
    assert (fetch.path, list(problems)) == (reference.path, [])
    missing.fetches()
    (problem,) = problems
    assert problem.wrong == "reference files cannot be written here"


@pytest.mark.parametrize(
    ("arguments", "only"),
    [
        ("update_crds --cores 1", True),
        ("--cores 2 --configfile my.yaml -- update_crds", True),
        ("--cores 2 update_crds stage2", False),
        ("--cores 2 --configfile update_crds -- all", False),
        ("--cores 2", False),
    ],
)
def test_only_target(arguments, only):
    assert is_only_target("update_crds", arguments.split()) is only


# Context against context --------------------------------------------------------------------------------

needs_crds = pytest.mark.skipif(
    not (importlib.util.find_spec("crds") and importlib.util.find_spec("stdatamodels")),
    reason="needs the packages crds and stdatamodels",
)
RULES = {
    reftype: f"jwst_miri_{reftype}_0001.fits" for reftype in ("distortion", "filteroffset", "flat", "photom", "area")
} | {"apcorr": "jwst_miri_apcorr_0001.fits", "abvegaoffset": "jwst_miri_abvegaoffset_0001.asdf"}
HEADER = {
    "TELESCOP": "JWST", "INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE", "FILTER": "F770W", "EXP_TYPE": "MIR_IMAGE",
    "DATE-OBS": "2023-03-12", "TIME-OBS": "07:47:13.140",
}  # fmt: skip


def exposure(root, **keywords):
    header = ExposureHeader(Path(root), HEADER | keywords, ())
    return SimpleNamespace(root=root, family=JWST, header=header, product=lambda suffix: f"{root}_{suffix}.fits")


def association(name, *roots):
    members = [SimpleNamespace(root=root, cal=f"{root}_cal.fits") for root in roots]
    return SimpleNamespace(name=name, members=members, family=JWST, header=HEADER, runs=lambda step: True)


def compare(crds, exposures, associations=(), merges=(), cache=None, **references):
    wanted = {"source": "crds", "crds_path": str(crds), "crds_context": "jwst_1.pmap", "compare_context": "jwst_2.pmap"}
    settings = Settings.model_validate({"references": wanted | references})
    problems = Problems()
    chooser = ReferenceChooser(settings, cache or HeaderCache(crds / "cache"), problems)
    changes = compare_contexts(settings, chooser, exposures, associations, merges)
    return changes, list(problems)


@pytest.fixture
def contexts(crds):
    flats = {"F770W": "jwst_miri_flat_0001.fits", "F560W": "jwst_miri_flat_0002.fits"}
    mappings = crds / "mappings" / "jwst"
    write_context(mappings, 1, "miri", RULES | {"flat": flats})
    flats |= {"F770W": "jwst_miri_flat_0003.fits"}
    write_context(mappings, 2, "miri", RULES | {"flat": flats, "apcorr": "jwst_miri_apcorr_0002.fits", "area": "N/A"})
    return crds


@needs_crds
def test_changes_of_another_context(contexts):
    exposures = [exposure("a"), exposure("b", FILTER="F560W"), exposure("c")]
    changes, problems = compare(contexts, exposures, [association("first", "a", "b"), association("second", "b")])
    assert not problems
    assert changes == (
        ReferenceChange("apcorr", "jwst_miri_apcorr_0001.fits", "jwst_miri_apcorr_0002.fits", (), ("first", "second")),
        ReferenceChange("area", "jwst_miri_area_0001.fits", "N/A", ("a", "b", "c"), ("first", "second")),
        ReferenceChange("flat", "jwst_miri_flat_0001.fits", "jwst_miri_flat_0003.fits", ("a", "c"), ("first",)),
    )


@needs_crds
def test_parameter_references_are_compared_too(contexts):
    mappings = contexts / "mappings" / "jwst"
    write_context(mappings, 1, "miri", RULES | {"pars-tweakregstep": "pars_1.asdf", "pars-photomstep": "pars_3.asdf"})
    write_context(mappings, 2, "miri", RULES | {"pars-tweakregstep": "pars_2.asdf", "pars-photomstep": "pars_3.asdf"})
    changes, problems = compare(contexts, [exposure("a")], [association("first", "a")])
    assert not problems
    assert changes == (ReferenceChange("pars-tweakregstep", "pars_1.asdf", "pars_2.asdf", (), ("first",)),)
    assert compare(contexts, [exposure("a")], [association("first", "a")], parameters=False)[0] == ()


@needs_crds
def test_associations_of_merged_exposures(contexts):
    merge = SimpleNamespace(root="m", full="results/stage2/a_cal.fits", subarrays={1: "results/stage2/b_cal.fits"})
    changes, _ = compare(contexts, [exposure("a"), exposure("b"), exposure("c")], [association("first", "m")], [merge])
    assert changes[-1].exposures == ("a", "b", "c")
    assert changes[-1].associations == ("first",)
    changes, _ = compare(contexts, [exposure("c")], [association("first", "m")], [merge])
    assert changes[-1].associations == ()


@needs_crds
def test_changes_as_a_table(contexts):
    changes, _ = compare(contexts, [exposure("a"), exposure("c")], [association("first", "a")])
    assert comparison_lines(changes[1:]) == [
        "reference  before                    after                     exposures  associations",
        "---------  ------------------------  ------------------------  ---------  ------------",
        "area       jwst_miri_area_0001.fits  N/A                       2          1",
        "flat       jwst_miri_flat_0001.fits  jwst_miri_flat_0003.fits  2          1",
        "stale: 2 exposures, 1 associations",
    ]
    assert comparison_lines([]) == ["no reference changes"]


@needs_crds
def test_overridden_references_do_not_change(contexts):
    changes, _ = compare(contexts, [exposure("a")], override={"flat": "N/A", "area": "N/A"})
    assert changes == ()


@needs_crds
def test_exposures_that_the_other_context_has_no_rules_for(contexts):
    write_context(contexts / "mappings" / "jwst", 2, "miri", RULES | {"flat": {"F560W": "jwst_miri_flat_0002.fits"}})
    changes, problems = compare(contexts, [exposure("a")])
    assert (changes[0].before, changes[0].after) == ("jwst_miri_flat_0001.fits", "none")
    assert not problems


@needs_crds
def test_other_context_that_is_not_in_the_cache(contexts):
    changes, problems = compare(contexts, [exposure("a")], compare_context="jwst_3.pmap")
    assert changes == ()
    assert problems[0].wrong == "'jwst_3.pmap' is not in the cache"
    assert "snakemake update_crds" in problems[0].right


def test_nothing_is_compared_unless_asked_for(crds):
    assert compare(crds, [exposure("a")], compare_context=None) == ((), [])


@needs_crds
@pytest.mark.slow
def test_what_was_compared_is_remembered(contexts, tmp_path, monkeypatch):
    calls = []
    look_up = CrdsSelector._look_up
    monkeypatch.setattr(CrdsSelector, "_look_up", lambda *given: calls.append(given) or look_up(*given))
    exposures = [
        exposure(f"a{i:05}", **{"TIME-OBS": f"{i % 24:02}:{i % 60:02}:{i % 59:02}.{i % 1000:03}"}) for i in range(1_000)
    ]
    cache = HeaderCache(tmp_path / "cache")
    changes, _ = compare(contexts, exposures, cache=cache)
    assert len(changes[1].exposures) == 1_000
    before = len(calls)
    assert compare(contexts, exposures, cache=cache)[0] == changes
    assert len(calls) == before
