"""docs/mistakes.md says what calflow says: each mistake is made here, and its answer has to stand on that page."""

import bz2
import gzip
import json
import os
import re
import shutil
from pathlib import Path

import asdf
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from snakemake.utils import update_config

from calflow.configuration.problems import InputError
from calflow.configuration.settings import SHIPPED, read_settings
from calflow.plan.planner import make_plan
from calflow.simulation import Scene, simulate

PAGE = (SHIPPED.parent / "docs" / "mistakes.md").read_text()
SCENE = Scene("miri_f1130w", detector_shape=(24, 32), exposures=2, backgrounds=2, stars=2, galaxies=0, seed=3)
ASSOCIATIONS = "associations: [data/rate/*_asn.json, data/stage3/*_asn.json]\n"
CONFIGURATION = ASSOCIATIONS + "references: {directory: data/references}\n"
ROOT = "jw01234001001_02101_00001_mirimage"
RATE = Path("data/rate", f"{ROOT}_rate.fits")
LEVEL2 = Path("data/rate/jw01234-o001_20230312t074713_image2_00001_asn.json")
DISTORTION = Path("data/references/jwst_miri_distortion_0001.asdf")
FLAT = Path("data/references/jwst_miri_flat_0001.fits")
LEVEL3 = Path("data/stage3/jw01234-o001_20230312t074713_image3_00001_asn.json")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "data", SCENE)
    return folder


