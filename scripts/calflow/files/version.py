"""The version of calflow, from pyproject.toml."""

import tomllib
from pathlib import Path

VERSION = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["version"]
