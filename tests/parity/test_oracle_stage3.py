"""calflow's stage 3 against jwst 3.0.0, whole and step by step on equal input: ``make parity``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from limits import (
    CATALOG_PIXELS,
    CATALOG_RELATIVE,
    FITS_PIXELS,
    FLUX_OF_ERR,
    I2D_OF_ERR,
    I2D_RELATIVE,
    I2D_SLIVERS,
    MISSING_IN_SEGM,
    MISSING_KEYWORDS,
    OUTLIERS,
    ROOT,
    SKY_MAS,
    SKY_OF_NOISE,
    jwst_python,
    run_calflow,
    same_value,
)
from oracle import (
    MARKS,
    calibrated_by_jwst,
    combined_by_jwst,
    oracle,
    product_and_exposures,
    references,
    run,
    simulated,
    stage3_association,
)

pytestmark = MARKS

CASES = ["miri", "nircam_sw", "nircam_lw", "niriss", "subarray", "mosaic"]
# From the count rates by calflow alone, and from jwst's calibrated exposures.
CHAINS = [(case, "small", "rate") for case in CASES]
CHAINS += [(case, "small", "cal") for case in ("miri", "nircam_sw", "mosaic")]
# subarray is the same in both sizes.
CHAINS += [(case, "full", start) for case in CASES if case != "subarray" for start in ("rate", "cal")]
# Whose single steps are compared: with many sources, and with several detectors per exposure.
STEPWISE = ["miri", "nircam_sw", "mosaic"]
FLOATS = ("SCI", "ERR", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")
AS_JWST = {"tweakreg": {"robust": False}}
# Of the run, not of the data. That jwst keeps its intermediate products here changes the names of its _crf, and it
# names the star lists.
NOT_COMPARED = {"FILENAME", "TCATFILE", "DATE", "CAL_VER", "CAL_VCS", "CHECKSUM", "DATASUM", "EXTVER"}
# One flagged pixel touches so many of the image.
TOUCHED = 16


@pytest.fixture(scope="module", params=CHAINS, ids="-".join)
def chain(request, tmp_path_factory):
    """All of stage 3 by both sides: folders with the same file names, and the oracle's report on them."""
    case, size, start = request.param
    data = simulated(case, size)
    folder = tmp_path_factory.mktemp(f"{case}_{size}_{start}")
    theirs = named_as_ours(data, folder / "jwst", intermediate=size == "small")
    if start == "rate":
        associations = [str(data / "rate" / "jw*_image2_asn.json"), str(stage3_association(data))]
    else:
        associations = [str(with_members(data, folder / "input", "cal"))]
    ours = combined_by_calflow(folder / "calflow", data, associations)
    report = folder / "compare.json"
    oracle("compare.py", theirs, ours, "--json", report, "--match", "jw*")
    yield Both(theirs, ours, json.loads(report.read_text())["files"])
    shutil.rmtree(folder)


class Both:
    """The two folders of products of stage 3 and the oracle's report on them."""

    def __init__(self, theirs: Path, ours: Path, report: dict):
        self.theirs, self.ours, self.report = theirs, ours, report

    def files(self, suffix: str) -> dict[str, dict]:
        return {name: file for name, file in self.report.items() if name.endswith(suffix)}

    def planes(self, name: str, plane: str) -> tuple[np.ndarray, np.ndarray]:
        theirs, ours = (fits.getdata(folder / name, plane) for folder in (self.theirs, self.ours))
        return theirs, ours

    def differently_flagged(self) -> int:
        """Return how many pixels only one side has flagged."""
        return sum(int(np.sum(np.not_equal(*self.planes(name, "DQ")))) for name in self.files("_crf.fits"))


