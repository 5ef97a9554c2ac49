import math

import numpy as np
import pytest

from calflow.science.calibration.photom import MJYSR_TO_UJYA2, apply_conversion, conversion_factor, time_correction
from calflow.science.image import Image

NAN = np.nan


def test_no_time_dependence():
    assert time_correction(60000.0) == 1


def test_linear_time_dependence():
    row = {"t0": 59000.0, "lossperyear": 0.1}
    assert time_correction(59730.0, linear=row) == pytest.approx(0.8)  # 1 - 0.1 x 2 years


def test_exponential_time_dependence():
    row = {"t0": 59000.0, "amplitude": 0.5, "tau": 100.0, "const": 0.65}
    time = 59000 + 100 * math.log(2)
    assert time_correction(time, exponential=row) == pytest.approx(0.9)  # 0.5 / 2 + 0.65


def test_power_law_time_dependence():
    row = {"t0": 59000.0, "year1value": 0.9, "tsoft": 35.0, "alpha": -0.5}
    assert time_correction(59365.0, powerlaw=row) == pytest.approx(0.9)
    assert time_correction(59000 + 1565.0, powerlaw=row) == pytest.approx(0.45)  # 0.9 x 4^-0.5


def test_time_dependences_are_multiplied():
    correction = time_correction(
        59365.0,
        linear={"t0": 59000.0, "lossperyear": 0.2},
        exponential={"t0": 59365.0, "amplitude": 0.25, "tau": 200.0, "const": 0.25},
        powerlaw={"t0": 59000.0, "year1value": 0.5, "tsoft": 1.0, "alpha": 2.0},
    )
    assert correction == pytest.approx(0.8 * 0.5 * 0.5)
    assert type(correction) is float


def test_before_the_reference_time_the_throughput_was_higher():
    assert time_correction(58635.0, linear={"t0": 59000.0, "lossperyear": 0.1}) == pytest.approx(1.1)


def test_times_are_not_rounded_to_the_float32_of_the_tables():
    row = {"t0": np.float32(60000), "lossperyear": np.float32(365)}
    assert time_correction(60000.001, linear=row) == pytest.approx(0.999, abs=1e-9)


@pytest.mark.parametrize(
    "tables",
    [
        {"linear": {"t0": 0.0, "lossperyear": 1.0}},
        {"linear": {"t0": NAN, "lossperyear": 0.1}},
        {"exponential": {"t0": 60000.0, "amplitude": 1.0, "tau": 0.0, "const": 1.0}},
        {"exponential": {"t0": 70000.0, "amplitude": 1.0, "tau": 1.0, "const": 1.0}},
        {"powerlaw": {"t0": 70000.0, "year1value": 1.0, "tsoft": 1.0, "alpha": 0.5}},
    ],
)
def test_a_throughput_that_cannot_be_is_refused(tables):
    with pytest.raises(ValueError, match=r"relative throughput of .* must be finite and positive"):
        time_correction(60000.0, **tables)


def test_conversion_factor_is_divided_by_the_throughput():
    assert conversion_factor(np.float32(0.5), 0.8) == 0.625
    assert conversion_factor(2.0) == 2


@pytest.mark.parametrize("photmjsr", [0.0, -1.0, NAN, np.inf])
def test_a_useless_table_value_is_refused(photmjsr):
    with pytest.raises(ValueError, match="photmjsr of the selected PHOTOM row is"):
        conversion_factor(photmjsr)


def test_surface_brightness_unit_is_the_one_of_geometry():
    square_arcsec = (math.pi / 648000) ** 2  # sr
    assert pytest.approx(1e12 * square_arcsec, rel=1e-6) == MJYSR_TO_UJYA2


def exposure(shape=(1, 3)):
    values = (4, 2, 3, 1, 5)
    sci, err, poisson, rnoise, flat = (np.full(shape, value, np.float32) for value in values)
    return Image(sci, err, np.zeros(shape, np.uint32), poisson, rnoise, flat)


def test_values_and_errors_are_scaled_and_variances_by_the_square():
    out = apply_conversion(exposure((1, 1)), 0.5)
    assert {name: float(plane[0, 0]) for name, plane in out.planes().items()} == {
        "sci": 2,
        "err": 1,
        "dq": 0,
        "var_poisson": 0.75,
        "var_rnoise": 0.25,
        "var_flat": 1.25,
    }
    assert all(plane.dtype == np.float32 for name, plane in out.planes().items() if name != "dq")


def test_inverse_divides():
    out = apply_conversion(exposure((1, 1)), 0.5, inverse=True)
    assert (out.sci[0, 0], out.err[0, 0], out.var_poisson[0, 0]) == (8, 4, 12)


def test_every_integration_is_converted():
    assert apply_conversion(exposure((2, 1, 1)), 2.0).sci.ravel().tolist() == [8, 8]


def test_planes_that_do_not_exist_stay_away():
    image = exposure()
    out = apply_conversion(Image(image.sci, image.err, image.dq), 2.0)
    assert list(out.planes()) == ["sci", "err", "dq"]
    assert out.err.tolist() == [[4, 4, 4]]


def test_bad_pixels_are_nan_in_all_planes_and_have_do_not_use():
    image = exposure()
    image.var_flat[0, 0] = NAN
    image.dq[0, 1] = 1 + 4
    out = apply_conversion(image, 2.0)
    assert out.dq.tolist() == [[1, 5, 0]]
    assert np.array_equal(out.sci, [[NAN, NAN, 8]], equal_nan=True)
    assert np.array_equal(out.var_rnoise, [[NAN, NAN, 4]], equal_nan=True)


def test_the_exposure_stays_as_it_is():
    image = exposure()
    image.sci[0, 0] = NAN
    apply_conversion(image, 2.0)
    assert image.dq.tolist() == [[0, 0, 0]]
    assert image.err.tolist() == [[2, 2, 2]]


@pytest.mark.parametrize("factor", [0.0, NAN, np.inf, 1e25, 1e-25])
def test_a_factor_that_would_destroy_the_data_is_refused(factor):
    with pytest.raises(ValueError, match="the conversion factor is"):
        apply_conversion(exposure(), factor)
