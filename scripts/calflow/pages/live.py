"""The page of a run that is going on, which a browser loads again by itself until the final page is in its place."""

from collections.abc import Sequence
from typing import NamedTuple

from calflow.pages.style import STYLE

RELOADED = 5  # seconds
TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
{% if runs %}<meta http-equiv="refresh" content="{{ seconds }}">
{% endif %}
<title>{{ done }}: {{ title }}</title><style>{{ style | safe }}
progress { display: block; width: 100%; max-width: 40rem; accent-color: var(--a); }
.bar { overflow-wrap: anywhere; }</style></head><body>
<h1>{{ title }}: {{ "still running" if runs else "ended" }}</h1>
<p><b>{{ whole }}</b></p>
{% if failures %}<h2>What failed so far</h2>
{% for line in failures %}<p><span class="word wrong">failed</span> {{ line }}</p>{% endfor %}{% endif %}

<h2>How far it is</h2>
{% for bar in bars %}<p class="bar"><b>{{ bar.label }}</b>: {{ bar.counts }}
{%- if bar.times %}; {{ bar.times }}{% endif %}

<progress max="{{ bar.total }}" value="{{ bar.done }}">{{ bar.done }} of {{ bar.total }}</progress></p>
{% endfor %}

<p class="soft">Written at {{ time }}{% if runs %}, and every {{ seconds }} seconds while the run goes on: if that is
long ago, the run was killed{% endif %}. When the run ends, the page on what came out is in this place.</p>
</body></html>
"""


class Bar(NamedTuple):
    """How far a stage or an association is.

    Attributes
    ----------
    label : str
    total, done : int
        Numbers of jobs.
    counts, times : str
        In words.
    """

    label: str
    total: int
    done: int
    counts: str
    times: str


def live_page(
    bars: Sequence[Bar], whole: str, failures: Sequence[str], *, folder: str, done: str, time: str, runs: bool
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    bars : sequence of Bar
    whole : str
        How far the run as a whole is, and what is done now.
    failures : sequence of str
        A line for each job that failed.
    folder : str
        Of the products.
    done : str
        The same in very few words, for the title of a tab.
    time : str
        When this is.
    runs : bool
        Whether the run goes on: then the page has itself loaded again.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE)
    return template.render(
        bars=bars,
        whole=whole,
        failures=failures,
        title=f"Run in {folder}",
        done=done,
        time=time,
        runs=runs,
        seconds=RELOADED,
        style=STYLE,
    )
