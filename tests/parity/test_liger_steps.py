"""The steps of the Liger/IRIS imager against what its original pipeline made of simulated data."""

import subprocess
import sys
import tarfile

import numpy as np
import pytest
from astropy.io import fits
from limits import ROOT

from calflow.science.calibration.background import combine, place, subtract
from calflow.science.calibration.dark_current import Dark, subtract_dark
from calflow.science.calibration.flat_field import Flat, divide_by_flat
from calflow.science.calibration.frame_combination import combine_frames
from calflow.science.calibration.reference_making import normalised_flat
from calflow.science.calibration.subarray_map import Subarray, flag_subarrays, merge_subarrays, parse_subarray_map
from calflow.science.dq_flags import CONCURRENT_SUBARRAY, DO_NOT_USE, NO_FLAT_FIELD
from calflow.science.image import Image
from calflow.science.sky.sky_model import smooth_sky
from calflow.science.windows import Window

LIGER = ROOT.parent / "shared" / "oracle" / "liger"
pytestmark = pytest.mark.skipif(not LIGER.exists(), reason=f"no recorded data: {LIGER}")

RELATIVE = 2e-6
# Of the sky, where it is subtracted: what is left may be near 0.
ABSOLUTE = RELATIVE * 20
FULL = Window(1, 1, 144, 120)
SUBARRAY = Window(31, 21, 40, 50)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Return the arrays of the simulated data by name."""
    folder = tmp_path_factory.mktemp("liger")
    subprocess.run([sys.executable, LIGER / "sim.py", folder], check=True)
    with np.load(folder / "arrays.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder with what the original made."""
    folder = tmp_path_factory.mktemp("recorded")
    for generation in ("old", "new"):
        with tarfile.open(LIGER / "recorded" / f"{generation}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    return folder


def read(path):
    with fits.open(path) as hdus:
        sci, err = (hdus[name].data.astype(np.float32) for name in ("SCI", "ERR"))
        return Image(sci, err, hdus["DQ"].data.astype(np.uint32))


def science(arrays, sci="sci"):
    shape = arrays[sci].shape
    return Image(arrays[sci], *(np.broadcast_to(arrays[name], shape).copy() for name in ("sci_err", "sci_dq")))


def cut(image, window):
    return Image(*(place(plane, FULL, window, 0) for plane in (image.sci, image.err, image.dq)))


def background(arrays, name, **clipping):
    return combine(arrays[name], arrays[f"{name}_err"], arrays[f"{name}_dq"], **clipping)


def dark_and_flat(arrays, image, window=FULL):
    dark, dark_dq, flat, flat_dq = (
        place(arrays[name], FULL, window, 0) for name in ("dark", "dark_dq", "flat", "flat_dq")
    )
    return divide_by_flat(subtract_dark(image, Dark(dark, dark_dq)), Flat(flat, None, flat_dq))


def agree(ours, recorded, response=None, absolute=0.0):
    """Compare all planes, where the flat that was applied is finite and not negative.

    The original divides by the others.
    """
    same = np.ones(ours.sci.shape[-2:], bool) if response is None else ~(np.isinf(response) | (response < 0))
    assert np.count_nonzero(~same) <= 2
    np.testing.assert_allclose(ours.sci[..., same], recorded.sci[..., same], rtol=RELATIVE, atol=absolute)
    np.testing.assert_allclose(ours.err[..., same], recorded.err[..., same], rtol=RELATIVE)
    np.testing.assert_array_equal(ours.dq[..., same], recorded.dq[..., same])
    assert ((ours.dq[..., ~same] & NO_FLAT_FIELD) != 0).all()


def test_dark_and_flat(arrays, recorded):
    ours = dark_and_flat(arrays, science(arrays))
    agree(ours, read(recorded / "out_old/nobkg/nobkg_cal.fits"), arrays["flat"])


@pytest.mark.parametrize(
    ("case", "name", "clipping"),
    [
        ("full/full", "bkg", {}),
        ("many/many", "many", {}),
        # The recorded numbers are those of one round.
        ("many_sigma2/many", "many", {"sigma": 2.0, "maxiters": 1}),
    ],
)
def test_background_dark_and_flat(arrays, recorded, case, name, clipping):
    ours = dark_and_flat(arrays, subtract(science(arrays), background(arrays, name, **clipping)))
    agree(ours, read(recorded / f"out_old/{case}_cal.fits"), arrays["flat"], ABSOLUTE)


def test_the_background_alone(arrays, recorded):
    ours = subtract(science(arrays), background(arrays, "bkg"))
    agree(ours, read(recorded / "out_old/full_savebsub/full_bsub.fits"), absolute=ABSOLUTE)


def test_a_subarray_with_references_of_the_full_frame(arrays, recorded):
    average = background(arrays, "bkg")
    for name in ("sci", "err", "dq"):
        setattr(average, name, place(getattr(average, name), FULL, SUBARRAY, 0))
    ours = dark_and_flat(arrays, subtract(cut(science(arrays), SUBARRAY), average), SUBARRAY)
    response = place(arrays["flat"], FULL, SUBARRAY, 0)
    agree(ours, read(recorded / "out_old/sub/sub_cal.fits"), response, ABSOLUTE)


def test_integrations(arrays, recorded):
    subtracted = subtract(science(arrays, "ints"), background(arrays, "bkg"))
    folder = recorded / "out_old/rateints_anytype"
    agree(subtracted, read(folder / "ints_bsubints.fits"), absolute=ABSOLUTE)
    agree(dark_and_flat(arrays, subtracted), read(folder / "ints_calints.fits"), arrays["flat"], ABSOLUTE)


def full_frame(arrays):
    image = science(arrays)
    return Image(np.where(arrays["map"] > 0, np.float32(np.nan), image.sci), image.err, image.dq)


def test_flags_of_subarrays(arrays, recorded):
    assert parse_subarray_map(arrays["map"]) == [Subarray(1, 91, 71, 30, 20), Subarray(2, 11, 31, 20, 25)]
    ours = dark_and_flat(arrays, flag_subarrays(full_frame(arrays), arrays["map"]))
    theirs = read(recorded / "out_old/map_full_sub/map_cal.fits")
    inside = arrays["map"] > 0
    assert ((theirs.dq[inside] & CONCURRENT_SUBARRAY) != 0).all()
    theirs.dq[inside] |= DO_NOT_USE  # the original leaves it at the NaN
    agree(ours, theirs, arrays["flat"])


def test_merged_subarrays(arrays, recorded):
    folder = recorded / "out_old/map_full_sub"
    members = {number: read(folder / f"map_sub{number}_cal.fits") for number in (1, 2)}
    ours = merge_subarrays(read(folder / "map_cal.fits"), arrays["map"], members)
    theirs = read(folder / "merge_asn_mergesubarraysstep.fits")
    for name, plane in ours.planes().items():
        np.testing.assert_array_equal(plane, theirs.planes()[name])


def test_a_flat_of_one_exposure_but_for_its_level(arrays, recorded):
    dark = Dark(arrays["dark"], arrays["dark_dq"])
    raw = [arrays[f"rawflat{plane}"][:1] for plane in ("", "_err", "_dq")]
    raw[2] = np.zeros_like(raw[2])  # of a flagged pixel the original keeps the value
    ours = normalised_flat(*raw, dark=dark)
    theirs = read(recorded / "out_old/flatfield_pipeline/rawflat0_flat.fits")
    # The original's level has pixels with flags in it.
    level = np.median(ours.sci)
    np.testing.assert_allclose(ours.sci / level, theirs.sci, rtol=RELATIVE)
    np.testing.assert_allclose(ours.err / level, theirs.err, rtol=RELATIVE)
    assert level == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("method", ["mean", "median", "wmean"])
def test_combined_frames(arrays, recorded, method, clip):
    frames = [arrays[f"rawdark{plane}"] for plane in ("", "_err", "_dq")]
    ours = combine_frames(*frames, method=method, sigma_clip=clip)
    with np.load(recorded / f"out_new/combine/{method}_measure_{int(clip)}.npz") as theirs:
        # Without clipping the original's mean and median use flagged samples.
        good = (ours.n > 0) if clip else (frames[2] == 0).all(axis=0)
        assert np.count_nonzero(~good) <= 2
        np.testing.assert_allclose(ours.sci[good], theirs["data"][good], rtol=RELATIVE)
        # Of five samples, and where none is clipped: sqrt(5), where the original has sqrt(4).
        whole = ours.n == 5
        width = 1.0 if method != "median" else np.sqrt(5 * np.pi / 11)
        np.testing.assert_allclose(ours.err[whole], theirs["err"][whole] * width * np.sqrt(4 / 5), rtol=1e-5)


def test_the_propagated_error_of_the_weighted_mean(arrays, recorded):
    frames = [arrays[f"rawdark{plane}"] for plane in ("", "_err", "_dq")]
    ours = combine_frames(*frames, method="wmean", sigma_clip=False, error="propagate")
    with np.load(recorded / "out_new/combine/wmean_propagate_0.npz") as theirs:
        good = ours.n > 0
        np.testing.assert_allclose(ours.err[good], theirs["err"][good], rtol=RELATIVE)


def test_smooth_skies(arrays, recorded):
    with np.load(recorded / "out_new/seq/each.npz") as stored:
        theirs = dict(stored)
    levels = []
    for number, (sci, err) in enumerate(zip(arrays["skyseq"], arrays["skyseq_err"], strict=True)):
        image = dark_and_flat(arrays, Image(sci, err, np.zeros(sci.shape, np.uint32)))
        sky = smooth_sky(image, box_size=101, filter_size=3, sigma_low=6, sigma_high=2, maxiters=100)
        # Not the same pixels are masked: the original loses NO_FLAT_FIELD and keeps NaN of the dark.
        np.testing.assert_allclose(sky.sky, theirs[f"s{number}"], rtol=3e-5)
        levels.append(sky.level)
    np.testing.assert_allclose(levels / np.mean(levels), theirs["scales"], rtol=3e-5)
