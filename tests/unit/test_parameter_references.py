"""Parameter references (pars-*): which, what wins over what, what is left out."""

import json

import pytest
import yaml

from calflow.configuration.problems import Problems
from calflow.configuration.settings import Settings, read_settings
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader
from calflow.instruments import family_of
from calflow.references.parameter_references import ParameterReferences, _selector
from calflow.references.reference_choice import ReferenceChooser

HEADER = {
    "TELESCOP": "JWST",
    "INSTRUME": "NIRCAM",
    "DETECTOR": "NRCB1",
    "EXP_TYPE": "NRC_IMAGE",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "SUBARRAY": "FULL",
    "DATE-OBS": "2023-03-12",
    "TIME-OBS": "07:47:13.140",
}


def write_pars(folder, name, reftype, class_name, parameters, steps=(), **meta):
    """Write a parameter reference as strun does."""
    instrument = {"name": "NIRCAM"} | {key: meta[key] for key in ("filter", "pupil") if key in meta}
    tree = {
        "meta": {
            "reftype": reftype,
            "telescope": "JWST",
            "useafter": meta.get("useafter", "2018-01-01T00:00:00"),
            "instrument": instrument,
            "exposure": {"type": meta.get("exp_type", "NRC_IMAGE")},
        },
        "class": f"jwst.module.{class_name}",
        "name": "step",
        "parameters": parameters,
        "steps": [{"class": f"jwst.{c}", "name": n, "parameters": p} for n, c, p in steps],
    }
    text = "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n---\n" + yaml.safe_dump(tree, sort_keys=False) + "...\n"
    (folder / name).write_text(text)


@pytest.fixture
def chosen(tmp_path):
    """Return a function from a header and a configuration to the parameters, notices and problems."""

    def choose(stage="stage2", config=None, settings=None, **header):
        config = {"references": {"directory": str(tmp_path)}} | (config or {})
        settings = settings or read_settings(config)
        problems, notices = Problems(), []
        cache = HeaderCache(tmp_path / "cache")
        chooser = ReferenceChooser(settings, cache, problems)
        references = ParameterReferences(settings, chooser, cache, problems, notices)
        values = {key: value for key, value in (HEADER | header).items() if value is not None}
        found = references.choose(
            stage, tmp_path / "x_rate.fits", ExposureHeader(tmp_path, values, ()), family_of(values)
        )
        return found, notices, list(problems)

    return choose


def test_the_filter_chooses(tmp_path, chosen):
    write_pars(tmp_path, "a.asdf", "pars-tweakregstep", "TweakRegStep", {"kernel_fwhm": 3.0}, filter="F200W")
    write_pars(tmp_path, "b.asdf", "pars-tweakregstep", "TweakRegStep", {"kernel_fwhm": 4.0}, filter="F115W")
    for name, width in (("F200W", 3.0), ("F115W", 4.0), ("F090W", 2.5)):
        found, notices, problems = chosen("stage3", FILTER=name)
        assert (found.settings.stage3.tweakreg.kernel_fwhm, notices, list(problems)) == (width, [], [])
    assert found.record(3) == {}


def test_a_file_counts_after_its_useafter(tmp_path, chosen):
    write_pars(
        tmp_path, "a.asdf", "pars-tweakregstep", "TweakRegStep", {"kernel_fwhm": 3.0}, useafter="2024-01-01T00:00:00"
    )
    assert chosen("stage3")[0].settings.stage3.tweakreg.kernel_fwhm == 2.5


def test_the_reference_of_the_pipeline_wins_over_that_of_a_step(tmp_path, chosen):
    """As in stpipe, which merges the pipeline's file into those of the steps."""
    write_pars(tmp_path, "a.asdf", "pars-resamplestep", "ResampleStep", {"pixfrac": 0.5, "kernel": "point"})
    steps = [("resample", "ResampleStep", {"pixfrac": 0.8})]
    write_pars(tmp_path, "b.asdf", "pars-image2pipeline", "Image2Pipeline", {}, steps)
    found, *_ = chosen()
    resample = found.settings.stage2.resample
    assert (resample.pixfrac, resample.kernel) == (0.8, "point")
    assert found.references == ("a.asdf", "b.asdf")
    assert found.values == {"resample.pixfrac": 0.8, "resample.kernel": "point"}
    assert chosen("stage3")[0].settings.stage3.resample.pixfrac == 0.5


