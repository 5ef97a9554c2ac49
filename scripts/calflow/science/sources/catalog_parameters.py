"""What counts as a source, and how it is measured: the parameters of the catalogue."""

from dataclasses import dataclass
from typing import Annotated

from calflow.science.parameters import Range
from calflow.science.stars.finding_parameters import (
    BackgroundBox,
    KernelFwhm,
    LeastPixels,
    SnrThreshold,
    StarFinder,
    StarFinding,
)


@dataclass(frozen=True, kw_only=True)
class Apertures:
    """How sources are measured; `CatalogParameters` says more."""

    aperture_ee1: Annotated[int, Range(gt=0, lt=100), "first aperture, % of encircled energy, as in APCORR"] = 30
    aperture_ee2: Annotated[int, Range(gt=0, lt=100), "second aperture"] = 50
    aperture_ee3: Annotated[int, Range(gt=0, lt=100), "third aperture, that of the total flux"] = 70
    ci1_star_threshold: Annotated[float, "a star's flux ratio of apertures 2 and 1 is below this, or ..."] = 2.0
    ci2_star_threshold: Annotated[float, "... that of apertures 3 and 2 below this"] = 1.8

    @property
    def aperture_ee(self) -> tuple[int, int, int]:
        """The encircled energies."""
        return self.aperture_ee1, self.aperture_ee2, self.aperture_ee3


@dataclass(frozen=True, kw_only=True)
class CatalogParameters(StarFinding, Apertures):
    """What counts as a source, and as an extended one, and what its apertures are.

    Attributes
    ----------
    aperture_ee1, aperture_ee2, aperture_ee3 : int
        Encircled energies of the apertures, per cent.
    ci1_star_threshold, ci2_star_threshold : float
        A source is extended if the flux ratios of the second to the first, and of the third to
        the second aperture, are both larger than these.
    **others
        As in `science.stars.finding_parameters.StarFinding`, with other defaults; `peakmax` in MJy/sr. No
        column of the catalogue depends on `apermask_method` and `kron_params`.
    """

    starfinder: StarFinder = "segmentation"
    snr_threshold: SnrThreshold = 3.0
    kernel_fwhm: KernelFwhm = 2.0
    bkg_boxsize: BackgroundBox = 1000
    npixels: LeastPixels = 25

    @property
    def works_in_bands(self) -> bool:
        """Whether sources are found band by band of an image, and not in all of it at once."""
        # The background around a source is that of pixels of no source: all sources must be known.
        return self.starfinder == "segmentation" and self.localbkg_width == 0
