"""Planning reference files that a run makes of exposures: these found and checked."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from calflow.configuration.paths import no_file
from calflow.configuration.problems import Problem, Problems, nearest
from calflow.configuration.settings import ReferenceMaker
from calflow.inputs.associations import expand
from calflow.inputs.exposure_checks import alike
from calflow.inputs.headers import ExposureHeader, read_reference_header, window_of
from calflow.inputs.times import observation_time, parse_useafter
from calflow.instruments import family_of, known_telescopes
from calflow.instruments.family import Family
from calflow.references.made_reference import MadeReference
from calflow.science.windows import Window

NAME = re.compile(r"[A-Za-z0-9_-]+")
# Keywords of the light path, in which darks need not agree.
OF_LIGHT = ("FILTER", "PUPIL")
# Of the time in which exposures began.
WINDOW = ("after", "before")
COPIED = ("INSTRUME", "DETECTOR", "READMODE", "INSTERA", "SUBARRAY")


def plan_references(
    makers: Mapping[str, ReferenceMaker],
    folder: str,
    read_header: Callable[[Path], ExposureHeader | None],
    problems: Problems,
) -> dict[str, MadeReference]:
    """Return the references that the makers of a configuration make, by name; what is wrong becomes a problem.

    Parameters
    ----------
    makers : mapping of name to ReferenceMaker
    folder : str
        Where they are written.
    read_header : callable
        From a path to its `ExposureHeader`, or None after adding a problem.
    problems : Problems
    """
    references = {}
    for name, maker in makers.items():
        key = f"reference_makers.{name}"
        new = problems.from_here()
        if not NAME.fullmatch(name):
            right = "use letters, digits, _ and -"
            problems.add(Problem("config", "reference_makers", f"{name!r} cannot be part of a file name", right))
        times = {name: _time(f"{key}.{name}", getattr(maker, name), problems) for name in ("useafter", *WINDOW)}
        dark = _dark(key, maker, makers, folder, problems)
        paths = expand(maker.exposures, f"{key}.exposures", problems)
        headers = [header for path in paths if (header := read_header(path))]
        if new.any() or not headers:
            continue
        headers = _within(headers, times["after"], times["before"], key, problems)
        flat = _corrected(key, maker, headers, problems)
        if new.any():
            continue
        family = _check_alike(headers, maker, problems)
        if family is not None and not new.any():
            path, window = f"{folder}/{name}.fits", window_of(headers[0])
            keywords = _keywords(headers, maker, family, window)
            chosen = tuple(header.path for header in headers)
            references[name] = MadeReference(name, path, maker, chosen, family, window, keywords, dark, flat)
    return references


def _time(key: str, given: str | None, problems: Problems) -> datetime | None:
    time = parse_useafter(given)
    if given and time is None:
        problems.add(Problem("config", key, f"{given!r} is not a date", "write 2018-01-01T00:00:00"))
    return time


def _within(
    headers: list[ExposureHeader], after: datetime | None, before: datetime | None, key: str, problems: Problems
) -> list[ExposureHeader]:
    """Return the exposures that began in a time."""
    if not (after or before):
        return headers
    found = []
    for header in headers:
        start = observation_time(header.values)
        if start is None:
            wrong, right = "are no date and time", "write 2024-11-21 and 07:47:13.140, or leave after and before out"
            problems.add(Problem(str(header.path), "DATE-OBS, TIME-OBS", wrong, right))
        elif (after is None or start >= after) and (before is None or start < before):
            found.append(header)
    if not found:
        wrong = f"none of the {len(headers)} exposures began in this time"
        problems.add(Problem("config", f"{key}.{'after' if after else 'before'}", wrong, "give another time"))
    return found


def _corrected(key: str, maker: ReferenceMaker, headers: list[ExposureHeader], problems: Problems) -> str | None:
    """Return the path of the flat that a flat of the sky corrects; check what only such a flat has."""
    if maker.type != "sky_flat":
        if maker.known_flat is not None:
            problems.add(Problem("config", f"{key}.known_flat", f"a {maker.type} corrects no flat", "leave it out"))
        return None
    if len(headers) < maker.sky_exposures:
        wrong = f"{len(headers)} exposures, of which {maker.sky_exposures} must show the sky in a pixel"
        problems.add(Problem("config", f"{key}.exposures", wrong, "give more, or lower sky_exposures"))
    if maker.known_flat is None or not headers:
        return None
    if wrong := _unfit(Path(maker.known_flat), headers[0]):
        problems.add(Problem("config", f"{key}.known_flat", wrong, "give the flat of the detector and filter"))
    return str(maker.known_flat)


def _unfit(flat: Path, exposure: ExposureHeader) -> str:
    """Say why a flat is none for an exposure; empty: it is one."""
    # A plan of no such flat does without astropy.
    from calflow.files.reference_files import ReferenceFileError, covered_window

    if not os.path.isfile(flat):  # which no path makes an error
        return no_file(flat)
    own = Problems()
    header = read_reference_header(flat, own)
    if header is None:
        return "; ".join(map(str, own))
    if str(header.values.get("REFTYPE", "FLAT")).upper() != "FLAT":
        return f"{flat} is a reference of type {header.values['REFTYPE']}"
    detectors = [values.get("DETECTOR") for values in (header.values, exposure.values)]
    if not alike(*detectors):
        return f"{flat} is of the detector {detectors[0]}, the exposures of {detectors[1]}"
    try:
        covered = covered_window(flat, images=(exposure.image, "SCI"))
    except ReferenceFileError as error:
        return str(error)
    if not covered.contains(window_of(exposure)):
        return f"{flat} covers {covered} of the detector, the exposures {window_of(exposure)}"
    return ""


def _dark(
    key: str, maker: ReferenceMaker, makers: Mapping[str, ReferenceMaker], folder: str, problems: Problems
) -> str | None:
    """Return the path of the dark of a flat: a file, or what another maker makes."""
    if maker.dark is None:
        return None
    if maker.type == "dark":
        problems.add(Problem("config", f"{key}.dark", "a dark has no dark", "leave it out"))
        return None
    if maker.dark in makers and makers[maker.dark].type == "dark":
        return f"{folder}/{maker.dark}.fits"
    if os.path.isfile(maker.dark):
        return maker.dark
    darks = [name for name, other in makers.items() if other.type == "dark"]
    right = nearest(maker.dark, darks) if darks else "no maker makes one"
    wrong = f"{maker.dark!r} is neither a file nor the name of a maker of darks"
    problems.add(Problem("config", f"{key}.dark", wrong, right))
    return None


def _check_alike(headers: list[ExposureHeader], maker: ReferenceMaker, problems: Problems) -> Family | None:
    """Check that exposures can be combined; return their family."""
    first = headers[0]
    family = family_of(first.values)
    if family is None:
        wrong = f"{first.values.get('TELESCOP')!r} is not known"
        problems.add(Problem(str(first.path), "TELESCOP", wrong, f"calflow processes {known_telescopes()}"))
        return None
    keywords = [keyword for keyword in family.background.same if maker.reftype == "flat" or keyword not in OF_LIGHT]
    for header in headers:
        if header.is_cube:
            problems.add(Problem(str(header.path), header.image, "has integrations (3-D)", "give 2-D exposures"))
        for keyword in keywords:
            own, wanted = header.values.get(keyword), first.values.get(keyword)
            if not alike(own, wanted):
                wrong = f"is {own!r}, that of {str(first.path)!r} {wanted!r}"
                problems.add(Problem(str(header.path), keyword, wrong, "combine exposures taken alike"))
        if window_of(header) != window_of(first):
            wrong = f"covers {window_of(header)}, {str(first.path)!r} {window_of(first)}"
            problems.add(Problem(str(header.path), header.image, wrong, "combine exposures of one window"))
        if maker.useafter is None and observation_time(header.values) is None:
            right = "write 2024-11-21 and 07:47:13.140, or set useafter of the maker"
            problems.add(Problem(str(header.path), "DATE-OBS, TIME-OBS", "are no date and time", right))
    return family


def _keywords(
    headers: list[ExposureHeader], maker: ReferenceMaker, family: Family, window: Window
) -> dict[str, str | int]:
    values = headers[0].values
    names = (*COPIED, *OF_LIGHT) if maker.reftype == "flat" else COPIED
    keywords: dict[str, Any] = {"TELESCOP": (family.reference_telescopes or family.telescopes)[0]}
    keywords |= {name: values[name] for name in names if values.get(name) not in (None, "")}
    if keywords.get("SUBARRAY") == "FULL":
        keywords["SUBARRAY"] = "GENERIC"  # it can be cut out for every subarray
    starts = [start for header in headers if (start := observation_time(header.values))]
    useafter = maker.useafter or _iso(min(starts))
    return keywords | {
        "SUBSTRT1": window.xstart,
        "SUBSTRT2": window.ystart,
        "SUBSIZE1": window.nx,
        "SUBSIZE2": window.ny,
        "USEAFTER": useafter,
        "PEDIGREE": "INFLIGHT",
        "AUTHOR": "calflow",
        "DESCRIP": f"{maker.type}: {'skies' if maker.type == 'sky_flat' else maker.method} of {len(headers)} exposures",
    }


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S")
