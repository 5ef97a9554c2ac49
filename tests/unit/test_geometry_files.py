import json
from dataclasses import replace

import asdf
import numpy as np
import pytest
from astropy import coordinates, units
from astropy.modeling.models import Pix2Sky_TAN, RotateNative2Celestial, Scale, Shift
from gwcs import WCS
from gwcs import coordinate_frames as cf

from calflow.files.alignment_tables import AlignmentRow, read_corrected_geometry
from calflow.files.geometry_files import read_geometry, read_json, write_geometry, write_json
from calflow.files.grid_files import read_grid, write_grid
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.output_grid import InputPixels, OutputGrid, grid_from_wcs
from calflow.science.geometry.sky_rotation import SkyRotation
from calflow.science.geometry.smooth_map import SmoothMap
from calflow.science.geometry.tan_projection import TanProjection
from calflow.science.geometry.tangent_plane import Affine

RANDOM = np.random.default_rng(5)
GEOMETRY = Geometry(
    shape=(80, 120),
    centre=(1 / 3, -70.1),
    detector_to_plane=SmoothMap((-0.5, 119.5), (3.5, 79.5), RANDOM.normal(size=(8, 8, 2))),
    plane_to_detector=SmoothMap((-5.1, 1 / 3), (-4.0, 4.25), RANDOM.normal(size=(12, 12, 2)) * 1e-17),
    pixels=InputPixels(0.1 + 0.2, 1 / 3, 77.7, -1),
)
PROJECTION = TanProjection((1 / 3, 40.1), (0.1 + 0.2, -70.0), 0.1 / 3600, ((-0.6, 0.8), (0.8, 0.6)))
GRID = OutputGrid((90, 100), 0.1 + 0.2, 1 / 3, ((-0.5, 99.5), (1.5, 89.5)), PROJECTION)


def user_grid():
    transform = Shift(-10.0) & Shift(-12.0) | Scale(-3e-5) & Scale(3e-5) | Pix2Sky_TAN()
    transform = transform | RotateNative2Celestial(80.0, 20.0, 180.0)
    world = cf.CelestialFrame(reference_frame=coordinates.ICRS(), name="world")
    wcs = WCS([(cf.Frame2D(name="detector", unit=(units.pix, units.pix)), transform), (world, None)])
    wcs.bounding_box = (-0.5, 24.5), (-0.5, 19.5)
    return grid_from_wcs({"wcs": wcs}, 0.01)


def test_a_geometry_is_read_bit_for_bit(tmp_path):
    write_geometry(tmp_path / "x.json", GEOMETRY)
    found = read_geometry(tmp_path / "x.json")
    assert (found.shape, found.centre, found.bounds) == (GEOMETRY.shape, GEOMETRY.centre, GEOMETRY.bounds)
    assert found.pixels == GEOMETRY.pixels
    for name in ("detector_to_plane", "plane_to_detector"):
        mapping, expected = getattr(found, name), getattr(GEOMETRY, name)
        assert (mapping.x_range, mapping.y_range) == (expected.x_range, expected.y_range)
        assert mapping.coefficients.dtype == np.float64
        assert mapping.coefficients.tobytes() == expected.coefficients.tobytes()


def test_the_geometry_is_written_without_its_correction(tmp_path):
    write_geometry(tmp_path / "x.json", GEOMETRY.corrected(Affine(shift=(1.0, 2.0)), SkyRotation((0.1, 0.1, 0.0))))
    found = read_geometry(tmp_path / "x.json")
    assert found.correction.is_identity
    assert found.rotation.is_identity


def test_a_geometry_is_read_with_what_its_alignment_did(tmp_path):
    write_geometry(tmp_path / "x.json", GEOMETRY)
    shift, turn = Affine(shift=(1.0, 2.0)), SkyRotation((0.1, 0.1, 0.0))
    row = AlignmentRow("x", "g", "COMPLETE", "", True, np.zeros((4, 2)), correction=shift, rotation_of_sky=turn)
    found = read_corrected_geometry(tmp_path / "x.json", row)
    assert (found.correction, found.rotation) == (shift, turn)
    # The shift is what is added in the tangent plane, arcsec.
    np.testing.assert_allclose(found.plane(3.0, 5.0) - GEOMETRY.plane(3.0, 5.0), [1.0, 2.0], rtol=0, atol=1e-12)


def test_what_has_no_geometry_tells_why(tmp_path):
    write_json(tmp_path / "x.json", {"none": "WCSINFO is missing"})
    row = AlignmentRow("x", "g", "SKIPPED", "", True, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="WCSINFO is missing"):
        read_corrected_geometry(tmp_path / "x.json", row)


def test_a_grid_is_read_bit_for_bit(tmp_path):
    write_grid(tmp_path / "x.json", GRID)
    found = read_grid(tmp_path / "x.json")
    assert found == GRID
    assert hash(found) == hash(GRID)  # tuples again, no lists
    np.testing.assert_array_equal(found.to_sky(np.array([3.0, 4.0])), GRID.to_sky(np.array([3.0, 4.0])))


def test_a_projection_needs_no_wcs_of_the_user(tmp_path):
    write_grid(tmp_path / "x.json", GRID)
    assert read_grid(tmp_path / "x.json", user_file="not used").user_wcs is None


def test_a_grid_of_another_kind_takes_the_wcs_of_the_user(tmp_path):
    grid = user_grid()
    write_grid(tmp_path / "x.json", grid)
    bare = WCS(grid.wcs.pipeline)  # as a user may have it: without shape and bounding box
    asdf.AsdfFile({"wcs": bare}).write_to(tmp_path / "user.asdf")
    found = read_grid(tmp_path / "x.json", tmp_path / "user.asdf")
    assert found.projection is None
    assert found.wcs(3.0, 4.0) == pytest.approx(grid.wcs(3.0, 4.0), rel=1e-15)
    assert found.wcs.array_shape == grid.shape
    assert found.wcs.bounding_box.bounding_box(order="F") == grid.box
    assert (found.shape, found.box, found.pixel_scale) == (grid.shape, grid.box, grid.pixel_scale)


@pytest.mark.parametrize("write", [lambda path: write_geometry(path, GEOMETRY), lambda path: write_grid(path, GRID)])
def test_same_values_same_bytes(tmp_path, write):
    for name in "xy":
        write(tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_files_are_plain_json(tmp_path):
    write_grid(tmp_path / "x.json", GRID)
    tree = json.loads((tmp_path / "x.json").read_text())
    assert tree["shape"] == [90, 100]
    assert tree["projection"]["type"] == "TAN"
    assert tree["projection"]["crval"] == [0.1 + 0.2, -70.0]


def test_json_there_and_back(tmp_path):
    tree = {"a": [1, 2.5, None, True], "b": {"c": "ü"}, "tiny": 5e-324, "large": 1.7976931348623157e308}
    write_json(tmp_path / "folder" / "x.json", tree)
    assert read_json(tmp_path / "folder" / "x.json") == tree


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_json_does_not_know_are_refused(tmp_path, value):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": value})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_grid_with_numpy_numbers_is_written(tmp_path):
    """Scales are computed by numpy."""
    write_grid(tmp_path / "x.json", replace(GRID, pixel_scale=np.float64(0.3)))
    assert read_grid(tmp_path / "x.json").pixel_scale == 0.3
