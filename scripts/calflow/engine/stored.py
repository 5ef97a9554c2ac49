"""Data in S3: what is there is listed once, and not asked for file by file."""

from collections.abc import Callable, Iterable
from typing import Any

from calflow.engine.execution import Execution, Layer
from calflow.engine.inside import know_stored
from calflow.engine.reading import default_storage


def list_once(objects: Callable[[Any, str, str], Iterable[dict[str, Any]]]) -> Layer:
    """
    Return what tells Snakemake which objects there are below the prefix of its default storage, if that is S3.

    Its plugin asks for every file of a graph, three times for one that is not there.

    Parameters
    ----------
    objects : callable
        Takes a client of S3, a bucket and the beginning of keys; gives the objects as S3 lists them.
    """

    def list_and_execute(execution: Execution, execute: Callable[[], Any]) -> Any:
        provider, prefix, client = default_storage(execution.workflow)
        if provider == "s3":
            bucket, _, start = f"{prefix.rstrip('/')}/".removeprefix("s3://").partition("/")
            # Here, and not where it is used: a large plan is several graphs, in processes of their own.
            listed = objects(client(), bucket, start)
            stored = [(item["Key"], item["Size"], item["LastModified"].timestamp()) for item in listed]
            know_stored(execution.workflow, bucket, stored)
        return execute()

    return list_and_execute
