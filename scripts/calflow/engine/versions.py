"""Which versions of Snakemake calflow is tested with: looked at before anything of Snakemake's inside is imported."""

import re
import sys

# Minor series, the first and the last of those that hold tests/engine_contract.py; the last is that of pyproject.toml.
OLDEST, NEWEST = (9, 20), (9, 27)


def is_tested(version: str) -> bool:
    """
    Tell whether a version of Snakemake is of a series with which calflow is tested.

    A newer one is not, and makes the products alone: `calflow.plain_run`. With an older one this process ends.

    Parameters
    ----------
    version : str
        The one that is installed.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    series = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if series < OLDEST:
        sys.exit(f"Snakemake {version} is too old: calflow is tested with {TESTED}. {REMEDY}. Nothing was done.")
    return series <= NEWEST


def untested(version: str) -> str:
    """Return what the user is told when Snakemake is newer than the versions that are tested.

    Parameters
    ----------
    version : str
        Of Snakemake.
    """
    return (
        f"Snakemake {version} is newer than {TESTED}, with which calflow is tested. It runs the jobs in its own way: "
        "the products are the same, but there is no 'snakemake plan', no summary and no lock of calflow, the command "
        f"line and SLURM are not checked, and jobs start more slowly. {REMEDY} to have all of that."
    )


def _text(series: tuple[int, int]) -> str:
    return ".".join(map(str, series))


TESTED = f"{_text(OLDEST)} to {_text(NEWEST)}"
REMEDY = f"Run 'make environment', or pip install 'snakemake>={_text(OLDEST)},<{_text((NEWEST[0], NEWEST[1] + 1))}'"
