"""How star lists are matched and aligned: the parameters of `alignment` and `star_matching`, with jwst's defaults."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.parameters import Range

LeastMatches = Annotated[int, Range(ge=1), "least number of matches"]
LargestOffset = Annotated[float, Range(gt=0), "largest offset searched, arcsec"]


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Whether the defects of jwst are left out.

    Attributes
    ----------
    robust : bool
        `alignment` says what it does.
    """

    robust: Annotated[bool, "better positions, gates, second searches; false: exactly as jwst"] = True


@dataclass(frozen=True, kw_only=True)
class GroupOrder:
    """In which order groups of exposures are aligned, and with what.

    Attributes
    ----------
    enforce_user_order : bool
        With `expand_refcat`, the groups are taken in the order given nevertheless.
    expand_refcat : bool
        The stars of each group that was aligned are added to the reference, and the groups are taken by their
        overlap with it.
    """

    enforce_user_order: Annotated[bool, "align in the order of the ASN, also with expand_refcat"] = False
    expand_refcat: Annotated[bool, "add the stars of aligned groups to the reference"] = False


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How stars are matched and fitted.

    Attributes
    ----------
    minobj : int
        Fewest stars that must match within `tolerance`.
    fitgeometry : {"shift", "rshift", "rscale", "general"}
        Freedom of the fit: shift; and rotation; and scale; any affine map.
    nclip : int
        How often residuals of `sigma` times their rms or more are left out of the fit.
    sigma : float
        That limit, in units of the rms.
    searchrad : float
        Largest offset that is searched for, arcsec.
    use2dhist : bool
        Search for the offset; else it is `xoffset`, `yoffset`.
    separation : float
        Of stars nearer to each other than this (arcsec), only one is used by `star_matching.match_once`.
    tolerance : float
        Largest distance of stars that match, once the offset is taken off, arcsec.
    xoffset, yoffset : float
        Exposure minus reference, if it is not searched for, arcsec.
    """

    minobj: LeastMatches = 15
    fitgeometry: Annotated[
        Literal["shift", "rshift", "rscale", "general"], "shift, rshift (and rotation), rscale, general"
    ] = "rshift"
    nclip: Annotated[int, Range(ge=0), "clipping rounds of the fit"] = 3
    sigma: Annotated[float, Range(gt=0), "clipping threshold, in rms residuals"] = 3.0
    searchrad: LargestOffset = 2.0
    use2dhist: Annotated[bool, "find the offset from a histogram of all pairs"] = True
    separation: Annotated[
        float, Range(gt=0), "least distance of stars in a list, arcsec; > sqrt(2) times the tolerance"
    ] = 1.0
    tolerance: Annotated[float, Range(gt=0), "largest distance of a match, arcsec"] = 0.7
    xoffset: Annotated[float, "offset to begin with, arcsec; only without use2dhist"] = 0.0
    yoffset: Annotated[float, "the same in y, arcsec"] = 0.0


@dataclass(frozen=True, kw_only=True)
class CatalogMatching(Matching):
    """The same for a catalogue, which may be further away."""

    minobj: Annotated[LeastMatches, "least number of matches with the catalogue"] = Matching.minobj
    searchrad: LargestOffset = 6.0
