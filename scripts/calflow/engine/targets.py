"""What the command line asks for, which Snakemake does not yet tell while it reads the Snakefile."""

import sys
from collections.abc import Sequence


def is_only_target(name: str, arguments: Sequence[str] | None = None) -> bool:
    """Tell whether a target is the only one on the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if name not in arguments:
        return False
    try:
        from snakemake.cli import get_argument_parser

        return list(get_argument_parser().parse_known_args(list(arguments))[0].targets) == [name]
    except SystemExit:  # Snakemake has told what is wrong with them
        return False
    except (AttributeError, ImportError):  # another Snakemake: all is planned
        return False


def wanted_stages(arguments: Sequence[str] | None = None) -> tuple[int, ...]:
    """Return the stages that the command line asks for: one, if that is its only target, else both."""
    return tuple(stage for stage in (2, 3) if is_only_target(f"stage{stage}", arguments)) or (2, 3)
