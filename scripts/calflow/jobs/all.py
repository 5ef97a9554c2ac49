"""All jobs, by the names of their rules."""

from calflow.jobs import (
    alignment,
    backgrounds,
    calibration,
    colour,
    combination,
    extra_steps,
    maps,
    outliers,
    pages,
    pictures,
    previews,
    quality,
    references,
    sky,
)

JOBS = {
    **references.JOBS,
    **extra_steps.JOBS,
    **backgrounds.JOBS,
    **calibration.JOBS,
    **alignment.JOBS,
    **sky.JOBS,
    **outliers.JOBS,
    **combination.JOBS,
    **pictures.JOBS,
    **quality.JOBS,
    **previews.JOBS,
    **colour.JOBS,
    **maps.JOBS,
    **pages.JOBS,
}
