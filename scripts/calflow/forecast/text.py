"""A forecast as a table for the terminal."""

from collections import Counter
from collections.abc import Sequence

from calflow.engine.reasons import FOLLOWS, LIBRARY, NEW, Cause
from calflow.forecast.forecast import Forecast
from calflow.plan.context_comparison import comparison_lines

NAMED = 5  # of a list of names, how many are shown


def forecast_text(forecast: Forecast, written: str) -> str:
    """Return the forecast as text.

    Parameters
    ----------
    forecast : Forecast
    written : str
        The file that has all of it.
    """
    head = f"Plan of {', '.join(forecast.targets)}: {number_of(len(forecast.jobs), 'job')}"
    up_to_date = f"{forecast.up_to_date} of {number_of(forecast.products, 'product')} up to date"
    if not forecast.jobs:
        lines = [f"{head}: nothing to be done, {up_to_date}"]
        return "\n".join([*lines, *_unrecorded(forecast), *_changes(forecast)])
    lines = [f"{head}, {up_to_date}", "", *_rule_table(forecast), *_causes(forecast), "", *_totals(forecast)]
    lines += [
        "",
        *_heaviest(forecast),
        "",
        *_concerned(forecast),
        *_parameters(forecast),
        *_unrecorded(forecast),
        *_changes(forecast),
    ]
    lines += ["", f"All jobs: {written}"]
    return "\n".join(lines)


def _rule_table(forecast: Forecast) -> list[str]:
    rows = [("rule", "jobs", "CPU", "memory", "disk", "why")]
    for total in forecast.rules():
        why = ", ".join(kind if n == total.jobs else f"{kind} {n}" for kind, n in total.kinds.items())
        rows.append((total.rule, str(total.jobs), duration(total.cpu), volume(total.memory), volume(total.disk), why))
    memory = volume(max(cost.memory for cost in forecast.costs))
    rows.append(("total", str(len(forecast.jobs)), duration(forecast.cpu), memory, volume(forecast.disk), ""))
    return aligned(rows)


def _causes(forecast: Forecast) -> list[str]:
    """Return what has changed, each file and parameter with the number of jobs that it makes run."""
    lines = []
    for kind, counts in forecast.causes().items():
        if kind in (NEW, FOLLOWS) or not any(counts):
            continue
        lines += [
            f"  {kind}: {about} ({number_of(n, 'job')}{_rules_with(forecast, kind, about)})"
            for about, n in counts.most_common(NAMED)
            if about
        ]
        lines += [f"  {kind}: {len(counts) - NAMED} more"] if len(counts) > NAMED else []
    return ["", *lines] if lines else []


def _rules_with(forecast: Forecast, kind: str, about: str) -> str:
    """Return how many jobs of which rules another library makes run, which the table of rules does not tell."""
    if kind != LIBRARY:
        return ""
    counts = Counter(job.rule for job in forecast.jobs if Cause(kind, about) in job.causes)
    return ": " + ", ".join(f"{n} {rule}" for rule, n in counts.most_common())


def _totals(forecast: Forecast) -> list[str]:
    schedule = forecast.schedule
    more = forecast.disk - forecast.replaced
    lines = [
        f"Estimated on {number_of(forecast.cores, 'core')}: {duration(schedule.wall)} "
        f"({duration(forecast.cpu)} of CPU), {volume(schedule.memory)} of memory at most,",
        f"  {volume(forecast.disk)} written ({volume(abs(more))} {'more' if more >= 0 else 'less'} than there is now)"
        + (f", up to {volume(schedule.temporary)} of temporary files" if schedule.temporary >= 1 else ""),
    ]
    if forecast.least:
        few, more_jobs = forecast.least, len(forecast.jobs) - forecast.least.jobs
        lines.append(
            f"  that is the most: {number_of(few.jobs, 'job')} run for sure ({duration(few.wall)}), "
            f"{more_jobs} may follow, if what they read comes out different"
        )
    rules = {job.rule for job in forecast.jobs}
    records = {rule: n for rule, n in forecast.recorded.items() if n and rule in rules}
    if not records:
        return [*lines, "  from calflow's own figures: there are no records of earlier runs"]
    found = f"from {number_of(sum(records.values()), 'record')} of earlier runs"
    return [
        *lines,
        f"  {found}"
        if len(records) == len(rules)
        else f"  {found} of {len(records)} rules, calflow's own figures of {len(rules) - len(records)}",
    ]


def _heaviest(forecast: Forecast) -> list[str]:
    rows = [("heaviest jobs", "CPU", "memory", "")]
    rows += [(job.rule, duration(cost.cpu), volume(cost.memory), job.name) for job, cost in forecast.heaviest()]
    return aligned(rows)


def _concerned(forecast: Forecast) -> list[str]:
    lines = []
    for word, names in (("exposure", forecast.exposures), ("association", forecast.associations)):
        if names:
            lines.append(f"{number_of(len(names), word)}: {_some(names)}")
    return lines


def _unrecorded(forecast: Forecast) -> list[str]:
    names = forecast.unrecorded
    if not names:
        return []
    what = "1 product has" if len(names) == 1 else f"{len(names)} products have"
    return [
        "",
        f"{what} no record of how they were made (.snakemake/metadata): changed parameters, code or lists of inputs go "
        f"unnoticed there. To make them again, delete them: {_some(names)}",
    ]


def _parameters(forecast: Forecast) -> list[str]:
    """Return what parameter references change, a line for each set of them."""
    lines = []
    for entry in forecast.parameters:
        word = "exposure" if entry["stage"] == 2 else "association"
        values = ", ".join(f"{name}={value}" for name, value in entry["values"].items()) or "nothing changed"
        lines.append(f"  {', '.join(entry['references'])}: {values} ({number_of(len(entry['of']), word)})")
    return ["", "Parameter references:", *lines] if lines else []


def _changes(forecast: Forecast) -> list[str]:
    return [] if forecast.changes is None else ["", "With the other context:", *comparison_lines(forecast.changes)]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines: the first and the last column to the left, numbers to the right.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first one has the heads of the columns.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)),
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


def number_of(count: int, word: str) -> str:
    """Return a number of things, such as ``3 jobs``.

    Parameters
    ----------
    count : int
    word : str
        For one of them.
    """
    return f"{count} {word}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time as people say it, such as ``3 min 20 s`` or ``5 h 40 min``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def volume(megabytes: float) -> str:
    """Return an amount of memory or disk, such as ``340 MB`` or ``2.1 GB``."""
    for unit, size in (("TB", 1e6), ("GB", 1e3)):
        if megabytes >= size:
            return f"{megabytes / size:.1f} {unit}"
    return f"{megabytes:.0f} MB"
