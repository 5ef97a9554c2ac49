"""The configuration: defaults in config.yaml, checks, and whose fault an error is."""

from pathlib import Path

import pytest
import yaml

from calflow.configuration.config_files import ConfigFile
from calflow.configuration.problems import InputError
from calflow.configuration.settings import Settings, check_files, read_settings

ROOT = Path(__file__).parents[2]


def problems(config, files=()):
    with pytest.raises(InputError) as caught:
        read_settings(config, files)
    return [str(problem) for problem in caught.value.problems]


def test_config_yaml_holds_the_defaults():
    assert read_settings(yaml.safe_load((ROOT / "config.yaml").read_text())) == Settings()


def test_defaults_are_those_of_jwst():
    stage2 = Settings().stage2
    assert (stage2.bkg_subtract.sigma, stage2.bkg_subtract.maxiters) == (3.0, None)
    assert (stage2.assign_wcs.sip_max_pix_error, stage2.assign_wcs.sip_npoints) == (0.01, 12)
    resample = stage2.resample
    assert (resample.pixfrac, resample.kernel, resample.fillval, resample.weight_type) == (1.0, "square", "NAN", "ivm")
    assert (resample.pixmap_stepsize, resample.pixmap_order, resample.propagate_dq) == (1.0, 1, False)


def test_text_from_the_command_line_is_read_as_its_type():
    given = {"stage2": {"resample": {"pixfrac": "0.5", "rotation": "None", "enable_err": "false", "fillval": "0"}}}
    resample = read_settings(given).stage2.resample
    assert (resample.pixfrac, resample.rotation, resample.enable_err, resample.fillval) == (0.5, None, False, "0.0")


def test_one_file_is_a_list_of_one():
    assert read_settings({"associations": "a.json"}).associations == ["a.json"]


@pytest.mark.parametrize(("given", "normal"), [("./out/", "out"), (".", "."), ("a//b/../c", "a/c")])
def test_the_output_folder_has_one_spelling(given, normal):
    assert read_settings({"output": given}).output == normal


def test_an_empty_section_is_its_defaults():
    assert read_settings({"stage2": {"resample": None}, "references": None}) == Settings()


def test_a_wrong_item_of_a_list(tmp_path):
    (tmp_path / "my.yaml").write_text("associations: [3]")
    (problem,) = problems({"associations": [3]}, [ROOT / "config.yaml", tmp_path / "my.yaml"])
    assert problem.startswith(f"{tmp_path}/my.yaml: associations[0]: 3 is not valid")


def test_all_problems_together():
    found = problems({"outputt": "x", "stage2": {"photom": {"skp": True}, "resample": {"pixfrac": 3}}})
    assert len(found) == 3


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"stage2": {"resample": {"weight_type": "None"}}}, "'ivm' or 'exptime'"),
        ({"stage2": {"resample": {"output_shape": [0, 5]}}}, "output_shape[0]"),
        ({"max_output_pixels": 0}, "an integer from 1 to"),
        ({"max_output_pixels": "many"}, "give an integer"),
        ({"stage2": {"resample": {"crval": [10, 95]}}}, "dec from -90 to 90"),
        ({"stage2": {"resample": {"pixel_scale": -1}}}, "number > 0"),
        ({"stage2": {"assign_wcs": {"sip_degree": 7}}}, "from 1 to 6"),
        ({"stage2": {"bkg_subtract": {"sigma": float("nan")}}}, "finite"),
        ({"stage2": {"bkg_subtract": {"bkg_list": []}}}, "unknown key"),
        ({"stage2": {"photon": {}}}, "did you mean 'photom'?"),
        ({"output": ""}, "a text that is not empty"),
    ],
)
def test_wrong_values(config, words):
    (problem,) = problems(config)
    assert words in problem


