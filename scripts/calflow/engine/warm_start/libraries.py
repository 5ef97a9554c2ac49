"""What the jobs import."""

import importlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from calflow.calibration.work import WORK

Library = str | Callable[[], None]

PLANES = 4  # SCI and three variances


def libraries(pixels: int) -> list[Library]:
    """
    Return modules, and functions for what takes more than an import, in the order in which a run needs them.

    Before each rule script stands what it needs. A job that comes waits for that, and for the one that is being
    loaded: 0.6 s at the most, but for the fast kernel of the drizzling when it is compiled, some seconds once per
    machine.

    Parameters
    ----------
    pixels : int
        How many the run resamples: below some number the kernel is not worth its start.
    """
    return [
        *"snakemake.io snakemake.iocontainers snakemake.logging numpy astropy.io.fits astropy.stats".split(),
        "combine_background",
        _start_asdf,
        "gwcs.fitswcs",
        *dict.fromkeys(function.partition(":")[0] for function in WORK.values()),
        "calibrate",
        _start_photutils,
        *"photutils.detection photutils.background".split(),
        *"matplotlib skimage bottleneck".split(),  # where they are installed, photutils asks for their versions
        "find_stars",
        "astropy.io.misc.yaml",
        *"tweakwcs.linearfit tweakwcs.matchutils tweakwcs.correctors align".split(),
        *"scipy.interpolate measure_sky lay_grid match_sky".split(),
        partial(_start_drizzle, pixels),
        *"drizzle.resample resample_exposure resample_group take_median flag_outliers count_outliers combine".split(),
        *"photutils.segmentation photutils.aperture astropy.convolution astropy.table skimage.segmentation".split(),
        "catalog_sources",
    ]


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

    start_kernel(pixels, PLANES)
