"""Make a reference file, a dark or a flat, of calibration exposures. A band of rows of each is in memory at a time."""

from contextlib import ExitStack
from pathlib import Path

from calibration.dark import read_dark
from job import run
from products.made_reference_files import open_planes, write_reference
from steps.reference_making import master_dark, normalised_flat
from steps.windows import Window


def make_reference(input, output, params):
    """Combine the exposures; of flats, subtract the dark and bring the level to 1."""
    with ExitStack() as files:
        planes = [open_planes(path, params.images, files) for path in input.exposures]
        sci, err, dq = zip(*planes, strict=True)
        if params.type == "dark":
            made = master_dark(sci, err, dq, **params.combination)
        else:
            dark = read_dark(input.dark, Window(*params.window), params.images) if input.get("dark") else None
            made = normalised_flat(sci, err, dq, dark=dark, normalisation=params.normalisation, **params.combination)
    write_reference(Path(output.reference), params.keywords, made.sci, made.err, made.dq)


if "snakemake" in globals():
    run(make_reference, snakemake)
