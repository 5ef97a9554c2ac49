"""From the headers of a folder, or a pool, to association files: what is derived, selected, left out and kept."""

import errno
import json
from pathlib import Path

import pytest

from calflow.associations.asn_files import AsnFiles
from calflow.associations.exposures import rows_of
from calflow.associations.generator import generate
from calflow.associations.making import make_associations
from calflow.associations.pools import read_pool
from calflow.configuration.association_making import AssociationMaking
from calflow.configuration.problems import InputError, Problems
from calflow.configuration.settings import Settings
from calflow.inputs.fits_headers import HduShape
from calflow.inputs.headers import ExposureHeader
from calflow.inputs.input_folder import InputFolder
from calflow.plan.planner import make_plan, only_associations

JWST = {
    "TELESCOP": "JWST",
    "INSTRUME": "MIRI",
    "DETECTOR": "MIRIMAGE",
    "EXP_TYPE": "MIR_IMAGE",
    "FILTER": "F770W",
    "SUBARRAY": "FULL",
    "PROGRAM": "01234",
    "OBSERVTN": "001",
    "TARGPROP": "GALAXY",
    "VISITYPE": "PRIME_TARGETED_FIXED",
    "TSOVISIT": False,
    "BKGDTARG": False,
}
SKY = {"OBSERVTN": "002", "TARGPROP": "SKY", "BKGDTARG": True}
IRIS = {
    "TELESCOP": "Keck I",
    "INSTRUME": "LIGER",
    "DETECTOR": "IMG",
    "EXP_TYPE": "LIGER_IMAGE",
    "FILTER": "Kbb",
    "PROGNUM": "U042",
    "OBSNUM": 3,
    "OBJECT": "M31",
    "IMTYPE": "SCI",
}


RECORDED = Path(__file__).parents[3] / "shared" / "oracle" / "associations"
SAME_COLUMNS = (
    "PROGRAM ACT_ID OBS_ID EXP_TYPE INSTRUME DETECTOR CHANNEL FILTER PUPIL SUBARRAY VISITYPE PATTTYPE".split()
)


class Folder:
    """A folder of exposures of which only headers are known."""

    def __init__(self, path):
        self.input, self.output = path / "in", path / "out"
        self.input.mkdir()
        self.headers = {}
        self.problems = Problems()

    def add(self, name, given=JWST, **changes):
        path = self.input / (f"{name}.fits" if "_" in name else f"{name}_rate.fits")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self.headers[path.name] = ExposureHeader(path, given | changes, (HduShape("SCI", 1, "IMAGE", (4, 4), -32),))
        return self

    def make(self, write=True, **settings):
        configured = Settings.model_validate({"input": str(self.input)} | settings)
        inputs = InputFolder.of(configured)
        made = make_associations(configured, lambda path: self.headers[path.name], self.problems, self.output, inputs)
        if made and write:
            made.write()
        return made

    def members(self, **settings):
        """Return what is used: by product, its type, id and members."""
        return {
            tree["products"][0]["name"]: (
                tree["asn_type"],
                tree["asn_id"],
                sorted(f"{each['expname']}:{each['exptype']}" for each in tree["products"][0]["members"]),
            )
            for tree in self.make(**settings).used.values()
        }

    def files(self):
        return {path.name: (path.read_text(), path.stat().st_mtime_ns) for path in self.output.glob("*")}


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_a_folder(folder):
    folder.add("a").add("b", FILTER="F560W").add("sky", JWST | SKY)
    assert folder.members() == {
        "a": ("image2", "c1001", ["a_rate.fits:science", "sky_rate.fits:background"]),
        "b": ("image2", "o001", ["b_rate.fits:science"]),
        "sky": ("image2", "o002", ["sky_rate.fits:science"]),
        "jw01234-o001_t001_miri_f770w": ("image3", "o001", ["a_cal.fits:science"]),
        "jw01234-o001_t001_miri_f560w": ("image3", "o001", ["b_cal.fits:science"]),
        "jw01234-o002_t002_miri_f770w": ("image3", "o002", ["sky_cal.fits:science"]),
    }
    assert "jw01234-c1001_image2_00001_asn.json" in folder.files()


def test_backgrounds_of_a_list_are_the_only_ones(folder):
    folder.add("a").add("sky", JWST | SKY).add("blank", OBSERVTN="003", TARGPROP="Blank")
    found = folder.members(make_associations={"backgrounds": "BLANK"})
    assert found["a"][2] == ["a_rate.fits:science", "blank_rate.fits:background"]
    assert "background" not in " ".join(folder.members(make_associations={"backgrounds": []})["a"][2])


