"""The benchmark beside C programs: what they are given, and figures on numbers worked out by hand."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.wcs import WCS

from calflow.science.windows import Window
from calflow.simulation import INSTRUMENTS
from calflow.simulation.geometry import Geometry, Optics, Pointing

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import c_inputs
import c_programs
import c_truth


def test_the_header_has_the_distortion():
    instrument = INSTRUMENTS["nircam_f200w"]
    geometry = Geometry(Optics(instrument), Window(1, 1, 2048, 2048), Pointing(83.8, -5.4, 265.0))
    header, error = c_inputs.tpv_header(lambda x, y, **_: geometry.to_sky(x, y), (2048, 2048))
    assert error < 0.01
    corners = np.array([0.0, 0, 2047, 2047]), np.array([0.0, 2047, 0, 2047])
    found, true = WCS(header).all_pix2world(*corners, 0), geometry.to_sky(*corners)
    assert np.allclose(found, true, rtol=0, atol=0.01 / 3.6e6)
    assert not {"PV1_3", "PV2_11"} & set(header)  # terms of the radius


def image(sci, weight=1.0):
    sci = np.array(sci, np.float32)
    return c_truth.Image(sci, np.ones_like(sci), np.broadcast_to(np.float32(weight), sci.shape))


def test_rays_left_and_pixels_rejected():
    """Rays of 10, 10 and 8 sigma; of the first nothing is left, of the second half, of the third, at the edge, all."""
    clean = image([[0, 0, 0, 0, 0, 0]], [[3, 3, 1, 4, 4, 4]])
    plain = image([[10, 10, 8, 0, 0, 0]], [[4, 4, 2, 4, 4, 4]])
    rejected = image([[0, 5, 8, 0, 0, 0]], [[3, 4, 2, 3, 4, 4]])
    deep, cores = np.array([[1, 1, 0, 1, 1, 1]], bool), np.array([[0, 0, 0, 1, 1, 0]], bool)
    sky = SimpleNamespace(is_deep=deep, cores=cores, empty=np.array([[1, 1, 1, 0, 0, 1]], bool))
    found = c_truth.rejection(rejected, plain, clean, sky)
    assert found == c_truth.Rejection(rays=50, edge=100, flux=25, cores=50, empty=0)


def test_noise_of_pixels_and_of_boxes():
    """Twice the noise of the map; in the second image neighbours in a row are equal, so that sums scatter more."""
    noise = np.random.default_rng(1).normal(0, 2, (640, 640))
    sky = SimpleNamespace(empty=np.ones(noise.shape, bool))
    assert c_truth.noise_ratios(image(noise), sky) == pytest.approx((2, 2), rel=0.05)
    pairs = noise[:, :320].repeat(2, axis=1)
    assert c_truth.noise_ratios(image(pairs), sky) == pytest.approx((2, 2 * 2**0.5), rel=0.05)


def test_bias_and_scatter():
    ratios = np.array([1.0, 1.1, 1.2, np.nan])
    assert c_truth.bias_and_scatter(ratios) == pytest.approx((10, 14.826))


def test_what_jobs_took(tmp_path):
    """Two jobs, of 2 s that ends at 10 s and of 3 s that ends at 12 s."""
    for path, end, row in (("combine/a.tsv", 10, (2, 1.5, 100, 8)), ("flag_outliers/x/b.tsv", 12, (3, 2.5, 300, 16))):
        file = tmp_path / "results" / "benchmarks" / path
        file.parent.mkdir(parents=True)
        file.write_text("s\tcpu_time\tmax_rss\tio_out\n" + "\t".join(map(str, row)) + "\n")
        os.utime(file, (end, end))
    taken, rules = c_programs.taken_by_jobs(tmp_path, lambda _: True)
    assert taken == c_programs.Taken(cpu=4.0, wall=4.0, memory=300, written=24 * 2**20 / 1e6)
    assert rules == {"combine": 1.5, "flag_outliers": 2.5}
    assert c_programs.taken_by_jobs(tmp_path, lambda rule: rule == "combine")[0].wall == 2


def test_what_a_program_took(tmp_path):
    used = "b = bytearray(b'x') * 2**27; open('file', 'wb').write(b[:2**22])"
    taken = c_programs.run_program([sys.executable, "-c", used], tmp_path)
    assert 128 < taken.memory < 200
    assert taken.cpu > 0
    with pytest.raises(RuntimeError, match="it is wrong"):
        c_programs.run_program([sys.executable, "-c", "import sys; sys.exit('it is wrong')"], tmp_path)
