import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calflow.files.asdf_files import wcs_from_bytes, wcs_to_bytes
from calflow.files.tan_asdf import tan_wcs_to_bytes
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.geometry.tan_projection import TanProjection

BOX = (-0.5, 99.5), (1.5, 89.5)


def grid(crpix=(1 / 3, 40.1), crval=(0.1 + 0.2, -70.0), cdelt=1e-5 / 3, pc=((-0.6, 0.8), (0.8, 0.6))):
    return OutputGrid((90, 100), 0.1, 1.0, BOX, TanProjection(crpix, crval, cdelt, pc))


def assert_same(found, expected):
    """All that a gwcs of a TAN projection has, to the last bit."""
    for name in ("crpix", "crval", "cdelt", "pc"):
        np.testing.assert_array_equal(
            getattr(found.forward_transform, name).value, getattr(expected.forward_transform, name).value
        )
    assert type(found.forward_transform) is type(expected.forward_transform)
    assert found.forward_transform.projection.prjprm.code == expected.forward_transform.projection.prjprm.code
    assert found.bounding_box == expected.bounding_box
    assert (found.array_shape, found.available_frames) == (expected.array_shape, expected.available_frames)
    assert repr(found.output_frame) == repr(expected.output_frame)
    assert repr(found.input_frame) == repr(expected.input_frame)


def test_the_same_gwcs_as_by_way_of_gwcs():
    found = wcs_from_bytes(tan_wcs_to_bytes(grid()))
    assert_same(found, wcs_from_bytes(wcs_to_bytes(grid().wcs)))
    assert found(12.0, 30.0) == grid().wcs(12.0, 30.0)
    assert found.invert(*found(12.0, 30.0)) == pytest.approx((12.0, 30.0), abs=1e-7)


NUMBERS = st.floats(-1e17, 1e17)


@settings(max_examples=25, deadline=None)
@given(st.tuples(NUMBERS, NUMBERS), st.tuples(st.floats(0, 360), st.floats(-90, 90)), st.floats(1e-300, 1))
def test_numbers_keep_their_bits(crpix, crval, cdelt):
    wanted = grid(crpix, crval, cdelt)
    assert_same(wcs_from_bytes(tan_wcs_to_bytes(wanted)), wanted.wcs)


def test_a_grid_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="no TAN projection"):
        tan_wcs_to_bytes(OutputGrid((90, 100), 0.1, 1.0, BOX, None))
