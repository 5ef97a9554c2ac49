"""Star lists: tables of positions in an exposure, made here or by the user, and astrometric catalogues."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from products.exposure import replacing
from steps.star_finding import StarList

# Spellings of the columns, tried in turn, without regard to case.
PIXEL_COLUMNS = (("x", "y"), ("xcentroid", "ycentroid"), ("x_centroid", "y_centroid"))
SKY_COLUMNS = (("ra", "dec"), ("sky_centroid.ra", "sky_centroid.dec"))


class StarListError(ValueError):
    """A table of stars that cannot be used."""


def write_star_list(path: Path, stars: StarList) -> None:
    """Write a star list as ECSV or FITS, as the name of the file ends. Positions are 0-based pixels."""
    weight = {} if stars.weight is None else {"weight": stars.weight}
    table = Table(
        {"id": np.arange(1, len(stars) + 1), "x": stars.x, "y": stars.y, "flux": stars.flux} | weight,
        units={"x": "pix", "y": "pix"},
        descriptions={"x": "0-based", "y": "0-based"},
    )
    with replacing(path) as partial:
        table.write(partial, format=_format(path), overwrite=True)


def read_star_list(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the positions and weights of a star list.

    Returns
    -------
    xy : float64 array, shape (n, 2)
        0-based pixels.
    weight : float64 array, shape (n,), or None

    Raises
    ------
    StarListError
        If the file is no table, or has no columns of positions that are numbers.
    """
    return _positions(path, PIXEL_COLUMNS)


def read_sky_catalog(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the positions (right ascension and declination, degrees) and weights of an astrometric catalogue.

    Raises
    ------
    StarListError
        As `read_star_list`.
    """
    return _positions(path, SKY_COLUMNS)


def _positions(path: Path, spellings: Any) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        table = Table.read(path, format=_format(path))
    except Exception as error:  # astropy's readers raise what they like
        reason = next(filter(None, str(error).splitlines()), type(error).__name__)
        raise StarListError(f"{path} cannot be read as a table: {reason}") from None
    columns = {name.lower(): name for name in table.colnames}
    if "sky_centroid" in columns and spellings is SKY_COLUMNS:  # a mixin column of coordinates
        sky = table[columns["sky_centroid"]]
        return np.stack([sky.ra.deg, sky.dec.deg], axis=-1), _weight(table, columns)
    for pair in spellings:
        if set(pair) <= set(columns):
            try:
                values: list[np.ndarray] = [
                    np.ma.filled(np.ma.asarray(table[columns[name]], float), np.nan) for name in pair
                ]
            except ValueError:
                raise StarListError(f"{path}: {', '.join(pair)} must be columns of numbers") from None
            return np.stack(values, axis=-1), _weight(table, columns)
    wanted = " or ".join(", ".join(pair) for pair in spellings)
    raise StarListError(f"{path} has the columns {', '.join(table.colnames)}; it needs {wanted}")


def _weight(table: Table, columns: dict[str, str]) -> np.ndarray | None:
    return np.asarray(table[columns["weight"]], float) if "weight" in columns else None


def _format(path: Path) -> str | None:
    """Return the format that astropy is told; None: it finds out."""
    return {".ecsv": "ascii.ecsv", ".fits": "fits"}.get(Path(path).suffix.lower(), "ascii")
