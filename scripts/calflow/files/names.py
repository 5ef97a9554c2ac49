"""How products are named: the suffix of a file says what it is, the rest says of which exposure."""

import re
from pathlib import PurePath

EXPOSURE_SUFFIXES = [
    "uncal",
    "ramp",
    "rate",
    "rateints",
    "bsub",
    "bsubints",
    "cal",
    "calints",
    "crf",
    "crfints",
    "i2d",
    "s2d",
    "s3d",
    "x1d",
    "x1dints",
    "c1d",
    "cat",
]

# Suffixes that are taken off a name before another one is put on. Those of spectroscopy and of single
# steps are here because a product name may carry them; `segm`, `combinedbackground`, `outlier_i2d` and
# `mask` are not, as in jwst.
_STEP_SUFFIXES = [
    "dark",
    "median",
    "blot",
    "snr",
    "wfscmb",
    "whtlt",
    "phot",
    "hlsp",
    "psfstack",
    "psfalign",
    "psfsub",
    "ami",
    "aminorm",
    "guider_cds",
    "engdblog",
    "tweakreg",
    "skymatch",
    "resample",
    "outlier_detection",
    "source_catalog",
    "assign_wcs",
    "assign_mtwcs",
    "flat_field",
    "photom",
    "bkg_subtract",
    "master_background",
    "imprint",
    "dark_current",
    "dq_init",
    "saturation",
    "ipc",
    "superbias",
    "refpix",
    "reset",
    "rscd",
    "firstframe",
    "lastframe",
    "linearity",
    "persistence",
    "jump",
    "ramp_fit",
    "gain_scale",
    "group_scale",
    "emicorr",
    "clean_flicker_noise",
    "srctype",
    "extract_1d",
    "extract_2d",
    "combine_1d",
    "pathloss",
    "straylight",
    "fringe",
    "cube_build",
    "align_refs",
    "klip",
    "ami_analyze",
    "ami_normalize",
    "white_light",
    "targ_centroid",
    "assignwcsstep",
    "backgroundstep",
    "flatfieldstep",
    "photomstep",
    "resamplestep",
    "tweakregstep",
    "skymatchstep",
    "outlierdetectionstep",
    "sourcecatalogstep",
    "detector1pipeline",
    "image2pipeline",
    "image3pipeline",
    "spec2pipeline",
]
KNOWN_SUFFIXES = frozenset(EXPOSURE_SUFFIXES + _STEP_SUFFIXES)

_TRAILING_SUFFIX = re.compile(
    r"(?P<root>.+)(?P<separator>[_-])(?:" + "|".join(sorted(KNOWN_SUFFIXES, key=len, reverse=True)) + ")",
    re.DOTALL,
)
_EXPOSURE_FILE = re.compile(
    r".+[_-](?P<suffix>" + "|".join(sorted(EXPOSURE_SUFFIXES, key=len, reverse=True)) + r")\.\w+(\.gz)?",
    re.DOTALL,
)

PACKED = ".gz"
MAX_NAME_BYTES = 200  # file systems end at 255 bytes; suffix, extension and a temporary name come on top
# Snakemake takes a path that ends so for an endless recursion and stops.
_PERIODIC = re.compile(r"(?P<value>.+)(?P=value){19,}$")
_ALLOWED_PUNCTUATION = frozenset("._+-@=, ")
# ASCII alone: the name is written into FITS headers, which hold nothing else.
_ALLOWED_TEXT = "ASCII letters, digits, inner spaces and . _ + - @ = , are allowed"


def product_root(name: str) -> str:
    """Return a product's name without folder, extension and one trailing known suffix.

    Parameters
    ----------
    name : str
        Product name of an association, or the name of an exposure's file.

    Examples
    --------
    >>> product_root("data/jw01234001001_02101_00001_nrca1_rate.fits")
    'jw01234001001_02101_00001_nrca1'
    """
    stem = PurePath(unpacked_name(name)).stem
    match = _TRAILING_SUFFIX.fullmatch(stem)
    return match["root"] if match else stem


def unpacked_name(name: str) -> str:
    """Return the name of an exposure without the ``.gz`` of a packed one.

    Parameters
    ----------
    name : str
        Of a file, with its folder or without.

    Examples
    --------
    >>> unpacked_name("data/jw01234001001_02101_00001_nrca1_rate.fits.gz")
    'data/jw01234001001_02101_00001_nrca1_rate.fits'
    """
    return name[: -len(PACKED)] if name.endswith(f".fits{PACKED}") else name


def other_packing(name: str) -> str:
    """Return the name that an exposure has packed, if this is the one unpacked, and the other way round.

    Parameters
    ----------
    name : str
        Of a file, with its folder or without. What is no FITS file is returned as it is.
    """
    return f"{name}{PACKED}" if name.endswith(".fits") else unpacked_name(name)


def product_name(root: str, suffix: str, *components: str | None, extension: str = "fits") -> str:
    """Return the file name of a product: root, components, suffix, joined by underscores.

    Parameters
    ----------
    root : str
        As `product_root` returns it; it is used as it is.
    suffix : str
        What the product is: ``cal``, ``i2d``...
    components : str or None
        Put between root and suffix, such as the association id in ``<root>_o001_crf.fits``.
        None and empty ones are left out.
    extension : str
        Without the dot.
    """
    parts = [root, *(component for component in components if component), suffix]
    return "_".join(parts) + "." + extension


def exposure_suffix(name: str) -> str | None:
    """Return the suffix that says what kind of exposure a file is (``rate``, ``calints``...), or None.

    Parameters
    ----------
    name : str
        The name of a file.
    """
    match = _EXPOSURE_FILE.fullmatch(PurePath(name).name)
    return match["suffix"] if match else None


def check_product_name(name: str) -> str | None:
    """Return what is wrong with a product name, with what would be right, or None if nothing is.

    A product name becomes part of the paths that are written. It is data from a file, so everything that
    could lead out of the output folder, or mean something to a shell, a pattern or Snakemake, is refused.

    Parameters
    ----------
    name : str
        As an association gives it.
    """
    if not name.strip():
        return "the name is empty; give it at least one letter or digit"
    if "/" in name or "\\" in name:
        return f"the name {name!r} holds a path separator; give the name alone, products go to the output folder"
    if ".." in name:
        return f"the name {name!r} holds '..'; use single dots"
    if name != name.strip():
        return f"the name {name!r} begins or ends with a blank; remove it"
    if name[0] in "-.":
        return f"the name {name!r} begins with {name[0]!r}; begin with a letter or a digit"
    bad = sorted({character for character in name if not _allowed(character)})
    if bad:
        return f"the name {name!r} holds {', '.join(map(_spell, bad))}; {_ALLOWED_TEXT}"
    size = len(name.encode())
    if size > MAX_NAME_BYTES:
        return f"the name {name[:40]!r}... is {size} bytes long; at most {MAX_NAME_BYTES} are possible"
    if _PERIODIC.search(name):
        return f"the name {name[:40]!r}... ends in one pattern many times over; give a name with less repetition"
    if not any(character.isalnum() for character in name):
        return f"the name {name!r} holds no letter or digit; give it one"
    return None


def _allowed(character: str) -> bool:
    return character in _ALLOWED_PUNCTUATION or (character.isascii() and character.isalnum())


def _spell(character: str) -> str:
    """Return the character as a reader can see it, also when it is invisible."""
    if character.isprintable() and not character.isspace():
        return f"'{character}'"
    return f"U+{ord(character):04X}"