def test_the_file_with_the_wrong_key_is_named(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("stage2: {photom: {skip: maybe}}")
    second.write_text("output: x")
    (problem,) = problems({"output": "x", "stage2": {"photom": {"skip": "maybe"}}}, [second, first])
    assert problem.startswith(f"{first}: stage2.photom.skip: 'maybe'")


def test_a_value_from_no_file_is_from_the_command_line():
    (problem,) = problems({"stage2": {"photom": {"skip": "maybe"}}}, [ROOT / "config.yaml"])
    assert problem.startswith("--config: ")


# Stage 3

FINDER = {
    "minsep_fwhm": 0.0,
    "sigma_radius": 1.5,
    "sharplo": 0.5,
    "sharphi": 2.0,
    "roundlo": 0.0,
    "roundhi": 0.2,
    "brightest": 200,
    "peakmax": None,
    "connectivity": 8,
    "nlevels": 32,
    "contrast": 0.001,
    "multithresh_mode": "exponential",
    "localbkg_width": 0,
    "apermask_method": "correct",
    "kron_params": None,
    "deblend": True,
}
# jwst 3.0.0
STAGE3_DEFAULTS = {
    "assign_mtwcs": {"skip": False},
    "tweakreg": {
        "skip": False,
        "save_catalogs": False,
        "use_custom_catalogs": False,
        "catalog_format": "ecsv",
        "catfile": "",
        "starfinder": "iraf",
        "snr_threshold": 10.0,
        "kernel_fwhm": 2.5,
        "bkg_boxsize": 400,
        "npixels": 10,
        "enforce_user_order": False,
        "expand_refcat": False,
        "minobj": 15,
        "fitgeometry": "rshift",
        "nclip": 3,
        "sigma": 3.0,
        "searchrad": 2.0,
        "use2dhist": True,
        "separation": 1.0,
        "tolerance": 0.7,
        "xoffset": 0.0,
        "yoffset": 0.0,
        "abs_refcat": "",
        "save_abs_catalog": False,
        "abs_minobj": 15,
        "abs_fitgeometry": "rshift",
        "abs_nclip": 3,
        "abs_sigma": 3.0,
        "abs_searchrad": 6.0,
        "abs_use2dhist": True,
        "abs_separation": 1.0,
        "abs_tolerance": 0.7,
        "sip_approx": True,
        "sip_max_pix_error": 0.01,
        "sip_degree": None,
        "sip_max_inv_pix_error": 0.01,
        "sip_inv_degree": None,
        "sip_npoints": 12,
        "in_memory": True,
        **FINDER,
    },
    "skymatch": {
        "skip": False,
        "skymethod": "match",
        "match_down": True,
        "subtract": False,
        "skylist": None,
        "stepsize": None,
        "skystat": "mode",
        "dqbits": "~DO_NOT_USE+NON_SCIENCE",
        "lower": None,
        "upper": None,
        "nclip": 5,
        "lsigma": 4.0,
        "usigma": 4.0,
        "binwidth": 0.1,
        "in_memory": True,
    },
    "outlier_detection": {
        "skip": False,
        "weight_type": "ivm",
        "pixfrac": 1.0,
        "kernel": "square",
        "fillval": "NAN",
        "maskpt": 0.7,
        "snr": [5.0, 4.0],
        "scale": [1.2, 0.7],
        "backg": 0.0,
        "save_intermediate_results": False,
        "resample_data": True,
        "good_bits": "~DO_NOT_USE",
        "in_memory": True,
        "pixmap_stepsize": 1.0,
        "pixmap_order": 1,
    },
    "resample": {
        "skip": False,
        "pixfrac": 1.0,
        "kernel": "square",
        "fillval": "NAN",
        "weight_type": "ivm",
        "output_shape": None,
        "crpix": None,
        "crval": None,
        "rotation": None,
        "pixel_scale_ratio": 1.0,
        "pixel_scale": None,
        "output_wcs": "",
        "single": False,
        "blendheaders": True,
        "in_memory": True,
        "enable_ctx": True,
        "enable_err": True,
        "report_var": True,
        "propagate_dq": False,
        "pixmap_stepsize": 1.0,
        "pixmap_order": 1,
    },
    "source_catalog": {
        "skip": False,
        "aperture_ee1": 30,
        "aperture_ee2": 50,
        "aperture_ee3": 70,
        "ci1_star_threshold": 2.0,
        "ci2_star_threshold": 1.8,
        "suffix": "cat",
        "starfinder": "segmentation",
        "snr_threshold": 3.0,
        "bkg_boxsize": 1000,
        "kernel_fwhm": 2.0,
        "npixels": 25,
        **FINDER,
    },
}
# What jwst does not have, with the default that is closest to it.
OWN = {
    "tweakreg": {"robust": True, "on_failure": "keep", "group_by": "exposure", "wcs_from": []},
    "skymatch": {"group_by": "exposure"},
    "outlier_detection": {"error": "exposure", "search": "median"},
    "resample": {"variance": "resampled", "piece_pixels": 100_000_000},
    "source_catalog": {"parquet": False},
}


@pytest.mark.parametrize("step", STAGE3_DEFAULTS)
def test_defaults_of_stage_3_are_those_of_jwst(step):
    assert getattr(Settings().stage3, step).model_dump() == STAGE3_DEFAULTS[step] | OWN.get(step, {})


def test_stage_3_has_no_other_steps():
    assert Settings().stage3.in_memory is True
    assert set(type(Settings().stage3).model_fields) == {"in_memory", *STAGE3_DEFAULTS}


def stage3(step, **values):
    return getattr(read_settings({"stage3": {step: values}}).stage3, step)


@pytest.mark.parametrize("text", ["6.5 3", "6.5, 3", " 6.5  3.0 ", [6.5, 3], ["6.5", "3"]])
def test_two_numbers_as_jwst_writes_them(text):
    assert stage3("outlier_detection", snr=text).snr == [6.5, 3.0]
    assert stage3("outlier_detection", scale=text).scale == [6.5, 3.0]


@pytest.mark.parametrize("none", [None, "", "None", "none", "null"])
def test_no_catalogue_to_align_to(none):
    assert stage3("tweakreg", abs_refcat=none).abs_refcat == ""


@pytest.mark.parametrize(("given", "normal"), [("./refs//gaia.ecsv", "refs/gaia.ecsv"), ("GAIADR3", "GAIADR3")])
def test_a_catalogue_has_one_spelling(given, normal):
    assert stage3("tweakreg", abs_refcat=given).abs_refcat == normal


def test_values_from_the_command_line():
    step = stage3("tweakreg", brightest="None", peakmax="null", sip_degree="3", use2dhist="false")
    assert (step.brightest, step.peakmax, step.sip_degree, step.use2dhist) == (None, None, 3, False)
    assert stage3("source_catalog", kron_params=["2.5", "1.4"]).kron_params == [2.5, 1.4]
    assert stage3("source_catalog", connectivity="4").connectivity == 4
    assert stage3("resample", pixmap_order="3").pixmap_order == 3


def test_separation_must_be_more_than_sqrt_2_tolerances():
    """sqrt(2) x 0.7 = 0.98995."""
    assert stage3("tweakreg", separation=0.99).separation == 0.99
    (problem,) = problems({"stage3": {"tweakreg": {"separation": 0.9899}}})
    assert problem == (
        "--config: stage3.tweakreg: its values do not go together; separation must be more than sqrt(2) x tolerance; "
        "they are 0.9899 and 0.7"
    )


def test_separation_in_the_catalogue_counts_only_with_a_catalogue():
    assert stage3("tweakreg", abs_tolerance=2.0).abs_tolerance == 2.0
    (problem,) = problems({"stage3": {"tweakreg": {"abs_tolerance": 2.0, "abs_refcat": "GAIADR3"}}})
    assert "abs_separation must be more than sqrt(2) x abs_tolerance" in problem


@pytest.mark.parametrize(
    ("step", "values", "words"),
    [
        ("source_catalog", {"aperture_ee2": 30}, "aperture_ee1 < aperture_ee2 < aperture_ee3"),
        ("source_catalog", {"aperture_ee2": 80}, "aperture_ee1 < aperture_ee2 < aperture_ee3"),
        ("source_catalog", {"aperture_ee1": 0}, "aperture_ee1: 0 is not valid; give an integer > 0 and < 100"),
        ("source_catalog", {"aperture_ee3": 100}, "< 100"),
        ("source_catalog", {"aperture_ee1": 30.5}, "integer"),
        ("source_catalog", {"suffix": "mycat"}, "'cat'"),
        ("source_catalog", {"sharplo": 3}, "sharplo must be below sharphi"),
        ("source_catalog", {"kron_params": [2.5]}, "a list of"),
        ("source_catalog", {"connectivity": 6}, "4 or 8"),
        ("tweakreg", {"roundhi": -1}, "roundlo must be below roundhi"),
        ("tweakreg", {"fitgeometry": "turn"}, "'shift', 'rshift', 'rscale' or 'general'"),
        ("tweakreg", {"starfinder": "sextractor"}, "'iraf', 'dao' or 'segmentation'"),
        ("tweakreg", {"minobjs": 3}, "did you mean 'minobj'?"),
        ("tweakreg", {"nclip": -1}, "integer >= 0"),
        ("tweakreg", {"catalog_format": "csv"}, "did you mean 'ecsv'?"),
        ("tweakreg", {"sip_npoints": 7}, "from 8"),
        ("tweakreg", {"peakmax": 0}, "number > 0, or null"),
        ("skymatch", {"skymethod": "user"}, "skymethod 'user' needs a skylist"),
        ("skymatch", {"skymethod": "user", "skylist": "None"}, "skymethod 'user' needs a skylist"),
        ("skymatch", {"skymethod": "globalmatch"}, "'global+match'"),
        ("skymatch", {"lower": 3, "upper": 2}, "lower must be below upper"),
        ("skymatch", {"dqbits": "~DO_NOT_USE+NON_SCIENTIFIC"}, "'NON_SCIENTIFIC' is no data quality flag"),
        ("skymatch", {"stepsize": 0}, ">= 1"),
        ("outlier_detection", {"good_bits": "~OUTLIERS"}, "'OUTLIERS' is no data quality flag"),
        ("outlier_detection", {"kernel": "gaussian"}, "'square', 'point' or 'turbo'"),
        ("outlier_detection", {"snr": "5.0 x"}, "give two numbers, as '5.0 4.0'"),
        ("outlier_detection", {"snr": "5.0"}, "a list of 2 numbers"),
        ("outlier_detection", {"scale": "1.2 0.7 0.5"}, "a list of 2 numbers"),
        ("outlier_detection", {"snr": "5.0 -4.0"}, "snr: '5.0 -4.0' is not valid; give a number >= 0"),
        ("resample", {"pixmap_order": 2}, "1 or 3"),
        ("resample", {"variance": "inflated"}, "'resampled' or 'propagated'"),
    ],
)
def test_wrong_values_of_stage_3(step, values, words):
    (problem,) = problems({"stage3": {step: values}})
    assert words in problem
    assert f"stage3.{step}" in problem
    assert "value error" not in problem.lower()


def test_a_skylist_for_user_levels():
    assert stage3("skymatch", skymethod="user", skylist="./sky.txt").skylist == "sky.txt"


def test_values_that_do_not_go_together_are_told_of_the_file_that_has_them(tmp_path):
    """The whole section, with all its defaults, arrives: it is not printed."""
    mine = tmp_path / "my.yaml"
    mine.write_text("stage3: {tweakreg: {separation: 0.9, fitgeometry: shift}}")
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["stage3"]["tweakreg"] |= {"separation": 0.9, "fitgeometry": "shift"}
    (problem,) = problems(config, [mine, ROOT / "config.yaml"])
    assert problem.startswith(f"{mine}: stage3.tweakreg: its values do not go together; separation")
    (problem,) = problems(config, [ROOT / "config.yaml"])
    assert problem.startswith("--config: stage3.tweakreg")


# Common grids


def test_a_grid_has_the_defaults_of_resample():
    grid = read_settings({"grids": {"deep": {"associations": "a_*"}}}).grids["deep"]
    assert grid.model_dump() == {
        "associations": ["a_*"],
        "tile_shape": None,
        "tile_overlap": 0,
        "output_wcs": "",
        "output_shape": None,
        "crpix": None,
        "crval": None,
        "rotation": None,
        "pixel_scale_ratio": 1.0,
        "pixel_scale": None,
    }


@pytest.mark.parametrize("empty", [None, {}])
def test_no_grids(empty):
    assert read_settings({"grids": empty}).grids == {}


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({"associations": "a", "pixel_scal": 0.03}, "grids.deep.pixel_scal: unknown key; did you mean 'pixel_scale'?"),
        ({"associations": "a", "pixfrac": 0.5}, "grids.deep.pixfrac: unknown key; "),
        ({"associations": "a", "crval": [1, 99]}, "grids.deep.crval: [1, 99] is not valid; a position is [ra, dec]"),
        ({"associations": "a", "pixel_scale": 0}, "number > 0"),
        ({"associations": []}, "list of texts that is not empty"),
        ({"pixel_scale": 0.03}, "grids.deep.associations: is missing; give it"),
    ],
)
def test_wrong_grids(tmp_path, grid, words):
    config = {"grids": {"deep": grid}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config))
    (problem,) = problems(config, [tmp_path / "my.yaml"])
    assert words in problem
    assert problem.startswith(str(tmp_path / "my.yaml"))


