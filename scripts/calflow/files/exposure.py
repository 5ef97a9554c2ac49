"""Exposure files: FITS images with the planes SCI, ERR, DQ, VAR_* and a gwcs in an ASDF extension.

The layout is that of the JWST archive; ``stdatamodels`` and jwst open these files.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.files.asdf_files import wcs_from_bytes, wcs_to_bytes
from calflow.files.growing_files import Later, Section, growing
from calflow.files.version import VERSION
from calflow.files.writing import PLAIN, Writing, compress
from calflow.science.image import LARGEST, Image, discard_impossible
from calflow.whole_files import replacing

log = logging.getLogger(__name__)
# Extension name of each plane, in the order in which they are written.
PLANES = {
    "sci": "SCI",
    "err": "ERR",
    "dq": "DQ",
    "var_poisson": "VAR_POISSON",
    "var_rnoise": "VAR_RNOISE",
    "var_flat": "VAR_FLAT",
}
# What astropy says of a wrong checksum, with the name of the extension
WRONG_CHECKSUM = re.compile(r"(?:Checksum|Datasum) verification failed for HDU \('([^']*)', \d+\)")
# Values of DATAMODL that say no more than how many dimensions there are.
GENERAL_MODELS = ("ImageModel", "CubeModel")
# Cards about the array as it was stored, which go with those that astropy strips.
ABOUT_THE_ARRAY = ("BLANK", "CHECKSUM", "DATASUM")


@dataclass
class Exposure:
    """One exposure in memory.

    Attributes
    ----------
    image : Image
        The pixel planes.
    headers : dict of extension name to astropy Header
        ``PRIMARY``, ``SCI`` and those of the other planes, without structural cards.
    wcs : gwcs.WCS or None
        Pixel (0-based) to sky.
    area : float32 array (ny, nx) or None
        Relative pixel area.
    others : list of HDU
        Extensions that pass through unchanged, such as INT_TIMES; an ASDF extension only if there is no `wcs`.
    discarded : dict of plane to int
        How many values of the file, other than NaN, are none (`science.image`).
    damaged : tuple of str
        Extensions whose checksum is wrong.
    rest : int
        How many integrations of the file come after those that are here (`files.integrations`).
    """

    image: Image
    headers: dict[str, fits.Header]
    wcs: Any = None
    area: np.ndarray | None = None
    others: list = field(default_factory=list)
    discarded: dict[str, int] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    rest: int = 0

    @property
    def primary(self) -> fits.Header:
        """The primary header."""
        return self.headers["PRIMARY"]

    def other(self, name: str) -> Any:
        """Return an extension that passes through unchanged, or None.

        Parameters
        ----------
        name : str
            The name of the extension.
        """
        return next((hdu for hdu in self.others if hdu.name == name), None)

    @property
    def wrong_checksums(self) -> str:
        """Which checksums of the file are wrong, in words."""
        return f"of {', '.join(self.damaged)} is wrong: the file was damaged, or changed without renewing it"

    @property
    def without_value(self) -> str:
        """What of the file is no value, in words."""
        numbers = [f"{number} of {PLANES[name]}" for name, number in self.discarded.items()]
        return f"no value (infinite, above {LARGEST:g}, or an error or variance below 0): {', '.join(numbers)}"

    @property
    def science(self) -> fits.Header:
        """The header of the SCI extension."""
        return self.headers["SCI"]

    def keyword(self, name: str, default: Any = None) -> Any:
        """Return a keyword of the primary or, failing that, of the SCI header.

        Parameters
        ----------
        name : str
            The keyword.
        default : object
            What is returned if neither header has it.
        """
        return self.primary.get(name, self.science.get(name, default))


def read_exposure(
    path: Path, images: Sequence[str] = ("SCI",), with_wcs: bool = False, part: slice | None = None
) -> Exposure:
    """Read an exposure file.

    Parameters
    ----------
    path : Path
        A ``_rate``, ``_rateints``, ``_bsub``, ``_cal`` ... file.
    images : sequence of str
        Names that the extension with the pixels may have, PRIMARY among them; of those that are there the first
        counts.
    with_wcs : bool
        Also read the gwcs; it takes a second to import.
    part : slice or None
        Rows to read; None: all.

    Returns
    -------
    Exposure
        Float planes as native float32, DQ as uint32. ERR and DQ are 0 if the file has none. What is no value
        (`science.image`) is NaN and has DO_NOT_USE, as has an integer that is BLANK.

    Raises
    ------
    ValueError
        If the file has no such extension.
    """
    # A BLANK in DQ is no missing value: astropy would make the plane floating-point.
    with telling_checksums(path) as damaged, fits.open(path, memmap=False, ignore_blank=True, checksum=True) as hdus:
        exposure = exposure_of(hdus, images, with_wcs, part)
    exposure.damaged = tuple(damaged)
    return exposure


def exposure_of(
    hdus: fits.HDUList, images: Sequence[str], with_wcs: bool = False, part: slice | None = None
) -> Exposure:
    """Return the exposure in an open file, as `read_exposure` does, which opens it.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
        Opened with ``ignore_blank``.
    images : sequence of str
        Names that the extension with the pixels may have.
    with_wcs : bool
        Also read the gwcs.
    part : slice or None
        Integrations to read, or rows of an image without; None: all there is.
    """
    headers = {"PRIMARY": without_structure(hdus[0].header)}
    planes: dict[str, np.ndarray] = {}
    others, area, wcs = [], None, None
    image = image_extension(hdus, images)
    attribute = {extension: name for name, extension in PLANES.items()} | {image: "sci"}
    if image == "PRIMARY":
        planes["sci"] = _with_blanks(hdus[0], part)
        headers |= _parted(headers["PRIMARY"])
    for hdu in hdus[1:]:
        name = attribute.get(hdu.name)
        if name and name not in planes:  # of several versions the first counts
            if name == "sci":
                planes[name] = _with_blanks(hdu, part)
            else:
                planes[name] = _native(_pixels(hdu, part), PLANES[name])
            headers[PLANES[name]] = without_structure(hdu.header)
            del hdu.data  # astropy would keep it until the file is closed
        elif hdu.name == "AREA":
            area = _native(_pixels(hdu, part if hdus[image].header["NAXIS"] == 2 else None), "AREA")
            del hdu.data
        elif hdu.name == "ASDF" and with_wcs:
            wcs = wcs_from_bytes(hdu.data["ASDF_METADATA"][0].tobytes())
        else:
            _ = hdu.data  # read it while the file is open
            others.append(hdu)
    for name, dtype in (("err", np.float32), ("dq", np.uint32)):
        if name not in planes:
            planes[name] = np.zeros(planes["sci"].shape, dtype)
            headers[PLANES[name]] = fits.Header()
    pixels = Image(**planes)
    discarded = discard_impossible(pixels.float_planes(), pixels.dq)
    return Exposure(pixels, headers, wcs, area, others, discarded)


def _pixels(hdu: Any, part: slice | None) -> np.ndarray:
    return hdu.data if part is None else hdu.section[part]


def _with_blanks(hdu: Any, part: slice | None) -> np.ndarray:
    """Return the pixels of an image as float32; NaN where integers are BLANK, which astropy was told to leave."""
    blank = hdu.header.get("BLANK") if hdu.header["BITPIX"] > 0 else None
    missing = None if blank is None else blank * hdu.header.get("BSCALE", 1) + hdu.header.get("BZERO", 0)
    stored = _pixels(hdu, part)
    pixels = _native(stored, "SCI")
    if missing is not None:
        pixels[stored == missing] = np.nan
    return pixels


def _parted(primary: fits.Header) -> dict[str, fits.Header]:
    """Return the primary header of a file that has its pixels there as that of a product, and that of its SCI."""
    primary, science = primary.copy(), fits.Header()
    if "BUNIT" in primary:
        science.append(primary.cards["BUNIT"])
        del primary["BUNIT"]
    return {"PRIMARY": primary, "SCI": science}


@contextmanager
def telling_checksums(path: Path) -> Iterator[list[str]]:
    """Log in one line which checksums of a file are wrong, in place of what astropy warns of each.

    Parameters
    ----------
    path : Path
        Named in the log.

    Yields
    ------
    list of str
        The names of their extensions, complete when the block is done.
    """
    wrong: list[str] = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield wrong
    for warning in told:
        if found := WRONG_CHECKSUM.search(str(warning.message)):
            wrong += [found[1]] if found[1] not in wrong else []
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    log_damage(path, wrong)


def log_damage(path: Path, wrong: Sequence[str]) -> None:
    """Log which checksums of a file are wrong, if any is.

    Parameters
    ----------
    path : Path
    wrong : sequence of str
        The names of their extensions.
    """
    if wrong:
        log.warning("%s: wrong checksum of %s: damaged, or changed without renewing it", path, ", ".join(wrong))


def image_extension(hdus: fits.HDUList, images: Sequence[str]) -> str:
    """Return the name of the extension with the pixels: of those that it may have the first that is there.

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
    images : sequence of str
        Names that the extension may have, the preferred one first.

    Raises
    ------
    ValueError
        If none is there.
    """
    # The primary HDU is always there; it counts if it has pixels.
    found = next((name for name in images if name in hdus and (name != "PRIMARY" or hdus[0].header["NAXIS"])), None)
    if found is None:
        raise ValueError(f"{hdus.filename()}: has no extension {' or '.join(images)}")
    return found


def read_planes(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Return planes of an exposure by their extension names, as `read_exposure` does.

    Parameters
    ----------
    path : Path
    *names : str
        Names of extensions, such as ``SCI``.
    """
    with fits.open(path, memmap=False, ignore_blank=True) as hdus:
        planes = {name: _native(hdus[name].data, name) for name in names}
    attributes = {extension: name for name, extension in PLANES.items()}
    floats = {attributes[name]: plane for name, plane in planes.items() if name != "DQ"}
    discard_impossible(floats, planes.get("DQ"))
    return tuple(planes.values())


