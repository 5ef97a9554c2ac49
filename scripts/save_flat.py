"""Keep the flat as it is applied to an exposure: cut to its window, with the standard DQ bits."""

from pathlib import Path

from astropy.io import fits

from job import run
from products.exposure import PLANES, sign, write_hdus
from products.reference_files import read_flat
from steps.windows import Window

COPIED = "TELESCOP INSTRUME DETECTOR FILTER PUPIL SUBARRAY SUBSTRT1 SUBSTRT2 SUBSIZE1 SUBSIZE2".split()


def save_flat(input, output, params):
    """Make ``_interpolatedflat``."""
    path, exposure = Path(output.flat), fits.getheader(input.exposure)
    planes = dict(zip(("sci", "err", "dq"), read_flat(input.flat, Window(*params.window)), strict=True))
    primary = fits.PrimaryHDU()
    primary.header.set("FILENAME", path.name, "Name of the file")
    primary.header.set("DATAMODL", "FlatModel", "Type of data model")
    primary.header.set("REFTYPE", "FLAT", "Reference file type")
    primary.header.set("R_FLAT", Path(input.flat).name, "Flat reference file name")
    primary.header.extend([exposure.cards[keyword] for keyword in COPIED if keyword in exposure])
    sign(primary.header, params.write_date)
    write_hdus([primary, *(fits.ImageHDU(planes[name], name=PLANES[name]) for name in ("sci", "dq", "err"))], path)


if "snakemake" in globals():
    run(save_flat, snakemake)
