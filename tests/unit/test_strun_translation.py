"""What parameter files of strun and lirun mean, and what wins over what."""

from pathlib import Path

import pytest
import yaml
from pydantic import Field

from calflow.configuration.config_files import ConfigFile
from calflow.configuration.problems import InputError, Problem, Problems
from calflow.configuration.section import Section
from calflow.configuration.settings import Settings, read_settings
from calflow.configuration.stage2 import Stage2
from calflow.configuration.stage3 import Stage3
from calflow.configuration.strun_history import DROPPED
from calflow.configuration.strun_translation import overlay, read_parameter_files

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "realdata" / "parameters"


class Skippable(Section):
    skip: bool = Field(False)


class Dark(Skippable):
    dark_output: str = Field("")


class WithDark(Section):
    """A stage 2 with steps of another family of instruments."""

    save_bsub: bool = Field(False)
    dark_current: Dark = Field(Dark())
    parse_subarray_map: Skippable = Field(Skippable())


def write(folder, text, name="my.cfg"):
    (folder / name).write_text(text)
    return str(folder / name)


def read(*paths, stages=None):
    """Return the layer, and the problems without the folder."""
    problems = Problems()
    layer = read_parameter_files(paths, problems, **({"stages": stages} if stages else {}))
    return layer, [str(problem).rpartition("my.cfg: ")[2] for problem in problems]


def image2(text):
    return "class = jwst.pipeline.Image2Pipeline\n" + text


# Names


@pytest.mark.parametrize("name", ["jwst.pipeline.Image2Pipeline", "jwst.pipeline.calwebb_image2.Image2Pipeline"])
@pytest.mark.parametrize("step", ["bkg_subtract", "background"])
def test_stage_2_of_jwst(tmp_path, name, step):
    path = write(tmp_path, f"class = {name}\n[steps]\n[[{step}]]\nsigma = 2.5\n[[photom]]\nskip = True\n")
    layer, problems = read(path)
    assert not problems
    assert layer.values == {"stage2": {"bkg_subtract": {"sigma": "2.5"}, "photom": {"skip": True}}}
    assert layer.origins["stage2.bkg_subtract.sigma"] == (path, f"steps.{step}.sigma")
    assert layer.notices == ()


def test_stage_3(tmp_path):
    text = "class = jwst.pipeline.Image3Pipeline\nin_memory = False\n[steps]\n[[tweakreg]]\nminobj = 4\n[[resample]]\n"
    layer, problems = read(write(tmp_path, text))
    assert (problems, layer.values) == ([], {"stage3": {"in_memory": False, "tweakreg": {"minobj": "4"}}})


def test_stage_2_of_liger(tmp_path):
    text = (
        "class = liger_iris_pipeline.pipeline.ProcessImagerL2Pipeline\nsave_bsub = True\noutput_dir = out\n[steps]\n"
        "[[parse_subarray_map]]\nskip = True\n[[dark_current]]\n"
        "dark_output = dark.fits\noverride_dark = cal/dark.fits\n"
    )
    layer, problems = read(write(tmp_path, text), stages={"stage2": WithDark})
    assert not problems
    assert layer.values == {
        "stage2": {
            "save_bsub": True,
            "dark_current": {"dark_output": "dark.fits"},
            "parse_subarray_map": {"skip": True},
        },
        "references": {"override": {"dark": "cal/dark.fits"}},
        "output": "out",
    }
    assert layer.notices == ()


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("jwst.background.BackgroundStep", ["stage2.bkg_subtract"]),
        ("jwst.assign_wcs.AssignWcsStep", ["stage2.assign_wcs"]),
        ("jwst.flatfield.FlatFieldStep", ["stage2.flat_field"]),
        ("jwst.photom.PhotomStep", ["stage2.photom"]),
        ("jwst.resample.ResampleStep", ["stage2.resample", "stage3.resample"]),
        ("jwst.assign_mtwcs.AssignMTWcsStep", ["stage3.assign_mtwcs"]),
        ("jwst.tweakreg.TweakRegStep", ["stage3.tweakreg"]),
        ("jwst.skymatch.SkyMatchStep", ["stage3.skymatch"]),
        ("jwst.outlier_detection.OutlierDetectionStep", ["stage3.outlier_detection"]),
        ("jwst.source_catalog.SourceCatalogStep", ["stage3.source_catalog"]),
    ],
)
def test_the_file_of_one_step_goes_to_every_stage_that_has_it(tmp_path, name, sections):
    layer, problems = read(write(tmp_path, f"class = {name}\nskip = True\n"))
    assert (problems, list(layer.origins)) == ([], [f"{section}.skip" for section in sections])


