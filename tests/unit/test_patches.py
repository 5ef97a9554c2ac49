"""What calflow changes in other libraries: each part is there, still needed, and put back."""

import gzip
import importlib.metadata
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from astropy.io.fits.hdu.compressed import _codecs

from calflow import patches

SCRIPTS = str(Path(patches.__file__).parents[1])


def source_of(module):
    """Return the text of a module without importing it."""
    return Path(importlib.util.find_spec(module).origin).read_text()


def test_what_was_there_is_put_back():
    loader = yaml.SafeLoader
    with pytest.raises(ZeroDivisionError), patches._in_place(yaml, "SafeLoader", 0):
        1 / yaml.SafeLoader
    assert yaml.SafeLoader is loader


def test_asdf_is_started_with_the_same_extensions():
    """But for those of stdatamodels; and with the loader and the entry points back in their places."""
    code = (
        "import sys, yaml\n"
        "if sys.argv[1] == 'fast':\n"
        "    from calflow.patches import start_asdf\n"
        "    asdf = start_asdf()\n"
        "else:\n"
        "    import asdf\n"
        "for one in asdf.get_config().extensions:\n"
        "    if one.package_name != 'stdatamodels':\n"
        "        print(one.extension_uri, one.package_name, sorted(one.tags, key=str))\n"
        "assert yaml.SafeLoader.__name__ == 'SafeLoader'\n"
        "assert asdf._entry_points.entry_points.__name__ == 'entry_points'\n"
    )
    fast, plain = (
        subprocess.run(
            [sys.executable, "-c", code, how], env={"PYTHONPATH": SCRIPTS}, capture_output=True, text=True, check=True
        ).stdout
        for how in ("fast", "plain")
    )
    strip = [line.partition(" at 0x")[0] for line in fast.splitlines()]
    assert strip == [line.partition(" at 0x")[0] for line in plain.splitlines()]
    assert len(strip) > 40


def test_asdf_still_reads_manifests_slowly():
    assert "yaml.safe_load(" in source_of("asdf.extension._manifest")
    assert "points = entry_points(group=group)" in source_of("asdf._entry_points")


@pytest.mark.skipif(importlib.metadata.version("photutils") >= "3.1", reason="photutils 3.1 does without")
def test_photutils_still_looks_for_its_name_and_for_scipy_signal():
    assert "_pkg_dist_name = packages_distributions().get(" in source_of("photutils.utils._optional_deps")
    assert importlib.metadata.packages_distributions()["photutils"] == ["photutils"]
    assert "\nfrom scipy.signal import fftconvolve\n" in source_of("photutils.segmentation.core")


def test_photutils_still_notes_versions():
    assert "'version': _get_version_info()}" in source_of("photutils.utils._misc")
    assert "pkg = __import__(package)" in source_of("photutils.utils._misc")


def test_photutils_is_started_without_them():
    """And what is imported later is as it was, in photutils, too."""
    code = (
        "import sys\n"
        "from calflow.patches import start_photutils\n"
        "start_photutils()\n"
        "import numpy as np\n"
        "from photutils.detection import DAOStarFinder\n"
        "from photutils.segmentation import SegmentationImage, SourceCatalog\n"
        "segments = SegmentationImage(np.diag([0, 0, 1, 0, 0]))\n"
        "SourceCatalog(np.ones((5, 5)), segments).to_table()\n"
        "assert sys.modules.keys().isdisjoint(('scipy.signal', 'scipy.stats', 'matplotlib'))\n"
        "assert segments.make_source_mask(size=3).sum() == 9\n"
        "import scipy.signal\n"
        "assert scipy.signal.fftconvolve([1.0], [2.0]) == 2.0\n"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": SCRIPTS}, check=True)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python 3.14 notes no time")
def test_gzip_still_notes_the_time_in_tiles(monkeypatch):
    codec = _codecs.Gzip1()
    tile = np.zeros(40, np.uint8)
    timed, timeless = set(), set()
    for now in (1e9, 2e9):
        monkeypatch.setattr("time.time", lambda now=now: now)
        timed.add(codec.encode(tile))
        with patches.timeless_tiles():
            timeless.add(codec.encode(tile))
    assert (len(timed), len(timeless)) == (2, 1)
    assert _codecs.gzip_compress is gzip.compress


def test_drizzle_cuts_and_inverts():
    clip, invert = patches.drizzle_polygons()
    square = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)])
    cut = np.array(clip(square, square + 1.0))
    assert (cut.min(), cut.max()) == (1.0, 2.0)
    y, x = np.indices((5, 6), dtype=float)
    found = invert(np.dstack([x + 10.0, y]), np.array([12.5, 3.0]), np.array([(0.0, 5.0), (0.0, 4.0)]))
    assert found == pytest.approx([2.5, 3.0], abs=0.05)


def test_hooks_of_an_observatory_are_seen():
    def none(rules, header):
        return header

    plain = SimpleNamespace(_precondition_header=lambda *_: None, _fallback_header=lambda *_: None)
    assert not patches.has_crds_hooks(plain)
    assert patches.has_crds_hooks(SimpleNamespace(_precondition_header=none, _fallback_header=lambda *_: None))


@pytest.mark.skipif(importlib.util.find_spec("crds") is None, reason="needs crds")
def test_crds_keeps_its_hooks_under_these_names():
    from crds.core import rmap

    text = inspect.getsource(rmap.ReferenceMapping)
    assert 'self._precondition_header = self.get_hook("precondition_header", (lambda ' in text
    assert 'self._fallback_header = self.get_hook("fallback_header", (lambda ' in text


@pytest.mark.skipif(importlib.metadata.version("photutils") >= "3.1", reason="tests the pinned release")
def test_star_finders_still_convolve_though_they_are_given_the_stars():
    """And the same table comes out of what was convolved before."""
    from photutils.detection import DAOStarFinder, IRAFStarFinder
    from scipy.ndimage import convolve

    y, x = np.mgrid[:60, :60]
    data = np.exp(-((x - 20.3) ** 2 + (y - 31.8) ** 2) / 2) + 0.7 * np.exp(-((x - 42.6) ** 2 + (y - 12.1) ** 2) / 2)
    for kind in (IRAFStarFinder, DAOStarFinder):
        finder = kind(threshold=0.05, fwhm=2.4, xycoords=np.array([[20, 32], [43, 12]]))
        plain = finder(data)
        convolved = convolve(data, finder.kernel.data, mode="constant", cval=0.0)
        with patches.convolved_before(finder, convolved):
            quick = finder(data)
        assert "convolved_data = _filter_data(data, self.kernel.data, mode='constant'" in source_of(kind.__module__)
        assert plain.colnames == quick.colnames
        assert len(plain) == 2
        assert all(np.array_equal(plain[name], quick[name]) for name in plain.colnames)
