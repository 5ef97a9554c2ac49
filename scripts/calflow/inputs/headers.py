"""Headers of exposures and references: what planning knows of a file, read without its pixels."""

import stat
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import BinaryIO

from calflow.configuration.problems import Problem, Problems
from calflow.files.detector_window import detector_window
from calflow.inputs.asdf_meta import KEYWORDS, read_asdf_meta
from calflow.inputs.fits_headers import HduShape, HeaderError, Value, check_exposure, read_hdus
from calflow.inputs.header_cache import HeaderCache
from calflow.instruments import family_of, image_extensions, layout_of
from calflow.science.windows import Window

# Only exposures, and what is made of them, have one of these.
EXPOSURE_TIMES = ("EFFEXPTM", "EXPTIME", "XPOSURE", "TEXPTIME", "DURATION", "NGROUPS")
# Planes that tell the error of an exposure
ERRORS = ("ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
# What is kept of a FITS reference's keywords, beside its P_ lists
_REFERENCE_KEYWORDS = frozenset((*KEYWORDS.values(), *EXPOSURE_TIMES, "DATAMODL"))


@dataclass(frozen=True)
class ExposureHeader:
    """What planning knows of one exposure.

    Attributes
    ----------
    path : Path
    values : dict
        The wanted keywords that the file has, from the primary header, else from that of the image; and those
        that its family makes of others.
    hdus : tuple of HduShape
    image : str
        The extension with the pixels.
    derived : dict
        Those of `values` that the family has made.
    """

    path: Path
    values: dict[str, Value]
    hdus: tuple[HduShape, ...]
    image: str = "SCI"
    derived: dict[str, Value] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the image, (ny, nx) or (nints, ny, nx)."""
        return next(hdu.shape for hdu in self.hdus if hdu.name == self.image)

    @property
    def is_cube(self) -> bool:
        """Return whether the exposure has one image per integration."""
        return len(self.shape) == 3

    def has(self, extension: str) -> bool:
        """Tell whether the file has an extension of this name."""
        return any(hdu.name == extension for hdu in self.hdus)

    def errors(self, flat: bool = False) -> tuple[str, ...]:
        """Return the planes that tell the error of the exposure.

        ERR does not count beside VAR_POISSON and VAR_RNOISE, which it is made of.

        Parameters
        ----------
        flat : bool
            Whether the exposure is still to go through the flat field step. That adds VAR_FLAT to VAR_POISSON and
            VAR_RNOISE, and drops it where one of these is missing.
        """
        found = {name for name in ERRORS if self.has(name)}
        from_parts = {"VAR_POISSON", "VAR_RNOISE"} <= found
        if from_parts:
            found.discard("ERR")
        if flat:
            found = found | {"VAR_FLAT"} if from_parts else found - {"VAR_FLAT"}
        return tuple(name for name in ERRORS if name in found)


@dataclass(frozen=True)
class ReferenceHeader:
    """What planning knows of one reference file.

    Attributes
    ----------
    path : Path
    values : dict
        Keywords by their FITS names, those of ASDF references translated.
    """

    path: Path
    values: dict[str, Value]


def read_exposure_header(
    path: Path, keywords: Iterable[str], problems: Problems, cache: HeaderCache | None = None
) -> ExposureHeader | None:
    """Read keywords and shapes of a count-rate or calibrated exposure, and check its structure.

    Parameters
    ----------
    path : Path
        A FITS file in a layout of its family: an image, and other planes of its shape.
    keywords : iterable of str
        Upper case; looked up in the primary header, then in that of the image.
    problems : Problems
        Everything that is wrong with the file is added here; nothing is raised.
    cache : HeaderCache, optional
        Remembers sound headers.

    Returns
    -------
    ExposureHeader or None
        None if anything is wrong with the file.
    """
    path, keywords = Path(path), tuple(sorted(set(keywords)))

    def read() -> dict:
        with _open(path) as file:
            hdus = read_hdus(file, keywords, image_extensions())
        primary = hdus[0][0]
        layout = layout_of(primary, [shape.name for _, shape in hdus])
        check_exposure(hdus, layout.image, layout.required, layout.integers)
        own = next(values for values, shape in hdus if shape.name == layout.image)
        values = {key: primary.get(key, own.get(key)) for key in keywords if key in primary or key in own}
        return {"values": values, "hdus": [astuple(shape) for _, shape in hdus], "image": layout.image}

    entry = _cached(path, "exposure:" + ",".join(keywords), read, problems, cache)
    if entry is None:
        return None
    hdus = tuple(
        HduShape(name, version, kind, tuple(shape), bitpix) for name, version, kind, shape, bitpix in entry["hdus"]
    )
    values, family = entry["values"], family_of(entry["values"])
    derived = family.derived(values) if family else {}
    return ExposureHeader(path, values | derived, hdus, entry["image"], derived)


def read_reference_header(path: Path, problems: Problems, cache: HeaderCache | None = None) -> ReferenceHeader | None:
    """Read the keywords that say what a reference file (FITS or ASDF) is for.

    Parameters
    ----------
    path : Path
        Of an ASDF file only the YAML text is scanned, no tag in it is acted upon.
    problems : Problems
        What is wrong with the file is added here; nothing is raised.
    cache : HeaderCache, optional
        Remembers sound headers.
    """
    path = Path(path)

    def read() -> dict:
        with _open(path) as file:
            is_asdf = file.read(5) == b"#ASDF"
            file.seek(0)
            if is_asdf:
                return {"values": read_asdf_meta(file)}
            if path.suffix.lower() == ".asdf" and path.stat().st_size:
                raise HeaderError("not an ASDF file, though its name says so", "get the file again, or rename it")
            (primary, _), *_ = read_hdus(file, None)
        wanted = {key: value for key, value in primary.items() if key in _REFERENCE_KEYWORDS or key[:2] == "P_"}
        return {"values": wanted}

    entry = _cached(path, "reference keywords", read, problems, cache)
    return ReferenceHeader(path, entry["values"]) if entry is not None else None


def window_of(header: ExposureHeader) -> Window:
    """Return the detector pixels an exposure has.

    Raises
    ------
    ValueError, TypeError
        If SUBSTRT1 and SUBSTRT2 are no positions on a detector.
    """
    return detector_window(header.values, header.shape)


def _cached(
    path: Path,
    kind: str,
    read: Callable[[], dict],
    problems: Problems,
    cache: HeaderCache | None,
) -> dict | None:
    """Return what `read` returns, from the cache if the file is as it was; None and a problem if it fails."""
    try:
        return cache.remembered(path, kind, read) if cache else read()
    except HeaderError as error:
        wrong, right = error.wrong, error.right
    except FileNotFoundError:
        wrong, right = "no such file", "give an existing file"
    except (OSError, ValueError) as error:
        wrong, right = f"cannot be read ({getattr(error, 'strerror', None) or error})", "make it readable"
    problems.add(Problem(str(path), "", wrong, right))
    return None


def _open(path: Path) -> BinaryIO:
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise HeaderError("not a file", "give a FITS or ASDF file")
    return path.open("rb")
