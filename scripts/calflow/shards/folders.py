"""The folder of a shard: its configuration, its exposures, and the associations that were made for it."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from calflow.configuration.elsewhere import with_absolute_paths
from calflow.configuration.extra_steps import PLACES
from calflow.configuration.settings import Settings
from calflow.references.crds_cache import PATH_VARIABLE
from calflow.shards.cut import Shard
from calflow.shards.parts import grids_of
from calflow.whole_files import replace_text

CONFIG, EXPOSURES, OUTPUT, ASSOCIATIONS = "shard.yaml", "exposures.txt", "results", "associations"
# What chooses or makes associations, which a shard is given, and what is no concern of a run.
NOT_IN_A_SHARD = ("targets", "filters", "observations", "make_associations", "download", "shards")
_NUMBER = re.compile(r"[0-9]{4,}")


def folder_of(number: int) -> str:
    """Return the name of the folder of a shard.

    Parameters
    ----------
    number : int
    """
    return f"{number:04d}"


def shards_in(folder: Path) -> dict[int, list[str]]:
    """Return the shards that are there: by number, the roots of their exposures.

    Parameters
    ----------
    folder : Path
        That of all shards, which need not be there.
    """
    if not folder.is_dir():
        return {}
    numbers = sorted(int(path.name) for path in folder.iterdir() if _NUMBER.fullmatch(path.name))
    return {number: _lines(folder / folder_of(number) / EXPOSURES) for number in numbers}


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.is_file() else []


def files_of(shard: Shard, settings: Settings, given: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the files of a shard, the text of each by its name below the shard's folder.

    Parameters
    ----------
    shard : Shard
    settings : Settings
        Of the whole survey.
    given : mapping
        What of the configuration the user gave.
    folder : Path
        That of the shard.
    """
    made = {f"{ASSOCIATIONS}/{part.path.name}": part.tree for part in shard.parts if part.tree is not None}
    associations = [
        str(folder / ASSOCIATIONS / part.path.name) if part.tree is not None else os.path.abspath(part.path)
        for part in shard.parts
        if not part.is_single
    ]
    tree = {name: value for name, value in with_absolute_paths(settings, given).items() if name not in NOT_IN_A_SHARD}
    tree |= {
        "input": os.path.abspath(settings.input),
        "associations": associations,
        "exposures": [os.path.abspath(part.path) for part in shard.parts if part.is_single],
        "output": OUTPUT,
    }
    if "grids" in tree:
        grids = grids_of(shard.parts, settings)
        tree["grids"] = {name: {**tree["grids"][name], "associations": grids[name]} for name in grids}
    # What is for some exposures of the survey need not be for those of a shard.
    if "overrides" in tree:
        tree["overrides"] = [override | {"optional": True} for override in tree["overrides"]]
    if any(settings.extra_steps.steps()):
        lists = {place: tree["extra_steps"].get(place, []) for place in PLACES}
        optional = {place: [step | {"optional": True} for step in steps] for place, steps in lists.items()}
        tree["extra_steps"] = {**tree["extra_steps"], **optional}
    if settings.references.source == "crds" and not settings.references.crds_path and os.environ.get(PATH_VARIABLE):
        # Elsewhere the environment may be another one.
        tree["references"] = {**tree["references"], "crds_path": os.path.abspath(os.environ[PATH_VARIABLE])}
    return {
        **{name: json.dumps(asn, indent=2) + "\n" for name, asn in made.items()},
        EXPOSURES: "".join(f"{root}\n" for root in shard.exposures),
        CONFIG: _HEAD + yaml.safe_dump(tree, sort_keys=False),
    }


_HEAD = "# Written by `snakemake shards` from the configuration of the survey: change that, and call it again.\n"


def write_files(folder: Path, files: Mapping[str, str]) -> bool:
    """Write those of some files that are not there like this, and return whether there were any.

    Parameters
    ----------
    folder : Path
    files : mapping of str to str
        Texts by names below the folder.
    """
    changed = [name for name, text in files.items() if not _is_like(folder / name, text)]
    for name in changed:
        replace_text(folder / name, files[name])
    return bool(changed)


def _is_like(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def empty_shard(folder: Path) -> None:
    """Take away what makes a folder a shard, and leave its products.

    Parameters
    ----------
    folder : Path
    """
    for name in (CONFIG, EXPOSURES):
        (folder / name).unlink(missing_ok=True)


def ranges(numbers: Sequence[int]) -> str:
    """Return numbers as SLURM writes them, such as ``1-3,7``.

    Parameters
    ----------
    numbers : sequence of int
        Sorted, each once.
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)
