"""The reference files that belong to a simulated scene, in the formats of CRDS."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from calflow.files.asdf_files import tree_to_bytes
from calflow.science.windows import Window
from calflow.simulation.detector import BAR_TRANSMISSION, Detector, reference_pixels
from calflow.simulation.geometry import Optics
from calflow.simulation.instruments import Instrument
from calflow.simulation.photometry import TIME_TABLES
from calflow.simulation.rendering import PIXEL_VARIANCE, psf_sigmas
from calflow.simulation.scene import DETECTOR_STREAM, Scene

DATE = "2023-01-15T00:00:00"
USEAFTER = "2022-01-01T00:00:00"
# Exposure types that the references of an instrument are good for.
EXPOSURE_TYPES = {
    "MIRI": "MIR_IMAGE|MIR_TACQ|MIR_TACONFIRM|MIR_LYOT|MIR_4QPM|MIR_CORONCAL|",
    "NIRCAM": "NRC_IMAGE|NRC_TACQ|NRC_TACONFIRM|NRC_CORON|NRC_FOCUS|NRC_TSIMAGE|",
    "NIRISS": "NIS_IMAGE|NIS_AMI|NIS_TACQ|NIS_TACONFIRM|NIS_FOCUS|",
    "FGS": "FGS_IMAGE|FGS_FOCUS|",
}
PHOTOM_MODELS = {"MIRI": "MirImg", "NIRCAM": "NrcImg", "NIRISS": "NisImg", "FGS": "FgsImg"}
# The flat's DQ plane has its own bits, in another order than the standard table: value, name, meaning.
FLAT_FLAGS = (
    (1, "UNRELIABLE_FLAT", "Flat variance large"),
    (2, "NO_FLAT_FIELD", "Flat field cannot be measured"),
    (4, "NON_SCIENCE", "Pixel not on the lit part of the detector"),
    (8, "DO_NOT_USE", "Bad pixel not to be used"),
)
# Types whose files do not tell detectors apart.
COMMON_TYPES = ("filteroffset", "apcorr", "abvegaoffset")
# Pixel-wide boxes that broaden a star once more when it is measured in a combined image: the drop that is drizzled, the
# output pixel, and the pixel cut by the edge of the aperture.
BOXES_OF_COMBINATION = 3
# Relative error of the flat in one pixel.
FLAT_ERROR = 0.002
ENCIRCLED_ENERGIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def write_references(directory: Path, scene: Scene, detector: Detector) -> dict[str, Path]:
    """Write all reference files of a detector into `directory`.

    Parameters
    ----------
    directory : Path
        It must be there.
    scene : Scene
        What is simulated.
    detector : Detector
        Of the exposure.

    Returns
    -------
    dict of str to Path
        The file of each reference type: distortion, filteroffset, flat, photom, area, apcorr, abvegaoffset.
        Those that are the same for all detectors are written with the first one.
    """
    instrument = detector.instrument
    writers = {
        "distortion": lambda path: _write_asdf(path, instrument, "distortion", distortion_tree(instrument)),
        "filteroffset": lambda path: _write_asdf(path, instrument, "filteroffset", _filter_offsets(instrument)),
        "flat": lambda path: _write_flat(path, scene, detector),
        "photom": lambda path: _write_photom(path, instrument),
        "area": lambda path: _write_area(path, instrument),
        "apcorr": lambda path: _write_apcorr(path, instrument, scene.drizzled_apcorr),
        "abvegaoffset": lambda path: _write_asdf(path, instrument, "abvegaoffset", _vega_offsets(instrument)),
    }
    paths = {}
    for reftype, write in writers.items():
        if detector.number and reftype in COMMON_TYPES:
            continue
        extension = "asdf" if reftype in ("distortion", "filteroffset", "abvegaoffset") else "fits"
        name = f"jwst_{instrument.instrument.lower()}_{reftype}_{detector.number + 1:04d}"
        paths[reftype] = directory / f"{name}.{extension}"
        write(paths[reftype])
    return paths


def distortion_tree(instrument: Instrument) -> dict:
    """Return the distortion model, full-frame 0-based pixels to (V2, V3) in arcsec, without filter offset.

    Its `inverse` is a polynomial of the same degree, fitted, and therefore only good to a
    fraction of a pixel, as in the real reference files.

    Parameters
    ----------
    instrument : Instrument
        With its telescope and filter.
    """
    from astropy.modeling.models import Mapping, Polynomial2D, Shift

    optics = Optics(instrument)
    degree = instrument.distortion_degree
    x0, y0 = instrument.x_reference - 1, instrument.y_reference - 1

    def two_polynomials(n, first, second):
        return Mapping((0, 1, 0, 1)) | Polynomial2D(n, **first) & Polynomial2D(n, **second)

    def linear(matrix):
        return two_polynomials(1, *({"c0_0": 0.0, "c1_0": row[0], "c0_1": row[1]} for row in matrix.tolist()))

    to_ideal = two_polynomials(degree, *map(_named, (optics.x_coefficients, optics.y_coefficients)))
    from_ideal = two_polynomials(degree, *map(_named, _inverse_coefficients(optics)))
    to_v2v3 = linear(optics.rotation) | Shift(instrument.v2_ref) & Shift(instrument.v3_ref)
    from_v2v3 = Shift(-instrument.v2_ref) & Shift(-instrument.v3_ref) | linear(np.linalg.inv(optics.rotation))
    model = Shift(-x0) & Shift(-y0) | to_ideal | to_v2v3
    model.inverse = from_v2v3 | from_ideal | Shift(x0) & Shift(y0)
    return {"model": model}


def flag_definitions(flags: Sequence[tuple[int, str, str]]) -> fits.BinTableHDU:
    """Return the DQ_DEF table of a reference file that has its own bits: value, name, meaning.

    Parameters
    ----------
    flags : sequence of (int, str, str)
        Value, name and meaning of each bit.
    """
    columns = [
        fits.Column("BIT", "J", array=np.array([value.bit_length() - 1 for value, _, _ in flags], np.int32)),
        fits.Column("VALUE", "J", bzero=2**31, array=np.array([value for value, _, _ in flags], np.uint32)),
        fits.Column("NAME", "40A", array=[name for _, name, _ in flags]),
        fits.Column("DESCRIPTION", "80A", array=[meaning for _, _, meaning in flags]),
    ]
    return fits.BinTableHDU.from_columns(columns, name="DQ_DEF")


def write_fits(path: Path, header: Mapping[str, str | int | float], *extensions: fits.ImageHDU | fits.BinTableHDU):
    """Write a reference file of a primary header and some extensions.

    Parameters
    ----------
    path : Path
        Of the new file.
    header : mapping of str to str or int or float
        Keywords of the primary header.
    *extensions : fits.ImageHDU or fits.BinTableHDU
        In their order.
    """
    primary = fits.PrimaryHDU(header=fits.Header(list(header.items())))
    for extension in extensions:
        extension.ver = 1
    fits.HDUList([primary, *extensions]).writeto(path, overwrite=True)


def _named(coefficients: np.ndarray) -> dict[str, float]:
    degree = len(coefficients) - 1
    return {
        f"c{i}_{j}": float(coefficients[i, j]) for i in range(degree + 1) for j in range(degree + 1) if i + j <= degree
    }


def _inverse_coefficients(optics: Optics) -> list[np.ndarray]:
    """Fit the pixel distances as polynomials of the ideal coordinates, on a grid over the full frame."""
    from numpy.polynomial import polynomial

    instrument = optics.instrument
    ny, nx = instrument.shape
    y, x = np.meshgrid(np.linspace(0, ny - 1, 40), np.linspace(0, nx - 1, 40), indexing="ij")
    dx, dy = (x - instrument.x_reference + 1).ravel(), (y - instrument.y_reference + 1).ravel()
    ideal_x = polynomial.polyval2d(dx, dy, optics.x_coefficients)
    ideal_y = polynomial.polyval2d(dx, dy, optics.y_coefficients)
    scale = max(np.abs(ideal_x).max(), np.abs(ideal_y).max())
    degree = instrument.distortion_degree
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    basis = np.stack([(ideal_x / scale) ** i * (ideal_y / scale) ** j for i, j in powers], axis=1)
    fitted = []
    for distance in (dx, dy):
        solution = np.linalg.lstsq(basis, distance, rcond=None)[0]
        coefficients = np.zeros((degree + 1, degree + 1))
        for (i, j), value in zip(powers, solution, strict=True):
            coefficients[i, j] = value / scale ** (i + j)
        fitted.append(coefficients)
    return fitted


def _filter_offsets(instrument: Instrument) -> dict:
    """Return the filter's entry, behind one of another filter; without filters the other one alone."""
    column, row = instrument.filter_offset
    other = {"filter": "F999X", "column_offset": 7.0, "row_offset": -7.0}
    own = {"filter": instrument.filter, "column_offset": column, "row_offset": row}
    if instrument.pupil:
        other["pupil"], own["pupil"] = instrument.pupil, instrument.pupil
    return {"filters": [other, own] if instrument.filter else [other]}


