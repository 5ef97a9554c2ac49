import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calflow.science.calibration.flat_field import Flat, apply_flat, divide_by_flat
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image, usable

NAN = np.nan
DNU, NO_FLAT, HOT = FLAGS["DO_NOT_USE"], FLAGS["NO_FLAT_FIELD"], FLAGS["HOT"]


def plane(value, shape=(1, 1)):
    return np.full(shape, value, np.float32)


def exposure(sci=8.0, err=9.0, dq=0, var_poisson=4.0, var_rnoise=8.0, shape=(1, 1)):
    return Image(
        plane(sci, shape),
        plane(err, shape),
        np.full(shape, dq, np.uint32),
        plane(var_poisson, shape),
        plane(var_rnoise, shape),
    )


def without_variances(**values):
    image = exposure(**values)
    return Image(image.sci, image.err, image.dq)


def flat(sci=2.0, err=0.5, dq=0, shape=(1, 1)):
    return Flat(plane(sci, shape), plane(err, shape), np.full(shape, dq, np.uint32))


def test_all_planes():
    out = apply_flat(exposure(), flat())
    assert out.sci[0, 0] == 4  # 8 / 2
    assert out.var_poisson[0, 0] == 1  # 4 / 2^2
    assert out.var_rnoise[0, 0] == 2  # 8 / 2^2
    assert out.var_flat[0, 0] == 1  # 8^2 x 0.5^2 / 2^4
    assert out.err[0, 0] == 2  # sqrt(1 + 2 + 1); the input error of 9 is not used
    assert out.dq[0, 0] == 0
    assert all(array.dtype == np.float32 for name, array in out.planes().items() if name != "dq")
    assert out.dq.dtype == np.uint32


def test_without_variances_the_error_of_the_flat_is_added_in_quadrature():
    out = apply_flat(without_variances(err=6), flat(err=2))
    assert out.err[0, 0] == 5  # sqrt((6/2)^2 + (4/2)^2 x 2^2)
    assert (out.var_poisson, out.var_rnoise, out.var_flat) == (None, None, None)


@pytest.mark.parametrize("inverse", [False, True])
def test_one_part_of_the_variance_alone_is_scaled_but_not_summed_up(inverse):
    image = exposure(err=6)
    image.var_rnoise, image.var_flat = None, plane(7)
    out = apply_flat(image, flat(err=0), inverse=inverse)
    assert out.err[0, 0] == (12 if inverse else 3)
    assert out.var_poisson[0, 0] == (16 if inverse else 1)
    assert out.var_flat is None


def test_a_flat_of_unknown_error_adds_none():
    unknown = Flat(plane(-2), None, np.zeros((1, 1), np.uint32))
    assert apply_flat(without_variances(err=6), unknown).err[0, 0] == 3
    out = apply_flat(exposure(), unknown)
    assert (out.var_flat[0, 0], out.err[0, 0]) == (0, pytest.approx(math.sqrt(3)))


def test_every_integration_has_its_own_flat_variance():
    image = exposure(shape=(2, 1, 1))
    image.sci[1] = 16
    out = apply_flat(image, flat())
    assert out.sci.ravel().tolist() == [4, 8]
    assert out.var_flat.ravel().tolist() == [1, 4]
    assert out.err.ravel().tolist() == pytest.approx([2, math.sqrt(7)])


def test_negative_flats_are_used_as_they_are():
    out = apply_flat(exposure(), flat(sci=-2))
    assert (out.sci[0, 0], out.var_flat[0, 0], out.err[0, 0], out.dq[0, 0]) == (-4, 1, 2, 0)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(
    ("value", "dq", "expected"),
    [
        (NAN, 0, NO_FLAT | DNU),
        (np.inf, 0, NO_FLAT | DNU),
        (3e38, 0, NO_FLAT | DNU),
        (1e-25, 0, NO_FLAT | DNU),
        (0.0, 0, NO_FLAT | DNU),
        (-0.0, HOT, HOT | NO_FLAT | DNU),
        (2.0, NO_FLAT, NO_FLAT | DNU),
        (2.0, DNU, DNU),
    ],
)
def test_pixels_without_a_usable_flat_are_flagged_and_nan(value, dq, expected, inverse):
    out = apply_flat(exposure(dq=4), flat(sci=value, dq=dq), inverse=inverse)
    assert out.dq[0, 0] == expected | 4
    assert all(np.isnan(array).all() for name, array in out.planes().items() if name != "dq")


@pytest.mark.parametrize("changed", [{"sci": 1e-15}, {"err": np.inf}, {"err": -0.5}, {"sci": 1e-10, "err": 1e12}])
def test_what_the_flat_makes_no_value_is_flagged_and_nan(changed):
    out = apply_flat(exposure(sci=1e5, dq=4), flat(**changed))
    assert out.dq[0, 0] == DNU | 4
    assert all(np.isnan(array).all() for name, array in out.planes().items() if name != "dq")


def test_other_flags_of_the_flat_are_passed_on():
    out = apply_flat(exposure(dq=4), flat(dq=HOT))
    assert (out.dq[0, 0], out.sci[0, 0]) == (HOT | 4, 4)


def test_flags_of_the_flat_are_in_every_integration():
    assert apply_flat(exposure(shape=(2, 1, 1)), flat(dq=HOT)).dq.ravel().tolist() == [HOT, HOT]


def test_a_flat_of_nan_error_is_not_usable():
    out = apply_flat(exposure(), flat(err=NAN))
    assert (out.dq[0, 0], np.isnan(out.sci[0, 0])) == (DNU, True)


