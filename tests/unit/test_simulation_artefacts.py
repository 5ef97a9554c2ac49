"""What the simulator adds for cleaning to take out: 1/f noise, pedestals, a gradient, a nebula."""

import numpy as np
import pytest

from calflow.simulation import Artefacts, Scene
from calflow.simulation.artefacts import flicker_noise, readout_noise
from calflow.simulation.detector import make_detector
from calflow.simulation.exposures import expose
from calflow.simulation.observation import plan_exposures, sky_noise
from calflow.simulation.rendering import peak_fraction
from calflow.simulation.scene import make_sources

SHAPE = (96, 128)


def simulated(**artefacts):
    """Return an exposure, what is in it, and the noise of its pixels."""
    scene = Scene(detector_shape=SHAPE, stars=3, galaxies=1, artefacts=Artefacts(**artefacts))
    sources = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    (exposure,) = plan_exposures(scene)[:1]
    image, signal = expose(exposure, scene, make_detector(scene), sources)
    return image, signal, float(np.nanmedian(image.err))


def test_nothing_is_added_by_default():
    assert simulated()[1].readout is None


def test_readout_noise_is_added_to_every_pixel_and_changes_no_other_noise():
    plain, _, _ = simulated()
    image, signal, noise = simulated(flicker=0.3, pedestal=0.5)
    both = np.isfinite(image.sci) & np.isfinite(plain.sci)
    np.testing.assert_allclose((image.sci - plain.sci)[both], signal.readout[both], atol=1e-3 * noise)
    np.testing.assert_array_equal(image.var_rnoise, plain.var_rnoise)


def test_lines_of_common_noise_have_the_standard_deviation_asked_for():
    noise = readout_noise(Artefacts(flicker=0.3), SHAPE, 2.0, 4, np.random.default_rng(1))
    assert noise.shape == SHAPE
    assert noise[:, :32].mean(axis=1).std() == pytest.approx(0.6, rel=1e-5)
    # The next amplifier reads the other way round.
    np.testing.assert_array_equal(noise[:, :32], noise[:, 63:31:-1])


def test_amplifiers_have_levels_of_their_own():
    noise = readout_noise(Artefacts(pedestal=1.0), SHAPE, 1.0, 4, np.random.default_rng(1))
    assert len(np.unique(noise)) == 4
    assert np.ptp(noise[:, :32]) == 0


def test_power_falls_with_frequency():
    power = np.abs(np.fft.rfft(flicker_noise(2048, 16, np.random.default_rng(2)).mean(axis=1))) ** 2
    # Per octave the same power: about 8 times as dense three octaves lower.
    assert 4 < power[8:32].mean() / power[64:256].mean() < 16


def test_gradient_rises_from_corner_to_corner():
    plain, sloped = simulated()[1].rate, simulated(gradient=0.5)[1].rate
    plain, sloped = plain[8:-8, 8:-8], sloped[8:-8, 8:-8]
    free = (plain > 0) & (plain < 1.2 * np.median(plain))
    ny, nx = SHAPE
    y, x = np.mgrid[8 : ny - 8, 8 : nx - 8]
    expected = 1 + 0.25 * (y / (ny - 1) + x / (nx - 1))
    assert np.median(np.abs(sloped[free] / plain[free] - expected[free])) < 0.02


def test_nebula_fills_one_half_and_is_the_same_sky_in_all_exposures():
    scene = Scene(detector_shape=SHAPE, stars=0, galaxies=0, artefacts=Artefacts(nebula=5.0))
    sources = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    assert set(sources["type"]) == {"nebula"}
    _, signal, noise = simulated(nebula=5.0)
    excess = (signal.rate - simulated()[1].rate) / noise
    lower, upper = excess[8 : SHAPE[0] // 2], excess[-20:-8]
    assert np.median(lower) > 2
    assert np.median(upper) < 0.5 * np.median(lower)
