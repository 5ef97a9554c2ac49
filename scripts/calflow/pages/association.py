"""The page of an association: what came out, how good it is, and what it was made with."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from calflow.pages.charts import Chart
from calflow.pages.exposures import exposure_details
from calflow.pages.style import STYLE

FINE, FAILED = "fine", "FAILED"
MOST_FAILED = 5  # that a card tells, or that need no click; the table has all
# The longest residuals are drawn about this part of the field long: a round number of times as long as they are.
ARROW = 0.06
QUESTIONS = (
    ("Is it aligned?", ("alignment", "star positions")),
    ("How deep is it?", ("depth", "completeness")),
    ("Is the sky even?", ("seams",)),
    ("May I trust the errors?", ("errors of the image", "noise of exposures")),
    ("Is it clean?", ("outliers", "outliers on sources", "cosmic rays left", "bad pixels")),
    ("What was found?", ("catalogue",)),
)
TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ name }}</title><style>{{ style | safe }}</style></head><body>
<p class="soft">{{ about }}</p>
<h1>{{ name }}: <span class="word {{ report.judgement }}">{{ report.judgement }}</span></h1>

{% if odd %}<h2>What is not as it should be</h2>
{% for check in odd %}
<p><span class="word {{ check.judgement }}">{{ check.judgement }}</span> <b>{{ check.name }}</b>: {{ check.found }}</p>
<p class="soft">Rule: {{ check.rule }}.</p>
{% if check.exposures %}<details{% if check.exposures | length <= few %} open{% endif %}><summary>exposures:
{{ check.exposures | length }}</summary><table>
{% for exposure, found in check.exposures.items() %}<tr><td>{{ exposure }}</td><td>{{ found }}</td></tr>{% endfor %}
</table></details>{% endif %}
{% endfor %}
{% endif %}
{% if report.skipped %}<h2>What did not run</h2>
{% for step, status in report.skipped.items() %}
<p><span class="word {{ "wrong" if status == "FAILED" else "" }}">{{ status }}</span> <b>{{ step }}</b></p>{% endfor %}
{% endif %}

<div class="cards">
<div class="card"><b>What failed?</b>{% for line in failed %}{{ line }}<br>{% else %}Nothing. {% endfor %}
{{ combined }}.</div>
{% for question, checks in answers %}<div class="card"><b>{{ question }}</b>
{% for check in checks %}<span class="word {{ check.judgement }}">{{ check.judgement }}</span> {{ check.found }}<br>
{% endfor %}</div>{% endfor %}
<div class="card"><b>What was used?</b>{{ used_line }} <a href="#used">All of it.</a></div>
</div>

{% if sheet %}<h2>The image</h2>
<figure><img src="{{ sheet }}" alt="combined image, exposures in each pixel, errors, sources">
<figcaption>{{ image_line }}</figcaption></figure>{% endif %}

<h2>Figures</h2>
<div class="charts">
{% for chart, caption in charts %}<figure>{{ chart | safe }}<figcaption>{{ caption }}</figcaption></figure>{% endfor %}
</div>

{% if cutouts %}<h2>Outliers</h2>
<figure><img src="{{ cutouts }}" alt="cut-outs of the strongest outliers, flagged and not flagged">
<figcaption>Above, what the search flagged: a cosmic ray is in the exposure and not in the combined image; a star in
both was flagged wrongly. Below, what it left: where exposure and image differ something was missed, unless it is the
edge of a bright source. The strength is the difference over the threshold of the search, in which that is 1; the search
compares with the median of the exposures, this with the combined image.</figcaption></figure>
<details><summary>Where these are</summary><div class="wide"><table><tr><th>exposure</th><th class="number">x</th>
<th class="number">y</th><th class="number">RA</th><th class="number">Dec</th><th>flagged</th>
<th class="number">strength</th></tr>
{% for one in outliers %}<tr><td>{{ one.exposure }}</td><td class="number">{{ one.x }}</td>
<td class="number">{{ one.y }}</td><td class="number">{{ "%.6f" | format(one.ra_deg) }}</td>
<td class="number">{{ "%.6f" | format(one.dec_deg) }}</td><td>{{ "yes" if one.flagged else "no" }}</td>
<td class="number">{{ "%.3g" | format(one.strength) }}</td></tr>{% endfor %}</table></div></details>{% endif %}

<h2>All checks</h2>
<div class="wide"><table><tr><th>check</th><th></th><th>found</th><th>rule</th></tr>
{% for check in report.checks %}<tr><td>{{ check.name }}</td>
<td class="word {{ check.judgement }}">{{ check.judgement }}</td><td>{{ check.found }}</td>
<td class="soft">{{ check.rule }}</td></tr>{% endfor %}</table></div>

<h2>Exposures</h2>
<div class="wide"><table><tr>{% for head in heads %}<th{% if not loop.first %} class="number"{% endif %}>{{ head }}</th>
{% endfor %}</tr>{% for row in rows %}<tr>{% for cell in row %}
<td{% if not loop.first %} class="number"{% endif %}>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table></div>
{% for each in details %}<details><summary>{{ each.exposure }}</summary>
<p>{{ each.alignment }}</p><p>{{ each.flags }}</p><p class="soft">{{ each.steps }}</p>
<img loading="lazy" src="{{ each.picture }}" alt="the exposure before and after each stage"></details>{% endfor %}
{% if elsewhere %}<div class="thumbs">{% for exposure, link in elsewhere.items() %}
<a href="{{ link }}"><img src="{{ pictures[exposure] }}" alt=""><br>{{ exposure }}</a>{% endfor %}</div>{% endif %}

<h2 id="used">What was used</h2>
<div class="wide"><table>
{% for what, values in used %}<tr><td>{{ what }}</td><td>
{% for value in values %}<code>{{ value }}</code><br>{% endfor %}</td></tr>{% endfor %}</table></div>
<p class="soft">Every number of this page is in <code>{{ file }}</code>, with the rule of each judgement.</p>
</body></html>
"""


