"""The forecast of a run: costs, schedule, causes, text; on hand-worked numbers."""

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from calflow.engine.graphs import shared_out
from calflow.engine.needed_jobs import NeededJob, NeededJobs
from calflow.engine.reasons import Cause, _restamped, causes_of
from calflow.forecast.costs import Cost, Costs
from calflow.forecast.forecast import Forecast, joined, least_of
from calflow.forecast.schedule import PER_JOB, PER_RUN, schedule
from calflow.forecast.text import duration, forecast_text, volume
from calflow.jobs.sizes import Size

NEW = (Cause("new"),)


def job(rule="calibrate", name="a", *, after=(), causes=NEW, priority=0):
    return NeededJob(rule, {"exposure": name}, causes, (f"{name}_{rule}.fits",), (), tuple(after), priority)


def cost(seconds, memory=100.0, temporary=0.0):
    return Cost(seconds, seconds, memory, 10.0, temporary)


# When jobs run --------------------------------------------------------------------------------------------


def test_independent_jobs_share_the_cores():
    jobs = [job(name=str(number)) for number in range(4)]
    found = schedule(jobs, [cost(10.0)] * 4, cores=2)
    assert found.wall == pytest.approx(2 * (10 + PER_JOB) + PER_RUN)
    assert found.memory == 200.0


def test_a_chain_takes_as_long_on_any_number_of_cores():
    jobs = [job(), job("combine", after=[0]), job("catalog_sources", after=[1])]
    costs = [cost(5.0, 300.0), cost(7.0, 900.0), cost(1.0, 100.0)]
    for cores in (1, 8):
        found = schedule(jobs, costs, cores)
        assert found.wall == pytest.approx(13 + 3 * PER_JOB + PER_RUN)
        assert found.memory == 900.0


def test_what_has_priority_runs_first():
    quick_look, find_stars = job("resample_exposure", priority=-1), job("find_stars")
    combine = job("combine", after=[1])
    found = schedule([quick_look, find_stars, combine], [cost(10.0), cost(1.0), cost(10.0)], cores=1)
    assert found.wall == pytest.approx(21 + 3 * PER_JOB + PER_RUN)
    found = schedule([quick_look, find_stars, combine], [cost(10.0), cost(1.0), cost(10.0)], cores=2)
    assert found.wall == pytest.approx(11 + 2 * PER_JOB + PER_RUN)


def test_a_temporary_file_goes_with_its_last_reader():
    # two writers, 5 MB each, a reader of both, and another reader of the first
    jobs = [job(), job(name="b"), job("take_median", after=[0, 1]), job("flag_outliers", after=[0])]
    costs = [cost(1.0, temporary=5.0), cost(1.0, temporary=5.0), cost(1.0), cost(1.0)]
    assert schedule(jobs, costs, cores=1).temporary == 10.0
    assert schedule(jobs[:1], costs[:1], cores=1).temporary == 5.0


def test_a_job_with_threads_waits_for_its_cores_and_others_go_before_it():
    # on 3 cores: a and the first pair at once, then the other pair beside b
    jobs = [replace(job("combine", name), threads=2) for name in "cd"] + [job(name="a"), job(name="b")]
    found = schedule(jobs, [cost(10.0), cost(10.0), cost(4.0), cost(3.0)], cores=3)
    assert found.ends == pytest.approx((10 + PER_JOB, 20 + 2 * PER_JOB, 4 + PER_JOB, 7 + 2 * PER_JOB))
    assert found.memory == 200.0
    # more threads than cores
    assert schedule([replace(jobs[0], threads=8)], [cost(10.0)], cores=2).wall == pytest.approx(10 + PER_JOB + PER_RUN)


def test_nothing_to_run_takes_no_time():
    assert schedule([], [], cores=2).wall == 0.0


# What jobs cost -------------------------------------------------------------------------------------------