def named_as_ours(data: Path, folder: Path, intermediate: bool) -> Path:
    """Link jwst's products of stage 3 into a folder, with the names they have without intermediate products."""
    products = combined_by_jwst(data, intermediate)
    product, exposures = product_and_exposures(stage3_association(data))
    folder.mkdir(parents=True)
    for number, exposure in enumerate(exposures):
        kept = f"{product}_{number}_o001_crf.fits" if intermediate else f"{exposure}_o001_crf.fits"
        (folder / f"{exposure}_o001_crf.fits").symlink_to(products / kept)
    for name in (f"{product}_i2d.fits", f"{product}_segm.fits", f"{product}_cat.ecsv"):
        (folder / name).symlink_to(products / name)
    return folder


def with_members(data: Path, folder: Path, step: str) -> Path:
    """Make a folder with an association whose ``_cal`` files are what jwst has after a step; return the association."""
    product, exposures = product_and_exposures(stage3_association(data))
    folder.mkdir(parents=True)
    for number, exposure in enumerate(exposures):
        name = {
            "cal": f"{exposure}_cal.fits",
            "tweakreg": f"{exposure}_tweakreg.fits",
            "skymatch": f"{product}_{number}_skymatch.fits",
            "crf": f"{product}_{number}_o001_crf.fits",
        }[step]
        products = calibrated_by_jwst(data) if step == "cal" else combined_by_jwst(data)
        (folder / f"{exposure}_cal.fits").symlink_to(products / name)
    return Path(shutil.copy(stage3_association(data), folder))


def combined_by_calflow(folder, data, associations, skip=(), targets=()):
    """Return the folder of calflow's products of stage 3, made as jwst makes them."""
    stage3 = AS_JWST | {step: {"skip": True} for step in skip}
    config = {"associations": associations, "references": references(data), "stage3": stage3}
    stage2 = {"stage2": {"resample": {"skip": True}}} if "rate" in associations[0] else {}
    return run_calflow(folder, config | stage2, targets).parent / "stage3"


def test_alignment_and_keywords_of_exposures(chain):
    for name, file in chain.files("_crf.fits").items():
        assert (file["hdus_missing"], file["hdus_extra"]) == ([], []), name
        check_sky_positions(chain, name, file)
        check_keywords(file, name, besides={"BKGLEVEL"})


def test_sky_levels(chain):
    for name in chain.files("_crf.fits"):
        theirs, ours = (fits.getval(folder / name, "BKGLEVEL") for folder in (chain.theirs, chain.ours))
        noise = np.nanmedian(fits.getdata(chain.theirs / name, "ERR"))
        assert abs(ours - theirs) <= SKY_OF_NOISE * noise, name


def test_outliers(chain):
    pixels = sum(fits.getdata(chain.theirs / name, "DQ").size for name in chain.files("_crf.fits"))
    assert chain.differently_flagged() < OUTLIERS * pixels


def test_image(chain):
    ((name, file),) = chain.files("_i2d.fits").items()
    assert (file["hdus_missing"], file["hdus_extra"]) == ([], []), name
    check_sky_positions(chain, name, file)
    pixels = fits.getdata(chain.theirs / name, "SCI").size
    touched = int(I2D_SLIVERS * pixels) + TOUCHED * chain.differently_flagged()
    check_image(chain.theirs / name, chain.ours / name, touched)


def test_keywords_of_image(chain):
    ((name, file),) = chain.files("_i2d.fits").items()
    check_keywords(file, name)
    table = file["HDRTAB"]
    # The quick looks, which are skipped here, are not in jwst's headers.
    assert (table["missing_columns"], set(table["extra_columns"]) - {"S_RESAMP"}) == ([], set())
    theirs, ours = (fits.getdata(folder / name, "HDRTAB") for folder in (chain.theirs, chain.ours))
    for column in set(table["columns_differ"]) - NOT_COMPARED - {"BKGLEVEL"}:
        pairs = zip(theirs[column].tolist(), ours[column].tolist(), strict=True)
        assert [pair for pair in pairs if not same_value(column, *pair)] == [], column


