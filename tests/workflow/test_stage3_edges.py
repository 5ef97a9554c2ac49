"""Combinations out of the ordinary: one exposure, one group, no overlap, no stars, poles, moving targets.

All of them are associations of one run, of calibrated exposures that an earlier run left.
"""

import json
import re
import shutil

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from calflow.files.alignment_tables import find_row, read_alignment
from calflow.files.exposure import read_exposure
from calflow.files.tables import read_table
from calflow.science.dq_flags import DO_NOT_USE
from calflow.simulation import Scene, simulate
from tests.workflow.conftest import FIELD, Workflow, combining

pytestmark = pytest.mark.slow

DETECTORS = ("nrcb1", "nrcb2")
CATALOG = ("cat.ecsv", "cat.reg", "segm.fits")
# By program, the first part of an exposure's name.
SCENES = {
    "pair": {
        "program": "01001",
        "exposures": 2,
        "detectors": 2,
        "stars": 80,
        "pointing_error": 0.0,
        "mispointings": {2: (0.1, -0.05)},
    },
    # 4 arcsec is the size of the detector.
    "apart": {"program": "01002", "exposures": 3, "dithers": [(0, 0), (30, 0), (0, 30)]},
    "empty": {"program": "01003", "exposures": 2, "stars": 0, "galaxies": 0, "cosmic_rays": 0.0},
    "meridian": {"program": "01004", "exposures": 3, "ra": 0.0, "dec": 2.0, "turns": {2: 30.0, 3: 120.0}},
    "pole": {"program": "01005", "exposures": 2, "ra": 40.0, "dec": 89.9999},
    "moving": {"program": "01006", "exposures": 2, "dithers": [(0, 0), (0.6, 0.3)], "pointing_error": 0.0},
    "spoilt": {"program": "01007", "exposures": 3},
}
PROGRAM = {name: str(scene["program"]) for name, scene in SCENES.items()}
# The target moved from one exposure to the next, degrees.
TARGETS = [(83.8221, -5.3911), (83.8222, -5.39105)]

# Exposures that the user brings along: without a good pixel, and of a filter that has no aperture correction.
SPOILT = "jw01009001001_02101_00002_nrcb1"
OTHER_FILTER = ["jw01008001001_02101_00001_nrcb1", "jw01008001001_02101_00002_nrcb1"]
THIRD_FILTER = "jw01010001001_02101_00001_nrcb1"
# Pixels (y, x) of the second of those that hold no value, with no flag.
ODD = {
    "SCI": ((60, 60), np.inf),
    "ERR": ((70, 50), -1.0),
    "VAR_POISSON": ((50, 70), -1e-3),
    "VAR_RNOISE": ((64, 44), 3e38),
}


def root(scene, number, detector="nrcb1"):
    return f"jw{PROGRAM[scene]}001001_02101_{number:05d}_{detector}"


def associate(folder, name, asn_id, members):
    """Write the association of exposures, each a root or a member."""
    plain = [{"expname": f"{m}_cal.fits", "exptype": "science"} if isinstance(m, str) else m for m in members]
    tree = {"asn_type": "image3", "asn_id": asn_id, "asn_pool": "pool", "products": [{"name": name, "members": plain}]}
    (folder / f"{name}_asn.json").write_text(json.dumps(tree))


def copy_of(folder, name, copy):
    """Copy a calibrated exposure that stage 2 made to a file of the user; return it open, to be changed."""
    shutil.copy(folder / f"results/stage2/{name}_cal.fits", folder / f"cal/{copy}_cal.fits")
    hdus = fits.open(folder / f"cal/{copy}_cal.fits", mode="update")
    hdus[0].header["PROGRAM"] = copy[2:7]
    return hdus


