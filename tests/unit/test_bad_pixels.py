"""Pixels that deviate in most exposures of a detector are flagged by their kind; what is on the sky moves."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from calflow.calibration.extra_steps import ExtraStep, collect
from calflow.files.exposure import write_product
from calflow.science.cleaning.bad_pixels import bad_pixels, collect_bad_pixels
from calflow.science.cleaning.bad_pixels_parameters import BadPixels
from calflow.science.cleaning.shipped import ARRAYS, SHIPPED, in_full
from calflow.science.cleaning.step import Facts
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

N = 64
FACTS = Facts("a", "rate")
HOT, WARM, LOW, OPEN, BESIDE = ((8, 9), (20, 50), (40, 12), (50, 50), (50, 51))


def exposure(seed, shape=(N, N), level=3.0):
    """Noise of 1 with bad pixels, and a star of its own."""
    random = np.random.default_rng(seed)
    sci = random.normal(level, 1, shape).astype(np.float32)
    sci[HOT] += 200
    sci[WARM] += 12
    sci[LOW] -= 12
    sci[OPEN] -= 40
    for y, x in ((49, 50), (51, 50), (50, 49), (50, 51)):
        sci[y, x] += 10
    y, x = random.integers(2, N - 2, 2)
    sci[y - 1 : y + 2, x - 1 : x + 2] += 500
    return Image(sci, np.ones(shape, np.float32), np.zeros(shape, np.uint32))


def found(images, **parameters):
    return collect_bad_pixels(((image, FACTS) for image in images), BadPixels(**parameters))


def flags(*names):
    return sum(FLAGS[name] for name in ("DO_NOT_USE", *names))


def test_each_kind_is_found_and_nothing_else():
    collected = found(exposure(seed) for seed in range(6))
    dq = collected["dq"]
    assert dq[HOT] == flags("HOT")
    assert dq[WARM] == flags("WARM")
    assert dq[LOW] == flags("LOW_QE")
    assert dq[OPEN] == flags("OPEN")
    assert dq[BESIDE] == flags("ADJ_OPEN")
    assert np.count_nonzero(dq) == 8
    assert (collected["judged"] == 6).all()
    assert (collected["deviates"][HOT], collected["deviates"][LOW]) == (6, -6)


def test_a_pixel_that_deviates_in_few_exposures_is_good():
    images = [exposure(seed) for seed in range(5)]
    for number, image in enumerate(images):
        image.sci[30, 30] += 100 * (number < 3)
        image.sci[34, 34] += 100 * (number < 2)
    dq = found(images, fraction=0.6)["dq"]
    assert dq[30, 30] != 0
    assert dq[34, 34] == 0


def test_an_edge_of_what_light_reaches_is_no_row_of_bad_pixels():
    images = [exposure(seed) for seed in range(6)]
    for image in images:
        image.sci[:, 30:32] -= 30
        image.sci[60, 10:30] += 12
    dq = found(images)["dq"]
    assert not dq[:, 30:32].any()
    assert (dq[60, 10:30] == flags("WARM")).sum() >= 18


def test_flagged_pixels_are_not_judged():
    images = [exposure(seed) for seed in range(6)]
    for image in images[:3]:
        image.dq[HOT] |= FLAGS["DO_NOT_USE"]
        image.sci[WARM] = np.nan
    collected = found(images)
    assert collected["judged"][HOT] == collected["judged"][WARM] == 3
    assert collected["dq"][HOT] == collected["dq"][WARM] == 0
    assert found(images, exposures=3)["dq"][HOT] == flags("HOT")


def test_too_few_exposures_tell_of_nothing():
    assert not found([exposure(seed) for seed in range(3)])["dq"].any()


def test_an_exposure_without_a_usable_pixel_tells_of_nothing():
    images = [exposure(seed) for seed in range(5)]
    images[0].dq |= FLAGS["DO_NOT_USE"]
    assert (found(images)["judged"] == 4).all()


def test_integrations_are_averaged():
    images = []
    for seed in range(4):
        one, other = exposure(seed), exposure(seed + 10)
        other.sci[HOT] = np.nan
        images.append(Image(*(np.stack([getattr(i, name) for i in (one, other)]) for name in ("sci", "err", "dq"))))
    dq = found(images)["dq"]
    assert dq.shape == (N, N)
    assert dq[HOT] == flags("HOT")


def test_subarrays_and_full_frames_count_together():
    full = [exposure(seed) for seed in range(2)]
    rows, columns = slice(4, 44), slice(6, 60)
    pairs = [(image, FACTS) for image in full]
    for seed in range(2, 4):
        part = Image(*(getattr(exposure(seed), name)[rows, columns] for name in ("sci", "err", "dq")))
        pairs.insert(0, (part, replace(FACTS, first_pixel=(7, 5))))
    collected = collect_bad_pixels(iter(pairs), BadPixels())
    assert tuple(collected["first_pixel"]) == (1, 1)
    assert collected["judged"][HOT] == 4
    assert collected["judged"][0, 0] == 2
    assert collected["dq"][HOT] == flags("HOT")
    assert collected["dq"][OPEN] == 0  # outside of the subarray only two tell of it


def test_they_are_flagged_and_flags_that_were_there_stay():
    collected = found(exposure(seed) for seed in range(6))
    planes = exposure(7)
    planes.dq[HOT] = FLAGS["DO_NOT_USE"] | FLAGS["SATURATED"]
    cleaned = bad_pixels(planes, BadPixels(), FACTS, collected=collected)
    assert cleaned.dq[HOT] == flags("HOT", "SATURATED")
    assert cleaned.figures == {
        "pixels": 8,
        "usable before": 7,
        "hot": 1,
        "warm": 1,
        "low_qe": 1,
        "open": 1,
        "adj_open": 4,
    }
    part = Image(*(getattr(planes, name)[5:20, 3:40] for name in ("sci", "err", "dq")))
    cleaned = bad_pixels(part, BadPixels(), replace(FACTS, first_pixel=(4, 6)), collected=collected)
    assert np.argwhere(cleaned.dq).tolist() == [[3, 6]]


def test_a_mask_of_another_run_serves_as_well(tmp_path):
    shipped = SHIPPED["bad_pixels"]
    pairs = ((exposure(seed), FACTS) for seed in range(6))
    names = in_full(shipped.function), in_full(shipped.parameters)
    arrays = collect("bad", in_full(shipped.collect), {}, names[1], pairs)
    path = tmp_path / "mask.fits"
    write_product(path, fits.Header(), {name.upper(): array for name, array in arrays.items()})
    step = ExtraStep("bad", "S_BAD", names[0], {}, names[1], {"mask": (str(path), ARRAYS)})
    planes, figures = step.called(["SCI"], "rate")(exposure(9), FACTS)
    assert figures["pixels"] == 8
    assert planes.dq[OPEN] == flags("OPEN")
    with pytest.raises(ValueError, match="there is no 2-D image in an extension DQ"):
        bad_pixels(exposure(1), BadPixels(), FACTS, mask={"sci": np.zeros((N, N))})
