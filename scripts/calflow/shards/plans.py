"""The plan of a survey: that of each shard, made in its folder, and what they come to."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from calflow.engine.forked_runs import ForkedRuns
from calflow.engine.graphs import processes_for
from calflow.forecast.text import aligned, duration, number_of, volume
from calflow.shards.folders import CONFIG, OUTPUT, folder_of

PLAN = f"{OUTPUT}/plan.json"
# What the first plan of a shard loads for the windows of references; it takes half a second.
READING_REFERENCES = ("calflow.files.reference_files",)


@dataclass(frozen=True)
class Plans:
    """What the plans of shards come to.

    Attributes
    ----------
    trees : mapping of int to mapping
        By the number of the shard, its ``plan.json`` without the jobs.
    wrong : mapping of int to str
        Why others cannot be planned.
    """

    trees: Mapping[int, Mapping[str, Any]]
    wrong: Mapping[int, str]

    @property
    def products(self) -> int:
        """How many products there are."""
        return sum(tree["products"] for tree in self.trees.values())

    @property
    def up_to_date(self) -> int:
        """How many of them are not made again."""
        return sum(tree["up_to_date"] for tree in self.trees.values())

    @property
    def stale(self) -> list[int]:
        """The shards that have something to do."""
        return [number for number, tree in self.trees.items() if tree["totals"]["jobs"]]

    def sum(self, name: str) -> Any:
        """Return the sum of one of the totals.

        Parameters
        ----------
        name : str
            As in ``plan.json``.
        """
        return sum(tree["totals"][name] for tree in self.trees.values())

    def most(self, name: str) -> tuple[int, float]:
        """Return the shard with the most of one of the totals, and how much that is.

        Parameters
        ----------
        name : str
            As in ``plan.json``.
        """
        number = max(self.trees, key=lambda number: self.trees[number]["totals"][name])
        return number, self.trees[number]["totals"][name]

    def rules(self) -> dict[str, dict[str, Any]]:
        """Return what the jobs of each rule come to, and the largest memory of one."""
        found: dict[str, dict[str, Any]] = {}
        for tree in self.trees.values():
            for rule, total in tree["rules"].items():
                of_all = found.setdefault(
                    rule, {"jobs": 0, "why": Counter(), "cpu_s": 0.0, "memory_mb": 0, "written_mb": 0.0}
                )
                for name in ("jobs", "cpu_s", "written_mb"):
                    of_all[name] += total[name]
                of_all["memory_mb"] = max(of_all["memory_mb"], total["memory_mb"])
                of_all["why"].update(total["why"])
        return found


def plans_lines(plans: Plans, cores: int) -> list[str]:
    """Return the plan of all shards for the terminal.

    Parameters
    ----------
    plans : Plans
        At least one.
    cores : int
        That each shard has.
    """
    jobs = plans.sum("jobs")
    head = f"Plan of {number_of(len(plans.trees), 'shard')}: {number_of(jobs, 'job')}"
    up_to_date = f"{plans.up_to_date} of {number_of(plans.products, 'product')} up to date"
    if not jobs:
        return [f"{head}: nothing to be done, {up_to_date}"]
    cpu, written, more = plans.sum("cpu_s"), plans.sum("written_mb"), plans.sum("written_mb") - plans.sum("replaced_mb")
    (longest, wall), (largest, memory) = plans.most("wall_s"), plans.most("peak_memory_mb")
    return [
        f"{head}, {up_to_date}",
        "",
        *_rule_table(plans),
        "",
        f"Estimated on {number_of(cores, 'core')} for each shard: {duration(wall)} for the longest, "
        f"{folder_of(longest)}; {duration(plans.sum('wall_s'))} one after another ({duration(cpu)} of CPU),",
        f"  {volume(memory)} of memory at most, in {folder_of(largest)},",
        f"  {volume(written)} written ({volume(abs(more))} {'more' if more >= 0 else 'less'} than there is now), up to "
        f"{volume(plans.sum('temporary_mb'))} of temporary files if all run at once",
        "",
        f"All jobs: {PLAN} in the folder of each shard",
    ]


def _rule_table(plans: Plans) -> list[str]:
    rows: list[Sequence[str]] = [("rule", "jobs", "CPU", "memory", "disk", "why")]
    rules = plans.rules()
    for rule, total in rules.items():
        why = ", ".join(kind if n == total["jobs"] else f"{kind} {n}" for kind, n in total["why"].items())
        numbers = duration(total["cpu_s"]), volume(total["memory_mb"]), volume(total["written_mb"])
        rows.append((rule, str(total["jobs"]), *numbers, why))
    memory = volume(max(total["memory_mb"] for total in rules.values()))
    totals = duration(plans.sum("cpu_s")), memory, volume(plans.sum("written_mb"))
    return aligned([*rows, ("total", str(plans.sum("jobs")), *totals, "")])


def plans_in(folder: Path, numbers: Sequence[int], snakefile: Path, cores: int) -> Plans:
    """Plan shards, some at a time.

    Parameters
    ----------
    folder : Path
        That of all shards.
    numbers : sequence of int
        Which.
    snakefile : Path
    cores : int
        That each has.
    """
    processes = processes_for(len(numbers))
    more = READING_REFERENCES if len(numbers) > processes else ()
    with ExitStack() as stack:
        idle: SimpleQueue[ForkedRuns] = SimpleQueue()
        for _ in range(processes):
            idle.put(stack.enter_context(ForkedRuns(*more)))

        def plan(number: int) -> Mapping[str, Any] | str:
            runs = idle.get()
            try:
                return _plan(runs, folder / folder_of(number), snakefile, cores)
            finally:
                idle.put(runs)

        pool = stack.enter_context(ThreadPoolExecutor(processes))
        found = dict(zip(numbers, pool.map(plan, numbers), strict=True))
    return Plans(
        {number: tree for number, tree in found.items() if not isinstance(tree, str)},
        {number: tree for number, tree in found.items() if isinstance(tree, str)},
    )


def _plan(runs: ForkedRuns, folder: Path, snakefile: Path, cores: int) -> Mapping[str, Any] | str:
    """Return the plan of a shard, or why there is none."""
    status, said = runs.run(
        ["plan", "--snakefile", str(snakefile), "--cores", str(cores), "--configfile", CONFIG], folder
    )
    if status:
        return "\n".join(line for line in said.splitlines() if not line.startswith(_OF_SNAKEMAKE))
    tree: dict[str, Any] = json.loads((folder / PLAN).read_text())
    del tree["jobs"]  # of thousands of exposures
    return tree


# What Snakemake says before it reads the Snakefile
_OF_SNAKEMAKE = ("Using workflow specific profile", "Config file ")
