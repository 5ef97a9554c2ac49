"""Choice of references by a CRDS cache that is made up here, without network or environment."""

import hashlib
import importlib.util
import os
import subprocess
import sys

import pytest

from calflow.configuration.problems import Problem, Problems
from calflow.inputs.header_cache import HeaderCache
from calflow.references.crds_references import open_crds
from calflow.references.references import Reference

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("crds") and importlib.util.find_spec("stdatamodels")),
    reason="needs the packages crds and stdatamodels",
)

CONTEXT = "jwst_9000.pmap"
PARAMETERS = {
    "META.INSTRUMENT.NAME": "MIRI",
    "META.INSTRUMENT.DETECTOR": "MIRIMAGE",
    "META.INSTRUMENT.FILTER": "F770W",
    "META.OBSERVATION.DATE": "2023-03-12",
    "META.OBSERVATION.TIME": "07:47:13.140",
}


def write_mapping(folder, name, selector, **header):
    lines = [
        "header = {",
        f"    'name' : {name!r},",
        "    'observatory' : 'JWST',",
        "    'derived_from' : 'test',",
    ]
    lines += [f"    {key!r} : {value!r}," for key, value in header.items()]
    rest = ["}", "", f"selector = {selector}", ""]
    checksum = hashlib.sha1("\n".join([*lines, *rest]).encode()).hexdigest()
    (folder / name).write_text("\n".join([*lines, f"    'sha1sum' : '{checksum}',", *rest]))


def write_flat_rules(folder, **filters):
    """Write the rules for flats: filter -> name of the reference."""
    rules = "".join(
        f"    ('MIRIMAGE', '{key}') : UseAfter({{\n        '2018-01-01 00:00:00' : '{name}',\n    }}),\n"
        for key, name in filters.items()
    )
    parkey = (
        ("META.INSTRUMENT.DETECTOR", "META.INSTRUMENT.FILTER"),
        ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME"),
    )
    kinds = {"mapping": "REFERENCE", "instrument": "MIRI", "filekind": "FLAT", "filetype": "FLAT"}
    write_mapping(
        folder,
        "jwst_miri_flat_9000.rmap",
        f"Match({{\n{rules}}})",
        **kinds,
        parkey=parkey,
        classes=("Match", "UseAfter"),
    )


@pytest.fixture
def crds(tmp_path):
    """A cache with flats for F770W (the file is there) and F560W (it is not), dark N/A, no rules for area."""
    path = tmp_path / "crds"
    mappings = path / "mappings" / "jwst"
    mappings.mkdir(parents=True)
    write_mapping(
        mappings,
        CONTEXT,
        "{\n    'MIRI' : 'jwst_miri_9000.imap',\n    'FGS' : 'jwst_fgs_9000.imap',\n}",
        mapping="PIPELINE",
        parkey=("META.INSTRUMENT.NAME",),
    )
    reftypes = {"flat": "jwst_miri_flat_9000.rmap", "dark": "N/A", "area": "jwst_miri_area_9000.rmap"}
    rules = "".join(f"    {key!r} : {name!r},\n" for key, name in sorted(reftypes.items()))
    write_mapping(
        mappings,
        "jwst_miri_9000.imap",
        "{\n" + rules + "}",
        mapping="INSTRUMENT",
        instrument="MIRI",
        parkey=("REFTYPE",),
    )
    write_flat_rules(mappings, F770W="jwst_miri_flat_0001.fits", F560W="jwst_miri_flat_0002.fits")
    references = path / "references" / "jwst" / "miri"
    references.mkdir(parents=True)
    (references / "jwst_miri_flat_0001.fits").touch()
    return path


def open_cleanly(path, cache=None):
    problems = Problems()
    selector = open_crds(path, CONTEXT, "jwst", cache, problems)
    assert not problems
    return selector


