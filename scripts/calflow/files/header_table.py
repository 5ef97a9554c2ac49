"""The table of a combined image that keeps the headers of all its inputs."""

import re
from collections.abc import Sequence
from functools import cache
from numbers import Integral, Real
from typing import Any

import numpy as np
from astropy.io import fits

# How the arrays lie in the file, and remarks.
_STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM"
    r"|EXTNAME|EXTVER|EXTLEVEL|INHERIT|COMMENT|HISTORY|"
)
_SIP = re.compile(r"[AB]P?_(ORDER|\d+_\d+)|[AB]_DMAX")
# Keywords without a column in the tables of the JWST archive.
_LEFT_OUT = frozenset(
    """
    CMD_TSEL COMPRESS CROWDFLD DATAEND DATASTRT DETMODE DIRIMAGE DITHDIRC DITHOPFR DITHPNTS DITH_DEC DITH_RA
    DSETSTRT EXPSTENG EXTNCRS FILETYPE FPE_SIDE GF_END GF_START ICE_SIDE MASTERBG MRSPRCHN MT_AVDEC MT_AVRA MT_DEC
    MT_RA NDRIZ NUMDSETS OBSFOLDR OSF_FILE PIXFRAC PRIMECRS PS3_0 PS3_1 PXSCLRT RESWHT SCATFILE SEGMFILE SPECSYS
    SRCTYPE TARGCAT TARGDESC TCATFILE TIMEUNIT VELOSYS XREF_SCI YREF_SCI
    """.split()
)
_INT64 = range(-(2**63), 2**63)


def header_table(headers: Sequence[tuple[fits.Header, fits.Header]]) -> fits.BinTableHDU:
    """Return the extension HDRTAB: one row per input, one column per keyword that has a value in one of them.

    Parameters
    ----------
    headers : sequence of (primary header, SCI header)
        Of the inputs, in the order of the association. Structural cards, remarks, SIP coefficients and some
        keywords that the tables of the JWST archive do not have either are left out.

    Returns
    -------
    BinTableHDU
        Columns in the order in which the keywords are met, those of the primary header first; a keyword that is
        in both headers is that of SCI. Text is ``nA``, integers are ``K``, other numbers ``D``, logical
        values ``L``. Where an input lacks the keyword, text is empty and a number NaN, for which integers and
        logical values (1, 0) become ``D``. Text and numbers in one column make it text.

    Raises
    ------
    ValueError
        No headers.
    """
    if not headers:
        raise ValueError("no headers for a table: at least one input is needed")
    rows = [_row(primary, science) for primary, science in headers]
    keywords = dict.fromkeys(keyword for row in rows for keyword in row)
    columns = [_column(keyword, [row.get(keyword) for row in rows]) for keyword in keywords]
    table = fits.BinTableHDU.from_columns(columns, name="HDRTAB")
    table.header.set("EXTVER", 1, "extension value")
    return table


def _row(primary: fits.Header, science: fits.Header) -> dict[str, Any]:
    row = {}
    for header in (primary, science):
        for card in header.cards:
            if not _has_column(card.keyword):
                continue
            value = card.value  # only once: astropy takes long to read it
            if not isinstance(value, fits.card.Undefined):
                row[card.keyword] = value
    return row


@cache
def _has_column(keyword: str) -> bool:
    return not (keyword in _LEFT_OUT or _STRUCTURE.fullmatch(keyword) or _SIP.fullmatch(keyword))


def _column(keyword: str, values: list) -> fits.Column:
    """Return a column of the type that all values fit; None is no value."""
    present = [value for value in values if value is not None]
    complete = len(present) == len(values)
    if not all(isinstance(value, Real) for value in present):
        texts = np.array(["" if value is None else str(value) for value in values])
        return fits.Column(keyword, f"{max(1, texts.dtype.itemsize // 4)}A", array=texts)
    if complete and all(isinstance(value, bool) for value in present):
        return fits.Column(keyword, "L", array=np.array(values))
    if complete and all(isinstance(value, Integral) and int(value) in _INT64 for value in present):
        return fits.Column(keyword, "K", array=np.array(values, np.int64))
    numbers = [np.nan if value is None else float(value) for value in values]
    return fits.Column(keyword, "D", array=np.array(numbers))