def test_catalog(chain):
    from astropy.table import QTable

    ((name, report),) = chain.files("_cat.ecsv").items()
    assert (report["missing"], report["extra"], report["missing_columns"], report["extra_columns"]) == (0, 0, [], [])
    theirs, ours = (QTable.read(folder / name) for folder in (chain.theirs, chain.ours))
    ((image, _),) = chain.files("_i2d.fits").items()
    too_much = background_beyond_the_edge(theirs, fits.getdata(chain.theirs / image, "SCI").shape)
    for column in ("aper30_flux", "aper50_flux", "aper70_flux", "aper_total_flux", "isophotal_flux"):
        expected = theirs[column] + too_much.get(column, 0 * theirs[column])
        allowed = CATALOG_RELATIVE * np.abs(expected) + FLUX_OF_ERR * theirs[f"{column}_err"]
        np.testing.assert_array_equal(np.isnan(ours[column]), np.isnan(expected), err_msg=column)
        wrong = np.abs(ours[column] - expected) > allowed
        assert not wrong.any(), (column, ours[column][wrong], expected[wrong], allowed[wrong])
    for column in ("xcentroid", "ycentroid"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=0, atol=CATALOG_PIXELS)
    ((name, file),) = chain.files("_segm.fits").items()
    assert file["SCI"]["pixels_differ"] == 0
    check_keywords(file, name, besides=set(MISSING_IN_SEGM))


def background_beyond_the_edge(catalog, shape):
    """Return by column the background that jwst subtracts of the parts of apertures that lie beyond the image."""
    from photutils.aperture import CircularAperture

    parameters = catalog.meta["aperture_params"]
    centres = np.transpose([catalog["xcentroid"], catalog["ycentroid"]])
    centres = np.asarray(getattr(centres, "value", centres))
    names = "aperture_ee", "aperture_radii", "aperture_corrections"
    found = {}
    for ee, radius, correction in zip(*(np.asarray(parameters[name]) for name in names), strict=True):
        circle = CircularAperture(centres, float(radius))
        found[f"aper{ee}_flux"] = catalog["aper_bkg_flux"] * (circle.area - circle.area_overlap(np.ones(shape)))
        found["aper_total_flux"] = found[f"aper{ee}_flux"] * correction  # that of the largest is the last one
    return found


@pytest.mark.parametrize("case", STEPWISE)
def test_sky_of_exposures_that_jwst_aligned(case, tmp_path):
    data = simulated(case)
    product, exposures = product_and_exposures(stage3_association(data))
    association = with_members(data, tmp_path / "input", "tweakreg")
    target = f"results/stage3/{product}_sky.ecsv"
    combined_by_calflow(tmp_path, data, [str(association)], ["tweakreg"], [target])
    from astropy.table import Table

    levels = Table.read(tmp_path / target)
    for number, (exposure, level) in enumerate(zip(exposures, levels["level"], strict=True)):
        with fits.open(combined_by_jwst(data) / f"{product}_{number}_skymatch.fits") as hdus:
            noise = np.nanmedian(hdus["ERR"].data)
            assert abs(level - hdus[0].header["BKGLEVEL"]) <= 1e-6 * noise, exposure


@pytest.mark.parametrize("case", STEPWISE)
def test_outliers_of_exposures_whose_sky_jwst_has_matched(case, tmp_path):
    data = simulated(case)
    product, exposures = product_and_exposures(stage3_association(data))
    association = with_members(data, tmp_path / "input", "skymatch")
    targets = [f"results/stage3/{exposure}_o001_crf.fits" for exposure in exposures]
    combined_by_calflow(tmp_path, data, [str(association)], ["tweakreg", "skymatch"], targets)
    different = pixels = 0
    for number, target in enumerate(targets):
        theirs = fits.getdata(combined_by_jwst(data) / f"{product}_{number}_o001_crf.fits", "DQ")
        different += np.sum(theirs != fits.getdata(tmp_path / target, "DQ"))
        pixels += theirs.size
    assert different < OUTLIERS * pixels


