"""What an ASDF reference file is for: the scalars of its `meta`, under the names they have in FITS headers."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from calflow.inputs.fits_headers import HeaderError, Value

MAX_YAML_BYTES = 64 * 1024**2
MAX_YAML_DEPTH = 200  # compound models nest some ten levels; libyaml's time grows with the square

# Where the keywords are in an ASDF reference's `meta`; a key `p_<name>` beside one is its P_ list.
KEYWORDS = {
    "reftype": "REFTYPE",
    "useafter": "USEAFTER",
    "telescope": "TELESCOP",
    "pedigree": "PEDIGREE",
    "author": "AUTHOR",
    "description": "DESCRIP",
    "model_type": "DATAMODL",
    "instrument.name": "INSTRUME",
    "instrument.detector": "DETECTOR",
    "instrument.filter": "FILTER",
    "instrument.pupil": "PUPIL",
    "instrument.channel": "CHANNEL",
    "instrument.module": "MODULE",
    "instrument.band": "BAND",
    "instrument.grating": "GRATING",
    "instrument.coronagraph": "CORONMSK",
    "exposure.type": "EXP_TYPE",
    "exposure.readpatt": "READPATT",
    "exposure.noutputs": "NOUTPUTS",
    "subarray.name": "SUBARRAY",
    "visit.tsovisit": "TSOVISIT",
    "visit.type": "VISITYPE",
}
# Files from before there was `meta` have these at the top.
KEYWORDS_WITHOUT_META = {
    "reftype": "REFTYPE",
    "telescope": "TELESCOP",
    "instrument": "INSTRUME",
    "detector": "DETECTOR",
}
LISTS = {
    "instrument.p_detector": "P_DETECT",
    "instrument.p_filter": "P_FILTER",
    "instrument.p_pupil": "P_PUPIL",
    "instrument.p_channel": "P_CHANNE",
    "instrument.p_module": "P_MODULE",
    "instrument.p_band": "P_BAND",
    "instrument.p_grating": "P_GRATIN",
    "instrument.p_coronagraph": "P_CORONM",
    "exposure.p_exptype": "P_EXP_TY",
    "exposure.p_readpatt": "P_READPA",
    "subarray.p_subarray": "P_SUBARR",
}


def read_asdf_meta(file: BinaryIO) -> dict[str, Value]:
    """Return the values in `meta` of an ASDF file that `KEYWORDS` and `LISTS` name, by FITS keyword.

    Only the YAML text is scanned, no tag in it is acted upon.

    Parameters
    ----------
    file : BinaryIO
        Open, at its beginning.

    Raises
    ------
    HeaderError
        If the text is damaged.
    """
    import yaml

    text, _ = read_yaml_text(file)
    names = KEYWORDS | LISTS
    found: dict[str, Value] = {}
    outside: dict[str, Value] = {}
    try:
        for place, value in _scalars(text, "meta"):
            if place in names:  # the items of a list come one by one
                found[place] = f"{found[place]}|{value}" if place in found else value
            elif place.startswith("/") and place[1:] in KEYWORDS_WITHOUT_META:
                outside[KEYWORDS_WITHOUT_META[place[1:]]] = value
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        wrong = f"not readable as ASDF ({str(error).splitlines()[0]})"
        raise HeaderError(wrong, "get the file again") from None
    return {names[place]: value for place, value in found.items()} or outside


def read_yaml_text(file: BinaryIO) -> tuple[bytes, int]:
    """Return the YAML document of an ASDF file, which a line ``...`` ends, and the position behind that line.

    Parameters
    ----------
    file : BinaryIO
        Open, at its beginning.

    Raises
    ------
    HeaderError
        If there is no such line.
    """
    chunks, tail = [], b""
    while chunk := file.read(1024**2):
        chunks.append(chunk)
        joint = tail + chunk
        if b"\n..." in joint or len(chunks) * 1024**2 > MAX_YAML_BYTES:
            break
        tail = chunk[-4:]
    text = b"".join(chunks)
    end = re.search(rb"\r?\n\.\.\.\r?(\n|$)", text)
    if not end:
        raise HeaderError("truncated: the YAML text does not end with a line '...'", "get the file again")
    return text[: end.start() + 1], end.end()


def _scalars(text: bytes, top: str) -> Iterator[tuple[str, Value]]:
    """Yield the scalars below a top-level key as ``a.b``, value, from the parser's events; those beside it as ``/a``.

    No object is made of any node, so neither tags nor aliases nor depth can do anything.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    path: list[str | None] = []  # the keys leading here; None where a key is due, "" within a list
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            path.append(None if isinstance(event, yaml.MappingStartEvent) else "")
            if len(path) > MAX_YAML_DEPTH:
                raise HeaderError(f"more than {MAX_YAML_DEPTH} levels deep", "give a reference file")
            continue
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            path.pop()
            if path == [top]:
                return
        elif isinstance(event, yaml.ScalarEvent):
            if path and path[-1] is None:
                path[-1] = event.value or "?"
                continue
            # None before the end: within a key that is no scalar
            if len(path) > 1 and path[0] == top and not {"", None}.intersection(path[:-1]):
                yield ".".join(filter(None, path[1:])), _yaml_value(event)
            elif len(path) == 1 and path[0]:
                yield f"/{path[0]}", _yaml_value(event)
        elif not isinstance(event, yaml.AliasEvent):
            continue
        if path and path[-1] != "":  # a value is complete, or a key that is no scalar
            path[-1] = "?" if path[-1] is None else None


def _yaml_value(event) -> Value:
    """Return the value of a YAML scalar; an explicit tag leaves it a string."""
    text = event.value.strip()
    if not event.implicit[0]:
        return text
    constants = {"": None, "null": None, "~": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else text
