"""The keywords of a resampled image that say what it was resampled to."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.io import fits

from calflow.files.keywords import STATUS, remove_wcs, replace_wcs
from calflow.science.geometry.footprints import s_region
from calflow.science.geometry.output_grid import OutputGrid, fits_keywords, pixel_area_keywords

# Keywords of the detector's orientation: a rectified image has none.
OF_THE_DETECTOR = ("V2_REF", "V3_REF", "RA_REF", "DEC_REF", "ROLL_REF", "V3I_YANG", "VPARITY")


def record_grid(
    headers: Mapping[str, fits.Header],
    grid: OutputGrid,
    regions: Sequence[np.ndarray],
    weight_type: str,
    pixfrac: float,
) -> None:
    """Record in the headers of an image what it was resampled to.

    Parameters
    ----------
    headers : mapping
        ``PRIMARY`` and ``SCI``.
    grid : OutputGrid
    regions : sequence of float array, shape (n, 2)
        Outlines of what the inputs cover, degrees.
    weight_type, pixfrac
        As `science.combination.resample.Resampler` takes them.
    """
    primary, science = headers["PRIMARY"], headers["SCI"]
    primary.set("S_RESAMP", "COMPLETE", STATUS["resample"][1])
    primary.set("DATAMODL", "ImageModel", "Type of data model")
    primary.set("RESWHT", weight_type, "Drizzle weighting type")
    primary.set("PIXFRAC", pixfrac, "Pixel fraction used to shrink the pixels")
    primary.set("PXSCLRT", grid.pixel_scale_ratio, "Ratio of output to input pixel scale")
    for keyword in OF_THE_DETECTOR:
        science.remove(keyword, ignore_missing=True)
    remove_wcs(primary)  # that of an input, of layouts that have it there
    replace_wcs(science, fits_keywords(grid) | pixel_area_keywords(grid))
    if regions:
        science.set("S_REGION", s_region(*regions), "Spatial footprint of the observation")
    else:
        science.remove("S_REGION", ignore_missing=True)
