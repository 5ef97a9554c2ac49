"""The parameters of stage 3, with jwst's names and defaults, and of common pixel grids."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from calflow.configuration.declared import section_of
from calflow.configuration.section import FILL_VALUE, Files, Maybe, NormalPath, Section, SomeFiles, Step
from calflow.configuration.shared import IN_MEMORY, OutputGrid, SipApproximation, SourceFinding
from calflow.configuration.stage2 import Resample
from calflow.science.combination.combination_parameters import (
    GroupDrizzling,
    OutlierThresholds,
    ResampledVariance,
    bands_at_once,
    own_kernel_does,
    rows_of_band,
)
from calflow.science.dq_flags import bad_pixels
from calflow.science.geometry.grid_parameters import PixelMapping
from calflow.science.sky.sky_parameters import SkyMatching, SkyMeasuring
from calflow.science.sources.catalog_parameters import Apertures, CatalogParameters
from calflow.science.stars.matching_parameters import CatalogMatching, GroupOrder, Matching, Robustness


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


# What the name of a catalogue begins with that is made of another association
OF_ASSOCIATION = "association:"


def _catalog(value: Any) -> Any:
    """Read ``{association: name}`` as one text, and null as no name."""
    if not isinstance(value, dict):
        return _empty_from_none(value)
    if list(value) != ["association"] or not isinstance(value["association"], str) or not value["association"].strip():
        raise ValueError("give {association: name of a product of stage 3}")
    return f"{OF_ASSOCIATION}{value['association'].strip()}"


def _mask_text(value: Any) -> Any:
    """Take a number, or null for no mask, as text: older releases had numbers."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if value is None or is_number else value


def _mask_expression(value: str) -> str:
    import numpy as np

    bad_pixels(np.zeros(1, np.uint32), value)  # a misspelled flag is told now
    return value


MaskNumber = Annotated[int, Field(le=2**32 - 1)]
TileSide = Annotated[int, Field(ge=100, le=100_000)]
TileShape = Annotated[list[TileSide], Field(min_length=2, max_length=2)]
# For `declared.section_of`: how parameters that science declares are written
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
TWO_NUMBERS = (BeforeValidator(_two_numbers, json_schema_input_type=Pair | str),)
MASK_EXPRESSION = (
    BeforeValidator(_mask_text, json_schema_input_type=str | MaskNumber | None),
    AfterValidator(_mask_expression),
)
MaskExpression = Annotated[str, *MASK_EXPRESSION]
OfAssociation = Annotated[dict[Literal["association"], Annotated[str, Field(min_length=1)]], Field(min_length=1)]
Catalog = Annotated[NormalPath, BeforeValidator(_catalog, json_schema_input_type=str | OfAssociation | None)]


# Exposures taken at once, each exposure of a detector by itself, or all exposures of a visit
GroupBy = Literal["exposure", "detector", "visit"]


class AssignMtwcs(Step):
    """Follow a moving target."""

    skip: bool = Field(False, description="do not run; S_MTWCS is SKIPPED")


_Robustness: Any = section_of(Robustness, Step)


class StarLists(_Robustness):
    """Where star lists come from, and what they are for."""

    on_failure: Literal["keep", "drop", "stop"] = Field(
        "keep", description="an exposure that cannot be aligned: keep its nominal pointing, drop it, or stop"
    )
    save_catalogs: bool = Field(False, description="no effect here: star lists are always kept")
    use_custom_catalogs: bool = Field(False, description="star lists from catfile, the ASN or TCATFILE")
    catalog_format: Literal["ecsv", "fits"] = Field("ecsv", description="format of the star lists: ecsv, fits")
    catfile: NormalPath = Field("", description="file with two columns: exposure, star list")
    group_by: GroupBy = Field("exposure", description="what moves together: all of an exposure, detector, visit")
    wcs_from: Files = Field(
        [], description="pointings from outside: tables of offsets, ASDF files with a WCS; docs/alignment.md"
    )


_Matching: Any = section_of(Matching, section_of(GroupOrder, Step))


class _WithCatalog(_Matching):
    abs_refcat: Catalog = Field(
        "", description="align to a catalogue file, GAIADR3, GAIADR2, GAIADR1 or {association: name}; '': to none"
    )
    save_abs_catalog: bool = Field(False, description="no effect here: a catalogue that was fetched is always kept")


_CatalogMatching: Any = section_of(CatalogMatching, _WithCatalog, prefix="abs_", without=("xoffset", "yoffset"))


class Alignment(_CatalogMatching):
    """How star lists are matched with each other, and with a catalogue."""

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
        """Return the parameters of the alignment of star lists."""
        values = {"robust": self.robust, "on_failure": self.on_failure} | self.part(Alignment)
        del values["save_abs_catalog"]
        return values


_SkyMatching: Any = section_of(SkyMatching, Step)


class _SkyLevels(_SkyMatching):
    subtract: bool = Field(False, description="subtract the level from _crf; else combination subtracts it")
    group_by: GroupBy = Field("exposure", description="what has one level: all of an exposure, detector, visit")
    skylist: Maybe[NormalPath] = Field(None, description="file with two columns, exposure and level, for user")


