"""The tiny scenes of the stored comparisons, and how their products are written down."""

import hashlib
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits

from calflow.science.dq_flags import FLAGS
from calflow.simulation import Scene

STORED = Path(__file__).parent / "stored"
_tiny = partial(Scene, detector_shape=(40, 48), stars=6, galaxies=3, cosmic_rays=5e-3, bad_pixels=2e-2)
SCENES = {
    "miri": _tiny("miri_f1130w", exposures=1, backgrounds=3, seed=11),
    "nircam": _tiny("nircam_f200w", exposures=1, seed=12),
    "niriss": _tiny("niriss_f200w", exposures=1, seed=13),
    "tso": _tiny("nircam_f200w", exposures=1, nints=2, tso=True, seed=14),
    "wfs": _tiny("nircam_f200w", exposures=1, visit_type="PRIME_WFSC_SENSING_CONTROL", seed=15),
}
# Of stage 3. On fewer pixels jwst would not find the 15 stars, 1 arcsec apart, that it wants to align exposures. Of
# 10,000 pixels the mode, the sky level, jumps by 1e-3 of the noise and more where a value moves to the next bin, as the
# 1e-7 by which PHOTMJSR differs let it with other seeds.
COMBINED = {
    "dithers": Scene(
        "miri_f1130w",
        detector_shape=(104, 112),
        exposures=3,
        stars=46,
        galaxies=4,
        star_snr=(60.0, 1000.0),
        cosmic_rays=2e-3,
        bad_pixels=1e-2,
        pointing_error=0.1,
        roll_error=0.002,
        sky=3.0,
        sky_scatter=0.1,
        seed=32,
    ),
}
# What operations decide by a parameter reference of the pipeline (contract: variants).
SKIPPED = {"tso": ["bkg_subtract", "resample"], "wfs": ["resample"]}
FLOAT_PLANES = ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT", "WHT", "AREA")
INTEGER_PLANES = ("DQ", "CON")


