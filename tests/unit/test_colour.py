"""Colour pictures: which filter gives which colour, what is black, what is filled, and the same bytes each time."""

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose
from PIL import Image

from calflow.configuration.settings import read_settings
from calflow.instruments.iris import FAMILY as IRIS
from calflow.instruments.jwst import FAMILY as JWST
from calflow.pictures.colour import GREY, DifferentGrids, draw_colour
from calflow.science.colour.colour_picture import (
    add_band,
    channel_shares,
    chosen_stretch,
    coloured,
    fill_holes,
    levels_of,
)


def test_three_filters_are_a_channel_each():
    assert channel_shares(3).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_more_filters_are_spread_over_the_channels():
    # At 0, 2/3, 4/3, 2 between red (0), green (1) and blue (2): red has 1 of the first and 1/3 of the second.
    assert_allclose(channel_shares(4), [[0.75, 0.25, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.25, 0.75]])
    assert_allclose(channel_shares(7).sum(axis=1), 1)


def test_two_filters_are_too_few():
    with pytest.raises(ValueError, match="takes 3 filters, not 2"):
        channel_shares(2)


def test_noise_is_that_of_neighbours_and_not_of_a_nebula():
    random = np.random.default_rng(1)
    nebula = np.linspace(0, 100, 400)[:, None] * np.ones(400)
    black, noise = levels_of(nebula + random.normal(0, 0.5, (400, 400)))
    assert noise == pytest.approx(0.5, rel=0.02)
    assert black == pytest.approx(5.0, abs=0.5)


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_an_image_without_noise_has_a_scale(value):
    black, noise = levels_of(np.full((4, 4), value))
    assert (black, noise) == (0.0 if np.isnan(value) else 7.0, 1.0)


def test_a_filter_is_added_to_its_channels():
    channels = np.zeros((3, 1, 2), np.float32)
    add_band([0.75, 0.5, 0.0], np.array([[4.0, np.nan]], np.float32), channels)
    assert_allclose(channels, [[[3, np.nan]], [[2, np.nan]], [[0, np.nan]]])


def test_the_core_of_a_saturated_star_has_the_colour_beside_it():
    channels = np.ones((3, 7, 7), np.float32)
    channels[0, 3, 3:5] = np.nan  # saturated in one filter
    channels[:, 2, 3] = 900, 500, 100
    assert fill_holes(channels) == 2
    assert channels[:, 3, 3].tolist() == channels[:, 3, 4].tolist() == [900, 500, 100]
    assert channels[:, 0, 0].tolist() == [1, 1, 1]


def test_a_place_at_the_edge_and_a_wide_one_have_no_colour():
    channels = np.ones((3, 60, 60), np.float32)
    channels[:, 10:52, 20] = np.nan
    channels[1, 0:2, 40] = np.nan
    assert fill_holes(channels) == 0


def test_noise_is_a_tenth_of_white():
    assert coloured(np.ones((3, 1, 1)), stretch=10, softening=8)[0, 0] == pytest.approx([25, 25, 25], abs=1)


def test_what_is_brighter_than_white_keeps_its_colour():
    channels = np.array([9000.0, 3000.0, 0.0])[:, None, None]
    assert coloured(channels, stretch=10, softening=8)[0, 0].tolist() == [255, 85, 0]
    assert coloured(100 * channels, stretch=10, softening=8)[0, 0].tolist() == [255, 85, 0]


def test_the_scale_follows_a_bright_image_and_spares_noise():
    faint, bright = np.ones((3, 50, 50)), np.full((3, 50, 50), 1e5)
    assert chosen_stretch(faint, 8) == 10
    assert coloured(bright, chosen_stretch(bright, 8), 8)[0, 0] == pytest.approx([217] * 3, abs=1)  # 0.85 of 255
    assert chosen_stretch(np.full((3, 2, 2), np.nan), 8) == 10


@pytest.fixture
def images(tmp_path):
    """Images in three filters, of stars of which one is bright in the first alone."""
    random = np.random.default_rng(1)
    paths = []
    for number, noise in enumerate((0.1, 1.0, 10.0)):
        image = random.normal(50 * noise, noise, (40, 60)).astype(np.float32)
        image[10, 20] += 3000 * noise * (number == 0)
        image[30, 5] = np.nan if number == 1 else image[30, 5]
        image[:, 55:] = np.nan if number == 2 else image[:, 55:]
        paths.append(tmp_path / f"{number}_i2d.fits")
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(image, name="SCI")]).writeto(paths[-1])
    return paths