@pytest.mark.parametrize("case", STEPWISE)
def test_image_of_exposures_that_jwst_flagged_and_catalog_of_its_image(case, tmp_path):
    data = simulated(case)
    product, _ = product_and_exposures(stage3_association(data))
    association = with_members(data, tmp_path / "input", "crf")
    theirs = combined_by_jwst(data)
    image = tmp_path / "results" / "stage3" / f"{product}_i2d.fits"
    skip = ["tweakreg", "skymatch", "outlier_detection"]
    combined_by_calflow(tmp_path, data, [str(association)], skip, [f"results/stage3/{image.name}"])
    check_image(theirs / image.name, image)

    # Newer than what it would be made of: only the catalogue is made.
    shutil.copyfile(theirs / image.name, image)
    catalog = f"{product}_cat.ecsv"
    combined_by_calflow(tmp_path, data, [str(association)], skip, [f"results/stage3/{catalog}"])
    np.testing.assert_array_equal(fits.getdata(image), fits.getdata(theirs / image.name))
    oracle("compare.py", theirs, image.parent, "--json", tmp_path / "compare.json", "--match", f"{product}_[cs]*")
    report = json.loads((tmp_path / "compare.json").read_text())["files"]
    check_catalog(report[catalog], theirs / catalog, image.parent / catalog)
    assert report[f"{product}_segm.fits"]["SCI"]["pixels_differ"] == 0


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """What jwst makes of calflow's products: the folders of calflow's results and of jwst's."""
    data = simulated("nircam_sw")
    folder = tmp_path_factory.mktemp("exchanged")
    associations = [str(data / "rate" / "jw*_image2_asn.json"), str(stage3_association(data))]
    ours = combined_by_calflow(folder / "calflow", data, associations)
    python = jwst_python()
    assert python is not None, "without jwst these tests are skipped"
    script = ROOT / "tests" / "parity" / "jwst_products.py"
    run([python, *map(str, (script, data, ours, stage3_association(data), folder / "jwst"))])
    return data, ours, folder / "jwst"


def test_jwst_opens_our_products(exchanged):
    _, ours, theirs = exchanged
    opened = json.loads((theirs / "opened.json").read_text())
    assert {name: file["model"] for name, file in opened.items()} == {
        path.name: "SegmentationMapModel" if path.stem.endswith("_segm") else "ImageModel"
        for path in ours.glob("*.fits")
    }
    moved = [file for name, file in opened.items() if name.endswith("_crf.fits") and "v2v3corr" in file["frames"]]
    assert len(moved) == 3
    for name, file in opened.items():
        header = fits.getheader(ours / name, "SCI")
        from astropy.wcs import WCS

        pixels = WCS(header).all_world2pix(*file["sky"], 0)
        assert np.abs(pixels - np.array([file["x"], file["y"]])).max() < 2 * FITS_PIXELS, name
        assert file["round_trip"] < 0.5, name


def test_jwst_resamples_our_flagged_exposures_to_the_same_image(exchanged):
    _, ours, theirs = exchanged
    (image,) = ours.glob("*_i2d.fits")
    (resampled,) = theirs.glob("*_resamplestep.fits")
    check_image(resampled, image)


def test_jwst_finds_the_same_sources_in_our_image(exchanged, tmp_path):
    _, ours, theirs = exchanged
    oracle("compare.py", theirs, ours, "--json", tmp_path / "compare.json", "--match", "*_[cs]*")
    report = json.loads((tmp_path / "compare.json").read_text())["files"]
    checked = {name.rpartition("_")[2] for name in report}
    assert checked >= {"cat.ecsv", "segm.fits"}
    for name, file in report.items():
        if name.endswith("_cat.ecsv"):
            check_catalog(file, theirs / name, ours / name)
        if name.endswith("_segm.fits"):
            assert file["SCI"]["pixels_differ"] == 0


