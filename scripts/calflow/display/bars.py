"""Bars with counts and times, as lines of text."""

from collections.abc import Sequence

from calflow.display.progress import Progress, Row
from calflow.printable import shortened

MOST_ASSOCIATIONS = 8
BLOCKS, HASHES = "\u2588\u2591", "#-"
SHORTEST, LONGEST = 10, 40  # columns of a bar


def bar_lines(progress: Progress, now: float, columns: int, *, marks: str = BLOCKS, at_work: str = "now") -> list[str]:
    """Return a line for each stage and association, and one for the whole run.

    Parameters
    ----------
    progress : Progress
    now : float
        Seconds since the start of the run.
    columns : int
        Of the terminal: no line is longer.
    marks : str
        Two characters, for what is done and for what is not.
    at_work : str
        What stands before the jobs that Snakemake has begun; on a cluster they may wait.
    """
    rows = shown_rows(progress, now)
    counts = [counts_of(row) for _, row in rows]
    times = [times_of(row) for _, row in rows]
    counted, timed = max(map(len, counts), default=0), max(map(len, times), default=0)
    labelled = min(max((len(label) for label, _ in rows), default=0), max(columns - counted - timed - 6 - SHORTEST, 8))
    bar = min(columns - labelled - counted - timed - 6, LONGEST)
    lines = []
    for (label, row), count, time in zip(rows, counts, times, strict=True):
        drawn = f"{_bar(row, bar, marks)}  " if bar >= SHORTEST else ""
        lines.append(f"{shortened(label, labelled).ljust(labelled)}  {drawn}{count.ljust(counted)}  {time}".rstrip())
    return [line[:columns] for line in [*lines, whole_line(progress, now, at_work)]]


def shown_rows(progress: Progress, now: float, most: int = MOST_ASSOCIATIONS) -> list[tuple[str, Row]]:
    """Return stages, and below each those of its associations for which there is space, by what they are called.

    Parameters
    ----------
    progress : Progress
    now : float
        Seconds since the start of the run.
    most : int
        Associations of a stage that are shown.
    """
    rows: list[tuple[str, Row]] = []
    for stage, below in progress.rows(now):
        names = _shown(below, most)
        rows += [(stage.label, stage), *((f"  {row.label}", row) for row in below if row.label in names)]
        if others := [row for row in below if row.label not in names]:
            over = sum(row.is_over for row in others)
            rows.append((f"  and {len(others)} more, {over} of them done", _sum(others)))
    return rows


def clock(seconds: float) -> str:
    """Return a time as a clock shows it, such as ``0:09`` or ``1:02:10``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _shown(rows: Sequence[Row], most: int) -> set[str]:
    """Return the labels of the rows for which there is space: those at work first, then those to come."""
    if len(rows) <= most:
        return {row.label for row in rows}
    at_work = [row.label for row in rows if row.elapsed is not None and not row.is_over]
    to_come = [row.label for row in rows if row.elapsed is None]
    return set([*at_work, *to_come][:most])


def _sum(rows: Sequence[Row]) -> Row:
    """Return what rows come to, without their times, of which there is no sum."""
    return Row(
        "",
        sum(row.total for row in rows),
        sum(row.done for row in rows),
        sum(row.failed for row in rows),
        sum(row.blocked for row in rows),
    )


def counts_of(row: Row) -> str:
    """Return how many jobs of a row are done, in words."""
    parts = [f"{row.done}/{row.total}"]
    parts += [f"{row.failed} failed"] if row.failed else []
    parts += [f"{row.blocked} blocked"] if row.blocked else []
    return ", ".join(parts)


def times_of(row: Row) -> str:
    """Return how long a row takes, in words."""
    if row.elapsed is None:
        return f"in all about {clock(row.left)}" if row.left is not None else ""
    left = f", about {clock(row.left)} left" if row.left is not None else ""
    return clock(row.elapsed) + left


def _bar(row: Row, length: int, marks: str) -> str:
    full = length * row.done // max(row.total, 1)
    return marks[0] * full + marks[1] * (length - full)


def whole_line(progress: Progress, now: float, at_work: str) -> str:
    """Return how far the whole run is, and what is done now.

    Parameters
    ----------
    progress : Progress
    now : float
        Seconds since the start of the run.
    at_work : str
        What stands before the jobs that Snakemake has begun; on a cluster they may wait.
    """
    whole = progress.whole(now)
    begun = ", ".join(f"{rule} x {n}" if n > 1 else rule for rule, n in progress.at_work().most_common())
    left = f", about {clock(whole.left)} left" if whole.left is not None else ""
    counts = counts_of(whole).replace(f"/{whole.total}", f"/{whole.total} jobs")
    return f"{counts}, {clock(now)}{left}" + (f"; {at_work} {begun}" if begun else "")
