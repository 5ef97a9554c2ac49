"""Reference files that are made of calibration exposures: what each is made of, and what is wrong with that."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruments import family_of, known_telescopes
from instruments.family import Family
from planning.associations import expand
from planning.headers import ExposureHeader, window_of
from planning.references import observation_time
from problems import Problem, nearest
from settings import MadeReference

NAME = re.compile(r"[A-Za-z0-9_-]+")
# Exposures that are combined must agree in these.
SAME = ("TELESCOP", "INSTRUME", "DETECTOR", "SUBARRAY", "READMODE")
SAME_LIGHT = ("FILTER", "PUPIL")
MODELS = {"dark": "DarkModel", "flat": "FlatModel"}


@dataclass(frozen=True)
class PlannedReference:
    """A reference file that is going to be made.

    Attributes
    ----------
    name : str
    type : str
        ``dark`` or ``flat``.
    exposures : tuple of Path
    dark : str
        The dark to subtract, or empty.
    images : tuple of str
        Names that the extension with the pixels may have.
    window : tuple of int
        xstart, ystart, nx, ny on the detector.
    keywords : mapping
        Of the primary header.
    """

    name: str
    type: str
    exposures: tuple[Path, ...]
    dark: str
    images: tuple[str, ...]
    window: tuple[int, int, int, int]
    keywords: Mapping[str, Any]

    def inputs(self) -> dict[str, Any]:
        """Return the files it is made of, by role."""
        files: dict[str, Any] = {"exposures": [str(path) for path in self.exposures]}
        return files | ({"dark": self.dark} if self.dark else {})


def plan_references(
    wanted: Mapping[str, MadeReference],
    folder: str,
    read_header: Callable[[Path], ExposureHeader | None],
    problems: list[Problem],
) -> list[PlannedReference]:
    """Plan the reference files that a configuration asks for.

    Parameters
    ----------
    wanted : mapping of name to MadeReference
    folder : str
        Where they are made.
    read_header : function
        Returns the header of an exposure, or None when something is wrong with it.
    problems : list of Problem
        Everything that is wrong is added here.
    """
    planned = []
    for name, made in wanted.items():
        key = f"make_references.{name}"
        if not NAME.fullmatch(name):
            wrong = f"{name!r} cannot be a file name"
            problems.append(Problem("config", "make_references", wrong, "use letters, digits, _ and -"))
            continue
        dark = _dark_of(made, key, wanted, folder, problems)
        paths = expand(made.exposures, f"{key}.exposures", problems)
        headers = [read_header(path) for path in paths]
        if headers and None not in headers:
            reference = _planned(name, made, dark, [header for header in headers if header], problems)
            planned += [reference] if reference else []
    return planned


def made_path(folder: str, name: str) -> str:
    """Return the path of a reference file that is made."""
    return f"{folder}/{name}.fits"


def _dark_of(
    made: MadeReference, key: str, wanted: Mapping[str, MadeReference], folder: str, problems: list[Problem]
) -> str:
    if not made.dark:
        return ""
    if made.type == "dark":
        problems.append(Problem("config", f"{key}.dark", "a dark has none subtracted", "leave it out"))
        return ""
    if made.dark in wanted:
        if wanted[made.dark].type == "dark":
            return made_path(folder, made.dark)
        problems.append(Problem("config", f"{key}.dark", f"{made.dark!r} is no dark", "name one, or give a file"))
    elif Path(made.dark).is_file():
        return made.dark
    else:
        darks = [name for name, other in wanted.items() if other.type == "dark"]
        wrong = f"{made.dark!r} is neither a file nor a dark that is made here"
        problems.append(Problem("config", f"{key}.dark", wrong, nearest(made.dark, darks) or "give a file"))
    return ""


def _planned(
    name: str, made: MadeReference, dark: str, headers: list[ExposureHeader], problems: list[Problem]
) -> PlannedReference | None:
    first, before = headers[0], len(problems)
    family = family_of(first.values)
    if family is None or "dark" not in family.references:
        wrong = f"{first.values.get('TELESCOP')!r}: no references are made for it"
        right = f"calflow knows {known_telescopes()}, and makes references for those whose dark is taken in stage 2"
        problems.append(Problem(str(first.path), "TELESCOP", wrong, right))
        return None
    for header in headers:
        _check(header, first, SAME if made.type == "dark" else SAME + SAME_LIGHT, problems)
    if len(problems) > before:
        return None
    return PlannedReference(
        name=name,
        type=made.type,
        exposures=tuple(header.path for header in headers),
        dark=dark,
        images=family.images,
        window=window_of(first).numbers,
        keywords=_keywords(made, headers, family),
    )


def _check(header: ExposureHeader, first: ExposureHeader, same: Iterable[str], problems: list[Problem]) -> None:
    def refuse(key: str, wrong: str, right: str) -> None:
        problems.append(Problem(str(header.path), key, wrong, right))

    if header.is_cube:
        refuse("SCI", "has integrations (3-D)", "references are made of 2-D exposures")
    if header.shape[-2:] != first.shape[-2:] or window_of(header) != window_of(first):
        refuse("SUBSTRT1, SUBSTRT2", f"covers {window_of(header)}, {first.path} {window_of(first)}", "use one window")
    for keyword in same:
        own, wanted = header.values.get(keyword), first.values.get(keyword)
        if own != wanted:
            refuse(keyword, f"is {own!r}, in {first.path} {wanted!r}", "combine exposures taken alike")
    if observation_time(header.values) is None:
        refuse("DATE-OBS, TIME-OBS", "are not a date and a time", "write 2024-03-12 and 07:47:13.140")


def _keywords(made: MadeReference, headers: list[ExposureHeader], family: Family) -> dict[str, Any]:
    values = headers[0].values
    window = window_of(headers[0])
    times = sorted(time for header in headers if (time := observation_time(header.values)))
    light = SAME_LIGHT if made.type == "flat" else ()
    named = {keyword: values[keyword] for keyword in (*SAME[1:], *light) if keyword in values}
    return {
        "TELESCOP": (family.reference_telescopes or family.telescopes)[0],
        **named,
        "SUBSTRT1": window.xstart,
        "SUBSTRT2": window.ystart,
        "SUBSIZE1": window.nx,
        "SUBSIZE2": window.ny,
        "REFTYPE": made.type.upper(),
        "DATAMODL": MODELS[made.type],
        "PEDIGREE": f"INFLIGHT {times[0]:%Y-%m-%d} {times[-1]:%Y-%m-%d}",
        "DESCRIP": f"{made.type} of {len(headers)} exposures, {made.method}",
        "AUTHOR": "calflow",
        "USEAFTER": f"{times[0]:%Y-%m-%dT%H:%M:%S}",
    }
