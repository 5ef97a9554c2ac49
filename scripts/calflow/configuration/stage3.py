"""The parameters of stage 3, with jwst's names and defaults, and of common pixel grids."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from calflow.configuration.section import (
    Connectivity,
    FillValue,
    Maybe,
    NormalPath,
    Pair,
    PixmapOrder,
    Section,
    Shape,
    SipDegree,
    SkyPosition,
    SomeFiles,
)
from calflow.configuration.stage2 import Resample
from calflow.science.dq_flags import bad_pixels

FitGeometry = Literal["shift", "rshift", "rscale", "general"]
StarFinder = Literal["iraf", "dao", "segmentation"]


def _two_numbers(value: Any) -> Any:
    """Read "5.0 4.0" as two numbers, as jwst writes them."""
    if isinstance(value, str):
        try:
            return [float(number) for number in value.replace(",", " ").split()]
        except ValueError:
            raise ValueError("give two numbers, as '5.0 4.0'") from None
    return value


def _empty_from_none(value: Any) -> Any:
    """Read null, and "None" from the command line, as no name."""
    return "" if str(value).strip().lower() in ("none", "null") else value


def _mask_text(value: Any) -> Any:
    """Take a number, or null for no mask, as text: older releases had numbers."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if value is None or is_number else value


def _mask_expression(value: str) -> str:
    import numpy as np

    bad_pixels(np.zeros(1, np.uint32), value)  # a misspelled flag is told now
    return value


TwoNumbers = Annotated[Pair, BeforeValidator(_two_numbers, json_schema_input_type=Pair | str)]
MaskNumber = Annotated[int, Field(le=2**32 - 1)]
MaskExpression = Annotated[
    str, BeforeValidator(_mask_text, json_schema_input_type=str | MaskNumber | None), AfterValidator(_mask_expression)
]
Catalog = Annotated[NormalPath, BeforeValidator(_empty_from_none, json_schema_input_type=str | None)]


class AssignMtwcs(Section):
    """Follow a moving target."""

    skip: bool = Field(False, description="do not run; S_MTWCS is SKIPPED")


class SourceFinding(Section):
    """The parameters of finding sources, which alignment and catalogue share."""

    skip: bool = Field(False, description="do not run")

    @model_validator(mode="after")
    def _check_limits(self) -> "SourceFinding":
        if self.skip:
            return self  # of what does not run the values need not go together
        for low, high in (("sharplo", "sharphi"), ("roundlo", "roundhi")):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(f"{low} must be below {high}")
        return self

    def finder_parameters(self) -> dict[str, Any]:
        """Return the parameters of `steps.star_finding.find_stars`."""
        return self.model_dump(include=set(_FINDER))


_FINDER = (
    "starfinder snr_threshold kernel_fwhm bkg_boxsize minsep_fwhm sigma_radius sharplo sharphi roundlo roundhi "
    "brightest peakmax npixels connectivity nlevels contrast multithresh_mode localbkg_width apermask_method "
    "kron_params deblend"
).split()

_MINSEP = Field(0.0, ge=0, description="least distance of sources, in units of kernel_fwhm; 2 pixels at the least")
_SIGMA_RADIUS = Field(1.5, gt=0, description="radius of the kernel, in its sigmas")
_SHARPLO = Field(0.5, description="lower limit of sharpness (iraf, dao)")
_SHARPHI = Field(2.0, description="upper limit of sharpness (iraf, dao)")
_ROUNDLO = Field(0.0, description="lower limit of roundness (iraf, dao)")
_ROUNDHI = Field(0.2, description="upper limit of roundness (iraf, dao)")
_BRIGHTEST = Field(200, description="how many of the brightest are kept (iraf, dao); null: all")
_PEAKMAX = Field(None, description="highest pixel value of a star (iraf, dao), MJy/sr")
_CONNECTIVITY: Any = Field(8, description="neighbours that belong together (segmentation): 4 or 8")
_NLEVELS = Field(32, ge=1, description="levels of deblending (segmentation)")
_CONTRAST = Field(0.001, ge=0, le=1, description="least fraction of the flux of a deblended part (segmentation)")
_MODE: Any = Field("exponential", description="spacing of those levels: exponential, linear, sinh")
_LOCALBKG = Field(0, ge=0, description="width of the local background annulus (segmentation), pixels; 0: none")
_APERMASK: Any = Field("correct", description="neighbours within apertures (segmentation): correct, mask, none")
_KRON = Field(None, description="2 or 3 Kron parameters (segmentation); null: [2.5, 1.4, 0.0]")
_DEBLEND = Field(True, description="split blended sources (segmentation)")
PositiveInt = Annotated[int, Field(ge=1)]
KronParameters = Annotated[list[float], Field(min_length=2, max_length=3)]
ThresholdMode = Literal["exponential", "linear", "sinh"]
ApertureMask = Literal["correct", "mask", "none"]


