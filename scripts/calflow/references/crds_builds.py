"""The contexts of JWST's operational builds: ``build-12.0`` in place of ``jwst_1408.pmap``.

The table, `crds_builds.csv`, is that of the README of jwst 3.0.0 (DMS Operational Build Versions). Builds before 11.0
are not in it: the archive used whatever context was the latest. Nor are first release candidates whose context no other
release has. A new build is a new line.
"""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("crds_builds.csv")
_PREFIX = "build-"


class UnknownBuild(LookupError):
    """A build that is not in the table.

    Attributes
    ----------
    wrong, right : str
        What is wrong, and what would be right.
    """

    def __init__(self, wrong: str, right: str):
        super().__init__(f"{wrong}; {right}")
        self.wrong, self.right = wrong, right


@cache
def builds() -> Mapping[str, str]:
    """Return the context of each build, by its name such as ``build-12.0``."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {f"{_PREFIX}{row['build']}": row["context"] for row in csv.DictReader(file)}


def pinned(name: str) -> str:
    """Return the context that a name stands for: that of a build of the archive's pipeline, or the name itself.

    Parameters
    ----------
    name : str
        Of a build, such as ``build-12.1``, or of a context.

    Raises
    ------
    UnknownBuild
    """
    if not name.lower().startswith(_PREFIX):
        return name
    known = builds()
    if name.lower() not in known:
        right = f"known are {', '.join(known)}; or give its context, the CRDS_CTX of its products"
        raise UnknownBuild(f"{name!r} is no build whose context is known", right)
    return known[name.lower()]
