"""In what the contents of two files differ: headers by keyword, images by pixel, tables by column, trees by key.

A value that is NaN in both files is the same in both; one that is NaN in one of them differs, and has no size.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from calflow.files.asdf_files import read_tree
from calflow.files.columns import read_columns, read_header
from calflow.printable import shortened

BLOCK = 4_000_000  # pixels that are compared at once
LONGEST = 60  # characters of a value in a text
NOT_THERE = "(none)"
BITS = ("DQ", "CON")  # images of which each bit says something else
# How the image is stored, which the images themselves tell, or need not agree.
STRUCTURE = ("CHECKSUM", "DATASUM", "NAXIS*", "BITPIX", "TFORM*", "PCOUNT")


def differences(first: Path, second: Path) -> list[str]:
    """Return in what the contents of two files of one kind differ, a line each; nothing if nothing does.

    Parameters
    ----------
    first, second : Path
        FITS, ECSV, ASDF, JSON, arrays of numpy, or text.

    Raises
    ------
    ValueError
        If one of them cannot be read as what its name says.
    """
    kind = first.with_suffix("").suffix if first.suffix == ".gz" else first.suffix
    try:
        return list(_KINDS.get(kind, _of_text)(first, second))
    except Exception as error:  # readers raise whatever they like of a damaged file
        raise ValueError(f"one cannot be read as {kind or 'text'}: {type(error).__name__}: {error}") from error


def _of_fits(first: Path, second: Path) -> Iterator[str]:
    with fits.open(first) as old, fits.open(second) as new:
        hdus = _by_name(old), _by_name(new)
        yield from _apart("extension", *hdus)
        for name in (name for name in hdus[0] if name in hdus[1]):
            yield from _of_hdus(name, hdus[0][name], hdus[1][name])


def _by_name(hdus: fits.HDUList) -> dict[str, Any]:
    """Return the extensions by name; of those with one name, the second has a 2 behind it."""
    return {f"{hdu.name or 'PRIMARY'}{f' {hdu.ver}' if hdu.ver > 1 else ''}": hdu for hdu in hdus}


def _of_hdus(name: str, old: Any, new: Any) -> Iterator[str]:
    yield from (f"{name} {text}" for text in _of_headers(old.header, new.header))
    if name == "ASDF":
        yield from () if old.data.tobytes() == new.data.tobytes() else ["ASDF: another tree"]
    elif isinstance(old, fits.BinTableHDU) and not isinstance(old, fits.CompImageHDU):
        yield from (f"{name} {text}" for text in _of_tables(Table(old.data), Table(new.data)))
    elif old.data is not None or new.data is not None:
        yield from (f"{name}: {text}" for text in of_arrays(old.data, new.data, "pixels", are_bits=name in BITS))


def _of_headers(old: fits.Header, new: fits.Header) -> Iterator[str]:
    for keyword in dict.fromkeys((*old, *new)):
        if keyword and not any(fnmatch(keyword, pattern) for pattern in STRUCTURE):
            # COMMENT and HISTORY stand many times.
            texts = [str(header[keyword]) if keyword in header else NOT_THERE for header in (old, new)]
            if texts[0] != texts[1]:
                yield f"{keyword}: {_change(*texts)}"


def of_arrays(old: np.ndarray | None, new: np.ndarray | None, what: str, *, are_bits: bool = False) -> Iterator[str]:
    """Yield in how many values two arrays differ, and how much.

    Parameters
    ----------
    old, new : array
        Of numbers, texts or truth values; NaN as of this module.
    what : str
        What their values are called.
    are_bits : bool
        Whether each bit of an integer says something else.
    """
    if old is None or new is None or old.shape != new.shape:
        shapes = ["none" if each is None else "x".join(map(str, each.shape[::-1])) for each in (old, new)]
        yield f"another shape: {_change(*shapes)}"
        return
    if not all(np.issubdtype(each.dtype, np.number) for each in (old, new)):
        if changed := int(np.count_nonzero(old != new)):
            yield f"{changed} of {old.size} {what}"
        return
    compare = (
        _of_bits if are_bits and all(np.issubdtype(each.dtype, np.integer) for each in (old, new)) else _of_numbers
    )
    if text := compare(old.reshape(-1), new.reshape(-1)):
        yield f"{text[0]} of {old.size} {what}{text[1]}"


def _blocks(old: np.ndarray, new: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the values that differ, of one array and the other, some at a time."""
    for start in range(0, old.size, BLOCK):
        one, other = old[start : start + BLOCK], new[start : start + BLOCK]
        differ = ~((one == other) | (np.isnan(one) & np.isnan(other)))
        if differ.any():
            yield one[differ], other[differ]


