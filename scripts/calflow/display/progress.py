"""How far a run is: its jobs by stage and association, and when they are expected to end."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

STAGE2, STAGE3, REFERENCES, OTHER = "stage 2", "stage 3", "references", "other"
WAITING, RUNNING, DONE, FAILED, BLOCKED = "waiting", "running", "done", "failed", "blocked"
OVER = (DONE, FAILED, BLOCKED)
STAGES = (REFERENCES, STAGE2, STAGE3, OTHER)


@dataclass(frozen=True)
class Task:
    """A job of a run.

    Attributes
    ----------
    number : int
        By which Snakemake calls it.
    rule, name : str
        Its rule, and what it is of.
    stage : str
        One of `STAGES`.
    association : str
        Of stage 3, if it works for one association alone.
    products : tuple of str
        What it makes that is kept for the user.
    after : tuple of int
        The numbers of the jobs it waits for.
    end : float or None
        Seconds after the start of the run when it is expected to be done.
    cpu, wall, memory : float
        What it is expected to take: seconds of a core and on the clock, MB.
    """

    number: int
    rule: str
    name: str
    stage: str
    association: str = ""
    products: tuple[str, ...] = ()
    after: tuple[int, ...] = ()
    end: float | None = None
    cpu: float = 0.0
    wall: float = 0.0
    memory: float = 0.0


@dataclass(frozen=True)
class Row:
    """How far some of the jobs are.

    Attributes
    ----------
    label : str
    total, done, failed, blocked : int
        Numbers of jobs.
    elapsed : float or None
        Seconds since the first of them began, until the last was done; None: not begun.
    left : float or None
        Seconds until the last of them may be done; None: not known.
    """

    label: str
    total: int
    done: int
    failed: int = 0
    blocked: int = 0
    elapsed: float | None = None
    left: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is going to be done any more."""
        return self.done + self.failed + self.blocked >= self.total


