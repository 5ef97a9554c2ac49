"""What the workflow of a Snakefile tells while it is read, whatever the version of Snakemake."""

import os
from collections.abc import Callable
from typing import Any


def is_job(workflow: Any) -> bool:
    """Tell whether this Snakemake was started by another, on a cluster, to do one of its jobs.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    return not getattr(workflow, "is_main_process", True)


def is_local(workflow: Any) -> bool:
    """Tell whether jobs run on this machine. That is known once the Snakefile has been read.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    return bool(getattr(workflow, "local_exec", True))


def seen_from_command(workflow: Any, path: str) -> str:
    """Return a path of the run as it is from where its command was given, which may be elsewhere (``--directory``).

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    path : str
        From the folder of the run.
    """
    return os.path.normpath(os.path.join(getattr(workflow, "overwrite_workdir", None) or "", path))


def default_storage(workflow: Any) -> tuple[str | None, str, Callable[[], Any]]:
    """Return the default storage provider, its prefix, and a function that returns its boto3 client if it is S3.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """
    settings = workflow.storage_settings

    def client() -> Any:
        return workflow.storage_registry.default_storage_provider.s3c.meta.client

    return settings.default_storage_provider, settings.default_storage_prefix or "", client


def take_a_core(workflow: Any) -> None:
    """Have a call that runs no job need no ``--cores``, without which Snakemake executes nothing.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        Of which the Snakefile is being read.
    """
    if workflow.resource_settings.cores is None:
        workflow.resource_settings.cores = 1