@pytest.mark.parametrize("stage", [Stage2, Stage3], ids=lambda stage: stage.__name__)
def test_every_step_of_calflow_has_a_class(tmp_path, stage):
    """New sections need no table: their classes are found by name."""
    steps = [name for name, field in stage.model_fields.items() if isinstance(field.default, Section)]
    for step in steps:
        name = {"bkg_subtract": "background"}.get(step, step).replace("_", "").capitalize()
        layer, problems = read(write(tmp_path, f"class = x.{name}Step\nskip = True\n"))
        assert not problems
        assert f"{stage.__name__.lower()}.{step}.skip" in layer.origins


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("jwst.pipeline.Image2Pipline", "did you mean 'Image2Pipeline'?"),
        ("jwst.pipeline.Detector1Pipeline", ""),
        ("jwst.jump.JumpStep", "known are"),
        ("jwst.ramp_fitting.RampFitStep", "known are"),
        ("liger_iris_pipeline.pipeline.ProcessFlatfieldL2", ""),
    ],
)
def test_a_class_that_calflow_does_not_have(tmp_path, name, right):
    (layer, (problem,)) = read(write(tmp_path, f"class = {name}\nskip = True\n"))
    assert problem.startswith(f"class: {name.rpartition('.')[2]!r} is no pipeline or step of calflow; ")
    assert right in problem
    assert layer.values == {}


def test_no_class(tmp_path):
    assert read(write(tmp_path, "skip = True\n"))[1][0].startswith("class: is missing; known are ")


# What has another place here


@pytest.mark.parametrize(
    ("pipeline", "step", "saved"),
    [
        ("", "", None),
        ("save_bsub = True", "", True),
        ("save_bsub = False", "", False),
        ("", "save_results = True", True),
        ("", "save_results = False", False),
        ("save_bsub = False", "save_results = True", True),
        ("save_bsub = True", "save_results = False", True),
        ("", "save_results = None", None),
    ],
)
def test_either_way_asks_for_bsub(tmp_path, pipeline, step, saved):
    layer, problems = read(write(tmp_path, image2(f"{pipeline}\n[steps]\n[[bkg_subtract]]\n{step}\n")))
    assert (problems, layer.notices) == ([], ())
    assert layer.values.get("stage2", {}).get("save_bsub") is saved


def test_a_later_file_takes_bsub_back(tmp_path):
    first = write(tmp_path, image2("[steps]\n[[bkg_subtract]]\nsave_results = True\n"))
    second = write(tmp_path, image2("save_bsub = False\n"), "second.cfg")
    assert read(first, second)[0].values == {"stage2": {"save_bsub": False}}


def test_overrides_are_references(tmp_path):
    text = "[steps]\n[[flat_field]]\noverride_flat = my.fits\n[[photom]]\noverride_photom = N/A\noverride_area = None\n"
    path = write(tmp_path, image2(text))
    layer, problems = read(path)
    assert not problems
    assert layer.values == {"references": {"override": {"flat": "my.fits", "photom": "N/A"}}}
    assert layer.origins["references.override.flat"] == (path, "steps.flat_field.override_flat")


