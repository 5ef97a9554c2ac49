"""What the command line asks for, which Snakemake does not yet tell while it reads the Snakefile."""

import re
import sys
from collections.abc import Collection, Sequence
from typing import Any

PLAN, LINEAGE = "plan", "lineage"
# What is told of the graph, before any job.
TOLD = {PLAN, LINEAGE}


def targets_with(names: Collection[str], arguments: Sequence[str] | None = None) -> list[str]:
    """Return the targets of the command line if one of some names is among them, else none.

    Snakemake's parser takes longer than all else here, so it is asked only when it matters.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not set(names).intersection(arguments):
        return []
    targets = list(_parsed("targets", arguments) or ())
    return targets if set(names).intersection(targets) else []


# Targets, folders and rules of what shows results; the command line of a job names its rule.
_SHOWING = re.compile(
    r"(^|/)(quality|previews|pages|colour|map|hips)(/|$)|"
    r"(^|_)(preview|quality|page|colour|cutouts|map|hips|completeness)(\b|_)"
)


def shows_results(arguments: Sequence[str] | None = None) -> bool:
    """Tell whether the command line may ask for pictures, pages, maps or the quality: others need no such rules."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return any(_SHOWING.search(argument) for argument in arguments)


def cores_given(arguments: Sequence[str] | None = None) -> int | None:
    """Return the number of cores on the command line; None if there is none, or those of this machine are meant."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return None if "all" in arguments else _parsed("cores", arguments)


def _parsed(name: str, arguments: Sequence[str]) -> Any:
    """Return what Snakemake makes of an argument; None if it cannot be parsed."""
    try:
        from snakemake.cli import get_argument_parser

        return getattr(get_argument_parser().parse_known_args(list(arguments))[0], name)
    except SystemExit:  # Snakemake has told what is wrong with them
        return None
    except (AttributeError, ImportError):  # another Snakemake: all is planned
        return None


def is_only_target(name: str, arguments: Sequence[str] | None = None) -> bool:
    """Tell whether a target is the only one on the command line."""
    return targets_with([name], arguments) == [name]


def is_dry(arguments: Sequence[str] | None = None) -> bool:
    """Tell whether the command line asks for a dry run."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return not {"-n", "--dry-run", "--dryrun"}.isdisjoint(arguments)


def wanted_stages(arguments: Sequence[str] | None = None) -> tuple[int, ...]:
    """Return the stages that the command line asks for: one, if that is its only target, else both."""
    return tuple(stage for stage in (2, 3) if is_only_target(f"stage{stage}", arguments)) or (2, 3)


def asks_for(names: Collection[str], arguments: Sequence[str] | None = None) -> bool:
    """Tell whether the command line may ask for one of some targets: a word of it is that."""
    return not set(names).isdisjoint(sys.argv[1:] if arguments is None else arguments)
