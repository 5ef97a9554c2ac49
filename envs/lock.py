"""Resolve the versions pinned in pyproject.toml, with all they need, and print them as pip requirements.

Run by `make lock`, which writes the result to envs/lock.txt.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
HEADER = """\
# Every package of calflow's environment, resolved from pyproject.toml. Made by `make lock`: do not edit.
"""
# Extras that are installed over the others, each into an environment of its own: they do not go together with the lock.
NOT_LOCKED = ("kubernetes", "s3")


def resolve(requirements: list[str]) -> dict[str, str]:
    """
    Ask pip which distributions it would install.

    Parameters
    ----------
    requirements : list of str
        As on pip's command line, for example ``numpy==2.4.6``.

    Returns
    -------
    dict
        Version by normalised name (lower case, ``-`` between the words).
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", str(report), *requirements], check=True)
        chosen = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    return {re.sub(r"[-_.]+", "-", item["name"]).lower(): item["version"] for item in chosen}


def main() -> None:
    """Print the closure of all dependencies, the extras included but for those of `NOT_LOCKED`."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = [pins for name, pins in project["optional-dependencies"].items() if name not in NOT_LOCKED]
    requirements = [*project["dependencies"], *(pin for pins in extras for pin in pins)]
    versions = resolve(requirements)
    print(HEADER, end="")
    for name in sorted(versions):
        print(f"{name}=={versions[name]}")


if __name__ == "__main__":
    main()