def test_images_of_groups(tmp_path):
    data = simulated("nircam_sw")
    associations = [str(with_members(data, tmp_path / "input", "cal"))]
    config = {"associations": associations, "references": references(data)}
    ours = run_calflow(tmp_path, config | {"stage3": AS_JWST | {"resample": {"single": True}}}).parent / "stage3"
    for path in calibrated_by_jwst(data).glob("*_cal.fits"):
        shutil.copy(path, tmp_path)
    oracle("run_jwst.py", data, tmp_path, "--stage", 3, "--set", "resample.single=true")
    images = sorted((tmp_path / "l3").glob("*_i2d.fits"))
    assert len(images) == 4
    for image in images:
        check_image(image, ours / image.name, planes=("SCI", "ERR"))


def test_stage_3_of_jwst_makes_the_same_of_our_calibrated_exposures(exchanged, tmp_path):
    data, ours, _ = exchanged
    for path in (ours.parent / "stage2").glob("*_cal.fits"):
        shutil.copy(path, tmp_path)
    oracle("run_jwst.py", data, tmp_path, "--stage", 3)
    (image,) = ours.glob("*_i2d.fits")
    check_image(tmp_path / "l3" / image.name, image)


# Exposures that were moved. The pixel scale of the grid is that of the first one: jwst takes it where the moved
# exposure shows its nominal reference point, calflow at the reference point itself, where the pixel always is.


def test_moving_target(tmp_path):
    """jwst adds constants to right ascension and declination; calflow turns the sky."""
    data = simulated("nircam_lw")
    association = with_members(data, tmp_path / "jwst", "cal")
    product, exposures = product_and_exposures(association)
    first = fits.getheader(tmp_path / "jwst" / f"{exposures[0]}_cal.fits", "SCI")
    # 4 arcsec further in each exposure, and some to the north.
    step = np.array([4.0 / np.cos(np.radians(first["DEC_REF"])), 1.5]) / 3600
    targets = [np.array([first["RA_REF"], first["DEC_REF"]]) + number * step for number in range(len(exposures))]
    for exposure, target in zip(exposures, targets, strict=True):
        path = tmp_path / "jwst" / f"{exposure}_cal.fits"
        copied = path.read_bytes()
        path.unlink()  # a link to what is kept
        path.write_bytes(copied)
        with fits.open(path, mode="update") as hdus:
            hdus[0].header["TARGTYPE"] = "MOVING"
            hdus["SCI"].header["MT_RA"], hdus["SCI"].header["MT_DEC"] = target
    oracle("run_jwst.py", data, tmp_path / "jwst", "--stage", 3)
    ours = combined_by_calflow(tmp_path / "calflow", data, [str(association)])

    for exposure, target in zip(exposures, targets, strict=True):
        crf = f"{exposure}_o001_crf.fits"
        nominal = sky_positions(tmp_path / "jwst" / f"{exposure}_cal.fits")
        theirs, mine = (sky_positions(folder / crf) for folder in (tmp_path / "jwst" / "l3", ours))
        np.testing.assert_allclose(
            theirs - nominal, np.broadcast_to(np.mean(targets, axis=0) - target, (49, 2)), atol=1e-11
        )
        assert abs(distances(mine) - distances(nominal)).max() < 1e-6
        # 6.4 arcsec of motion, in a field that lies up to 100 arcsec from its reference point, in radians.
        assert abs(distances(theirs, mine)).max() < 6.4 * 100 / 206265
        header, other = (fits.getheader(folder / crf, "SCI") for folder in (tmp_path / "jwst" / "l3", ours))
        for keyword in ("MT_AVRA", "MT_AVDEC"):
            assert abs(header[keyword] - other[keyword]) * 3600 < 0.01
    check_grids(tmp_path / "jwst" / "l3", ours, product, scale=2e-3, pixels=2)


