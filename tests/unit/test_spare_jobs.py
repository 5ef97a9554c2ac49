"""Quick looks of an association of two exposures, on two cores: which are started when; and jobs with threads."""

from types import SimpleNamespace

import pytest

from calflow.engine.signals import Scheduler
from calflow.engine.spare_jobs import MOST_READY, SpareJobs, kept_for_later, threads_beside

BEFORE = {
    "calibrate 1": [],
    "calibrate 2": [],
    "look 1": ["calibrate 1"],
    "look 2": ["calibrate 2"],
    "align": ["calibrate 1", "calibrate 2"],
    "flag 1": ["align"],
    "flag 2": ["align"],
    "count": ["flag 1", "flag 2"],
    "combine": ["flag 1", "flag 2"],
    "catalog": ["combine"],
    "all": ["look 1", "look 2", "count", "catalog"],
}


class Graph(dict):
    """As much of Snakemake's graph as is asked; a job is its name."""

    def __init__(self, before=BEFORE, done=()):
        super().__init__({name: Job(name) for name in before})
        self.dependencies = {self[name]: {self[other]: set() for other in others} for name, others in before.items()}
        self.depending = {self[name]: {self[n]: set() for n, o in before.items() if name in o} for name in before}
        self.done = done

    def needrun_jobs(self):
        return (job for name, job in self.items() if name not in self.done)

    def kept(self, ready, running, cores=2):
        kept = kept_for_later({self[name] for name in ready}, [self[name] for name in running], self, cores)
        return {job.name for job in kept}


class Job(SimpleNamespace):
    """A job with a priority."""

    def __init__(self, name):
        super().__init__(
            name=name, priority=-1 if "look" in name else 0, output=[] if name.startswith("all") else [name]
        )

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return self is other


CALIBRATED = ["calibrate 1", "calibrate 2"]
LOOKS = {"look 1", "look 2"}


def test_while_all_wait_for_one_job_they_are_kept():
    assert Graph(done=["calibrate 1"]).kept({"look 1"}, ["calibrate 2"]) == {"look 1"}
    assert Graph(done=CALIBRATED).kept(LOOKS, ["align"]) == LOOKS
    assert Graph(done=[*CALIBRATED, "align"]).kept(LOOKS, ["flag 1", "flag 2"]) == LOOKS


def test_beside_the_last_jobs_they_are_started():
    done = [*CALIBRATED, "align", "flag 1"]
    assert Graph(done=done).kept(LOOKS, ["flag 2"]) == set()
    done += ["flag 2", "count"]
    assert Graph(done=done).kept(LOOKS, ["combine"]) == set()
    assert Graph(done=[*done, "combine"]).kept(LOOKS, ["catalog"]) == set()
    assert Graph(done=[*done, "combine", "catalog"]).kept(LOOKS, []) == set()


def test_where_nothing_else_can_run_they_are_started():
    """As if the alignment had failed."""
    assert Graph(done=CALIBRATED).kept(LOOKS, []) == set()
    assert Graph(done=CALIBRATED).kept({"look 1"}, ["look 2"]) == set()


def test_nothing_else_is_ever_kept():
    graph = Graph(done=CALIBRATED)
    assert graph.kept({"align", *LOOKS}, []) == LOOKS
    assert graph.kept({"align"}, ["calibrate 1"]) == set()


def test_without_what_ends_one_by_one_they_are_started():
    """Stage 2 alone; and as many associations as there are cores, of which each is busy to the end."""
    stage2 = {f"calibrate {k}": [] for k in (1, 2, 3)} | {"look 1": ["calibrate 1"]}
    assert Graph(stage2, done=["calibrate 1"]).kept({"look 1"}, ["calibrate 2", "calibrate 3"]) == set()
    two = {f"{name} {place}": [f"{n} {place}" for n in o] for place in "ab" for name, o in BEFORE.items()}
    graph = Graph(two, done=["calibrate 1 a", "calibrate 2 a", "calibrate 1 b", "calibrate 2 b"])
    assert graph.kept({"look 1 a"}, ["align a", "align b"]) == set()
    assert graph.kept({"look 1 a"}, ["align a", "align b"], cores=4) == {"look 1 a"}


@pytest.mark.parametrize("number", [MOST_READY, MOST_READY + 1])
def test_of_many_only_the_last_are_kept(number):
    looks = {f"look {k}": [] for k in range(number)}
    graph = Graph(BEFORE | looks, done=CALIBRATED)
    assert graph.kept(looks.keys(), ["align"]) == (set(looks) if number == MOST_READY else set())


@pytest.mark.parametrize(
    ("wanted", "others", "cores", "free", "given"),
    [
        (2, 0, 2, 2, 2),
        (2, 4, 2, 2, 1),
        (2, 1, 2, 1, 1),
        (8, 0, 16, 16, 8),
        (16, 3, 16, 16, 13),
        (16, 40, 16, 16, 8),
        (16, 40, 16, 5, 5),
        (4, 9, 1, 1, 1),
    ],
)
def test_a_job_gets_what_the_others_leave_but_half_of_the_cores_and_what_is_free(wanted, others, cores, free, given):
    assert threads_beside(wanted, others, cores, free) == given


class JobOfThreads(Job):
    """As much of Snakemake's job as tells its cores."""

    def __init__(self, name, threads=1):
        super().__init__(name)
        self.resources, self.scheduler_resources = SimpleNamespace(_cores=threads), {"_cores": threads}

    @property
    def threads(self):
        return self.resources._cores

    def is_group(self):
        return False


def test_as_long_as_others_are_ready_a_job_gets_fewer_cores_and_all_when_it_is_alone(monkeypatch):
    monkeypatch.setattr(Scheduler, "__init__", lambda self: None)
    monkeypatch.setattr(Scheduler, "job_selector", lambda self, jobs: jobs)
    scheduler = SpareJobs()
    settings = SimpleNamespace(cores=2)
    graph = Graph(done=[*CALIBRATED, "align", "flag 1", "flag 2", "count"])
    scheduler.workflow = SimpleNamespace(local_exec=True, dag=graph, resource_settings=settings)
    scheduler.running, scheduler.resources = set(), {"_cores": 2}
    combine, look = JobOfThreads("combine", 2), JobOfThreads("look 1")
    assert scheduler.job_selector([combine, look]) == [combine, look]
    assert (combine.threads, look.threads, combine.scheduler_resources) == (1, 1, {"_cores": 1})
    scheduler.job_selector([combine])
    assert (combine.threads, combine.scheduler_resources) == (2, {"_cores": 2})
    scheduler.workflow.local_exec = False
    scheduler.job_selector([combine, look])
    assert combine.threads == 2
