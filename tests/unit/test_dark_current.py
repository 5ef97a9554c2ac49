import numpy as np
import pytest

from calflow.science.calibration.dark_current import Dark, subtract_dark
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

HOT, DNU = FLAGS["HOT"], FLAGS["DO_NOT_USE"]


def exposure(*values, dq=0):
    sci = np.array([values], np.float32)
    return Image(sci, np.full_like(sci, 3), np.full(sci.shape, dq, np.uint32))


def dark(*values, dq=0):
    sci = np.array([values], np.float32)
    return Dark(sci, np.full(sci.shape, dq, np.uint32))


def test_the_dark_is_subtracted_and_the_error_stays():
    out = subtract_dark(exposure(8, 2), dark(0.5, -1))
    assert out.sci.tolist() == [[7.5, 3]]
    assert out.err.tolist() == [[3, 3]]
    assert (out.sci.dtype, out.dq.dtype) == (np.float32, np.uint32)


def test_its_flags_are_added():
    assert subtract_dark(exposure(8, dq=1024), dark(1, dq=DNU)).dq.tolist() == [[1025]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_where_the_dark_is_not_known_nothing_is_subtracted_or_flagged(value):
    out = subtract_dark(exposure(8), dark(value))
    assert (out.sci[0, 0], out.dq[0, 0]) == (8, 0)


def test_a_pixel_without_a_value_stays_without():
    assert np.isnan(subtract_dark(exposure(np.nan), dark(1)).sci).all()


def test_it_is_subtracted_from_every_integration():
    image = exposure(8, 2)
    cube = Image(*(np.stack([plane, plane]) for plane in (image.sci, image.err, image.dq)))
    cube.sci[1] += 10
    out = subtract_dark(cube, dark(1, 2, dq=HOT))
    assert out.sci.tolist() == [[[7, 0]], [[17, 10]]]
    assert out.dq.tolist() == [[[HOT, HOT]]] * 2


def test_inputs_stay_as_they_are():
    image, reference = exposure(8), dark(np.nan, dq=HOT)
    subtract_dark(image, reference)
    assert (image.sci[0, 0], image.dq[0, 0]) == (8, 0)
    assert np.isnan(reference.sci[0, 0])


def test_darks_in_double_precision_leave_the_exposure_float32():
    reference = Dark(np.ones((1, 1)), np.zeros((1, 1), np.uint16))
    out = subtract_dark(exposure(8), reference)
    assert (out.sci.dtype, out.dq.dtype) == (np.float32, np.uint32)


def test_a_dark_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the dark has shape \(1, 2\), the exposure \(1, 1\); cut the dark"):
        subtract_dark(exposure(8), dark(1, 2))


def test_a_dark_whose_planes_differ_is_refused():
    with pytest.raises(ValueError, match=r"err of the dark has shape \(2, 2\), its sci \(1, 1\)"):
        Dark(np.ones((1, 1)), np.zeros((1, 1), np.uint32), np.ones((2, 2)))
