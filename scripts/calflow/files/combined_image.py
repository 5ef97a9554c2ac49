"""Combined images, ``_i2d``, as they are written, and as the source catalogue reads them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from calflow.files.exposure import growing_product, without_structure, write_product
from calflow.files.growing_files import Later, Section
from calflow.files.writing import PLAIN, Writing
from calflow.science.combination.resample import Resampled
from calflow.science.geometry.pixel_map import covered_window

# The planes of `science.combination.resample.Resampled`, in the order of the file.
PLANES = ("sci", "err", "con", "wht", "var_poisson", "var_rnoise", "var_flat", "dq")
WCS_KEYWORDS = (
    *("WCSAXES", "CRPIX", "CRVAL", "CTYPE", "CUNIT", "CDELT", "PC", "CD", "LONPOLE", "RADESYS"),
    *("PIXAR_", "S_REGION"),
)


@dataclass(frozen=True)
class CombinedPlane:
    """A plane of a combined image; rows of it are read when they are asked for.

    Attributes
    ----------
    path : Path
    name : str
        Of its extension.
    shape : (ny, nx)
    offset : int or None
        Where in the file its float32 values begin; None if they are not written as they are.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    offset: int | None = None

    def __getitem__(self, rows: slice) -> np.ndarray:
        if self.offset is None:
            with fits.open(self.path, memmap=False) as hdus:
                return np.array(hdus[self.name].section[rows], np.float32)
        # Bands are read a hundred times, and astropy would look through all headers each time.
        (start, stop, _), nx = rows.indices(self.shape[0]), self.shape[1]
        stop = max(start, stop)
        values = np.fromfile(self.path, ">f4", (stop - start) * nx, offset=self.offset + 4 * start * nx)
        return values.astype(np.float32).reshape(stop - start, nx)


@dataclass(frozen=True)
class ExposureCounts:
    """How many exposures each pixel of a combined image has; rows of it are read when they are asked for.

    Attributes
    ----------
    path : Path
    shape : (ny, nx)
    """

    path: Path
    shape: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> "ExposureCounts | None":
        """Return those of an image; None if it has no context.

        Parameters
        ----------
        path : Path
            ``_i2d``.
        """
        with fits.open(path, memmap=False) as hdus:
            return cls(Path(path), hdus["CON"].shape[1:]) if "CON" in hdus else None

    def __getitem__(self, rows: slice) -> np.ndarray:
        with fits.open(self.path, memmap=False) as hdus:
            return counts_of_exposures(hdus, rows)


def counts_of_exposures(hdus: fits.HDUList, rows: slice) -> np.ndarray:
    """Return how many exposures the pixels of some rows have, int64: the bits of all planes of the context.

    Parameters
    ----------
    hdus : HDUList
        A combined image with ``CON``.
    rows : slice
    """
    planes, _, nx = hdus["CON"].shape
    number = np.zeros((rows.stop - rows.start, nx), np.int64)
    for plane in range(planes):
        number += np.bitwise_count(hdus["CON"].section[plane, rows].astype(np.uint32))
    return number


def planes_at(
    hdus: fits.HDUList, names: Sequence[str], pixmap: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray] | None:
    """Return the part of planes that some positions reach, and the positions in it; no more is read.

    Parameters
    ----------
    hdus : HDUList
        A combined image.
    names : sequence of str
        Of its extensions.
    pixmap : float64 array, shape (ny, nx, 2)
        x and y in the image, 0-based; NaN: nowhere.

    Returns
    -------
    (list of float32 array, float64 array of shape (ny, nx, 2)) or None
        None: no position lies in the image.
    """
    rows, columns = (slice(*ends) for ends in covered_window([pixmap], hdus[names[0]].shape))
    if rows.start == rows.stop or columns.start == columns.stop:
        return None
    planes = [np.array(hdus[name].section[rows, columns], np.float32) for name in names]
    return planes, pixmap - (columns.start, rows.start)


