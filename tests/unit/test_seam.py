"""What the rules give is what their scripts read: Snakemake checks neither, and a name that is amiss fails in a job."""

import ast
import re
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import getsource, signature
from pathlib import Path
from textwrap import dedent

import pytest

from calflow.configuration.stage2 import Resample
from calflow.configuration.stage3 import CombinedResample, OutlierDetection, Skymatch, SourceCatalog, Tweakreg
from calflow.instruments import FAMILIES
from calflow.job import arguments_of
from calflow.jobs.all import JOBS
from calflow.science.combination.resample import Resampler
from calflow.science.geometry.output_grid import grid_from_footprints
from calflow.science.geometry.sip import sip_approximation
from calflow.science.sky.sky_statistics import sky_statistic
from calflow.science.sources.source_detection import CatalogParameters
from calflow.science.stars.matching_parameters import Matching
from calflow.science.stars.star_finding import StarFinding, find_stars

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
# No script reads these: Snakemake makes a product again when they change.
MAKE_STALE = {
    "code": "the code that the script runs",
    "libraries": "the versions of the libraries whose code that is",
    "viewer": "the page of a map, which is HTML",
    "stamps": "size and time of inputs, one of which may be replaced by an older file",
}
# What Snakemake's lists of files and parameters have besides their names.
METHODS = {"get", "items", "keys", "values"}


@dataclass
class Rule:
    """A rule as it stands in the file: its script and the calls ``f(...)`` that its sections amount to."""

    name: str
    script: str = ""
    sections: dict[str, ast.Call] = field(default_factory=dict)


