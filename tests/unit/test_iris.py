"""Liger and IRIS as a family: telescopes, layouts, keywords that are made of others, variants and selectors."""

import numpy as np
import pytest
from astropy.io import fits

from calflow.configuration.problems import Problems
from calflow.files.exposure import read_exposure
from calflow.inputs.headers import read_exposure_header
from calflow.instruments import FAMILIES, family_of, layout_of
from calflow.instruments.family import Use
from calflow.instruments.iris import FAMILY

NEWER = {
    "TELESCOP": "TMT",
    "INSTRUME": "IRIS",
    "INSTMODE": "IMG",
    "EXPDTST": "20241121013005",
    "EXPJDMID": 2460635.5,
    "EXPTIME": 300.0,
}


@pytest.mark.parametrize("telescope", ["TMT", "Keck", "keck i", "LIGERIRI"])
def test_its_telescopes(telescope):
    assert family_of({"TELESCOP": telescope}) is FAMILY


def test_every_family_has_references_for_every_instrument():
    for family in FAMILIES:
        for kind in family.references.values():
            assert set(kind.selectors) <= set(family.instruments)


@pytest.mark.parametrize(
    ("exp_type", "resample"), [("IRIS_IMAGE", Use.RUN), ("LIGER_IMAGE", Use.RUN), ("ANY", Use.ABSENT)]
)
def test_variants(exp_type, resample):
    assert FAMILY.variant({"EXP_TYPE": exp_type}).resample is resample


def test_spectroscopy_has_no_variant():
    assert FAMILY.variant({"EXP_TYPE": "IRIS_LENSLET"}) is None


def test_order_of_the_steps():
    names = "bkg_subtract parse_subarray_map assign_wcs dark_current flat_field photom resample"
    assert FAMILY.step_names == tuple(names.split())
    assert FAMILY.rules_of("bkg_subtract") == ("average", "sky_model")


def test_layouts_are_told_by_the_image():
    assert layout_of(NEWER, ["PRIMARY", "DATA", "ERR"]).image == "DATA"
    assert layout_of(NEWER, ["PRIMARY", "SCI"]).image == "SCI"
    assert layout_of({"TELESCOP": "JWST"}, ["PRIMARY", "DATA"]).image == "SCI"


def test_keywords_of_newer_files_are_translated():
    assert FAMILY.derived(NEWER) == {
        "EXP_TYPE": "IRIS_IMAGE",
        "DATE-OBS": "2024-11-21",
        "TIME-OBS": "01:30:05",
        "EXPMID": 60635.0,
        "EFFEXPTM": 300.0,
    }


@pytest.mark.parametrize(
    ("cards", "missing"),
    [
        ({"INSTMODE": "SLICER"}, "EXP_TYPE"),
        ({"EXPDTST": "2024-11-21"}, "DATE-OBS"),
        ({"EXPDTST": None}, "TIME-OBS"),
        ({"EXPJDMID": "noon"}, "EXPMID"),
    ],
)
def test_what_is_not_there_is_not_made_up(cards, missing):
    assert missing not in FAMILY.derived(NEWER | cards)


def test_keywords_that_are_there_stay():
    assert "DATE-OBS" not in FAMILY.derived(NEWER | {"DATE-OBS": "2020-01-01"})


@pytest.fixture
def newer(tmp_path):
    path = tmp_path / "x.fits"
    primary = fits.PrimaryHDU(header=fits.Header(NEWER))
    fits.HDUList([primary, fits.ImageHDU(np.ones((3, 4), np.float32), name="DATA")]).writeto(path)
    return path


def test_a_header_of_the_newer_layout(newer):
    problems = Problems()
    header = read_exposure_header(newer, ["TELESCOP", "EXPTIME", "EXPDTST"], problems)
    assert not problems
    assert (header.image, header.shape, header.values["DATE-OBS"]) == ("DATA", (3, 4), "2024-11-21")


def test_an_exposure_without_errors_and_flags(newer):
    exposure = read_exposure(newer, FAMILY.images)
    assert exposure.image.sci.sum() == 12
    assert not exposure.image.err.any()
    assert exposure.image.dq.dtype == np.uint32


def test_an_exposure_with_another_image(newer):
    with pytest.raises(ValueError, match="has no extension SCI"):
        read_exposure(newer)