def drawn(images, path, **changes):
    given = {"filters": ["L", "M", "S"], "balance": [1.0] * 3, "stretch": None, "softening": 8.0} | changes
    return draw_colour("deep", images=[[image] for image in images], out_png=path, **given)


def test_a_picture_and_its_numbers(images, tmp_path):
    told = drawn(images, tmp_path / "a.png")
    assert [each["noise"] for each in told["filters"]] == pytest.approx([0.1, 1.0, 10.0], rel=0.1)
    assert (told["stretch"], told["Q"], told["filled_pixels"], told["averaged"]) == (10.0, 8.0, 1, 1)
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.array(picture.convert("RGB")).reshape(-1, 3)
    assert (pixels @ [1, -2, -2] > 150).sum() == 64  # the red star, each of whose pixels is 8 x 8
    assert (pixels == GREY).all(axis=1).sum() > 1000  # not in all filters
    drawn(images, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_balance_and_the_scale_of_the_user(images, tmp_path):
    drawn(images, tmp_path / "a.png")
    told = drawn(images, tmp_path / "b.png", balance=[1.0, 1.0, 3.0], stretch=50.0)
    assert told["stretch"] == 50
    assert told["filters"][2]["balance"] == 3
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_several_images_of_a_filter_are_averaged_where_they_overlap(images, tmp_path):
    twice = [[images[0], images[2]], [images[1]], [images[1]]]
    told = draw_colour("deep", ["L", "M", "S"], twice, [1.0] * 3, None, 8.0, tmp_path / "a.png")
    # About 5 and 500 make 252, and 5 alone where the second has none.
    assert told["filters"][0]["black"] == pytest.approx(5.0, abs=0.3)


def test_images_of_different_shapes(images, tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((4, 4)), name="SCI")]).writeto(tmp_path / "small.fits")
    with pytest.raises(DifferentGrids, match=r"small.fits has another shape than the other images"):
        drawn([*images[:2], tmp_path / "small.fits"], tmp_path / "a.png")


@pytest.mark.parametrize(
    ("family", "header", "band"),
    [
        (JWST, {"FILTER": "F150W", "PUPIL": "CLEAR"}, ("F150W", 1.5)),
        (JWST, {"FILTER": "F444W", "PUPIL": "F470N"}, ("F470N", 4.7)),
        (JWST, {"FILTER": "CLEAR", "PUPIL": "F090W"}, ("F090W", 0.9)),
        (JWST, {"FILTER": "F1130W"}, ("F1130W", 11.3)),
        (JWST, {"FILTER": "FND"}, ("FND", None)),
        (JWST, {}, ("", None)),
        (IRIS, {"FILTER": "CLEAR + K"}, ("K", 2.18)),
        (IRIS, {"FILTER": "Kbb"}, ("Kbb", 2.18)),
        (IRIS, {"FILTER": "HN3"}, ("HN3", 1.63)),
        (IRIS, {"FILTER": "PaBeta"}, ("PaBeta", 1.282)),
        (IRIS, {"FILTER": "HOLE"}, ("HOLE", None)),
    ],
)
def test_filters_and_their_wavelengths(family, header, band):
    assert family.band(header) == band


@pytest.mark.parametrize(
    ("colour", "told"),
    [
        ({"filters": ["a", "b"]}, "takes 3 filters or more, from red to blue"),
        ({"filters": ["a", "b", "A"]}, "name each filter once"),
        ({"balance": {"a": 0}}, "give a number > 0"),
        ({"balance": {"a": "x"}}, "colour.balance.a: 'x' is not valid; give a number"),
        ({"stretch": -1}, "colour.stretch: -1 is not valid; give a number > 0, or null"),
        ({"Q": 0}, "colour.Q: 0 is not valid; give a number > 0 and <= 1000"),
    ],
)
def test_settings_that_make_no_picture(colour, told):
    with pytest.raises(Exception, match=told):
        read_settings({"colour": colour})