def _native(data: np.ndarray, extension: str) -> np.ndarray:
    """Return pixels that astropy has read as float32 or uint32; they may be in the memory of `data`, which is lost."""
    dtype = np.dtype(np.uint32 if extension == "DQ" else np.float32)
    if data.flags.writeable and data.dtype == dtype:
        return data
    if data.flags.writeable and data.dtype == dtype.newbyteorder():
        # New memory would cost as much as the swap itself: the kernel clears it.
        return data.byteswap(inplace=True).view(dtype)
    with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinite
        return np.array(data, dtype)


def read_wcs(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the gwcs of an exposure, and its keywords: of the primary and, failing that, of the SCI header.

    The shape of SCI, (ny, nx), is added as ``SHAPE``.

    Parameters
    ----------
    path : Path
    """
    with fits.open(path, memmap=True) as hdus:
        wcs = wcs_from_bytes(hdus["ASDF"].data["ASDF_METADATA"][0].tobytes())
        keywords = dict(hdus["SCI"].header) | dict(hdus[0].header)
        return wcs, keywords | {"SHAPE": hdus["SCI"].shape[-2:]}


def keyword(path: Path, name: str) -> Any:
    """Return one keyword of the SCI header of a file, or None.

    Parameters
    ----------
    path : Path
    name : str
        The keyword.
    """
    with fits.open(path, memmap=True) as hdus:
        return hdus["SCI"].header.get(name)


def write_exposure(exposure: Exposure, path: Path, writing: Writing = PLAIN) -> None:
    """Write an exposure file, complete or not at all.

    FILENAME, CAL_VER and CAL_VCS are set, and DATAMODL unless it is a model of one instrument. DATE is the
    clock's only if `writing` says so; otherwise the same exposure gives the same bytes.

    Parameters
    ----------
    exposure : Exposure
    path : Path
    writing : Writing
    """
    with writing_exposure(path, writing) as write:
        write(exposure)


@contextmanager
def writing_exposure(path: Path, writing: Writing = PLAIN) -> Iterator[Callable[[Exposure], None]]:
    """Yield a function that writes an exposure file as `write_exposure` does, block of integrations after block.

    Parameters
    ----------
    path : Path
    writing : Writing

    Yields
    ------
    callable
        Takes the blocks in their order (`files.integrations.read_by_integrations`). The first has all but pixels.
    """
    with ExitStack() as stack:
        sections: dict[str, Section] = {}
        written = 0

        def write(block: Exposure) -> None:
            nonlocal sections, written
            planes = {PLANES[name]: plane for name, plane in block.image.planes().items()}
            if not written and not block.rest:
                write_product(path, **_all_but_pixels(block, planes), writing=writing)
            elif not written:
                depth = len(block.image.sci) + block.rest
                later = {name: Later((depth, *plane.shape[1:]), plane.dtype) for name, plane in planes.items()}
                product = growing_product(path, **_all_but_pixels(block, later), writing=writing)
                sections = stack.enter_context(product)
            for name, section in sections.items():
                section.write(planes[name], written)
            written += len(block.image.sci)

        yield write


def _all_but_pixels(exposure: Exposure, planes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `write_product` takes to write an exposure with these planes."""
    primary = exposure.primary.copy()
    if primary.get("DATAMODL", "ImageModel") in GENERAL_MODELS:
        model = "CubeModel" if exposure.image.sci.ndim == 3 else "ImageModel"
        primary.set("DATAMODL", model, "Type of data model")
    if exposure.area is not None:
        names = list(planes)
        after = names.index("DQ") + 1
        planes = {n: planes[n] for n in names[:after]} | {"AREA": exposure.area} | {n: planes[n] for n in names[after:]}
    others = [hdu for hdu in exposure.others if exposure.wcs is None or hdu.name != "ASDF"]
    return {
        "primary": primary,
        "planes": planes,
        "headers": exposure.headers,
        "others": others,
        "wcs": exposure.wcs,
    }


def write_product(
    path: Path,
    primary: fits.Header,
    planes: Mapping[str, np.ndarray],
    headers: Mapping[str, fits.Header] | None = None,
    others: Sequence = (),
    wcs: Any = None,
    writing: Writing = PLAIN,
) -> None:
    """Write a FITS product, complete or not at all.

    Parameters
    ----------
    path : Path
    primary : astropy Header
        FILENAME, CAL_VER, CAL_VCS are set, and DATE if `writing` says so.
    planes : mapping of extension name to array
        In the order of the file.
    headers : mapping of extension name to astropy Header
        Of those planes that have keywords.
    others : sequence of HDU
        Written after the planes.
    wcs : gwcs.WCS, bytes or None
        Written as the ASDF extension, the last; bytes are an ASDF file as it is.
    writing : Writing
    """
    later = {name: Later(plane.shape, plane.dtype) for name, plane in planes.items()}
    with growing_product(path, primary, later, headers, others, wcs, writing) as sections:
        for name, section in sections.items():
            section.write(planes[name])


@contextmanager
def growing_product(
    path: Path,
    primary: fits.Header,
    planes: Mapping[str, np.ndarray | Later],
    headers: Mapping[str, fits.Header] | None = None,
    others: Sequence = (),
    wcs: Any = None,
    writing: Writing = PLAIN,
) -> Iterator[dict[str, Section]]:
    """Write a FITS product as `write_product` does, some of its planes part by part.

    Parameters
    ----------
    path, primary, headers, others, wcs, writing
        As of `write_product`.
    planes : mapping of extension name to array or Later

    Yields
    ------
    dict of extension name to Section
        The planes that come later. The file is in its place when the block is left, complete or not at all.
    """
    later = {name: plane for name, plane in planes.items() if isinstance(plane, Later)}
    first = {name: plane.stand_in() if isinstance(plane, Later) else plane for name, plane in planes.items()}
    hdus = _hdus(path, primary, first, headers or {}, others, wcs, writing)
    with replacing(path) as partial:
        with growing(partial, hdus, later) as sections:
            yield sections
        compress(partial, writing.compress)


def _hdus(path, primary, planes, headers, others, wcs, writing) -> list:
    primary = primary.copy()
    primary.set("FILENAME", path.name, "Name of the file")
    _sign(primary, writing)
    hdus = [fits.PrimaryHDU(header=primary)]
    for name, plane in planes.items():
        hdu = fits.ImageHDU(plane, header=headers.get(name), name=name)
        hdu.header.set("EXTVER", 1, "extension value")
        hdus.append(hdu)
    hdus += others
    if wcs is not None:
        hdus.append(_wcs_hdu(wcs))
    return hdus


def _sign(primary: fits.Header, writing: Writing) -> None:
    """Name calflow and its version in a primary header; write the time only on request."""
    primary.set("CAL_VER", f"calflow {VERSION}", "Calibration Software Version")
    primary.set("CAL_VCS", f"calflow v{VERSION}", "Calibration Software Repository Version")
    if writing.date:
        primary.set("DATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3], "UTC date file created")


def _wcs_hdu(wcs: Any) -> fits.BinTableHDU:
    """Return the ASDF extension."""
    data = np.frombuffer(wcs if isinstance(wcs, bytes) else wcs_to_bytes(wcs), np.uint8)
    column = fits.Column(name="ASDF_METADATA", format=f"{data.size}B", array=data[np.newaxis])
    return fits.BinTableHDU.from_columns([column], name="ASDF")


def without_structure(header: fits.Header) -> fits.Header:
    """Return a copy of a header without the cards that describe how the array is stored.

    Parameters
    ----------
    header : astropy Header
        It is not changed.
    """
    header = header.copy(strip=True)
    for keyword in ABOUT_THE_ARRAY:
        header.remove(keyword, ignore_missing=True)
    return header