def _of_numbers(old: np.ndarray, new: np.ndarray) -> tuple[int, str] | None:
    changed, sized, lost, found = 0, 0, 0, 0
    largest, squares = 0.0, 0.0
    for one, other in _blocks(old, new):
        with np.errstate(all="ignore"):
            size = np.abs(other.astype(float) - one.astype(float))
        finite = size[np.isfinite(size)]
        changed, sized = changed + one.size, sized + finite.size
        largest, squares = max(largest, float(finite.max(initial=0))), squares + float(np.sum(finite**2))
        lost += int(np.count_nonzero(np.isnan(other) & ~np.isnan(one)))
        found += int(np.count_nonzero(np.isnan(one) & ~np.isnan(other)))
    texts = [f", by {largest:.3g} at most, {(squares / sized) ** 0.5:.3g} rms"] if sized else []
    texts += [f", {lost} NaN in the second alone"] if lost else []
    texts += [f", {found} NaN in the first alone"] if found else []
    return (changed, "".join(texts)) if changed else None


def _of_bits(old: np.ndarray, new: np.ndarray) -> tuple[int, str] | None:
    changed = 0
    counts: Counter[tuple[int, str]] = Counter()
    for one, other in _blocks(old, new):
        changed += one.size
        differ = one.astype(np.int64) ^ other.astype(np.int64)
        for number in range(old.dtype.itemsize * 8):
            at = differ >> number & 1 == 1
            more = int(np.count_nonzero(other[at].astype(np.int64) >> number & 1))
            counts[number, "second"] += more
            counts[number, "first"] += int(np.count_nonzero(at)) - more
    texts = [
        f", bit {number} of {count} in the {which} alone" for (number, which), count in sorted(counts.items()) if count
    ]
    return (changed, "".join(texts)) if changed else None


def _of_ecsv(first: Path, second: Path) -> Iterator[str]:
    yield from _of_tables(read_columns(first), read_columns(second))
    yield from (f"meta {text}" for text in of_trees(_meta(first), _meta(second)))


def _meta(path: Path) -> Any:
    """Return the metadata of a table; what they say of columns these tell."""
    return {key: value for key, value in read_header(path).get("meta", {}).items() if key != "__serialized_columns__"}


def _of_tables(old: Table, new: Table) -> Iterator[str]:
    yield from _apart("column", dict.fromkeys(old.colnames), dict.fromkeys(new.colnames))
    if len(old) != len(new):
        yield f"rows: {_change(len(old), len(new))}"
        return
    for name in (name for name in old.colnames if name in new.colnames):
        before, after = (np.ma.filled(np.ma.asarray(table[name]), _no_value(table[name])) for table in (old, new))
        yield from (f"column {name}: {text}" for text in of_arrays(before, after, "values"))


def _no_value(column: Any) -> Any:
    """Return what stands for a value that is masked."""
    return np.nan if np.issubdtype(column.dtype, np.floating) else np.zeros((), column.dtype)[()]


def _of_asdf(first: Path, second: Path) -> Iterator[str]:
    old, new = ({k: v for k, v in read_tree(path).items() if k != "history"} for path in (first, second))
    yield from of_trees(old, new)


def _of_json(first: Path, second: Path) -> Iterator[str]:
    yield from of_trees(json.loads(first.read_text()), json.loads(second.read_text()))


def of_trees(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield in what two trees of mappings, lists and values differ, with the keys that lead there.

    Parameters
    ----------
    old, new : object
    place : str
        The keys that led here.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from of_trees(old.get(key, NOT_THERE), new.get(key, NOT_THERE), f"{place}.{key}".lstrip("."))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from of_trees(*pair, f"{place}[{number}]")
    elif _is_array(old) and _is_array(new):
        yield from (f"{place}: {text}" for text in of_arrays(np.asarray(old), np.asarray(new), "values"))
    elif not _is_same(old, new):
        yield f"{place}: {_change(old, new)}"


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_same(old: Any, new: Any) -> bool:
    same = old == new if isinstance(old, str | int | float | bool | None) else repr(old) == repr(new)
    return bool(same) or (old != old and new != new)


def _of_npy(first: Path, second: Path) -> Iterator[str]:
    yield from of_arrays(np.load(first, mmap_mode="r"), np.load(second, mmap_mode="r"), "values")


def _of_text(first: Path, second: Path) -> Iterator[str]:
    old, new = (path.read_bytes().splitlines() for path in (first, second))
    if len(old) != len(new):
        yield f"lines: {_change(len(old), len(new))}"
    elif changed := sum(one != other for one, other in zip(old, new, strict=True)):
        yield f"{changed} of {len(old)} lines"


def _apart(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{what} {name} in the first alone" for name in old if name not in new)
    yield from (f"{what} {name} in the second alone" for name in new if name not in old)


def _change(old: Any, new: Any) -> str:
    return f"{shortened(str(old), LONGEST)} -> {shortened(str(new), LONGEST)}"


_KINDS: dict[str, Callable[[Path, Path], Iterator[str]]] = {
    ".fits": _of_fits,
    ".ecsv": _of_ecsv,
    ".asdf": _of_asdf,
    ".json": _of_json,
    ".npy": _of_npy,
}
