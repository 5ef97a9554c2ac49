"""The pixels of an exposure that differ most from the combined image."""

import numpy as np
import pytest

from calflow.pictures.suspects import draw_suspects
from calflow.quality.brightness import brightness_of
from calflow.science.quality.suspects import APART, HALF, strongest_suspects

SIZE = 61
SCALE = brightness_of([{"level": 1.0, "noise": 0.1}], None)


def suspects_of(sci, *, combined=None, flagged=(), bad=(), number=3, err=1.0):
    """Return the suspects of an exposure whose combined image is empty, by a threshold of 5 ERR and 1 D."""
    planes = [np.zeros((SIZE, SIZE), bool) for _ in range(2)]
    for plane, pixels in zip(planes, (flagged, bad), strict=True):
        for y, x in pixels:
            plane[y, x] = True
    combined = np.zeros((SIZE, SIZE), np.float32) if combined is None else combined
    good = ~planes[0] & ~planes[1]
    return strongest_suspects(
        *("one", sci, np.full((SIZE, SIZE), err, np.float32), combined, good, planes[0]), snr=5, scale=1, number=number
    )


def exposure(level=0.0, **pixels):
    """Return an exposure of a level, with pixels ``y20x30=8`` that are brighter."""
    sci = np.full((SIZE, SIZE), level, np.float32)
    for name, value in pixels.items():
        y, x = name[1:].split("x")
        sci[int(y), int(x)] += value
    return sci


def told(suspects):
    return [(each.flagged, each.y, each.x, each.strength) for each in suspects]


def test_flagged_and_unflagged_are_told_apart_and_the_strongest_come_first():
    sci = exposure(y10x10=10, y10x40=50, y40x10=4, y40x40=-6)
    found = suspects_of(sci, flagged=[(10, 10), (10, 40)])
    # Over 5 ERR: 10, 2, then -1.2 and 0.8 of what is left.
    assert told(found) == [
        (True, 10, 40, 10),
        (True, 10, 10, 2),
        (False, 40, 40, pytest.approx(-1.2)),
        (False, 40, 10, pytest.approx(0.8)),
    ]


def test_the_level_of_the_sky_is_no_difference():
    (found,) = suspects_of(exposure(level=100.0, y30x30=5))
    assert told([found]) == [(False, 30, 30, 1)]
    assert found.difference == 5
    assert found.own[HALF, HALF] == 5
    assert found.own[0, 0] == 0


def test_of_neighbours_the_strongest_stands_for_all():
    near = {f"y30x{30 + APART}": 9.0, f"y30x{31 + 2 * APART}": 7.0}
    assert [each.x for each in suspects_of(exposure(y30x30=10, **near))] == [30, 31 + 2 * APART]


def test_the_edge_of_a_source_is_less_suspicious():
    combined = np.zeros((SIZE, SIZE), np.float32)
    combined[30, 30] = 20
    (found,) = suspects_of(exposure(y30x30=30), combined=combined)
    assert found.strength == pytest.approx(10 / (5 + 20))


def test_bad_pixels_and_those_beside_flagged_ones_are_no_suspects():
    sci = exposure(y10x10=100, y10x11=50, y40x40=90)
    assert told(suspects_of(sci, flagged=[(10, 10)], bad=[(40, 40)])) == [(True, 10, 10, 20)]


def test_at_the_edge_a_cut_out_has_no_value_beyond_it():
    (found,) = suspects_of(exposure(y0x60=10))
    assert np.isnan(found.own[:HALF, :]).all()
    assert np.isnan(found.own[:, HALF + 1 :]).all()
    assert np.isfinite(found.own[HALF:, : HALF + 1]).all()


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_an_exposure_without_differences(value):
    assert suspects_of(np.full((SIZE, SIZE), value, np.float32)) == []
    assert suspects_of(exposure(y3x3=5), combined=np.full((SIZE, SIZE), np.nan, np.float32)) == []


def test_the_same_cut_outs_give_the_same_bytes(tmp_path):
    found = suspects_of(exposure(y10x10=10, y40x40=8), flagged=[(10, 10)])
    for name in ("a.png", "b.png"):
        draw_suspects(found, "field", "MJy/sr", SCALE, tmp_path / name)
    draw_suspects([], "field", "MJy/sr", SCALE, tmp_path / "none.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "none.png").stat().st_size > 1000