def test_the_folder_of_products(tmp_path, monkeypatch):
    monkeypatch.setenv("PROGRAM", "1234")
    layer, _ = read(write(tmp_path, image2("output_dir = out/$PROGRAM\n")))
    assert Settings.model_validate(layer.values).output == "out/1234"
    assert read(write(tmp_path, image2("output_dir = None\n")))[0].values == {}


def test_the_folder_of_one_step_is_not_that_of_all(tmp_path):
    layer, _ = read(write(tmp_path, image2("[steps]\n[[resample]]\noutput_dir = elsewhere\n")))
    assert layer.values == {}
    assert layer.notices[0].endswith("my.cfg: not used, Snakemake and the configuration do this: output_dir")


# What is not translated


def test_what_concerns_strun_is_named_once(tmp_path):
    text = (
        "save_results = True\noutput_file = None\npre_hooks = ,\n[steps]\n"
        "[[photom]]\nsave_results = True\nsuffix = x\n[[resample]]\nsuffix = y\n"
    )
    layer, problems = read(write(tmp_path, image2(text)))
    assert not problems
    (notice,) = layer.notices
    assert sorted(notice.rpartition(": ")[2].split(", ")) == ["save_results", "suffix"]


FOREIGN = {
    "bkg_subtract": "bkg_list soss_source_percentile soss_bkg_percentile wfss_mmag_extract wfss_mask wfss_maxiter "
    "wfss_rms_stop wfss_outlier_percent",
    "assign_wcs": "slit_y_low slit_y_high nrs_ifu_slice_wcs",
    "photom": "source_type",
}


@pytest.mark.parametrize("step", FOREIGN)
def test_parameters_of_other_modes_and_versions_are_named(tmp_path, step):
    """They are not taken for misspellings."""
    lines = "".join(f"{name} = 1\n" for name in FOREIGN[step].split())
    layer, problems = read(write(tmp_path, image2(f"[steps]\n[[{step}]]\n{lines}")))
    assert not problems
    names = ", ".join(f"steps.{step}.{name}" for name in FOREIGN[step].split())
    assert [notice.partition("my.cfg: ")[2] for notice in layer.notices] == [
        f"not used, calflow does not have this: {names}"
    ]


# As an older release wrote them, and what is said.
OLDER = {
    ("photom.PhotomStep", "inverse: false, mrs_time_correction: true, source_type: null"): [
        "not used, jwst does not have this any more: mrs_time_correction (1.11 to 1.19)",
        "not used, calflow does not have this: source_type",
    ],
    ("resample.ResampleStep", "wht_type: exptime, good_bits: 4, allowed_memory: null"): [
        "not used, jwst does not have this any more: wht_type (0.7 to 0.9), good_bits (to 0.15), "
        "allowed_memory (to 1.16)",
    ],
    ("outlier_detection.OutlierDetectionStep", "nlow: 0, nsigma: 4 3, grow: 1, good_bits: 4"): [
        "not used, jwst does not have this any more: nlow (to 1.16), nsigma (to 0.7), grow (to 1.13)",
    ],
    ("tweakreg.TweakRegStep", "gaia_catalog: GAIADR2, min_gaia: 5, save_gaia_catalog: false"): [
        "not used, jwst does not have this any more: gaia_catalog (0.16 to 1.7), min_gaia (0.16 to 1.7), "
        "save_gaia_catalog (0.16 to 1.7)",
    ],
}


def asdf_file(folder, name, parameters):
    text = f"#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n---\nclass: jwst.{name}\nparameters: {{{parameters}}}\n...\n"
    return write(folder, text, "old.asdf")