def test_grids_of_different_names_are_told_apart():
    found = problems({"grids": {"deep": {"associations": "a", "crpx": 1}, "wide": {"associations": "b", "crvl": 1}}})
    assert [problem.partition(";")[0] for problem in found] == [
        "--config: grids.deep.crpx: unknown key",
        "--config: grids.wide.crvl: unknown key",
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [(True, True), (False, False), (None, False), ("cal/dark.fits", True), ("false", False), ("", False)],
)
def test_a_path_of_another_pipeline_is_a_wish(given, kept):
    assert read_settings({"stage2": {"dark_current": {"dark_output": given}}}).stage2.dark_current.dark_output is kept


@pytest.mark.parametrize(
    ("step", "values"),
    [
        ("tweakreg", {"separation": 0.5, "tolerance": 1.0}),  # defaults of jwst 1.4
        ("tweakreg", {"sharplo": 3}),
        ("source_catalog", {"aperture_ee2": 30}),
        ("source_catalog", {"roundhi": -1}),
        ("skymatch", {"skymethod": "user"}),
        ("skymatch", {"lower": 3, "upper": 2}),
    ],
)
def test_values_of_a_skipped_step_need_not_go_together(step, values):
    assert getattr(read_settings({"stage3": {step: values | {"skip": True}}}).stage3, step).skip
    with pytest.raises(InputError, match="do not go together"):
        read_settings({"stage3": {step: values}})


