"""What the jobs import."""

import importlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

from calflow.calibration.work import WORK

Library = str | Callable[[], None]

# The scripts that what is loaded is for. One that is missing here loads it itself.
STAGE2 = {"combine_background", "subtract_background", "calibrate"}
AGAIN = {"flag_outliers"}  # most of what any job of stage 3 loads
STARS = {"find_stars", "catalog_sources"}
DRIZZLING = {"resample_exposure", "resample_group", "combine", "combine_piece"}
STAGE3 = {
    "align",
    "find_overlaps",
    "measure_sky",
    "match_sky",
    "lay_grid",
    "take_median",
    "flag_outliers",
    "count_outliers",
    "combine",
    "combine_piece",
}
WITH_WCS = {"calibrate", "describe_geometry", "merge_subarrays", "flag_outliers", *DRIZZLING}
RULES = STAGE2 | STARS | STAGE3 | WITH_WCS


def libraries(scripts: Collection[str], pixels: int) -> list[Library]:
    """
    Return modules, and functions for what takes more than an import, in the order in which a run needs them.

    Before each rule script stands what it needs. A job that needs a new process waits for that, and for the one that is
    being loaded: 0.7 s at the most, but for the fast kernel of the drizzling when it is compiled, some seconds once per
    machine.

    Parameters
    ----------
    scripts : collection of str
        Those that the run needs, such as ``calibrate``.
    pixels : int
        How many the run resamples: below some number the kernel is not worth its start.
    """
    groups: list[tuple[Collection[str], Sequence[Library]]] = [
        (scripts, "snakemake.io snakemake.iocontainers snakemake.logging numpy astropy.io.fits astropy.stats".split()),
        (STAGE2, ["combine_background"]),
        (WITH_WCS, [_start_asdf, "gwcs.fitswcs"]),
        (["describe_geometry"], ["describe_geometry"]),
        (STAGE2, [*dict.fromkeys(function.partition(":")[0] for function in WORK.values()), "calibrate"]),
        (STARS, [_start_photutils, "photutils.detection", "photutils.background", "find_stars"]),
        (STAGE3, ["astropy.io.misc.yaml", "astropy.table"]),
        (["align"], "tweakwcs.linearfit tweakwcs.matchutils tweakwcs.correctors align".split()),
        (STAGE3, "scipy.interpolate find_overlaps measure_sky lay_grid match_sky".split()),
        (DRIZZLING, [partial(_start_drizzle, pixels), "drizzle.resample", "resample_exposure", "resample_group"]),
        (STAGE3, "take_median flag_outliers count_outliers combine".split()),
        (["catalog_sources"], "astropy.convolution skimage.segmentation catalog_sources".split()),
    ]
    return [library for users, group in groups if not set(scripts).isdisjoint(users) for library in group]


def load(library: Library) -> None:
    """Import a module, or call what starts one. If that fails, the job that needs it tries again, and says why.

    Parameters
    ----------
    library : Library
        One of those listed here.
    """
    with suppress(Exception):
        if isinstance(library, str):
            importlib.import_module(library)
        else:
            library()


def _start_asdf() -> None:
    from calflow.patches import start_asdf

    start_asdf()


def _start_photutils() -> None:
    from calflow.patches import start_photutils

    start_photutils()


def _start_drizzle(pixels: int) -> None:
    from calflow.science.combination.resample import start_kernel

    start_kernel(pixels)