def test_links_say_whose_background_it_is(folder):
    folder.add("a").add("sky", JWST | SKY).add("b", OBSERVTN="003")
    links = {"c1001": {"type": "background", "observations": [1, "002"]}}
    found = folder.members(make_associations={"links": links})
    assert found["a"][1:] == ("c1001", ["a_rate.fits:science", "sky_rate.fits:background"])
    assert found["b"][1:] == ("o003", ["b_rate.fits:science"])


def test_backgrounds_of_several_targets_are_told(folder):
    folder.add("a").add("sky", JWST | SKY).add("other", JWST | SKY, OBSERVTN="003", TARGPROP="SKY2")
    (note,) = folder.make().notes
    assert note.startswith("program 01234: the backgrounds of 2 targets (SKY, SKY2) are averaged where they fit")
    links = {"c1001": {"type": "background", "observations": [1, 2]}}
    assert folder.make(make_associations={"links": links}).notes == ()


def test_a_time_series_of_the_header_is_one(folder):
    assert folder.add("a_rateints", TSOVISIT=True).members()["a"] == (
        "tso-image2",
        "o001",
        ["a_rateints.fits:science"],
    )


def test_the_file_that_is_there_is_used(folder):
    folder.add("a", TSOVISIT=True)
    assert folder.members()["a"][2] == ["a_rate.fits:science"]


def test_packed_files_are_called_as_the_archive_calls_them(folder):
    folder.add("a").add("b", FILTER="F560W").add("sky", JWST | SKY)
    made = folder.make()
    (folder.input / "a_rate.fits").rename(folder.input / "a_rate.fits.gz")
    folder.headers["a_rate.fits.gz"] = folder.headers.pop("a_rate.fits")
    (folder.input / "b_rate.fits.gz").touch()
    packed = folder.make()
    assert packed.named == made.named
    assert packed.left_out_lines() == ["left out: b_rate.fits.gz: the same file is there unpacked"]


def test_a_calibrated_exposure_is_combined_as_it_is(folder):
    assert list(folder.add("a_cal").members()) == ["jw01234-o001_t001_miri_f770w"]


def test_an_exposure_with_and_without_integrations_is_calibrated_once(folder):
    coron = {
        "INSTRUME": "NIRCAM",
        "EXP_TYPE": "NRC_CORON",
        "DETECTOR": "NRCA2",
        "CHANNEL": "SHORT",
        "FILTER": "F210M",
        "PUPIL": "MASKRND",
    }
    folder.add("a_rate", JWST | coron).add("a_rateints", JWST | coron)
    assert folder.members() == {"a": ("image2", "o001", ["a_rateints.fits:science"])}


def test_liger_and_iris_by_their_keywords(folder):
    folder.add("l1", IRIS).add("l2", IRIS, IMTYPE="SKY", OBSNUM=4, OBJECT="SKY").add("l3", IRIS, IMTYPE="DARK")
    # The sky is a background and nothing else: its dark may be subtracted already.
    assert folder.members() == {
        "l1": ("image2", "c1003", ["l1_rate.fits:science", "l2_rate.fits:background"]),
        "ligeru042-o003_t001_liger_kbb": ("image3", "o003", ["l1_cal.fits:science"]),
    }
    assert folder.make().left_out == (("l3_rate.fits", "is dark, of which nothing is made"),)


def test_subarrays_are_put_into_their_frame_and_get_its_backgrounds(folder):
    folder.add("f1", IRIS, SUBARRID=0).add("f1_sub1_rate", IRIS, SUBARRID=1, SUBARRAY="CUSTOM")
    folder.add("s1", IRIS, IMTYPE="SKY", OBSNUM=4, OBJECT="SKY")
    found = folder.members()
    assert found["f1_sub1"][2] == ["f1_sub1_rate.fits:science", "s1_rate.fits:background"]
    assert found["f1_merged"] == ("image3", "o003", ["f1_cal.fits:science", "f1_sub1_cal.fits:science"])
    assert found["ligeru042-o003_t001_liger_kbb"][2] == ["f1_merged_cal.fits:science"]
    assert "f1_merged" in folder.members(observations=[3])


def test_what_is_left_out_is_told_with_the_reason(folder):
    folder.add("a").add("s", EXP_TYPE="NRS_FIXEDSLIT").add("k", TELESCOP="HST")
    (folder.input / "u_uncal.fits").touch()
    lines = folder.make().left_out_lines()
    assert "left out: s_rate.fits: EXP_TYPE 'NRS_FIXEDSLIT' is no imaging" in lines
    assert "left out: k_rate.fits: TELESCOP 'HST' is none that calflow knows" in lines
    assert "left out: u_uncal.fits: stage 1 has not been done: calflow takes _rate" in lines
    assert "NRS_FIXEDSLIT" in folder.make().table()


