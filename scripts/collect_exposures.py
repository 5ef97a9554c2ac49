"""Make of several exposures what an extra step gets for each of them, such as a mask of pixels that are always bad."""

from pathlib import Path
from typing import TYPE_CHECKING

from astropy.io import fits

from calflow.calibration.extra_steps import collect, read_others
from calflow.files.exposure import write_product
from calflow.job import run

if TYPE_CHECKING:
    from calflow.jobs.extra_steps import Collecting


def collect_exposures(input, output, params: "Collecting"):
    """Call the function with one exposure after the other, and write the arrays that it returns."""
    exposures = read_others(list(input.exposures), params.images, params.place)
    arrays = collect(params.step, params.function, params.parameters, params.parameter_class, exposures)
    write_product(Path(output.collection), fits.Header(), {name.upper(): array for name, array in arrays.items()})


if "snakemake" in globals():
    run(collect_exposures, snakemake)
