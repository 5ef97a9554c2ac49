"""Telescopes and their instruments are named in their own folders alone: in code and in its texts, not in its prose.

Docstrings and comments are prose: they compare with other pipelines, and give examples.
"""

import ast
import re
from pathlib import Path

import pytest

from calflow.instruments import FAMILIES

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
OF_FAMILIES = {
    name.lower()
    for family in FAMILIES
    for names in (family.telescopes, family.observatories, family.instruments, family.reference_telescopes)
    for name in names
}
OTHERS = {"webb", "nirspec", "nrs", "roman", "hst"}
# As a word of its own or at the beginning of a name: IrisField, simulate_iris; not admiring.
_LONGEST_FIRST = sorted(map(re.escape, OF_FAMILIES | OTHERS), key=len, reverse=True)
WORDS = re.compile(rf"(?<![A-Za-z])(?i:{'|'.join(_LONGEST_FIRST)})(?![a-z])")

PARAMETERS = "meanings of parameters, which say what other pipelines do with them"
DEMO = "a demo, which is of one instrument"
SIMULATOR = "the simulator's presets are detectors of JWST, and its files are like the archive's"
ALLOWED = {
    "calflow/commands/help.py": ({"jwst", "liger", "iris"}, "what calflow is for, as README says it"),
    "calflow/configuration/downloading.py": ({"jwst"}, "the address of the archive"),
    "calflow/configuration/settings.py": ({"jwst"}, PARAMETERS),
    "calflow/configuration/stage2.py": ({"liger", "iris"}, PARAMETERS),
    "calflow/science/calibration/calibration_parameters.py": ({"jwst"}, PARAMETERS),
    "calflow/science/cleaning/clean_flicker_noise_parameters.py": ({"jwst"}, PARAMETERS),
    "calflow/science/combination/combination_parameters.py": ({"jwst"}, PARAMETERS),
    "calflow/science/stars/matching_parameters.py": ({"jwst"}, PARAMETERS),
    "calflow/configuration/strun_translation.py": ({"jwst"}, "of parameters that jwst has no more"),
    "calflow/associations/level2.py": ({"fgs"}, "the name of a rule of the archive"),
    "calflow/inputs/scope.py": ({"nrs"}, "types of associations, which are known before any header is read"),
    "simulate_demo.py": ({"miri"}, DEMO),
    **dict.fromkeys(("simulate_iris_demo.py", "demo_iris_picture.py", "demo_iris.smk", "Snakefile"), ({"iris"}, DEMO)),
    **{
        f"calflow/simulation/{name}.py": (words, SIMULATOR)
        for name, words in {
            "exposures": {"jwst"},
            "headers": {"jwst", "nircam", "miri"},
            "instruments": {"nircam", "niriss", "miri", "fgs"},
            "references": {"jwst", "nircam", "niriss", "miri", "fgs"},
            "scene": {"nircam"},
        }.items()
    },
}


def words_in_code(source):
    """Return the words in the names and texts of a module, docstrings left out."""
    tree = ast.parse(source)
    prose = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            prose.add(node.body[0].value)
    texts = []
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if node not in prose:
                texts.append(text)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                texts.append(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                texts.append(name)
            case ast.ImportFrom(module=str(module)):
                texts += [module, *(alias.name for alias in node.names)]
            case ast.Import():
                texts += [alias.name for alias in node.names]
    return {word.lower() for text in texts for word in WORDS.findall(text)}


def words_in_rules(text):
    return {word.lower() for line in text.splitlines() for word in WORDS.findall(line.partition("#")[0])}


def found():
    """Return the words that stand outside the folders of instruments, by file."""
    modules = [path for path in SCRIPTS.rglob("*.py") if not path.is_relative_to(SCRIPTS / "calflow" / "instruments")]
    words = {path.relative_to(SCRIPTS).as_posix(): words_in_code(path.read_text()) for path in modules}
    rules = {
        path.name: words_in_rules(path.read_text()) for path in [*(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]
    }
    return {name: set_of_words for name, set_of_words in (words | rules).items() if set_of_words}


def test_no_telescope_is_named_outside_its_folder():
    assert found() == {name: words for name, (words, _) in ALLOWED.items()}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("from tweakwcs.correctors import JWSTWCSCorrector", {"jwst"}),
        ("def simulate_iris(IrisField): pass", {"iris"}),
        ("if telescope == 'Keck I': pass", {"keck i"}),
        ("x.nircam['MIRI']", {"nircam", "miri"}),
        ('"""As jwst does."""\ndef f():\n    """Of MIRI."""', set()),
        ("admiring = irises = 'mirid'", set()),
    ],
)
def test_words_are_found_in_names_and_texts(source, words):
    assert words_in_code(source) == words


def test_families_name_themselves():
    assert {"jwst", "nircam", "tmt", "iris", "ligeriri"} <= OF_FAMILIES