def calibrated(folder):
    """Calibrate the exposures of all scenes, with one set of references."""
    for name, scene in SCENES.items():
        simulate(folder / "scenes" / name, Scene(**(FIELD | scene)))
    for number, target in enumerate(TARGETS, start=1):
        with fits.open(folder / f"scenes/moving/rate/{root('moving', number)}_rate.fits", mode="update") as hdus:
            hdus[0].header["TARGTYPE"] = "MOVING"
            hdus["SCI"].header["MT_RA"], hdus["SCI"].header["MT_DEC"] = target
    workflow = combining(folder)
    workflow.config |= {
        "associations": ["scenes/*/rate/*_asn.json"],
        "references": {"directory": "scenes/pair/references"},
    }
    run = workflow.run()
    assert run.code == 0, run.output
    return workflow


def prepare(folder):
    """Write the associations of all edge cases, and return the workflow that runs them."""
    workflow = calibrated(folder)
    cal = folder / "cal"
    cal.mkdir()
    with copy_of(folder, root("spoilt", 2), SPOILT) as hdus:
        hdus["DQ"].data |= np.uint32(DO_NOT_USE)
        for name in ("SCI", "ERR"):
            hdus[name].data[:] = np.nan
    for number, copy in enumerate(OTHER_FILTER, start=1):
        with copy_of(folder, root("pair", number), copy) as hdus:
            hdus[0].header["FILTER"] = "F150W"
            if number == 2:
                hdus["DQ"].data[48:72, 42:72] = 0
                hdus["SCI"].data[66, 66] = 3e38
                for plane, (pixel, value) in ODD.items():
                    hdus[plane].data[pixel] = value
    with copy_of(folder, root("pair", 1), THIRD_FILTER) as hdus:
        hdus[0].header["FILTER"] = "F115W"
    pair, apart = ([root(name, n) for n in range(1, 4)] for name in ("pair", "apart"))
    together = [{"expname": f"{name}_cal.fits", "exptype": "science", "group_id": "one"} for name in pair[:2]]
    associate(cal, "single", "o001", pair[:1])
    associate(cal, "together", "o002", together)
    associate(cal, "pair", "o003", pair[:2])
    associate(cal, "other_filter", "o003", OTHER_FILTER)
    associate(cal, "third_filter", "o003", [THIRD_FILTER])
    associate(cal, "detectors", "o007", [root("pair", n, detector) for n in (1, 2) for detector in DETECTORS])
    associate(cal, "two_apart", "o004", apart[:2])
    associate(cal, "three_apart", "o005", apart)
    associate(cal, "spoilt", "o006", [root("spoilt", 1), SPOILT, root("spoilt", 3)])
    for name in ("empty", "meridian", "pole", "moving"):
        associate(cal, name, "o006", [root(name, n) for n in range(1, int(str(SCENES[name]["exposures"])) + 1)])
    workflow.config["associations"] += ["cal/*_asn.json"]
    workflow.config |= {
        "exposures": [f"cal/{OTHER_FILTER[0]}_cal.fits"],
        "grids": {"shared": {"associations": ["pair", "*_filter"], "rotation": 0.0}},
    }
    return workflow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All edge cases, made in one run."""
    workflow = prepare(tmp_path_factory.mktemp("edges"))
    run = workflow.run()
    assert run.code == 0, run.output
    return workflow


@pytest.fixture
def made_copy(made, tmp_path):
    """The same in a folder that can be changed."""
    shutil.copytree(made.folder, tmp_path / "copy")
    workflow = Workflow(tmp_path / "copy")
    workflow.config = dict(made.config)
    return workflow


def keywords(workflow, name):
    with fits.open(workflow.combined(name)) as hdus:
        return {**hdus[0].header, **hdus["SCI"].header}


def statuses(workflow, name):
    header = keywords(workflow, name)
    return tuple(header.get(keyword) for keyword in ("S_TWKREG", "S_SKYMAT", "S_OUTLIR", "S_RESAMP"))


def alignment(workflow, name):
    return read_alignment(workflow.combined(f"{name}_alignment.ecsv"))


def sources(workflow, name):
    return Table.read(workflow.combined(f"{name}_cat.ecsv"), format="ascii.ecsv")


def covered(workflow, name):
    """Return the number of output pixels with data."""
    with fits.open(workflow.combined(f"{name}_i2d.fits")) as hdus:
        assert np.array_equal(np.isfinite(hdus["SCI"].data), hdus["WHT"].data > 0)
        return int(np.count_nonzero(hdus["WHT"].data))


def test_errors_are_where_weights_are(made):
    for path in (made.folder / "results/stage3").glob("*_i2d.fits"):
        with fits.open(path) as hdus:
            assert np.array_equal(np.isfinite(hdus["ERR"].data), hdus["WHT"].data > 0), path.name
            assert not any(np.isinf(hdu.data).any() for hdu in hdus[1:] if hdu.is_image), path.name


def test_what_is_no_value_is_flagged_and_does_not_spread(made):
    with fits.open(made.combined(f"{OTHER_FILTER[1]}_o003_crf.fits")) as hdus:
        for y, x in [(66, 66), *(pixel for pixel, _ in ODD.values())]:
            assert hdus["DQ"].data[y, x] & DO_NOT_USE
            assert np.isnan([hdus[name].data[y, x] for name in ("SCI", *ODD)]).all()
    # Both exposures cover the middle of the image: one has no value in those pixels, the other one does.
    with fits.open(made.combined("other_filter_i2d.fits")) as hdus:
        ny, nx = hdus["WHT"].data.shape
        middle = (slice(ny // 2 - 20, ny // 2 + 20), slice(nx // 2 - 20, nx // 2 + 20))
        assert (hdus["WHT"].data[middle] > 0).all()
        assert np.abs(hdus["SCI"].data[middle]).max() < 1e4


@pytest.mark.parametrize("name", ["single", OTHER_FILTER[0]])
def test_one_exposure_is_resampled_and_catalogued_as_it_is(made, name):
    assert statuses(made, f"{name}_i2d.fits") == ("SKIPPED", "SKIPPED", "SKIPPED", "COMPLETE")
    assert keywords(made, f"{name}_i2d.fits")["NDRIZ"] == 1
    products = {
        product for product in made.combined_products() if product.startswith(f"{name}_") and "_o0" not in product
    }
    assert products == {f"{name}_{end}" for end in ("alignment.ecsv", "grid.json", "i2d.fits", *CATALOG)}


def test_one_exposure_has_the_pixels_of_its_quick_look(made, tmp_path):
    with fits.open(made.combined("single_i2d.fits")) as hdus:
        total = np.nansum(hdus["SCI"].data * hdus["WHT"].data)
    with fits.open(made.product(f"{root('pair', 1)}_cal.fits")) as hdus:
        weight = 1 / hdus["VAR_RNOISE"].data.astype(float)
        weight[(hdus["DQ"].data & DO_NOT_USE) != 0] = 0
        product = np.where(weight > 0, weight * hdus["SCI"].data, 0)
    # Drizzle keeps the weighted sum, but for the half pixel that the grid cuts off.
    assert total == pytest.approx(np.nansum(product[np.isfinite(product)]), rel=0.03)


def test_one_group_has_no_outliers_searched(made):
    assert statuses(made, f"{root('pair', 1)}_o002_crf.fits")[:3] == ("SKIPPED", "SKIPPED", "FAILED")
    assert keywords(made, "together_i2d.fits")["NDRIZ"] == 1
    assert keywords(made, "together_i2d.fits")["S_OUTLIR"] == "FAILED"
    assert {row.group for row in alignment(made, "together")} == {"one"}
    assert {row["status"] for row in read_table(made.combined("together_outliers.ecsv"))} == {"FAILED"}
    with (
        fits.open(made.combined(f"{root('pair', 1)}_o002_crf.fits")) as crf,
        fits.open(made.product(f"{root('pair', 1)}_cal.fits")) as cal,
    ):
        assert np.array_equal(crf["DQ"].data, cal["DQ"].data)


def test_detectors_of_an_exposure_are_one_group(made):
    rows = alignment(made, "detectors")
    assert [row.status for row in rows] == ["COMPLETE"] * 4
    assert rows[0].group == rows[1].group != rows[2].group == rows[3].group
    assert [row.reference for row in rows] == [True, True, False, False]
    # One correction for both detectors, to where they really looked.
    np.testing.assert_allclose(rows[2].shift, (0.1, -0.05), atol=0.003)
    np.testing.assert_allclose(rows[3].shift, rows[2].shift, atol=0.003)
    levels = [row["level"] for row in read_table(made.combined("detectors_sky.ecsv"))]
    assert levels[0] == levels[1] != levels[2] == levels[3]
    assert min(levels) == 0
    assert keywords(made, "detectors_i2d.fits")["NDRIZ"] == 2
    assert statuses(made, "detectors_i2d.fits") == ("COMPLETE",) * 4
    assert np.median(distances(made, "detectors", "pair")) < 0.01


@pytest.mark.parametrize(("name", "number", "asn_id"), [("two_apart", 2, "o004"), ("three_apart", 3, "o005")])
def test_exposures_that_do_not_overlap(made, name, number, asn_id):
    rows = alignment(made, name)
    assert [row.status for row in rows] == ["FAILED"] * number
    assert all(row.reason and row.correction.is_identity for row in rows)
    assert all(row["status"] == "SKIPPED" and row["reason"] for row in read_table(made.combined(f"{name}_sky.ecsv")))
    # As in jwst, an exposure that nothing overlaps is compared with itself, resampled: hardly a pixel differs.
    assert max(row["fraction"] for row in read_table(made.combined(f"{name}_outliers.ecsv"))) < 0.001
    header = keywords(made, f"{name}_i2d.fits")
    assert header["NDRIZ"] == number
    assert max(header["NAXIS1"], header["NAXIS2"]) > 30 / 0.031
    # Each covers its own number of pixels, without the border of reference pixels.
    assert covered(made, name) == pytest.approx(number * 120 * 128, rel=0.03)
    crf = keywords(made, f"{root('apart', 1)}_{asn_id}_crf.fits")
    assert (crf["S_TWKREG"], crf["S_SKYMAT"], crf["S_OUTLIR"]) == ("FAILED", "SKIPPED", "COMPLETE")
    assert "BKGLEVEL" not in crf


def test_an_exposure_without_a_good_pixel_leaves_the_others(made):
    first, spoilt, third = alignment(made, "spoilt")
    assert (first.status, spoilt.status, third.status) == ("COMPLETE", "FAILED", "COMPLETE")
    assert "no stars" in spoilt.reason
    sky = {row["exposure"]: row["status"] for row in read_table(made.combined("spoilt_sky.ecsv"))}
    assert [sky[name] for name in (root("spoilt", 1), SPOILT, root("spoilt", 3))] == ["COMPLETE", "SKIPPED", "COMPLETE"]
    with fits.open(made.combined("spoilt_i2d.fits")) as hdus:
        context = hdus["CON"].data[0]
        assert np.count_nonzero(context & 0b101) > 17000
        assert np.count_nonzero(context & 0b010) == 0
    assert len(sources(made, "spoilt")) > 10


def test_no_stars(made):
    rows = alignment(made, "empty")
    assert [(row.status, row.stars) for row in rows] == [("FAILED", 0)] * 2
    assert statuses(made, "empty_i2d.fits") == ("FAILED", "COMPLETE", "COMPLETE", "COMPLETE")
    assert covered(made, "empty") > 17000


def test_no_sources(made):
    empty, full = sources(made, "empty"), sources(made, "single")
    assert len(empty) == 0
    assert empty.meta["status"] == "COMPLETE"
    assert empty.colnames == full.colnames
    assert [empty[name].unit for name in empty.colnames if name not in SKY] == [
        full[name].unit for name in full.colnames if name not in SKY
    ]
    assert not fits.getdata(made.combined("empty_segm.fits")).any()


SKY = ("sky_centroid", "sky_bbox_ll", "sky_bbox_ul", "sky_bbox_lr", "sky_bbox_ur")


def truth(workflow, scene):
    """Return right ascension, declination and flux of the stars of a scene."""
    table = Table.read(workflow.folder / f"scenes/{scene}/truth.ecsv", format="ascii.ecsv")
    return table[table["type"] == "star"]


def distances(workflow, name, scene):
    """Return the distance of each bright true star to the nearest source of the catalogue, arcsec."""
    stars = truth(workflow, scene)
    stars = stars[np.argsort(stars["flux"])[-15:]]
    found = sources(workflow, name)["sky_centroid"]
    return SkyCoord(stars["ra"], stars["dec"], unit="deg").match_to_catalog_sky(found)[1].arcsec


def test_right_ascension_zero_and_rotated_exposures(made):
    rows = alignment(made, "meridian")
    assert [row.status for row in rows] == ["COMPLETE"] * 3
    assert {row.footprint[0][0] > 180 for row in rows} | {row.footprint[2][0] > 180 for row in rows} == {True, False}
    header = keywords(made, "meridian_i2d.fits")
    # Rotated by 30 and 120 degrees, 128 x 136 pixels need at most the diagonal.
    assert max(header["NAXIS1"], header["NAXIS2"]) < 230
    found = sources(made, "meridian")["sky_centroid"].ra.deg
    assert np.any(found < 1)
    assert np.any(found > 359)
    assert np.median(distances(made, "meridian", "meridian")) < 0.01


def test_pole(made):
    assert [row.status for row in alignment(made, "pole")] == ["COMPLETE"] * 2
    header = keywords(made, "pole_i2d.fits")
    # North is another direction in each pixel: that of the grid may be off by any angle from that of the detector.
    assert max(header["NAXIS1"], header["NAXIS2"]) < np.hypot(128, 136) + 16
    assert np.median(distances(made, "pole", "pole")) < 0.01


def test_moving_target(made):
    mean = np.mean(TARGETS, axis=0)
    for number, target in enumerate(TARGETS, start=1):
        name = f"{root('moving', number)}_o006_crf.fits"
        header = keywords(made, name)
        assert (header["S_MTWCS"], header.get("S_TWKREG")) == ("COMPLETE", None)
        np.testing.assert_allclose([header["MT_AVRA"], header["MT_AVDEC"]], mean, rtol=1e-12)
        wcs = read_exposure(made.combined(name), with_wcs=True).wcs
        nominal = read_exposure(made.product(f"{root('moving', number)}_cal.fits"), with_wcs=True).wcs(60, 70)
        turn = find_row(alignment(made, "moving"), root("moving", number)).rotation_of_sky
        np.testing.assert_allclose(wcs(60, 70), turn(np.array(nominal)), atol=1e-12)
        np.testing.assert_allclose(turn(np.array(target)), mean, atol=1e-10)
        # The FITS keywords say the same as the gwcs, within a hundredth of a pixel of 0.03 arcsec.
        x, y = np.array([0.0, 60.0, 127.0]), np.array([0.0, 70.0, 127.0])
        in_fits = WCS(fits.getheader(made.combined(name), "SCI"), fix=False).all_pix2world(x, y, 0)
        np.testing.assert_allclose(in_fits, wcs(x, y), atol=3e-4 / 3600)
    assert keywords(made, "moving_i2d.fits")["S_MTWCS"] == "COMPLETE"


def test_common_grid(made):
    one, other = (keywords(made, f"{name}_i2d.fits") for name in ("pair", "other_filter"))
    same = "NAXIS1 NAXIS2 CRPIX1 CRPIX2 CRVAL1 CRVAL2 CDELT1 CDELT2 PC1_1 PC1_2 PC2_1 PC2_2 CTYPE1 CTYPE2".split()
    assert {k: one[k] for k in same} == {k: other[k] for k in same}
    assert (one["FILTER"], other["FILTER"]) == ("F200W", "F150W")
    assert (one["PC1_1"], one["PC2_2"]) == (-1.0, 1.0)  # north is up


def test_filter_without_aperture_correction_has_an_image_and_no_catalogue(made):
    table = sources(made, "other_filter")
    assert table.meta["status"] == "FAILED"
    assert "F150W" in table.meta["reason"]
    assert len(table) == 0
    assert table.colnames == sources(made, "pair").colnames
    assert covered(made, "other_filter") > 120 * 128


def check_maps(folder):
    """One is made of each grid, and again only if what it shows is another."""
    run = folder.run("map")
    assert run.code == 0, run.output
    number = run.rules["association_map"]
    assert run.rules == {"map": 1, "grid_map": 1, "association_map": number}
    shared = folder.folder / "results/map/grids/shared"
    data = (shared / "map.js").read_text()
    assert json.loads(data.removeprefix("const MAP = ").rstrip(";\n"))["pictures"][0]["name"] == "colour"
    assert len(list(shared.glob("layers/*/image/0/0_0.png"))) == 3
    assert folder.planned("map") == {}
    (shared / "index.html").unlink()
    assert folder.planned("map") == {"grid_map": 1, "map": 1}
    # A HiPS lies beside the maps, one of each image, and as the map of one is not made again for it.
    folder.config["map"] = {"hips": "fits"}
    assert folder.planned("map").keys() == {"association_hips", "grid_map", "map"}
    run = folder.run("results/hips/pair/properties")
    assert (run.code, run.rules) == (0, {"association_hips": 1}), run.output
    folder.config["map"] = {"hips": "png"}
    assert folder.planned("results/hips/pair/properties") == {"association_hips": 1}
    del folder.config["map"]


def test_a_common_grid_in_colour(made_copy):
    run = made_copy.run("colour")
    assert run.code == 0, run.output
    assert run.rules == {"colour": 1, "colour_picture": 1}
    numbers = json.loads((made_copy.folder / "results/colour/shared.json").read_text())
    assert [each["filter"] for each in numbers["filters"]] == ["F200W", "F150W", "F115W"]
    assert (made_copy.folder / "results/colour/shared.png").stat().st_size > 10_000
    check_maps(made_copy)
    made_copy.config |= {"grids": {"shared": {"associations": "pair", "rotation": 0.0}}}  # that of the copy
    run = made_copy.run("colour")
    assert run.code == 1
    assert "there is nothing to make a colour picture of: shared: a colour picture takes images in 3" in run.output


def test_nothing_to_do_afterwards(made):
    assert made.planned() == {}


def test_exposures_that_cannot_be_aligned_are_dropped(made_copy):
    made_copy.config["stage3"] = {"tweakreg": {"on_failure": "drop"}}
    run = made_copy.run("results/stage3/spoilt_i2d.fits")
    assert run.code == 0, run.output
    assert [row.used for row in alignment(made_copy, "spoilt")] == [True, False, True]
    assert keywords(made_copy, "spoilt_i2d.fits")["NDRIZ"] == 2
    assert len(fits.getdata(made_copy.combined("spoilt_i2d.fits"), "HDRTAB")) == 2
    assert keywords(made_copy, f"{SPOILT}_o006_crf.fits")["S_OUTLIR"] == "SKIPPED"


def test_exposures_that_cannot_be_aligned_stop_their_association(made_copy):
    made_copy.config["stage3"] = {"tweakreg": {"on_failure": "stop"}}
    run = made_copy.run("results/stage3/spoilt_i2d.fits", "results/stage3/pair_alignment.ecsv")
    assert run.code != 0
    assert run.rules == {"align": 1}  # the other association goes on
    assert re.search(rf"FAILED align spoilt: 1 of 3 exposures could not be aligned: {SPOILT}", run.output)
    assert "Traceback" not in run.output
