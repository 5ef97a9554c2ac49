"""References that are not found: the cause is told once, if the header of the exposure has it."""

from pathlib import Path

import pytest

from calflow.configuration.problems import Problems
from calflow.configuration.settings import read_settings
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.headers import ExposureHeader
from calflow.instruments.jwst import FAMILY
from calflow.references.reference_choice import ReferenceChooser
from tests.crds_stand_in import write_context

OTHERS = ("assign_wcs", "resample", "source_catalog")
HEADER = {
    "TELESCOP": "JWST",
    "INSTRUME": "MIRI",
    "DETECTOR": "MIRIMAGE",
    "EXP_TYPE": "MIR_IMAGE",
    "FILTER": "F1130W",
    "DATE-OBS": "2023-03-12",
    "TIME-OBS": "07:47:13",
}


@pytest.fixture
def crds(tmp_path):
    rules = {"flat": {"F1130W": "f.fits"}, "area": {"F1130W": "a.fits"}, "photom": "p.fits"}
    write_context(tmp_path / "mappings" / "jwst", 9000, "miri", rules)
    (tmp_path / "references" / "jwst" / "miri").mkdir(parents=True)
    for name in ("f.fits", "a.fits", "p.fits"):
        (tmp_path / "references" / "jwst" / "miri" / name).touch()
    return tmp_path


def chosen(crds, **changes):
    """Return the references of an exposure with these keywords, and the problems."""
    references = {"source": "crds", "crds_path": str(crds), "crds_context": "jwst_9000.pmap"}
    problems = Problems()
    chooser = ReferenceChooser(read_settings({"references": references}), HeaderCache(crds / "cache"), problems)
    values = {keyword: value for keyword, value in {**HEADER, **changes}.items() if value is not None}
    header = ExposureHeader(Path("x_rate.fits"), values, ())
    found = chooser.choose(Path("x_rate.fits"), header, FAMILY, dict.fromkeys(OTHERS, "SKIPPED"))
    return found and sorted(found), [(problem.key, problem.wrong) for problem in problems]


def test_a_sound_header_has_references(crds):
    assert chosen(crds) == (["area", "flat", "photom"], [])


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("F113W", "'F113W' is not known of MIRI, so that there is no area or flat reference"),
        (None, "is missing, so that there is no area or flat reference"),
        ("", "is missing, so that there is no area or flat reference"),
    ],
)
def test_a_wrong_filter_is_told_in_place_of_what_follows(crds, value, wrong):
    assert chosen(crds, FILTER=value) == (None, [("FILTER", wrong)])


def test_references_that_a_known_filter_has_not_are_told_one_by_one(crds):
    found, problems = chosen(crds, FILTER="F770W")
    assert found == ["photom"]
    assert sorted(key for key, _ in problems) == ["area", "flat"]
