"""Combined images, ``_i2d``, as the source catalogue reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from calflow.files.exposure import without_structure

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
    """

    path: Path
    name: str
    shape: tuple[int, ...]

    def __getitem__(self, rows: slice) -> np.ndarray:
        with fits.open(self.path, memmap=False) as hdus:
            return np.array(hdus[self.name].section[rows], np.float32)


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
        planes = {name: CombinedPlane(Path(path), name, hdus[name].shape) for name in names}
        headers = {"PRIMARY": without_structure(hdus[0].header), "SCI": without_structure(hdus["SCI"].header)}
        asdf = next((hdu for hdu in hdus if hdu.name == "ASDF"), None)
        if asdf is not None:
            _ = asdf.data  # read it while the file is open
    return CombinedImage(planes["SCI"], planes.get("ERR"), planes["WHT"], headers, asdf)