def association_page(
    report: Mapping[str, Any],
    *,
    file: str,
    sheet: str,
    cutouts: str,
    outliers: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, str],
    elsewhere: Mapping[str, str],
    parameters: Sequence[str],
) -> str:
    """Return the page of an association as HTML; the same for the same report and pictures.

    Parameters
    ----------
    report : mapping
        The JSON of its quality: all numbers and judgements are from there.
    file : str
        Where that is.
    sheet : str
        Address of the picture of the image; empty: none.
    cutouts : str
        That of the cut-outs of outliers.
    outliers : sequence of mapping
        What is told of each of them.
    pictures : mapping of str to str
        Addresses of the pictures of exposures.
    elsewhere : mapping of str to str
        Of exposures that are told of on other pages, which: their pictures are links to there. Empty: all are on this
        one.
    parameters : sequence of str
        Those that differ from the defaults, ``key = value``.
    """
    from jinja2 import Environment

    checks = {check["name"]: check for check in report["checks"]}
    image, exposures = report["image"] or {}, report["exposures"]
    header = image.get("header") or (exposures[0]["header"] if exposures else {})
    used = _used(report, header, parameters)
    values = {
        "name": report["association"],
        "style": STYLE,
        "about": _about(header, exposures),
        "report": report,
        "few": MOST_FAILED,
        "odd": sorted((c for c in report["checks"] if c["judgement"] != FINE), key=lambda c: c["judgement"] != "wrong"),
        "failed": _failed(report),
        "combined": checks["exposures"]["found"],
        "answers": [
            (question, found) for question, names in QUESTIONS if (found := [checks[n] for n in names if n in checks])
        ],
        "used_line": _used_line(used, parameters),
        "sheet": sheet,
        "cutouts": cutouts,
        "outliers": outliers,
        "image_line": _image_line(image),
        "charts": [(chart.svg(), caption) for chart, caption in _charts(report)],
        "heads": _HEADS,
        "rows": [_row(number, each) for number, each in enumerate(exposures, 1)],
        "details": [] if elsewhere else [exposure_details(each, pictures[each["exposure"]]) for each in exposures],
        "pictures": pictures,
        "elsewhere": elsewhere,
        "used": used,
        "file": file,
    }
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE)
    return template.render(**values)


def _failed(report: Mapping[str, Any]) -> list[str]:
    """Return what failed, a step of the association or of an exposure, and which exposures are left out."""
    lines = [f"{step} {status}" for step, status in report["skipped"].items() if status == FAILED]
    for number, each in enumerate(report["exposures"], 1):
        alignment = each["alignment"]
        if alignment["status"] == FAILED or not each["used"]:
            state = "not aligned" if alignment["status"] == FAILED else "left out"
            lines.append(f"exposure {number}, {each['exposure']}: {state}, {alignment['reason']}".rstrip(", "))
    return [*lines[:MOST_FAILED], *([f"and {len(lines) - MOST_FAILED} more"] if len(lines) > MOST_FAILED else [])]