def select(path, *reftypes, **parameters):
    named = {f"META.INSTRUMENT.{key}": value for key, value in parameters.items()}
    return open_cleanly(path).select(PARAMETERS | named, reftypes)


def test_reference_is_found_and_recorded_as_crds(crds):
    path = crds / "references" / "jwst" / "miri" / "jwst_miri_flat_0001.fits"
    assert select(crds, "flat") == {"flat": Reference("flat", path, "crds://jwst_miri_flat_0001.fits")}


def test_flat_cache_layout(crds):
    folder = crds / "references" / "jwst"
    (folder / "miri" / "jwst_miri_flat_0001.fits").rename(folder / "jwst_miri_flat_0001.fits")
    assert select(crds, "flat")["flat"].path == folder / "jwst_miri_flat_0001.fits"


def test_not_applicable(crds):
    assert select(crds, "dark") == {"dark": Reference("dark", None, "N/A")}


def test_two_caches_with_one_context_name(crds, tmp_path):
    other = tmp_path / "other"
    crds.rename(other)
    first = select(other, "flat")["flat"]
    write_flat_rules(other / "mappings" / "jwst", F770W="jwst_miri_flat_0009.fits")
    (other / "references" / "jwst" / "miri" / "jwst_miri_flat_0009.fits").touch()
    other.rename(crds)
    assert first.recorded == "crds://jwst_miri_flat_0001.fits"
    assert select(crds, "flat")["flat"].recorded == "crds://jwst_miri_flat_0009.fits"


# Problems ---------------------------------------------------------------------------------------------


def refuse(path, reftype, **parameters):
    problem = select(path, reftype, **parameters)[reftype]
    assert isinstance(problem, Problem)
    assert problem.file == str(path)
    return problem


def test_no_rule_fits(crds):
    problem = refuse(crds, "flat", FILTER="F1000W")
    assert problem.key == "flat"
    assert "no flat reference in jwst_9000.pmap" in problem.wrong
    assert "META.INSTRUMENT.FILTER F1000W" in problem.wrong
    assert "'F1000W' is not in" in problem.right


def test_reference_that_is_not_in_the_cache(crds):
    path = crds / "references" / "jwst" / "miri" / "jwst_miri_flat_0002.fits"
    chosen = select(crds, "flat", FILTER="F560W")["flat"]
    assert chosen == Reference("flat", path, "crds://jwst_miri_flat_0002.fits", missing=True)


def test_missing_reference_of_a_flat_cache(crds):
    mode = crds / "config" / "jwst" / "ref_cache_subdir_mode"
    mode.parent.mkdir(parents=True)
    mode.write_text("flat")
    chosen = select(crds, "flat", FILTER="F560W")["flat"]
    assert chosen.path == crds / "references" / "jwst" / "jwst_miri_flat_0002.fits"


def test_mapping_that_is_not_in_the_cache(crds):
    assert refuse(crds, "area").wrong == "needs 'jwst_miri_area_9000.rmap'; not in the cache"
    assert "snakemake update_crds" in refuse(crds, "area").right
    assert refuse(crds, "flat", NAME="FGS").wrong == "needs 'jwst_fgs_9000.imap'; not in the cache"


def test_unknown_type_and_instrument(crds):
    assert "Unknown reference type 'nonsense'" in refuse(crds, "nonsense").wrong
    assert "Unknown instrument 'iris'" in refuse(crds, "flat", NAME="IRIS").wrong


def test_one_problem_does_not_hide_the_other_types(crds):
    chosen = select(crds, "flat", "area", "dark")
    assert isinstance(chosen["area"], Problem)
    assert isinstance(chosen["flat"], Reference)
    assert isinstance(chosen["dark"], Reference)


