"""The gwcs of a TAN projection as an ASDF file, written as text.

asdf and gwcs take 0.9 s to start, most of the time of a job that resamples a small image. A TAN projection is nine
numbers and a bounding box in an otherwise fixed text. A test holds the text to what gwcs makes of the same numbers.
"""

from collections.abc import Iterable

from calflow.files.asdf_files import wcs_to_bytes
from calflow.science.geometry.output_grid import OutputGrid

_TEXT = """\
#ASDF 1.0.0
#ASDF_STANDARD 1.6.0
%YAML 1.1
%TAG ! tag:stsci.edu:asdf/
--- !core/asdf-1.1.0
meta:
  wcs: !<tag:stsci.edu:gwcs/wcs-1.4.0>
    name: ''
    pixel_shape: [{nx}, {ny}]
    steps:
    - !<tag:stsci.edu:gwcs/step-1.3.0>
      frame: !<tag:stsci.edu:gwcs/frame2d-1.2.0>
        axes_names: [x, y]
        axes_order: [0, 1]
        axis_physical_types: ['custom:x', 'custom:y']
        name: detector
        unit: [!unit/unit-1.0.0 pixel, !unit/unit-1.0.0 pixel]
      transform: !<tag:stsci.edu:gwcs/fitswcs_imaging-1.0.0>
        bounding_box: !transform/property/bounding_box-1.2.0
          ignore: []
          intervals:
            x: {x_interval}
            y: {y_interval}
          order: F
        cdelt: !core/ndarray-1.1.0 {cdelt}
        crpix: !core/ndarray-1.1.0 {crpix}
        crval: !core/ndarray-1.1.0 {crval}
        inputs: [x, y]
        outputs: [lon, lat]
        pc: !core/ndarray-1.1.0
        - {pc1}
        - {pc2}
        projection: !transform/gnomonic-1.4.0
          direction: pix2sky
          inputs: [x, y]
          outputs: [phi, theta]
    - !<tag:stsci.edu:gwcs/step-1.3.0>
      frame: !<tag:stsci.edu:gwcs/celestial_frame-1.2.0>
        axes_names: [lon, lat]
        axes_order: [0, 1]
        axis_physical_types: [pos.eq.ra, pos.eq.dec]
        name: world
        reference_frame: !<tag:astropy.org:astropy/coordinates/frames/icrs-1.1.0>
          frame_attributes: {{}}
        unit: [!unit/unit-1.0.0 deg, !unit/unit-1.0.0 deg]
      transform: null
...
"""


def grid_to_bytes(grid: OutputGrid) -> bytes:
    """Return an ASDF file that holds the gwcs of a grid as ``meta.wcs``.

    Parameters
    ----------
    grid : OutputGrid
    """
    return wcs_to_bytes(grid.wcs) if grid.projection is None else tan_wcs_to_bytes(grid)


def tan_wcs_to_bytes(grid: OutputGrid) -> bytes:
    """Return an ASDF file that holds the gwcs of a grid, a TAN projection, as ``meta.wcs``.

    Parameters
    ----------
    grid : OutputGrid
        With a projection.
    """
    projection = grid.projection
    if projection is None:
        raise ValueError("the grid is no TAN projection")
    ny, nx = grid.shape
    x_interval, y_interval = grid.box
    text = _TEXT.format(
        nx=nx,
        ny=ny,
        x_interval=_numbers(x_interval),
        y_interval=_numbers(y_interval),
        crpix=_numbers(projection.crpix),
        crval=_numbers(projection.crval),
        cdelt=_numbers([projection.cdelt, projection.cdelt]),
        pc1=_numbers(projection.pc[0]),
        pc2=_numbers(projection.pc[1]),
    )
    return text.encode("ascii")


def _numbers(values: Iterable[float]) -> str:
    """Return YAML's list of numbers; YAML 1.1 takes an exponent for a number only after a decimal point."""
    texts = [repr(float(value)) for value in values]
    return "[" + ", ".join(text if "." in text else text.replace("e", ".0e") for text in texts) + "]"