@pytest.mark.parametrize(("name", "parameters"), OLDER, ids=[name for name, _ in OLDER])
def test_parameters_that_jwst_once_had_are_told_and_left_out(tmp_path, name, parameters):
    path = asdf_file(tmp_path, name, parameters)
    settings = read_settings({"parameter_files": path})
    assert list(settings.notices) == [f"{path}: {notice}" for notice in OLDER[name, parameters]]
    assert settings.stage3.tweakreg.abs_refcat == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("align_to_gaia: true, gaia_catalog: GAIADR1, min_gaia: 7", ("GAIADR1", 7, "rshift")),
        ("align_to_gaia: true, fitgeometry: general", ("GAIADR2", 5, "general")),
        ("align_to_gaia: true, min_gaia: 0, fitgeometry: shift, abs_fitgeometry: rscale", ("GAIADR2", 1, "rscale")),
        ("align_to_gaia: true, min_gaia: 7, abs_minobj: 9, abs_refcat: x.ecsv", ("x.ecsv", 9, "rshift")),
        ("align_to_gaia: false, gaia_catalog: GAIADR1, min_gaia: 7", ("", 15, "rshift")),
    ],
)
def test_the_alignment_to_gaia_of_older_releases(tmp_path, given, expected):
    settings = read_settings({"parameter_files": asdf_file(tmp_path, "tweakreg.TweakRegStep", given)})
    tweakreg = settings.stage3.tweakreg
    assert (tweakreg.abs_refcat, tweakreg.abs_minobj, tweakreg.abs_fitgeometry) == expected


def test_that_gaia_is_aligned_to_is_told_and_the_configuration_wins(tmp_path):
    path = asdf_file(tmp_path, "tweakreg.TweakRegStep", "align_to_gaia: true, gaia_catalog: GAIADR2, min_gaia: 5")
    assert read_settings({"parameter_files": path}).notices == (
        f"{path}: taken under its present name: gaia_catalog (abs_refcat: 'GAIADR2'), min_gaia (abs_minobj: 5)",
    )
    own = {"stage3": {"tweakreg": {"abs_refcat": "mine.ecsv"}}}
    assert read_settings({"parameter_files": path} | own).stage3.tweakreg.abs_refcat == "mine.ecsv"


def test_a_wrong_value_is_told_of_the_parameter_of_the_file(tmp_path):
    path = asdf_file(tmp_path, "tweakreg.TweakRegStep", "align_to_gaia: true, min_gaia: many")
    with pytest.raises(InputError) as caught:
        read_settings({"parameter_files": path})
    assert str(caught.value.problems[0]).startswith(f"{path}: min_gaia: 'many' is not valid")


def test_dropped_names_are_no_parameters_of_calflow():
    """Else they would be taken."""
    sections = {"stage2": Stage2, "stage3": Stage3}
    for step, names in DROPPED.items():
        found = [stage.model_fields[step].default for stage in sections.values() if step in stage.model_fields]
        assert found
        assert not any(set(names) & set(type(section).model_fields) for section in found)


def test_steps_that_calflow_does_not_have_are_named(tmp_path):
    layer, problems = read(write(tmp_path, image2("[steps]\n[[wfss_contam]]\nskip = True\n")))
    assert (problems, layer.values) == ([], {})
    assert layer.notices[0].endswith("not used, calflow does not have this: steps.wfss_contam")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("save_bsb = True\n", "save_bsb: unknown; did you mean 'save_bsub'?"),
        ("[steps]\n[[photom]]\nskp = True\n", "steps.photom.skp: unknown; did you mean 'skip'?"),
        ("[steps]\n[[photon]]\nskip = True\n", "steps.photon: unknown; did you mean 'photom'?"),
        ("[steps]\n[[flatfield]]\n", "steps.flatfield: unknown; did you mean 'flat_field'?"),
        (
            "[steps]\n[[photom]]\nsave_result = True\n",
            "steps.photom.save_result: unknown; did you mean 'save_results'?",
        ),
    ],
)
def test_misspellings_are_problems(tmp_path, text, problem):
    assert read(write(tmp_path, image2(text)))[1] == [problem]