@pytest.fixture
def field(simulated, tmp_path, monkeypatch):
    """A working folder with a field on which nothing is wrong."""
    shutil.copytree(simulated / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(folder, text=CONFIGURATION):
    """Return the problems of a configuration, and the notices of its plan, as a user in the folder reads them."""
    path = folder / "my.yaml"
    path.write_text(text)
    given = yaml.load(text, yaml.FullLoader)  # as Snakemake reads it
    config = yaml.safe_load(SHIPPED.read_text())
    update_config(config, given)
    try:
        plan = make_plan(read_settings(config, [path, SHIPPED], given=given), [path, SHIPPED], folder / "headers")
    except InputError as error:
        lines = [str(problem) for problem in error.problems]
    else:
        lines = list(plan.notices)
    return [line.replace(f"{folder}/", "").replace(str(folder), "/home/me/field") for line in lines]


def documented(line):
    """Tell whether a line stands on the page in a block of code; ``...`` there is anything."""
    known = re.findall(r"^ *```\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    patterns = (re.escape(text.strip()).replace(r"\.\.\.", ".*") for block in known for text in block.splitlines())
    return any(re.fullmatch(pattern, line) for pattern in patterns)


def test_nothing_is_wrong_without_a_mistake(field):
    assert answer(field) == []


CONFIGURATIONS = {
    "a key that stands twice": "stage3: {tweakreg: {minobj: 5}}\nstage3: {resample: {pixfrac: 0.5}}\n",
    "null": "stage3:\n  tweakreg:\n    minobj:\n",
    "NaN": "stage3: {tweakreg: {minobj: .nan}}\n",
    "true": "stage3: {tweakreg: {minobj: true}}\n",
    "another type": "stage3: {resample: 5, outlier_detection: {snr: 5}}\n",
    "a list of another length": "stage3: {resample: {output_shape: 100}}\n",
    "one of a list out of range": "stage3: {outlier_detection: {snr: [5, -4.0]}}\n",
    "out of range": "stage3: {resample: {pixfrac: 1.5}}\n",
    "a misspelled word": "stage3: {resample: {kernel: sqare}}\n",
    "a word for a number": "observations: one\n",
    "a list for a text": "input: [data, more]\n",
    "a misspelled key": "stage3: {tweakrge: {minobj: 5}}\n",
    "a misspelled key that is needed": "grids: {deep: {asociations: '*'}}\n",
    "a folder for a flat": "stage2: {flat_field: {user_supplied_flat: data}}\n",
    "a folder for a list": "stage3: {tweakreg: {catfile: data, use_custom_catalogs: true}}\n",
    "a key in a wrong place": "stage3: {minobj: 5}\n",
    "a key with dots": "stage3.tweakreg.minobj: 5\n",
    "a key that is no name": "yes: 5\n",
    "more stars than are kept": "stage3: {tweakreg: {minobj: 1000}}\n",
    "base 60": "stage3: {resample: {crval: [12:30:00, -5.5]}}\n",
    "a variable": "output: $RESULTS/f770w\n",
    "the root": "output: /\n",
    "an unknown user": "output: ~anna.b/x\n",
    "a folder of Windows": 'output: "D:\\\\results"\n',
    "no input": "input: nowhere\n",
    "a variable in input": "input: $DATA/rate\n",
    "a file as input": f"input: {RATE}\n",
    "files that are not there": "exposures: [a_rate.fits, b_rate.fits, c_rate.fits, d_rate.fits, e_rate.fits]\n",
    "a URL as input": "input: https://mast.stsci.edu/rate\n",
}


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_configuration(field, text):
    lines = answer(field, CONFIGURATION + text)
    assert lines
    assert [line for line in lines if not documented(line)] == []


@pytest.mark.parametrize(
    "text",
    [
        "associations: 5\nreferences: {directory: data/references}\n",
        ASSOCIATIONS,
        ASSOCIATIONS + "references: {directory: data/rate}\n",
        ASSOCIATIONS + "references: {source: crds, crds_path: data}\n",
        ASSOCIATIONS + "references: {source: crds, crds_path: nowhere}\n",
        "associations: data/stage3/*_asn.json\nreferences: {directory: data/references}\n",
        ASSOCIATIONS + "references: {source: crds, crds_path: data, crds_context: 1500}\n",
        "associations: [data/lost_asn.json]\nreferences: {directory: data/references}\n",
        "associations: [data/lost_asn.json, '$DATA/*_asn.json']\nreferences: {directory: data/references}\n",
    ],
)
def test_associations_and_references_of_the_configuration(field, text):
    lines = answer(field, text)
    assert lines
    assert [line for line in lines if not documented(line)] == []


HEADERS = [
    {"FILTER": None},
    {"FILTER": "F113W"},
    {"DETECTOR": "MIRIMAG"},
    {"DATE-OBS": "12 March 2023"},
    {"DATE-OBS": "1999-01-01"},
    {"EXP_TYPE": "MIR_MRS"},
    {"EXP_TYPE": "MIR_DARK"},
    {"EXP_TYPE": "NRC_IMAGE"},
    {"EXP_TYPE": "MIR_IMG"},
    {"EXP_TYPE": "mir_image"},
    {"INSTRUME": "NIRSPEC"},
    {"TELESCOP": None},
    {"DEC_REF": 95.0},
    {"RA_REF": 1e6},
    {"EFFEXPTM": 0.0},
    {"EFFEXPTM": "long"},
]


@pytest.mark.parametrize("cards", HEADERS, ids=str)
def test_one_cause_is_one_problem(field, cards):
    with fits.open(RATE, mode="update") as hdus:
        for keyword, value in cards.items():
            header = next((hdu.header for hdu in hdus if keyword in hdu.header), hdus[0].header)
            header.set(keyword, value)
            if value is None:
                del header[keyword]
    (line,) = answer(field)
    assert line.startswith(f"{RATE}: {next(iter(cards))}")
    assert documented(line), line


def compress(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


def compress_otherwise(path):
    path.write_bytes(bz2.compress(path.read_bytes()))


def compress_and_cut(path):
    path.write_bytes(gzip.compress(path.read_bytes())[:5000])


def make_fifo(path):
    path.unlink()
    os.mkfifo(path)


def make_link(path):
    path.unlink()
    path.symlink_to("lost_rate.fits")


def make_loop(path):
    path.unlink()
    path.symlink_to(path.name)


def make_folder(path):
    path.unlink()
    path.mkdir()


def make_zero(path):
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data[:] = 0


FILES = [
    (FLAT, make_zero),
    (LEVEL2, lambda path: path.write_text("")),
    (DISTORTION, lambda path: path.write_bytes(path.read_bytes()[:500])),
    (DISTORTION, lambda path: path.write_text("")),
    (DISTORTION, lambda path: path.write_text("hello")),
    (LEVEL2, compress),
    (LEVEL2, lambda path: shutil.copy(RATE, path)),
    (RATE, make_link),
    (RATE, make_loop),
    (RATE, lambda path: path.unlink()),
    (RATE, lambda path: [each.unlink() for each in path.parent.glob("*.fits")]),
    (RATE, make_fifo),
    (RATE, make_folder),
    (RATE, compress_otherwise),
    (RATE, compress_and_cut),
    (RATE, lambda path: os.truncate(path, 40_000)),
]


@pytest.mark.parametrize(("path", "spoil"), FILES)
def test_what_lies_at_a_path(field, path, spoil):
    spoil(path)
    lines = answer(field)
    assert lines
    assert [line for line in lines if not documented(line)] == []


def test_many_associations_without_their_members(field):
    """The archive has an association for each exposure."""
    tree = json.loads(LEVEL2.read_text())
    for number, product in enumerate(tree["products"]):
        LEVEL2.with_name(f"x{number}_asn.json").write_text(json.dumps(tree | {"products": [product]}))
    LEVEL2.unlink()
    for path in RATE.parent.glob("*.fits"):
        path.unlink()
    (line,) = answer(field)
    assert line.startswith("my.yaml: input: none of the exposures of 2 associations")
    assert documented(line)


TYPES = [
    (LEVEL3, '"asn_type": "imag3"'),
    (LEVEL3, '"asn_type": "image33"'),
    (LEVEL3, '"asn_type": "spec3"'),
    (LEVEL3, '"asn_type": "None"'),
]


@pytest.mark.parametrize(("path", "asn_type"), TYPES, ids=[text for _, text in TYPES])
def test_types_of_associations(field, path, asn_type):
    path.write_text(path.read_text().replace('"asn_type": "image3"', asn_type))
    assert asn_type in path.read_text()
    assert [line for line in answer(field) if not documented(line)] == []


def test_an_exposure_as_flat(field):
    lines = answer(field, ASSOCIATIONS + f"references: {{directory: data/references, override: {{flat: {RATE}}}}}\n")
    assert lines
    assert [line for line in lines if not documented(line)] == []


def test_a_distortion_without_a_transform(field):
    meta = {"reftype": "distortion", "telescope": "JWST", "instrument": {"name": "MIRI"}}
    asdf.AsdfFile({"meta": meta}).write_to("data/my_distortion.asdf")
    override = "{directory: data/references, override: {distortion: data/my_distortion.asdf}}"
    lines = answer(field, ASSOCIATIONS + f"references: {override}\n")
    assert lines
    assert [line for line in lines if not documented(line)] == []


def test_capitals_make_no_difference(field):
    with fits.open(RATE, mode="update") as hdus:
        hdus[0].header.update({"TELESCOP": "jwst", "DETECTOR": "mirimage", "FILTER": "f1130w"})
    assert answer(field) == []


def test_an_output_grid_that_is_no_asdf_file_is_told_once(field):
    lines = answer(field, CONFIGURATION + f"stage3: {{resample: {{output_wcs: {RATE}}}}}\n")
    assert lines == [f"my.yaml: stage3.resample.output_wcs: '{RATE}' is no ASDF file; give an ASDF file"]


@pytest.mark.parametrize(
    ("content", "custom"),
    [
        (f"{ROOT}_cal.fits stars.ecsv deep\n", True),
        ("other_cal.fits stars.ecsv\n", True),
        ("# none yet\n", True),
        (f"{ROOT}_cal.fits stars.ecsv\n", False),
    ],
)
def test_star_lists(field, content, custom):
    Path("data/cats.txt").write_text(content)
    tweakreg = f"{{catfile: data/cats.txt, use_custom_catalogs: {str(custom).lower()}}}"
    lines = answer(field, CONFIGURATION + f"stage3: {{tweakreg: {tweakreg}}}\n")
    assert lines
    assert [line for line in lines if not documented(line)] == []


def test_a_catalogue_of_another_field(field):
    Table({"RA": [10.0, 10.1], "DEC": [-80.0, -80.0]}).write("data/stars.ecsv")
    lines = answer(field, CONFIGURATION + "stage3: {tweakreg: {abs_refcat: data/stars.ecsv}}\n")
    assert lines
    assert [line for line in lines if not documented(line)] == []


@pytest.mark.parametrize("columns", [{"x": [1.0]}, {"RA": [], "DEC": []}])
def test_a_catalogue_that_is_none(field, columns):
    Table(columns).write("data/stars.ecsv")
    lines = answer(field, CONFIGURATION + "stage3: {tweakreg: {abs_refcat: data/stars.ecsv}}\n")
    lines += answer(field, CONFIGURATION + "stage3: {tweakreg: {abs_refcat: data}}\n")
    assert len(lines) == 2
    assert [line for line in lines if not documented(line)] == []


@pytest.mark.parametrize(
    "grid", ["crval: [10, 10]", "pixel_scale: 100", "pixel_scale: 0.00001", "output_shape: [1, 1]"]
)
def test_grids_that_make_no_image(field, grid):
    lines = answer(field, CONFIGURATION + f"stage3: {{resample: {{{grid}}}}}\n")
    assert lines
    assert [line for line in lines if not documented(line)] == []


def test_two_fields_in_one_association(field):
    with fits.open(RATE, mode="update") as hdus:
        hdus["SCI"].header["RA_REF"] += 0.05
    lines = answer(field)
    assert lines
    assert [line for line in lines if not documented(line)] == []


def test_more_values_than_can_be_looked_at(field):
    lines = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 4) if n else 1}]\n" for n in range(30))
    assert [line for line in answer(field, CONFIGURATION + lines) if not documented(line)] == []


def test_control_characters_of_a_name(field):
    shutil.copy(RATE, "data/loud\x1b[31m_rate.fits")
    lines = answer(field, CONFIGURATION + "exposures: data/loud*_rate.fits\n")
    assert lines
    assert [line for line in lines if not documented(line)] == []
