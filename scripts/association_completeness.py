"""Put artificial sources into a combined image, and look which its catalogue would have. Makes a JSON file."""

from pathlib import Path
from typing import TYPE_CHECKING

from calflow.files.geometry_files import write_json
from calflow.job import run
from calflow.patches import start_photutils
from calflow.quality.completeness import measure_completeness
from calflow.science.quality.completeness_parameters import Injection
from calflow.science.sources.catalog_parameters import CatalogParameters

if TYPE_CHECKING:
    from calflow.jobs.quality import Completing


def inject(input, output, params: "Completing"):
    """Write how complete the catalogue is."""
    start_photutils()
    parameters, settings = CatalogParameters(**params.source_catalog), Injection(**params.injection)
    write_json(
        Path(output.completeness), measure_completeness(Path(input.i2d), Path(input.catalog), parameters, settings)
    )


if "snakemake" in globals():
    run(inject, snakemake)
