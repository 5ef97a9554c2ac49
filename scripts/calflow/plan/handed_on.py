"""The plan of a run, left for the jobs of that run on a cluster, each of which reads the Snakefile anew.

To plan thousands of exposures takes seconds, to load their plan a fraction of one; and the jobs then have the plan that
they were submitted by, whatever has become of the inputs since.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from calflow.plan.plan import Plan
from calflow.plan.plan_json import plan_from_json, plan_to_json
from calflow.whole_files import replace_text

# Where all stands that has a part in a plan: the modules, and the tables that some of them read.
CODE = Path(__file__).parents[2]
PLACE = Path(".snakemake/calflow/plan.json")


def hand_on(plan: Plan, config: Mapping[str, Any], place: Path = PLACE) -> None:
    """Leave a plan for jobs with the same configuration. If it cannot be written, each plans for itself.

    Parameters
    ----------
    plan : Plan
    config : mapping
        What it was made of.
    place : Path
        Of the file.
    """
    with suppress(OSError, TypeError, ValueError):
        text = plan_to_json(plan)
        replace_text(place, f"{_key(config)} {_checksum(text)}\n{text}\n")


def handed_on(config: Mapping[str, Any], place: Path = PLACE) -> Plan | None:
    """Return the plan that a run left for its jobs, if it is for this configuration and code, and whole; else None.

    Parameters
    ----------
    config : mapping of str to object
        As Snakemake has it.
    place : Path, optional
        The folder of the plan.
    """
    try:
        with place.open() as file:
            key, _, checksum = file.readline().rstrip("\n").partition(" ")
            if key != _key(config):
                return None
            text = file.read().rstrip("\n")
            return plan_from_json(text) if checksum == _checksum(text) else None
    except (OSError, ValueError):
        return None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(config: Mapping[str, Any]) -> str:
    """Return a key for the configuration and the code: another configuration, or edited code, gives another key."""
    text = json.dumps([config, _stamps(CODE)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def key_of_code() -> str:
    """Return a key of all code: of the rules, too."""
    rules = CODE.parent / "Snakefile", *sorted((CODE.parent / "rules").glob("*.smk"))
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in rules]
    return hashlib.sha256(json.dumps([_stamps(CODE), stamps]).encode()).hexdigest()


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Return name, size and time of the files below a folder, but of what Python has compiled."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    stats = ((path.relative_to(folder).as_posix(), path.stat()) for path in paths)
    return sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
