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


@dataclass
class CombinedImage:
    """A combined image in memory.

    Attributes
    ----------
    sci, err, wht : float32 array, shape (ny, nx)
        `err` is None if the file has none.
    headers : dict
        ``PRIMARY`` and ``SCI``, without structural cards.
    asdf : HDU or None
        The extension with the gwcs, as it is.
    """

    sci: np.ndarray
    err: np.ndarray | None
    wht: np.ndarray
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
    """Read the planes of a combined image that a catalogue needs.

    Parameters
    ----------
    path : Path
        ``_i2d``.
    """
    with fits.open(path, memmap=False) as hdus:
        sci, wht = (np.array(hdus[name].data, np.float32) for name in ("SCI", "WHT"))
        err = np.array(hdus["ERR"].data, np.float32) if "ERR" in hdus else None
        headers = {"PRIMARY": without_structure(hdus[0].header), "SCI": without_structure(hdus["SCI"].header)}
        asdf = next((hdu for hdu in hdus if hdu.name == "ASDF"), None)
        if asdf is not None:
            _ = asdf.data  # read it while the file is open
    return CombinedImage(sci, err, wht, headers, asdf)
