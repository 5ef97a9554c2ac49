"""Shards as jobs of Kubernetes and AWS Batch: what their own commands take."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from calflow.configuration.problems import InputError, Problem, Problems
from calflow.configuration.settings import Settings
from calflow.shards.scripts import RUN

MOST_OF_AWS = 10_000  # jobs of an array
DEFINITION = "calflow-shard"
MEMORY_SHARE = 0.9  # of what a container may have, for the jobs in it
_NAME = "survey"


def kubernetes_job(numbers: Sequence[int], folder: Path, settings: Settings, snakefile: Path) -> str:
    """Return an Indexed Job for ``kubectl create``: each index is a shard, and one that fails stops no other.

    Parameters
    ----------
    numbers : sequence of int
        Of the shards.
    folder : Path
        That of all shards, absolute.
    settings : Settings
    snakefile : Path
        Absolute.

    Raises
    ------
    InputError
        With what the configuration lacks.
    """
    _check(settings, ("image", "volume", "mount"), folder, snakefile)
    shards = settings.shards
    size = {"cpu": str(shards.cores), "memory": f"{shards.memory_gb}G"}
    container = {
        "name": DEFINITION,
        "image": shards.image,
        "command": _command("JOB_COMPLETION_INDEX", folder),
        "env": _environment({"SHARDS": _listed(numbers), **_of_machine(settings)}),
        "resources": {"requests": size, "limits": {"memory": size["memory"]}},
        "volumeMounts": [{"name": _NAME, "mountPath": shards.mount}],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,
        "containers": [container],
        "volumes": [{"name": _NAME, "persistentVolumeClaim": {"claimName": shards.volume}}],
    }
    job = {
        "completionMode": "Indexed",
        "completions": len(numbers),
        "parallelism": len(numbers),
        "backoffLimitPerIndex": 0,
        "template": {"spec": pod},
    }
    tree = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": f"{DEFINITION}-"}, "spec": job}
    return yaml.safe_dump(tree, sort_keys=False, width=1000)


def aws_definition(folder: Path, settings: Settings, snakefile: Path) -> str:
    """Return a job definition for ``aws batch register-job-definition --cli-input-json``.

    Parameters
    ----------
    folder : Path
        That of all shards, absolute.
    settings : Settings
    snakefile : Path
        Absolute.

    Raises
    ------
    InputError
        With what the configuration lacks.
    """
    _check(settings, ("image", "volume", "mount"), folder, snakefile)
    shards = settings.shards
    container = {
        "image": shards.image,
        # A job that is no array, of one shard, has no index.
        "command": _command("AWS_BATCH_JOB_ARRAY_INDEX:-0", folder),
        "environment": _environment(_of_machine(settings)),
        "resourceRequirements": [
            {"type": "VCPU", "value": str(shards.cores)},
            {"type": "MEMORY", "value": str(shards.memory_gb * 1000)},
        ],
        "volumes": [{"name": _NAME, "efsVolumeConfiguration": {"fileSystemId": shards.volume}}],
        "mountPoints": [{"sourceVolume": _NAME, "containerPath": shards.mount}],
    }
    tree = {
        "jobDefinitionName": DEFINITION,
        "type": "container",
        "platformCapabilities": ["EC2"],
        "containerProperties": container,
    }
    return json.dumps(tree, indent=1)


def aws_job(numbers: Sequence[int], settings: Settings) -> str:
    """Return an array job for ``aws batch submit-job --cli-input-json``; of one shard a plain one, as AWS wants it.

    Parameters
    ----------
    numbers : sequence of int
        Of the shards.
    settings : Settings

    Raises
    ------
    InputError
        With what the configuration lacks.
    """
    _missing(settings, ("queue",)).raise_any()
    if len(numbers) > MOST_OF_AWS:
        wrong = f"AWS Batch takes at most {MOST_OF_AWS} jobs in an array, here are {len(numbers)}"
        raise InputError([Problem("command line", "shards aws-job", wrong, "name some of the shards")])
    tree: dict[str, Any] = {"jobName": DEFINITION, "jobQueue": settings.shards.queue, "jobDefinition": DEFINITION}
    if len(numbers) > 1:
        tree["arrayProperties"] = {"size": len(numbers)}
    tree["containerOverrides"] = {"environment": _environment({"SHARDS": _listed(numbers)})}
    return json.dumps(tree, indent=1)


def _command(index: str, folder: Path) -> list[str]:
    """Return what a container runs: the shard at its index, from 0, in the list SHARDS."""
    return ["sh", "-c", f'set -- $SHARDS; shift "${{{index}}}"; exec sh "$0" "$1"', str(folder / RUN)]


def _of_machine(settings: Settings) -> dict[str, str]:
    shards = settings.shards
    memory = int(shards.memory_gb * 1000 * MEMORY_SHARE)
    return {"PYTHON": "python", "CORES": str(shards.cores), "MEMORY_MB": str(memory)}


def _environment(variables: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def _listed(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def _check(settings: Settings, keys: Sequence[str], folder: Path, snakefile: Path) -> None:
    """Refuse what a container would not find."""
    problems = _missing(settings, keys)
    mount, references = settings.shards.mount, settings.references
    places: dict[str, str | None] = {
        "the shards": str(folder),
        "calflow": str(snakefile.parent),
        "input": settings.input,
        "references": references.directory if references.source == "directory" else references.crds_path,
    }
    for what, place in places.items():
        if mount and place and not Path(os.path.abspath(place)).is_relative_to(mount):
            wrong = f"{what}, {os.path.abspath(place)!r}, cannot be seen in a container that has {mount!r}"
            problems.add(Problem("config", "shards.mount", wrong, "have all on one volume, and give its folder"))
    problems.raise_any()


def _missing(settings: Settings, keys: Iterable[str]) -> Problems:
    return Problems(
        Problem("config", f"shards.{key}", "is not given", "docs/surveys.md says what a container needs")
        for key in keys
        if not getattr(settings.shards, key)
    )