def _about(header: Mapping[str, Any], exposures: Sequence[Mapping[str, Any]]) -> str:
    names = [str(header[name]) for name in ("TARGNAME", "INSTRUME", "FILTER", "PUPIL") if header.get(name)]
    dates = sorted(str(each["header"].get("DATE-BEG", ""))[:16] for each in exposures)
    time = header.get("EFFEXPTM")
    parts = [
        " ".join(names),
        f"{len(exposures)} exposures" + (f", {time:g} s" if isinstance(time, int | float) else ""),
        " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates and dates[0] else "",
    ]
    return "; ".join(filter(None, parts))


def _image_line(image: Mapping[str, Any]) -> str:
    if not image:
        return ""
    ny, nx = image["shape"]
    pixel = image["pixel_arcsec"]
    parts = [f"{nx} x {ny} pixels" + (f" of {pixel:.3g} arcsec" if pixel else "")]
    if image["area_arcmin2"]:
        parts.append(f"{image['area_arcmin2']:.3g} square arcmin with data")
    if image["noise"]:
        parts.append(f"median error {image['noise']:.3g} {image['unit']}")
    if depth := image["depth"]:
        parts.append(f"{depth['apertures']} empty apertures: scatter over ERR {depth['scatter_over_error']:.3g}")
    return "; ".join(parts) + "."


def _used(
    report: Mapping[str, Any], header: Mapping[str, Any], parameters: Sequence[str]
) -> list[tuple[str, list[str]]]:
    references: dict[str, dict[str, None]] = {}
    for each in report["exposures"]:
        for kind, name in each["references"].items():
            references.setdefault(kind, {})[name] = None
    contexts = {each["context"]: None for each in report["exposures"] if each["context"]}
    versions = (report["catalog"] or {}).get("versions", {})
    return [
        ("code", list(dict.fromkeys([str(header.get("CAL_VER", "")), *(f"{k} {v}" for k, v in versions.items())]))),
        ("CRDS context", list(contexts) or ["none"]),
        *((f"reference {kind}", list(names)) for kind, names in references.items()),
        ("parameters that differ from the defaults", list(parameters) or ["none"]),
    ]


def _used_line(used: Sequence[tuple[str, Sequence[str]]], parameters: Sequence[str]) -> str:
    found = dict(used)
    number = sum(len(names) for what, names in used if what.startswith("reference "))
    differ = f"{len(parameters)} parameters differ" if len(parameters) != 1 else "1 parameter differs"
    return (
        f"{found['code'][0]}; context {', '.join(found['CRDS context'])}; {number} references; {differ} from default."
    )


def _charts(report: Mapping[str, Any]) -> list[tuple[Chart, str]]:
    exposures = report["exposures"]
    found = [
        _footprints(exposures),
        *_residuals(exposures),
        _sky(exposures),
        _steps(exposures),
        _fractions(exposures),
        _noise(exposures),
        *_catalog(report),
        *_completeness(report),
        _coverage(report["image"]),
    ]
    return [each for each in found if each is not None]


def _footprints(exposures: Sequence[Mapping[str, Any]]) -> tuple[Chart, str] | None:
    corners = [np.array(each["footprint_deg"], float) for each in exposures]
    known = [each for each in corners if np.isfinite(each).all()]
    if not known:
        return None
    # About the first corner, so that a field may lie on both sides of RA 0.
    ra0, dec0 = known[0][0]
    planes = []
    for each in corners:
        ra = (each[:, 0] - ra0 + 180) % 360 - 180
        planes.append(np.stack([ra * np.cos(np.radians(dec0)) * 60, (each[:, 1] - dec0) * 60], axis=1))
    every = np.concatenate(planes)
    unit, factor = ("arcmin", 1.0) if np.nanmax(np.abs(every)) > 1 else ("arcsec", 60.0)
    of = f"{unit} from RA {ra0:.5f}, Dec {dec0:.5f}"
    planes = [factor * plane for plane in planes]
    chart = Chart("Footprints", f"east, {of}", f"north, {unit}", *(factor * every.T), mirrored=True, equal=True)
    for plane, exposure in zip(planes, exposures, strict=True):
        if np.isfinite(plane).all():
            chart.outline(plane.tolist(), "frame" if exposure["used"] else "left")
    return chart, "The corrected corners of the exposures; dashed: left out of the image."


