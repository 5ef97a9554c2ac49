"""The average of background exposures: members without a value are left out, and that is said."""

import gzip
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from calflow.job import UnusableExposure
from combine_background import combine_background

PARAMS = SimpleNamespace(
    window=(1, 1, 5, 4),
    depth=1,
    bkg_subtract={"sigma": 3.0, "maxiters": None, "clip": "scatter"},
    images=("SCI",),
    undarkened=(),
)


def average(folder, *levels):
    """Average exposures of 4 x 5 pixels with these levels; return the path of the result."""
    members = []
    for number, level in enumerate(levels):
        planes = {"SCI": np.full((4, 5), level), "ERR": np.full((4, 5), 0.5), "DQ": np.zeros((4, 5), np.uint32)}
        hdus = [
            fits.ImageHDU(plane.astype("u4" if name == "DQ" else "f4"), name=name) for name, plane in planes.items()
        ]
        members.append(str(folder / f"background{number}.fits"))
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(members[-1])
    combine_background(
        SimpleNamespace(members=members), SimpleNamespace(background=str(folder / "average.fits")), PARAMS
    )
    return folder / "average.fits"


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_a_member_without_a_value_is_left_out_and_named(tmp_path, caplog, nothing):
    with caplog.at_level(logging.WARNING), fits.open(average(tmp_path, 2.0, nothing, 4.0)) as hdus:
        np.testing.assert_array_equal(hdus["SCI"].data, 3.0)
        assert hdus[0].header["NBKG"] == 2
    assert caplog.messages == [
        f"REMARK bkg_subtract COMPLETE {tmp_path}/background1.fits: is left out of the average: it has no value in "
        "the window of the science exposures"
    ]


def test_all_members_count(tmp_path, caplog):
    with caplog.at_level(logging.WARNING), fits.open(average(tmp_path, 0.0, 0.0)) as hdus:
        np.testing.assert_array_equal(hdus["SCI"].data, 0.0)
        assert hdus[0].header["NBKG"] == 2
    assert caplog.messages == []


def test_packed_members_have_the_same_average(tmp_path, monkeypatch):
    monkeypatch.setattr("combine_background.BAND_PIXELS", 10)  # two rows of a frame
    plain = average(tmp_path, 2.0, 3.0, 5.0).read_bytes()
    members = [tmp_path / f"background{number}.fits" for number in range(3)]
    for member in members[1:]:
        Path(f"{member}.gz").write_bytes(gzip.compress(member.read_bytes()))
    combine_background(
        SimpleNamespace(members=[str(members[0]), f"{members[1]}.gz", f"{members[2]}.gz"]),
        SimpleNamespace(background=str(tmp_path / "average.fits")),
        PARAMS,
    )
    assert (tmp_path / "average.fits").read_bytes() == plain


def test_no_member_has_a_value(tmp_path):
    with pytest.raises(UnusableExposure, match="no background exposure has a value"):
        average(tmp_path, np.nan, np.nan)
