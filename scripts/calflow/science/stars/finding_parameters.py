"""What counts as a star or a source: the parameters of `star_finding` and of the catalogue."""

from dataclasses import dataclass
from typing import Annotated, Literal

from calflow.science.parameters import Length, Range, check_parameters

# Pixels; a maximum must exceed at least the pixels around it.
MIN_SEPARATION = 2
# Of these, the catalogue has defaults of its own.
StarFinder = Annotated[Literal["iraf", "dao", "segmentation"], "iraf, dao, segmentation"]
SnrThreshold = Annotated[float, Range(gt=0), "detection threshold, in background rms"]
KernelFwhm = Annotated[float, Range(gt=0), "FWHM of the stars (segmentation: of the smoothing), pixels"]
BackgroundBox = Annotated[int, Range(ge=1), "box of the background map, pixels"]
LeastPixels = Annotated[int, Range(ge=1), "least pixels of a source (segmentation)"]


@dataclass(frozen=True, kw_only=True)
class StarFinding:
    """What counts as a star.

    Attributes
    ----------
    starfinder : {"iraf", "dao", "segmentation"}
        The limits of sharpness and roundness below suit `iraf`; `dao` defines both in another way
        (0.2 to 1, -1 to 1 are usual).
    snr_threshold : float
        Threshold of the convolved image in units of the noise of the background.
    kernel_fwhm : float
        Full width at half maximum of the Gaussian the image is convolved with, pixels.
    bkg_boxsize : int
        Side of the boxes of the background, pixels.
    minsep_fwhm : float
        Least distance of two stars in units of `kernel_fwhm`; it is 2 pixels at least. Not for
        `segmentation`, as all until `peakmax`.
    sigma_radius : float
        Radius at which the Gaussian ends, in standard deviations.
    sharplo, sharphi, roundlo, roundhi : float
        Limits of sharpness and roundness; a star may lie on them.
    brightest : int or None
        Only so many stars are kept, sorted by flux; None: all, in the order of the rows.
    peakmax : float or None
        Stars with a higher pixel are dropped, such as saturated ones; units of the image.
    npixels, connectivity, deblend, nlevels, contrast, multithresh_mode
        Of `segmentation` only: see `science.sources.segmentation.detect_sources`.
    localbkg_width : int
        Width of the annulus round each source, pixels, whose background is taken from its flux;
        0: none. Of `segmentation` only, as the following.
    apermask_method : {"correct", "mask", "none"}
        What is done about neighbours in that annulus.
    kron_params : two or three floats, or None
        Of the Kron apertures; None: 2.5, 1.4, 0. They change neither positions nor fluxes here.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """

    starfinder: StarFinder = "iraf"
    snr_threshold: SnrThreshold = 10.0
    kernel_fwhm: KernelFwhm = 2.5
    bkg_boxsize: BackgroundBox = 400
    minsep_fwhm: Annotated[
        float, Range(ge=0), "least distance of sources, in units of kernel_fwhm; 2 pixels at the least"
    ] = 0.0
    sigma_radius: Annotated[float, Range(gt=0), "radius of the kernel, in its sigmas"] = 1.5
    sharplo: Annotated[float, "lower limit of sharpness (iraf, dao)"] = 0.5
    sharphi: Annotated[float, "upper limit of sharpness (iraf, dao)"] = 2.0
    roundlo: Annotated[float, "lower limit of roundness (iraf, dao)"] = 0.0
    roundhi: Annotated[float, "upper limit of roundness (iraf, dao)"] = 0.2
    brightest: Annotated[int | None, Range(ge=1), "how many of the brightest are kept (iraf, dao); null: all"] = 200
    peakmax: Annotated[float | None, Range(gt=0), "highest pixel value of a star (iraf, dao), MJy/sr"] = None
    npixels: LeastPixels = 10
    connectivity: Annotated[Literal[4, 8], "neighbours that belong together (segmentation): 4 or 8"] = 8
    nlevels: Annotated[int, Range(ge=1), "levels of deblending (segmentation)"] = 32
    contrast: Annotated[float, Range(ge=0, le=1), "least fraction of the flux of a deblended part (segmentation)"] = (
        0.001
    )
    multithresh_mode: Annotated[
        Literal["exponential", "linear", "sinh"], "spacing of those levels: exponential, linear, sinh"
    ] = "exponential"
    localbkg_width: Annotated[
        int, Range(ge=0), "width of the local background annulus (segmentation), pixels; 0: none"
    ] = 0
    apermask_method: Annotated[
        Literal["correct", "mask", "none"], "neighbours within apertures (segmentation): correct, mask, none"
    ] = "correct"
    kron_params: Annotated[
        tuple[float, ...] | None, Length(2, 3), "2 or 3 Kron parameters (segmentation); null: [2.5, 1.4, 0.0]"
    ] = None
    deblend: Annotated[bool, "split blended sources (segmentation)"] = True

    def __post_init__(self):
        check_parameters(self)
        for low, high in (("sharplo", "sharphi"), ("roundlo", "roundhi")):
            if not getattr(self, low) <= getattr(self, high):
                raise ValueError(
                    f"{low} is {getattr(self, low)} and {high} is {getattr(self, high)}; "
                    f"{high} must not be smaller, or no star passes"
                )

    @property
    def min_separation(self) -> int:
        """Least distance of two stars, pixels."""
        return max(MIN_SEPARATION, int(self.minsep_fwhm * self.kernel_fwhm + 0.5))
