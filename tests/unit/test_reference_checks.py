"""References that are not what they are used as: refused or named before any job; what only pixels tell, in the job."""

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calflow.calibration.dark import read_dark
from calflow.calibration.flat import read_flat
from calflow.configuration.problems import InputError, Problems
from calflow.configuration.settings import read_settings
from calflow.files.reference_files import ReferenceFileError, has_positive_value
from calflow.inputs.fits_headers import HeaderError
from calflow.inputs.header_cache import HeaderCache
from calflow.plan.planner import make_plan
from calflow.plan.reference_checks import ReferenceChecker
from calflow.references.asdf_content import check_asdf_reference
from calflow.references.references import Reference
from calflow.science.dq_flags import DO_NOT_USE
from calflow.science.windows import Window
from calflow.simulation import Scene, simulate

SCENE = Scene("miri_f1130w", detector_shape=(56, 64), exposures=2, stars=1, galaxies=0, seed=3)
REAL = Path(__file__).parents[3] / "shared" / "realdata" / "reference"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, SCENE)
    return folder


@pytest.fixture
def folder(simulated, tmp_path, monkeypatch):
    """A working folder with exposures, associations of both levels, and references."""
    monkeypatch.chdir(tmp_path)
    for name in ("references", "rate", "stage3"):
        shutil.copytree(simulated / name, name)
    return tmp_path


def reference(reftype):
    (path,) = Path("references").rglob(f"*_{reftype}_*.*")
    return path


def plan_of(**override):
    given = {"associations": ["rate/*_asn.json", "stage3/*_asn.json"], "references": {"override": override}}
    return make_plan(read_settings(given), [], Path(".cache"))


def problems_of(**override):
    with pytest.raises(InputError) as caught:
        plan_of(**override)
    return [str(problem) for problem in caught.value.problems]


def problem_of(**override):
    (problem,) = problems_of(**override)
    return problem


def edited(path, name="own.fits", **keywords):
    """Copy a FITS file with other keywords in the primary header; None removes one."""
    shutil.copy(path, name)
    with fits.open(name, mode="update") as hdus:
        for keyword, value in keywords.items():
            hdus[0].header[keyword] = value
            if value is None:
                del hdus[0].header[keyword]
    return name


# What a file is for ---------------------------------------------------------------------------------------


def test_the_references_of_the_simulation_are_sound(folder):
    names = "distortion filteroffset flat photom area apcorr abvegaoffset".split()
    plan = plan_of(**{name: str(reference(name)) for name in names})
    assert not any("rules choose" in notice for notice in plan.notices)


@pytest.mark.parametrize("reftype", ["flat", "area", "photom", "apcorr"])
@pytest.mark.parametrize(
    ("keyword", "value"), [("REFTYPE", "DARK"), ("INSTRUME", "NIRCAM"), ("TELESCOP", "HST"), ("DETECTOR", "NRCA1")]
)
def test_fits_override_for_something_else(folder, reftype, keyword, value):
    problem = problem_of(**{reftype: edited(reference(reftype), **{keyword: value})})
    assert problem.startswith(f"{folder}/own.fits: {keyword}: is '{value}'; ")
    assert f" in its {reftype} reference" in problem


@pytest.mark.parametrize(("reftype", "other"), [("abvegaoffset", "distortion"), ("distortion", "abvegaoffset")])
def test_asdf_override_of_another_type(folder, reftype, other):
    assert str(reference(other)) in problem_of(**{reftype: str(reference(other))})


def test_asdf_override_of_another_instrument(folder):
    text = reference("abvegaoffset").read_bytes()
    Path("own.asdf").write_bytes(text.replace(b"MIRI,", b"FGS,").replace(b"name: MIRI", b"name: FGS"))
    assert "own.asdf: INSTRUME: is 'FGS'; " in problem_of(abvegaoffset="own.asdf")


