"""Bad input of stage 3: told before any job, with file and key."""

import json
import shutil

import pytest
from astropy.io import fits

from tests.workflow.test_errors import edit_header, refused

pytestmark = pytest.mark.slow

ROOTS = [f"jw01234001001_02101_0000{n}_nrcb1" for n in (1, 2, 3, 4)]


@pytest.fixture
def workflow(field_workflow):
    return field_workflow


def level3(workflow):
    return next((workflow.folder / "data/stage3").glob("*_asn.json"))


def edit_members(workflow, change):
    """Change the list of members of the level-3 association in place; return the file."""
    path = level3(workflow)
    tree = json.loads(path.read_text())
    change(tree["products"][0]["members"])
    path.write_text(json.dumps(tree))
    return path


def edit_rate(workflow, number, extension=0, **cards):
    edit_header(workflow.folder / f"data/rate/{ROOTS[number - 1]}_rate.fits", extension, **cards)


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        ({"tweakrg": {}}, ("my.yaml: stage3.tweakrg", "'tweakreg'")),
        ({"resample": {"pixel_scale": -0.1}}, ("my.yaml: stage3.resample.pixel_scale", "-0.1", "number > 0")),
        ({"tweakreg": {"tolerance": 2.0}}, ("stage3.tweakreg", "separation", "tolerance")),
        ({"skymatch": {"dqbits": "DO_NOT_USED"}}, ("stage3.skymatch.dqbits", "DO_NOT_USE")),
        ({"tweakreg": {"abs_refcat": "GAIADR9"}}, ("stage3.tweakreg.abs_refcat", "'GAIADR9'", "GAIADR3")),
        (
            {"tweakreg": {"use_custom_catalogs": True, "catfile": "no.txt"}},
            ("stage3.tweakreg.catfile", "'no.txt'"),
        ),
    ],
)
def test_wrong_configuration(workflow, config, texts):
    workflow.config["stage3"] = config
    refused(workflow, *texts)


@pytest.mark.parametrize(
    ("grids", "texts"),
    [
        ({"one": {"associations": ["no*"]}}, ("grids.one.associations[0]", "'no*'")),
        ({"one": {"associations": ["jw*"]}, "two": {"associations": ["jw*"]}}, ("grids.two", "already uses", "'one'")),
    ],
)
def test_wrong_grid(workflow, grids, texts):
    workflow.config["grids"] = grids
    refused(workflow, *texts)


def test_mixed_channels(workflow):
    edit_rate(workflow, 3, CHANNEL="LONG")
    refused(workflow, f"{level3(workflow).name}: products[0].members[2]", "CHANNEL is 'LONG'", "'SHORT'")


def test_moving_and_fixed_targets(workflow):
    edit_rate(workflow, 2, TARGTYPE="MOVING")
    refused(workflow, level3(workflow).name, "products[0].members[1]", "TARGTYPE", "MOVING")


@pytest.mark.parametrize(
    ("expname", "texts"),
    [
        ("lost_cal.fits", ("products[0].members[1].expname", "lost_cal.fits", "no such file", "level-2 association")),
        (f"{ROOTS[1]}_rate.fits", ("products[0].members[1].expname", "not a calibrated exposure", "_cal")),
        (f"{ROOTS[0]}_cal.fits", ("products[0].members[1].expname", "products[0].members[0].expname", "once")),
        (f"{ROOTS[1]}_calints.fits", ("products[0].members[1].expname", f"{ROOTS[1]}_calints.fits")),
    ],
    ids=["missing", "rate", "duplicate", "calints"],
)
def test_wrong_member(workflow, expname, texts):
    path = edit_members(workflow, lambda members: members[1].update(expname=expname))
    refused(workflow, path.name, *texts)


def test_integrations(workflow):
    """`_rateints` of the same run make `_calints`, which stage 3 does not combine."""
    path = workflow.folder / f"data/rate/{ROOTS[1]}_rate.fits"
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus[1:]:
            if hdu.is_image:
                hdu.data = hdu.data[None]
    edit_members(workflow, lambda members: members[1].update(expname=f"{ROOTS[1]}_calints.fits"))
    refused(workflow, level3(workflow).name, "products[0].members[1].expname", "3-D", "2-D")


def test_members_that_stage2_leaves_in_count_rates(workflow):
    workflow.config["stage2"]["photom"] = {"skip": True}
    refused(workflow, level3(workflow).name, "products[0].members[0].expname", "MJy/sr", "photom")


def test_crf_of_two_associations_would_be_one_file(workflow):
    path = level3(workflow)
    tree = json.loads(path.read_text())
    tree["products"][0]["name"] = "again"
    path.with_name("again_asn.json").write_text(json.dumps(tree))
    refused(workflow, f"{ROOTS[0]}_o001_crf.fits", "'again'", "asn_id")


def test_product_of_two_associations(workflow):
    path = level3(workflow)
    shutil.copy(path, path.with_name("later_asn.json"))
    refused(workflow, "later_asn.json", "products[0].name", "another association")


def test_all_problems_are_told_together(workflow):
    workflow.config["grids"] = {"a b": {"associations": ["x"]}}
    path = edit_members(workflow, lambda members: members[3].update(expname="lost_cal.fits"))
    edit_rate(workflow, 1, "SCI", RA_REF=None)
    message = refused(workflow, path.name, "lost_cal.fits", "'a b'", "RA_REF")
    assert "3 problems" in message
