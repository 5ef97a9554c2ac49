"""Which exposures of a programme are wanted, by what the archive says of them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from calflow.configuration.downloading import Download
from calflow.configuration.problems import Problem, some
from calflow.files.names import product_root
from calflow.instruments import FAMILIES

# What exposures are called, and the combined ones beside them are not: programme, observation and visit in one number
_EXPOSURE = re.compile(r"jw[0-9]{11}_.+")


@dataclass(frozen=True)
class ArchivedExposure:
    """An exposure of the archive.

    Attributes
    ----------
    name : str
        The beginning of the names of its files.
    observation : str
        Its number without zeros in front.
    targets : tuple of str
        What its target is called, the proposal's name first.
    instrument : str
    filters : tuple of str
        Filter and pupil, and whatever else was in the light.
    exp_type : str
    """

    name: str
    observation: str
    targets: tuple[str, ...]
    instrument: str
    filters: tuple[str, ...]
    exp_type: str


def archived_exposures(rows: Iterable[Mapping[str, str]]) -> list[ArchivedExposure]:
    """Return the exposures among the rows of the archive's answer, each once.

    Parameters
    ----------
    rows : iterable of mapping
        With the values of `web.mast.COLUMNS`.
    """
    found: dict[str, ArchivedExposure] = {}
    for row in rows:
        name = row["fileSetName"]
        if _EXPOSURE.fullmatch(name):
            elements = re.split(r"[;,/ ]+", f"{row['filter']};{row['opticalElements']}")
            filters = tuple(dict.fromkeys(item.upper() for item in elements if item))
            targets = tuple(dict.fromkeys(filter(None, (row["targprop"], row["targname"])))) or ("",)
            number = row["observtn"].lstrip("0") or "0"
            found[name] = ArchivedExposure(name, number, targets, row["instrume"].upper(), filters, row["exp_type"])
    return [found[name] for name in sorted(found)]


def exposure_of(name: str, exposures: Mapping[str, ArchivedExposure]) -> ArchivedExposure | None:
    """Return the exposure that a file is of, from exposures by their names.

    Parameters
    ----------
    name : str
        Of a file, such as ``jw01234001001_02101_00001_nrcb1_rate.fits``.
    exposures : mapping of str to ArchivedExposure
    """
    root = product_root(name)
    return exposures.get(root) or exposures.get(root.rpartition("_")[0])  # without the detector


def selected(exposures: Sequence[ArchivedExposure], wanted: Download) -> tuple[list[ArchivedExposure], list[Problem]]:
    """Return the exposures that are wanted, and a problem for each wish that none of them meets.

    Parameters
    ----------
    exposures : sequence of ArchivedExposure
    wanted : Download
    """
    wishes: dict[str, tuple[Sequence[str], Callable[[ArchivedExposure], Sequence[str]]]] = {
        "observations": ([str(number) for number in wanted.observations], lambda one: (one.observation,)),
        "targets": (wanted.targets, lambda one: one.targets),
        "filters": (wanted.filters, lambda one: one.filters),
        "instruments": (wanted.instruments, lambda one: (one.instrument,)),
    }
    problems = []
    kept = list(exposures)
    for key, (patterns, values) in wishes.items():
        for pattern in patterns:
            if not any(_fits(values(exposure), [pattern]) for exposure in exposures):
                there = sorted({value for exposure in exposures for value in values(exposure) if value})
                wrong = f"no exposure of programme {wanted.program} has {pattern!r}"
                problems.append(Problem("config", f"download.{key}", wrong, f"there are {some(there)}"))
        if patterns:
            kept = [exposure for exposure in kept if _fits(values(exposure), patterns)]
    if exposures and not kept and not problems:
        keys = [key for key, (patterns, _) in wishes.items() if patterns]
        wrong = f"no exposure of programme {wanted.program} fits {' and '.join(keys)} together"
        problems.append(Problem("config", f"download.{keys[0]}", wrong, "select less"))
    return kept, problems


def is_imaging(exposure: ArchivedExposure) -> bool:
    """Tell whether calflow can do anything with an exposure."""
    return any(family.variant({"EXP_TYPE": exposure.exp_type.upper()}) for family in FAMILIES)


def _fits(values: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatch(value.lower(), pattern.lower()) for value in values for pattern in patterns)
