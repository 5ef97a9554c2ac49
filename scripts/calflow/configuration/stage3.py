"""The parameters of stage 3, with jwst's names and defaults, and of common pixel grids."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from calflow.configuration.declared import section_of
from calflow.configuration.section import (
    FillValue,
    Maybe,
    NormalPath,
    Pair,
    PixmapOrder,
    Section,
    SomeFiles,
    Step,
)
from calflow.configuration.shared import (
    FILLVAL,
    IN_MEMORY,
    PIXFRAC,
    PIXMAP_ORDER,
    PIXMAP_STEPSIZE,
    OutputGrid,
    SipApproximation,
    SourceFinding,
)
from calflow.configuration.stage2 import Resample
from calflow.science.dq_flags import bad_pixels
from calflow.science.sources.catalog_parameters import Apertures, CatalogParameters

FitGeometry = Literal["shift", "rshift", "rscale", "general"]


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


class AssignMtwcs(Step):
    """Follow a moving target."""

    skip: bool = Field(False, description="do not run; S_MTWCS is SKIPPED")


class StarLists(Step):
    """Where star lists come from, and what they are for."""

    robust: bool = Field(True, description="better positions, gates, second searches; false: exactly as jwst")
    on_failure: Literal["keep", "drop", "stop"] = Field(
        "keep", description="an exposure that cannot be aligned: keep its nominal pointing, drop it, or stop"
    )
    save_catalogs: bool = Field(False, description="no effect here: star lists are always kept")
    use_custom_catalogs: bool = Field(False, description="star lists from catfile, the ASN or TCATFILE")
    catalog_format: Literal["ecsv", "fits"] = Field("ecsv", description="format of the star lists: ecsv, fits")
    catfile: NormalPath = Field("", description="file with two columns: exposure, star list")


class Alignment(Step):
    """How star lists are matched with each other, and with a catalogue."""

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

    @model_validator(mode="after")
    def _check_separations(self) -> "Alignment":
        if self.skip:
            return self
        for prefix in ("", "abs_"):
            tolerance, separation = getattr(self, f"{prefix}tolerance"), getattr(self, f"{prefix}separation")
            if (prefix == "" or self.abs_refcat) and separation <= 2**0.5 * tolerance:
                right = f"{prefix}separation must be more than sqrt(2) x {prefix}tolerance"
                raise ValueError(f"{right}; they are {separation:g} and {tolerance:g}")
        return self


class Tweakreg(SipApproximation, Alignment, SourceFinding, StarLists):
    """Align the exposures with each other, and with a catalogue."""

    skip: bool = Field(False, description="do not run; S_TWKREG is SKIPPED")
    in_memory: bool = IN_MEMORY

    def finder_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.stars.star_finding.find_stars`; `robust` asks for better positions too."""
        return super().finder_parameters() | {"refine": self.robust}

    def alignment_parameters(self) -> dict[str, Any]:
        """Return what concerns the alignment of star lists."""
        names = {"robust", "on_failure", *Alignment.model_fields} - {"skip", "save_abs_catalog"}
        return self.model_dump(include=names)


class Skymatch(Step):
    """Find the sky levels that make overlapping exposures agree."""

    skip: bool = Field(False, description="do not run; S_SKYMAT is SKIPPED")
    skymethod: Literal["match", "local", "global", "global+match", "user"] = Field(
        "match", description="match, local, global, global+match, user (levels from skylist)"
    )
    match_down: bool = Field(True, description="the lowest level becomes 0; false: the highest")
    subtract: bool = Field(False, description="subtract the level from _crf; else combination subtracts it")
    skylist: Maybe[NormalPath] = Field(None, description="file with two columns, exposure and level, for user")
    stepsize: Maybe[Annotated[int, Field(ge=1)]] = Field(
        None, description="pixels between the vertices of outlines; null: corners"
    )
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
    in_memory: bool = IN_MEMORY

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


class OutlierDetection(Step):
    """Flag pixels that differ from the median of the exposures."""

    skip: bool = Field(False, description="do not run; S_OUTLIR is SKIPPED")
    weight_type: Literal["ivm", "exptime"] = Field(
        "ivm", description="ivm: 1 / VAR_RNOISE, without it 1; exptime: exposure time"
    )
    pixfrac: float = PIXFRAC
    kernel: Literal["square", "point", "turbo"] = Field("square", description="square, point, turbo")
    fillval: FillValue = FILLVAL
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
    pixmap_stepsize: float = PIXMAP_STEPSIZE
    pixmap_order: PixmapOrder = PIXMAP_ORDER

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
        parameters = self.model_dump(exclude={*OutputGrid.model_fields, "skip", "single", "in_memory"})
        return parameters | ({"variance": "error"} if self.single else {})


if TYPE_CHECKING:  # mypy cannot see what is made while running

    class _Apertures(Apertures, Step): ...

    class _CatalogParameters(CatalogParameters, Step): ...

else:
    _Apertures = section_of(Apertures, Step)
    _CatalogParameters = section_of(CatalogParameters, Step)


class Measuring(_Apertures):
    """How sources are measured."""

    suffix: Literal["cat"] = Field("cat", description="the suffix is fixed here")

    @model_validator(mode="after")
    def _check_apertures(self) -> "Measuring":
        if self.skip:
            return self
        if not self.aperture_ee1 < self.aperture_ee2 < self.aperture_ee3:
            raise ValueError("aperture_ee1 < aperture_ee2 < aperture_ee3 is needed")
        return self


class SourceCatalog(_CatalogParameters, SourceFinding, Measuring):
    """Find and measure the sources in the combined image."""

    skip: bool = Field(False, description="make no catalogue")


class Stage3(Section):
    """Stage 3: the exposures of an association aligned, cleaned of outliers, combined and catalogued."""

    in_memory: bool = IN_MEMORY
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


class SharedGrid(Section):
    """What a grid is for."""

    associations: SomeFiles = Field(
        description="products of level-3 associations that are combined on this grid, names or patterns"
    )


class Grid(OutputGrid, SharedGrid):
    """A pixel grid that several associations share; what is relative to the input is so to its first exposure."""