def test_pixels_bad_in_the_exposure_are_nan_in_all_planes():
    image = exposure(shape=(1, 3))
    image.sci[0, 0] = NAN
    image.dq[0, 1] = DNU
    out = apply_flat(image, flat(shape=(1, 3)))
    assert out.dq.tolist() == [[DNU, DNU, 0]]
    assert np.isnan(out.var_flat).tolist() == np.isnan(out.err).tolist() == [[True, True, False]]


def test_inverse_multiplies_and_leaves_the_error_of_the_flat_out():
    out = apply_flat(exposure(var_rnoise=5), flat(err=NAN), inverse=True)
    assert out.sci[0, 0] == 16
    assert out.var_poisson[0, 0] == 16  # 4 x 2^2
    assert out.var_rnoise[0, 0] == 20  # 5 x 2^2
    assert out.var_flat[0, 0] == 0
    assert out.err[0, 0] == 6  # sqrt(16 + 20)
    assert out.dq[0, 0] == 0


def test_inverse_without_variances():
    out = apply_flat(without_variances(err=3), flat(sci=-2), inverse=True)
    assert (out.sci[0, 0], out.err[0, 0], out.var_flat) == (-16, 6, None)


@pytest.mark.parametrize("inverse", [False, True])
def test_inputs_stay_as_they_are(inverse):
    image, reference = exposure(shape=(1, 2)), flat(shape=(1, 2))
    reference.sci[0, 0] = 0
    apply_flat(image, reference, inverse=inverse)
    assert image.sci.tolist() == [[8, 8]]
    assert image.err.tolist() == [[9, 9]]
    assert image.dq.tolist() == reference.dq.tolist() == [[0, 0]]
    assert image.var_poisson.tolist() == [[4, 4]]
    assert reference.sci.tolist() == [[0, 2]]


def test_a_flat_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the flat has shape \(1, 2\), the exposure \(1, 1\)"):
        apply_flat(exposure(), flat(shape=(1, 2)))


def test_a_flat_without_any_good_pixel_leaves_no_usable_one():
    assert usable(apply_flat(exposure(shape=(2, 2)), flat(sci=NAN, shape=(2, 2)))) == 0


@given(st.floats(-1e4, 1e4, width=32), st.floats(0.125, 8, width=32))
def test_inverse_undoes_the_division(sci, response):
    out = apply_flat(apply_flat(exposure(sci=sci), flat(sci=response)), flat(sci=response), inverse=True)
    assert out.sci[0, 0] == pytest.approx(sci, rel=1e-6, abs=1e-30)
    assert out.err[0, 0] == pytest.approx(math.sqrt(12), rel=1e-6)


def test_without_variance_planes_signal_and_error_are_divided():
    out = divide_by_flat(without_variances(err=6, dq=4), flat(err=NAN, dq=HOT))
    assert (out.sci[0, 0], out.err[0, 0], out.dq[0, 0]) == (4, 3, HOT | 4)
    assert (out.sci.dtype, out.err.dtype, out.dq.dtype) == (np.float32, np.float32, np.uint32)
    assert list(out.planes()) == ["sci", "err", "dq"]


@pytest.mark.parametrize(
    ("value", "dq"),
    [(NAN, 0), (0.0, 0), (-0.0, HOT), (-2.0, 0), (np.inf, 0), (-np.inf, DNU), (1e-25, 0), (2.0, NO_FLAT)],
)
def test_where_there_is_no_response_the_exposure_stays_undivided_with_a_flag(value, dq):
    out = divide_by_flat(without_variances(err=6, dq=4), flat(sci=value, dq=dq))
    assert (out.sci[0, 0], out.err[0, 0], out.dq[0, 0]) == (8, 6, NO_FLAT | dq | 4)


def test_a_response_not_to_be_used_divides_all_the_same():
    out = divide_by_flat(without_variances(err=6), flat(dq=DNU))
    assert (out.sci[0, 0], out.err[0, 0], out.dq[0, 0]) == (4, 3, DNU)


def test_nan_and_do_not_use_need_not_agree_after_the_division():
    image = without_variances(err=6, shape=(1, 2))
    image.sci[0, 0] = NAN
    image.dq[0, 1] = DNU
    out = divide_by_flat(image, flat(shape=(1, 2)))
    assert out.dq.tolist() == [[0, DNU]]
    assert out.err.tolist() == [[3, 3]]
    assert np.isnan(out.sci).tolist() == [[True, False]]


def test_what_the_division_makes_too_large_is_no_value():
    out = divide_by_flat(without_variances(sci=1e5, err=1), flat(sci=1e-15))
    assert out.dq[0, 0] == DNU
    assert np.isnan(out.sci[0, 0])
    assert out.err[0, 0] == pytest.approx(1e15)  # which is a value


def test_the_response_divides_every_integration():
    image = without_variances(err=6, shape=(2, 1, 1))
    image.sci[1] = 16
    out = divide_by_flat(image, flat(dq=HOT))
    assert out.sci.ravel().tolist() == [4, 8]
    assert out.dq.ravel().tolist() == [HOT, HOT]


def test_parts_of_the_variance_are_divided_too():
    out = divide_by_flat(exposure(var_poisson=4, var_rnoise=12), flat())
    assert (out.var_poisson[0, 0], out.var_rnoise[0, 0], out.err[0, 0]) == (1, 3, 2)


def test_inputs_of_the_division_stay_as_they_are():
    image, reference = without_variances(err=6), flat(sci=0, dq=HOT)
    divide_by_flat(image, reference)
    assert (image.sci[0, 0], image.err[0, 0], image.dq[0, 0]) == (8, 6, 0)
    assert (reference.sci[0, 0], reference.dq[0, 0]) == (0, HOT)


def test_a_division_by_a_flat_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the flat has shape \(1, 2\), the exposure \(1, 1\)"):
        divide_by_flat(exposure(), flat(shape=(1, 2)))
