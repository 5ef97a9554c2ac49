"""The picture of the flow in docs/architecture.md is that of the rules and jobs as they are."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SPEC = spec_from_file_location("flow", Path(__file__).parents[2] / "docs/flow.py")
flow = module_from_spec(SPEC)
SPEC.loader.exec_module(flow)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    return flow.planned_jobs(tmp_path_factory.mktemp("field"))


def test_a_flow_of_two_rules():
    drawn = flow.flow(
        [
            flow.PlannedJob("mend", {"exposure": "a", "cal": "cal"}, ["rate/a.fits"], ["out/stage2/a_cal.fits"]),
            flow.PlannedJob("mend", {"exposure": "b", "cal": "cal"}, ["rate/b.fits"], ["out/stage2/b_cal.fits"]),
            flow.PlannedJob(
                "add",
                {"association": "ab"},
                ["out/stage2/a_cal.fits", "out/stage2/b_cal.fits", "references/flat.fits"],
                ["out/stage3/sums/ab.json", "out/stage3/ab_sum.fits"],
            ),
        ]
    )
    texts = [text.replace("&#160;", "") for text in re.findall(r"<text.*?>(.*?)</text>", drawn)]
    assert texts == ["_rate.fits", "", "reference files", "", "mend", "_cal.fits", "add", "_sum.fits sums/*.json"]
    # Rows are 36 pixels apart, lanes 34: mend reads the first lane, add the second and the third.
    assert re.findall(r'<circle cx="(\d+)" cy="(\d+)"', drawn) == [("12", "84"), ("46", "120"), ("80", "120")]


def test_rules_stand_below_those_they_read_from(jobs):
    maker = {path: job.rule for job in jobs for path in job.outputs}
    order = list(dict.fromkeys(job.rule for job in jobs))
    for job in jobs:
        assert all(order.index(maker[path]) < order.index(job.rule) for path in job.inputs if path in maker)


def test_the_picture_is_up_to_date(jobs):
    assert flow.PICTURE.read_text() == flow.flow(jobs)