@dataclass
class CombinedImage:
    """A combined image.

    Attributes
    ----------
    sci, err, wht : CombinedPlane, shape (ny, nx)
        They stay in the file. `err` is None if it has none.
    headers : dict
        ``PRIMARY`` and ``SCI``, without structural cards.
    asdf : HDU or None
        The extension with the gwcs, as it is.
    """

    sci: CombinedPlane
    err: CombinedPlane | None
    wht: CombinedPlane
    headers: dict[str, fits.Header]
    asdf: Any

    def __post_init__(self):
        self._wcs = WCS(self.headers["SCI"])

    def keyword(self, name: str, default: Any = None) -> Any:
        """Return a keyword of the primary or, failing that, of the SCI header.

        Parameters
        ----------
        name : str
            The keyword.
        default : object
            What is returned if neither header has it.
        """
        return self.headers["PRIMARY"].get(name, self.headers["SCI"].get(name, default))

    @property
    def reference_pixel(self) -> tuple[float, float]:
        """The reference pixel (x, y), 0-based."""
        x, y = self._wcs.wcs.crpix - 1
        return float(x), float(y)

    def to_sky(self, pixels: np.ndarray) -> np.ndarray:
        """Return the sky positions (degrees) of pixels (0-based), both shape (..., 2).

        Parameters
        ----------
        pixels : float array, shape (..., 2)
            x and y, 0-based.
        """
        ra, dec = self._wcs.wcs_pix2world(pixels[..., 0].ravel(), pixels[..., 1].ravel(), 0)
        return np.stack([np.reshape(axis, pixels.shape[:-1]) for axis in (ra, dec)], axis=-1)

    def wcs_header(self) -> fits.Header:
        """Return the cards that say where the image lies on the sky."""
        cards = [card for card in self.headers["SCI"].cards if card.keyword.startswith(WCS_KEYWORDS)]
        return fits.Header(cards)


def read_combined(path: Path) -> CombinedImage:
    """Read what a catalogue needs of a combined image, but for its pixels.

    Parameters
    ----------
    path : Path
        ``_i2d``.
    """
    with fits.open(path, memmap=False) as hdus:
        names = [name for name in ("SCI", "ERR", "WHT") if name != "ERR" or name in hdus]
        planes = {name: CombinedPlane(Path(path), name, hdus[name].shape, _offset(hdus[name])) for name in names}
        headers = {"PRIMARY": without_structure(hdus[0].header), "SCI": without_structure(hdus["SCI"].header)}
        asdf = next((hdu for hdu in hdus if hdu.name == "ASDF"), None)
        if asdf is not None:
            _ = asdf.data  # read it while the file is open
    return CombinedImage(planes["SCI"], planes.get("ERR"), planes["WHT"], headers, asdf)


def _offset(hdu: Any) -> int | None:
    """Return where the values of an extension begin if they are plain float32."""
    scaled = not {"BSCALE", "BZERO"}.isdisjoint(hdu.header)
    if type(hdu) is not fits.ImageHDU or hdu.header["BITPIX"] != -32 or scaled:  # a compressed one is a subclass
        return None
    file = hdu.fileinfo()
    return None if file["file"].compression else file["datLoc"]


