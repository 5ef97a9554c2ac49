"""The average of the background exposures subtracted from an exposure."""

from calflow.files.background_files import read_average
from calflow.files.exposure import Exposure
from calflow.science.calibration.background import subtract


def subtract_average(exposure: Exposure, input, params) -> None:
    """Subtract the average of the background exposures.

    Parameters
    ----------
    exposure : Exposure
        It is changed.
    input : Snakemake's InputFiles
        The files of the job: `background`.
    params : Snakemake's Params
        Not used.
    """
    background, _ = read_average(input.background)
    exposure.image = subtract(exposure.image, background)