def test_a_config_file_of_another_step(tmp_path):
    write(tmp_path, "class = jwst.photom.PhotomStep\nskip = True\n", "photom.cfg")
    path = write(tmp_path, image2("[steps]\n[[flat_field]]\nconfig_file = photom.cfg\n"))
    problems = Problems()
    layer = read_parameter_files([path], problems)
    assert layer.values == {}
    wrong = f"'PhotomStep' is not the class of flat_field, for which {path} names this file"
    assert list(problems) == [Problem(str(tmp_path / "photom.cfg"), "class", wrong, "name another file")]


def test_what_a_config_file_holds_in_vain_is_told_of_that_file(tmp_path):
    write(tmp_path, "class = jwst.flatfield.FlatFieldStep\nfilter = x\nsave_results = True\n", "flat.cfg")
    layer, problems = read(write(tmp_path, image2("[steps]\n[[flat_field]]\nconfig_file = flat.cfg\nsuffix = x\n")))
    assert not problems
    assert [notice.removeprefix(f"{tmp_path}/") for notice in layer.notices] == [
        "flat.cfg: not used, calflow does not have this: filter",
        "flat.cfg: not used, Snakemake and the configuration do this: save_results",
        "my.cfg: not used, Snakemake and the configuration do this: suffix",
    ]


def test_dots_in_names_are_plain_text(tmp_path):
    layer, _ = read(write(tmp_path, image2("[steps]\n[[photom]]\noverride_a = x.fits\noverride_a.b = y.fits\n")))
    assert layer.values == {"references": {"override": {"a": "x.fits", "a.b": "y.fits"}}}


# What wins


def test_the_main_file_wins_over_its_config_file(tmp_path):
    write(tmp_path, "class = a.FlatFieldStep\ninverse = True\nskip = True\n", "flat.cfg")
    path = write(tmp_path, image2("[steps]\n[[flat_field]]\nskip = False\nconfig_file = flat.cfg\n"))
    layer, problems = read(path)
    assert (problems, layer.values) == ([], {"stage2": {"flat_field": {"inverse": True, "skip": False}}})
    assert layer.origins["stage2.flat_field.inverse"] == (str(tmp_path / "flat.cfg"), "inverse")


def test_the_later_file_wins(tmp_path):
    first = write(tmp_path, image2("[steps]\n[[resample]]\npixfrac = 0.5\nkernel = point\n"))
    second = write(tmp_path, "class = jwst.resample.ResampleStep\npixfrac = 0.8\n", "second.cfg")
    layer, _ = read(first, second)
    assert layer.values["stage2"] == {"resample": {"pixfrac": "0.8", "kernel": "point"}}
    assert layer.origins["stage2.resample.pixfrac"] == (second, "pixfrac")
    assert layer.origins["stage2.resample.kernel"] == (first, "steps.resample.kernel")