_SkyMeasuring: Any = section_of(SkyMeasuring, _SkyLevels, read={"dqbits": MASK_EXPRESSION})


class Skymatch(_SkyMeasuring):
    """Find the sky levels that make overlapping exposures agree."""

    skip: bool = Field(False, description="do not run; S_SKYMAT is SKIPPED")
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
        """Return the parameters of the measurement in one exposure, in given overlaps."""
        values = self.part(SkyMeasuring)
        del values["stepsize"]  # of the overlaps
        return values

    def matching_parameters(self) -> dict[str, Any]:
        """Return the parameters by which the levels of an association are matched."""
        return self.part(SkyMatching) | {"skystat": self.skystat}


_GroupDrizzling: Any = section_of(GroupDrizzling, Step, read={"fillval": FILL_VALUE})
_Thresholds: Any = section_of(OutlierThresholds, _GroupDrizzling, read=dict.fromkeys(("snr", "scale"), TWO_NUMBERS))


class _Comparison(_Thresholds):
    error: Literal["exposure", "median"] = Field(
        "exposure",
        description="sigma: of the exposure; median: where that is over twice the median of all exposures, the median",
    )
    search: Literal["median", "lowest"] = Field(
        "median",
        description="lowest: also by the lowest exposure where the median is hit, by sharpness where one looks; "
        "docs/outliers.md",
    )
    save_intermediate_results: bool = Field(False, description="keep _outlier_i2d, _median and _blot")
    resample_data: bool = Field(True, description="compare on the sky; false: pixel by pixel on the detector")
    good_bits: MaskExpression = Field("~DO_NOT_USE", description="pixels that are used")
    in_memory: bool = Field(True, description="no effect here: bands of the median are in memory")


_Compared: Any = section_of(PixelMapping, _Comparison)


class OutlierDetection(_Compared):
    """Flag pixels that differ from the median of the exposures."""

    skip: bool = Field(False, description="do not run; S_OUTLIR is SKIPPED")

    def saves_images(self) -> bool:
        """Tell whether intermediate images are kept; without resampling there are none."""
        return self.save_intermediate_results and self.resample_data

    def resampling_parameters(self) -> dict[str, Any]:
        """Return the parameters of the resampling of a group."""
        others = {"resample_data": self.resample_data, "good_bits": self.good_bits}
        return self.part(GroupDrizzling) | others | self.part(PixelMapping)

    def flagging_parameters(self) -> dict[str, Any]:
        """Return the parameters of the search in one exposure."""
        return self.part(OutlierThresholds) | {"resample_data": self.resample_data} | self.part(PixelMapping)


_CombinedVariance: Any = section_of(ResampledVariance, Resample)


class CombinedResample(_CombinedVariance):
    """Combine the exposures on one grid."""

    skip: bool = Field(False, description="combine nothing; there is no catalogue either")
    single: bool = Field(
        False, description="instead of one image, one of each group on the common grid, _0_i2d, ...; no catalogue"
    )
    piece_pixels: int | None = Field(
        100_000_000,
        ge=1,
        description="larger images are made of pieces of so many pixels, each a job; null: never; docs/common_grids.md",
    )

    def drizzle_parameters(self) -> dict[str, Any]:
        """Return the parameters of the combination on a given grid."""
        parameters = self.model_dump(exclude={*OutputGrid.model_fields, "skip", "single", "in_memory", "piece_pixels"})
        return parameters | ({"variance": "error"} if self.single else {})

    def rows_at_a_time(self, shape: tuple[int, int]) -> int:
        """Return how many rows of an image one thread combines at a time.

        Parameters
        ----------
        shape : (ny, nx)
            Of the image.
        """
        return rows_of_band(shape) if self.works_in_bands else shape[0]

    def parts_at_once(self, shape: tuple[int, int]) -> int:
        """Return how many times as many rows many threads combine at a time.

        Parameters
        ----------
        shape : (ny, nx)
            Of the image.
        """
        return bands_at_once(shape, shape[0]) if self.works_in_bands else 1

    @property
    def works_in_bands(self) -> bool:
        """Whether the image may be combined band by band, and not all of it at once."""
        return own_kernel_does(self.kernel, self.pixfrac, self.propagate_dq) and not self.single


_Apertures: Any = section_of(Apertures, Step)
_CatalogParameters: Any = section_of(CatalogParameters, Step)


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
    parquet: bool = Field(False, description="write it as parquet, too; needs pyarrow; docs/products.md")

    def catalog_parameters(self) -> dict[str, Any]:
        """Return the parameters of `science.sources.source_catalog.source_catalog`."""
        return self.part(CatalogParameters)

    @property
    def works_in_bands(self) -> bool:
        """Whether sources are found band by band of an image, and not in all of it at once."""
        return CatalogParameters(**self.catalog_parameters()).works_in_bands


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
    tile_shape: TileShape | None = Field(
        None, description="[nx, ny] of tiles, each an image of its own; null: one image; docs/common_grids.md"
    )
    tile_overlap: int = Field(0, ge=0, le=100_000, description="pixels that a tile has beyond each of its edges")


class Grid(OutputGrid, SharedGrid):
    """A pixel grid that several associations share; what is relative to the input is so to its first exposure."""
