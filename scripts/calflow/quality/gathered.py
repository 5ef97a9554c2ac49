"""The quality of a run: that of all its associations, for programs and for people."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calflow.files.geometry_files import read_json
from calflow.science.quality.judgement import FINE, WRONG, worst

# Of more associations only what is not fine is told line by line; the file has all.
MOST_ASSOCIATIONS = 20
NOT_MADE = "not measured"


def gather(paths: Mapping[str, str]) -> dict[str, Any]:
    """Return the quality of a run. What could not be measured, since something before it failed, is wrong.

    Parameters
    ----------
    paths : mapping of str to str
        The JSON file of each association, by its name, which may not be there.
    """
    found: dict[str, Any] = {}
    for name, path in paths.items():
        try:
            tree = read_json(Path(path))
            found[name] = {"judgement": tree["judgement"], "checks": tree["checks"], "file": path}
        except (OSError, ValueError, KeyError):
            rule = "wrong: there is no such file"
            check = {
                "name": NOT_MADE,
                "judgement": WRONG,
                "found": "a job that it needs failed, or was not run",
                "rule": rule,
            }
            found[name] = {"judgement": WRONG, "checks": [check], "file": path}
    return {"judgement": worst(each["judgement"] for each in found.values()), "associations": found}


def quality_text(gathered: Mapping[str, Any]) -> str:
    """Return the quality of a run as lines for people: of each association a line per check, with rules of what is odd.

    Parameters
    ----------
    gathered : mapping
        What `gather` returned.
    """
    associations = gathered["associations"]
    lines = []
    for name, each in associations.items():
        lines.append(f"{name}: {each['judgement']}")
        for check in each["checks"]:
            if check["judgement"] != FINE or len(associations) <= MOST_ASSOCIATIONS:
                lines.append(f"  {check['judgement']:5}  {check['name']}: {check['found']}")
            if check["judgement"] != FINE:
                lines += [f"           {exposure}: {told}" for exposure, told in _first(check).items()]
                lines.append(f"           rule: {check['rule']}")
    counts = Counter(each["judgement"] for each in associations.values())
    return "\n".join([*lines, "Quality: " + ", ".join(f"{counts[word]} {word}" for word in (FINE, "look", WRONG))])


def _first(check: Mapping[str, Any]) -> dict[str, str]:
    """Return the first of the exposures that a check names."""
    named = dict(check.get("exposures", {}))
    some = dict(list(named.items())[:MOST_ASSOCIATIONS])
    left = len(named) - len(some)
    return some | ({"...": f"and {left} more"} if left else {})