def digest(files: list[Path]) -> str:
    """Return a hash of the pixels of some files, to notice when the simulator makes others."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        with fits.open(file) as hdus:
            for hdu in hdus:
                if hdu.name in FLOAT_PLANES + INTEGER_PLANES and hdu.data is not None:
                    total.update(np.ascontiguousarray(hdu.data).tobytes())
    return total.hexdigest()


def describe(product: Path) -> dict[str, np.ndarray]:
    """
    Return all that is compared of a product.

    Parameters
    ----------
    product : Path
        A ``_bsub``, ``_cal``, ``_calints`` or ``_i2d`` file.

    Returns
    -------
    dict
        The planes by extension; ``fits_sky`` and, if there is one, ``gwcs_sky``: right ascension and declination
        (deg, shape (2, 49)) of a grid of pixels; ``keywords``: JSON text of the headers by extension.
    """
    with fits.open(product) as hdus:
        described = {hdu.name: np.array(hdu.data) for hdu in hdus if hdu.name in FLOAT_PLANES + INTEGER_PLANES}
        described |= _sky_positions(hdus)
        keywords = {
            hdu.name: {key: value for key, value in hdu.header.items() if key not in ("", "COMMENT", "HISTORY")}
            for hdu in hdus
            if hdu.name != "ASDF"
        }
    described["keywords"] = np.array(json.dumps(keywords, default=str))
    return described


def describe_combined(folder: Path, association: Path) -> dict[str, dict[str, np.ndarray]]:
    """
    Return all that is compared of the products of stage 3.

    Parameters
    ----------
    folder : Path
        With the products.
    association : Path
        What they were made from.

    Returns
    -------
    dict
        ``crf1``, ``crf2``, ... in the order of their names: ``outliers``, packed bits, of whose sky positions and
        keywords as in `describe`. ``i2d``: as there, but of the variances only every third pixel of every third row,
        and ``header_table``, JSON text of the columns. ``segm``: ``labels``, sky positions and keywords. ``cat``: the
        columns, of the positions on the sky ``ra`` and ``dec`` (deg).
    """
    exposures = sorted(folder.glob("*_crf.fits"))
    described = {f"crf{number}": _describe_flagged(path) for number, path in enumerate(exposures, start=1)}
    product = json.loads(association.read_text())["products"][0]["name"]
    described["i2d"] = _describe_image(folder / f"{product}_i2d.fits")
    described["segm"] = _describe_segments(folder / f"{product}_segm.fits")
    described["cat"] = _describe_catalog(folder / f"{product}_cat.ecsv")
    return described


def _describe_flagged(product: Path) -> dict[str, np.ndarray]:
    described = describe(product)
    outliers = np.packbits((described["DQ"] & FLAGS["OUTLIER"]) != 0)
    return {"outliers": outliers} | {name: described[name] for name in ("fits_sky", "gwcs_sky", "keywords")}


def _describe_image(product: Path) -> dict[str, np.ndarray]:
    described = describe(product)
    described |= {name: plane[::3, ::3] for name, plane in described.items() if name.startswith("VAR_")}
    with fits.open(product) as hdus:
        table = hdus["HDRTAB"].data
        columns = {name: table[name].tolist() for name in table.names}
    keywords = json.loads(str(described["keywords"]))
    del keywords["HDRTAB"]
    texts = {"keywords": keywords, "header_table": columns}
    return described | {name: np.array(json.dumps(tree)) for name, tree in texts.items()}


def _describe_segments(product: Path) -> dict[str, np.ndarray]:
    described = describe(product)
    described["labels"] = described.pop("SCI").astype(np.uint16)
    return described


def _describe_catalog(product: Path) -> dict[str, np.ndarray]:
    from astropy.table import QTable

    columns = {}
    for name, column in QTable.read(product).items():
        if hasattr(column, "ra"):
            prefix = name.removesuffix("sky_centroid")
            columns |= {f"{prefix}ra": column.ra.deg, f"{prefix}dec": column.dec.deg}
        else:
            columns[name] = np.asarray(getattr(column, "value", column))
    return columns


def _sky_positions(hdus: fits.HDUList) -> dict[str, np.ndarray]:
    import asdf
    from astropy.wcs import WCS

    ny, nx = hdus["SCI"].shape[-2:]
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, nx - 1, 7), np.linspace(0, ny - 1, 7)))
    positions = {"fits_sky": np.array(WCS(hdus["SCI"].header, naxis=2).all_pix2world(x, y, 0))}
    blob = io.BytesIO(hdus["ASDF"].data["ASDF_METADATA"][0].tobytes())
    with asdf.open(blob, ignore_missing_extensions=True) as tree:
        if "wcs" in tree["meta"]:
            positions["gwcs_sky"] = np.array(tree["meta"]["wcs"](x, y, with_bounding_box=False))
    return positions


def store(file: Path, inputs: str, products: dict[str, dict[str, np.ndarray]]) -> None:
    """
    Write the descriptions of a scene's products.

    Parameters
    ----------
    file : Path
        The ``.npz`` file.
    inputs : str
        Hash of the exposures and references they were made from.
    products : dict
        By suffix, for example ``cal``, what `describe` returns.
    """
    arrays = {f"{suffix}/{name}": array for suffix, product in products.items() for name, array in product.items()}
    np.savez_compressed(file, allow_pickle=False, inputs=np.array(inputs), **arrays)


def read_stored(file: Path) -> tuple[str, dict[str, dict[str, np.ndarray]]]:
    """Return the hash of the inputs and the descriptions by suffix, as `store` wrote them."""
    products: dict[str, dict[str, np.ndarray]] = {}
    with np.load(file) as arrays:
        for name in arrays.files:
            suffix, _, plane = name.partition("/")
            if plane:
                products.setdefault(suffix, {})[plane] = arrays[name]
        return str(arrays["inputs"]), products
