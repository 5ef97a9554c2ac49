"""Data quality (DQ) flags: the bit table and mask expressions.

A DQ plane is a uint32 array in which every set bit marks one property of the pixel.
"""

from collections.abc import Mapping

import numpy as np

# Bit values of the JWST pixel flags; Liger/IRIS uses the same table.
FLAGS = {
    "GOOD": 0,
    "DO_NOT_USE": 1 << 0,
    "SATURATED": 1 << 1,
    "JUMP_DET": 1 << 2,
    "DROPOUT": 1 << 3,
    "OUTLIER": 1 << 4,
    "PERSISTENCE": 1 << 5,
    "AD_FLOOR": 1 << 6,
    "CHARGELOSS": 1 << 7,
    "RESERVED": 1 << 8,
    "NON_SCIENCE": 1 << 9,
    "DEAD": 1 << 10,
    "HOT": 1 << 11,
    "WARM": 1 << 12,
    "LOW_QE": 1 << 13,
    "RC": 1 << 14,
    "TELEGRAPH": 1 << 15,
    "NONLINEAR": 1 << 16,
    "BAD_REF_PIXEL": 1 << 17,
    "NO_FLAT_FIELD": 1 << 18,
    "NO_GAIN_VALUE": 1 << 19,
    "NO_LIN_CORR": 1 << 20,
    "NO_SAT_CHECK": 1 << 21,
    "UNRELIABLE_BIAS": 1 << 22,
    "UNRELIABLE_DARK": 1 << 23,
    "UNRELIABLE_SLOPE": 1 << 24,
    "UNRELIABLE_FLAT": 1 << 25,
    "OPEN": 1 << 26,
    "ADJ_OPEN": 1 << 27,
    "FLUX_ESTIMATED": 1 << 28,
    "MSA_FAILED_OPEN": 1 << 29,
    "OTHER_BAD_PIXEL": 1 << 30,
    "REFERENCE_PIXEL": 1 << 31,
}
# Names that reference files made before a flag was renamed still use.
FORMER_NAMES = {
    "RESERVED_1": "OUTLIER",
    "RESERVED_2": "PERSISTENCE",
    "RESERVED_3": "AD_FLOOR",
    "RESERVED_4": "CHARGELOSS",
    "UNDERSAMP": "CHARGELOSS",
    "UNRELIABLE_ERROR": "RESERVED",
}
# Names of bits that mean something else for another detector. Those of the table stay the ones that are listed.
SECOND_NAMES = {
    "CONCURRENT_SUBARRAY": "OUTLIER",
}

# Mask expressions that mean: do not look at the flags (as in astropy.nddata.bitmask).
NO_MASK = ("NONE", "INDEF", "")

ALL_BITS = 0xFFFFFFFF
DO_NOT_USE = np.uint32(FLAGS["DO_NOT_USE"])
NON_SCIENCE = np.uint32(FLAGS["NON_SCIENCE"])
NO_FLAT_FIELD = np.uint32(FLAGS["NO_FLAT_FIELD"])
# A pixel of a full frame that a subarray reads at the same time. Set before any outlier is looked for.
CONCURRENT_SUBARRAY = np.uint32(FLAGS[SECOND_NAMES["CONCURRENT_SUBARRAY"]])


def flag_value(name: str) -> int:
    """Return the bit value of a flag name, former and second names included.

    Parameters
    ----------
    name : str
        Such as ``DO_NOT_USE``.

    Raises
    ------
    KeyError
        If no flag has that name.
    """
    name = name.strip().upper()
    return FLAGS[(FORMER_NAMES | SECOND_NAMES).get(name, name)]


def flag_bits(names: str) -> int:
    """Return the bits of flags.

    Parameters
    ----------
    names : str
        Names of flags with ``+`` between them.

    Raises
    ------
    ValueError
        If a name is none of a flag.
    """
    bits = 0
    for name in names.split("+"):
        try:
            bits |= flag_value(name)
        except KeyError:
            raise ValueError(f"{name.strip()!r} is no data quality flag") from None
    return bits


def bad_pixels(dq: np.ndarray, expression: str | int | None) -> np.ndarray:
    """Return the mask of pixels that a mask expression calls bad.

    Parameters
    ----------
    dq : uint32 array, any shape
        Data quality flags.
    expression : str, int or None
        Flag names or integers joined by ``+``, ``,`` or ``|``. The listed bits are
        ignored and any other set bit makes a pixel bad; with a leading ``~`` only the
        listed bits make it bad. ``~0``, None and the texts of `NO_MASK`: no pixel is bad.

    Returns
    -------
    bool array of the shape of `dq`, True where bad.

    Raises
    ------
    ValueError
        If the expression has a name that is no flag or a number of more than 32 bits, or
        nothing after the ``~``.
    """
    text = str(expression).strip()
    if text.upper() in NO_MASK:
        return np.zeros(np.shape(dq), bool)
    inverted = text.startswith("~")
    bits = _expression_bits(text.removeprefix("~"))
    selected = (bits if inverted else ~bits) & ALL_BITS
    return (dq & np.uint32(selected)) != 0


def _expression_bits(text: str) -> int:
    bits = 0
    terms = text.strip("() ").replace(",", "+").replace("|", "+").split("+")
    for term in terms:
        bits |= _term_bits(term.strip())
    return bits


def _term_bits(term: str) -> int:
    try:
        # A negative number is an inverted mask in two's complement, so that ~1 and -2 are the same.
        value = int(term)
    except ValueError:
        try:
            return flag_value(term)
        except KeyError:
            raise ValueError(f"{term!r} is no data quality flag; flags are {', '.join(FLAGS)}") from None
    if not -ALL_BITS - 1 <= value <= ALL_BITS:
        raise ValueError(f"{term} has more than the 32 bits of a data quality value")
    return value


def remap_flags(dq: np.ndarray, definitions: Mapping[int, str]) -> np.ndarray:
    """Translate a reference file's own DQ bits to the standard table, by name.

    Parameters
    ----------
    dq : integer array, any shape
        The flags as the file has them.
    definitions : mapping of the file's bit value to a flag name
        Names that are in no table are left out, as they have no standard bit. Bits of `dq`
        without a definition are left out, too.

    Returns
    -------
    uint32 array of the shape of `dq`.
    """
    out = np.zeros(dq.shape, np.uint32)
    present = int(np.bitwise_or.reduce(dq, axis=None))
    for value, name in definitions.items():
        if not value & present:  # also values too large for the type of `dq`
            continue
        try:
            bit = np.uint32(flag_value(name))
        except KeyError:
            continue
        out[(dq & _as_type(value & present, dq.dtype)) != 0] |= bit
    return out


def _as_type(value: int, dtype: np.dtype) -> np.ndarray:
    # Files may store the bits in a signed type, where the highest one is the sign.
    return np.array(value & ALL_BITS, np.uint32).astype(dtype)