@pytest.mark.parametrize("name", ["jwst_miri_flat_9000.rmap", "jwst_miri_9000.imap", CONTEXT])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("'name'", "'nane'"),
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "hello",
    ],
)
def test_damaged_mapping(crds, name, spoil):
    path = crds / "mappings" / "jwst" / name
    path.write_text(spoil(path.read_text()))
    problem = select(crds, "flat")["flat"]
    assert problem.file == str(path)
    assert "this mapping is damaged: it" in problem.wrong
    assert problem.right.startswith(f"remove it and {CONTEXT!r}, then run 'snakemake update_crds'")


def test_mapping_with_code_is_not_run(crds, tmp_path):
    path = crds / "mappings" / "jwst" / "jwst_miri_flat_9000.rmap"
    path.write_text(f"open({str(tmp_path / 'never')!r}, 'w')\n" + path.read_text())
    assert select(crds, "flat")["flat"].file == str(path)
    assert not (tmp_path / "never").exists()


@pytest.fixture
def server_config(crds):
    """The file in which crds keeps what the server told."""
    path = crds / "config" / "jwst" / "server_config"
    path.parent.mkdir(parents=True)
    return path


def test_reference_marked_as_invalid(crds, server_config):
    server_config.write_text(repr({"bad_files_list": ["jwst_miri_flat_0001.fits"]}))
    assert "scientifically invalid" in refuse(crds, "flat").wrong


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{'bad_files_list': ['jwst_miri_fl",
        b"{'observatory': 'jwst'}",
        b"{'bad_files_list': 'jwst_miri_flat_0001.fits'}",
        b"{'bad_files_list': None}",
        b"['jwst_miri_flat_0001.fits']",
        b"{[]: 1}",
        b"open('x')",
        b"{'bad_files_list': ['\xff']}",
        bytes(100),
    ],
)
def test_damaged_list_of_invalid_files_is_told(crds, server_config, content):
    server_config.write_bytes(content)
    problems = Problems()
    assert open_crds(crds, CONTEXT, "jwst", None, problems) is None
    (problem,) = problems
    assert problem.file == str(server_config)
    assert "damaged" in problem.wrong
    assert "crds sync" in problem.right


def test_unreadable_list_of_invalid_files_is_told(crds, server_config):
    server_config.mkdir()
    problems = Problems()
    assert open_crds(crds, CONTEXT, "jwst", None, problems) is None
    assert problems[0].wrong == "cannot be read (Is a directory)"


@pytest.mark.parametrize(
    ("context", "word"),
    [
        ("jwst_9001.pmap", "'jwst_9001.pmap' is not in the cache"),
        ("latest", "'latest' is not a context"),
        ("../jwst_9000.pmap", "is not a context"),
        ("", "'' is not a context"),
    ],
)
def test_context_that_cannot_be_used(crds, context, word):
    problems = Problems()
    assert open_crds(crds, context, "jwst", None, problems) is None
    assert word in problems[0].wrong


def test_missing_context_has_those_that_are_there(crds):
    problems = Problems()
    open_crds(crds, "jwst_9001.pmap", "jwst", None, problems)
    assert "'jwst_9000.pmap'" in problems[0].right
    assert "snakemake update_crds" in problems[0].right


@pytest.mark.parametrize(("name", "wrong"), [("no", "no such folder"), ("", "is not a CRDS cache")])
def test_cache_that_is_not_there(tmp_path, name, wrong):
    problems = Problems()
    assert open_crds(tmp_path / name, CONTEXT, "jwst", None, problems) is None
    assert problems[0].wrong == wrong


def test_missing_package_is_told(crds, monkeypatch):
    monkeypatch.setitem(sys.modules, "crds.core.rmap", None)
    problem = select(crds, "flat")["flat"]
    assert "the package crds cannot be used" in problem.wrong
    assert "'directory'" in problem.right


# Quiet, and remembered --------------------------------------------------------------------------------


def test_nothing_is_printed_and_the_environment_is_left_alone(crds, capfd):
    before = dict(os.environ)
    select(crds, "flat", "area", "dark")
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")


