"""What calflow changes in other libraries while it works, or uses of them though they do not document it.

Nothing else does so, but for `calflow.engine.inside` with Snakemake. ``tests/unit/test_patches.py`` tells when a part
is gone or is needed no more; docs/upstream.md says what the projects would have to take for these to go.
"""

import gzip
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType
from typing import Any


@contextmanager
def _in_place(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    """Put another value in the place of a name of a module for a while."""
    before = vars(module)[name]
    vars(module)[name] = value
    try:
        yield
    finally:
        vars(module)[name] = before


@cache
def start_asdf() -> Any:
    """Return the package asdf, started fast.

    It reads 49 manifests with PyYAML's safe loader: libyaml's safe loader gives the same in a sixth of the time. And it
    loads the extensions of every installed package: stdatamodels, there for CRDS alone, has none that images need.
    Together that is 0.4 s of each job.
    """
    import asdf
    import yaml
    from asdf import _entry_points as plugins

    entry_points = plugins.entry_points

    def needed(group: str) -> list:
        return [point for point in entry_points(group=group) if point.dist.name != "stdatamodels"]

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _in_place(yaml, "SafeLoader", loader), _in_place(plugins, "entry_points", needed):
        _ = asdf.get_config().extensions  # reads them
    return asdf


@cache
def start_photutils() -> None:
    """Import photutils. Call it before anything of photutils is imported; later calls do nothing.

    Three things take 0.8 s of a job, and nothing of them is used here. At its import photutils 3.0 looks for its own
    name among the modules of all installed packages: told that there is none, it takes the name of its folder, which is
    the same. For one method it imports scipy.signal, and by it scipy.stats: the function is imported when it is called.
    photutils 3.1 does both itself. And to note versions in the metadata of tables it imports matplotlib and others.
    """
    with _in_place(importlib.metadata, "packages_distributions", dict), _later("scipy.signal", "fftconvolve"):
        import photutils.segmentation
        import photutils.utils._misc  # noqa: F401
    vars(sys.modules["photutils.utils._misc"])["_get_version_info"] = dict


@contextmanager
def _later(name: str, function: str) -> Iterator[None]:
    """Have what is imported meanwhile get a function that imports its module when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(name), function)(*args, **kwargs)

    if name in sys.modules:
        yield
        return
    stand_in = ModuleType(name)
    vars(stand_in)[function] = call
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def convolved_before(finder: Any, convolved: Any) -> Iterator[None]:
    """While a star finder of photutils works, have it take the image that was convolved with its kernel before.

    It is given the stars, so it needs the image about these alone, and convolves all of it: a tenth of the time.
    """
    module = sys.modules[type(finder).__module__]
    if "_filter_data" not in vars(module):  # of another release
        yield
        return
    with _in_place(module, "_filter_data", lambda *_, **__: convolved):
        yield


@contextmanager
def timeless_tiles() -> Iterator[None]:
    """While astropy compresses tiles of images with gzip, have it leave out the time, which gzip notes in each.

    The same image then gives the same bytes. From Python 3.14 on gzip notes no time. And astropy has gzip try as hard
    as it can: level 5 takes a third of the time for 2 % more bytes.
    """
    from astropy.io.fits.hdu.compressed import _codecs

    with _in_place(_codecs, "gzip_compress", partial(gzip.compress, compresslevel=5, mtime=0)):
        yield


def drizzle_polygons() -> tuple[Callable, Callable]:
    """Return drizzle's functions that cut one convex polygon by another, and that invert a map of pixels.

    They are compiled, and there for drizzle's own tests. `calflow.science.combination.drizzle_kernel` uses the same
    pixels as drizzle at the edge of the output, so it needs these and no others.
    """
    from drizzle import cdrizzle

    return cdrizzle.clip_polygon, cdrizzle.invert_pixmap


def has_crds_hooks(rules: Any) -> bool:
    """Tell whether an observatory's own functions change the header by which the rules of a reference type choose."""
    hooks = (rules._precondition_header, rules._fallback_header)
    return any(hook.__name__ != "<lambda>" for hook in hooks)


def make_known_to_crds(observatory: str, instrument: str) -> None:
    """Let crds read the mappings of an observatory that it has no package for, such as that of Liger and IRIS.

    It looks in a package of that name for other names of keywords, and for exceptions to the rules: here are none.
    """
    name = f"crds.{observatory}"
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        package, names = ModuleType(name), ModuleType(f"{name}.locate")
        vars(names)["fits_to_parkeys"] = dict
        vars(package)["locate"] = names
        vars(sys.modules["crds"])[observatory] = sys.modules[name] = package
    known = sys.modules.get(name)
    if known is not None and known.__spec__ is None:
        vars(known).setdefault(instrument, ModuleType(f"{name}.{instrument}"))