def _vega_offsets(instrument: Instrument) -> dict:
    from astropy.table import Table

    if instrument.instrument == "FGS":
        keys = {"detector": ["GUIDER1", "GUIDER2"]}
    else:
        keys = {"filter": [instrument.filter, "F999X"]}
        if instrument.pupil:
            keys["pupil"] = [instrument.pupil, instrument.pupil]
    return {"abvega_offset": Table({**keys, "abvega_offset": [instrument.abvega_offset, 9.0]})}


def _write_asdf(path: Path, instrument: Instrument, reftype: str, tree: dict) -> None:
    models = {
        "distortion": "DistortionModel",
        "filteroffset": "FilteroffsetModel",
        "abvegaoffset": "ABVegaOffsetModel",
    }
    own = {
        "name": instrument.instrument,
        "detector": instrument.detector,
        "filter": instrument.filter,
        "pupil": instrument.pupil,
        "channel": instrument.channel,
        "module": instrument.module,
    }
    meta = {
        "reftype": reftype,
        "description": f"Simulated {reftype}",
        "author": "calflow simulation",
        "pedigree": "DUMMY",
        "useafter": USEAFTER,
        "date": DATE,
        "filename": path.name,
        "model_type": models[reftype],
        "telescope": "JWST",
        "instrument": {key: value for key, value in own.items() if value},
        "exposure": {"type": instrument.exp_type, "p_exptype": EXPOSURE_TYPES[instrument.instrument]},
    }
    if reftype == "distortion":
        meta |= {"input_units": "pixel", "output_units": "arcsec"}
    path.write_bytes(tree_to_bytes({"meta": meta, **tree}))