@pytest.mark.parametrize(("value", "text"), [(4, "4"), (0, "0"), (None, "None"), ("~DO_NOT_USE", "~DO_NOT_USE")])
def test_masks_may_be_numbers_or_null(value, text):
    """As in parameter files of older releases."""
    given = {"outlier_detection": {"good_bits": value}, "skymatch": {"dqbits": value}}
    stage3 = read_settings({"stage3": given}).stage3
    assert (stage3.outlier_detection.good_bits, stage3.skymatch.dqbits) == (text, text)


# What a configuration file loses when it is read


def in_file(tmp_path, text):
    """Return the problems of a configuration file, without its name."""
    path = tmp_path / "my.yaml"
    path.write_text(text)
    config = yaml.load(text, yaml.FullLoader)  # as Snakemake reads it
    return [problem.removeprefix(f"{path}: ") for problem in problems(config, [path, ROOT / "config.yaml"])]


def test_a_key_that_stands_twice(tmp_path):
    (problem,) = in_file(tmp_path, "stage2:\n  photom: {skip: true}\noutput: x\nstage2:\n  resample: {pixfrac: 0.5}\n")
    assert problem == (
        "stage2: stands more than once, in lines 1 and 4: only the last would count; "
        "put all that belongs to it into one"
    )


def test_a_key_that_stands_twice_further_below(tmp_path):
    text = (
        "references:\n  override:\n    flat: N/A\n    flat: N/A\n    flat: N/A\nstage2:\n  photom: {skip: 1, skip: 0}\n"
    )
    first, second = in_file(tmp_path, text)
    assert first.startswith("references.override.flat: stands more than once, in lines 3, 4 and 5:")
    assert second.startswith("stage2.photom.skip: stands more than once, in lines 7 and 7:")


