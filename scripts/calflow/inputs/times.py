"""The times in headers: when an exposure was taken, from when on a reference is for use, the epoch of its stars."""

import re
from calendar import isleap
from datetime import UTC, datetime, timedelta

from calflow.inputs.fits_headers import Value

_FITS_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


def observation_time(header: dict[str, Value]) -> datetime | None:
    """Return the start (UTC) of an exposure from DATE-OBS and TIME-OBS; None if they are not a date and a time.

    Both are as FITS writes them, not in the other ways of ISO 8601; without TIME-OBS it is midnight.

    Parameters
    ----------
    header : dict of str to Value
        Keywords of the exposure.
    """
    date, time = header.get("DATE-OBS"), header.get("TIME-OBS")
    text = f"{date}T{'00:00:00' if time in (None, '') else time}"
    return _iso_time(text) if _FITS_TIME.fullmatch(text) else None


def parse_useafter(value: Value) -> datetime | None:
    """Return the time (UTC) of a USEAFTER value, or None if it is not one.

    Parameters
    ----------
    value : Value
        Of the keyword.
    """
    if not isinstance(value, str):
        return None
    time = _iso_time(value.strip())
    if time is None:
        try:  # the form of older references
            time = datetime.strptime(value.strip(), "%b %d %Y %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return None
    return time


def decimal_year(date: str) -> float:
    """Return a date of ISO 8601, as ``2023-03-12`` or ``2023-03-12T06:00:00``, as a decimal year.

    The year, and the part of it that has passed, of 365 or 366 days.

    Parameters
    ----------
    date : str
        As ``2023-03-12`` or ``2023-03-12T06:00:00``.

    Raises
    ------
    ValueError
        If it is no such date.
    """
    try:
        moment = datetime.fromisoformat(date.strip())
    except ValueError:
        raise ValueError(f"{date!r} is no date; it should be like 2023-03-12") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    start = datetime(moment.year, 1, 1, tzinfo=UTC)
    return moment.year + (moment - start) / timedelta(days=366 if isleap(moment.year) else 365)


def _iso_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
