"""Problems as they are told."""

from calflow.configuration.problems import InputError, Problem


def test_a_very_long_text_is_told_without_its_middle():
    problem = Problem("my.yaml", "stage2", "x" * 100_000 + " is not valid", "give a number")
    (line,) = [line for line in str(InputError([problem])).splitlines() if "my.yaml" in line]
    assert line.startswith("  - my.yaml: stage2: xxx")
    assert line.endswith("xx is not valid; give a number")
    assert "[98045 characters]" in line
    assert len(line) < 2100
