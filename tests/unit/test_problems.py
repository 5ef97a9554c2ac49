"""Problems as they are told."""

import pytest

from calflow.configuration.problems import InputError, Problem, Problems


def test_a_very_long_text_is_told_without_its_middle():
    problem = Problem("my.yaml", "stage2", "x" * 100_000 + " is not valid", "give a number")
    (line,) = [line for line in str(InputError([problem])).splitlines() if "my.yaml" in line]
    assert line.startswith("  - my.yaml: stage2: xxx")
    assert line.endswith("xx is not valid; give a number")
    assert "[98045 characters]" in line
    assert len(line) < 2100


FIRST, SECOND = Problem("a_rate.fits", "BUNIT", "is 'Jy'"), Problem("config", "output", "is not a folder")


def test_what_went_before_is_not_new():
    problems = Problems([FIRST])
    new = problems.from_here()
    assert not new.any()
    problems.add(SECOND)
    assert new.any()
    assert not problems.from_here().any()
    assert list(problems) == [FIRST, SECOND]


def test_parts_are_asked_apart_whoever_adds():
    problems = Problems()
    whole = problems.from_here()
    problems.add(FIRST)
    part = problems.from_here()
    assert whole.any()
    assert not part.any()
    problems.add(FIRST)  # the same once more is new: what it was added for cannot be used either
    assert part.any()


def test_problems_are_raised_together_each_once():
    problems = Problems()
    problems.raise_any()
    problems.add(SECOND, FIRST, SECOND)
    with pytest.raises(InputError) as caught:
        problems.raise_any()
    assert caught.value.problems == (SECOND, FIRST)