PROGRAM = """
import sys
from pathlib import Path
from calflow.references.crds_references import open_crds
from calflow.inputs.header_cache import HeaderCache
cache = HeaderCache(Path(sys.argv[2]))
selector = open_crds(Path(sys.argv[1]), "jwst_9000.pmap", "jwst", cache, [])
print(selector.select({parameters!r}, ["flat", "dark"])["flat"].recorded, "crds" in sys.modules)
cache.save()
"""


def test_remembered_selection_needs_no_crds(crds, tmp_path):
    program = PROGRAM.replace("{parameters!r}", repr(PARAMETERS))
    command = [sys.executable, "-c", program, str(crds), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    outputs = [
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
        for _ in range(2)
    ]
    assert outputs == [
        ["crds://jwst_miri_flat_0001.fits", "True"],
        ["crds://jwst_miri_flat_0001.fits", "False"],
    ]


def test_changed_rules_are_looked_up_again(crds, tmp_path):
    cache = HeaderCache(tmp_path / "cache")
    open_cleanly(crds, cache).select(PARAMETERS, ["flat"])
    write_flat_rules(crds / "mappings" / "jwst", F770W="jwst_miri_flat_0003.fits")
    (crds / "references" / "jwst" / "miri" / "jwst_miri_flat_0003.fits").touch()
    chosen = open_cleanly(crds, cache).select(PARAMETERS, ["flat"])
    assert chosen["flat"].recorded == "crds://jwst_miri_flat_0003.fits"


def test_remembered_reference_that_was_removed(crds, tmp_path):
    cache = HeaderCache(tmp_path / "cache")
    selector = open_cleanly(crds, cache)
    selector.select(PARAMETERS, ["flat"])["flat"].path.unlink()
    assert open_cleanly(crds, cache).select(PARAMETERS, ["flat"])["flat"].missing


@pytest.mark.parametrize(
    ("date", "name"),
    [("2018-12-31", "old"), ("2019-01-01", "new"), ("2023-03-12", "new"), ("2017-12-31", None), ("never", None)],
)
def test_date_counts_by_the_useafter_dates_it_lies_between(crds, date, name, monkeypatch):
    dates = {"2018-01-01": "jwst_miri_flat_old.fits", "2019-01-01": "jwst_miri_flat_new.fits"}
    rules = "".join(f"        '{day} 00:00:00' : '{file}',\n" for day, file in dates.items())
    path = crds / "mappings" / "jwst" / "jwst_miri_flat_9000.rmap"
    text = path.read_text().replace("        '2018-01-01 00:00:00' : 'jwst_miri_flat_0001.fits',\n", rules)
    lines = [line for line in text.split("\n") if "sha1sum" not in line]
    checksum = hashlib.sha1("\n".join(lines).encode()).hexdigest()
    lines.insert(1, f"    'sha1sum' : '{checksum}',")
    path.write_text("\n".join(lines))
    selector = open_cleanly(crds)
    # What is remembered of other dates must not be taken for this one.
    for other in ("2018-02-01", "2022-02-01"):
        selector.select(PARAMETERS | {"META.OBSERVATION.DATE": other}, ["flat"])
    if name:  # nothing is looked up again
        monkeypatch.setattr(selector, "_ask", None)
    chosen = selector.select(PARAMETERS | {"META.OBSERVATION.DATE": date}, ["flat"])["flat"]
    if name is None:
        assert isinstance(chosen, Problem)
    else:
        assert chosen.recorded == f"crds://jwst_miri_flat_{name}.fits"


def test_other_parameters_are_not_mixed_up(crds, tmp_path):
    cache = HeaderCache(tmp_path / "cache")
    selector = open_cleanly(crds, cache)
    selector.select(PARAMETERS, ["flat"])
    other = selector.select(PARAMETERS | {"META.INSTRUMENT.FILTER": "F560W"}, ["flat"])
    assert other["flat"].recorded == "crds://jwst_miri_flat_0002.fits"
