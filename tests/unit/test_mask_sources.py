"""The job that masks what combined images show: files in, a file out, and where on the exposure it comes to lie."""

import numpy as np
import pytest
from astropy.io import fits

import mask_sources
from calflow.files.alignment_tables import AlignmentRow, write_alignment
from calflow.files.geometry_files import write_geometry
from calflow.files.grid_files import write_grid
from calflow.jobs.extra_steps import Masking
from calflow.science.cleaning.source_mask import UNKNOWN
from calflow.science.geometry.geometry import Geometry
from calflow.science.geometry.input_pixels import InputPixels
from calflow.science.geometry.output_grid import OutputGrid
from calflow.science.geometry.smooth_map import smooth_map
from calflow.science.geometry.tan_projection import TanProjection
from calflow.science.geometry.tangent_plane import Affine

# The exposure has 64 x 64 pixels of 0.06 arcsec, of which (31.5, 31.5) lies at the centre; the image 160 x 160 of 0.03.
CENTRE, SCALE, IMAGE_SCALE, MIDDLE = (150.0, 2.0), 0.06, 0.03, 79.5
SIDE, IMAGE_SIDE = 64, 160


class Files(dict):
    """Files by their roles, as Snakemake has them."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def masked(tmp_path, monkeypatch):
    """A function that makes the mask of images with a source each, in pixels (x, y) of the images."""
    monkeypatch.chdir(tmp_path)
    to_plane = smooth_map(
        lambda x, y: np.stack([(x - 31.5) * SCALE, (y - 31.5) * SCALE], axis=-1), (-0.5, 63.5), (-0.5, 63.5), 1e-9
    )
    half = 32 * SCALE
    back = smooth_map(
        lambda x, y: np.stack([x / SCALE + 31.5, y / SCALE + 31.5], axis=-1), (-half, half), (-half, half), 1e-9
    )
    pixels = InputPixels(SCALE, SCALE**2, 0.0, -1)
    write_geometry(tmp_path / "exposure.json", Geometry((SIDE, SIDE), CENTRE, to_plane, back, pixels))

    def mask(*places, alignment=None, turn=0.0, values=None, calibrated=None):
        cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        files = Files(images=[], grids=[], geometry="exposure.json")
        for number, (x, y) in enumerate(places):
            projection = TanProjection((MIDDLE, MIDDLE), CENTRE, IMAGE_SCALE / 3600, ((cos, -sin), (sin, cos)))
            box = ((-0.5, IMAGE_SIDE - 0.5), (-0.5, IMAGE_SIDE - 0.5))
            grid = OutputGrid((IMAGE_SIDE, IMAGE_SIDE), IMAGE_SCALE, 0.5, box, projection)
            write_grid(tmp_path / f"{number}.json", grid)
            sci = np.random.default_rng(number).normal(5, 0.01, (IMAGE_SIDE, IMAGE_SIDE)).astype(np.float32)
            sci[y - 1 : y + 3, x - 1 : x + 3] += 1
            wht = np.ones_like(sci)
            if values:
                wht[:, : values[number][0]] = wht[:, values[number][1] :] = 0
            hdus = [fits.PrimaryHDU(), fits.ImageHDU(sci, name="SCI"), fits.ImageHDU(wht, name="WHT")]
            fits.HDUList(hdus).writeto(tmp_path / f"{number}.fits")
            files["images"].append(f"{number}.fits")
            files["grids"].append(f"{number}.json")
        if alignment:
            row = AlignmentRow("first_pass/a", "g", "COMPLETE", "", True, np.zeros((4, 2)), correction=alignment)
            write_alignment(tmp_path / "alignment.ecsv", [row], {})
            files["alignments"] = ["alignment.ecsv"] * len(places)
        if calibrated is not None:
            fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(header=calibrated, name="SCI")]).writeto("cal.fits")
            files["calibrated"] = "cal.fits"
        names = ["first_pass/a" if alignment else ""] * len(places)
        mask_sources.mask_sources(files, Files(mask="mask.fits"), Masking(names))
        return fits.getdata("mask.fits")

    return mask


def middle(mask):
    """Return the middle (x, y) of what is masked as small, without what is so by chance: of the largest piece."""
    from scipy.ndimage import label

    labels, _ = label(mask == 1)
    largest = 1 + np.argmax(np.bincount(labels.ravel())[1:])
    y, x = np.nonzero(labels == largest)
    return (x.min() + x.max()) / 2, (y.min() + y.max()) / 2


def test_a_source_lies_where_the_sky_says(masked):
    """Its four by four pixels around (100.5, 60.5) are 21 and -19 pixels of 0.03 from the middle: half of that."""
    mask = masked((100, 60))
    assert mask.shape == (SIDE, SIDE)
    assert mask.dtype.kind == "i"
    assert set(np.unique(mask)) <= {-1, 0, 1}  # the image reaches all of it
    assert middle(mask) == pytest.approx((31.5 + 10.5, 31.5 - 9.5), abs=1.0)


def test_an_image_that_is_turned(masked):
    """By 90 degrees x of the image runs to +y of the exposure and y to -x: 21 and -19 pixels become 9.5 and 10.5."""
    assert middle(masked((100, 60), turn=90.0)) == pytest.approx((31.5 + 9.5, 31.5 + 10.5), abs=1.0)


def test_the_exposure_lies_where_it_was_aligned(masked):
    """It lies 0.3 arcsec further along x than its header says: the source 5 pixels less."""
    mask = masked((100, 60), alignment=Affine(shift=(0.3, 0.0)))
    assert middle(mask) == pytest.approx((31.5 + 10.5 - 5, 31.5 - 9.5), abs=1.0)


@pytest.mark.parametrize(("second", "is_masked"), [((120, 100), True), ((40, 100), False)])
def test_of_several_images_one_stands_where_those_before_have_no_value(masked, second, is_masked):
    """The first has values in its left half, with a source; the other in the right: there its source is seen."""
    mask = masked((40, 60), second, values=[(0, 80), (80, IMAGE_SIDE)])
    assert mask[22, 12] == 1  # 31.5 - 9.5, 31.5 - 19.5
    x, y = (31.5 + (place + 0.5 - MIDDLE) / 2 for place in second)
    assert (mask[round(y), round(x)] == 1) == is_masked


def test_what_the_image_does_not_reach_is_not_known(masked):
    mask = masked((20, 80), values=[(0, 60)])
    assert (mask[:, 40:] == UNKNOWN).all()
    assert (mask[:, :20] != UNKNOWN).all()


def test_an_image_elsewhere_tells_nothing(masked):
    assert (masked((100, 60), alignment=Affine(shift=(30.0, 0.0))) == UNKNOWN).all()


@pytest.mark.parametrize(("keywords", "factor"), [({"PHOTMJSR": 4.0}, 4.0), ({}, 1.0)])
def test_the_light_is_in_the_unit_that_the_exposure_had(masked, keywords, factor):
    """A source of 1 MJy/sr is 0.25 DN/s where 4 make it one; of an exposure without a conversion it stays as it is."""
    mask = masked((100, 60), calibrated=fits.Header(keywords))
    light = fits.getdata("mask.fits", "LIGHT")
    assert light.shape == mask.shape
    assert light.max() == pytest.approx(1 / factor, rel=0.05)
    assert np.median(light) == pytest.approx(0, abs=0.01 / factor)


def test_without_a_wish_there_is_no_light(masked):
    masked((100, 60))
    with fits.open("mask.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI"]
