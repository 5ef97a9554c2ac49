"""The FITS approximation of a WCS: a TAN projection with SIP polynomials (Shupe et al. 2005)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calflow.science.geometry.grid_parameters import SipFit
from calflow.science.parameters import check_values

if TYPE_CHECKING:
    from gwcs import WCS

# Degrees that are tried when none is asked for; higher ones exist but are numerically unsound.
SIP_DEGREES = range(1, 6)
# What belongs into a product's header: neither image sizes nor the errors of the fit.
SIP_KEYWORDS = (
    "WCSAXES",
    "CTYPE",
    "CUNIT",
    "CRPIX",
    "CRVAL",
    "CD1_",
    "CD2_",
    "A_",
    "B_",
    "AP_",
    "BP_",
    "RADESYS",
)


class SipError(ValueError):
    """A WCS has no SIP approximation."""


@dataclass(frozen=True)
class SipApproximation:
    """A TAN projection with SIP polynomials that stands for a WCS.

    Attributes
    ----------
    keywords : dict
        FITS keyword to value, in the order of a header. With degree 1 there are no
        polynomial terms and CTYPE has no ``-SIP``.
    max_error : float
        Largest deviation from the WCS, pixels.
    max_inverse_error : float or None
        Largest error of the inverse polynomial, pixels. None: there is none.
    doubts : tuple of str
        What the fit could not hold, as that no allowed degree is accurate enough. Empty: it
        is as accurate as asked.
    """

    keywords: dict[str, str | int | float]
    max_error: float
    max_inverse_error: float | None
    doubts: tuple[str, ...]


def sip_approximation(
    wcs: WCS,
    crpix: tuple[float, float] | None = None,
    *,
    max_pix_error: float = SipFit.max_pix_error,
    degree: int | None = SipFit.degree,
    max_inv_pix_error: float = SipFit.max_inv_pix_error,
    inv_degree: int | None = SipFit.inv_degree,
    npoints: int = SipFit.npoints,
) -> SipApproximation:
    """Approximate a WCS by a TAN projection with SIP polynomials (Shupe et al. 2005).

    Parameters
    ----------
    wcs : gwcs.WCS
    crpix : (x, y) or None
        The FITS reference pixel (1-based). None: near the centre of the bounding box.
    max_pix_error, max_inv_pix_error : float
        Largest error of the forward and inverse polynomial, pixels. Not used where the
        degree is given.
    degree, inv_degree : int or None
        None: the lowest of 1..5 that is accurate enough, else the best of them.
    npoints : int
        Samples per axis, 8 to 1024.

    Raises
    ------
    SipError
        If no polynomial could be fitted.
    ValueError
        If a parameter is out of its range.
    """
    given = {"max_pix_error": max_pix_error, "degree": degree, "npoints": npoints}
    check_values(SipFit, **given, max_inv_pix_error=max_inv_pix_error, inv_degree=inv_degree)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            header = wcs.to_fits_sip(
                max_pix_error=max_pix_error,
                degree=SIP_DEGREES if degree is None else degree,
                max_inv_pix_error=max_inv_pix_error,
                inv_degree=SIP_DEGREES if inv_degree is None else inv_degree,
                npoints=npoints,
                crpix=crpix,
                projection="TAN",
            )
        except (ValueError, RuntimeError) as error:
            raise SipError(f"the WCS could not be fitted by SIP polynomials: {error}") from error
    doubts = [str(warning.message) for warning in caught]
    cards = (card for card in header.cards if card.keyword.startswith(SIP_KEYWORDS))
    return SipApproximation(
        keywords={card.keyword: getattr(card.value, "item", lambda v=card.value: v)() for card in cards},
        max_error=float(header["SIPMXERR"]),
        max_inverse_error=float(header["SIPIVERR"]) if "SIPIVERR" in header else None,
        doubts=tuple(dict.fromkeys(doubts)),
    )
