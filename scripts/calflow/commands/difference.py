"""``snakemake difference A B``: in what two products of one name differ, and why."""

import os
from pathlib import Path

from calflow.commands.asked import Answer, Asked
from calflow.configuration.problems import InputError, Problem
from calflow.engine.records import place_of_record
from calflow.provenance.difference import as_json, difference_of
from calflow.provenance.lineage import Lineage, lineage_of

FORM = "json"


def answer(asked: Asked) -> Answer:
    """Return the difference; the exit status is 1 if the files have other bytes.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        If two files are not named, or are not there.
    """
    files = [word for word in asked.words if word != FORM]
    if len(files) != 2:
        raise InputError([Problem("command line", "difference", f"{len(files)} files are named", "give two products")])
    wrong = [Problem("command line", file, "no such file") for file in files if not os.path.isfile(file)]
    if wrong:
        raise InputError(wrong)
    found = difference_of(*map(_lineage, files))
    return Answer(as_json(found) if FORM in asked.words else found.text(), status=0 if found.same else 1)


def _lineage(file: str) -> Lineage:
    return lineage_of(*(place_of_record(file) or (Path(), os.path.normpath(file))), today=None)