class OneSize:
    def of(self, wildcards, *, whole):
        return {"a": Size(2.0, 1.0, 3.0), "b": Size(4.0, 2.0, 3.0)}[wildcards["exposure"]]


@pytest.fixture
def shipped(tmp_path):
    figures = {
        "size": "total",
        "seconds": [1.0, 0.5],
        "memory_mb": {"start": 100.0, "frame": 50.0},
        "bytes_per_pixel": 20.0,
    }
    path = tmp_path / "shipped.json"
    path.write_text(json.dumps({"rules": {"calibrate": figures}}))
    return path


def test_figures_are_scaled_by_size(shipped, tmp_path):
    found = Costs(OneSize(), tmp_path / "none", shipped).of(job())
    assert (found.cpu, found.memory, found.disk) == (2.0, 150.0, 40.0)
    assert Costs(OneSize(), tmp_path / "none", shipped).of(job(name="b")).cpu == 3.0


def test_threads_share_the_work(shipped, tmp_path):
    found = Costs(OneSize(), tmp_path / "none", shipped).of(replace(job(), threads=4))
    assert (found.cpu, found.wall) == (2.0, 0.5)


def test_records_of_earlier_runs_scale_the_figures(shipped, tmp_path):
    folder = tmp_path / "benchmarks" / "calibrate"
    folder.mkdir(parents=True)
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    # "a" took 4 s where the figures say 2; its memory was not seen
    (folder / "a_cal.tsv").write_text(head + "4.0\t0:00:04\tNA\tNA\tNA\tNA\t0\t0\t0\t3.0\n")
    (folder / "unknown_cal.tsv").write_text(head + "400\t0:06:40\t1\t1\t1\t1\t0\t0\t0\t400\n")
    (folder / "broken_cal.tsv").write_text("no record")
    costs = Costs(OneSize(), tmp_path / "benchmarks", shipped)
    found = costs.of(NeededJob("calibrate", {"exposure": "b", "cal": "cal"}, (), (), (), ()))
    assert (found.wall, found.cpu, found.memory) == (6.0, 4.5, 200.0)
    # which had as many threads
    assert costs.of(NeededJob("calibrate", {"exposure": "b", "cal": "cal"}, (), (), (), (), threads=2)).wall == 6.0
    assert costs.recorded == {"calibrate": 1}


def test_a_rule_without_figures_costs_something(shipped, tmp_path):
    assert Costs(OneSize(), tmp_path, shipped).of(job("demo_picture")).cpu > 0


# Why jobs run ---------------------------------------------------------------------------------------------


class File(str):
    """A path as Snakemake has it."""

    is_temp = is_storage = False


class Object(File):
    """An object in S3: its path is that of a local copy."""

    is_storage = True
    rule = SimpleNamespace(
        workflow=SimpleNamespace(storage_settings=SimpleNamespace(default_storage_prefix="s3://b/p"))
    )

    @property
    def storage_object(self):
        return SimpleNamespace(query="s3://b/p/" + self.rpartition("copies/")[2])


@dataclass
class Reason:
    updated_input: set = field(default_factory=set)
    updated_input_run: set = field(default_factory=set)
    missing_output: set = field(default_factory=set)
    incomplete_output: set = field(default_factory=set)
    input_changed: bool = False
    params_changed: object = None
    forced: bool = False


@dataclass
class Changed:
    only_new: set
    only_old: set = field(default_factory=set)


class Params(dict):
    pass


class FakeJob:
    def __init__(self, output, inputs=(), params=None):
        self.output = [output]
        self.input = [File(path) for path in inputs]
        self.params = Params(params or {})


class Records:
    def __init__(self, params=(), inputs=()):
        self._params, self._inputs = params, inputs

    def metadata(self, path):
        return object()

    def params(self, path):
        return list(self._params)

    def input(self, path):
        return list(self._inputs)


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "a_cal.fits"
    path.touch()
    return File(path)


def is_reference(path):
    return path.startswith("references/")


