"""Headers of exposures and references, read without pixels and remembered between runs.

Planning looks at every input of every run, so this module reads the 80-character cards itself: it needs
neither astropy (0.3 s to import) nor more than the header blocks of a file.
"""

import hashlib
import json
import math
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

from problems import Problem
from products.detector_window import detector_window
from steps.windows import Window

CARD = 80
BLOCK = 2880
MAX_HEADER_BYTES = 8 * 1024**2  # ~100,000 cards; a JWST header has some hundred
MAX_HDUS = 1000
MAX_DATA_BYTES = 2**33  # per extension; the largest time-series segments have 2 GB
MAX_YAML_BYTES = 64 * 1024**2
MAX_YAML_DEPTH = 200  # compound models nest some ten levels; libyaml's time grows with the square

FLOAT_BITPIX = (-32, -64)
INTEGER_BITPIX = (8, 16, 32, 64)

# What every exposure has beside SCI, and whether its values are floats
PLANES = {"ERR": True, "DQ": False, "VAR_POISSON": True, "VAR_RNOISE": True}

Value = str | bool | int | float | None

_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZ": ("bzip2", "bunzip2"),
    b"\xfd7": ("xz", "unxz"),
    b"PK": ("zip", "unzip"),
}
_QUOTED = re.compile(rb" *'((?:[^']|'')*)'")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([ED][+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class HduShape:
    """Name, version, shape and type of one HDU.

    Attributes
    ----------
    name : str
        EXTNAME in upper case; ``PRIMARY`` for the first.
    version : int
        EXTVER.
    kind : str
        ``IMAGE``, ``BINTABLE``...; ``IMAGE`` for the first.
    shape : tuple of int
        In numpy's order, (ny, nx) for an image; empty without data.
    bitpix : int
        FITS code of the values' type.
    """

    name: str
    version: int
    kind: str
    shape: tuple[int, ...]
    bitpix: int


@dataclass(frozen=True)
class ExposureHeader:
    """What planning knows of one exposure.

    Attributes
    ----------
    path : Path
    values : dict
        The wanted keywords that the file has, from the primary header, else from SCI.
    hdus : tuple of HduShape
    """

    path: Path
    values: dict[str, Value]
    hdus: tuple[HduShape, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of SCI, (ny, nx) or (nints, ny, nx)."""
        return next(hdu.shape for hdu in self.hdus if hdu.name == "SCI")

    @property
    def is_cube(self) -> bool:
        """Return whether the exposure has one image per integration."""
        return len(self.shape) == 3


@dataclass(frozen=True)
class ReferenceHeader:
    """What planning knows of one reference file.

    Attributes
    ----------
    path : Path
    values : dict
        Keywords by their FITS names, those of ASDF references translated.
    """

    path: Path
    values: dict[str, Value]


class HeaderError(Exception):
    """A file is not what it should be. Its text is ``what is wrong; what would be right``."""


# The two readers --------------------------------------------------------------------------------------


def read_exposure_header(
    path: Path, keywords: Iterable[str], problems: list[Problem], cache: "HeaderCache | None" = None
) -> ExposureHeader | None:
    """Read keywords and shapes of a count-rate or calibrated exposure, and check its structure.

    Parameters
    ----------
    path : Path
        A FITS file with SCI, ERR, DQ, VAR_POISSON and VAR_RNOISE of one shape.
    keywords : iterable of str
        Upper case; looked up in the primary header, then in SCI.
    problems : list of Problem
        Everything that is wrong with the file is added here; nothing is raised.
    cache : HeaderCache, optional
        Remembers sound headers.

    Returns
    -------
    ExposureHeader or None
        None if anything is wrong with the file.
    """
    path, keywords = Path(path), tuple(sorted(set(keywords)))

    def read() -> dict:
        hdus = _read_hdus(path, keywords)
        _check_exposure(hdus)
        primary = hdus[0][0]
        sci = next(values for values, shape in hdus if shape.name == "SCI")
        values = {key: primary.get(key, sci.get(key)) for key in keywords if key in primary or key in sci}
        return {"values": values, "hdus": [astuple(shape) for _, shape in hdus]}

    entry = _cached(path, "exposure:" + ",".join(keywords), read, problems, cache)
    if entry is None:
        return None
    hdus = (HduShape(*before, tuple(shape), bitpix) for *before, shape, bitpix in entry["hdus"])
    return ExposureHeader(path, entry["values"], tuple(hdus))


def read_reference_header(
    path: Path, problems: list[Problem], cache: "HeaderCache | None" = None
) -> ReferenceHeader | None:
    """Read the keywords that say what a reference file (FITS or ASDF) is for.

    Parameters
    ----------
    path : Path
        Of an ASDF file only the YAML text is scanned, no tag in it is acted upon.
    problems : list of Problem
        What is wrong with the file is added here; nothing is raised.
    cache : HeaderCache, optional
        Remembers sound headers.
    """
    path = Path(path)

    def read() -> dict:
        with _open(path) as file:
            start = file.read(5)
        if start == b"#ASDF":
            return {"values": _read_asdf_meta(path)}
        (primary, _), *_ = _read_hdus(path, None)
        wanted = {key: value for key, value in primary.items() if key in _REFERENCE_KEYS or key[:2] == "P_"}
        return {"values": wanted}

    entry = _cached(path, "reference", read, problems, cache)
    return ReferenceHeader(path, entry["values"]) if entry is not None else None


def window_of(header: ExposureHeader) -> Window:
    """Return the detector pixels an exposure has.

    Raises
    ------
    ValueError, TypeError
        If SUBSTRT1 and SUBSTRT2 are no positions on a detector.
    """
    return detector_window(header.values, header.shape)


def _cached(
    path: Path,
    kind: str,
    read: Callable[[], dict],
    problems: list[Problem],
    cache: "HeaderCache | None",
) -> dict | None:
    """Return what `read` returns, from the cache if the file is as it was; None and a problem if it fails."""
    try:
        status = path.stat()
        entry = cache.get(path, status, kind) if cache is not None else None
        if entry is None:
            entry = read()
            if cache is not None:
                cache.put(path, status, kind, entry)
    except HeaderError as error:
        wrong, _, right = str(error).partition("; ")
    except FileNotFoundError:
        wrong, right = "no such file", "give an existing file"
    except (OSError, ValueError) as error:
        wrong, right = f"cannot be read ({getattr(error, 'strerror', None) or error})", "make it readable"
    else:
        return entry
    problems.append(Problem(str(path), "", wrong, right))
    return None


def _open(path: Path) -> BinaryIO:
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise HeaderError("not a file; give a FITS or ASDF file")
    return path.open("rb")


# FITS -------------------------------------------------------------------------------------------------


def _read_hdus(path: Path, keywords: Iterable[str] | None) -> list[tuple[dict[str, Value], HduShape]]:
    """Return the values and the shape of every HDU, having checked that the file holds all their data.

    `keywords` None: every keyword of the primary header, none of the others.
    """
    hdus = []
    wanted = None if keywords is None else frozenset(keyword.encode() for keyword in keywords)
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        for header, data_bytes in _hdu_headers(file, size):
            shape = _shape(header, first=not hdus)
            if not hdus or shape.name == "SCI":
                chosen = header if wanted is None else wanted.intersection(header)
                values = {key.decode("latin-1"): _value(header[key]) for key in sorted(chosen)}
            else:
                values = {}
            hdus.append((values, shape))
            where = shape.name or f"HDU {len(hdus) - 1}"
            promised = file.tell() + data_bytes
            if data_bytes > MAX_DATA_BYTES:
                raise HeaderError(
                    f"{where} is {data_bytes} bytes large according to its header; "
                    f"at most {MAX_DATA_BYTES} are possible"
                )
            if promised > size:
                raise HeaderError(_truncated(where, size, promised))
            file.seek(data_bytes + -data_bytes % BLOCK, os.SEEK_CUR)
    return hdus


def _hdu_headers(file: BinaryIO, size: int) -> Iterator[tuple[dict[bytes, bytes], int]]:
    """Yield the cards of each header and the number of bytes of its data; the caller skips the data."""
    start = file.read(BLOCK)
    if not start:
        raise HeaderError("empty; get the file again")
    for magic, (name, command) in _COMPRESSED.items():
        if start.startswith(magic):
            raise HeaderError(f"compressed with {name}; {command} it first")
    if not re.match(rb"SIMPLE  = +[TF]", start):
        raise HeaderError("not a FITS file; it should begin with the keyword SIMPLE")
    for number in range(MAX_HDUS):
        if number and not start.startswith(b"XTENSION"):
            return  # the end, or something after the last HDU that FITS allows to be there
        cards = _cards(_header_bytes(file, start, number, size))
        yield cards, _data_bytes(cards, number)
        start = file.read(BLOCK)
    raise HeaderError(f"more than {MAX_HDUS} extensions; give an exposure")


def _header_bytes(file: BinaryIO, start: bytes, number: int, size: int) -> bytes:
    """Return a whole header, up to its END card."""
    blocks = [start]
    begin = file.tell() - len(start)
    while not _has_end(blocks[-1]):
        block = file.read(BLOCK)
        if not block:
            whole = len(blocks[-1]) == BLOCK
            promised = begin + (len(blocks) + whole) * BLOCK
            raise HeaderError(_truncated(f"the header of HDU {number}", size, promised))
        if len(blocks) * BLOCK >= MAX_HEADER_BYTES:
            raise HeaderError(f"the header of HDU {number} does not end; get the file again")
        blocks.append(block)
    return b"".join(blocks)


def _truncated(where: str, size: int, promised: int) -> str:
    return (
        f"truncated in {where}: the file has {size} bytes, its headers promise at least {promised}; get the file again"
    )


def _has_end(block: bytes) -> bool:
    position = block.find(b"END     ")
    while position >= 0:
        if position % CARD == 0 and not block[position + 8 : position + CARD].strip():
            return True
        position = block.find(b"END     ", position + 1)
    return False


def _cards(header: bytes) -> dict[bytes, bytes]:
    """Return the value fields of a header by keyword, the first of each, long strings joined."""
    cards: dict[bytes, bytes] = {}
    last = b""
    for position in range(0, len(header), CARD):
        key = header[position : position + 8].rstrip()
        if header[position + 8 : position + 10] == b"= ":
            last = key if key not in cards else b""
            cards.setdefault(key, header[position + 10 : position + CARD])
        elif key == b"CONTINUE" and last:
            cards[last] = _continued(cards[last], header[position + 8 : position + CARD])
        elif key == b"END":
            break
    return cards


def _continued(field: bytes, more: bytes) -> bytes:
    """Return a string field whose last character, ``&``, is replaced by the text of the next card."""
    text, addition = _QUOTED.match(field), _QUOTED.match(more)
    if not text or not addition or not text[1].rstrip().endswith(b"&"):
        return field
    return b"'" + text[1].rstrip()[:-1] + addition[1] + b"'"


def _value(field: bytes) -> Value:
    """Return the value of a card's value field; None if it is undefined or not of a simple kind."""
    quoted = _QUOTED.match(field)
    if quoted:
        return quoted[1].decode("ascii", "replace").replace("''", "'").rstrip()
    text = field.partition(b"/")[0].strip().decode("ascii", "replace")
    if text in ("T", "F"):
        return text == "T"
    number = _NUMBER.fullmatch(text)
    if not number:
        return None
    if text.lstrip("+-").isdigit():
        return int(text)
    value = float(text.upper().replace("D", "E"))
    return value if math.isfinite(value) else None


def _integer(cards: dict[bytes, bytes], key: str, default: int | None = None, least: int = 0) -> int:
    """Return an integer that the structure of the file depends on."""
    field = cards.get(key.encode())
    value = default if field is None else _value(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        shown = "missing" if field is None else repr(value)
        raise HeaderError(f"{key} is {shown}; it should be an integer, at least {least}")
    return value


def _axes(cards: dict[bytes, bytes]) -> list[int]:
    count = _integer(cards, "NAXIS")
    if count > 999:
        raise HeaderError(f"NAXIS is {count}; FITS allows 999 at most")
    return [_integer(cards, f"NAXIS{axis}") for axis in range(1, count + 1)]


def _data_bytes(cards: dict[bytes, bytes], number: int) -> int:
    """Return the number of bytes of an HDU's data (FITS standard 4.0, section 4.4.1)."""
    bitpix = _integer(cards, "BITPIX", least=-64)
    if bitpix not in FLOAT_BITPIX + INTEGER_BITPIX:
        raise HeaderError(f"BITPIX is {bitpix} in HDU {number}; it should be 8, 16, 32, 64, -32 or -64")
    axes = _axes(cards)
    if not axes:
        return 0
    groups, parameters = _integer(cards, "GCOUNT", 1), _integer(cards, "PCOUNT", 0)
    return abs(bitpix) // 8 * groups * (parameters + math.prod(axes))


def _shape(cards: dict[bytes, bytes], first: bool) -> HduShape:
    name = _value(cards.get(b"EXTNAME", b""))
    kind = _value(cards.get(b"XTENSION", b"'IMAGE'"))
    return HduShape(
        "PRIMARY" if first else str(name or "").strip().upper(),
        _integer(cards, "EXTVER", 1, least=-(2**31)),
        "COMPRESSED" if _value(cards.get(b"ZIMAGE", b"")) is True else str(kind).strip(),
        tuple(reversed(_axes(cards))),
        _integer(cards, "BITPIX", least=-64),
    )


def _check_exposure(hdus: list[tuple[dict, HduShape]]) -> None:
    """Raise a HeaderError unless the planes of an exposure are there and fit together."""
    named: dict[str, HduShape] = {}
    for _, shape in hdus:
        named.setdefault(shape.name, shape)
    sci = named.get("SCI")
    if sci is None:
        present = ", ".join(named)
        raise HeaderError(f"no SCI extension (it has {present}); give a _rate or _rateints file")
    if sci.kind == "COMPRESSED":
        raise HeaderError("SCI is tile-compressed; funpack the file first")
    if not sci.shape or 0 in sci.shape:
        raise HeaderError("SCI holds no data; give a file with pixels")
    if len(sci.shape) not in (2, 3) or sci.kind != "IMAGE":
        raise HeaderError(f"SCI has {len(sci.shape)} dimensions; it should be an image of 2 or 3")
    if sci.bitpix not in FLOAT_BITPIX:
        raise HeaderError(f"SCI has BITPIX {sci.bitpix}; it should be -32 or -64 (float)")
    missing = [name for name in PLANES if name not in named]
    if missing:
        right = f"an exposure has SCI, {', '.join(PLANES)}; is the file complete?"
        raise HeaderError(f"no {', '.join(missing)} extension; {right}")
    for name, is_float in PLANES.items():
        plane = named[name]
        if plane.shape != sci.shape:
            raise HeaderError(f"{name} has the shape {plane.shape}; it should be that of SCI, {sci.shape}")
        if plane.bitpix not in (FLOAT_BITPIX if is_float else INTEGER_BITPIX):
            right = "-32 or -64 (float)" if is_float else "8, 16, 32 or 64 (integer)"
            raise HeaderError(f"{name} has BITPIX {plane.bitpix}; it should be {right}")


# ASDF -------------------------------------------------------------------------------------------------

# Where the keywords are in an ASDF reference's `meta`; a key `p_<name>` beside one is its P_ list.
_ASDF_KEYWORDS = {
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
_ASDF_LISTS = {
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
_REFERENCE_KEYS = frozenset(_ASDF_KEYWORDS.values())


def _read_asdf_meta(path: Path) -> dict[str, Value]:
    """Return the wanted scalars below `meta` of an ASDF file, by FITS keyword."""
    import yaml

    with _open(path) as file:
        text = _yaml_text(file)
    names = _ASDF_KEYWORDS | _ASDF_LISTS
    found: dict[str, Value] = {}
    try:
        for place, value in _scalars(text, "meta"):
            if place in names:  # the items of a list come one by one
                found[place] = f"{found[place]}|{value}" if place in found else value
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise HeaderError(f"not readable as ASDF ({str(error).splitlines()[0]}); get the file again") from None
    return {names[place]: value for place, value in found.items()}


def _yaml_text(file: BinaryIO) -> bytes:
    """Return the YAML document of an ASDF file, which a line ``...`` ends."""
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
        raise HeaderError("truncated: the YAML text does not end with a line '...'; get the file again")
    return text[: end.start() + 1]


def _scalars(text: bytes, top: str) -> Iterator[tuple[str, Value]]:
    """Yield the scalars below a top-level key as ``a.b``, value, from the parser's events.

    No object is made of any node, so neither tags nor aliases nor depth can do anything.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    path: list[str | None] = []  # the keys leading here; None where a key is due, "" within a list
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            path.append(None if isinstance(event, yaml.MappingStartEvent) else "")
            if len(path) > MAX_YAML_DEPTH:
                raise HeaderError(f"more than {MAX_YAML_DEPTH} levels deep; give a reference file")
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


# Cache ------------------------------------------------------------------------------------------------

_CACHE_VERSION = "calflow headers 1"
MAX_CACHE_ENTRIES = 100_000


class HeaderCache:
    """Headers of files, by path, size and time of modification, kept in one file between runs.

    The file has one line per entry: the key, a tab, JSON. An entry is parsed when it is asked for, so that
    loading many costs little; the file is only ever replaced as a whole, so that runs beside each other see
    a complete one (the last to write wins, what is lost is read again). A broken file or entry is as none.

    Parameters
    ----------
    path : Path
        The file; made, with its folder, at the first `save`.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._lines = self._load()
        self._new: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, path: Path, status: os.stat_result, kind: str) -> dict | None:
        """Return the entry of a file with this status, or None."""
        stamp, _, rest = self._lines.get(self._name(path, kind), "").partition("\t")
        checksum, _, text = rest.partition("\t")
        if stamp != self._stamp(status) or checksum != self._checksum(text):
            return None
        return json.loads(text)

    def put(self, path: Path, status: os.stat_result, kind: str, entry: dict) -> None:
        """Remember an entry; `save` writes it."""
        name, text = self._name(path, kind), json.dumps(entry, separators=(",", ":"))
        line = f"{self._stamp(status)}\t{self._checksum(text)}\t{text}"
        self._lines[name] = self._new[name] = line

    def save(self) -> None:
        """Write the entries if there are new ones. A cache that cannot be written is no error."""
        if not self._new:
            return
        lines = self._load() | self._new  # with what others wrote meanwhile; the new ones last
        newest = list(lines.items())[-MAX_CACHE_ENTRIES:]
        text = "\n".join([_CACHE_VERSION, *(f"{name}\t{line}" for name, line in newest)]) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self.path, text.encode("utf-8"))
        except OSError:
            return
        self._new = {}

    def _load(self) -> dict[str, str]:
        try:
            version, *lines = self.path.read_bytes().decode("utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return {}
        if version != _CACHE_VERSION:
            return {}
        pairs = (line.partition("\t") for line in lines)
        return {name: entry for name, _, entry in pairs if entry}

    @staticmethod
    def _name(path: Path, kind: str) -> str:
        # A digest, because a path can hold anything, tabs and broken unicode included
        whole = f"{kind}\0{os.path.abspath(path)}"
        return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @staticmethod
    def _checksum(text: str) -> str:
        return f"{zlib.crc32(text.encode()):08x}"

    @staticmethod
    def _stamp(status: os.stat_result) -> str:
        return f"{status.st_size}-{status.st_mtime_ns}"


def _replace(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it and move it into place."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
