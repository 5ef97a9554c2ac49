"""The job that takes an exposure through its extra steps."""

from typing import Any, NamedTuple

from calflow.jobs.declaration import Job
from calflow.plan.extra_steps import collection_file
from calflow.plan.first_pass import FIRST
from calflow.plan.plan import Plan, cleaning_of, collection_of, mask_of


class ExtraStepping(NamedTuple):
    """Parameters of ``apply_extra_steps``."""

    root: str
    place: str
    images: list[str]
    facts: dict[str, Any]  # keywords of the exposure that were made of others
    steps: list[dict[str, Any]]  # in their order; the files of step n are inputs_n, in the order of its inputs
    writing: dict[str, Any]  # how products are written: of `Writing`


class Collecting(NamedTuple):
    """Parameters of ``collect_exposures``."""

    step: str
    place: str
    images: list[str]
    function: str
    parameters: dict[str, Any]
    parameter_class: str
    with_light: list[int]  # which of the exposures, from 0, have a file of light, in their order


def read(plan: Plan, exposure: str, place: str) -> dict[str, Any]:
    """Return the files of ``apply_extra_steps``: the exposure, where its pixels lie, and what each step takes.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    place : str
        ``rate``, before stage 2, or ``cal``, before stage 3.
    """
    cleaning = cleaning_of(plan, exposure, place)
    files: dict[str, Any] = {"exposure": cleaning.source}
    files |= {"geometry": cleaning.geometry} if cleaning.geometry else {}
    for number, step in enumerate(cleaning.steps):
        files[f"inputs_{number}"] = [path for path, _ in step.inputs.values()]
        files[f"others_{number}"] = list(step.others or ())
        files[f"collected_{number}"] = collection_file(plan.folder, step.collected) if step.collected else ""
    return {role: file for role, file in files.items() if file}


def extra_stepping(plan: Plan, exposure: str, place: str) -> ExtraStepping:
    """Return the parameters of ``apply_extra_steps``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    place : str
        ``rate`` or ``cal``.
    """
    cleaning = cleaning_of(plan, exposure, place)
    steps = [
        {
            "name": step.name,
            "keyword": step.keyword,
            "function": step.function,
            "parameters": dict(step.parameters),
            "parameter_class": step.parameter_class,
            "inputs": [[role, kind] for role, (_, kind) in step.inputs.items()],
            "takes_others": step.others is not None,
            "leaves_out": step.leaves_out,
        }
        for step in cleaning.steps
    ]
    # What is read again is not rounded, whatever products are.
    writing = plan.settings.writing | {"compress": "none"}
    return ExtraStepping(exposure, place, list(cleaning.images), dict(cleaning.facts), steps, writing)


def functions(plan: Plan, exposure: str, place: str) -> list[str]:
    """Return the functions that ``apply_extra_steps`` calls for an exposure, and the classes of their parameters.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    place : str
        ``rate`` or ``cal``.
    """
    steps = cleaning_of(plan, exposure, place).steps
    return list(dict.fromkeys(name for step in steps for name in (step.function, step.parameter_class) if name))


def collected(plan: Plan, collection: str) -> dict[str, Any]:
    """Return the files of ``collect_exposures``: exposures of a detector, and light of their sources if that is wanted.

    Parameters
    ----------
    plan : Plan
        What this run does.
    collection : str
        Name of what is made of them.
    """
    found = collection_of(plan, collection)
    lights = [path for path in found.lights if path]
    return {"exposures": list(found.members), **({"lights": lights} if lights else {})}


def collecting(plan: Plan, collection: str) -> Collecting:
    """Return the parameters of ``collect_exposures``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    collection : str
        Name of what is made of the exposures.
    """
    found = collection_of(plan, collection)
    return Collecting(
        step=found.step,
        place=found.place,
        images=list(found.images),
        function=found.function,
        parameters=dict(found.parameters),
        parameter_class=found.parameter_class,
        with_light=[number for number, path in enumerate(found.lights) if path],
    )


def collecting_functions(plan: Plan, collection: str) -> list[str]:
    """Return the function that ``collect_exposures`` calls, and the class of its parameters.

    Parameters
    ----------
    plan : Plan
        What this run does.
    collection : str
        Name of what is made of the exposures.
    """
    found = collection_of(plan, collection)
    return [name for name in (found.function, found.parameter_class) if name]


class Masking(NamedTuple):
    """Parameters of ``mask_sources``."""

    exposures: list[str]  # for each image the exposure in its alignment table; empty: it is placed by its header


def pictured(plan: Plan, source: str, exposure: str) -> dict[str, Any]:
    """Return the files of ``mask_sources``: combined images, their grids, and where the exposure lies.

    Parameters
    ----------
    plan : Plan
        What this run does.
    source : str
        Whose images: the name of an association, or ``association`` for those that the exposure is in.
    exposure : str
        Root of the names of its products.
    """
    mask, stage3 = mask_of(plan, source, exposure), plan.stage3
    images = [name for name, _ in mask.images]
    common = [stage3.association(name).common_grid for name in images]
    given = [plan.settings.grids[grid] if grid else plan.settings.stage3.resample for grid in common]
    files = {
        "images": [stage3.path(f"{name}_i2d.fits") for name in images],
        "grids": [stage3.grid(name) for name in images],
        "output_wcs": [section.output_wcs for section in given if section.output_wcs],
        "geometry": mask.geometry,
        "alignments": [stage3.table(by, "alignment") for _, by in mask.images if by],
        "calibrated": mask.calibrated,
    }
    return {role: file for role, file in files.items() if file}


def masking(plan: Plan, source: str, exposure: str) -> Masking:
    """Return the parameters of ``mask_sources``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    source, exposure : str
        As of `pictured`.
    """
    return Masking([FIRST + exposure if by else "" for _, by in mask_of(plan, source, exposure).images])


def waits_for_others(plan: Plan, exposure: str, place: str) -> bool:
    """Tell whether the extra steps of an exposure may wait for jobs of other exposures.

    Parameters
    ----------
    plan : Plan
        What this run does.
    exposure : str
        Root of the names of its products.
    place : str
        ``rate`` or ``cal``.
    """
    return place == "cal" or any(step.mask_from for step in cleaning_of(plan, exposure, place).steps)


JOBS = {
    "mask_sources": Job("mask_sources.py", pictured, masking, like="resample_exposure"),
    # What it makes is not temporary: made anew for one exposure, it would drag all others along.
    "collect_exposures": Job(
        "collect_exposures.py", collected, collecting, like="combine_background", functions=collecting_functions
    ),
    "apply_extra_steps": Job("apply_extra_steps.py", read, extra_stepping, like="calibrate", functions=functions),
}
