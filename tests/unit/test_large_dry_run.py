"""What a dry run of a large plan tells."""

from calflow.engine.needed_jobs import NeededJob
from calflow.engine.reasons import CODE, FOLLOWS, INPUT, Cause
from calflow.forecast.large_dry_runs import NOTHING, dry_run_lines


def needed(rule, name, *causes):
    return NeededJob(rule, {"exposure": name}, causes, (), (), ())


def test_each_job_with_its_causes_and_how_many_of_each_rule():
    jobs = [
        needed("calibrate", "a", Cause(CODE)),
        needed("calibrate", "b", Cause(INPUT, "b_rate.fits")),
        needed("find_stars", "b", Cause(INPUT, "1"), Cause(INPUT, "2"), Cause(INPUT, "3"), Cause(FOLLOWS)),
    ]
    assert list(dry_run_lines(jobs)) == [
        "calibrate a: code changed",
        "calibrate b: input changed: b_rate.fits",
        "find_stars b: input changed: 1; input changed: 2 and 2 more",
        "",
        "Job stats:",
        "job         count",
        "calibrate   2",
        "find_stars  1",
        "total       3",
        "",
        "This was a dry run: nothing was done. What a run would cost is told by snakemake plan.",
    ]


def test_nothing_to_do():
    assert list(dry_run_lines([])) == [NOTHING]