def test_a_folder_without_images_is_told(folder):
    assert folder.add("s", EXP_TYPE="NRS_FIXEDSLIT").make() is None
    (problem,) = folder.problems
    assert str(problem).endswith(": s_rate.fits left out; EXP_TYPE 'NRS_FIXEDSLIT' is no imaging")


def test_unchanged_files_are_left_alone_and_keep_their_numbers(folder):
    folder.add("m").add("sky", JWST | SKY)
    folder.make()
    before = folder.files()
    folder.make()
    assert folder.files() == before
    # One that sorts before it, and a target that is seen before those that are known.
    folder.add("a").add("new", OBSERVTN="000", TARGPROP="NEW")
    made = folder.make()
    after = folder.files()
    assert {name for name in before if after[name] != before[name]} == {"jw01234-o001_image3_00001_asn.json"}
    assert "jw01234-o000_t003_miri_f770w" in {tree["products"][0]["name"] for tree in made.used.values()}


def test_a_disk_that_gets_full_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    files = AsnFiles(tmp_path)
    files.write({"a_asn.json": {"asn_id": "o001"}})
    before = (tmp_path / "a_asn.json").read_bytes()

    def half(path, text, encoding):
        path.write_bytes(text.encode()[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space"):
        files.write({"a_asn.json": {"asn_id": "o002"}})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a_asn.json": before}


def test_files_of_others_are_kept(folder):
    folder.output.mkdir()
    (folder.output / "mine_asn.json").write_text("{}")
    (folder.output / "jw01234-o001_image2_00001_asn.json").write_text(
        json.dumps({"made_by": "calflow", "products": []})
    )
    folder.add("a").add("b").make()
    (folder.input / "b_rate.fits").unlink()
    folder.make()
    assert (folder.output / "mine_asn.json").read_text() == "{}"
    assert not any('"b_rate.fits"' in text for text, _ in folder.files().values())


def test_a_folder_that_cannot_be_written_is_told(folder):
    folder.output.write_text("a file")
    with pytest.raises(InputError, match="associations cannot be written there"):
        folder.add("a").make()


@pytest.mark.parametrize(
    ("selection", "products"),
    [
        ({"targets": "gal*"}, {"a", "jw01234-o001_t001_miri_f770w"}),
        ({"targets": ["t002"]}, {"sky", "jw01234-o002_t002_miri_f770w"}),
        ({"filters": "f770w", "observations": 1}, {"a", "jw01234-o001_t001_miri_f770w"}),
        ({"observations": "002"}, {"sky", "jw01234-o002_t002_miri_f770w"}),
    ],
)
def test_selections(folder, selection, products):
    folder.add("a").add("sky", JWST | SKY)
    folder.make()
    everything = folder.files()
    assert set(folder.members(**selection)) == products
    assert folder.files() == everything


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"filters": "F999W"}, "config: filters: no exposure has 'F999W'; there are f770w"),
        ({"targets": "VEGA"}, "config: targets: no exposure has 'VEGA'; there are GALAXY"),
        ({"observations": 7}, "config: observations: no exposure has '7'; there are 1"),
        (
            {"make_associations": {"links": {"mosaic": {"observations": [1]}}}},
            "config: make_associations.links: 'mosaic' is no candidate; a candidate is called c and four digits",
        ),
        ({"make_associations": {"pool": "none.csv"}}, "config: make_associations.pool: no such file 'none.csv'"),
    ],
)
def test_what_is_wrong_is_told(folder, settings, text):
    folder.add("a").make(**settings)
    assert text in "\n".join(map(str, folder.problems))


def test_a_pool_is_written_whole_and_used_as_far_as_its_exposures_are_there(folder, tmp_path):
    kept = Path(__file__).parents[1] / "pools" / "two_filters_and_a_background.txt"
    pool = tmp_path / "jw02345_pool.csv"
    pool.write_text(kept.read_text().partition("\n\n")[0])
    folder.add("a1").add("b1")
    made = folder.make(make_associations={"pool": str(pool)})
    assert len(made.named) == 21
    assert {tree["asn_pool"] for tree in made.named.values()} == {"jw02345_pool.csv"}
    used = {tree["products"][0]["name"]: tree["products"][0]["members"] for tree in made.used.values()}
    assert used["a1"] == [
        {"expname": "a1_rate.fits", "exptype": "science"},
        {"expname": "b1_rate.fits", "exptype": "background"},
    ]
    assert ("m1_rate.fits of m1", "no such file") in made.left_out