def causes(job, reason, records=None):
    return [(cause.kind, cause.about) for cause in causes_of(job, reason, records or Records(), is_reference)]


def test_updated_inputs_are_told_apart(made):
    updated = {File(path) for path in ("references/flat.fits", "a_rate.fits", "b.fits")}
    reason = Reason(updated_input=updated, updated_input_run={"b.fits"})
    found = causes(FakeJob(made), reason)
    assert found == [("reference changed", "references/flat.fits"), ("input changed", "a_rate.fits")]


def test_a_reference_in_place_of_another(made):
    job_, records = FakeJob(made, ["a_rate.fits", "references/new.fits"]), Records(inputs=["a_rate.fits", "old.fits"])
    found = causes(job_, Reason(input_changed=True), records)
    assert found == [("reference changed", "+ references/new.fits"), ("reference changed", "- old.fits")]


def test_parameters_are_named_and_code_is_no_parameter(made):
    params = {"code": "abc", "photom": {"inverse": True}, "sip": 3}
    changed = Changed({repr("abc"), repr({"inverse": True})})
    found = causes(FakeJob(made, params=params), Reason(params_changed=changed))
    assert found == [("parameter changed", "photom"), ("code changed", "")]


def test_a_replaced_file_is_an_input_not_a_parameter(made):
    now = {"a_rate.fits": "9 bytes, 2 ns", "references/flat.fits": "5 bytes, 1 ns"}
    before = {"a_rate.fits": "8 bytes, 2 ns", "references/flat.fits": "5 bytes, 1 ns"}
    changed = Changed({repr(now)}, {repr(before)})
    found = causes(FakeJob(made, params={"stamps": now}), Reason(params_changed=changed), Records([repr(before)]))
    assert found == [("input changed", "a_rate.fits")]


def test_another_library_is_named_with_its_versions(made):
    before, now = "libraries: numpy 2.3, photutils 3.0.0", "libraries: numpy 2.3, photutils 3.1.1"
    reason = Reason(params_changed=Changed({repr(now)}, {repr(before)}))
    found = causes(FakeJob(made, params={"libraries": now}), reason, Records([repr("a"), repr(before)]))
    assert found == [("library changed", "photutils 3.0.0 -> 3.1.1")]


def test_a_value_that_another_parameter_has_too_cannot_be_named(made):
    found = causes(FakeJob(made, params={"sip": 3}), Reason(params_changed=Changed(set(), {"4"})))
    assert found == [("parameter changed", "(unknown)")]


def test_a_job_without_a_reason_of_its_own_follows(made):
    assert causes(FakeJob(made), Reason(updated_input_run={"a"})) == [("follows another job", "")]


@pytest.mark.parametrize("text", ["{' bytes, '}", "{' bytes, ': [", "{' bytes, ', " + "-" * 10_000 + "1}"])
def test_damaged_records_of_snakemake_are_passed_over(text):
    assert _restamped({"a": "1 bytes, t"}, [text, "{'a': '2 bytes, t'}"]) == {"a"}


def test_objects_in_s3_are_named_by_what_follows_the_prefix():
    output = Object("copies/results/a_cal.fits")
    assert causes(FakeJob(output), Reason(updated_input={Object("copies/references/flat.fits")})) == [
        ("reference changed", "references/flat.fits")
    ]
    job_ = FakeJob(output)
    job_.input = [Object("copies/a_rate.fits"), Object("copies/references/new.fits")]
    records = Records(inputs=["s3://b/p/a_rate.fits"])
    assert causes(job_, Reason(input_changed=True), records) == [("reference changed", "+ references/new.fits")]
    records.metadata = lambda _: None
    assert causes(FakeJob(output), Reason(), records) == [("new", "")]


def test_missing_and_new(tmp_path):
    path = File(tmp_path / "gone.fits")
    assert causes(FakeJob(path), Reason(missing_output={path})) == [("missing", str(path))]
    records = Records()
    records.metadata = lambda _: None
    assert causes(FakeJob(path), Reason(missing_output={path}), records) == [("new", "")]


