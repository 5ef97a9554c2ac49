"""Take an exposure through its extra steps. Makes ``_rate_clean`` of ``_rate``, and ``_cal_clean`` of ``_cal``."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from calflow.calibration.extra_steps import ExtraStep, apply_step, facts_of, record_step
from calflow.calibration.work import BLOCK_PIXELS
from calflow.files.exposure import writing_exposure
from calflow.files.integrations import read_by_integrations
from calflow.files.writing import Writing
from calflow.job import UnusableExposure, remark, remark_on, run
from calflow.science.image import usable

if TYPE_CHECKING:
    from calflow.jobs.extra_steps import ExtraStepping


def apply_extra_steps(input, output, params: "ExtraStepping"):
    """Call the steps in their order for each integration, and record what they did."""
    steps = [_step(input, number, step) for number, step in enumerate(params.steps)]
    calls = [step.called(params.images, params.place, input.exposure) for step in steps]
    before, left = 0, 0
    with (
        closing(read_by_integrations(input.exposure, params.images, Path(output.clean), BLOCK_PIXELS)) as blocks,
        writing_exposure(Path(output.clean), Writing(**params.writing)) as write,
    ):
        for exposure in blocks:
            facts = facts_of(exposure, params.root, params.place, params.facts, input.get("geometry", ""))
            if facts.integration is not None:
                facts = replace(facts, integration=before)
            # The header is written with the first block: of an exposure in several the figures stand in the log.
            whole = before == 0 and not exposure.rest
            for step, call in zip(steps, calls, strict=True):
                figures, is_applied = apply_step(exposure, step, call, facts)
                if before == 0:
                    status = "COMPLETE" if is_applied or not whole else "SKIPPED"
                    record_step(exposure, step, figures if whole else {}, status)
                    if left_undone := figures.get("left"):
                        remark(step.name, status, str(input.exposure), f"left: {left_undone}")
            before += len(exposure.image.sci)
            left += usable(exposure.image)
            if not exposure.rest:
                remark_on(exposure, "extra_steps", str(input.exposure))
                if not left:
                    raise UnusableExposure(f"no usable pixel is left after {', '.join(step.name for step in steps)}")
            write(exposure)


def _step(input, number, planned):
    """Return a step with the files that it gets."""
    files = input.get(f"inputs_{number}", [])
    others = input.get(f"others_{number}", [])
    return ExtraStep(
        planned["name"],
        planned["keyword"],
        planned["function"],
        planned["parameters"],
        planned["parameter_class"],
        {role: (path, kind) for (role, kind), path in zip(planned["inputs"], _listed(files), strict=True)},
        _listed(others) if planned["takes_others"] else None,
        input.get(f"collected_{number}", ""),
        leaves_out=planned["leaves_out"],
    )


def _listed(files):
    """Return the files of a role as a list: Snakemake gives one alone as a text."""
    return [files] if isinstance(files, str) else list(files)


if "snakemake" in globals():
    run(apply_extra_steps, snakemake)
