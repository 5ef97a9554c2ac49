"""What the command line asks for, which Snakemake does not yet tell while it reads the Snakefile."""

import sys
from collections.abc import Collection, Sequence


def targets_with(names: Collection[str], arguments: Sequence[str] | None = None) -> list[str]:
    """Return the targets of the command line if one of some names is among them, else none.

    Snakemake's parser takes longer than all else here, so it is asked only when it matters.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not set(names).intersection(arguments):
        return []
    try:
        from snakemake.cli import get_argument_parser

        targets = list(get_argument_parser().parse_known_args(list(arguments))[0].targets)
    except SystemExit:  # Snakemake has told what is wrong with them
        return []
    except (AttributeError, ImportError):  # another Snakemake: all is planned
        return []
    return targets if set(names).intersection(targets) else []


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
