"""The times in headers: when an exposure was taken, from when on a reference is for use."""

import re
from datetime import UTC, datetime

from calflow.inputs.fits_headers import Value

_FITS_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


def observation_time(header: dict[str, Value]) -> datetime | None:
    """Return the start (UTC) of an exposure from DATE-OBS and TIME-OBS; None if they are not a date and a time.

    Both are as FITS writes them, not in the other ways of ISO 8601; without TIME-OBS it is midnight.
    """
    date, time = header.get("DATE-OBS"), header.get("TIME-OBS")
    text = f"{date}T{'00:00:00' if time in (None, '') else time}"
    return _iso_time(text) if _FITS_TIME.fullmatch(text) else None


def parse_useafter(value: Value) -> datetime | None:
    """Return the time (UTC) of a USEAFTER value, or None if it is not one."""
    if not isinstance(value, str):
        return None
    time = _iso_time(value.strip())
    if time is None:
        try:  # the form of older references
            time = datetime.strptime(value.strip(), "%b %d %Y %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return None
    return time


def _iso_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