def test_selecting_from_associations_that_are_given_is_refused(tmp_path):
    exposure = tmp_path / "a_rate.fits"
    exposure.touch()
    settings = {"input": str(tmp_path), "exposures": str(exposure), "filters": "F200W"}
    with pytest.raises(InputError, match="filters: selects from associations that are made, and here"):
        make_plan(Settings.model_validate(settings), [], tmp_path / "cache")


def test_only_associations_of_an_empty_folder(tmp_path, monkeypatch):
    def told(folder):
        with pytest.raises(InputError) as error:
            only_associations(Settings.model_validate({"input": str(folder)}), [], tmp_path / "cache")
        return error.value.problems[0]

    assert told(tmp_path).wrong == f"no exposures (_rate, _cal) in '{tmp_path}', nor in folders below it"
    # Below the folder of a run there may be anything, as the data of the demo.
    monkeypatch.chdir(tmp_path)
    assert told(".").right.startswith("give input")
    (tmp_path / "mastDownload" / "one").mkdir(parents=True)
    (tmp_path / "mastDownload" / "one" / "a_rate.fits").touch()
    assert told(".").right.startswith("there are some in 'mastDownload/one': give input")


def test_some_of_several_observations_are_combined(folder):
    for number in (1, 2, 3):
        folder.add(f"e{number}", OBSERVTN=f"00{number}")
    names = list(folder.make().used)
    assert names == sorted(names)  # of which the order of observations is that of what is told
    product, whole = "jw01234-a3001_t001_miri_f770w", [f"e{number}_cal.fits:science" for number in (1, 2, 3)]
    assert folder.members()[product][2] == whole
    assert folder.members(observations=[1, 2])[product] == ("image3", "a3001", whole[:2])
    assert product not in folder.members(observations=[2])
    # The files of all are as ever.
    (written,) = [tree for tree in folder.make(observations=[1, 2]).named.values() if tree["asn_id"] == "a3001"]
    assert len(written["products"][0]["members"]) == 3


def test_exposures_in_folders_of_their_own(folder):
    for name in ("a", "b"):
        folder.add(f"mastDownload/JWST/{name}/{name}")
    made = folder.make()
    assert made.source == f"2 exposures in '{folder.input}', in 2 folders below it"
    assert [made.used[name]["products"][0]["name"] for name in sorted(made.used)][-1] == "jw01234-o001_t001_miri_f770w"
    # The products of a run there are none of its inputs, nor is what is hidden, or twice.
    for name in ("results/stage2/c", ".trash/d", "mastDownload/b"):
        folder.add(name)
    (folder.input / "results" / ".snakemake").mkdir()
    assert {*folder.make().named} == {*made.named}
    assert folder.make().left_out_lines() == [
        "left out: mastDownload/JWST/b/b_rate.fits: an exposure of the same name in another folder is taken"
    ]


def test_exposures_that_are_put_aside_stay_there(folder):
    folder.add("a").add("bad/b").add("bad/a")
    made = folder.make()
    assert "b" not in {tree["products"][0]["name"] for tree in made.used.values()}
    why = f"'{folder.input}' has exposures itself, so that none is taken of the folders below it"
    assert made.left_out_lines() == [f"left out: bad/b_rate.fits: {why}"]


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded pools are not there")
def test_headers_and_links_say_what_a_recorded_pool_says():
    text = (RECORDED / "pools" / "recipe_pool.csv").read_text()
    names, *lines = [line.split("|") for line in text.splitlines()]
    headers = {}
    for cells in lines:
        cell = dict(zip(names, cells, strict=True))
        header = {name: cell[name] for name in SAME_COLUMNS if cell[name] != "NULL"}
        header |= {name: cell[name] == "T" for name in ("TSOVISIT", "BKGDTARG", "IS_PSF")}
        header |= {"OBSERVTN": cell["OBS_NUM"].zfill(3), "TARGPROP": cell["TARGNAME"]}
        headers[cell["FILENAME"].replace("_uncal", "_rate")] = header
    links = {}
    for row in read_pool(text):
        for candidate in row.candidates[1:]:
            link = links.setdefault(candidate.id, {"type": candidate.type, "observations": []})
            link["observations"].append(row["obs_num"])
    made = generate(rows_of(headers, AssociationMaking.model_validate({"links": links}), {}))
    record = json.loads((RECORDED / "recipe_pool.json").read_text())
    recorded = {
        (one["asn_type"], one["asn_id"], product["name"], frozenset(map(tuple, product["members"])))
        for one in record["associations"]
        for product in one["products"]
    }
    found = {
        (one.asn_type, one.asn_id, one.product, frozenset((member.name, member.exptype) for member in one.members))
        for one in made
    }
    assert recorded <= found
    # Its pool has no candidate for this one, its header has.
    assert {asn_id for _, asn_id, _, _ in found - recorded} == {"o015"}
