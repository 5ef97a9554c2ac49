"""A large image in pieces, which jobs of their own make: the same bytes, and no piece is made again without need."""

import os
import shutil
import signal
import sys
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from calflow.configuration.settings import read_settings
from calflow.job import UnusableExposure
from calflow.jobs.combination import combination_of_piece, combined_piece
from calflow.plan.combination import UnknownAssociation
from calflow.plan.plan_json import plan_from_json, plan_to_json
from calflow.plan.planner import make_plan
from calflow.simulation import Scene, simulate
from tests.workflow.conftest import ROOT, combining
from tests.workflow.test_kills import leftovers, run_of_which_a_job_gets, running, wait_for

pytest.importorskip("numba")
pytestmark = pytest.mark.slow

PRODUCT = "jw01234-o001_t001_nircam_clear-f200w"
IMAGE = f"{PRODUCT}_i2d.fits"
PIXEL = 0.0311  # arcsec
# Rows of a strip of 3145 x 516 pixels: of four pieces (0, 786, 1572, 2358) two have the first two exposures, where they
# meet lies the second, and in the third there is nothing, though headers are too uncertain to tell.
ROWS = (0, 700, 2600, 2603)
PIECES = {"piece_pixels": 420_000}


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory):
    """A folder in which the image was made at once; of more than 1 Mpixel, below which there is another kernel."""
    folder = tmp_path_factory.mktemp("strip") / "whole"
    dithers = [(number * PIXEL, row * PIXEL) for number, row in enumerate(ROWS)]
    scene = Scene(
        "nircam_f200w", detector_shape=(512, 512), exposures=4, stars=20, galaxies=0, dithers=dithers, bad_pixels=0.01
    )
    simulate(folder / "data", scene)
    run = strip(folder, piece_pixels=None).run(f"results/stage3/{IMAGE}")
    assert run.rules["combine"] == 1
    assert "combine_piece" not in run.rules
    return folder


def strip(folder, **resample):
    workflow = combining(folder)
    skipped = {step: {"skip": True} for step in ("tweakreg", "skymatch", "outlier_detection", "source_catalog")}
    workflow.config["stage3"] = skipped | {"resample": resample}
    return workflow


@pytest.fixture
def in_pieces(whole_folder, tmp_path):
    """The folder with the same to be made in pieces."""
    shutil.copytree(whole_folder, tmp_path / "strip")
    return strip(tmp_path / "strip", **PIECES)


def test_an_image_of_pieces_is_the_whole_and_a_replaced_exposure_makes_its_own_again(in_pieces):
    expected = in_pieces.combined(IMAGE).read_bytes()
    run = in_pieces.run()
    assert run.rules == {"combine": 1, "combine_piece": 4}, run.output
    assert in_pieces.combined(IMAGE).read_bytes() == expected
    sizes = [in_pieces.combined(f"pieces/{PRODUCT}_{number}.fits").stat().st_size for number in range(4)]
    assert [size > 1e7 for size in sizes] == [True, True, False, True]
    with fits.open(in_pieces.folder / "data/rate/jw01234001001_02101_00001_nrcb1_rate.fits", mode="update") as hdus:
        hdus["SCI"].data *= 1.1
    run = in_pieces.run()
    assert run.rules == {"calibrate": 1, "flag_outliers": 1, "combine": 1, "combine_piece": 2}, run.output
    changed = in_pieces.combined(IMAGE).read_bytes()
    assert changed != expected
    in_pieces.config["stage3"]["resample"] = {"piece_pixels": None}
    assert in_pieces.run().rules == {"combine": 1}
    assert in_pieces.combined(IMAGE).read_bytes() == changed


def test_after_a_piece_was_killed_the_others_stay(in_pieces):
    expected = in_pieces.combined(IMAGE).read_bytes()
    folder = in_pieces.combined("pieces")
    begun = in_pieces.folder / "results/logs/combine_piece"
    run = run_of_which_a_job_gets(signal.SIGKILL, in_pieces, lambda: any(begun.glob("*.log")), [folder, begun])
    assert run.returncode == 1
    wait_for(lambda: not running(in_pieces), 20.0)
    made = {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*.fits")}
    assert len(made) < 4
    again = in_pieces.run()
    assert again.rules == {"combine": 1} | {"combine_piece": 4 - len(made)}, again.output
    assert {name: (folder / name).stat().st_mtime_ns for name in made} == made
    assert in_pieces.combined(IMAGE).read_bytes() == expected
    assert leftovers(in_pieces) == []


def test_an_exposure_that_lies_where_its_header_does_not_tell(in_pieces, monkeypatch):
    monkeypatch.chdir(in_pieces.folder)
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    plan = make_plan(read_settings(in_pieces.config), [], in_pieces.folder / "headers")
    for known in (plan, plan_from_json(plan_to_json(plan))):  # as jobs of a cluster get it
        assert known.stage3.association(PRODUCT).pieces == ((0, 1), (0, 1), (2, 3), (2, 3))
    with pytest.raises(UnknownAssociation, match="has 4 pieces, so there is none 4"):
        combined_piece(plan, PRODUCT, "4")
    files = combined_piece(plan, PRODUCT, "0")
    files["exposures"] = files["exposures"][:1]
    output = SimpleNamespace(piece=in_pieces.folder / "piece.fits", facts=in_pieces.folder / "piece.json")
    params = combination_of_piece(plan, PRODUCT, "0")._replace(numbers=[0])
    combine_piece = import_module("combine_piece").combine_piece
    told = r"^jw01234001001_02101_00002_nrcb1 reaches rows 0 to 78\d of the image, far from where its header says"
    with pytest.raises(UnusableExposure, match=told):
        combine_piece(Files(files), output, params)
    assert not os.path.exists(output.piece)
    # Of the one that is there alone, its pixels are what the whole has of it.
    params = params._replace(members=params.members[:1])
    files["geometries"] = files["geometries"][:1]
    combine_piece(Files(files), output, params)
    whole = fits.getdata(in_pieces.combined(IMAGE))[:600]
    np.testing.assert_array_equal(fits.getdata(output.piece)[:600], whole)


class Files(SimpleNamespace):
    """Files by role, as scripts get them."""

    def __init__(self, files):
        super().__init__(**files)

    def get(self, name, default=None):
        """Return those of a role, if there are any."""
        return getattr(self, name, default)
