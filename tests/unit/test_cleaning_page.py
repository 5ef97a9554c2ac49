"""The page on cleaning says plainly which light a step takes, from what each realisation gave."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from cleaning import figures_table, light_table, page, verdict


def scene(lost, before=0.05, after=0.01):
    """Return what is stored of a scene: the light of stars that is lost, in each realisation."""
    realised = [
        {
            "before": {"figures": {"depth": 0.3}, "lost": {}, "error": {"star": before}},
            "calflow": {"figures": {"depth": 0.1, "CPU (s)": 0.5}, "lost": {"star": part}, "error": {"star": after}},
        }
        for part in lost
    ]
    return {"seeds": list(range(len(lost))), "seconds": 60.0, "versions": "1", "realised": realised}


def test_more_than_half_a_per_cent_is_told_with_its_error():
    """Mean 1 %, standard deviation of two 0.1414, over the root of two: 0.1; 4.9 % of noise are removed."""
    assert verdict("a", scene([0.009, 0.011])) == ["- a: **above 0.5 %**: star 1 +- 0.1."]


def test_a_step_that_takes_more_light_than_noise_is_marked():
    assert verdict("a", scene([0.009, 0.011], 0.011, 0.010)) == ["- a: **above 0.5 %**: star 1 +- 0.1 (!)."]


def test_what_is_less_or_not_known_is_told():
    assert verdict("a", scene([0.0009, 0.0011])) == ["- a: none above 0.5 %."]
    assert verdict("a", scene([-0.01, 0.01])) == ["- a: none above 0.5 %; not known that well: star."]
    assert verdict("a", scene([0.02])) == ["- a: none above 0.5 %; not known that well: star."]


def test_tables_have_means_and_their_errors():
    scenes = {"a": scene([0.009, 0.011])}
    assert figures_table(scenes)[2:] == ["| a | before | 0.30 | - |", "|  | calflow | 0.10 | 0.50 |"]
    assert light_table(scenes)[3:] == [
        "| a | calflow | 1.00 +- 0.10 |",
        "|  | flux error before | 5 |",
        "|  | after | 1 |",
    ]


def test_the_page_names_scenes_that_were_not_measured():
    text = page({"no wisp": scene([0.0, 0.0])}, "2026-01-31")
    assert "Each scene is realised 2 times" in text
    assert "## subtract_template" in text
    assert "Not measured: stripes, NIRCam F200W, " in text
    assert text.endswith("seeds 0 to 1; 1 min of CPU without jwst; 2026-01-31.\n")
