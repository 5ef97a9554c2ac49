"""The header of an image that combines several exposures.

It is the header of the first input, except for what only all inputs together can tell: when they
began and ended, which filters were used, for how long they were exposed.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from astropy.io import fits

MULTIPLE = "MULTIPLE"
OUTSIDE_TOLERANCE = "outside calibration tolerance"
# The level was that of one input, and what was subtracted differs from one to the next.
OF_ONE_INPUT = ("BKGLEVEL", "BKGSUB")
# Times that add up, once per exposure: keyword, extension where it stands unless an input says otherwise, comment.
SUMS = {
    "EFFEXPTM": ("PRIMARY", "[s] Effective exposure time"),
    "TMEASURE": ("PRIMARY", "[s] Measurement time"),
    "DURATION": ("PRIMARY", "[s] Total duration of exposure"),
    "XPOSURE": ("SCI", "[s] Effective exposure time"),
    "TELAPSE": ("SCI", "[s] Total elapsed exposure time"),
}
# How many pixels an extra step has changed begins so; the rest is that of the keyword of its status.
COUNT, APPLIED = "N_", "COMPLETE"
# Two names of one time: the second is that of the FITS standard.
SAME_TIMES = {"EFFEXPTM": "XPOSURE", "DURATION": "TELAPSE"}


def blend_headers(
    headers: Sequence[tuple[fits.Header, fits.Header]], groups: Sequence[Hashable]
) -> dict[str, fits.Header]:
    """Return the headers of an image combined from several exposures.

    Parameters
    ----------
    headers : sequence of (primary header, SCI header)
        Of the inputs, in the order of the association, without structural cards. They are not changed.
    groups : sequence of hashable
        The exposure that each input belongs to: the detectors of one exposure have the same.

    Returns
    -------
    dict of str to astropy Header
        ``PRIMARY`` and ``SCI``: copies of those of the first input, comments included, with

        - the earliest of DATE-OBS (and TIME-OBS), DATE-BEG, EXPSTART, MJD-BEG, TDB-BEG, INTSTART;
        - the latest or largest of DATE-END, EXPEND, MJD-END, TDB-END, INTEND, FWPOSOFF, PWPOSOFF;
        - the mean of EXPMID, MJD-AVG, TDB-MID;
        - ``MULTIPLE`` in place of DETECTOR, MODULE, FILTER, GRATING and BAND that differ;
        - FWPOSTOL and PWPOSTOL outside tolerance if one input is;
        - what `exposure_times` gives; a sum that is not known is removed;
        - the sum of how many pixels an extra step has changed, such as N_MASK_R, and the status of that step, S_MASK_R,
          which is COMPLETE if it was applied to any input;
        - no BKGLEVEL and BKGSUB.

        Inputs without a keyword do not count; of all other keywords those of the first input stay. Cards
        of its WCS stay too: it is for the caller to put those of the output grid in their place.

    Raises
    ------
    ValueError
        No headers, another number of groups, or values that cannot be compared or added.
    """
    times = exposure_times(headers, groups)
    primary, science = headers[0]
    blended = {"PRIMARY": primary.copy(), "SCI": science.copy()}
    for keyword, rule in _RULES.items():
        values = [value for value in (_value(pair, keyword) for pair in headers) if value is not None]
        if values:
            _put(blended, headers, keyword, _apply(rule, values, keyword))
    for count, state in _extra_steps(headers):
        counts, states = ([pair[0][name] for pair in headers if name in pair[0]] for name in (count, state))
        _put(blended, headers, count, sum(counts))
        if APPLIED in states:
            _put(blended, headers, state, APPLIED)
    start = _start_time(headers)
    if start is not None:
        _put(blended, headers, "TIME-OBS", start)
    for keyword in (*OF_ONE_INPUT, *SUMS):
        if keyword not in times:
            for header in blended.values():
                header.remove(keyword, ignore_missing=True)
    blended["PRIMARY"].set("NDRIZ", times.pop("NDRIZ"), "Number of exposures combined")
    for keyword, value in times.items():
        _put(blended, headers, keyword, value, *SUMS[keyword])
    return blended


def exposure_times(
    headers: Sequence[tuple[fits.Header, fits.Header]], groups: Sequence[Hashable]
) -> dict[str, int | float]:
    """Return the times of a combined image, with each exposure counted once however many detectors it has.

    Parameters
    ----------
    headers : sequence of (primary header, SCI header)
    groups : sequence of hashable
        The exposure that each input belongs to.

    Returns
    -------
    dict of keyword to number
        NDRIZ, the number of exposures, and the sums of EFFEXPTM, TMEASURE, DURATION, XPOSURE and TELAPSE
        in s. Of an exposure the first input that has the time counts. A sum is left out if the time
        of one exposure is not known. XPOSURE and TELAPSE are EFFEXPTM and DURATION where those are known.

    Raises
    ------
    ValueError
        No headers, another number of groups, or a time that is not a number.
    """
    if not headers:
        raise ValueError("no headers to combine: at least one input is needed")
    if len(headers) != len(groups):
        raise ValueError(f"{len(headers)} inputs but {len(groups)} groups: each input belongs to one group")
    count = len(set(groups))
    times: dict[str, int | float] = {"NDRIZ": count}
    for keyword in SUMS:
        of_group: dict[Hashable, Any] = {}
        for group, pair in zip(groups, headers, strict=True):
            value = _value(pair, keyword)
            if value is not None:
                of_group.setdefault(group, value)
        if len(of_group) == count:
            times[keyword] = _apply(math.fsum, list(of_group.values()), keyword)
    for keyword, other in SAME_TIMES.items():
        if keyword in times:
            times[other] = times[keyword]
    return times


def _mean(values: list) -> float:
    return math.fsum(values) / len(values)


def _common(values: list) -> Any:
    return values[0] if len(set(values)) == 1 else MULTIPLE


def _worst_tolerance(values: list) -> Any:
    return OUTSIDE_TOLERANCE if OUTSIDE_TOLERANCE in values else values[0]


_RULES: dict[str, Callable[[list], Any]] = {
    # Dates are text in ISO 8601, the order of which is that of time.
    **dict.fromkeys(("DATE-OBS", "DATE-BEG", "EXPSTART", "MJD-BEG", "TDB-BEG", "INTSTART"), min),
    **dict.fromkeys(("DATE-END", "EXPEND", "MJD-END", "TDB-END", "INTEND", "FWPOSOFF", "PWPOSOFF"), max),
    **dict.fromkeys(("EXPMID", "MJD-AVG", "TDB-MID"), _mean),
    **dict.fromkeys(("DETECTOR", "MODULE", "FILTER", "GRATING", "BAND"), _common),
    **dict.fromkeys(("FWPOSTOL", "PWPOSTOL"), _worst_tolerance),
}


def _extra_steps(headers: Sequence[tuple[fits.Header, fits.Header]]) -> list[tuple[str, str]]:
    """Return the keywords of how many pixels extra steps have changed, each with that of its status."""
    found: dict[str, list[Any]] = {}
    for primary, _ in headers:
        for keyword in primary:
            if keyword.startswith(COUNT):
                found.setdefault(keyword, []).append(primary[keyword])
    named = ((count, f"S{count[1:]}", values) for count, values in found.items())
    # Those of other programs may be anything.
    return [
        (count, state)
        for count, state, values in named
        if all(type(value) is int for value in values) and any(state in primary for primary, _ in headers)
    ]


def _apply(rule: Callable[[list], Any], values: list, keyword: str) -> Any:
    try:
        return rule(values)
    except TypeError:
        kinds = ", ".join(sorted({repr(value) for value in values})[:3])
        raise ValueError(
            f"{keyword} cannot be combined, its values in the inputs are {kinds}: "
            "times must be numbers, dates text, in all inputs alike"
        ) from None


def _value(pair: tuple[fits.Header, fits.Header], keyword: str) -> Any:
    """Return a keyword of the SCI header or, failing that, of the primary; None without a value."""
    primary, science = pair
    value = science.get(keyword)
    return primary.get(keyword) if value is None else value


def _start_time(headers: Sequence[tuple[fits.Header, fits.Header]]) -> Any:
    """Return the TIME-OBS of the input that began first: past midnight the smallest belongs to another."""
    starts = [(_value(pair, "DATE-OBS"), _value(pair, "TIME-OBS")) for pair in headers]
    starts = [start for start in starts if None not in start]
    return _apply(min, starts, "TIME-OBS")[1] if starts else None


def _put(
    blended: dict[str, fits.Header],
    headers: Sequence[tuple[fits.Header, fits.Header]],
    keyword: str,
    value: Any,
    extension: str = "PRIMARY",
    comment: str | None = None,
) -> None:
    """Set a keyword where it stands, or else where the first input that has it has it, with its comment."""
    places = [header for header in blended.values() if keyword in header]
    for header in places:
        header.set(keyword, value)
    if places:
        return
    for primary, science in headers:
        for name, header in (("SCI", science), ("PRIMARY", primary)):
            if keyword in header:
                blended[name].set(keyword, value, header.comments[keyword])
                return
    blended[extension].set(keyword, value, comment)
