"""Pages: what stands on them, in which order, and the same bytes each time."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from calflow.configuration.settings import read_settings
from calflow.engine.targets import shows_results
from calflow.jobs.pages import changed_parameters, exposures_of, showing
from calflow.pages.association import association_page
from calflow.pages.charts import Chart
from calflow.pages.exposures import exposures_page
from calflow.pages.images import embedded
from calflow.pages.run import run_page
from calflow.plan.combination import UnknownAssociation
from calflow.plan.made_beside import exposure_pages, parts_of
from calflow.quality.associations import Measured
from calflow.quality.report import report
from calflow.science.quality.thresholds import Thresholds
from tests.unit.test_quality import CATALOG, IMAGE, exposure


class Tags(HTMLParser):
    """Checks that elements are closed in their order."""

    VOID = frozenset(("meta", "img", "br"))

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Take note of nothing."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def text_of(page):
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    return " ".join(" ".join(parser.text).split())


def tree(*exposures, status=None):
    measured = Measured(list(exposures), IMAGE, CATALOG)
    return json.loads(json.dumps(report("field", measured, status or {}, Thresholds(), "resampled")))


def page(found, **values):
    given = {
        "file": "field.json",
        "sheet": "",
        "cutouts": "",
        "outliers": [],
        "elsewhere": {},
        "parameters": [],
    } | values
    pictures = {each["exposure"]: "data:image/webp;base64,BBBB" for each in found["exposures"]}
    return association_page(found, **({"pictures": pictures} | given))


def test_a_page_answers_what_a_colleague_asks():
    text = text_of(page(tree(exposure(), exposure("two")), parameters=["stage3.tweakreg.minobj = 5"]))
    assert "field: fine" in text
    assert "What is not as it should be" not in text
    assert "What failed? Nothing. 2 of 2 combined." in text
    assert "Is it aligned? fine largest rms of the residuals 10 mas" in text
    assert "5 sigma at 25.00 AB mag" in text
    assert "May I trust the errors? fine scatter over ERR 1.1" in text
    assert "1 references; 1 parameter differs" in text
    assert "stage3.tweakreg.minobj = 5" in text
    assert "flat.fits" in text


def test_what_is_wrong_comes_first():
    odd = exposure("two", outliers={"status": "FAILED", "flagged": 0, "fraction": 0.0})
    text = text_of(page(tree(exposure(), odd, status={"skymatch": "SKIPPED"})))
    assert text.index("What is not as it should be wrong outliers :") < text.index("Is it aligned?")
    assert "two there is no other group to compare it with" in text
    assert "What did not run SKIPPED skymatch" in text


def test_what_failed_is_told_with_the_number_of_the_exposure():
    row = replace(exposure().row, status="FAILED", reason="no stars", used=False)
    found = tree(exposure(), exposure("two", row=replace(row, exposure="two")), status={"skymatch": "FAILED"})
    text = text_of(page(found))
    assert "What failed? skymatch FAILED exposure 2, two: not aligned, no stars 1 of 2 combined." in text
    assert "two (left out) 2 FAILED" in text  # in the table
    many = tree(*(exposure(str(n), row=replace(row, exposure=str(n))) for n in range(8)))
    assert "exposure 5, 4: not aligned, no stars and 3 more 0 of 8" in text_of(page(many))


def test_a_page_needs_no_network_and_nothing_beside_it():
    found = page(tree(exposure()), sheet="data:image/webp;base64,AAAA", pictures={"one": "data:image/webp;base64,BBBB"})
    assert re.findall(r'(?:src|href)="([^"]*)"', found) == [
        *("#used", "data:image/webp;base64,AAAA", "data:image/webp;base64,BBBB")
    ]
    assert "http" not in found.replace("http://www.w3.org", "")
    assert found == page(
        tree(exposure()), sheet="data:image/webp;base64,AAAA", pictures={"one": "data:image/webp;base64,BBBB"}
    )


def test_cut_outs_of_outliers_have_their_numbers_below():
    one = {
        "exposure": "one",
        "x": 12,
        "y": 34,
        "ra_deg": 80.1234567,
        "dec_deg": -5.0,
        "flagged": True,
        "strength": 18.7,
    }
    found = page(tree(exposure()), cutouts="data:image/webp;base64,CCCC", outliers=[one])
    assert '<img src="data:image/webp;base64,CCCC"' in found
    assert "one 12 34 80.123457 -5.000000 yes 18.7" in text_of(found)
    assert "Where these are" not in page(tree(exposure()))


def test_of_many_exposures_pictures_are_links_to_other_pages():
    found = tree(exposure(), exposure("two"))
    whole = page(found, elsewhere={"one": "field/1.html#one", "two": "field/2.html#two"})
    assert re.findall(r'href="([^"]*)"><img', whole) == ["field/1.html#one", "field/2.html#two"]
    assert "<details><summary>one" not in whole
    other = exposures_page("field", found, {"two": "data:image/webp;base64,DDDD"})
    assert '<h2 id="two">' in other
    assert 'id="one"' not in other
    assert '<a href="../field.html">field</a>' in other
    assert "Flags of the calibrated exposure" in text_of(other)


@pytest.mark.parametrize(("exposures", "parts"), [(1, 0), (50, 0), (51, 2), (100, 2), (101, 3)])
def test_above_50_exposures_there_are_pages_of_50(exposures, parts):
    assert parts_of(exposures) == parts
    members = tuple(SimpleNamespace(root=f"e{number}") for number in range(exposures))
    field = SimpleNamespace(members=members, name="field", parameters=None)
    stage3 = SimpleNamespace(associations={"field": field}, association={"field": field}.get)
    plan = SimpleNamespace(stage3=stage3, output="results/", settings=read_settings({}))
    assert exposure_pages(plan) == [f"results/pages/field/{part}.html" for part in range(1, parts + 1)]
    elsewhere = showing(plan, "field").elsewhere
    on_pages = [exposures_of(plan, "field", str(part)).exposures for part in range(1, parts + 1)]
    assert elsewhere == {root: f"field/{part}.html#{root}" for part, roots in enumerate(on_pages, 1) for root in roots}
    assert len(elsewhere) == (exposures if parts else 0)
    for part in ("0", str(parts + 1)):
        with pytest.raises(UnknownAssociation, match=f"no page {part} of its exposures"):
            exposures_of(plan, "field", part)


def test_names_are_text():
    found = page(tree(exposure("<b>&")))
    assert "<b>&amp;" not in found
    assert "&lt;b&gt;&amp;" in found


def test_an_association_without_image_and_catalogue_has_a_page():
    measured = Measured([exposure()], None, None)
    text_of(page(json.loads(json.dumps(report("field", measured, {}, Thresholds(), "resampled")))))


def test_a_field_on_both_sides_of_ra_0_is_small():
    corners = np.array([[359.99, 1.0], [0.01, 1.0], [0.01, 1.02], [359.99, 1.02]])
    one = exposure(row=replace(exposure().row, footprint=corners))
    lost = exposure("two", row=replace(exposure().row, exposure="two", footprint=np.full((4, 2), np.nan)))
    found = page(tree(one, lost))
    (first,) = re.findall(r'<polygon class="frame" points="([^"]*)"', found)
    assert "nan" not in found
    # 1.2 arcmin to the east is to the left: the second corner is the one with the smaller x.
    x = [float(pair.split(",")[0]) for pair in first.split()]
    assert x[1] < x[0]


def test_an_image_without_a_pixel_scale_has_a_page():
    measured = Measured([exposure()], replace(IMAGE, pixel=np.nan), None)
    tree_of_it = json.loads(json.dumps(report("field", measured, {}, Thresholds(), "resampled")))
    text = text_of(page(tree_of_it, sheet="data:image/webp;base64,AAAA"))
    assert "10 x 10 pixels; median error" in text
    assert "nan" not in text


def test_points_lie_where_the_axes_say():
    chart = Chart("title", "x", "y", [0, 100], [0, 10])
    chart.points([0, 100, None], [0, 10, 5])
    # The range is a twentieth larger on each side: 302 pixels for 110, and 204 for 11.
    assert re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart.svg()) == [("79.7", "220.7"), ("354.3", "35.3")]


def test_right_ascension_grows_to_the_left():
    chart = Chart("title", "x", "y", [0, 100], [0, 10], mirrored=True)
    chart.points([0], [0])
    assert 'cx="354.3"' in chart.svg()


@pytest.mark.parametrize("values", [[], [None], [3.0], [float("nan")], [-1e-12, 1e-12], [1e9, 1e9 + 1]])
def test_any_values_have_axes(values):
    assert text_of(Chart("title", "x", "y", values, values, zero=False).svg())


def test_pictures_are_made_smaller(tmp_path):
    Image.new("RGB", (400, 200), "red").save(tmp_path / "a.png")
    assert embedded(tmp_path / "a.png", most=100).startswith("data:image/webp;base64,")
    assert len(embedded(tmp_path / "a.png", most=100)) < len(embedded(tmp_path / "a.png"))


def test_parameters_that_differ():
    settings = read_settings({"stage3": {"tweakreg": {"minobj": 5}, "resample": {"pixfrac": 1.0}}})
    assert changed_parameters(settings.stage3, "stage3.") == ["stage3.tweakreg.minobj = 5"]


def test_the_page_of_a_run_begins_with_failures():
    check = {"name": "seams", "judgement": "look", "found": "a step", "rule": "above 1"}
    quality = {"judgement": "look", "associations": {"field": {"judgement": "look", "checks": [check]}}}
    steps = {"flat_field": "COMPLETE", "photom": "FAILED"}
    state = {
        "made": 3,
        "missing": 1,
        "exposures": [{"name": "one", "steps": steps}],
        "associations": [{"name": "field", "steps": {}, "line": "field: 4 aligned", "page": "pages/field.html"}],
    }
    failure = {"rule": "calibrate", "wildcards": ["one"], "reason": "no <flat>", "log": "one.log"}
    found = run_page(
        state,
        quality,
        {"failures": [failure]},
        colours={},
        maps={},
        folder="results/",
        parameters=[],
        version="calflow 1",
    )
    text = text_of(found)
    assert "Run in results/: wrong" in text
    assert "not made, these and what needs them: 1." in text
    assert text.index("failed calibrate one : no <flat>") < text.index("Associations") < text.index("Exposures")
    assert "3 of 4 products are there" in text
    assert "4 aligned look seams: a step" in text
    assert '<a href="pages/field.html">' in found
    assert '<td class="word wrong">FAILED</td>' in found
    assert "In colour" not in found


def test_the_page_of_a_run_shows_common_grids_in_colour():
    state = {"made": 3, "missing": 0, "exposures": [], "associations": []}
    colours = {"deep": "data:image/webp;base64,AAAA", "wide": "colour/wide.png"}
    maps = {"deep": "map/grids/deep/index.html"}
    quality = {"judgement": "fine", "associations": {}}
    found = run_page(
        state, quality, {}, colours=colours, maps=maps, folder="results/", parameters=[], version="calflow 1"
    )
    assert "The grid deep, with the filters" in text_of(found)
    assert '<img src="data:image/webp;base64,AAAA"' in found
    assert '<a href="colour/wide.png">wide</a>' in found
    assert '<a href="map/grids/deep/index.html">deep</a>' in found


@pytest.mark.parametrize(
    ("line", "shows"),
    [
        ("--cores 2 -- quality", True),
        ("results/previews/one_cal.png", True),
        ("--target-jobs preview:preview=one --allowed-rules preview", True),
        ("--target-jobs association_page:association=field", True),
        ("--allowed-rules exposure_quality", True),
        ("--target-jobs preview_scale:scale=miri", True),
        ("--target-jobs colour_picture:grid=deep", True),
        ("results/colour/deep.png", True),
        ("--cores 2 map", True),
        ("results/map/grids/deep/index.html", True),
        ("--target-jobs grid_map:grid=deep", True),
        ("results/hips/field/properties", True),
        ("--target-jobs association_hips:association=field", True),
        ("--configfile mapping.yaml stage2", False),
        ("--cores 2 stage3", False),
        ("--snakefile /data/page/Snakefile --configfile my.yaml", False),
    ],
)
def test_command_lines_that_show_results(line, shows):
    assert shows_results(line.split()) is shows
