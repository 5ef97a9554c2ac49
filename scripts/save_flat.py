"""Keep the flat as it is applied to an exposure: cut to its window, with the standard DQ bits."""

from pathlib import Path

from astropy.io import fits

from job import run
from products.exposure import PLANES, read_exposure, sign, write_hdus
from products.keywords import window
from products.reference_files import read_flat

COPIED = (
    "TELESCOP",
    "INSTRUME",
    "DETECTOR",
    "FILTER",
    "PUPIL",
    "SUBARRAY",
    "SUBSTRT1",
    "SUBSTRT2",
    "SUBSIZE1",
    "SUBSIZE2",
)


def save_flat(input, output, params):
    """Make ``_interpolatedflat``."""
    exposure, path = read_exposure(input.exposure), Path(output.flat)
    sci, err, dq = read_flat(input.flat, window(exposure))
    primary = fits.PrimaryHDU()
    primary.header.set("FILENAME", path.name, "Name of the file")
    primary.header.set("DATAMODL", "FlatModel", "Type of data model")
    primary.header.set("REFTYPE", "FLAT", "Reference file type")
    primary.header.set("R_FLAT", Path(input.flat).name, "Flat reference file name")
    for keyword in COPIED:
        if exposure.keyword(keyword) is not None:
            primary.header.set(keyword, exposure.keyword(keyword))
    sign(primary.header, params.write_date)
    planes = zip(("sci", "dq", "err"), (sci, dq, err), strict=True)
    write_hdus([primary, *(fits.ImageHDU(plane, name=PLANES[name]) for name, plane in planes)], path)


if "snakemake" in globals():
    run(save_flat, snakemake)