def test_asdf_override_that_names_its_instrument_at_the_top(folder):
    """As files did before there was `meta`."""
    with asdf.open(reference("distortion")) as file:
        tree = {"reftype": "DISTORTION", "instrument": "NIRISS", "model": file["model"]}
        asdf.AsdfFile(tree).write_to("own.asdf")
        asdf.AsdfFile(tree | {"instrument": "MIRI"}).write_to("right.asdf")
    assert "own.asdf: INSTRUME: is 'NIRISS'; " in problem_of(distortion="own.asdf")
    assert plan_of(distortion="right.asdf").exposures


def test_type_of_a_reference_may_be_spelt_with_underscores(folder):
    text = reference("abvegaoffset").read_bytes()
    Path("own.asdf").write_bytes(text.replace(b"reftype: abvegaoffset", b"reftype: abvega_offset"))
    assert b"abvega_offset" in Path("own.asdf").read_bytes()
    assert plan_of(abvegaoffset="own.asdf").exposures


def test_apcorr_without_the_filter(folder):
    path = edited(reference("apcorr"))
    with fits.open(path, mode="update") as hdus:
        hdus["APCORR"].data["filter"][:] = "F560W"
    problem = problem_of(apcorr=path)
    assert problem.startswith(f"{folder}/own.fits: ")
    assert "F1130W" in problem
    assert "skip source_catalog" in problem


def test_abvegaoffset_without_the_filter(folder):
    content = reference("abvegaoffset").read_bytes()
    filters = ["F1130W".encode("utf-32-le"), "F2550W".encode("utf-32-le")]  # in a column of the table
    Path("own.asdf").write_bytes(content.replace(*filters))
    assert "F1130W" in problem_of(abvegaoffset="own.asdf")


def test_exposure_as_reference(folder):
    """It has no REFTYPE, and the planes of a flat."""
    rate = next(Path("rate").glob("*_rate.fits"))
    problem = problem_of(flat=str(rate))
    assert problem.startswith(f"{folder}/{rate}: REFTYPE: is missing, and it has an exposure time (EFFEXPTM)")


def test_flat_without_reftype_that_is_no_exposure(folder):
    assert plan_of(flat=edited(reference("flat"), REFTYPE=None)).exposures


def test_flat_whose_data_model_is_its_type(folder):
    """As in IRIS' newer layout, with the keywords of an exposure."""
    changes = {"REFTYPE": None, "EXPTIME": 300.0}
    assert plan_of(flat=edited(reference("flat"), **changes, DATAMODL="FlatModel")).exposures
    assert "REFTYPE: is missing" in problem_of(flat=edited(reference("flat"), **changes, DATAMODL="ImageModel"))


def test_flat_of_another_filter_is_used_and_told(folder):
    told = "own.fits: FILTER is 'F560W', that of "
    assert any(told in notice for notice in plan_of(flat=edited(reference("flat"), FILTER="F560W")).notices)
    assert not any("own.fits" in notice for notice in plan_of(flat=edited(reference("flat"))).notices)


def check_as_chosen_by_a_rule(reftype, path):
    """Return the problems and notices of the first exposure with this reference in place of its own."""
    exposure = next(iter(plan_of().exposures.values()))
    problems, notices = Problems(), []
    chosen = {reftype: Reference(reftype, Path(path), f"crds://{path}")}
    checker = ReferenceChecker(HeaderCache(Path("none")), problems, notices=notices)
    checker.check(replace(exposure, references=chosen))
    checker.check(replace(exposure, references=chosen))
    return list(problems), notices