@pytest.mark.parametrize(
    ("below", "above", "merged"),
    [
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {"a": {"b": None}}, {"a": {"b": None}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": 3}, {"a": 3}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    ],
)
def test_one_configuration_on_top_of_another(below, above, merged):
    assert overlay(below, above) == merged


def settings(paths, given=None, files=()):
    """Return settings as the Snakefile reads them: the defaults, and on top what the user gave."""
    defaults = yaml.safe_load((ROOT / "config.yaml").read_text())
    given = {"parameter_files": paths, **(given or {})}
    return read_settings(overlay(defaults, given), [*files, ROOT / "config.yaml"], given=given)


def problems_of(paths, given=None, files=()):
    with pytest.raises(InputError) as caught:
        settings(paths, given, files)
    return caught.value.problems


def test_files_win_over_defaults_and_the_configuration_over_files(tmp_path):
    text = "output_dir = theirs\n[steps]\n[[resample]]\npixfrac = 0.5\nkernel = point\n[[bkg_subtract]]\nmaxiters = 3\n"
    path = write(tmp_path, image2(text))
    found = settings([path])
    assert (found.output, found.stage2.resample.pixfrac, found.stage2.bkg_subtract.maxiters) == ("theirs", 0.5, 3)
    # Also where what the user gives is the default
    given = {"output": "results", "stage2": {"resample": {"pixfrac": 1.0}, "bkg_subtract": {"maxiters": None}}}
    found = settings(path, given)
    assert (found.output, found.stage2.resample.pixfrac, found.stage2.resample.kernel) == ("results", 1.0, "point")
    assert found.stage2.bkg_subtract.maxiters is None


def test_a_default_in_a_file_is_given(tmp_path):
    first = write(tmp_path, image2("[steps]\n[[resample]]\npixfrac = 0.5\n"))
    second = write(tmp_path, image2("[steps]\n[[resample]]\npixfrac = 1.0\n"), "second.cfg")
    assert settings([first, second]).stage2.resample.pixfrac == 1.0


def test_overrides_of_files_and_configuration_come_together(tmp_path):
    path = write(tmp_path, image2("[steps]\n[[flat_field]]\noverride_flat = a.fits\noverride_dflat = b.fits\n"))
    override = settings([path], {"references": {"override": {"flat": "mine.fits", "area": "N/A"}}}).references.override
    assert override == {"flat": "mine.fits", "dflat": "b.fits", "area": "N/A"}


def test_an_empty_section_of_the_configuration_leaves_the_files(tmp_path):
    path = write(tmp_path, image2("[steps]\n[[photom]]\nskip = True\n"))
    assert settings([path], {"stage2": None}).stage2.photom.skip is True
    assert settings([path], {"stage2": {"photom": None}}).stage2.photom.skip is True


def test_types_as_ini_files_have_them(tmp_path):
    text = (
        "class = jwst.pipeline.Image3Pipeline\n[steps]\n[[outlier_detection]]\nsnr = 6.0 3.0\nscale = '1.0, 0.5'\n"
        "[[resample]]\noutput_shape = 100, 200\nrotation = None\nfillval = INDEF\npixmap_order = 3\n"
        "[[tweakreg]]\nconnectivity = 4\nabs_refcat = None\nbrightest = None\n"
        "[[source_catalog]]\nkron_params = 2.5, 1.4\n"
    )
    stage3 = settings([write(tmp_path, text)]).stage3
    assert (stage3.outlier_detection.snr, stage3.outlier_detection.scale) == ([6.0, 3.0], [1.0, 0.5])
    assert (stage3.resample.output_shape, stage3.resample.rotation, stage3.resample.fillval) == (
        [100, 200],
        None,
        "NAN",
    )
    assert (stage3.resample.pixmap_order, stage3.tweakreg.connectivity) == (3, 4)
    assert (stage3.tweakreg.abs_refcat, stage3.tweakreg.brightest) == ("", None)
    assert stage3.source_catalog.kron_params == [2.5, 1.4]


def test_notices_come_with_the_settings(tmp_path):
    assert settings([write(tmp_path, image2("save_results = True\n"))]).notices[0].endswith(": save_results")
    assert Settings().notices == ()


# Problems


def test_all_problems_together(tmp_path):
    path = write(tmp_path, image2("[steps]\n[[photom]]\nskp = True\n[[resample]]\npixfrac = 1.5\n"))
    lost = str(tmp_path / "lost.cfg")
    mine = Path(write(tmp_path, f"parameter_files: [{path}, {lost}]\n", "my.yaml"))
    found = problems_of([path, lost], {"stage2": {"flat_field": {"skip": "perhaps"}}}, [mine])
    assert [(problem.file, problem.key) for problem in found] == [
        (path, "steps.photom.skp"),
        (str(mine), "parameter_files[1]"),
        ("--config", "stage2.flat_field.skip"),
        (path, "steps.resample.pixfrac"),
    ]
    assert found[3].wrong == "'1.5' is not valid"
    assert found[3].right == "give a number from 0 to 1"


def test_a_wrong_item_of_a_list(tmp_path):
    path = write(tmp_path, image2("[steps]\n[[resample]]\noutput_shape = 0, 200\n"))
    (problem,) = problems_of([path])
    assert (problem.file, problem.key) == (path, "steps.resample.output_shape[0]")


def test_what_the_configuration_replaces_is_not_wrong(tmp_path):
    path = write(tmp_path, image2("[steps]\n[[resample]]\npixfrac = 1.5\n"))
    assert settings([path], {"stage2": {"resample": {"pixfrac": 0.5}}}).stage2.resample.pixfrac == 0.5
    (problem,) = problems_of([path], {"stage2": {"resample": {"pixfrac": 2}}})
    assert problem.key == "stage2.resample.pixfrac"


def test_values_that_do_not_go_together(tmp_path):
    """All files that may be at fault are named."""
    path = write(tmp_path, "class = jwst.tweakreg.TweakRegStep\nseparation = 0.5\n")
    (problem,) = problems_of([path])
    assert (problem.file, problem.key) == (path, "stage3.tweakreg")
    mine = Path(write(tmp_path, "stage3: {tweakreg: {tolerance: 0.8}}", "my.yaml"))
    (problem,) = problems_of([path], {"stage3": {"tweakreg": {"tolerance": 0.8}}}, [mine])
    assert problem.file == f"{mine} and {path}"
    assert settings([path], {"stage3": {"tweakreg": {"tolerance": 0.3}}}).stage3.tweakreg.separation == 0.5


@pytest.mark.parametrize("wrong", [3, {"a": "b"}, [3]])
def test_paths_of_parameter_files_are_text(wrong):
    (problem,) = problems_of(wrong)
    assert problem.key.startswith("parameter_files")


def test_later_problems_name_the_file_too(tmp_path):
    path = write(tmp_path, image2("[steps]\n[[flat_field]]\noverride_flat = lost.fits\n"))
    mine = Path(write(tmp_path, "associations: [a.json]", "my.yaml"))
    found = settings([path], {"associations": ["a.json"]})
    located = found.located(Problem("config", "references.override.flat", "no such file"), [ConfigFile(mine)])
    assert (located.file, located.key) == (path, "steps.flat_field.override_flat")
    located = found.located(Problem("config", "associations[0]", "no such file"), [ConfigFile(mine)])
    assert (located.file, located.key) == (str(mine), "associations[0]")


# Real files


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no parameter references: {REAL}")
@pytest.mark.parametrize(("name", "fwhm"), [("generic", 2.5), ("miri", 3.2)])
def test_real_parameter_references(name, fwhm):
    """Of 2019: their separation is too small for their tolerance, which is said."""
    path = str(REAL / f"jwst_{name}_pars-tweakreg_0001.asdf")
    (problem,) = problems_of([path])
    right = "separation must be more than sqrt(2) x tolerance; they are 0.5 and 1"
    assert (problem.file, problem.right) == (path, right)
    found = settings([path], {"stage3": {"tweakreg": {"tolerance": 0.3}}})
    tweakreg = found.stage3.tweakreg
    assert (tweakreg.kernel_fwhm, tweakreg.fitgeometry, tweakreg.brightest) == (fwhm, "general", 100)
    assert found.notices == ()


# Documentation


def test_the_example_of_the_documentation(tmp_path):
    blocks = (ROOT / "docs" / "parameter_files.md").read_text().split("```")[1::2]
    cfg, same, notice = (block.partition("\n")[2] for block in blocks[1:])
    layer, problems = read(write(tmp_path, cfg, "image2.cfg"))
    assert not problems
    found, wanted = (read_settings(values).model_dump() for values in (layer.values, yaml.safe_load(same)))
    assert found == wanted
    assert layer.notices == (f"{tmp_path}/{notice.strip()}",)
