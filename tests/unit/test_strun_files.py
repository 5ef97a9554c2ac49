"""Parameter files of strun and lirun: what is in them, and what is wrong with them."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.configuration.problems import Problems
from calflow.configuration.strun_files import read_strun_file

LIGER = """
name = "image2"
class = "liger_iris_pipeline.pipeline.ProcessImagerL2Pipeline"
save_results = True
save_bsub = yes   # a comment
[steps]
  [[bkg_subtract]]
    sigma = 2.5
    maxiters = None
  [[dark_current]]
    override_dark = "cal/dark, long.fits"
  [[resample]]
    skip = False
    output_shape = 100, 200
    fillval = 'NAN'
  [[photom]]
"""
HEAD = """#ASDF 1.0.0
#ASDF_STANDARD 1.6.0
%YAML 1.1
%TAG ! tag:stsci.edu:asdf/
--- !core/asdf-1.1.0
asdf_library: !core/software-1.0.0 {author: The ASDF Developers, name: asdf, version: 5.4.0}
"""
# As strun --save-parameters writes, shortened
PIPELINE = (
    HEAD
    + """class: jwst.pipeline.calwebb_image2.Image2Pipeline
meta: {author: <SPECIFY>, useafter: <SPECIFY>}
name: Image2Pipeline
parameters: {output_dir: null, pre_hooks: [], save_bsub: false}
steps:
- class: jwst.background.background_step.BackgroundStep
  name: bkg_subtract
  parameters: {maxiters: null, sigma: 3.5, skip: true}
- class: jwst.resample.resample_step.ResampleStep
  name: resample
  parameters: {fillval: NAN, output_shape: [100, 200]}
...
"""
)
# As CRDS had them in 2019, the class among the parameters
STEP = (
    HEAD
    + """history:
  entries:
  - !core/history_entry-1.0.0 {description: Baseline, time: !!timestamp '2019-07-18 20:01:09'}
meta: {reftype: pars-tweakreg, useafter: '2019-10-11T00:00:00'}
parameters:
  class: jwst.tweakreg.TweakRegStep
  brightest: 100
  connectivity: '8'
  expand_refcat: false
  xoffset: 0.0