def test_exposures_brought_to_a_catalogue(tmp_path):
    from astropy.table import Table

    from calflow.files.alignment_tables import read_alignment

    data = simulated("nircam_lw")
    sources = json.loads((data / "truth.json").read_text())["sources"]
    stars = np.array([[each["ra"], each["dec"]] for each in sources if each["type"] == "star"])
    catalogue = tmp_path / "catalogue.ecsv"
    moved = stars + np.array([0.5 / np.cos(np.radians(stars[0, 1])), -0.3]) / 3600
    Table(moved, names=("RA", "DEC")).write(catalogue)
    association = with_members(data, tmp_path / "jwst", "cal")
    product, exposures = product_and_exposures(association)
    # In the order of the association: else, of groups with nearly the same overlap, another one may lead.
    tweakreg = {"abs_refcat": str(catalogue), "enforce_user_order": True}
    settings = [argument for name, value in tweakreg.items() for argument in ("--set", f"tweakreg.{name}={value}")]
    oracle("run_jwst.py", data, tmp_path / "jwst", "--stage", 3, *settings)
    config = {
        "associations": [str(association)],
        "references": references(data),
        "stage3": {"tweakreg": AS_JWST["tweakreg"] | tweakreg},
    }
    ours = run_calflow(tmp_path / "calflow", config).parent / "stage3"
    turns = np.array([row.rotation for row in read_alignment(ours / f"{product}_alignment.ecsv")])
    for exposure, turn in zip(exposures, np.abs(np.radians(turns - turns[0])), strict=True):
        crf = f"{exposure}_o001_crf.fits"
        theirs, mine = (sky_positions(folder / crf) for folder in (tmp_path / "jwst" / "l3", ours))
        # jwst turns the shift to the catalogue by the rotation that the exposure needed before.
        assert 1e3 * distances(theirs, mine).max() < SKY_MAS + 1.05 * turn * 583
    check_grids(tmp_path / "jwst" / "l3", ours, product, scale=2e-4, pixels=0)


def sky_positions(path):
    """Return right ascension and declination of 7 x 7 pixels of an exposure, degrees, shape (49, 2)."""
    from calflow.files.exposure import read_exposure

    wcs = read_exposure(path, with_wcs=True).wcs
    (xmin, xmax), (ymin, ymax) = wcs.bounding_box.bounding_box(order="F")
    x, y = np.meshgrid(np.linspace(xmin, xmax, 7), np.linspace(ymin, ymax, 7))
    return np.stack(wcs(x.ravel(), y.ravel(), with_bounding_box=False), axis=-1)


def distances(sky, other=None):
    """Return the distances, arcsec, of positions from others, or from the first one."""
    from calflow.science.geometry.sky_rotation import to_cartesian

    return 3600 * np.degrees(
        np.linalg.norm(to_cartesian(sky) - to_cartesian(sky[:1] if other is None else other), axis=-1)
    )


def check_grids(theirs, ours, product, scale, pixels):
    """Check that the grids agree but for the pixel scale, and that ours has that of exposures that were not moved."""
    grid, mine = (fits.getheader(folder / f"{product}_i2d.fits", "SCI") for folder in (theirs, ours))
    assert 0 < abs(mine["CDELT1"] / grid["CDELT1"] - 1) < scale
    for axis in (1, 2):
        assert abs(mine[f"CRVAL{axis}"] - grid[f"CRVAL{axis}"]) * 3600 < 0.01
        assert abs(mine[f"NAXIS{axis}"] - grid[f"NAXIS{axis}"]) <= pixels
        assert mine[f"PC1_{axis}"] == pytest.approx(grid[f"PC1_{axis}"], abs=1e-9)