def test_a_key_that_stands_twice_in_json(tmp_path):
    (problem,) = in_file(tmp_path, '{"output": "a",\n "output": "b"}')
    assert problem.startswith("output: stands more than once, in lines 1 and 2")


def test_json_with_tabs_is_looked_at(tmp_path):
    (tmp_path / "my.json").write_text('{\n\t"output": "a",\n\t"output": "b"\n}')
    (problem,) = problems({"output": "b"}, [tmp_path / "my.json"])
    assert "in lines 2 and 3" in problem


@pytest.mark.parametrize("name", ["my.json", "my.yaml"])
def test_numbers_of_json_that_yaml_has_not(tmp_path, name):
    (tmp_path / name).write_text('{"stage3": {"tweakreg": {"minobj": NaN}}}')
    (problem,) = problems({"stage3": {"tweakreg": {"minobj": float("nan")}}}, [tmp_path / name])
    assert problem.startswith(f"{tmp_path}/{name}: stage3.tweakreg.minobj: nan is not valid")


def test_what_is_merged_does_not_stand_twice(tmp_path):
    text = "stage2:\n  photom: &a {skip: true}\n  resample: {<<: *a, skip: false}\n  flat_field: {<<: *a}\n"
    (tmp_path / "my.yaml").write_text(text)
    config = yaml.safe_load(text)
    stage2 = read_settings(config, [tmp_path / "my.yaml"]).stage2
    assert (stage2.photom.skip, stage2.resample.skip, stage2.flat_field.skip) == (True, False, True)