...
"""
)


def read(path, text):
    """Return what a file with this text holds, and the problems."""
    path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)
    problems = Problems()
    return read_strun_file(str(path), problems), [str(problem).removeprefix(f"{path}: ") for problem in problems]


def values(found):
    """Return the parameters of each step."""
    return {name: [dict(layer.values) for layer in layers] for name, layers in found.steps.items()}


@pytest.fixture
def cfg(tmp_path):
    return tmp_path / "my.cfg"


@pytest.fixture
def asdf(tmp_path):
    return tmp_path / "my.asdf"


# .cfg


def test_a_pipeline_and_its_steps(cfg):
    found, problems = read(cfg, LIGER)
    assert not problems
    assert (found.file, found.class_name) == (str(cfg), "ProcessImagerL2Pipeline")
    assert found.values == {"save_results": True, "save_bsub": "yes"}
    assert values(found) == {
        "bkg_subtract": [{"sigma": "2.5", "maxiters": None}],
        "dark_current": [{"override_dark": "cal/dark, long.fits"}],
        "resample": [{"skip": False, "output_shape": ["100", "200"], "fillval": "NAN"}],
        "photom": [{}],
    }
    assert found.steps["resample"][0].place == "steps.resample."


def test_depth_is_told_by_brackets_not_by_indentation(cfg):
    found, _ = read(cfg, "class = a.b.Image2Pipeline\n        [steps]\n[[photom]]\nskip = True\n  [[resample]]\n")
    assert values(found) == {"photom": [{"skip": True}], "resample": [{}]}


def test_the_file_of_one_step(cfg):
    found, problems = read(
        cfg, 'class = "jwst.tweakreg.TweakRegStep"\nname = "tweakreg"\nminobj = 4\nabs_refcat = ""\n'
    )
    assert not problems
    assert (found.class_name, found.values, found.steps) == ("TweakRegStep", {"minobj": "4", "abs_refcat": ""}, {})


@pytest.mark.parametrize("text", ["true", "True", "TRUE", '"True"'])
def test_truth_values_in_any_case(cfg, text):
    assert read(cfg, f"class = x.Y\nskip = {text}\n")[0].values == {"skip": True}


def test_percent_signs_and_braces_are_plain_text(cfg):
    text = "class = x.Y\noverride_flat = %(HOME)s/${flat}.fits\n"
    assert read(cfg, text)[0].values == {"override_flat": "%(HOME)s/${flat}.fits"}


def test_line_ends_and_byte_order_mark_of_windows(cfg):
    found, problems = read(cfg, b"\xef\xbb\xbfclass = x.Y\r\nskip = True\r\n")
    assert (problems, found.class_name, found.values) == ([], "Y", {"skip": True})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("class = x.Y\nsigma\n", r"not readable as \.cfg \(.*line 2.*"),
        ("class = x.Y\nsigma = 1\nsigma = 2\n", r"not readable as \.cfg \(line 3 repeats a name\).*"),
        ("class = x.Y\n[[photom]]\nskip = True\n", r"not readable as \.cfg \(.*line 2.*"),
        ("class = 'x.Y\n", r"not readable as \.cfg \(.*line 1.*"),
        ("class = x.Y\n[photom]\nskip = True\n", r"photom: no section is expected here; sections are \[steps\].*"),
        ("class = x.Y\n[steps]\n[[a]]\n[[[b]]]\n", r"steps\.a\.b: no section is expected here.*"),
        ("class = x.Y\n[steps]\nskip = True\n", r"steps\.skip: stands outside of a step.*"),
        ("class = x.Y\nsteps = photom\n", r"steps: not a section.*"),
        (b"\xff\xfe\x00", "not text; give a .cfg file, or an ASDF file"),
        (b"x" * (1024**2 + 1), "too long for a parameter file; it has at most 1048576 bytes"),
    ],
)
def test_wrong_cfg_files(cfg, text, problem):
    found, (told,) = read(cfg, text)
    assert found is None
    assert re.fullmatch(problem, told)


@given(st.binary(max_size=200) | st.text(alphabet="[]=#,'\"\n st%", max_size=60).map(str.encode))
def test_no_content_makes_the_reader_fail(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any"
    for head in (b"", b"#ASDF 1.0.0\n"):
        found, problems = read(path, head + content)
        assert (found is None) == bool(problems)


# config_file


def test_a_step_takes_its_parameters_from_a_file_beside(cfg):
    """What stands in the main file wins: it comes later."""
    folder = cfg.parent / "steps"
    folder.mkdir()
    (folder / "flat.cfg").write_text("class = a.FlatFieldStep\nname = flat\ninverse = True\noverride_flat = f.fits\n")
    found, problems = read(cfg, "class = x.Y\n[steps]\n[[flat_field]]\nconfig_file = steps/flat.cfg\ninverse = False\n")
    assert not problems
    below, own = found.steps["flat_field"]
    assert (below.file, below.place, below.class_name) == (str(folder / "flat.cfg"), "", "FlatFieldStep")
    assert (dict(below.values), dict(own.values)) == (
        {"inverse": True, "override_flat": "f.fits"},
        {"inverse": False},
    )


def test_a_step_takes_its_parameters_from_an_asdf_file(cfg, asdf):
    asdf.write_text(STEP)
    found, problems = read(cfg, f"class = x.Y\n[steps]\n[[tweakreg]]\nconfig_file = {asdf.name}\n")
    assert not problems
    assert found.steps["tweakreg"][0].values["brightest"] == 100


def test_no_config_file(cfg):
    found, problems = read(cfg, "class = x.Y\n[steps]\n[[photom]]\nconfig_file = None\n")
    assert (problems, values(found)) == ([], {"photom": [{}]})


def test_a_config_file_that_is_not_there(cfg):
    _, (problem,) = read(cfg, "class = x.Y\n[steps]\n[[photom]]\nconfig_file = lost.cfg\n")
    missing = str(cfg.parent / "lost.cfg")
    assert problem == (
        f"steps.photom.config_file: no such file {missing!r}; relative paths begin at the folder of {cfg}"
    )


def test_problems_of_a_config_file_are_told_of_that_file(cfg):
    beside = cfg.parent / "flat.cfg"
    beside.write_text("inverse")
    _, (problem,) = read(cfg, "class = x.Y\n[steps]\n[[flat_field]]\nconfig_file = flat.cfg\n")
    assert problem.startswith(f"{beside}: not readable as .cfg (line 1 is no section")
    assert "inverse" not in problem  # any file may be named so, and must not be shown


def test_a_pipeline_is_not_the_config_file_of_a_step(cfg):
    (cfg.parent / "image2.cfg").write_text(LIGER)
    _, (problem,) = read(cfg, "class = x.Y\n[steps]\n[[photom]]\nconfig_file = image2.cfg\n")
    assert "takes the parameters of one step from here, not those of a pipeline" in problem


def test_a_config_file_that_names_itself_is_read_once(cfg):
    """Only the steps of a pipeline have one."""
    (cfg.parent / "flat.cfg").write_text("config_file = flat.cfg\n")
    found, problems = read(cfg, "class = x.Y\n[steps]\n[[flat_field]]\nconfig_file = flat.cfg\n")
    assert (problems, values(found)) == ([], {"flat_field": [{"config_file": "flat.cfg"}, {}]})


# ASDF


def test_a_pipeline_that_strun_saved(asdf):
    found, problems = read(asdf, PIPELINE)
    assert not problems
    assert (found.class_name, found.values) == (
        "Image2Pipeline",
        {"output_dir": None, "pre_hooks": [], "save_bsub": False},
    )
    assert values(found) == {
        "bkg_subtract": [{"maxiters": None, "sigma": 3.5, "skip": True}],
        "resample": [{"fillval": "NAN", "output_shape": [100, 200]}],
    }
    (step,) = found.steps["bkg_subtract"]
    assert (step.place, step.class_name) == ("steps.bkg_subtract.", "BackgroundStep")


def test_a_step_as_crds_has_it(asdf):
    found, problems = read(asdf, STEP)
    assert not problems
    assert (found.class_name, found.place) == ("TweakRegStep", "")
    assert found.values == {"brightest": 100, "connectivity": "8", "expand_refcat": False, "xoffset": 0.0}


def test_asdf_is_told_by_its_content(cfg):
    assert read(cfg, STEP)[0].class_name == "TweakRegStep"


def test_binary_blocks_are_not_looked_at(asdf):
    assert read(asdf, STEP.encode() + b"\xd3BLK\x00\x30\xff")[0].class_name == "TweakRegStep"


def test_no_tag_is_acted_upon(asdf):
    text = HEAD + "class: a.B\nparameters: {when: !!timestamp '2019-02-30', run: !!python/name:os.system x}\n...\n"
    found, problems = read(asdf, text)
    assert (problems, found.values) == ([], {"when": "2019-02-30", "run": "x"})


def test_aliases_are_followed(asdf):
    """The asdf package writes them for lists that are the same object."""
    found, _ = read(asdf, HEAD + "class: a.B\nparameters: {pre_hooks: &id1 [], post_hooks: *id1}\n...\n")
    assert found.values == {"pre_hooks": [], "post_hooks": []}


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (STEP.replace("...", ""), "truncated: the YAML text does not end with a line '...'; get the file again"),
        (HEAD + "class: [\n...\n", "not readable as ASDF .*"),
        (HEAD + "class: *none\n...\n", "not readable as ASDF .*"),
        (HEAD + "class: \x01\n...\n", "not readable as ASDF .*"),
        (HEAD + "class: a.B\nparameters: {x: !!bool maybe}\n...\n", "'maybe' is no bool; .*"),
        (HEAD + "class: a.B\nparameters: {x: !!int ''}\n...\n", "'' is no int; .*"),
        (HEAD + "class: a.B\nparameters: {x: !!float x}\n...\n", "'x' is no float; .*"),
        (HEAD + "meta: {reftype: distortion}\n...\n", "holds no parameters of a step; give a pars-.* file.*"),
        (HEAD + "class: a.B\nparameters: [1]\n...\n", "parameters: not a mapping of names to values.*"),
        (HEAD + "class: a.B\nsteps: [1]\n...\n", r"steps\[0\]: not a mapping of names to values.*"),
        (HEAD + "class: a.B\nsteps: [{class: c.D}]\n...\n", r"steps\[0\]: has no name.*"),
        ("#ASDF 1.0.0\n--- [1]\n...\n", "not a parameter file; give a pars-.*"),
        ("#ASDF 1.0.0\n...\n", "not a parameter file; give a pars-.*"),
        (HEAD + BOMB + "class: a.B\nparameters: {x: *a39}\n...\n", "too long for a parameter file.*"),
        (HEAD + "class: a.B\nparameters: &p {x: *p}\n...\n", "nested too deeply.*|too long.*"),
        (HEAD + "class: a.B\nparameters: " + 5000 * "[" + 5000 * "]" + "\n...\n", "nested too deeply.*"),
    ],
)
def test_wrong_asdf_files(asdf, text, problem):
    found, (told,) = read(asdf, text)
    assert found is None
    assert re.fullmatch(problem, told)


# Files as such


def test_no_such_file(tmp_path):
    problems = Problems()
    assert read_strun_file(str(tmp_path / "lost.cfg"), problems) is None
    assert [problem.wrong for problem in problems] == ["no such file"]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    problems = Problems()
    for path in (tmp_path / "pipe", tmp_path):
        assert read_strun_file(str(path), problems) is None
    assert [problem.wrong for problem in problems] == ["not a file", "not a file"]


@pytest.mark.parametrize("line", [" " * 3000 + "name 7", "name" + " " * 100_000 + "7"], ids=["before", "within"])
def test_a_line_of_blanks_is_refused_at_once(cfg, line):
    # configobj takes seconds, or hours
    _, (problem,) = read(cfg, f"class = x.Y\n[steps]\n[[tweakreg]]\n{line}\n")
    assert "not readable as .cfg (line 4 " in problem