@cache
def rules():
    """Return the rules that have a script; those of ``use rule`` with what they inherit."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text()
        heads = list(re.finditer(r"^ *(?:use rule (\w+) as|rule) (\w+)(?: with)?:\n", text, re.MULTILINE))
        for head, following in zip(heads, [*heads[1:], None][: len(heads)], strict=True):
            body = text[head.end() : following.start() if following else len(text)]
            rule = Rule(head[2])
            if head[1]:
                rule.script, rule.sections = found[head[1]].script, dict(found[head[1]].sections)
            read_sections(rule, body, indent=len(head[0]) - len(head[0].lstrip()) + 4)
            found[rule.name] = rule
    return {name: rule for name, rule in found.items() if rule.script}


def read_sections(rule, body, indent):
    parts = re.split(rf"^ {{{indent}}}(\w+):", body, flags=re.MULTILINE)[1:]
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        if name in ("input", "output", "params"):
            inside = "\n".join(line for line in text.splitlines() if not line or line.startswith(" " * (indent + 4)))
            rule.sections[name] = ast.parse(f"f({inside}\n)", mode="eval").body
        elif name == "script":
            rule.script = Path(ast.literal_eval(text.strip().splitlines()[0])).name


def given(rule, section):
    """Return the names that a section gives or may give; what is given without a name, scripts do not read."""
    call = rule.sections.get(section)
    if call is None:
        return set()
    names = {keyword.arg for keyword in call.keywords if keyword.arg}
    for node in [*call.args, *(keyword.value for keyword in call.keywords if not keyword.arg)]:
        names |= names_of_job(node)
    return names


def names_of_job(node):
    """Return the names that ``unpack(files_of("x"))``, ``**parameters_of("x")`` and the like stand for."""
    match node:
        case ast.Call(func=ast.Name(id="unpack"), args=[inside]):
            return names_of_job(inside)
        case ast.Call(func=ast.Name(id="files_of"), args=[ast.Constant(value=job)]):
            return texts_in(ast.parse(dedent(getsource(unwrapped(JOBS[job].inputs)))), set())
        case ast.Call(func=ast.Name(id="parameters_of"), args=[ast.Constant(value=job)]):
            return {*JOBS[job].parameter_names, *(MAKE_STALE if JOBS[job].tracked else ())}
        case ast.Call(func=ast.Name(id="geometry_of")):
            return {"geometry"}
        case ast.Call(func=ast.Name(id="saved_image"), args=[ast.Constant(value=name)]):
            return {f"{name}_image"}
    return set()


def unwrapped(function):
    return function.func if isinstance(function, partial) else function


def texts_in(tree, seen):
    """Return the texts in an expression and in the functions of the plan and of jobs that it calls.

    The names of the files that a function returns are among them: what is none of them is given by nobody.
    """
    texts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
        if name and name not in seen:
            seen.add(name)
            if name == "references":  # by their types, which the families tell
                texts |= {kind for family in FAMILIES for kind in family.references}
            for other in planning_functions().get(name, []):
                texts |= texts_in(other, seen)
    return texts


@cache
def planning_functions():
    """Return the functions that say which files a job reads, by their names."""
    found = {}
    for path in [*(SCRIPTS / "calflow/plan").glob("*.py"), *(SCRIPTS / "calflow/jobs").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, []).append(node)
    return found


@cache
def reads(script, section):
    """Return the names that a script reads of a section: those it always needs, and all."""
    needed, every = set(), set()
    for function in working_functions(SCRIPTS / script, section):
        collect(function, section, needed, every, sure=True)
    return needed, every


def collect(tree, section, needed, every, sure):
    """Add the names that are read: ``params.x``, ``params["x"]``, and ``params.get("x")``, which need not be there."""
    for child in ast.iter_child_nodes(tree):
        name, optional = name_read(child, section)
        if name:
            every.add(name)
            if sure and not optional:
                needed.add(name)
        collect(child, section, needed, every, sure and not isinstance(child, ast.If | ast.IfExp))


def name_read(node, section):
    def is_section(value):
        return isinstance(value, ast.Name) and value.id == section

    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=name), *_]):
            return (name, True) if is_section(value) else (None, False)
        case ast.Attribute(value=value, attr=name) if name not in METHODS:
            return (name, False) if is_section(value) else (None, False)
        case ast.Subscript(value=value, slice=ast.Constant(value=name)):
            return (name, False) if is_section(value) else (None, False)
    return None, False


def working_functions(script, section):
    """Return the functions of a script that take a section, and those of the package that it hands the section to."""
    tree = ast.parse(script.read_text())
    yield from functions_with(tree, section)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(isinstance(a, ast.Name) and a.id == section for a in node.args):
            called = node.func
            while not isinstance(called, ast.Name | ast.Attribute):
                called = called.value if isinstance(called, ast.Subscript) else called.func
            if isinstance(called, ast.Name) and (module := imported_from(tree, called.id)):
                yield from functions_of(module, called.id, section)


def functions_of(module, name, section):
    """Return the function of that name in a module; if it loads functions, those that it or a family names."""
    tree = ast.parse(module.read_text())
    own = [function for function in functions_with(tree, section) if function.name == name]
    if own:
        yield from own
        return
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for text in [*texts, *(step.rule for family in FAMILIES for step in family.steps)]:
        if other := path_of(text.partition(":")[0]):
            yield from functions_with(ast.parse(other.read_text()), section)


def functions_with(tree, section):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and section in {argument.arg for argument in node.args.args}
    ]


def imported_from(tree, name):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
            return path_of(node.module)
    return None


def path_of(module):
    path = (SCRIPTS / module.replace(".", "/")).with_suffix(".py")
    return path if path.exists() else None


def users_of(script):
    return [rule for rule in rules().values() if rule.script == script]


SECTIONS = ("params", "input", "output")


def test_all_rules_and_scripts_are_seen():
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert text.count("    script:") == len(rules()) - text.count("use rule ")
    commands = {"settings.py"}
    assert {rule.script for rule in rules().values()} == {path.name for path in SCRIPTS.glob("*.py")} - commands


def test_reads_are_found():
    assert reads("lay_grid.py", "input") == ({"alignments", "first"}, {"alignments", "first", "output_wcs", "cal"})
    # In the steps that it calls.
    assert {"photom_row", "full_frame", "sip"} <= reads("calibrate.py", "params")[1]


def test_a_rule_asks_for_its_own_job():
    for path in (ROOT / "rules").glob("*.smk"):
        for name, body in re.findall(r"rule (\w+)(?: with)?:\n((?:    .*\n|\n)+)", path.read_text()):
            asked = set(re.findall(r'(?:files_of|parameters_of|resources_of)\("(\w+)"\)', body))
            assert asked <= {name}, path
            job = JOBS.get(name)
            assert asked == ({name} if job else set()), name
    scripts = {rule.name: rule.script for rule in rules().values()}
    assert {name: job.script for name, job in JOBS.items()} == {name: scripts[name] for name in JOBS}


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_takes_the_wildcards_of_its_rule(name):
    output = rules()[name].sections.get("output")
    wildcards = set(re.findall(r"\{\{(\w+)\}\}", ast.unparse(output))) if output else set()
    for function in filter(None, (JOBS[name].inputs, JOBS[name].parameters)):
        taken = signature(function).parameters.values()
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
            assert wildcards <= {parameter.name for parameter in taken}
            needed = {parameter.name for parameter in taken if parameter.default is parameter.empty}
            assert needed <= {"plan", *wildcards}


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.name)
def test_a_rule_gives_what_its_script_needs(rule, section):
    assert reads(rule.script, section)[0] - given(rule, section) == set()


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("script", sorted({rule.script for rule in rules().values()}))
def test_some_rule_gives_what_a_script_may_read(script, section):
    names = set().union(*(given(rule, section) for rule in users_of(script)))
    assert reads(script, section)[1] - names == set()


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.name)
def test_a_script_reads_the_parameters_that_its_rule_gives(rule):
    assert given(rule, "params") - reads(rule.script, "params")[1] - MAKE_STALE.keys() == set()


ABSOLUTE = {name.removeprefix("abs_"): 0 for name in Tweakreg().alignment_parameters() if name.startswith("abs_")}
OF_THE_RUN = {"shape", "n_images", "threads", "pixel_scale_ratio"}


@pytest.mark.parametrize(
    ("function", "values", "others"),
    [
        (
            Resampler,
            Resample().quick_look_parameters(),
            OF_THE_RUN - {"pixel_scale_ratio"} | {"error_weights", "good_bits", "variance"},
        ),
        (Resampler, CombinedResample().drizzle_parameters(), OF_THE_RUN | {"error_weights", "good_bits"}),
        (
            Resampler,
            OutlierDetection().resampling_parameters(),
            OF_THE_RUN | {"error_weights", "enable_ctx", "enable_err", "report_var", "propagate_dq", "variance"},
        ),
        (grid_from_footprints, CombinedResample().grid_parameters(), {"footprints", "first"}),
        (sky_statistic, Skymatch().measuring_parameters(), {"values"}),
        (Matching, Tweakreg().alignment_parameters(), set()),
        (Matching, ABSOLUTE, {"xoffset", "yoffset"}),
        (find_stars, Tweakreg().finder_parameters(), {"data", "mask", "bounds", "parameters"}),
        (StarFinding, Tweakreg().finder_parameters(), set()),
        (CatalogParameters, SourceCatalog().catalog_parameters(), set()),
        (sip_approximation, Tweakreg().sip_parameters(), {"wcs", "crpix"}),
    ],
)
def test_functions_get_all_that_the_configuration_has_for_them(function, values, others):
    """A name that differs between the two would leave the function its default, and nobody would be told."""
    assert signature(function).parameters.keys() - arguments_of(function, values).keys() == others