# The whole ------------------------------------------------------------------------------------------------


def test_parts_are_joined_up_to_a_number_of_exposures():
    parts = [(60, ["a"]), (60, ["b"]), (0, []), (1, ["c"]), (500, ["d"]), (1, ["e"])]
    assert shared_out(parts) == [["a", "b"], ["c", "d"], ["e"]]


def test_joined_jobs_wait_for_those_of_their_own_graph():
    graph = NeededJobs([job(), job("combine", after=[0])], ["x"])
    found = joined([graph, graph])
    assert [one.after for one in found.jobs] == [(), (0,), (), (2,)]
    assert found.unrecorded == ["x", "x"]


def forecast_of(jobs, **others):
    costs = [cost(float(number + 1)) for number in range(len(jobs))]
    return Forecast(("all",), 2, tuple(jobs), tuple(costs), schedule(jobs, costs, 2), 5, 2, 0.0, **others)


def test_text_says_what_and_why():
    jobs = [
        job(causes=(Cause("reference changed", "references/flat.fits"), Cause("code changed"))),
        job(name="b", causes=(Cause("reference changed", "references/flat.fits"),)),
        job("combine", causes=(Cause("follows another job"),), after=[0, 1]),
    ]
    text = forecast_text(forecast_of(jobs, exposures=("a", "b")), "plan.json")
    lines = text.splitlines()
    assert lines[0] == "Plan of all: 3 jobs, 2 of 5 products up to date"
    assert lines[2].split() == ["rule", "jobs", "CPU", "memory", "disk", "why"]
    assert lines[3].split() == ["calibrate", "2", "3", "s", "100", "MB", "20", "MB", "reference", "changed"]
    assert "  reference changed: references/flat.fits (2 jobs)" in lines
    assert "2 exposures: a, b" in lines
    assert lines[-1] == "All jobs: plan.json"


FOLLOWS = (Cause("follows another job"),)


def test_the_least_is_what_has_a_reason_of_its_own_and_the_layers_that_it_reads():
    jobs = [
        job(causes=(Cause("code changed"),)),
        job("find_stars", causes=FOLLOWS, after=[0]),
        replace(job("resample_group", causes=FOLLOWS, after=[1]), outputs=(), temporary=("layer",)),
        job("flag_outliers", causes=(Cause("parameter changed", "snr"),), after=[0, 2]),
        job("combine", causes=FOLLOWS, after=[3]),
    ]
    least = least_of(jobs, [cost(10.0 * (n + 1)) for n in range(5)], 1)
    assert least.jobs == 3
    assert least.wall == pytest.approx(10 + 30 + 40 + 3 * PER_JOB + PER_RUN)
    text = forecast_text(forecast_of(jobs, least=least), "plan.json")
    assert "that is the most: 3 jobs run for sure (1 min 2" in text
    assert "2 may follow, if what they read comes out different" in text


def test_where_each_job_has_a_reason_all_is_the_least():
    jobs = [job(), job("combine", after=[0])]
    assert least_of(jobs, [cost(1.0)] * 2, 1) is None
    assert "for sure" not in forecast_text(forecast_of(jobs), "plan.json")


def test_json_has_a_line_for_each_job():
    text = forecast_of([job(), job("combine", after=[0])]).as_json()
    tree = json.loads(text)
    assert [entry["rule"] for entry in tree["jobs"]] == ["calibrate", "combine"]
    assert tree["totals"]["cpu_s"] == 3.0
    assert sum(line.startswith('{"rule"') for line in text.splitlines()) == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s"), (20000, "5 h 33 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("megabytes", "text"), [(0.2, "0 MB"), (999, "999 MB"), (2140, "2.1 GB"), (3e6, "3.0 TB")])
def test_volume(megabytes, text):
    assert volume(megabytes) == text
