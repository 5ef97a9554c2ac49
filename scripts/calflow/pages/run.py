"""The page of a run: what failed, what came out, and the way to the page of each association."""

from collections.abc import Mapping, Sequence
from typing import Any

from calflow.pages.style import STYLE

WRONG = "wrong"
GOOD = ("COMPLETE", "SKIPPED")
# Of more exposures only those are listed that are not complete.
MOST_EXPOSURES = 200
TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title><style>{{ style | safe }}</style></head><body>
<h1>{{ title }}: <span class="word {{ judgement }}">{{ judgement }}</span></h1>
<p>{{ state.made }} of {{ state.made + state.missing }} products are there;
exposures: {{ state.exposures | length }}, associations: {{ state.associations | length }}.</p>

{% if failures %}<h2>What failed</h2>
{% for one in failures %}<p><span class="word wrong">failed</span> <b>{{ one.rule }}
{{ one.wildcards | join(", ") }}</b>: {{ one.reason }}
<span class="soft">(log: <code>{{ one.log }}</code>)</span></p>{% endfor %}
<p>Products that are not made, these and what needs them: {{ state.missing }}. The next run with the same command makes
them and nothing else; an exposure that cannot be made has to be taken out of its associations.</p>{% endif %}
{% if notes %}<h2>Worth a look</h2>{% for note in notes %}<p>{{ note }}</p>{% endfor %}{% endif %}

<h2>Associations</h2>
{% for each in state.associations %}{% set found = quality.associations.get(each.name) %}
<div class="card"><b>{% if each.page %}<a href="{{ each.page }}">{{ each.name }}</a>{% else %}{{ each.name }}
{%- endif %}:
{% if found %}<span class="word {{ found.judgement }}">{{ found.judgement }}</span>{% endif %}</b>
{{ each.line.partition(": ")[2] }}
{% if found %}{% for check in found.checks %}
{% if check.judgement != "fine" or check.name in shown %}
<br><span class="word {{ check.judgement }}">{{ check.judgement }}</span> {{ check.name }}: {{ check.found }}
{% endif %}{% endfor %}{% endif %}
<br><span class="soft">{% for step, status in each.steps.items() %}{{ step }} {{ status }}{{ ", " if not loop.last }}
{% endfor %}</span></div>
{% else %}<p>None.</p>{% endfor %}

{% if colours %}<h2>In colour</h2>
{% for name, address in colours.items() %}
{% if address.startswith("data:") %}<figure><img src="{{ address }}" alt="colour picture of the grid {{ name }}">
<figcaption>The grid {{ name }}, with the filters of each colour below it.</figcaption></figure>
{% else %}<a href="{{ address }}">{{ name }}</a> {% endif %}{% endfor %}{% endif %}

{% if maps %}<h2>Maps to pan and zoom in</h2>
<p>{% for name, address in maps.items() %}<a href="{{ address }}">{{ name }}</a> {% endfor %}</p>{% endif %}

<h2>Exposures</h2>
{% if left %}<p class="soft">{{ left }} exposures of which all steps are complete are not listed.</p>{% endif %}
{% if rows %}<div class="wide"><table><tr><th>exposure</th>{% for step in steps %}<th>{{ step }}</th>{% endfor %}</tr>
{% for each in rows %}<tr><td>{{ each.name }}</td>{% for step in steps %}{% set status = each.steps.get(step, "-") %}
<td{% if status not in good and status != "-" %} class="word wrong"{% endif %}>{{ status }}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% endif %}

<h2>What was asked for</h2>
<p>Products: <code>{{ folder }}</code>. Parameters that differ from the defaults:
{% if not parameters %}none.{% endif %}</p>
{% for line in parameters %}<p><code>{{ line }}</code></p>{% endfor %}
<p class="soft">{{ version }}. Times and memory of jobs, which are others in each run, stand <a href="times.html">by
themselves</a>, with what was forecast, and <code>snakemake attempts</code> tells them job by job; the judgements are in
<code>{{ folder }}quality.json</code>.</p>
</body></html>
"""
SHOWN = ("depth", "catalogue")


def run_page(
    state: Mapping[str, Any],
    quality: Mapping[str, Any],
    summary: Mapping[str, Any],
    *,
    colours: Mapping[str, str],
    maps: Mapping[str, str],
    folder: str,
    parameters: Sequence[str],
    version: str,
) -> str:
    """Return the page of a run as HTML; the same for the same results.

    Parameters
    ----------
    state : mapping
        What `calflow.results.overview.overview` returned.
    quality : mapping
        What `calflow.quality.gathered.gather` returned: all judgements are from there.
    summary : mapping
        The summary of the last run, which may be empty.
    colours : mapping of str to str
        By the names of common grids, the addresses of their colour pictures: in the page, or beside it.
    maps : mapping of str to str
        By the names of products and common grids, the addresses of their maps.
    folder : str
        Of the products.
    parameters : sequence of str
        Those that differ from the defaults, ``key = value``.
    version : str
        Of calflow.
    """
    from jinja2 import Environment

    rows = list(state["exposures"])
    if len(rows) > MOST_EXPOSURES:
        rows = [each for each in rows if not set(each["steps"].values()) <= {*GOOD}]
    notes = [f"{one['step']} {one['status']} {one['of']}: {one['reason']}" for one in summary.get("remarks", ())]
    values = {
        "title": f"Run in {folder}",
        "style": STYLE,
        "state": state,
        "quality": quality,
        # Of what there is all may be fine, though not all is there.
        "judgement": WRONG if summary.get("failures") else quality["judgement"],
        "failures": summary.get("failures", ()),
        "colours": colours,
        "maps": maps,
        "notes": list(dict.fromkeys([*notes, *summary.get("notices", ())])),
        "shown": SHOWN,
        "rows": rows,
        "left": len(state["exposures"]) - len(rows),
        "steps": list(dict.fromkeys(step for each in rows for step in each["steps"])),
        "good": GOOD,
        "folder": folder,
        "parameters": parameters,
        "version": version,
    }
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE)
    return template.render(**values)
