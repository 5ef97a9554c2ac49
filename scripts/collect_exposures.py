"""Make of several exposures what an extra step gets for each of them, such as a mask of pixels that are always bad."""

from pathlib import Path
from typing import TYPE_CHECKING

from astropy.io import fits

from calflow.calibration.extra_steps import collect, read_lights, read_others
from calflow.files.exposure import write_product
from calflow.job import run

if TYPE_CHECKING:
    from calflow.jobs.extra_steps import Collecting


def collect_exposures(input, output, params: "Collecting"):
    """Call the function with one exposure after the other, and write the arrays that it returns."""
    paths = list(input.exposures)
    exposures = read_others(paths, params.images, params.place)
    lights = None
    if params.with_light:
        given = input.lights
        files = [given] if isinstance(given, str) else list(given)  # Snakemake gives one alone as a text
        lights = read_lights(paths, dict(zip(params.with_light, files, strict=True)))
    arrays = collect(params.step, params.function, params.parameters, params.parameter_class, exposures, lights)
    write_product(Path(output.collection), fits.Header(), {name.upper(): array for name, array in arrays.items()})


if "snakemake" in globals():
    run(collect_exposures, snakemake)
