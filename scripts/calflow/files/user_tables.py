"""Tables that users give, in the formats that archives and programs write: FITS, VOTable, ECSV, CSV and plain text."""

import io
import re
import warnings
import zlib
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from astropy.table import Table
from astropy.units import Unit

# What is read into memory: text of a million stars with twenty columns.
MAX_BYTES = 2**28
# Numbers as text are packed to a third or so. What unpacks to far more of them is meant to fill the memory.
MAX_RATIO, FEW_BYTES = 100, 2**24
# Catalogues have some hundred. astropy's time grows with the square of their number, and in C code no signal stops it:
# minutes for a million.
MAX_COLUMNS = 2000
# So much of a text without a known format is looked at first; what is no table fails fast.
LINES_OF_A_GUESS = 1000
# Key of a table's metadata: names that more than one of its columns had.
DUPLICATES = "duplicates"
FORMATS = "give a table in FITS, VOTable, ECSV, CSV or plain text"
_START = 4096  # bytes in which a VOTable says that it is one
_TOO_MANY = re.compile(rb"(NAXIS|TFIELDS) *= +\d{4}")
_LARGE_NUMBER = re.compile(r"\s*#\s*\d{5}")
# The line of dashes under the names and units of VizieR's tables: blanks, tabs, ; or | between the columns.
_DASHES = re.compile(r"[\s;|]*-[-\s;|]*")
_CELLS = re.compile(r"[^\s,;|]+")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_STREAM_ELSEWHERE = re.compile(rb"<(?:\w+:)?STREAM\b[^>]*\bhref\s*=", re.IGNORECASE)


class UserTableError(ValueError):
    """A table that cannot be used.

    Attributes
    ----------
    path : Path
    column : str
        The one at fault; empty: the file as a whole.
    wrong, right : str
        What is wrong, and what would be right.
    """

    def __init__(self, path: Path, column: str, wrong: str, right: str):
        super().__init__(": ".join(filter(None, [str(path), column, f"{wrong}; {right}"])))
        self.path, self.column, self.wrong, self.right = path, column, wrong, right


def read_user_tables(path: Path) -> list[Table]:
    """Read all tables of a file, in their order; at least one.

    The content tells the format, whatever the name: FITS, VOTable, ECSV, each also gzipped; of other text the name
    tells CSV, else it is found out.

    Parameters
    ----------
    path : Path

    Raises
    ------
    UserTableError
        If there is none, or it cannot be read.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units and standards: what matters is checked in the columns
            return _read(path)
    except UserTableError:
        raise
    except Exception as error:  # astropy's readers raise what they like
        lines = (line.strip() for line in str(error).splitlines())
        reason = next(filter(None, lines), type(error).__name__)[:200]
        if "Unable to guess table format" in reason or isinstance(error, LookupError):
            reason = "it has none of the known formats"
        raise UserTableError(path, "", f"cannot be read as a table: {reason}", FORMATS) from None


def _read(path: Path) -> list[Table]:
    with path.open("rb") as file:
        start = file.read(_START)
    if start.startswith(b"SIMPLE"):
        return _fits(path, path, start)
    content = _content(path)
    if content.startswith(b"SIMPLE"):
        return _fits(path, io.BytesIO(content), content)
    if re.search(rb"<(\w+:)?VOTABLE\b", content[:_START]):
        return _votable(path, content)
    if not content.strip():
        raise UserTableError(path, "", "is empty", "give a table with columns of positions")
    if not content.startswith(_UTF_16) and _BINARY.search(content[:_START]):
        raise UserTableError(path, "", "is neither text nor FITS", FORMATS)
    name = path.name.lower().removesuffix(".gz")
    if content.startswith(b"# %ECSV") or name.endswith(".ecsv"):
        return [Table.read(_lines(path, content), format="ascii.ecsv")]
    lines = _lines(path, content)
    rows = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if ruled := _ruled(rows):
        return ruled
    table = _text(lines, rows, csv=name.endswith(".csv"))
    table.meta[DUPLICATES] = _duplicates(table, lines)
    return [table]


def _content(path: Path) -> bytes:
    """Return what is in a file, unpacked if it is gzipped."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if content.startswith(b"\x1f\x8b"):
        limit = min(MAX_BYTES, max(FEW_BYTES, MAX_RATIO * len(content)))
        unpacker = zlib.decompressobj(wbits=31)
        content = unpacker.decompress(content, limit + 1)
        if len(content) > limit and limit < MAX_BYTES:
            right = "give the table as it was before it was packed"
            raise UserTableError(path, "", f"unpacks to more than {MAX_RATIO} times its size, which is no table", right)
        if not unpacker.eof and len(content) <= MAX_BYTES:
            raise ValueError("the gzipped file is cut off")
    if len(content) > MAX_BYTES:
        right = "keep the columns of the positions and the stars of the field, or write it as FITS"
        raise UserTableError(path, "", f"has more than {MAX_BYTES / 1e6:.0f} MB of text", right)
    return content


