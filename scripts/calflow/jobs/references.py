"""Jobs that make reference files of calibration exposures, fetch them, and compare them with what is published."""

from pathlib import Path
from typing import Any, NamedTuple

from calflow.calibration.work import MAKERS
from calflow.instruments import parameter_types
from calflow.jobs.backgrounds import Numbers
from calflow.jobs.declaration import Job, nothing
from calflow.plan.parameter_record import parameter_record
from calflow.plan.plan import Plan, UnknownExposure
from calflow.references.crds_cache import cache_path, server_url, update_url, wanted_contexts
from calflow.references.made_reference import MadeReference


class Making(NamedTuple):
    """Parameters of ``make_reference``."""

    reftype: str
    maker: str  # the function that does it
    options: dict[str, Any]  # what it takes of the configuration
    window: Numbers
    images: list[str]
    keywords: dict[str, Any]
    writing: dict[str, Any]  # how products are written: of `Writing`


class Fetching(NamedTuple):
    """Parameters of ``fetch_reference``."""

    url: str
    observatory: str
    retries: int


class Updating(NamedTuple):
    """Parameters of ``update_crds``."""

    url: str
    crds_path: str
    contexts: list[str]
    reftypes: tuple[str, ...]  # a plan needs these themselves, not only their names
    retries: int


class Checking(NamedTuple):
    """Parameters of ``check_crds``."""

    contexts: tuple[tuple[str, str], ...]
    mappings: str
    references: dict[str, list[str]]
    urls: dict[str, str | None]
    retries: int


def made_reference(plan: Plan, reference: str) -> MadeReference:
    """Return the plan of a reference file that this run makes.

    Parameters
    ----------
    plan : Plan
        What this run does.
    reference : str
        Its name in the configuration.
    """
    if reference not in plan.references:
        raise UnknownExposure(f"no reference maker {reference!r} in this configuration")
    return plan.references[reference]


def exposures(plan: Plan, reference: str) -> dict[str, Any]:
    """Return the files of ``make_reference``: the raw exposures, for a flat the dark, and what it corrects.

    Parameters
    ----------
    plan : Plan
        What this run does.
    reference : str
        Its name in the configuration.
    """
    return made_reference(plan, reference).files()


def making(plan: Plan, reference: str) -> Making:
    """Return the parameters of ``make_reference``.

    Parameters
    ----------
    plan : Plan
        What this run does.
    reference : str
        Its name in the configuration.
    """
    planned = made_reference(plan, reference)
    return Making(
        reftype=planned.settings.reftype,
        maker=MAKERS[planned.settings.type],
        options=planned.settings.options(),
        window=planned.window.numbers,
        images=list(planned.family.images),
        keywords=dict(planned.keywords),
        writing=plan.settings.writing,
    )


def maker(plan: Plan, reference: str) -> list[str]:
    """Return the function that makes a reference, in a list.

    Parameters
    ----------
    plan : Plan
        What this run does.
    reference : str
        Its name in the configuration.
    """
    return [MAKERS[made_reference(plan, reference).settings.type]]


def fetching(plan: Plan, crds_file: str) -> Fetching:
    """Return the parameters of ``fetch_reference``: where a file of the CRDS cache is fetched from.

    Parameters
    ----------
    plan : Plan
        What this run does.
    crds_file : str
        Its path in the folder of the references.
    """
    fetch = plan.crds.fetches[crds_file]
    return Fetching(fetch.url, fetch.observatory, retries=4)


def updating(plan: Plan) -> Updating:
    """Return the parameters of ``update_crds``: the cache, the server and the contexts.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    given = plan.settings.references
    url = update_url(given) or ""  # refused before, by check_update
    return Updating(url, str(cache_path(given)), wanted_contexts(given), parameter_types(), retries=4)


def checking(plan: Plan) -> Checking:
    """Return the parameters of ``check_crds``: which files of the CRDS cache are compared, and with what.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    return Checking(
        contexts=plan.crds.contexts,
        mappings=plan.crds.mappings,
        references=_references_in_use(plan),
        urls={name: server_url(plan.settings.references, name) for name, _ in plan.crds.contexts},
        retries=1,
    )


def _references_in_use(plan: Plan) -> dict[str, list[str]]:
    """Return the reference files of the CRDS cache that are in use, parameter references too, by observatory."""
    recorded = [name for entry in parameter_record(plan) for name in entry["references"]]
    in_use = {}
    for observatory, _ in plan.crds.contexts:
        folder = f"{plan.crds.references}/{observatory}/"
        # What is missing is fetched, and compared then.
        paths = {path for path in plan.reference_files if path.startswith(folder) and Path(path).is_file()}
        names = (name.removeprefix("crds://") for name in recorded)
        in_use[observatory] = sorted(paths | set(filter(None, (plan.crds.find(name, observatory) for name in names))))
    return in_use


JOBS = {
    "make_reference": Job("make_reference.py", exposures, making, like="combine_background", functions=maker),
    "fetch_reference": Job("fetch_reference.py", nothing, fetching, tracked=False),
    "update_crds": Job("update_crds.py", nothing, updating, tracked=False),
    "check_crds": Job("check_crds.py", nothing, checking, tracked=False),
}
