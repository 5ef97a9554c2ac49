"""Tell the noise of an instrument and filter, in which its pictures measure brightness. Makes a JSON file."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.expected_noise import expected_noise
from calflow.files.geometry_files import write_json
from calflow.job import run
from calflow.quality.brightness import noise_step

if TYPE_CHECKING:
    from calflow.jobs.previews import FilterNoise

log = logging.getLogger(__name__)


def tell(input, output, params: "FilterNoise"):
    """Write the step of noise of the exposures of which it can be told."""
    noises = []
    for path, source in zip(input.exposures, params.sources, strict=True):
        reference = source["reference"]
        try:
            noises.append(
                expected_noise(Path(path), source, None if reference is None else Path(input.photom[reference]))
            )
        except Exception as error:  # its own calibration fails for it: pictures of others do not
            log.warning("%s does not count: %s", path, error)
    write_json(Path(output.noise), {"noise": noise_step(noises)})


if "snakemake" in globals():
    run(tell, snakemake)
