"""Choice of references from a folder, by headers made up for the rule that is tested."""

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calflow.configuration.problems import Problem, Problems
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.times import observation_time, parse_useafter
from calflow.references import references
from calflow.references.references import (
    DirectoryIndex,
    Reference,
    select_from_directory,
)

REAL = Path(__file__).parents[3] / "shared" / "realdata" / "reference"


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


MIRI = {
    "INSTRUME": "MIRI",
    "DETECTOR": "MIRIMAGE",
    "FILTER": "F770W",
    "SUBARRAY": "SUB256",
    "READPATT": "FASTR1",
}
SELECTORS = ("DETECTOR", "FILTER", "BAND", "READPATT", "SUBARRAY")
OBSERVED = utc(2023, 3, 12, 7, 47)


def write_fits(path, **values):
    """Write a primary header as a FITS file."""
    cards = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, **values}
    texts = [
        f"{key:8}= {'T' if value is True else repr(value)}".ljust(80)
        for key, value in cards.items()
        if value is not None
    ]
    content = "".join([*texts, "END".ljust(80)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.ljust(-(-len(content) // 2880) * 2880).encode())


def test_packed_references_are_found(tmp_path):
    write_fits(tmp_path / "flat.fits", REFTYPE="FLAT", INSTRUME="MIRI")
    packed = tmp_path / "packed" / "flat.fits.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress((tmp_path / "flat.fits").read_bytes()))
    problems = Problems()
    index = DirectoryIndex(packed.parent, None, problems)
    assert [header.path for header in index.references("flat", "MIRI")] == [packed]
    assert not problems


@pytest.fixture
def folder(tmp_path):
    """Write references into a folder: name -> keywords that differ from a flat for MIRI's F770W."""

    def write(**references):
        for name, values in references.items():
            flat = {"REFTYPE": "FLAT", "INSTRUME": "MIRI", "USEAFTER": "2018-01-01T00:00:00"}
            write_fits(tmp_path / "refs" / f"{name}.fits", **flat | values)
        return tmp_path / "refs"

    return write


@pytest.fixture
def select(folder):
    """Choose among references; returns the name of the file or the problem."""

    def select(header=MIRI, **references):
        problems = Problems()
        index = DirectoryIndex(folder(**references), None, problems)
        assert not problems
        chosen = select_from_directory(index, "flat", SELECTORS, header, OBSERVED)
        return chosen.path.stem if isinstance(chosen, Reference) else chosen

    return select


def test_the_matching_value_is_chosen(select):
    assert select(a={"FILTER": "F560W"}, b={"FILTER": "F770W"}, c={"FILTER": "F1000W"}) == "b"


def test_result_has_path_and_base_name(folder):
    index = DirectoryIndex(folder(a={}), None, [])
    chosen = select_from_directory(index, "flat", SELECTORS, MIRI, OBSERVED)
    assert chosen == Reference("flat", index.directory / "a.fits", "a.fits")


def test_type_and_instrument_have_to_agree(select):
    chosen = select(a={"REFTYPE": "PHOTOM"}, b={"INSTRUME": "NIRCAM"}, c={"REFTYPE": "flat"})
    assert chosen == "c"


def test_case_and_blanks_do_not_matter(select):
    assert select(a={"REFTYPE": "Flat", "FILTER": "f770w "}) == "a"


@pytest.mark.parametrize("value", ["ANY", "N/A", "GENERIC", "", None])
def test_unrestricted_reference_fits(select, value):
    assert select(a={"FILTER": value}) == "a"


@pytest.mark.parametrize("value", ["ANY", "N/A", "GENERIC", None])
def test_named_value_beats_unrestricted_even_if_older(select, value):
    general = {"FILTER": value, "USEAFTER": "2022-01-01T00:00:00"}
    assert select(a=general, b={"FILTER": "F770W"}) == "b"


def test_instrument_any_fits_too(select):
    assert select(a={"INSTRUME": "ANY"}) == "a"


def test_p_list_widens_the_value(select):
    assert select(a={"FILTER": "F560W", "P_FILTER": "F560W|F770W|"}) == "a"


def test_p_list_alone_restricts(select):
    assert isinstance(select(a={"P_FILTER": "F560W|F1000W|"}), Problem)


def test_p_list_names_are_cut_to_eight_characters(select):
    wide = {"READPATT": "SLOWR1", "P_READPA": "SLOWR1|FASTR1", "SUBARRAY": "SUB64", "P_SUBARR": "SUB256"}
    assert select(a={**wide, "DETECTOR": "X", "P_DETECT": " MIRIMAGE |"}) == "a"


def test_p_list_counts_as_naming(select):
    assert select(a={"FILTER": "ANY"}, b={"FILTER": "F560W", "P_FILTER": "F770W"}) == "b"


def test_most_named_values_win(select):
    assert select(a={"FILTER": "F770W"}, b={"FILTER": "F770W", "READPATT": "FASTR1"}) == "b"


def test_full_frame_serves_a_subarray(select):
    assert select(a={"SUBARRAY": "FULL"}) == "a"


def test_own_subarray_beats_full_frame_and_that_beats_generic(select):
    references = {"a": {"SUBARRAY": "FULL"}, "b": {"SUBARRAY": "GENERIC"}}
    assert select(**references) == "a"
    assert select(**references, c={"SUBARRAY": "SUB256"}) == "c"


def test_other_subarray_does_not_fit(select):
    assert isinstance(select(a={"SUBARRAY": "SUB64"}), Problem)


def test_keyword_the_exposure_lacks_must_not_be_restricted(select):
    assert select(a={"BAND": "LONG"}, b={"BAND": "N/A"}) == "b"


def test_numbers_are_compared_as_text(select):
    assert select({**MIRI, "BAND": 12}, a={"BAND": "34"}, b={"BAND": "12"}) == "b"


def test_newest_useafter_not_after_the_exposure(select):
    chosen = select(
        a={"USEAFTER": "2018-01-01T00:00:00"},
        b={"USEAFTER": "2023-03-12T07:47:00"},
        c={"USEAFTER": "2023-03-12T07:47:01"},
    )
    assert chosen == "b"


def test_closer_reference_from_after_the_exposure_does_not_count(select):
    assert select(a={}, b={"FILTER": "F770W", "USEAFTER": "2024-01-01T00:00:00"}) == "a"


def test_sub_folders_and_asdf_are_read(tmp_path):
    write_fits(tmp_path / "miri" / "flats" / "a.fits", REFTYPE="FLAT", INSTRUME="MIRI", USEAFTER="2018-01-01")
    meta = "{reftype: filteroffset, useafter: '2018-01-01', instrument: {name: MIRI, detector: MIRIMAGE}}"
    (tmp_path / "b.asdf").write_text(f"#ASDF 1.0.0\n%YAML 1.1\n--- \nmeta: {meta}\n...\n")
    index = DirectoryIndex(tmp_path, None, [])
    for reftype, name in (("flat", "a.fits"), ("filteroffset", "b.asdf")):
        assert select_from_directory(index, reftype, ("DETECTOR",), MIRI, OBSERVED).recorded == name


def blank(path):
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_cache_gives_the_same(folder, tmp_path):
    directory = folder(a={}, b={"FILTER": "F770W"})
    for _ in range(2):
        cache = HeaderCache(tmp_path / "cache")
        index = DirectoryIndex(directory, cache, [])
        assert select_from_directory(index, "flat", SELECTORS, MIRI, OBSERVED).recorded == "b.fits"
        cache.save()
        blank(directory / "b.fits")  # not read again, the size and the time being the same


# Problems ---------------------------------------------------------------------------------------------


def test_none_of_this_type(select):
    problem = select(a={"REFTYPE": "PHOTOM"})
    assert problem.wrong.startswith("no flat reference for INSTRUME MIRI, DETECTOR MIRIMAGE, FILTER F770W")
    assert "BAND (none)" in problem.wrong
    assert "observed 2023-03-12T07:47:00" in problem.wrong
    assert "none of this type for MIRI" in problem.right


def test_the_selector_that_excludes_the_nearest_is_named(select):
    problem = select(a={"FILTER": "F560W", "READPATT": "SLOWR1"}, b={"FILTER": "F1000W"})
    assert problem.key == "flat"
    assert "the nearest, 'b.fits', is excluded only by its FILTER F1000W" in problem.right
    assert "references.override.flat" in problem.right


def test_several_excluding_selectors_are_named(select):
    problem = select(a={"FILTER": "F560W", "READPATT": "SLOWR1"})
    assert "'a.fits', is excluded by its FILTER F560W, READPATT SLOWR1" in problem.right


def test_only_later_references(select):
    problem = select(a={"USEAFTER": "2025-01-01T00:00:00"}, b={"USEAFTER": "2024-01-01T00:00:00"})
    assert "the nearest, 'b.fits', is for exposures after its USEAFTER 2024-01-01T00:00:00" in problem.right


def test_tie_names_both(select):
    problem = select(a={}, b={}, c={"USEAFTER": "2017-01-01T00:00:00"})
    assert "a.fits' and '" in problem.wrong
    assert "b.fits" in problem.wrong
    assert "c.fits" not in problem.wrong


@pytest.mark.parametrize("useafter", ["soon", "", None])
def test_unreadable_useafter_of_a_fitting_reference(select, useafter):
    problem = select(a={"USEAFTER": useafter}, b={})
    assert problem.file.endswith("a.fits")
    assert problem.key == "USEAFTER"
    assert "is not a date" in problem.wrong


def test_unreadable_useafter_of_another_reference_does_not_matter(select):
    assert select(a={"USEAFTER": "soon", "FILTER": "F560W"}, b={}) == "b"


@pytest.mark.parametrize(("name", "wrong"), [("no", "no such folder"), ("file", "is not a folder")])
def test_folder_that_is_not_there(tmp_path, name, wrong):
    (tmp_path / "file").touch()
    problems = Problems()
    DirectoryIndex(tmp_path / name, None, problems)
    (problem,) = problems
    assert wrong in problem.wrong
    assert str(tmp_path / name) in problem.wrong
    assert "source: crds" in problem.right


def test_a_whole_disk_is_no_folder_of_references(folder, monkeypatch):
    monkeypatch.setattr(references, "MAX_ENTRIES", 3)
    directory = folder(a={}, b={}, c={})
    problems = Problems()
    assert DirectoryIndex(directory, None, problems).references("flat", "MIRI")
    assert not problems
    (directory / "sub").mkdir()
    DirectoryIndex(directory, None, problems)
    (problem,) = problems
    assert problem.wrong == f"'{directory}' holds more than 3 files and folders"


def test_broken_reference_is_told_and_others_are_used(folder):
    directory = folder(a={})
    (directory / "b.fits").write_bytes(b"hello")
    problems = Problems()
    index = DirectoryIndex(directory, None, problems)
    assert [Path(problem.file).name for problem in problems] == ["b.fits"]
    assert select_from_directory(index, "flat", SELECTORS, MIRI, OBSERVED).recorded == "a.fits"


def test_files_that_are_no_references_are_left_alone(select):
    assert select(a={"REFTYPE": None}, b={}) == "b"


# Times ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2018-01-02T03:04:05", utc(2018, 1, 2, 3, 4, 5)),
        ("2018-01-02 03:04:05", utc(2018, 1, 2, 3, 4, 5)),
        ("2018-01-02T03:04:05.250", utc(2018, 1, 2, 3, 4, 5, 250_000)),
        ("2018-01-02T03:04:05Z", utc(2018, 1, 2, 3, 4, 5)),
        (" 2015-06-01 ", utc(2015, 6, 1)),
        ("Jan 02 2015 00:00:00", utc(2015, 1, 2)),
        ("02/01/2015", None),
        (20150102, None),
        (None, None),
    ],
)
def test_useafter(text, time):
    assert parse_useafter(text) == time


def test_observation_time():
    header = {"DATE-OBS": "2023-03-12", "TIME-OBS": "07:47:13.140"}
    assert observation_time(header) == utc(2023, 3, 12, 7, 47, 13, 140_000)
    assert observation_time({"DATE-OBS": "2023-03-12"}) == utc(2023, 3, 12)
    assert observation_time({"TIME-OBS": "07:47:13.140"}) is None
    assert observation_time({"DATE-OBS": "yesterday"}) is None


@pytest.mark.parametrize("date", ["2023-W10-7", "20230312", "2023-03-32", "+2023-03-12", "2023-03-12 ", 20230312])
def test_other_ways_to_write_a_date(date):
    assert observation_time({"DATE-OBS": date, "TIME-OBS": "07:47:13"}) is None


@pytest.mark.parametrize("time", ["074713", "07:47:13+01:00", "24:00:00", "٠7:47:13", 0, 74713, 10**31, True])
def test_other_ways_to_write_a_time(time):
    assert observation_time({"DATE-OBS": "2023-03-12", "TIME-OBS": time}) is None


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the folder of real files")
class TestRealFiles:
    @pytest.fixture
    def index(self):
        problems = Problems()
        index = DirectoryIndex(REAL, None, problems)
        assert not problems
        return index

    def test_niriss(self, index):
        header = {"INSTRUME": "NIRISS", "DETECTOR": "NIS", "EXP_TYPE": "NIS_IMAGE", "PUPIL": "F200W"}
        chosen = select_from_directory(index, "distortion", ("EXP_TYPE", "PUPIL"), header, OBSERVED)
        assert chosen.recorded == "niriss_ref_distortion.asdf"
        chosen = select_from_directory(index, "photom", ("DETECTOR",), header, OBSERVED)
        assert chosen.recorded == "niriss_ref_photom.fits"

    def test_fgs_guider_1_has_none(self, index):
        header = {"INSTRUME": "FGS", "DETECTOR": "GUIDER1", "EXP_TYPE": "FGS_IMAGE"}
        problem = select_from_directory(index, "distortion", ("DETECTOR", "EXP_TYPE"), header, OBSERVED)
        assert "excluded only by its DETECTOR GUIDER2" in problem.right


def test_what_a_rule_chose_is_not_judged_by_its_detector(tmp_path):
    """A filter offset file of the archive serves several detectors and carries the name of one."""
    from calflow.inputs.header_cache import HeaderCache
    from calflow.inputs.headers import ExposureHeader
    from calflow.instruments.jwst import FAMILY
    from calflow.plan.plan import PlannedExposure
    from calflow.plan.reference_checks import ReferenceChecker

    path = tmp_path / "offset.asdf"
    meta = "meta:\n  reftype: filteroffset\n  instrument: {detector: NRCA1}\n"
    path.write_text(f"#ASDF 1.0.0\n%YAML 1.1\n---\n{meta}filters: []\n...\n")
    header = ExposureHeader(tmp_path / "x_rate.fits", {"INSTRUME": "NIRCAM", "DETECTOR": "NRCA2"}, ())

    def told(reference):
        problems = Problems()
        exposure = PlannedExposure(
            "x", tmp_path, header, FAMILY, FAMILY.variants[-1], "", "", references={"filteroffset": reference}
        )
        ReferenceChecker(HeaderCache(tmp_path / "cache"), problems).check(exposure)
        return [problem.key for problem in problems]

    assert told(Reference("filteroffset", path, "crds://offset.asdf")) == []
    assert told(Reference("filteroffset", path, str(path), by_user=True)) == ["DETECTOR"]