class Progress:
    """
    The jobs of a run, and what has become of them. Times are seconds since the start of the run.

    What is told of thousands of jobs each second is counted as it happens.

    Parameters
    ----------
    tasks : iterable of Task
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = {task.number: task for task in tasks}
        self._states = dict.fromkeys(self.tasks, WAITING)
        self._running: dict[int, None] = {}
        self._readers: dict[int, list[int]] = {}
        for task in self.tasks.values():
            for other in task.after:
                self._readers.setdefault(other, []).append(task.number)
        self._whole = _Group("")
        self._stages = {stage: _Group(stage) for stage in STAGES}
        named = sorted({(task.association, task.stage) for task in self.tasks.values() if task.association})
        self._associations = {stage: {name: _Group(name) for name, its in named if its == stage} for stage in STAGES}
        self._groups_of = {task.number: self._grouped(task) for task in self.tasks.values()}
        for group in [self._whole, *self._stages.values(), *_all_of(self._associations)]:
            group.ends.sort()
        self._end = self._whole.ends[-1][0] if self._whole.ends else 0.0
        self._reached = self._spared = self._reached_at = 0.0
        self._ended = False

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return len(self.tasks)

    @property
    def done(self) -> int:
        """How many jobs are done."""
        return self._whole.counts[DONE]

    def begin(self, number: int, now: float) -> None:
        """Take note that a job runs, perhaps again after it failed."""
        if number not in self.tasks:
            return
        if self._states[number] == FAILED:
            self._retry(number)
        self._become(number, RUNNING)
        for group in self._groups_of[number]:
            group.first = now if group.first is None else group.first

    def finish(self, number: int, now: float, *, left_out: bool = False) -> None:
        """Take note that a job is done, or need not be done and is left out."""
        if number not in self.tasks:
            return
        self._become(number, DONE)
        if (gain := (self.tasks[number].end or 0.0) - self._reached) > 0:
            self._reached, self._reached_at = self._reached + gain, now
            self._spared += gain if left_out else 0.0
        for group in self._groups_of[number]:
            group.first = now if group.first is None else group.first
            group.last = now

    def fail(self, number: int, now: float) -> None:
        """Take note that a job failed: what waits for it is blocked."""
        if number not in self.tasks:
            return
        self._become(number, FAILED)
        for group in self._groups_of[number]:
            group.last = now
        for other in self._behind(number):
            self._become(other, BLOCKED)

    def end(self) -> None:
        """Take note that the run ended, done or not: nothing is left to wait for."""
        self._ended = True
        self._running.clear()

    def at_work(self) -> Counter[str]:
        """Return how many jobs of which rule run."""
        return Counter(self.tasks[number].rule for number in list(self._running))

    def whole(self, now: float) -> Row:
        """Return how far all jobs are."""
        return self._row(self._whole, now)

    def rows(self, now: float) -> list[tuple[Row, list[Row]]]:
        """Return how far each stage is, and with each the rows of its associations, if it has several."""
        found = []
        for stage, group in self._stages.items():
            below = [self._row(each, now) for each in self._associations[stage].values()]
            if group.total:
                row = self._row(group, now)
                found.append((replace(row, label=f"{stage} {below[0].label}"), []) if len(below) == 1 else (row, below))
        return found

    def _grouped(self, task: Task) -> list["_Group"]:
        """Return the groups that a job belongs to, having counted it there."""
        groups = [self._whole, self._stages[task.stage]]
        if task.association:
            groups.append(self._associations[task.stage][task.association])
        for group in groups:
            group.counts[WAITING] += 1
            group.total += 1
            if task.end is not None:
                group.ends.append((task.end, task.number))
        return groups

    def _become(self, number: int, state: str) -> None:
        for group in self._groups_of[number]:
            group.counts[self._states[number]] -= 1
            group.counts[state] += 1
        self._states[number] = state
        if state == RUNNING:
            self._running[number] = None
        else:
            self._running.pop(number, None)

    def _retry(self, number: int) -> None:
        """Have a job that failed, and what waits for it, count as to be done."""
        for other in [number, *self._behind(number)]:
            self._become(other, WAITING)
            if (end := self.tasks[other].end) is not None:
                for group in self._groups_of[other]:
                    group.ends = sorted({*group.ends, (end, other)})
        for other in [n for n, state in self._states.items() if state == FAILED]:
            for blocked in self._behind(other):
                self._become(blocked, BLOCKED)

    def _row(self, group: "_Group", now: float) -> Row:
        counts = group.counts
        over = counts[DONE] + counts[FAILED] + counts[BLOCKED] >= group.total
        until = group.last if over else now
        return Row(
            group.label,
            group.total,
            counts[DONE],
            counts[FAILED],
            counts[BLOCKED],
            elapsed=None if group.first is None else max(until - group.first, 0.0),
            left=None if over else self._left(group, now),
        )

    def _left(self, group: "_Group", now: float) -> float | None:
        """Return when jobs are done, by the forecast, and the more of the run is done, by how that has fared.

        None if that is not known, or over.
        """
        while group.ends and self._states[group.ends[-1][1]] in OVER:
            group.ends.pop()
        if not group.ends or self._ended:
            return None
        pace, ran = 1.0, self._reached - self._spared
        if ran > 0:
            share = ran / self._end
            pace = 1 - share + share * self._reached_at / ran
        left = (group.ends[-1][0] - self._reached) * pace - (now - self._reached_at)
        return left if left > 0 else None

    def _behind(self, number: int) -> list[int]:
        """Return the jobs that wait for a job, directly or not."""
        found: dict[int, None] = {}
        ahead = [number]
        while ahead:
            new = [reader for reader in self._readers.get(ahead.pop(), ()) if reader not in found]
            found |= dict.fromkeys(new)
            ahead += new
        return list(found)


@dataclass
class _Group:
    """Jobs that are counted together: when the first began and the last ended, and when they are expected to end."""

    label: str
    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    first: float | None = None
    last: float = 0.0
    ends: list[tuple[float, int]] = field(default_factory=list)


def _all_of(groups: Mapping[str, Mapping[str, _Group]]) -> list[_Group]:
    return [group for some in groups.values() for group in some.values()]
