"""A folder of exposures without any association, through real snakemake runs."""

import json
import shutil

import pytest

from calflow.simulation import Scene, simulate
from tests.workflow.conftest import Workflow

pytestmark = pytest.mark.slow

LATER = "jw01234001001_02101_00002_nrcb1_rate.fits"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two filters and a background target, as the archive delivers them; one exposure is kept back."""
    place = tmp_path_factory.mktemp("made_associations")
    for preset, exposures in (("nircam_f200w", 2), ("nircam_long", 1)):
        scene = Scene(preset, detector_shape=(56, 64), exposures=exposures, backgrounds=1, stars=4, galaxies=1, seed=3)
        simulate(place / preset, scene)
        for file in (place / preset / "rate").glob("*.fits"):
            own = place / "data" / "rate" / "JWST" / file.name.removesuffix("_rate.fits")
            own.mkdir(parents=True, exist_ok=True)
            shutil.move(file, own / file.name)
        for file in (place / preset / "references").glob("*"):
            (place / "data" / "references").mkdir(parents=True, exist_ok=True)
            shutil.move(file, place / "data" / "references" / f"{preset}_{file.name}")
    shutil.move(next((place / "data" / "rate" / "JWST").glob(f"*/{LATER}")), place / LATER)
    workflow = Workflow(place)
    workflow.config = {"input": "data/rate", "references": {"directory": "data/references"}}
    return workflow


def made_files(workflow):
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (workflow.folder / "results" / "associations").glob("*")
    }


def test_a_folder_is_enough_and_a_new_exposure_makes_its_own_chain_stale(folder):
    listed = folder.run("associations")
    assert listed.code == 0, listed.output
    assert "jw01234-o001_t001_nircam_clear-f200w" in listed.output
    files = made_files(folder)
    assert len(files) == 8  # an image2 of each exposure, an image3 of each filter of each target
    tree = next(json.loads(content) for name, (content, _) in files.items() if "c1001_image2_00001" in name)
    types = [member["exptype"] for member in tree["products"][0]["members"]]
    assert types == ["science", "background"]

    first = folder.run()
    assert first.code == 0, first.output
    assert "associations made of 4 exposures in 'data/rate', in 4 folders below it: 4 image2, 4 image3" in first.output
    assert first.rules["calibrate"] == 4
    assert first.rules["combine_background"] == 2
    assert first.rules["combine"] == 4
    assert made_files(folder) == files

    assert folder.planned() == {}

    shutil.copy(folder.folder / LATER, folder.folder / "data" / "rate" / "JWST")
    stale = folder.planned()
    assert stale["calibrate"] == 1
    assert stale["combine"] == 1
    assert "combine_background" not in stale
    assert made_files(folder) == files  # a dry run writes none

    folder.config |= {"filters": ["F444W"]}
    assert folder.planned() == {}
    folder.config |= {"filters": ["F999W"]}
    wrong = folder.run(dry=True)
    assert wrong.code == 1
    assert "my.yaml: filters: no exposure has 'F999W'; there are" in wrong.output
    del folder.config["filters"]


@pytest.mark.parametrize("command", ["associations", "shards"])
def test_a_folder_without_exposures_is_told(command, tmp_path):
    empty = Workflow(tmp_path)
    (tmp_path / "none").mkdir()
    empty.config = {"input": "none"}
    wrong = empty.run(command)
    assert wrong.code == 1
    assert "my.yaml: input: no exposures (_rate, _cal) in 'none', nor in folders below it" in wrong.output


def test_shards_of_a_folder_have_the_associations_that_were_made(folder):
    listed = folder.run("associations")
    assert listed.code == 0, listed.output
    cut = folder.run("shards")
    assert cut.code == 0, cut.output
    shard = folder.folder / "shards" / "0001"
    made = {path.name: path.read_bytes() for path in (shard / "associations").glob("*")}
    assert made
    assert made == {name: content for name, (content, _) in made_files(folder).items()}
    planned = folder.run("shards", "plan")
    assert planned.code == 0, planned.output
    assert "Plan of 1 shard: " in planned.output
