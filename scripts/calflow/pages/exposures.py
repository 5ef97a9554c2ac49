"""A page of exposures of an association that has too many for its own page."""

from collections.abc import Mapping
from typing import Any

from calflow.pages.style import STYLE

TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ association }}: exposures</title><style>{{ style | safe }}</style></head><body>
<p class="soft"><a href="../{{ association }}.html">{{ association }}</a></p>
<h1>{{ details | length }} exposures, {{ details[0].exposure }} to {{ details[-1].exposure }}</h1>
{% for each in details %}<h2 id="{{ each.exposure }}">{{ each.exposure }}</h2>
<p>{{ each.alignment }}</p><p>{{ each.flags }}</p><p class="soft">{{ each.steps }}</p>
<img loading="lazy" src="{{ each.picture }}" alt="the exposure before and after each stage">
{% endfor %}
</body></html>
"""


def exposures_page(association: str, report: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """Return the page as HTML; the same for the same report and pictures.

    Parameters
    ----------
    association : str
        Name of its product.
    report : mapping
        The JSON of its quality: all that is said is from there.
    pictures : mapping of str to str
        Addresses of the pictures of the exposures that are shown, by their names.
    """
    from jinja2 import Environment

    known = {each["exposure"]: each for each in report["exposures"]}
    details = [exposure_details(known[name], picture) for name, picture in pictures.items()]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE)
    return template.render(association=association, details=details, style=STYLE)


def exposure_details(each: Mapping[str, Any], picture: str) -> dict[str, str]:
    """Return what a page tells of an exposure beside the table of all.

    Parameters
    ----------
    each : mapping
        What the report has of it.
    picture : str
        The address of its picture; empty: none.
    """
    flags = each["pixels"]["flags"]
    total = each["pixels"]["pixels"] or 1
    told = ", ".join(f"{name} {number} ({100 * number / total:.2g} %)" for name, number in flags.items())
    return {
        "exposure": each["exposure"],
        "alignment": f"Alignment: {each['alignment']['status']} {each['alignment']['reason']}",
        "flags": f"Flags of the calibrated exposure, pixels: {told or 'none'}",
        "steps": "Steps: " + ", ".join(f"{name} {status}" for name, status in each["steps"].items()),
        "picture": picture,
    }