def test_all_that_is_wrong_with_a_file_at_once(tmp_path):
    found = in_file(tmp_path, "output: a\noutput: b\nstage2: {photom: {skip: maybe}}\n")
    assert [problem.partition(":")[0] for problem in found] == ["output", "stage2.photom.skip"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stage3:\n  tweakreg:\n    minobj: .nan\n", "minobj: nan is not valid; give a finite number (line 3)"),
        ("stage3:\n  tweakreg:\n    minobj:\n", "minobj: has no value; give an integer, or leave it out (line 3)"),
        ("output: ~\n", "output: has no value; give a text, or leave it out (line 1)"),
        ("output: no\n", "output: false is not valid; give a text, in quotes (line 1)"),
        ("output: 2024-01-01\n", "output: 2024-01-01 is not valid; give a text, in quotes (line 1)"),
        ("associations:\n- a\n- 5\n", "associations[1]: 5 is not valid; give a text, in quotes (line 3)"),
        ("outptu: x\n", "outptu: unknown key; did you mean 'output'? (line 1)"),
        ("stage2:\n  resample:\n    crval: [12:30:00, 5]\n", "crval[0]: 12:30:00 (line 3) is read as 45000"),
        ("stage3: {tweakreg: {minobj: 010}}\n", "minobj: 010 (line 1) is read as 8"),
    ],
)
def test_file_key_and_line_of_a_value(tmp_path, text, problem):
    assert problem in in_file(tmp_path, text)[0]


