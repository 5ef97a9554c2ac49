"""The page of what the jobs of a run took, rule by rule, against the forecast."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from calflow.pages.style import STYLE

TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}: times</title><style>{{ style | safe }}</style></head><body>
<p class="soft"><a href="page.html">{{ title }}</a></p>
<h1>What the jobs took, and what was forecast</h1>
{% if rows %}<p>The run that began at {{ began }} took {{ "%.0f" | format(lasted) }} s.</p>
<div class="wide"><table><tr><th>rule</th><th class="number">jobs</th>
<th class="number">CPU, s</th><th class="number">forecast</th><th class="number">ratio</th>
<th class="number">longest, s</th><th class="number">largest memory, MB</th><th class="number">forecast</th>
<th class="number">ratio</th></tr>
{% for row in rows %}<tr>{% for cell in row %}<td{% if not loop.first %} class="number"{% endif %}>{{ cell }}</td>
{% endfor %}</tr>{% endfor %}</table></div>
<p class="soft">CPU is that of all jobs of a rule together; memory that of the largest, which is often not known of jobs
that took less than half a second. Forecasts are those of the same jobs, made before the run. Failed attempts do not
count:
<code>snakemake attempts</code> tells of each.</p>
{% else %}<p>The last run had no jobs.</p>{% endif %}
</body></html>
"""


class Took(NamedTuple):
    """What a job took, or was expected to take.

    Attributes
    ----------
    cpu, wall : float
        Seconds of a core, and on the clock.
    memory : float
        The largest, MB; 0: not known.
    """

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True)
class Row:
    """What the jobs of a rule took.

    Attributes
    ----------
    rule : str
    jobs : int
    cpu, longest, memory : float
        CPU of all of them, the longest on the clock, s; the largest memory, MB.
    expected_cpu, expected_memory : float or None
        By the forecast of the same jobs; None: there is none.
    """

    rule: str
    jobs: int
    cpu: float
    longest: float
    memory: float
    expected_cpu: float | None
    expected_memory: float | None

    def cells(self) -> list[str]:
        """Return what stands in the table."""
        return [
            self.rule,
            str(self.jobs),
            f"{self.cpu:.1f}",
            _number(self.expected_cpu, ".1f"),
            _ratio(self.cpu, self.expected_cpu),
            f"{self.longest:.1f}",
            _number(self.memory or None, ".0f"),
            _number(self.expected_memory, ".0f"),
            _ratio(self.memory, self.expected_memory),
        ]


def rows_of(took: Mapping[tuple[str, str], Took], expected: Mapping[tuple[str, str], Took]) -> list[Row]:
    """Return what the jobs took by rule, that with the most CPU time first, and all of them.

    Parameters
    ----------
    took, expected : mapping of (rule, name) to Took
        By rule and name of each job.
    """
    by_rule: dict[str, list[tuple[str, str]]] = {}
    for job in took:
        by_rule.setdefault(job[0], []).append(job)
    rows = [
        _row(rule, [took[job] for job in jobs], [expected.get(job) for job in jobs]) for rule, jobs in by_rule.items()
    ]
    rows.sort(key=lambda row: (-row.cpu, row.rule))
    return [*rows, _row("all", took.values(), [expected.get(job) for job in took])] if rows else []


def times_page(rows: Iterable[Row], *, folder: str, began: str, lasted: float) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    rows : iterable of Row
    folder : str
        Of the products.
    began : str
        When the run began.
    lasted : float
        Seconds on the clock.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE)
    cells = [row.cells() for row in rows]
    return template.render(rows=cells, title=f"Run in {folder}", began=began, lasted=lasted, style=STYLE)


def _row(rule: str, took: Iterable[Took], expected: Iterable[Took | None]) -> Row:
    jobs, forecast = list(took), [each for each in expected if each is not None]
    whole = bool(forecast) and len(forecast) == len(jobs)
    return Row(
        rule,
        len(jobs),
        sum(each.cpu for each in jobs),
        max(each.wall for each in jobs),
        max(each.memory for each in jobs),
        sum(each.cpu for each in forecast) if whole else None,
        max(each.memory for each in forecast) if whole else None,
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _ratio(value: float, expected: float | None) -> str:
    return f"{value / expected:.2f}" if value and expected else ""
