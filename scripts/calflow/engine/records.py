"""What Snakemake has on record of a product: its job, what that read and was given. Records of other runs, too."""

import ast
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calflow.jobs.libraries import HEAD

RECORDS = Path(".snakemake/metadata")
CODE_DIGITS = 12  # of the hash of a job's code
NOTHING = "{}"  # a parameter that says nothing


class DamagedRecord(ValueError):
    """A record that cannot be read, or is not what Snakemake writes."""


@dataclass(frozen=True)
class Record:
    """What is on record of a file that a job made.

    Attributes
    ----------
    rule : str
    inputs : tuple of str
        The files that the job read, as rules have them.
    parameters : tuple of str
        Values of parameters, as Python writes them, without names; what stands below is not among them.
    code : str
        Hash of the code of the job; empty if it is not on record.
    libraries : str
        The libraries whose versions count, such as ``numpy 2.4, photutils 3.0.0``.
    stamps : mapping of str to str
        Size and time of the inputs that no job makes, as they were then.
    digests : mapping of str to str
        The digest of inputs that jobs make, such as ``sha256:...``.
    """

    rule: str
    inputs: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    code: str = ""
    libraries: str = ""
    stamps: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)


def read_record(folder: Path, path: str) -> Record | None:
    """Return what is on record of a file; None if nothing is.

    Parameters
    ----------
    folder : Path
        Of the run that made the file.
    path : str
        As the rules of that run have it.

    Raises
    ------
    DamagedRecord
        If it cannot be read.
    """
    try:
        text = record_file(folder, path).read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedRecord(str(error)) from None
    try:
        return _record(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedRecord(f"{type(error).__name__}: {error}") from None


def record_file(folder: Path, path: str) -> Path:
    """Return the file in which Snakemake keeps its record of another, whether there is one or not.

    Parameters
    ----------
    folder : Path
        Of the run.
    path : str
        As the rules of that run have it.
    """
    records = folder / RECORDS
    try:
        longest = os.pathconf(records, "PC_NAME_MAX") - 1
    except OSError:
        longest = 254
    name = urlsafe_b64encode(path.encode()).decode()
    *folders, last = [name[start : start + longest] for start in range(0, len(name), longest)] or [""]
    return records.joinpath(*(f"@{part}" for part in folders), last)


def place_of_record(path: str) -> tuple[Path, str] | None:
    """Return the folder of the run that has a record of a file, and the path of the file in that run; None: none has.

    Parameters
    ----------
    path : str
        From the present folder. The folder of the run may be this one, or any around the file.
    """
    return next((place for place in _places(path) if record_file(*place).is_file()), None)


def _places(path: str) -> Iterator[tuple[Path, str]]:
    plain, absolute = os.path.normpath(path), os.path.abspath(path)
    here = Path()
    yield from ((here, name) for name in dict.fromkeys((plain, os.path.relpath(absolute), absolute)))
    for folder in Path(absolute).parents:
        yield folder, os.path.relpath(absolute, folder)
        yield folder, absolute


def _record(tree: Mapping[str, Any]) -> Record:
    rule, inputs = tree["rule"], tree["input"]
    texts, digests = tree.get("params") or [], tree.get("input_checksums") or {}
    lists = [isinstance(each, list) and all(isinstance(item, str) for item in each) for each in (inputs, texts)]
    if not (isinstance(rule, str) and all(lists) and isinstance(digests, dict)):
        raise TypeError("no record of a job")
    code = next((text[1:-1] for text in texts if _is_code(text)), "")
    libraries = next((text[1:-1].removeprefix(HEAD) for text in texts if text.startswith(f"'{HEAD}")), "")
    stamps = next((found for text in texts if (found := _stamps(text))), {})
    said = {f"'{code}'", f"'{HEAD}{libraries}'", *filter(_stamps, texts), NOTHING}
    rest = [text for text in texts if text not in said]
    return Record(rule, tuple(inputs), tuple(rest), code, libraries, stamps, {k: str(v) for k, v in digests.items()})


def _is_code(text: str) -> bool:
    inner = text[1:-1]
    return len(inner) == CODE_DIGITS and text[:1] == "'" and not set(inner) - set("0123456789abcdef")


def _stamps(text: str) -> dict[str, str]:
    """Return the size and time of files if a parameter is a mapping of such."""
    if not (text.startswith("{") and " bytes, " in text):
        return {}
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    return found if isinstance(found, dict) and all(str(each).endswith(" ns") for each in found.values()) else {}