def test_what_the_user_gives_wins(tmp_path, chosen):
    write_pars(
        tmp_path, "a.asdf", "pars-resamplestep", "ResampleStep", {"pixfrac": 0.5, "kernel": "point", "fillval": "0"}
    )
    (tmp_path / "mine.cfg").write_text("class = jwst.resample.ResampleStep\npixfrac = 0.6\nkernel = turbo\n")
    config = {"stage2": {"resample": {"pixfrac": 1.0}}, "parameter_files": [str(tmp_path / "mine.cfg")]}
    resample = chosen(config=config)[0].settings.stage2.resample
    assert (resample.pixfrac, resample.kernel, resample.fillval) == (1.0, "turbo", "0.0")


def test_settings_that_were_not_read_count_as_given(tmp_path, chosen):
    write_pars(tmp_path, "a.asdf", "pars-photomstep", "PhotomStep", {"inverse": True, "apply_time_correction": False})
    settings = Settings(references={"directory": str(tmp_path)}, stage2={"photom": {"inverse": False}})
    photom = chosen(settings=settings)[0].settings.stage2.photom
    assert (photom.inverse, photom.apply_time_correction) == (False, False)


@pytest.mark.parametrize("name", [None, "NOCAM", 5, ""])
def test_an_unknown_instrument_has_none(tmp_path, chosen, name):
    """That the header is wrong is told where it is checked; a first member's is asked before that."""
    write_pars(tmp_path, "a.asdf", "pars-tweakregstep", "TweakRegStep", {"kernel_fwhm": 3.0})
    for source in ({"source": "directory", "directory": str(tmp_path)}, {"source": "crds"}):
        found, notices, problems = chosen("stage3", {"references": source}, INSTRUME=name)
        assert (found.values, notices, problems) == ({}, [], [])


def test_they_can_be_switched_off(tmp_path, chosen):
    write_pars(tmp_path, "a.asdf", "pars-photomstep", "PhotomStep", {"inverse": True})
    config = {"references": {"directory": str(tmp_path), "parameters": False}}
    assert chosen(config=config)[0].values == {}


def test_what_calflow_does_not_have_is_told_once_a_file(tmp_path, chosen):
    """A misspelling, too: it may be a parameter of another version of jwst."""
    parameters = {"slit_y_low": -0.5, "nrs_ifu_slice_wcs": False, "save_results": True}
    write_pars(tmp_path, "a.asdf", "pars-assignwcsstep", "AssignWcsStep", parameters)
    _, notices, problems = chosen()
    assert not problems
    assert notices == [f"{tmp_path}/a.asdf: not used, calflow does not have this: slit_y_low, nrs_ifu_slice_wcs"]
    write_pars(tmp_path, "a.asdf", "pars-assignwcsstep", "AssignWcsStep", {"sip_degre": 3})
    assert chosen()[1:] == ([f"{tmp_path}/a.asdf: not used, calflow does not have this: sip_degre"], [])


def test_what_decides_which_files_there_are_holds_for_the_run(tmp_path, chosen):
    parameters = {"skip": True, "sip_degree": 3}
    write_pars(tmp_path, "a.asdf", "pars-assignwcsstep", "AssignWcsStep", parameters)
    steps = [("assign_wcs", "AssignWcsStep", parameters), ("photom", "PhotomStep", {"skip": True})]
    write_pars(tmp_path, "b.asdf", "pars-image2pipeline", "Image2Pipeline", {"save_bsub": True}, steps)
    found, notices, problems = chosen()
    assert not problems
    assert found.values == {"assign_wcs.sip_degree": 3, "photom.skip": True}
    ignored = "stage2.assign_wcs.skip: True, stage2.save_bsub: True"
    right = "set it in the configuration"
    assert notices == [f"{tmp_path}/b.asdf: not used, holds for all exposures: {ignored}; {right}"]


def test_a_wrong_value_is_a_problem_of_the_file(tmp_path, chosen):
    write_pars(tmp_path, "a.asdf", "pars-resamplestep", "ResampleStep", {"pixfrac": 1.5})
    _, _, problems = chosen()
    assert [(p.file, p.key, p.wrong) for p in problems] == [(f"{tmp_path}/a.asdf", "pixfrac", "1.5 is not valid")]


def test_the_record_names_files_and_values(tmp_path, chosen):
    steps = [("resample", "ResampleStep", {"pixfrac": 0.8}), ("photom", "PhotomStep", {"inverse": True})]
    write_pars(tmp_path, "b.asdf", "pars-image2pipeline", "Image2Pipeline", {}, steps)
    record = chosen()[0].record(2, "resample")
    assert {key: value for key, (value, _) in record.items()} == {
        "R_PAR201": "b.asdf",
        "PAR2_001": "photom.inverse=True",
    }