class GrowingImage:
    """A combined image in a file that grows by bands of rows, which several threads may write. A context manager.

    Parameters
    ----------
    path : Path
        The file is there when the block is left, complete or not at all.
    shape : (ny, nx)
        Of the image.
    begin : callable
        Returns the complete headers ``PRIMARY`` and ``SCI`` by name, and further extensions. It is called once.
    wcs, writing
        As of `files.exposure.write_product`.

    Attributes
    ----------
    has_data : bool
        Whether any pixel that was written has weight.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        begin: Callable[[], tuple[Mapping[str, fits.Header], Sequence]],
        wcs: bytes | None,
        writing: Writing = PLAIN,
    ):
        self.has_data = False
        self._path, self._shape, self._begin, self._wcs, self._writing = path, shape, begin, wcs, writing
        self._stack = ExitStack()
        self._preparing, self._opening = Lock(), Lock()
        self._beginning: tuple[Mapping[str, fits.Header], Sequence] | None = None
        self._sections: dict[str, Section] = {}

    @classmethod
    def piece(cls, path: Path, shape: tuple[int, int]) -> "GrowingImage":
        """Return an image of some rows of another one, without keywords: for `copy`.

        Parameters
        ----------
        path : Path
        shape : (ny, nx)
            Of these rows.
        """
        return cls(path, shape, lambda: ({"PRIMARY": fits.Header(), "SCI": fits.Header()}, []), None)

    def __enter__(self) -> "GrowingImage":
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def prepare(self) -> tuple[Mapping[str, fits.Header], Sequence]:
        """Return the headers and further extensions, made if that was not done: the first band need not wait then."""
        with self._preparing:
            self._beginning = self._beginning or self._begin()
            return self._beginning

    def write(self, band: Resampled, rows: slice) -> None:
        """Write the planes of a band. The first one tells what planes there are.

        Parameters
        ----------
        band : Resampled
            Errors and variances that it has not are NaN.
        rows : slice
        """
        planes = {name: plane for name in PLANES if (plane := getattr(band, name)) is not None}
        self._open({name: (plane.shape, plane.dtype) for name, plane in planes.items()})
        self.has_data = self.has_data or bool(band.wht.any())
        for name, section in self._sections.items():
            plane = getattr(band, name)
            if name != "con":
                section.write(np.full_like(band.sci, np.nan) if plane is None else plane, rows.start)
                continue
            for number, bits in enumerate(plane):
                if bits.any():  # where nothing is written a file has 0
                    section.write(bits, number, rows.start)

    def copy(self, piece: Path, rows: slice) -> None:
        """Copy the planes of some rows from another file, which has these rows alone, and data.

        Parameters
        ----------
        piece : Path
            A file that was written by way of this class.
        rows : slice
            Of this image.

        Raises
        ------
        ValueError
            If it has other planes.
        """
        with fits.open(piece, memmap=False) as hdus:
            parts = {hdu.name.lower(): hdu for hdu in hdus if hdu.name.lower() in PLANES}
            shapes = {
                name: (hdu.shape, np.dtype(fits.BITPIX2DTYPE[hdu.header["BITPIX"]])) for name, hdu in parts.items()
            }
            places = {name: hdu.fileinfo()["datLoc"] for name, hdu in parts.items()}
        self._open(shapes)
        self.has_data = True
        if shapes.keys() != self._sections.keys():
            own, first = (", ".join(names).upper() for names in (shapes, self._sections))
            raise ValueError(f"{piece} has {own}, other pieces have {first}: combined ones need the same")
        with piece.open("rb") as file:
            for name, section in self._sections.items():
                (*planes, ny, nx), dtype = shapes[name]
                for number in range(prod(planes)):
                    place = places[name] + number * ny * nx * dtype.itemsize
                    section.copy(file, place, (ny, nx), *([number] if planes else []), rows.start)

    def _open(self, first: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> None:
        """Begin the file, if nobody has, with the planes of a band, whose shapes and types are told, in their order."""
        with self._opening:
            if self._sections:
                return
            headers, others = self.prepare()
            science = headers["SCI"]
            unit = fits.Header([science.cards["BUNIT"]] if "BUNIT" in science else [])
            later = {name.upper(): Later((*shape[:-2], *self._shape), dtype) for name, (shape, dtype) in first.items()}
            extensions = {**headers, "ERR": unit}
            sections = self._stack.enter_context(
                growing_product(self._path, headers["PRIMARY"], later, extensions, others, self._wcs, self._writing)
            )
            self._sections = {name: sections[name.upper()] for name in first}


def write_no_planes(path: Path) -> None:
    """Write what stands for a piece of an image in which nothing has weight.

    Parameters
    ----------
    path : Path
    """
    write_product(path, fits.Header(), {})
