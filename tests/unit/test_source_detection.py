"""Sources of an image with a known noise and known sources."""

import numpy as np
import pytest

from calflow.science.bands import whole
from calflow.science.sources.source_detection import CatalogParameters, find_sources

NOISE = 0.01


def scene(*stars, shape=(120, 140), sigma=(2.5, 2.5), background=5.0):
    """Return noise, a background, and Gaussians at (x, y, height)."""
    y, x = np.indices(shape)
    image = np.random.default_rng(8).normal(background, NOISE, shape)
    for cx, cy, height in stars:
        image += height * np.exp(-0.5 * (((x - cx) / sigma[0]) ** 2 + ((y - cy) / sigma[1]) ** 2))
    return image, np.full(shape, NOISE), np.zeros(shape, bool)


def parameters(**others):
    return CatalogParameters(**{"deblend": False} | others)


STARS = (100.3, 30.0, 1.0), (40.0, 80.4, 2.0)


def test_positions_fluxes_and_shapes():
    image, error, mask = scene(*STARS, sigma=(2.5, 4.0))
    sources, segments = find_sources(image, error, mask, parameters())
    assert sources.label.tolist() == [1, 2]
    np.testing.assert_allclose(sources.x, [100.3, 40.0], atol=0.03)
    np.testing.assert_allclose(sources.y, [30.0, 80.4], atol=0.03)
    # Within the isophote; the rest of the flux is in the noise.
    total = 2 * np.pi * 2.5 * 4.0 * np.array([1.0, 2.0])
    assert (sources.flux < total).all()
    np.testing.assert_allclose(sources.flux, total, rtol=0.03)
    np.testing.assert_allclose(np.mod(sources.orientation, 180), 90, atol=2)
    np.testing.assert_allclose(sources.ellipticity, 1 - sources.semiminor / sources.semimajor)
    np.testing.assert_allclose(sources.area, np.bincount(whole(segments).ravel())[1:])
    np.testing.assert_allclose(sources.flux_error, NOISE * np.sqrt(sources.area))
    assert whole(segments).dtype == np.uint32


def test_box_holds_the_pixels():
    image, error, mask = scene(STARS[0])
    sources, segments = find_sources(image, error, mask, parameters())
    rows, columns = np.nonzero(whole(segments))
    # The upper edges lie a pixel too far out, as in photutils.
    expected = columns.min() - 0.5, columns.max() + 1.5, rows.min() - 0.5, rows.max() + 1.5
    assert sources.box.tolist() == [list(expected)]


def test_threshold_is_in_units_of_the_noise():
    image, error, mask = scene((30, 30, 0.2), (100, 80, 1.0))
    assert len(find_sources(image, error, mask, parameters(snr_threshold=5))[0]) == 2
    # The fainter one is 0.2 / 0.01 = 20 sigma high.
    assert len(find_sources(image, error, mask, parameters(snr_threshold=25))[0]) == 1


def test_without_errors():
    image, _, mask = scene(*STARS)
    sources, _ = find_sources(image, None, mask, parameters())
    assert np.isnan(sources.flux_error).all()
    assert np.isfinite(sources.flux).all()


def test_local_background_is_taken_from_the_flux():
    image, error, mask = scene(STARS[0])
    image[10:50, 80:120] += 0.02  # too small a patch for the background
    plain, _ = find_sources(image, error, mask, parameters())
    local, _ = find_sources(image, error, mask, parameters(localbkg_width=4))
    assert plain.flux[0] - local.flux[0] == pytest.approx(0.02 * plain.area[0], rel=0.1)


def test_masked_pixels_belong_to_no_source():
    image, error, mask = scene(*STARS)
    mask[:, :70] = True
    image[:, :70] = error[:, :70] = np.nan
    sources, segments = find_sources(image, error, mask, parameters())
    np.testing.assert_allclose(sources.x, [100.3], atol=0.05)
    assert not whole(segments)[mask].any()


@pytest.mark.parametrize("starfinder", ["segmentation", "iraf", "dao"])
@pytest.mark.parametrize("content", ["noise", "nothing"])
def test_no_sources(starfinder, content):
    image, error, mask = scene()
    if content == "nothing":
        image[:] = np.nan
        mask[:] = True
    sources, segments = find_sources(image, error, mask, parameters(starfinder=starfinder, snr_threshold=50))
    assert len(sources) == 0
    assert sources.box.shape == (0, 4)
    if starfinder == "segmentation":
        assert segments.shape == image.shape
        assert not whole(segments).any()
    else:
        assert segments is None


@pytest.mark.parametrize("starfinder", ["iraf", "dao"])
def test_star_finders(starfinder):
    image, error, mask = scene(*STARS, sigma=(1.0, 1.0))
    limits = {"sharplo": 0.2, "sharphi": 2.0, "roundlo": -1.0, "roundhi": 1.0, "snr_threshold": 20}
    finder = parameters(starfinder=starfinder, **limits)
    sources, segments = find_sources(image, error, mask, finder)
    assert segments is None
    order = np.argsort(sources.x)
    np.testing.assert_allclose(sources.x[order], [40.0, 100.3], atol=0.1)
    np.testing.assert_allclose(sources.y[order], [80.4, 30.0], atol=0.1)
    for name in ("flux_error", "area", "semimajor", "semiminor", "ellipticity", "box"):
        assert np.isnan(getattr(sources, name)).all()
    assert np.isfinite(sources.orientation).all() == (starfinder == "iraf")


def test_star_finder_keeps_the_brightest_below_the_peak():
    image, error, mask = scene((30, 30, 0.5), (60, 30, 3.0), (90, 30, 1.0), sigma=(1.0, 1.0))
    brightest, _ = find_sources(image, error, mask, parameters(starfinder="iraf", brightest=1, snr_threshold=20))
    unsaturated = parameters(starfinder="iraf", brightest=1, snr_threshold=20, peakmax=2.0)
    assert brightest.x.round().tolist() == [60]
    assert find_sources(image, error, mask, unsaturated)[0].x.round().tolist() == [90]


def test_gaps_do_not_lower_the_threshold_of_a_star_finder():
    image, error, mask = scene(STARS[0], sigma=(1.0, 1.0))
    mask[:, :90] = True  # more than half: the median of the noise map is 0 with them
    image[:, :90] = np.nan
    finder = parameters(starfinder="iraf", snr_threshold=20, brightest=None)
    assert len(find_sources(image, error, mask, finder)[0]) == 1


def test_wrong_parameters():
    with pytest.raises(ValueError, match="starfinder is 'sextractor'"):
        CatalogParameters(starfinder="sextractor")
