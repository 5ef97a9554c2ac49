"""Checks of the folders that a configuration names."""

import os
from pathlib import Path

from calflow.configuration.paths import NO_FILE, advice, misread, what_is_at
from calflow.configuration.problems import Problem, Problems
from calflow.configuration.settings import Settings

MAX_NAME_BYTES = 255  # of file systems


def check_output(settings: Settings, problems: Problems) -> None:
    """Check that the folder of the products is there or can be made.

    Parameters
    ----------
    settings : Settings
        The configuration.
    problems : Problems
        What is wrong is added here.
    """

    def refuse(wrong: str, right: str = "give another folder") -> None:
        problems.add(Problem("config", "output", wrong, right))

    output = Path(settings.output)
    odd = misread(settings.output)
    if any(brace in settings.output for brace in "{}"):
        refuse("has braces", "Snakemake takes braces for wildcards; rename the folder")
    elif any(not character.isprintable() for character in settings.output) or not settings.output.strip():
        refuse(f"{settings.output!r} is no name of a folder", "give letters, digits, / . _ and -")
    elif too_long := next((part for part in output.parts if len(os.fsencode(part)) > MAX_NAME_BYTES), None):
        refuse(f"holds a name of {len(os.fsencode(too_long))} bytes", f"at most {MAX_NAME_BYTES} are possible")
    elif odd and not os.path.isdir(output):  # which may have any name
        refuse(f"{settings.output!r} is no folder", odd)
    elif os.path.realpath(output) == (output.anchor or "/"):
        refuse(f"{settings.output!r} is the root of the file system")
    elif broken := next(
        (part for part in (output, *output.parents) if os.path.islink(part) and not os.path.exists(part)), None
    ):
        refuse(f"{str(broken)!r} is {what_is_at(broken)}", "give another folder, or mend the link")
    elif any(os.path.exists(part) and not os.path.isdir(part) for part in (output, *output.parents)):
        refuse(f"{str(output)!r} is not a folder")


def check_input(settings: Settings, problems: Problems) -> bool:
    """Check that the folder is there in which exposures are looked for."""
    folder = Path(settings.input)
    if os.path.isdir(folder):
        return True
    found = what_is_at(folder)
    if found == "a file":
        wrong, right = (
            f"{settings.input!r} is a file",
            "give the folder that it is in; single files go into 'exposures'",
        )
    elif found == NO_FILE:
        wrong, right = f"no such folder {settings.input!r}", advice(settings.input)
    else:
        wrong, right = f"{settings.input!r} is {found}", "give the folder with the exposures"
    problems.add(Problem("config", "input", wrong, right))
    return False