def _fits(path: Path, source: Path | io.BytesIO, looked_at: bytes) -> list[Table]:
    from astropy.io import fits

    if many := _TOO_MANY.search(looked_at):  # astropy would count up to any number
        raise UserTableError(path, many[1].decode(), "is above 999", "get the file again")
    size = path.stat().st_size if isinstance(source, Path) else source.getbuffer().nbytes
    with fits.open(source) as hdus:
        found = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        for hdu in found:
            # Before the rows are read: astropy takes memory for all that a header promises.
            if hdu.header["NAXIS1"] * hdu.header["NAXIS2"] > size:
                right = "get the file again"
                raise UserTableError(path, hdu.name, "has more rows by its header than are in the file", right)
        tables = [Table.read(hdu) for hdu in found]
    if not tables:
        raise UserTableError(path, "", "has no table", "give a FITS file with a table extension")
    return tables


def _votable(path: Path, content: bytes) -> list[Table]:
    from astropy.io import votable

    if _STREAM_ELSEWHERE.search(content):
        # astropy would fetch it, from wherever the file says.
        raise UserTableError(path, "STREAM", "keeps its data elsewhere", "save the VOTable with the data in it")
    parsed = votable.parse(io.BytesIO(content), verify="ignore")
    tables = [table.to_table(use_names_over_ids=True) for table in parsed.iter_tables()]
    if not tables:
        raise UserTableError(path, "", "has no table", "save the VOTable with its data")
    return tables


def _ruled(rows: list[str]) -> list[Table]:
    """Read the tables of a text of VizieR: names, units, dashes, and the values below them; [] if it is none."""
    # Two lines of names above the dashes, or one: the latter astropy knows.
    starts = [i for i, row in enumerate(rows) if i >= 2 and _DASHES.fullmatch(row)]
    if not starts or starts[0] != 2:
        return []
    tables = []
    for start, end in zip(starts, [*(start - 2 for start in starts[1:]), len(rows)], strict=True):
        names, unit_row, dashes, *values = rows[start - 2 : end]
        separator = next((separator for separator in "\t;|" if separator in dashes), "")
        if separator:
            cells = [[cell.strip() for cell in row.split(separator)] for row in (names, *values)]
            table = Table.read(["\t".join(row) for row in cells], format="ascii.tab", guess=False)
            given = unit_row.split(separator)
        else:
            table = Table.read([names, dashes, *values], format="ascii.fixed_width_two_line", guess=False)
            given = [unit_row[column.start() : column.end()] for column in re.finditer("-+", dashes)]
        for name, unit in zip(table.colnames, given, strict=False):
            if plain := unit.strip(' "'):
                table[name].unit = Unit(plain, parse_strict="silent")
        tables.append(table)
    return tables


def _text(lines: list[str], rows: list[str], *, csv: bool) -> Table:
    """Read a text whose format its content does not tell; `rows` are its lines without comments."""
    # SExtractor numbers its columns in comments, and astropy makes as many as the largest number says.
    lines = [line for line in lines if not _LARGE_NUMBER.match(line)]
    first = rows[0] if rows else ""
    if ";" in first and not {",", "\t"} & set(first):
        return Table.read(rows, format="ascii.basic", delimiter=";", guess=False)
    if first.startswith(("|", "+-")) and rows[-1].startswith(("|", "+-")):  # IPAC's has bars in its header only
        rows = [row for row in rows if not row.startswith("+-")]
        return Table.read(rows, format="ascii.fixed_width", guess=False)
    if csv and "," in first:
        table = Table.read(lines, format="ascii.csv", comment=r"\s*#", guess=False)
        names = _commented_names(lines, len(table.colnames))
        if names and all(map(_is_number, table.colnames)):
            table = Table.read([names, *rows], format="ascii.csv", guess=False)
        return table
    if len(lines) > LINES_OF_A_GUESS:
        Table.read(lines[:LINES_OF_A_GUESS], format="ascii")
    table = Table.read(lines, format="ascii")
    if table.colnames[:1] == ["col1"] and lines[0].lstrip().startswith("#"):
        with suppress(Exception):  # the names may stand in the last of several comments
            return Table.read(lines, format="ascii.commented_header", header_start=-1)
    return table


def _commented_names(lines: list[str], number: int) -> str:
    """Return the last of the comments at the head of a CSV if it has as many entries as there are columns, or ""."""
    comments = [
        line.strip(" #")
        for line in takewhile(lambda line: line.lstrip().startswith("#") or not line.strip(), lines)
        if line.strip()
    ]
    return comments[-1] if comments and comments[-1].count(",") == number - 1 else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _duplicates(table: Table, lines: list[str]) -> list[str]:
    """Return the names that stand more than once in a text: astropy appends _1 to the second one."""
    head = "\n".join(lines[:LINES_OF_A_GUESS])
    renamed = [name for name in table.colnames if f"{name}_1" in table.colnames]
    return [name for name in renamed if len(re.findall(rf"(?<!\w){re.escape(name)}(?!\w)", head)) > 1]


def _lines(path: Path, content: bytes) -> list[str]:
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    lines = content.decode(encoding, errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS and (cells := len(_CELLS.findall(line))) > MAX_COLUMNS:
            wrong = f"has {cells} values in line {number}, more than the row of any table"
            raise UserTableError(path, "", wrong, "write each star on a line of its own")
    return lines
