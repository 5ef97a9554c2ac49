"""The plan of a run, left for the jobs of that run on a cluster, each of which reads the Snakefile anew.

To plan thousands of exposures takes seconds, to load their plan a fraction of one; and the jobs then have the plan that
they were submitted by, whatever has become of the inputs since.
"""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from planning.plan import Plan

PLACE = Path(".snakemake/calflow/plan.pickle")


def hand_on(plan: Plan, config: Mapping[str, Any], place: Path = PLACE) -> None:
    """Leave a plan for jobs with the same configuration. That it cannot be written is no error.

    Parameters
    ----------
    plan : Plan
    config : mapping
        What it was made of.
    place : Path
        Of the file.
    """
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(_key(config) + pickle.dumps(plan))
        os.replace(partial, place)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def handed_on(config: Mapping[str, Any], place: Path = PLACE) -> Plan | None:
    """Return the plan that was left for this configuration by this code, or None."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    key = _key(config)
    if not content.startswith(key):
        return None
    return pickle.loads(content[len(key) :])  # noqa: S301 - written by the run that started this job


def _key(config: Mapping[str, Any]) -> bytes:
    """Return what tells one configuration, and one state of the code that planned it, from others."""
    folder = Path(__file__).parents[1]
    stamps = sorted((str(path), path.stat().st_mtime_ns) for path in folder.glob("*/*.py"))
    text = json.dumps([config, stamps], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).digest()
