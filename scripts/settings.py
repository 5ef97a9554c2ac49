"""The parameters of calflow: names, types, ranges, defaults and meaning.

These models are the one place where a parameter is declared. ``config.yaml`` is written from
them (``python scripts/settings.py > config.yaml``); a test holds the two together.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from problems import InputError, Problem, nearest

# The largest output image: it takes 16 GB. A full NIRCam frame at a fifth of its pixel scale has 1.1e8 pixels.
MAX_OUTPUT_PIXELS = 250_000_000


def _none_from_text(value: Any) -> Any:
    """Read "None" and "null" as None: values given with ``--config`` arrive as text."""
    return None if isinstance(value, str) and value.strip().lower() in ("none", "null") else value


def _list_from_one(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _fill_value(value: Any) -> Any:
    if str(value).strip().upper() in ("NAN", "INDEF"):
        return "NAN"
    try:
        return str(float(value))
    except (TypeError, ValueError):
        raise ValueError("a fill value is a number or NAN") from None


def _normal_path(value: Any) -> Any:
    """Write a path in its simplest form: Snakemake knows files by their spelling."""
    return os.path.normpath(os.path.expanduser(value)) if isinstance(value, str) and value else value


def _sky_position(value: list[float]) -> list[float]:
    if not (-360 <= value[0] <= 360 and -90 <= value[1] <= 90):
        raise ValueError("a position is [ra, dec] in degrees, with dec from -90 to 90")
    return value


def _affordable(value: list[int]) -> list[int]:
    if value[0] * value[1] > MAX_OUTPUT_PIXELS:
        raise ValueError(f"an image has at most {MAX_OUTPUT_PIXELS:.3g} pixels")
    return value


T = TypeVar("T")
Maybe = Annotated[T | None, BeforeValidator(_none_from_text)]
Files = Annotated[list[str], BeforeValidator(_list_from_one)]
SipDegree = Maybe[Annotated[int, Field(ge=1, le=6)]]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Size = Annotated[int, Field(ge=1)]
Shape = Annotated[list[Size], Field(min_length=2, max_length=2), AfterValidator(_affordable)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, values: Any) -> Any:
        """Take a section with nothing below it as its defaults."""
        if not isinstance(values, dict):
            return values
        sections = {name for name, field in cls.model_fields.items() if isinstance(field.default, Section)}
        return {name: value for name, value in values.items() if value is not None or name not in sections}


class BkgSubtract(Section):
    """Subtract the average of dedicated background exposures."""

    skip: bool = Field(False, description="do not run; S_BKDSUB is SKIPPED")
    sigma: float = Field(3.0, gt=0, description="clipping threshold of the average, in sigma")
    maxiters: Maybe[Annotated[int, Field(ge=1)]] = Field(
        None, description="clipping rounds; null: until nothing changes"
    )
    clip: Literal["scatter", "error"] = Field(
        "scatter",
        description="sigma is the scatter of the exposures (as jwst), or their error (works with < 8 of them)",
    )
    save_combined_background: bool = Field(False, description="keep the average as _combinedbackground")


class AssignWcs(Section):
    """Attach the world coordinate system."""

    skip: bool = Field(False, description="do not run; S_WCS is SKIPPED")
    sip_approx: bool = Field(True, description="write the FITS SIP approximation")
    sip_max_pix_error: float = Field(0.01, gt=0, description="its largest error, pixels; not used with a fixed degree")
    sip_degree: SipDegree = Field(None, description="its degree, 1 to 6; null: the lowest of 1 to 5 that suffices")
    sip_max_inv_pix_error: float = Field(0.01, gt=0, description="largest error of the inverse, pixels")
    sip_inv_degree: SipDegree = Field(None, description="degree of the inverse, 1 to 6; null: the lowest of 1 to 5")
    sip_npoints: int = Field(12, ge=8, le=1024, description="samples per axis of the fit")

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


class FlatField(Section):
    """Divide by the flat field."""

    skip: bool = Field(False, description="do not run; S_FLAT is SKIPPED")
    save_interpolated_flat: bool = Field(False, description="keep the flat as applied, as _interpolatedflat")
    user_supplied_flat: Maybe[str] = Field(None, description="a flat file to use instead of the reference")
    inverse: bool = Field(False, description="multiply by the flat instead")


class Photom(Section):
    """Convert count rates to surface brightness."""

    skip: bool = Field(False, description="do not run; S_PHOTOM is SKIPPED")
    inverse: bool = Field(False, description="divide by the factor instead: MJy/sr back to DN/s")
    apply_time_correction: bool = Field(True, description="correct for the loss of sensitivity (TIMECOEFF tables)")


class Resample(Section):
    """Resample to a rectified pixel grid."""

    skip: bool = Field(False, description="do not run; S_RESAMP is SKIPPED")
    pixfrac: float = Field(1.0, ge=0, le=1, description="drop size, as a fraction of the input pixel")
    kernel: Literal["square", "gaussian", "point", "turbo", "lanczos2", "lanczos3"] = Field(
        "square", description="drizzle kernel: square, gaussian, point, turbo, lanczos2, lanczos3"
    )
    fillval: Annotated[str, BeforeValidator(_fill_value)] = Field(
        "NAN", description="value of pixels without data: a number, or NAN"
    )
    weight_type: Literal["ivm", "exptime"] = Field("ivm", description="ivm: 1 / VAR_RNOISE; exptime: exposure time")
    output_shape: Maybe[Shape] = Field(None, description="[nx, ny] of the output, pixels")
    crpix: Maybe[Pair] = Field(None, description="[x, y] of the reference pixel, 0-based")
    crval: Maybe[Annotated[Pair, AfterValidator(_sky_position)]] = Field(
        None, description="[ra, dec] of the reference pixel, degrees"
    )
    rotation: Maybe[float] = Field(None, description="position angle of +y, degrees east of north; null: as the input")
    pixel_scale_ratio: float = Field(1.0, gt=0, description="output pixel scale / input pixel scale")
    pixel_scale: Maybe[Annotated[float, Field(gt=0)]] = Field(
        None, description="output pixel scale, arcsec; overrides pixel_scale_ratio"
    )
    output_wcs: Annotated[str, BeforeValidator(_normal_path)] = Field(
        "", description="ASDF file with the output WCS; overrides all of the above but output_shape"
    )
    single: bool = Field(False, description="one output per exposure; a quick look always is")
    blendheaders: bool = Field(True, description="blend the headers of the inputs; a quick look has only one")
    in_memory: bool = Field(True, description="no effect here: one exposure at a time is in memory")
    enable_ctx: bool = Field(True, description="write the context image, CON")
    enable_err: bool = Field(True, description="compute and write ERR and the variances")
    report_var: bool = Field(True, description="write VAR_POISSON, VAR_RNOISE, VAR_FLAT")
    propagate_dq: bool = Field(False, description="write DQ, the union of the flags of the inputs")
    pixmap_stepsize: float = Field(
        1.0, ge=1, description="> 1: pixel map from a grid of this step; 1: as exact as 1e-7 pixel"
    )
    pixmap_order: Literal[1, 3] = Field(1, description="order of the spline through that grid, 1 or 3")


class Stage2(Section):
    """Stage 2: one exposure at a time, _rate to _cal and its quick-look _i2d."""

    save_bsub: bool = Field(False, description="keep the background-subtracted exposures, _bsub")
    bkg_subtract: BkgSubtract = Field(BkgSubtract(), description="subtract the average of the background exposures")
    assign_wcs: AssignWcs = Field(AssignWcs(), description="attach the world coordinate system")
    flat_field: FlatField = Field(FlatField(), description="divide by the flat field")
    photom: Photom = Field(Photom(), description="convert DN/s to MJy/sr")
    resample: Resample = Field(Resample(), description="the quick-look _i2d of each exposure")


class References(Section):
    """Where the reference files come from."""

    source: Literal["directory", "crds"] = Field(
        "directory", description="directory: files in a folder, chosen by their headers; crds: a CRDS cache"
    )
    directory: str = Field("references", description="that folder, with CRDS-format files")
    crds_path: Maybe[str] = Field(None, description="the CRDS cache; null: the environment variable CRDS_PATH")
    crds_context: Maybe[str] = Field(None, description="the context, for example jwst_1500.pmap")
    override: dict[str, str] = Field({}, description='by type, a file or "N/A", for example {flat: my_flat.fits}')


class Settings(Section):
    """The whole configuration."""

    input: str = Field(
        ".", description="folder with the exposures; members are looked for beside the ASN first, then here"
    )
    associations: Files = Field([], description="association (ASN) files or globs, level 2 and level 3")
    exposures: Files = Field([], description="single _rate or _rateints files or globs, processed without an ASN")
    output: Annotated[str, BeforeValidator(_normal_path)] = Field(
        "results", min_length=1, description="folder of the products"
    )
    write_date: bool = Field(
        False, description="write the time of writing as DATE; products then differ from run to run"
    )
    references: References = Field(References(), description="where the reference files come from")
    stage2: Stage2 = Field(Stage2(), description="parameters of the steps of stage 2, with jwst's names and defaults")


def read_settings(config: Mapping[str, Any], files: Sequence[Path] = ()) -> Settings:
    """Check a configuration and return it typed.

    Parameters
    ----------
    config : mapping
        What Snakemake merged from the config files and the command line.
    files : sequence of paths
        The config files, to name the one that holds a wrong key.

    Raises
    ------
    InputError
        With every unknown key, wrong type and value out of range.
    """
    try:
        return Settings.model_validate(dict(config))
    except ValidationError as error:
        raise InputError(_problem(item, files) for item in error.errors()) from None


def _problem(error: Mapping[str, Any], files: Sequence[Path]) -> Problem:
    path = [str(part) for part in error["loc"] if not str(part).startswith(("function-", "constrained-"))]
    given = error["input"]
    if error["type"] == "extra_forbidden":
        known = _section_at(path[:-1]).model_fields
        return Problem(_file_with(path, given, files), ".".join(path), "unknown key", nearest(path[-1], known))
    right = error["msg"][0].lower() + error["msg"][1:]
    return Problem(_file_with(path, given, files), ".".join(path), f"{given!r} is not valid", right)


def _section_at(path: Sequence[str]) -> type[Section]:
    section: Any = Settings
    for part in path:
        section = section.model_fields[part].annotation
    return section


def _file_with(path: Sequence[str], given: Any, files: Sequence[Path]) -> str:
    """Name the config file that gives a key this value; the command line if none does."""
    for file in files:
        node = _read_yaml(file)
        for part in path:
            if isinstance(node, list):
                node = {str(index): item for index, item in enumerate(node)}
            node = node.get(part) if isinstance(node, Mapping) else None
        if node == given and node is not None:
            return str(file)
    return "--config"


def config_file(key: str, files: Sequence[Path]) -> str:
    """Name the config file that a key, such as ``associations[1]``, comes from; the command line if none has it."""
    path = key.partition("[")[0].split(".")
    for file in files:
        node = _read_yaml(file)
        for part in path:
            node = node.get(part) if isinstance(node, Mapping) else None
        if node not in (None, [], {}, ""):
            return str(file)
    return "--config"


def _read_yaml(file: Path) -> Any:
    try:
        return yaml.safe_load(Path(file).read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return None


def default_config() -> str:
    """Return the text of ``config.yaml``: every key with its default and one line of explanation."""
    head = (
        "# Every parameter of calflow with its default.\n"
        "# Copy the lines you want to change into a file of your own and run with --configfile my.yaml.\n"
        "# Written from scripts/settings.py: edit there, then `python scripts/settings.py > config.yaml`.\n"
    )
    return head + "\n".join(_section_lines(Settings(), 0)) + "\n"


def _section_lines(section: Section, depth: int) -> list[str]:
    lines = []
    for name, field in type(section).model_fields.items():
        value, indent = getattr(section, name), "  " * depth
        if isinstance(value, Section):
            lines += [
                "",
                f"{indent}# {field.description}",
                f"{indent}{name}:",
                *_section_lines(value, depth + 1),
            ]
        else:
            text = yaml.safe_dump({name: value}, default_flow_style=False).strip()
            lines.append(f"{indent}{text}  # {field.description}")
    return lines


if __name__ == "__main__":
    print(default_config(), end="")