def _residuals(exposures: Sequence[Mapping[str, Any]]) -> list[tuple[Chart, str]]:
    """Return the residuals as vectors on the sky, as a cloud, and as a histogram."""
    pairs = [(each["star_positions"]["place_arcsec"], each["star_positions"]["residual_mas"]) for each in exposures]
    places, residuals = (
        np.array([row for pair in pairs for row in pair[number]], float).reshape(-1, 2) for number in (0, 1)
    )
    if not len(residuals):
        return []
    length = np.hypot(*residuals.T)
    size = max(np.ptp(places, axis=0).max(), 1e-6)
    factor = _round(ARROW * size / max(np.percentile(length, 90), 1e-9))
    ends = places + factor * residuals
    title = "Residuals of the stars"
    vectors = Chart(title, "east, arcsec", "north, arcsec", *places.T, mirrored=True, equal=True)
    vectors.lines(np.concatenate([places, ends], axis=1).tolist())
    vectors.points(places[:, 0].tolist(), places[:, 1].tolist(), radius=1.2)
    unit = f"A line of an arcsec is a residual of {1 / factor:.3g} mas"
    edge = float(np.percentile(length, 98)) * 1.1 or 1.0
    counts, edges = np.histogram(length, np.linspace(0, edge, 21))
    histogram = Chart("Length of the residuals", "mas", "stars", [0, edge], [0, *counts], zero=True)
    histogram.bars(edges.tolist(), counts.tolist())
    histogram.level(float(np.median(length)), f"median {np.median(length):.2g} mas", upright=True)
    offsets = [each["star_positions"]["offset_mas"] for each in exposures]
    numbers = list(range(1, len(exposures) + 1))
    offset = Chart("Offset of each exposure", "exposure", "mas", [0.5, *numbers], [0, *offsets], zero=True)
    offset.points(numbers, offsets, radius=3)
    what = "Each star of an exposure against the median of the other exposures, after the alignment"
    return [
        (vectors, f"{what}. {unit}."),
        (histogram, f"{len(length)} residuals; longer ones than shown: {int((length > edge).sum())}."),
        (offset, "The length of the median residual of an exposure."),
    ]


def _round(number: float) -> float:
    power = 10.0 ** np.floor(np.log10(number))
    return float(max(part for part in (1, 2, 5) if part * power <= number) * power)


def _sky(exposures: Sequence[Mapping[str, Any]]) -> tuple[Chart, str] | None:
    levels = [each["noise"]["level"] for each in exposures]
    times = [each["header"].get("EXPSTART") for each in exposures]
    if not any(level is not None for level in levels):
        return None
    timed = all(isinstance(time, int | float) for time in times)
    x = [1440 * (time - min(times)) for time in times] if timed else list(range(1, len(exposures) + 1))
    unit = exposures[0]["noise"]["unit"]
    chart = Chart("Sky of the exposures", "minutes since the first" if timed else "exposure", unit, x, levels)
    chart.points(x, levels, radius=3)
    return chart, "The median of the calibrated exposure, before levels are matched."


def _steps(exposures: Sequence[Mapping[str, Any]]) -> tuple[Chart, str] | None:
    found = [(n, each["sky"]["step"], each["sky"]["step_error"] or 0.0) for n, each in enumerate(exposures, 1)]
    found = [(number, step, error) for number, step, error in found if step is not None]
    if not found:
        return None
    numbers, steps, errors = (list(values) for values in zip(*found, strict=True))
    ends = [*(np.array(steps) - errors), *(np.array(steps) + errors), 0.0]
    chart = Chart("Steps between exposures", "exposure", exposures[0]["noise"]["unit"], [0.5, *numbers], ends)
    chart.level(0.0, "")
    chart.lines([(number, step - error, number, step + error) for number, step, error in found])
    chart.points(numbers, steps, radius=3)
    return (
        chart,
        "The sky of an exposure, its level subtracted, against that of those that overlap: seams of the image.",
    )


