"""What jobs ask for: from the table of what they were measured to take, and never less."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.iocontainers import Wildcards

from calflow.configuration.settings import Settings
from calflow.jobs.all import JOBS
from calflow.jobs.measured_costs import MEASURED, MeasuredCosts
from calflow.jobs.requests import MEMORY_MARGIN, SNAKEMAKE_MB, TIME_MARGIN, Requests
from calflow.jobs.rules import Rules
from calflow.jobs.sizes import Size, Sizes, pixels_in
from calflow.plan.plan import Plan
from calflow.science.sky.background_map import BOX_PIXELS

MEASURED_RULES = json.loads(MEASURED.read_text())["rules"]
COSTS = MeasuredCosts()
# Their time is that of a network, or they draw the pictures of the demo.
NOT_MEASURED = {"fetch_reference", "update_crds", "check_crds", "demo_picture", "demo_combined_picture"}


class OneSize:
    """Jobs of one size, whatever their wildcards."""

    def __init__(self, size, images=1):
        self.size, self.images = size, images

    def of(self, wildcards, *, whole):
        return self.size


def requests(size, local=True, exposures=0):
    return Requests(OneSize(size), lambda: local, exposures)


def test_every_job_has_one_entry_of_the_table():
    for name, job in JOBS.items():
        assert ("seconds" in MEASURED_RULES.get(job.like or name, {})) == (name not in NOT_MEASURED), name
        # Time and disk are measured, or like those of another.
        assert not (job.like and MEASURED_RULES.get(name, {}).keys() - {"memory_mb"}), name
    assert MEASURED_RULES.keys() <= JOBS.keys()


def test_hand_worked_requests(tmp_path):
    entry = {"seconds": [3.0, 0.5], "memory_mb": {"start": 100.0, "image": 50.0}}
    own = {"memory_mb": {"start": 20.0, "frame": 10.0, "image": 30.0}}
    (tmp_path / "costs.json").write_text(json.dumps({"rules": {"combine": entry, "combine_group": own}}))
    found = requests(Size(24.0, 4.0, 6.0, 6))
    found._costs = MeasuredCosts(tmp_path / "costs.json")
    assert found.memory("combine", {}, 1) == 1.5 * (100 + 50 * 6) + 200
    assert found.memory("combine_group", {}, 3) == 3 * (1.5 * (20 + 10 * 4 + 30 * 6) + 200)
    assert found.minutes("combine_group", {}, 1) == found.minutes("combine", {}, 1)  # like `combine`
    assert found.minutes("combine", {}, 1) == 5 + 20 * (3 + 0.5 * 24) / 60
    assert found.minutes("combine", {}, 2) == 2 * 10


def test_on_a_cluster_snakemake_and_the_plan_need_memory_too():
    size = Size(1.0, 1.0, 1.0)
    more = requests(size, local=False, exposures=1000).memory("align", {}, 1) - requests(size).memory("align", {}, 1)
    assert more == SNAKEMAKE_MB + 50


@pytest.mark.parametrize(
    ("mpixel", "images", "cores", "threads"),
    [
        (400.0, 1, 16, 16),
        (400.0, 3, 16, 5),  # so that those of three images run beside each other
        (400.0, 20, 16, 1),
        (4.3, 1, 16, 2),  # a small one does not wait for all cores
        (1.2, 1, 16, 1),
    ],
)
def test_threads_are_the_share_that_an_image_has_of_the_cores(mpixel, images, cores, threads):
    found = Requests(OneSize(Size(1.0, 1.0, mpixel), images), lambda: True, cores=lambda: cores)
    assert found.threads({"association": "one"}, 2) == threads


@pytest.mark.parametrize("name", ["association", "crf", "exposure"])
def test_rules_ask_by_the_names_of_wildcards(name):
    """Those of Snakemake are a list: ``in`` would look among the values."""
    asked = []

    class Sizes(OneSize):
        def of(self, wildcards, *, whole):
            asked.append(name in wildcards)
            return self.size

    rules = Rules(None, Requests(Sizes(Size(1.0, 1.0, 4.0)), lambda: True), None, Path(), None)
    wildcards = Wildcards(fromdict={name: "one"})
    assert rules.threads(2)(wildcards) == 1
    ask = rules.resources("combine")
    assert ask["mem_mb"](wildcards, 1, 1) > 0
    assert ask["runtime"](wildcards, 1) > 0
    assert asked == [True] * 3


def test_memory_of_threads_is_that_of_the_bands_they_work_on_at_once():
    size = Size(100.0, 4.0, 400.0, part=0.01, parts=2)
    assert [size.with_threads(threads).band for threads in (1, 2, 3)] == [4.0, 8.0, 8.0]
    per_band = COSTS.of("combine").memory_mb["band"]
    one, two = (requests(size).memory("combine", {}, 1, threads) for threads in (1, 2))
    assert two - one == pytest.approx(1.5 * 4 * per_band, abs=1)


mpixels = st.floats(0.001, 1000.0)


@given(rule=st.sampled_from(sorted(JOBS)), frame=mpixels, image=mpixels, exposures=st.integers(1, 2000))
def test_a_request_is_above_the_forecast_by_the_margin(rule, frame, image, exposures):
    size = Size(frame * exposures, frame, image, exposures)
    cost = COSTS.of(rule)
    assert requests(size).memory(rule, {}, 1) >= MEMORY_MARGIN * cost.memory_of(size)
    assert 60 * requests(size).minutes(rule, {}, 1) >= TIME_MARGIN * cost.seconds_of(size)


@pytest.mark.parametrize(
    ("rule", "size", "peak"),
    [
        ("combine", Size(16.8, 4.19, 113.15, 4), 6494),
        ("combine", Size(16.8, 4.19, 36.95, 4), 2952),  # with a kernel of the drizzle package and DQ
        ("combine", Size(67.1, 4.19, 20.5, 16, part=921 / 4503), 507),
        ("catalog_sources", Size(1.0, 0.26, 9.0, 4), 382),  # whose background is that of the image, of no box
        ("catalog_sources", Size(1678.0, 4.19, 400.0, 400), 655),
        ("calibrate", Size(49.2, 49.2, 49.2, integrations=12_000), 358),
        ("calibrate", Size(8.46, 8.46, 8.46), 553),  # eight integrations of 1024 x 1032
    ],
)
def test_jobs_beyond_the_measured_cases_take_no_more_than_forecast(rule, size, peak):
    """Of larger jobs than those of the table, peaks in MB as Linux tells them."""
    assert peak <= COSTS.of(rule).memory_of(size) < 1.6 * peak


def test_the_part_of_an_image_that_is_measured_at_a_time_is_that_of_the_background():
    assert Size(1000.0, 4.2, 400.0).strip == BOX_PIXELS / 1e6
    assert Size(1000.0, 4.2, 9.0).strip == 9.0


def test_a_catalogue_that_is_not_made_in_bands_asks_for_the_image():
    size = Size(1678.0, 4.19, 400.0, 400)
    assert requests(replace(size, at_once=400.0)).memory("catalog_sources", {}, 1) > 20 * 400
    assert requests(size).memory("catalog_sources", {}, 1) < 1500


def test_a_survey_mosaic_asks_for_its_planes():
    """96 bytes for each of 7.1e8 pixels at least, and those of the context: 4 for each 32 exposures.

    Of a band of it, if it is made in bands.
    """
    few, many = (Size(4.2 * number, 4.2, 711.48, number) for number in (32, 320))
    assert requests(few).memory("combine", {}, 1) > 700 + 96 * 711.48
    more = requests(many).memory("combine", {}, 1) - requests(few).memory("combine", {}, 1)
    assert more == pytest.approx(MEMORY_MARGIN * 9 * 4 * 711.48, abs=2)
    part = 512 / 15_400  # of 46,200 columns
    few, many = (Size(4.2 * number, 4.2, 711.48, number, part=part) for number in (32, 320))
    assert requests(few).memory("combine", {}, 1) < 3500
    more = requests(many).memory("combine", {}, 1) - requests(few).memory("combine", {}, 1)
    assert more == pytest.approx(MEMORY_MARGIN * 9 * 4 * 711.48 * part, abs=2)


def test_the_match_of_a_large_association_asks_for_its_pairs():
    size = Size(42_000.0, 4.2, 1000.0, 10_000)
    assert requests(size).memory("match_sky", {}, 1) > MEMORY_MARGIN * 10_000


def test_of_an_empty_plan_nothing_is_known():
    plan = Plan(Settings(), ())
    assert pixels_in(plan) == 0
    assert Sizes(plan).of({"crds_file": "jwst/a.fits"}, whole=False) == Size(1.0, 1.0, 1.0)


def test_the_documentation_states_the_margin():
    text = (Path(__file__).parents[2] / "docs/architecture.md").read_text()
    assert re.search(rf"{MEMORY_MARGIN} times .* measured", text)
    assert re.search(rf"{TIME_MARGIN} times", text)