def _write_flat(path: Path, scene: Scene, detector: Detector) -> None:
    """Write the flat: the response as far as it is known, with its error, and pixels that are NaN, zero or flagged."""
    instrument = detector.instrument
    random = scene.random(DETECTOR_STREAM, 2 * detector.number + 1)
    bits = {name: np.uint8(value) for value, name, _ in FLAT_FLAGS}
    flat = detector.known_response * (1 + FLAT_ERROR * random.standard_normal(instrument.shape, dtype=np.float32))
    flat[detector.unlit] /= BAR_TRANSMISSION
    err = np.full(instrument.shape, FLAT_ERROR, np.float32) * np.abs(flat)
    dq = np.zeros(instrument.shape, np.uint8)
    dq[detector.unlit] = bits["NON_SCIENCE"] | bits["DO_NOT_USE"]
    border = reference_pixels(instrument)
    flat[border], err[border], dq[border] = 1.0, 0.0, bits["NON_SCIENCE"]

    science = np.flatnonzero(~border & ~detector.unlit)
    odd = random.choice(science, size=max(5, science.size // 5000), replace=False)
    unreliable, no_flat, nan, zero, bad = np.array_split(odd, 5)
    dq.flat[unreliable] |= bits["UNRELIABLE_FLAT"]
    dq.flat[no_flat] |= bits["NO_FLAT_FIELD"]
    dq.flat[bad] |= bits["DO_NOT_USE"]
    flat.flat[nan], err.flat[nan], flat.flat[zero] = np.nan, np.nan, 0.0

    frame = scene.full_frame
    window = scene.window if scene.crop_flat and scene.window is not None else frame
    cut = frame.slices(window)
    header = _header(path, instrument, "flat", "FlatModel", ("filter", "pupil"))
    header["SUBARRAY"] = "GENERIC" if window == frame else scene.subarray or instrument.subarray
    header |= {
        "SUBSTRT1": window.xstart,
        "SUBSTRT2": window.ystart,
        "SUBSIZE1": window.nx,
        "SUBSIZE2": window.ny,
    }
    header |= {"FASTAXIS": 1, "SLOWAXIS": 2}
    if instrument.instrument == "MIRI":
        header |= {"READPATT": "ANY", "BAND": "N/A"}
    write_fits(
        path,
        header,
        fits.ImageHDU(flat[cut], name="SCI"),
        fits.ImageHDU(err[cut], name="ERR"),
        fits.ImageHDU(dq[cut], name="DQ"),
        flag_definitions(FLAT_FLAGS),
    )


def _write_photom(path: Path, instrument: Instrument) -> None:
    selectors = _photom_selectors(instrument)
    # The first two rows are the instrument's own, the others would give a plainly wrong brightness.
    right = [True, True, False, False] if instrument.instrument == "MIRI" else [True, False, False]
    right = right if selectors else [True]
    values = [instrument.photmjsr if own else 3.7 * instrument.photmjsr for own in right]
    rows = [
        fits.Column("photmjsr", "E", array=np.array(values, np.float32)),
        fits.Column("uncertainty", "E", array=0.02 * np.array(values, np.float32)),
    ]
    kind = instrument.time_dependence
    # The linear table of NIRISS has no selector columns: its rows belong to those of PHOTOM by order.
    own_selectors = [] if kind == "linear" and instrument.instrument == "NIRISS" else selectors
    coefficients = [
        fits.Column(name, "E", array=np.full(len(values), value, np.float32))
        for name, value in TIME_TABLES[kind].items()
    ]
    header = _header(path, instrument, "photom", f"{PHOTOM_MODELS[instrument.instrument]}PhotomModel", ())
    write_fits(
        path,
        header | _pixel_area(instrument),
        fits.BinTableHDU.from_columns([*selectors, *rows], name="PHOTOM"),
        fits.BinTableHDU.from_columns([*own_selectors, *coefficients], name=f"TIMECOEFF_{kind.upper()}"),
    )


def _photom_selectors(instrument: Instrument) -> list[fits.Column]:
    """Return the columns that select a row: the right rows first, then rows of another element."""
    if instrument.instrument == "MIRI":
        names = {
            "filter": ("12A", [instrument.filter, instrument.filter, instrument.filter, "F560W"]),
            "subarray": ("17A", ["FULL", "GENERIC", "BRIGHTSKY", "FULL"]),
        }
    elif instrument.filter:
        other = ("F150W", "CLEAR") if instrument.instrument == "NIRCAM" else ("CLEAR", "F150W")
        names = {
            "filter": ("12A", [instrument.filter, other[0], "F999X"]),
            "pupil": ("12A", [instrument.pupil, other[1], instrument.pupil]),
        }
    else:
        names = {}
    return [fits.Column(name, fmt, array=values) for name, (fmt, values) in names.items()]


def _write_area(path: Path, instrument: Instrument) -> None:
    area = Optics(instrument).relative_area(Window(1, 1, instrument.shape[1], instrument.shape[0])).astype(np.float32)
    header = _header(path, instrument, "area", "PixelAreaModel", ("filter", "pupil")) | _pixel_area(instrument)
    write_fits(path, header, fits.ImageHDU(area, name="SCI"))


def _write_apcorr(path: Path, instrument: Instrument, drizzled: bool) -> None:
    """Write aperture radii and corrections of the simulated point spread function."""
    boxes = 1 + (BOXES_OF_COMBINATION if drizzled else 0)
    radii = np.linspace(0, 40 * instrument.fwhm, 40001)
    energy = sum(
        part * (1 - np.exp(-(radii**2) / (2 * (sigma**2 + boxes * PIXEL_VARIANCE))))
        for part, sigma in psf_sigmas(instrument)
    )
    rows = {
        "eefraction": np.array(ENCIRCLED_ENERGIES),
        "radius": np.interp(ENCIRCLED_ENERGIES, energy, radii),
        "apcorr": 1 / np.array(ENCIRCLED_ENERGIES),
        "skyin": np.full(len(ENCIRCLED_ENERGIES), 6 * instrument.fwhm),
        "skyout": np.full(len(ENCIRCLED_ENERGIES), 8 * instrument.fwhm),
    }
    selectors = {"filter": ("12A", [instrument.filter])}
    if instrument.instrument == "MIRI":
        selectors["subarray"] = ("17A", ["FULL", instrument.subarray])
    elif instrument.pupil:
        selectors["pupil"] = ("15A", [instrument.pupil])
    if not instrument.filter:
        selectors = {}
    repeat = max([len(values) for _, values in selectors.values()], default=1)
    columns = [
        fits.Column(name, fmt, array=np.repeat(np.resize(values, repeat), len(ENCIRCLED_ENERGIES)))
        for name, (fmt, values) in selectors.items()
    ]
    columns += [
        fits.Column(name, "E", array=np.tile(values, repeat).astype(np.float32)) for name, values in rows.items()
    ]
    header = _header(path, instrument, "apcorr", f"{PHOTOM_MODELS[instrument.instrument]}ApcorrModel", ())
    write_fits(path, header, fits.BinTableHDU.from_columns(columns, name="APCORR"))


def _pixel_area(instrument: Instrument) -> dict[str, float]:
    return {"PIXAR_SR": instrument.pixel_area_sr, "PIXAR_A2": instrument.pixel_area_arcsec2}


def _header(path: Path, instrument: Instrument, reftype: str, model: str, elements: tuple[str, ...]) -> dict:
    header = {
        "DATE": DATE,
        "FILENAME": path.name,
        "DATAMODL": model,
        "TELESCOP": "JWST",
        "REFTYPE": reftype,
        "PEDIGREE": "DUMMY",
        "DESCRIP": f"Simulated {reftype}",
        "AUTHOR": "calflow simulation",
        "USEAFTER": USEAFTER,
        "INSTRUME": instrument.instrument,
        "DETECTOR": instrument.detector,
        "EXP_TYPE": instrument.exp_type,
        "P_EXP_TY": EXPOSURE_TYPES[instrument.instrument],
    }
    for element in elements:
        if getattr(instrument, element):
            header[element.upper()] = getattr(instrument, element)
    return header