def _fractions(exposures: Sequence[Mapping[str, Any]]) -> tuple[Chart, str] | None:
    found = [each["outliers"]["fraction"] for each in exposures]
    if not any(fraction is not None for fraction in found):
        return None
    percent = [100 * (fraction or 0.0) for fraction in found]
    edges = (np.arange(len(found) + 1) + 0.5).tolist()
    chart = Chart("Outliers", "exposure", "% of the pixels", edges, [0, *percent], zero=True)
    chart.bars(edges, percent)
    return chart, "Pixels flagged as outliers; where they lie is circled in the pictures of the exposures."


def _noise(exposures: Sequence[Mapping[str, Any]]) -> tuple[Chart, str] | None:
    ratios = [each["noise"]["noise_over_error"] for each in exposures]
    if not any(ratio is not None for ratio in ratios):
        return None
    numbers = list(range(1, len(ratios) + 1))
    chart = Chart("Noise over ERR", "exposure", "ratio", [0.5, *numbers], [*ratios, 1.0, 0.8, 1.2])
    chart.level(1.0, "")
    chart.points(numbers, ratios, radius=3)
    return (
        chart,
        "The scatter between neighbouring pixels of an exposure where its sky is quiet, over ERR; dashed: as ERR says.",
    )


def _catalog(report: Mapping[str, Any]) -> list[tuple[Chart, str]]:
    catalog = report["catalog"]
    if not catalog or not catalog["magnitudes"]["counts"]:
        return []
    depth = (report["image"] or {}).get("depth") or {}
    limit = depth.get("limit_5_sigma_abmag")
    edges, counts = catalog["magnitudes"]["edges"], catalog["magnitudes"]["counts"]
    histogram = Chart("Magnitudes", "AB mag, all of the flux", "sources", [*edges, limit], [0, *counts], zero=True)
    histogram.bars(edges, counts)
    histogram.level(limit, "5 sigma", upright=True)
    found = _limit(report.get("completeness") or {}, 50)
    histogram.level(found, "50 % found", upright=True)
    lines = "the line is the depth for point sources"
    if found is not None:
        lines = "the lines are the depth for point sources, and where half of the artificial ones is found"
    magnitude, index, extended = (catalog[name] for name in ("magnitude", "concentration", "is_extended"))
    known = [value for value in index if value is not None]
    low, high = np.percentile(known, [2, 98]) if known else (0.0, 1.0)
    kept = [value if value is not None and low - 1 <= value <= high + 1 else None for value in index]
    chart = Chart("Concentration", "AB mag, all of the flux", str(catalog["columns"][1]), magnitude, kept)
    for wanted, kind in ((False, "a"), (True, "b")):
        chosen = [value if flag == wanted else None for value, flag in zip(kept, extended, strict=True)]
        chart.points(magnitude, chosen, kind)
    return [
        (histogram, f"{catalog['sources']} sources; {lines}."),
        (chart, "Point sources lie along a level line; rings: extended sources."),
    ]


def _limit(completeness: Mapping[str, Any], part: int) -> float | None:
    """Return the magnitude at which a part of the point sources is found."""
    kinds = completeness.get("kinds")
    return kinds[0][f"limit_{part}_abmag"] if kinds else None


def _completeness(report: Mapping[str, Any]) -> list[tuple[Chart, str]]:
    """Return the part of artificial sources that is found, over the magnitudes of the catalogue, and their errors."""
    completeness = report.get("completeness") or {}
    kinds = [kind for kind in completeness.get("kinds", ()) if kind["bins"]]
    if not kinds:
        return []
    edges = [edge for kind in kinds for edge in kind["bins"]["edges"]]
    limit = _limit(completeness, 50)
    chart = Chart("Completeness", "AB mag", "% found", edges, [0, 100], zero=True)
    magnitudes = (report["catalog"] or {}).get("magnitudes") or {"edges": [], "counts": []}
    most = max(magnitudes["counts"], default=0) or 1
    for (left, right), count in zip(pairwise(magnitudes["edges"]), magnitudes["counts"], strict=True):
        if min(edges) <= left and right <= max(edges):
            chart.bars([left, right], [100 * count / most], "back")
    for number, kind in enumerate(kinds):
        _draw_kind(chart, kind, *(("b", "b") if number else ("a", "line")))
    chart.level(limit, "50 %", upright=True)
    errors = _magnitude_errors(kinds[0])
    names = "dots: " + kinds[0]["name"] + ("; rings: " + ", ".join(k["name"] for k in kinds[1:]) if kinds[1:] else "")
    what = f"Artificial sources put into the image, {names}; bars: the catalogue, in % of its fullest bin."
    what += "".join(f" {_in_region(region)}" for region in kinds[0]["by_exposures"])
    return [(chart, what), *errors]