@pytest.mark.parametrize(
    "text", ["crval: ['12:30:00', 5]", "minobj: 0", "minobj: 10", "a: 0.5", "b: 2024-01-01 10:00:00"]
)
def test_plain_numbers_are_what_they_seem(tmp_path, text):
    (tmp_path / "my.yaml").write_text(text)
    assert ConfigFile(tmp_path / "my.yaml").problems == ()


def test_the_strongest_file_is_named(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("output: 5\n")
    second.write_text("\noutput: 5\n")
    (problem,) = problems({"output": 5}, [second, first])
    assert problem.startswith(f"{second}: output: 5")
    assert problem.endswith("(line 2)")


def test_yaml_that_refers_to_itself_does_no_harm(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(
        "a: &a [*a]\nb: &b {c: *b}\n"
        + "x0: &x0 [1]\n"
        + "".join(f"x{n + 1}: &x{n + 1} [*x{n}, *x{n}]\n" for n in range(60))
    )
    assert ConfigFile(path).problems == ()


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {"stage3": {"tweakreg": {"minobj": True}}},
            "minobj: true is not valid; give a number; true and false are none",
        ),
        ({"stage3": {"tweakreg": {"sigma": False}}}, "sigma: false is not valid; give a number"),
        ({"stage3": {"outlier_detection": {"snr": [5, True]}}}, "snr: [5, True] is not valid; give a number"),
        ({"stage2": {"resample": {"pixmap_order": True}}}, "pixmap_order: true is not valid; give a number"),
        ({"stage2": {"resample": {"fillval": True}}}, "fillval: true is not valid; a fill value is a number or NAN"),
        ({"stage2": {"photom": {"skip": 5}}}, "photom.skip: 5 is not valid; give true or false"),
        (
            {"stage3": {"outlier_detection": {"snr": 5}}},
            "snr: 5 is not valid; give a list of 2 numbers, or text, such as [5.0, 4.0]",
        ),
        ({"associations": 5}, "associations: 5 is not valid; give a text, or a list of texts"),
        (
            {"stage3": {"resample": 5}},
            "stage3.resample: 5 is not valid; it is a section: give keys with values below it",
        ),
        (
            {"references": {"crds_context": 1500}},
            "crds_context: 1500 is not valid; give the whole name, such as 'jwst_1500",
        ),
        ({"stage3.resample.pixfrac": 3}, "unknown key; write stage3: {resample: {pixfrac: ...}}"),
        ({5: 3}, "5: unknown key; known are "),
        ({"references": {"override": {5: "x"}}}, "references.override.5: is no name; put it in quotes"),
        ({"stage2": {"resample": {"fillval": 10**400}}}, "a fill value is a number or NAN"),
        ({"minobj": 3}, "minobj: unknown key; it belongs below stage3.tweakreg"),
        ({"pixfrac": 3}, "it belongs below stage2.resample or below stage3.outlier_detection or below stage3.resample"),
        ({"stage2": {"output": "x"}}, "stage2.output: unknown key; it belongs at the top"),
        ({"stage3": {"skip": True}}, "stage3.skip: unknown key; known are "),
    ],
)
def test_values_of_another_type(config, problem):
    (found,) = problems(config)
    assert problem in found