def test_one_set_of_files_is_read_once(tmp_path, chosen, monkeypatch):
    from calflow.references import parameter_references

    write_pars(tmp_path, "a.asdf", "pars-resamplestep", "ResampleStep", {"pixfrac": 0.5})
    settings = Settings(references={"directory": str(tmp_path)})
    problems, notices, cache = Problems(), [], HeaderCache(tmp_path / "cache")
    references = ParameterReferences(settings, ReferenceChooser(settings, cache, problems), cache, problems, notices)
    calls, read = [], parameter_references.read_parameter_files
    monkeypatch.setattr(parameter_references, "read_parameter_files", lambda *a: calls.append(a) or read(*a))
    header, family = ExposureHeader(tmp_path, HEADER, ()), family_of(HEADER)
    first, second = (references.choose("stage2", tmp_path, header, family) for _ in range(2))
    assert first is second
    assert len(calls) == 1


def test_the_selector_of_a_mapping_is_read_without_crds(tmp_path):
    selector = {"pars-tweakregstep": "jwst_nircam_pars-tweakregstep_0001.rmap", "pars-photomstep": "N/A"}
    (tmp_path / "x.imap").write_text(f"header = {{'a': 1}}\n\nselector = {json.dumps(selector)}\n")
    assert _selector(tmp_path / "x.imap") == selector
    assert _selector(tmp_path / "lost.imap") == {}


@pytest.mark.parametrize(
    "text", ["-" * 100_000 + "1", "selector = -" + "-" * 5000 + "1", "selector = {[]: 1}", "x = 1"]
)
def test_a_damaged_mapping_has_no_selector(tmp_path, text):
    (tmp_path / "x.imap").write_text(text)
    assert _selector(tmp_path / "x.imap") == {}


def write_cache(path):
    """Write a CRDS cache whose rules choose the parameters of TweakRegStep by the filter."""
    from tests.unit.test_crds_references import write_mapping

    mappings, references = path / "mappings/jwst", path / "references/jwst/nircam"
    mappings.mkdir(parents=True)
    references.mkdir(parents=True)
    date = ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")
    rules = "".join(
        f"('{name}',) : UseAfter({{'2018-01-01 00:00:00' : '{name.lower()}.asdf'}}),\n" for name in ("F200W", "F115W")
    )
    kind = "pars-tweakregstep"
    kinds = {"mapping": "REFERENCE", "instrument": "NIRCAM", "filekind": kind, "filetype": kind}
    parkey = (("META.INSTRUMENT.FILTER",), date)
    write_mapping(mappings, "tweak.rmap", f"Match({{\n{rules}}})", **kinds, parkey=parkey)
    selector = "{'pars-tweakregstep' : 'tweak.rmap', 'pars-photomstep' : 'N/A'}"
    instrument = {"mapping": "INSTRUMENT", "instrument": "NIRCAM", "parkey": ("REFTYPE",)}
    write_mapping(mappings, "jwst_nircam_9000.imap", selector, **instrument)
    pipeline = {"mapping": "PIPELINE", "parkey": ("META.INSTRUMENT.NAME",)}
    write_mapping(mappings, "jwst_9000.pmap", "{'NIRCAM' : 'jwst_nircam_9000.imap'}", **pipeline)
    for name, width in (("f200w", 3.0), ("f115w", 4.0)):
        write_pars(references, f"{name}.asdf", kind, "TweakRegStep", {"kernel_fwhm": width})


def test_crds_chooses_by_its_rules(tmp_path, chosen):
    pytest.importorskip("crds")
    write_cache(tmp_path / "crds")
    places = {"source": "crds", "crds_path": str(tmp_path / "crds"), "crds_context": "jwst_9000.pmap"}
    for name, width in (("F200W", 3.0), ("F115W", 4.0), ("F090W", 2.5)):
        found, _, problems = chosen("stage3", {"references": places}, FILTER=name)
        assert not problems
        assert found.settings.stage3.tweakreg.kernel_fwhm == width
        assert chosen("stage2", {"references": places}, FILTER=name)[0].references == ()
    assert chosen("stage3", {"references": places})[0].references == ("crds://f200w.asdf",)


def test_a_file_that_the_cache_lacks_stops_the_plan_with_what_brings_it(tmp_path, chosen):
    """What is in it is part of the plan, so that no job of the plan can fetch it."""
    pytest.importorskip("crds")
    write_cache(tmp_path / "crds")
    (tmp_path / "crds/references/jwst/nircam/f200w.asdf").unlink()
    places = {"source": "crds", "crds_path": str(tmp_path / "crds"), "crds_context": "jwst_9000.pmap", "fetch": True}
    found, _, problems = chosen("stage3", {"references": places})
    assert found.references == ()
    assert [(p.key, p.wrong) for p in problems] == [
        ("pars-tweakregstep", "needs 'f200w.asdf'; not in the cache"),
    ]
    assert "update_crds" in problems[0].right