def _in_region(region: Mapping[str, Any]) -> str:
    """Return where half of the point sources is found in the part of the image with so many exposures."""
    limit, (least, most) = region["limit_50_abmag"], region["exposures"]
    told = "no limit seen" if limit is None else f"50 % at {limit:.2f} +- {region['limit_50_error']:.2f}"
    number = f"{least} to {most} exposures" if most > least else f"{least} exposure{'s' if least > 1 else ''}"
    return f"{number}: {told}."


def _draw_kind(chart: Chart, kind: Mapping[str, Any], points: str, lines: str) -> None:
    bins, curve = kind["bins"], kind["curve"]
    middles = [sum(ends) / 2 for ends in pairwise(bins["edges"])]
    if curve:
        way = zip(curve["magnitude"], (100 * part for part in curve["fraction"]), strict=True)
        chart.lines([(*one, *other) for one, other in pairwise(way)], lines)
    intervals = zip(middles, bins["fraction_low"], bins["fraction_high"], strict=True)
    chart.lines([(x, 100 * low, x, 100 * high) for x, low, high in intervals if low is not None], lines)
    chart.points(middles, [part if part is None else 100 * part for part in bins["fraction"]], points, radius=3)


def _magnitude_errors(kind: Mapping[str, Any]) -> list[tuple[Chart, str]]:
    """Return by how much magnitudes of artificial sources are measured wrongly."""
    bins = kind["bins"]
    rows = zip(pairwise(bins["edges"]), bins["magnitude_bias"], bins["magnitude_scatter"], strict=True)
    known = [(sum(ends) / 2, bias, scatter) for ends, bias, scatter in rows if bias is not None]
    if not known:
        return []
    ends = [bias + sign * scatter for _, bias, scatter in known for sign in (1, -1)]
    chart = Chart("Errors of magnitudes", "AB mag", "measured less true, mag", bins["edges"], [0.0, *ends])
    chart.level(0.0, "")
    chart.lines([(x, bias - scatter, x, bias + scatter) for x, bias, scatter in known])
    chart.points([x for x, *_ in known], [bias for _, bias, _ in known], radius=3)
    return [(chart, "Of the artificial point sources that were found: median and scatter (1 sigma).")]


def _coverage(image: Mapping[str, Any] | None) -> tuple[Chart, str] | None:
    areas = image["area_by_exposures_arcmin2"] if image else []
    if not areas or None in areas:  # the size of a pixel is not known
        return None
    edges = (np.arange(len(areas) + 1) + 0.5).tolist()
    chart = Chart("Coverage", "exposures", "square arcmin", edges, [0, *areas], zero=True)
    chart.bars(edges, areas)
    return chart, "How much of the image has so many exposures."


_HEADS = (
    *(
        "exposure",
        "number in the figures",
        "aligned",
        "stars",
        "used by the fit",
        "rms, mas",
        "shift E, mas",
        "shift N, mas",
        "rotation, deg",
    ),
    *("offset, mas", "sky level", "step", "outliers, %", "rays left, %", "unusable, %", "noise / ERR"),
)


def _row(number: int, each: Mapping[str, Any]) -> list[str]:
    alignment, pixels = each["alignment"], each["pixels"]
    state = "reference" if alignment["reference"] else alignment["status"]
    fraction, left = each["outliers"]["fraction"], each["outliers"]["rays_left"]
    return [
        each["exposure"] + ("" if each["used"] else " (left out)"),
        str(number),
        state,
        str(alignment["stars"]),
        str(alignment["matches"]),
        _number(alignment["rms_mas"]),
        _number(alignment["shift_east_mas"]),
        _number(alignment["shift_north_mas"]),
        _number(alignment["rotation_deg"]),
        _number(each["star_positions"]["offset_mas"]),
        _number(each["sky"]["level"]),
        _number(each["sky"]["step"]),
        _number(None if fraction is None else 100 * fraction),
        _number(None if left is None else 100 * left),
        _number(100 * pixels["unusable"] / pixels["pixels"] if pixels["pixels"] else None),
        _number(each["noise"]["noise_over_error"]),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