class Tweakreg(SourceFinding):
    """Align the exposures with each other, and with a catalogue."""

    skip: bool = Field(False, description="do not run; S_TWKREG is SKIPPED")
    robust: bool = Field(True, description="better positions, gates, second searches; false: exactly as jwst")
    on_failure: Literal["keep", "drop", "stop"] = Field(
        "keep", description="an exposure that cannot be aligned: keep its nominal pointing, drop it, or stop"
    )
    save_catalogs: bool = Field(False, description="no effect here: star lists are always kept")
    use_custom_catalogs: bool = Field(False, description="star lists from catfile, the ASN or TCATFILE")
    catalog_format: Literal["ecsv", "fits"] = Field("ecsv", description="format of the star lists: ecsv, fits")
    catfile: NormalPath = Field("", description="file with two columns: exposure, star list")
    starfinder: StarFinder = Field("iraf", description="iraf, dao, segmentation")
    snr_threshold: float = Field(10.0, gt=0, description="detection threshold, in background rms")
    kernel_fwhm: float = Field(2.5, gt=0, description="FWHM of the stars, pixels")
    bkg_boxsize: int = Field(400, ge=1, description="box of the background map, pixels")
    minsep_fwhm: float = _MINSEP
    sigma_radius: float = _SIGMA_RADIUS
    sharplo: float = _SHARPLO
    sharphi: float = _SHARPHI
    roundlo: float = _ROUNDLO
    roundhi: float = _ROUNDHI
    brightest: Maybe[PositiveInt] = _BRIGHTEST
    peakmax: Maybe[float] = _PEAKMAX
    npixels: int = Field(10, ge=1, description="least pixels of a source (segmentation)")
    connectivity: Connectivity = _CONNECTIVITY
    nlevels: int = _NLEVELS
    contrast: float = _CONTRAST
    multithresh_mode: ThresholdMode = _MODE
    localbkg_width: int = _LOCALBKG
    apermask_method: ApertureMask = _APERMASK
    kron_params: Maybe[KronParameters] = _KRON
    deblend: bool = _DEBLEND
    enforce_user_order: bool = Field(False, description="align in the order of the ASN, also with expand_refcat")
    expand_refcat: bool = Field(False, description="add the stars of aligned groups to the reference")
    minobj: int = Field(15, ge=1, description="least number of matches")
    fitgeometry: FitGeometry = Field("rshift", description="shift, rshift (and rotation), rscale, general")
    nclip: int = Field(3, ge=0, description="clipping rounds of the fit")
    sigma: float = Field(3.0, gt=0, description="clipping threshold, in rms residuals")
    searchrad: float = Field(2.0, gt=0, description="largest offset searched, arcsec")
    use2dhist: bool = Field(True, description="find the offset from a histogram of all pairs")
    separation: float = Field(1.0, gt=0, description="least distance of stars in a list, arcsec; > sqrt(2) tolerance")
    tolerance: float = Field(0.7, gt=0, description="largest distance of a match, arcsec")
    xoffset: float = Field(0.0, description="offset to begin with, arcsec; only without use2dhist")
    yoffset: float = Field(0.0, description="the same in y, arcsec")
    abs_refcat: Catalog = Field("", description="align to a catalogue file or GAIADR3, GAIADR2, GAIADR1; '': to none")
    save_abs_catalog: bool = Field(False, description="no effect here: a catalogue that was fetched is always kept")
    abs_minobj: int = Field(15, ge=1, description="the same parameters for the catalogue")
    abs_fitgeometry: FitGeometry = Field("rshift", description="shift, rshift, rscale, general")
    abs_nclip: int = Field(3, ge=0, description="clipping rounds")
    abs_sigma: float = Field(3.0, gt=0, description="clipping threshold")
    abs_searchrad: float = Field(6.0, gt=0, description="largest offset searched, arcsec")
    abs_use2dhist: bool = Field(True, description="find the offset from a histogram")
    abs_separation: float = Field(1.0, gt=0, description="least distance in a list, arcsec")
    abs_tolerance: float = Field(0.7, gt=0, description="largest distance of a match, arcsec")
    sip_approx: bool = Field(True, description="write the FITS SIP approximation of the corrected WCS")
    sip_max_pix_error: float = Field(0.01, gt=0, description="its largest error, pixels; not used with a fixed degree")
    sip_degree: SipDegree = Field(None, description="its degree, 1 to 6; null: the lowest of 1 to 5 that suffices")
    sip_max_inv_pix_error: float = Field(0.01, gt=0, description="largest error of the inverse, pixels")
    sip_inv_degree: SipDegree = Field(None, description="degree of the inverse, 1 to 6; null: the lowest of 1 to 5")
    sip_npoints: int = Field(12, ge=8, le=1024, description="samples per axis of the fit")
    in_memory: bool = Field(True, description="no effect here: one exposure at a time is in memory")

    @model_validator(mode="after")
    def _check_separations(self) -> "Tweakreg":
        if self.skip:
            return self
        for prefix in ("", "abs_"):
            tolerance, separation = getattr(self, f"{prefix}tolerance"), getattr(self, f"{prefix}separation")
            if (prefix == "" or self.abs_refcat) and separation <= 2**0.5 * tolerance:
                right = f"{prefix}separation must be more than sqrt(2) x {prefix}tolerance"
                raise ValueError(f"{right}; they are {separation:g} and {tolerance:g}")
        return self

    def finder_parameters(self) -> dict[str, Any]:
        """Return the parameters of `steps.star_finding.find_stars`; `robust` asks for better positions too."""
        return super().finder_parameters() | {"refine": self.robust}

    def alignment_parameters(self) -> dict[str, Any]:
        """Return what concerns the alignment of star lists."""
        relative = "robust on_failure minobj fitgeometry nclip sigma searchrad use2dhist separation tolerance"
        absolute = "minobj fitgeometry nclip sigma searchrad use2dhist separation tolerance"
        names = {*relative.split(), *"xoffset yoffset enforce_user_order expand_refcat abs_refcat".split()}
        return self.model_dump(include=names | {f"abs_{name}" for name in absolute.split()})

    def sip_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of `steps.sip.sip_approximation`, or None if it is not wanted."""
        if not self.sip_approx:
            return None
        return {
            "max_pix_error": self.sip_max_pix_error,
            "degree": self.sip_degree,
            "max_inv_pix_error": self.sip_max_inv_pix_error,
            "inv_degree": self.sip_inv_degree,
            "npoints": self.sip_npoints,
        }


class Skymatch(Section):
    """Find the sky levels that make overlapping exposures agree."""

    skip: bool = Field(False, description="do not run; S_SKYMAT is SKIPPED")
    skymethod: Literal["match", "local", "global", "global+match", "user"] = Field(
        "match", description="match, local, global, global+match, user (levels from skylist)"
    )
    match_down: bool = Field(True, description="the lowest level becomes 0; false: the highest")
    subtract: bool = Field(False, description="subtract the level from _crf; else combination subtracts it")
    skylist: Maybe[NormalPath] = Field(None, description="file with two columns, exposure and level, for user")
    stepsize: Maybe[PositiveInt] = Field(None, description="pixels between the vertices of outlines; null: corners")
    skystat: Literal["mode", "median", "mean", "midpt"] = Field(
        "mode", description="mode (scatters by 0.1 sigma of a pixel), median (by 0.005), mean, midpt"
    )
    dqbits: MaskExpression = Field("~DO_NOT_USE+NON_SCIENCE", description="pixels that are used")
    lower: Maybe[float] = Field(None, description="lowest value used, MJy/sr")
    upper: Maybe[float] = Field(None, description="highest value used, MJy/sr")
    nclip: int = Field(5, ge=0, description="clipping rounds")
    lsigma: float = Field(4.0, gt=0, description="lower clipping threshold, sigma")
    usigma: float = Field(4.0, gt=0, description="upper clipping threshold, sigma")
    binwidth: float = Field(0.1, gt=0, description="width of the histogram's bins, sigma (mode, midpt)")
    in_memory: bool = Field(True, description="no effect here: one exposure at a time is in memory")

    @model_validator(mode="after")
    def _check_together(self) -> "Skymatch":
        if self.skip:
            return self
        if self.skymethod == "user" and not self.skylist:
            raise ValueError("skymethod 'user' needs a skylist")
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            raise ValueError("lower must be below upper")
        return self

    def measuring_parameters(self) -> dict[str, Any]:
        """Return what concerns the measurement in one exposure."""
        names = "skymethod stepsize skystat dqbits lower upper nclip lsigma usigma binwidth"
        return self.model_dump(include=set(names.split()))

    def matching_parameters(self) -> dict[str, Any]:
        """Return what concerns the levels of an association."""
        return self.model_dump(include={"skymethod", "match_down", "skystat"})


class OutlierDetection(Section):
    """Flag pixels that differ from the median of the exposures."""

    skip: bool = Field(False, description="do not run; S_OUTLIR is SKIPPED")
    weight_type: Literal["ivm", "exptime"] = Field(
        "ivm", description="ivm: 1 / VAR_RNOISE, without it 1; exptime: exposure time"
    )
    pixfrac: float = Field(1.0, ge=0, le=1, description="drop size, as a fraction of the input pixel")
    kernel: Literal["square", "point", "turbo"] = Field("square", description="square, point, turbo")
    fillval: FillValue = Field("NAN", description="value of pixels without data: a number, or NAN")
    maskpt: float = Field(0.7, ge=0, description="pixels below this times the mean weight are left out")
    snr: TwoNumbers = Field([5.0, 4.0], description="thresholds in sigma: to find, and next to what was found")
    error: Literal["exposure", "median"] = Field(
        "exposure",
        description="sigma: of the exposure; median: where that is over twice the median of all exposures, the median",
    )
    scale: TwoNumbers = Field([1.2, 0.7], description="allowance for sharp structures, times the local derivative")
    backg: float = Field(0.0, description="background of the input, MJy/sr, where skymatch gives none")
    save_intermediate_results: bool = Field(False, description="keep _outlier_i2d, _median and _blot")
    resample_data: bool = Field(True, description="compare on the sky; false: pixel by pixel on the detector")
    good_bits: MaskExpression = Field("~DO_NOT_USE", description="pixels that are used")
    in_memory: bool = Field(True, description="no effect here: bands of the median are in memory")
    pixmap_stepsize: float = Field(1.0, ge=1, description="as in stage3.resample")
    pixmap_order: PixmapOrder = Field(1, description="as in stage3.resample")

    @model_validator(mode="after")
    def _check_thresholds(self) -> "OutlierDetection":
        if min(*self.snr, *self.scale) < 0:
            raise ValueError("snr and scale must not be negative")
        return self

    def saves_images(self) -> bool:
        """Tell whether intermediate images are kept; without resampling there are none."""
        return self.save_intermediate_results and self.resample_data

    def resampling_parameters(self) -> dict[str, Any]:
        """Return what concerns the resampling of a group."""
        names = "weight_type pixfrac kernel fillval maskpt resample_data good_bits pixmap_stepsize pixmap_order"
        return self.model_dump(include=set(names.split()))

    def flagging_parameters(self) -> dict[str, Any]:
        """Return what concerns the search in one exposure."""
        return self.model_dump(include={"snr", "scale", "backg", "resample_data", "pixmap_stepsize", "pixmap_order"})


class CombinedResample(Resample):
    """Combine the exposures on one grid."""

    skip: bool = Field(False, description="combine nothing; there is no catalogue either")
    variance: Literal["resampled", "propagated"] = Field(
        "resampled", description="resampled: as jwst, for correlated pixels; propagated: as if independent"
    )
    single: bool = Field(
        False, description="instead of one image, one of each group on the common grid, _0_i2d, ...; no catalogue"
    )

    def drizzle_parameters(self) -> dict[str, Any]:
        """Return what concerns the combination on a given grid."""
        grid = {"output_shape", "crpix", "crval", "rotation", "pixel_scale_ratio", "pixel_scale", "output_wcs"}
        parameters = self.model_dump(exclude=grid | {"skip", "single", "in_memory"})
        return parameters | ({"variance": "error"} if self.single else {})


class SourceCatalog(SourceFinding):
    """Find and measure the sources in the combined image."""

    skip: bool = Field(False, description="make no catalogue")
    aperture_ee1: int = Field(30, gt=0, lt=100, description="first aperture, % of encircled energy, as in APCORR")
    aperture_ee2: int = Field(50, gt=0, lt=100, description="second aperture")
    aperture_ee3: int = Field(70, gt=0, lt=100, description="third aperture, that of the total flux")
    ci1_star_threshold: float = Field(2.0, description="a star's flux ratio of apertures 2 and 1 is below this, or ...")
    ci2_star_threshold: float = Field(1.8, description="... that of apertures 3 and 2 below this")
    suffix: Literal["cat"] = Field("cat", description="the suffix is fixed here")
    starfinder: StarFinder = Field("segmentation", description="segmentation, iraf, dao")
    snr_threshold: float = Field(3.0, gt=0, description="detection threshold, in background rms")
    bkg_boxsize: int = Field(1000, ge=1, description="box of the background map, pixels")
    kernel_fwhm: float = Field(2.0, gt=0, description="FWHM of the smoothing, pixels")
    minsep_fwhm: float = _MINSEP
    sigma_radius: float = _SIGMA_RADIUS
    sharplo: float = _SHARPLO
    sharphi: float = _SHARPHI
    roundlo: float = _ROUNDLO
    roundhi: float = _ROUNDHI
    brightest: Maybe[PositiveInt] = _BRIGHTEST
    peakmax: Maybe[float] = _PEAKMAX
    npixels: int = Field(25, ge=1, description="least pixels of a source (segmentation)")
    connectivity: Connectivity = _CONNECTIVITY
    nlevels: int = _NLEVELS
    contrast: float = _CONTRAST
    multithresh_mode: ThresholdMode = _MODE
    localbkg_width: int = _LOCALBKG
    apermask_method: ApertureMask = _APERMASK
    kron_params: Maybe[KronParameters] = _KRON
    deblend: bool = _DEBLEND

    @model_validator(mode="after")
    def _check_apertures(self) -> "SourceCatalog":
        if self.skip:
            return self
        if not self.aperture_ee1 < self.aperture_ee2 < self.aperture_ee3:
            raise ValueError("aperture_ee1 < aperture_ee2 < aperture_ee3 is needed")
        return self


class Stage3(Section):
    """Stage 3: the exposures of an association aligned, cleaned of outliers, combined and catalogued."""

    in_memory: bool = Field(True, description="no effect here: one exposure at a time is in memory")
    assign_mtwcs: AssignMtwcs = Field(AssignMtwcs(), description="follow a moving target, in place of tweakreg")
    tweakreg: Tweakreg = Field(Tweakreg(), description="align the exposures with each other, and with a catalogue")
    skymatch: Skymatch = Field(Skymatch(), description="find the sky levels that make overlapping exposures agree")
    outlier_detection: OutlierDetection = Field(
        OutlierDetection(), description="flag pixels that differ from the median of the exposures, in _crf"
    )
    resample: CombinedResample = Field(CombinedResample(), description="combine the exposures in _i2d")
    source_catalog: SourceCatalog = Field(
        SourceCatalog(), description="find and measure the sources of _i2d, in _cat and _segm"
    )


class Grid(Section):
    """A pixel grid that several associations share."""

    associations: SomeFiles = Field(
        description="products of level-3 associations that are combined on this grid, names or patterns"
    )
    output_wcs: NormalPath = Field("", description="ASDF file with the WCS; else the parameters below")
    output_shape: Maybe[Shape] = Field(None, description="[nx, ny], pixels; null: all exposures fit")
    crpix: Maybe[Pair] = Field(None, description="[x, y] of the reference pixel, 0-based")
    crval: Maybe[SkyPosition] = Field(None, description="[ra, dec] of the reference pixel, degrees")
    rotation: Maybe[float] = Field(None, description="position angle of +y, degrees east of north")
    pixel_scale_ratio: float = Field(1.0, gt=0, description="grid / input pixel scale, of the first exposure")
    pixel_scale: Maybe[Annotated[float, Field(gt=0)]] = Field(None, description="pixel scale, arcsec")