def test_long_values_are_cut():
    (problem,) = problems({"output": ["x" * 10_000] * 10_000})
    assert len(problem) < 3000


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"output: x\n  input: y\n", "line 2: 'input: y' is not YAML: mapping values are not allowed"),
        (b"stage2:\n\tphotom: {}\n", "line 2: 'photom: {}' is not YAML: "),
        (b"stage2:\n\tphotom: {}\n", "indent with blanks, not with tabs"),
        (b'input: x\noutput: "y\n', "that begins in line 2"),
        (b"output: x\nassociations: *_asn.json\n", "line 2: 'associations: *_asn.json' is not YAML: "),
        (b"output: x\nassociations: *_asn.json\n", "put a value that begins with * & @ % or ` into quotes"),
        (b"output: @x\n", "into quotes"),
        (b"output:results\n", "has no keys; "),
        (b"output:results\n", "a blank belongs after each colon"),
        (b"- output\n", "has no keys at the top"),
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"output: !!bool maybe\n", "has a value that is not of the kind it is marked with"),
        (b"output: !!int ''\n", "has a value that is not of the kind it is marked with"),
        (b"a: 1\noutput: r\xe9sultats\n", "is not UTF-8 text: byte 0xe9 in line 2"),
        (b"SIMPLE  =                    T", "has no keys"),
        (b"output: $HOME\n", None),
        (b"output: x\noutput: y\n", "output: stands more than once, in lines 1 and 2"),
        (b"stage2: {photom: {skip: maybe}}\n", "stage2.photom.skip: 'maybe' is not valid"),
    ],
)
def test_a_file_can_be_looked_at_before_a_run(tmp_path, content, problem):
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    found = check_files([path])
    assert (problem or "") in found
    assert bool(found) == bool(problem)


def test_several_files_are_looked_at_as_a_run_takes_them(tmp_path):
    (tmp_path / "site.yaml").write_text("output: 5\n")
    (tmp_path / "my.yaml").write_text("output: results\n")
    assert check_files([tmp_path / "site.yaml", tmp_path / "my.yaml"]) == ""
    assert f"{tmp_path}/site.yaml: output: 5" in check_files([tmp_path / "my.yaml", tmp_path / "site.yaml"])


@pytest.mark.parametrize(("name", "words"), [("none.yaml", "no such file; relative paths"), (".", "is a folder")])
def test_no_file_to_look_at(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    assert words in check_files([Path(name)])


def test_aliases_that_stand_for_too_much(tmp_path):
    """Each of ten lists names the one before it ten times."""
    lists = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lists += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    bomb = tmp_path / "bomb.yaml"
    bomb.write_text("\n".join(lists))
    with pytest.raises(InputError) as refused:
        read_settings({}, [bomb])
    (problem,) = refused.value.problems
    assert str(problem).startswith(f"{bomb}: its aliases (*name) stand for more than 1000000 values")
    bomb.write_text("associations: &a [a.json, *a]")
    with pytest.raises(InputError, match="its aliases"):
        read_settings({}, [bomb])
    bomb.write_text("[" * 5000 + "]" * 5000)
    with pytest.raises(InputError, match="nested too deeply"):
        read_settings({}, [bomb])


def test_aliases_that_stand_for_a_little(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("associations: &a [a.json]\nexposures: *a\n")
    assert read_settings({"associations": ["a.json"], "exposures": ["a.json"]}, [file]).exposures == ["a.json"]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("null: 4", "null"),
        ("yes: 4", "yes"),
        ("1.5: 4", "1.5"),
        ("2024-01-01: 4", "2024-01-01"),
        ("stage3: {~: 4}", "stage3.~"),
        ("grids: {12: {associations: a}}", "grids.12"),
    ],
)
def test_keys_that_are_no_names(tmp_path, line, place):
    file = tmp_path / "my.yaml"
    file.write_text(line)
    with pytest.raises(InputError) as refused:
        read_settings(yaml.safe_load(line), [file])
    assert [str(problem) for problem in refused.value.problems] == [
        f"{file}: {place}: is no name; put it in quotes (line 1)"
    ]


def test_a_text_that_is_read_as_numbers_is_named_as_it_is_written(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("stage3: {outlier_detection: {snr: '5.0'}}")
    with pytest.raises(InputError) as refused:
        read_settings(yaml.safe_load(file.read_text()), [file])
    (problem,) = refused.value.problems
    assert str(problem).startswith(f"{file}: stage3.outlier_detection.snr: '5.0' is not valid; ")