def test_another_detector_of_a_flat_that_a_rule_chose_is_named_once(folder):
    """The rules decide; but they are wrong, or the file is."""
    flat = edited(reference("flat"), DETECTOR="MIRIFULONG")
    wrong = "own.fits: DETECTOR is 'MIRIFULONG', but the rules choose it for 'MIRIMAGE'"
    assert check_as_chosen_by_a_rule("flat", flat) == ([], [wrong])
    listed = edited(reference("flat"), DETECTOR="MIRIFULONG", P_DETECT="MIRIMAGE|MIRIFULONG|")
    assert check_as_chosen_by_a_rule("flat", listed) == ([], [])
    assert check_as_chosen_by_a_rule("flat", edited(reference("flat"), DETECTOR=None)) == ([], [])


@pytest.mark.parametrize("reftype", ["distortion", "photom", "area"])
def test_file_that_a_rule_chose_and_that_is_cut(folder, reftype):
    path = Path(f"own{reference(reftype).suffix}")
    path.write_bytes(cut(reference(reftype).read_bytes()))
    ((problem,), _) = check_as_chosen_by_a_rule(reftype, path)
    assert problem.file == str(path)


# Files that cannot be read --------------------------------------------------------------------------------


def cut(content):
    return content[: len(content) * 2 // 3]


SPOILT = {
    "empty": lambda content: b"",
    "text": lambda content: b"to be sent later\n",
    "fits": lambda content: fits.PrimaryHDU().header.tostring().encode(),
    "cut": cut,
}


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("reftype", ["distortion", "filteroffset", "abvegaoffset", "flat", "photom", "area", "apcorr"])
def test_override_that_cannot_be_read(folder, reftype, spoil):
    own = Path(f"own{reference(reftype).suffix}")
    own.write_bytes(SPOILT[spoil](reference(reftype).read_bytes()))
    (problem,) = set(problems_of(**{reftype: str(own)}))
    assert problem.startswith(f"{folder}/{own}: ")


@pytest.mark.parametrize("reftype", ["distortion", "filteroffset"])
@pytest.mark.parametrize(
    ("entry", "word"),
    [("", "has no entry"), ("KEY: 5", "is not a"), ("KEY: null", "is not a"), ("KEY: {a: 1}", "is not a")],
)
def test_asdf_without_what_is_needed(folder, reftype, entry, word):
    key = {"distortion": "model", "filteroffset": "filters"}[reftype]
    lines = ["#ASDF 1.0.0", "%YAML 1.1", "---", f"meta: {{reftype: {reftype}}}", entry.replace("KEY", key), "...", ""]
    Path("own.asdf").write_text("\n".join(lines))
    problem = problem_of(**{reftype: "own.asdf"})
    assert problem.startswith(f"{folder}/own.asdf: ")
    assert word in problem
    assert repr(key) in problem


def test_model_that_is_a_list_is_no_transform(folder):
    """What asdf makes a TaggedList of."""
    Path("own.asdf").write_text("#ASDF 1.0.0\n%YAML 1.1\n---\nmodel: [1.0, 2.0]\n...\n")
    assert "its entry 'model' is not a transform" in problem_of(distortion="own.asdf")


@pytest.fixture(scope="module")
def asdf_file(tmp_path_factory):
    """A file with two binary blocks."""
    import asdf

    path = tmp_path_factory.mktemp("blocks") / "x.asdf"
    asdf.AsdfFile({"model": np.arange(1000.0), "other": np.arange(500)}).write_to(path, all_array_storage="internal")
    return path


def test_every_cut_of_an_asdf_file_with_blocks_is_found(asdf_file, tmp_path):
    content, path = asdf_file.read_bytes(), tmp_path / "x.asdf"
    path.write_bytes(content)
    index = content.index(b"#ASDF BLOCK INDEX")
    with path.open("rb") as file:
        check_asdf_reference(file, "")
    for length in range(0, index, 97):
        path.write_bytes(content[:length])
        with path.open("rb") as file, pytest.raises(HeaderError):
            check_asdf_reference(file, "")
    path.write_bytes(content[:index])  # the index is a convenience
    with path.open("rb") as file:
        check_asdf_reference(file, "")


@given(st.data())
def test_spoilt_asdf_files_are_read_or_refused(asdf_file, data):
    content, path = bytearray(asdf_file.read_bytes()), asdf_file.with_name("spoilt.asdf")
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    path.write_bytes(content)
    with path.open("rb") as file, suppress(HeaderError):
        check_asdf_reference(file, "distortion")


@pytest.mark.parametrize("reftype", ["apcorr", "photom"])
def test_table_that_is_an_image(folder, reftype):
    """What astropy makes of it is an AttributeError."""
    header = fits.getheader(reference(reftype))
    fits.HDUList([fits.PrimaryHDU(header=header), fits.ImageHDU(np.ones((2, 2)), name=reftype)]).writeto("own.fits")
    assert problem_of(**{reftype: "own.fits"}).startswith(f"{folder}/own.fits: ")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
@pytest.mark.parametrize("name", ["jwst_miri_distortion_0001", "niriss_ref_distortion", "nircam_abvega_offset"])
def test_real_asdf_references(name):
    with (REAL / f"{name}.asdf").open("rb") as file:
        check_asdf_reference(file, "distortion" if "distortion" in name else "abvegaoffset")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
def test_real_distortion_of_a_spectrograph():
    with (REAL / "jwst_miri_distortion_0022.asdf").open("rb") as file, pytest.raises(HeaderError, match="'model'"):
        check_asdf_reference(file, "distortion")


@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_flat_without_a_positive_pixel(folder, value):
    shutil.copy(reference("flat"), "own.fits")
    with fits.open("own.fits", mode="update") as hdus:
        hdus["SCI"].data[:] = value
    wrong = "SCI: no pixel is positive: all are NaN, 0 or negative; give another flat"
    assert problem_of(flat="own.fits") == f"{folder}/own.fits: {wrong}"
    with fits.open("own.fits", mode="update") as hdus:
        hdus["SCI"].data[-1, -1] = 0.5
    assert plan_of(flat="own.fits").exposures


def test_of_a_stand_in_with_holes_no_pixels_are_asked_for(tmp_path):
    path = write_planes(tmp_path / "flat.fits", np.full((512, 512), 0.0))
    assert not has_positive_value(path)
    content = path.read_bytes()
    with path.open("wb") as file:
        file.write(content[:8192])
        file.truncate(len(content))
    assert has_positive_value(path)


# What only pixels tell ------------------------------------------------------------------------------------


def write_planes(path, sci, dq=0):
    values = np.broadcast_to(np.float32(sci), np.shape(sci) or (3, 4))
    planes = {"SCI": values, "ERR": np.ones_like(values), "DQ": np.full(values.shape, dq, np.uint32)}
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(plane, name=name) for name, plane in planes.items())]
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.mark.parametrize(("value", "dq"), [(-1.0, 0), (0.0, 0), (np.nan, 0), (np.inf, 0), (1.0, DO_NOT_USE)])
def test_flat_without_any_response_is_named(tmp_path, value, dq):
    path = write_planes(tmp_path / "flat.fits", value, dq)
    with pytest.raises(ReferenceFileError, match=r"flat\.fits: a flat needs positive values"):
        read_flat(path, Window(1, 1, 4, 3), ("SCI",))


def test_flat_with_one_response_is_used(tmp_path):
    path = write_planes(tmp_path / "flat.fits", np.nan)
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data[1, 2] = 0.9
    assert read_flat(path, Window(1, 1, 4, 3), ("SCI",)).sci[1, 2] == np.float32(0.9)
    with pytest.raises(ReferenceFileError):  # that pixel is not in this window
        read_flat(path, Window(1, 1, 2, 3), ("SCI",))


def test_dark_without_any_value_is_named(tmp_path):
    with pytest.raises(ReferenceFileError, match=r"dark\.fits: no pixel of the dark is finite"):
        read_dark(write_planes(tmp_path / "dark.fits", np.nan), Window(1, 1, 4, 3), ("SCI",))