def check_sky_positions(chain, name, file):
    wcs = file["wcs"]
    assert wcs["ref_gwcs_vs_mine_gwcs_mas"]["max"] <= SKY_MAS, (name, wcs)
    pixel_mas = 1e3 * np.sqrt(fits.getval(chain.theirs / name, "PIXAR_A2", extname="SCI"))
    assert wcs["ref_fits_vs_mine_fits_mas"]["max"] <= FITS_PIXELS * pixel_mas, (name, wcs)
    assert wcs["ref_frames"] == wcs["mine_frames"], name
    assert wcs["ref_bbox"] == wcs["mine_bbox"], name


def check_keywords(file, name, besides=frozenset()):
    for extension, header in file["headers"].items():
        assert set(header["missing"]) <= NOT_COMPARED | set(MISSING_KEYWORDS) | besides, (name, extension)
        different = {
            key: pair
            for key, pair in header["differ"].items()
            if key not in NOT_COMPARED | besides and not same_value(key, *pair)
        }
        assert different == {}, (name, extension)


def check_image(theirs, ours, touched=0, planes=FLOATS):
    """Check the planes of a combined image; `touched` pixels may differ."""
    with fits.open(theirs) as reference, fits.open(ours) as mine:
        np.testing.assert_array_equal(mine["CON"].data, reference["CON"].data)
        for plane in planes:
            assert mine[plane].shape == reference[plane].shape, plane
            np.testing.assert_array_equal(np.isnan(mine[plane].data), np.isnan(reference[plane].data), err_msg=plane)
        weight = reference["WHT"].data
        scales = {name: reference[name].data for name in planes[1:]}
        scales |= {"SCI": reference["ERR"].data, "WHT": np.maximum(weight, np.median(weight[weight > 0]))}
        for plane, scale in scales.items():
            difference = np.abs(mine[plane].data - reference[plane].data)
            limit = I2D_OF_ERR if plane == "SCI" else I2D_RELATIVE
            wrong = difference > limit * scale
            assert wrong.sum() <= touched, (plane, wrong.sum(), np.nanmax(difference[wrong] / scale[wrong]))


def check_catalog(report, theirs, ours):
    """Check a catalogue against that of jwst, whose apertures over the edge of the image are expected as ours are."""
    from astropy.table import QTable

    name = theirs.name
    assert (report["missing"], report["extra"]) == (0, 0), name
    assert (report["missing_columns"], report["extra_columns"]) == ([], [])
    assert report["column_order_same"]
    shape = fits.getdata(ours.with_name(name.replace("_cat.ecsv", "_i2d.fits")), "SCI").shape
    theirs, ours = QTable.read(theirs), QTable.read(ours)
    beyond = background_beyond_the_edge(theirs, shape)
    inside = beyond["aper_total_flux"] == 0  # in apertures of all sizes
    for column, found in report["columns"].items():
        assert found.get("nan_disagree", 0) == 0, (name, column)
        if column in beyond:
            expected = theirs[column] + beyond[column]
            wrong = np.abs(ours[column] - expected) > CATALOG_RELATIVE * np.abs(expected)
            assert not wrong.any(), (name, column, ours[column][wrong], expected[wrong])
        elif column.startswith(("aper", "CI_")) and "flux" not in column:  # magnitudes and ratios of these fluxes
            difference = np.abs(ours[column] - theirs[column])[inside]
            scale = np.abs(theirs[column])[inside] if column.startswith("CI_") else 1
            assert not np.any(difference > CATALOG_RELATIVE * scale), (name, column)
        elif "flux" in column:
            assert found["max_rel"] <= CATALOG_RELATIVE, (name, column, found)
        elif "mag" in column:
            assert found["max_abs"] <= CATALOG_RELATIVE, (name, column, found)
        elif column in ("xcentroid", "ycentroid"):
            assert found["max_abs"] <= CATALOG_PIXELS, (name, column, found)
        elif column in ("is_extended", "nn_label", "isophotal_area"):
            assert found.get("n_differ", found.get("max_abs")) == 0, (name, column, found)
