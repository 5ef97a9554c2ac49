"""The table of variants: which exposures get which steps."""

import pytest

from calflow.instruments import family_of
from calflow.instruments.family import Use
from calflow.instruments.jwst import FAMILY


@pytest.mark.parametrize(
    ("header", "name", "background", "resample"),
    [
        ({"EXP_TYPE": "MIR_IMAGE"}, "imaging", Use.RUN, Use.RUN),
        ({"EXP_TYPE": "NRC_IMAGE", "TSOVISIT": False}, "imaging", Use.RUN, Use.RUN),
        ({"EXP_TYPE": "FGS_IMAGE"}, "imaging", Use.RUN, Use.RUN),
        ({"EXP_TYPE": "NRC_TSIMAGE"}, "TSO", Use.SKIP, Use.ABSENT),
        ({"EXP_TYPE": "MIR_IMAGE", "TSOVISIT": True}, "TSO", Use.SKIP, Use.ABSENT),
        ({"EXP_TYPE": "NRC_IMAGE", "VISITYPE": "PRIME_WFSC_ROUTINE"}, "WFS&C", Use.RUN, Use.SKIP),
        ({"EXP_TYPE": "MIR_4QPM"}, "coronagraphic", Use.RUN, Use.ABSENT),
        ({"EXP_TYPE": "NIS_AMI"}, "AMI", Use.RUN, Use.ABSENT),
        ({"EXP_TYPE": "NRC_TACQ"}, "acquisition and focus", Use.RUN, Use.ABSENT),
    ],
)
def test_variant(header, name, background, resample):
    variant = FAMILY.variant(header)
    assert (variant.name, variant.background, variant.resample) == (name, background, resample)


@pytest.mark.parametrize("exp_type", ["MIR_MRS", "NRS_IFU", "NIS_WFSS", "NIS_SOSS", "", None])
def test_spectroscopy_has_no_variant(exp_type):
    assert FAMILY.variant({"EXP_TYPE": exp_type, "TSOVISIT": True}) is None


def test_families_are_known_by_their_telescope():
    assert family_of({"TELESCOP": "JWST"}) is FAMILY
    assert family_of({"TELESCOP": "HST"}) is None


def test_every_instrument_is_described_throughout():
    for instrument in FAMILY.instruments:
        assert instrument in FAMILY.photom_rows
        for name in ("distortion", "flat", "photom", "area"):
            assert instrument in FAMILY.references[name].selectors


def test_rows_are_looked_for_by_the_header():
    rows = FAMILY.photom_rows["MIRI"].wanted({"FILTER": "f1130w", "SUBARRAY": "SUB256"})
    assert rows == [{"filter": "F1130W", "subarray": "SUB256"}, {"filter": "F1130W", "subarray": "GENERIC"}]
