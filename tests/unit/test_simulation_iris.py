"""The simulated fields of IRIS: same seed, same bytes; pixels, headers and references agree with the truth."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

import simulate_iris_demo
from calflow.instruments.iris import simulation
from calflow.instruments.iris.simulation import IRIS_K, IrisField, simulate_iris
from calflow.science.dq_flags import FLAGS, remap_flags
from calflow.science.windows import Window
from calflow.simulation import Scene
from calflow.simulation.geometry import Geometry
from calflow.simulation.rendering import render_sources

SHAPE = (90, 110)
SATURATED_AND_UNUSABLE = FLAGS["SATURATED"] | FLAGS["DO_NOT_USE"]


def field(seed=3, **changes):
    """Return two dithered exposures of a saturated star; in the second it has a subarray."""
    scene = Scene(
        IRIS_K,
        detector_shape=SHAPE,
        exposures=2,
        backgrounds=2,
        stars=3,
        galaxies=2,
        pointing_error=0.01,
        cosmic_rays=0.0,
        bad_pixels=0.01,
        roll=30.0,
        seed=seed,
    )
    options = {"bright_stars": [(50.2, 40.7, 20.0)], "subarrays": 1, "subarray_exposures": [2], "subarray_size": 24}
    return IrisField(scene, **{**options, **changes})


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return simulate_iris(tmp_path_factory.mktemp("iris"), field())


def planes(truth, index):
    """Return the header and the planes of the `index`-th exposure."""
    with fits.open(truth.path(truth.exposures[index])) as hdus:
        return hdus[0].header, {hdu.name: hdu.data.astype(hdu.data.dtype.newbyteorder("=")) for hdu in hdus[1:]}


def reference(truth, reftype):
    """Return SCI and the flags, in the bits of the standard table, of a reference file."""
    with fits.open(truth.references[reftype]) as hdus:
        flags = hdus["DQ"].data
        if "DQ_DEF" in hdus:
            rows = hdus["DQ_DEF"].data
            flags = remap_flags(flags, dict(zip(rows["VALUE"].tolist(), rows["NAME"].tolist(), strict=True)))
        return hdus["SCI"].data.astype("f4"), flags


def calibrated(truth, index):
    """Return an exposure after the steps of stage 2, written out: background, dark, flat; with header and flags."""
    header, image = planes(truth, index)
    window = Window(*(header[f"{name}{axis}"] for name in ("SUBSTRT", "SUBSIZE") for axis in (1, 2)))
    cut = truth.field.scene.full_frame.slices(window)
    dark, flat = np.nan_to_num(reference(truth, "dark")[0]), reference(truth, "flat")[0]
    backgrounds = [i for i, planned in enumerate(truth.exposures) if planned.exposure.background]
    background = np.nanmean([planes(truth, i)[1]["SCI"] for i in backgrounds], axis=0)
    flat = np.where(flat > 0, flat, 1)
    return header, (image["SCI"] - background[cut] - dark[cut]) / flat[cut], image["DQ"]


def digests(directory: Path):
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_the_same_bytes(tmp_path, truth):
    simulate_iris(tmp_path, truth.field)
    assert digests(tmp_path) == digests(truth.directory)
    # Two full frames, a subarray, two backgrounds; three references, three associations, two files of truth.
    assert len(digests(tmp_path)) == 5 + 3 + 3 + 2


def test_another_seed_gives_other_pixels(tmp_path, truth):
    other = simulate_iris(tmp_path, field(seed=4))
    assert np.mean(planes(other, 0)[1]["SCI"] == planes(truth, 0)[1]["SCI"]) < 0.01


def test_files_are_valid_fits_of_the_layout_with_keywords_in_the_primary_header(truth):
    for planned in truth.exposures:
        with fits.open(truth.path(planned)) as hdus:
            hdus.verify("exception")
            names = [hdu.name for hdu in hdus]
            assert names == ["PRIMARY", "SCI", "ERR", "DQ", *(["SUBARR_MAP"] if planned.concurrent else [])]
            assert [hdu.data.dtype.name for hdu in hdus[1:4]] == ["float32", "float32", "uint32"]
            header = hdus[0].header
        assert (header["TELESCOP"], header["INSTRUME"], header["DETECTOR"]) == ("TMT", "IRIS", "IRIS1")
        assert (header["FILTER"], header["PUPIL"], header["EXP_TYPE"]) == ("K", "CLEAR", "IRIS_IMAGE")
        assert (header["DATE-OBS"], header["RADECSYS"]) == ("2023-03-12", "ICRS")
        assert ("S_DARK" in header) == planned.exposure.background


def test_full_frame_and_subarray_say_where_they_are(truth):
    full, sub = planes(truth, 1)[0], planes(truth, 2)[0]
    assert (full["SUBARRAY"], full["SUBARRID"], sub["SUBARRAY"], sub["SUBARRID"]) == ("FULL", 0, "CUSTOM", 1)
    assert [full[name] for name in ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")] == [1, 1, 110, 90]
    (window,) = truth.exposures[1].concurrent
    assert [sub[name] for name in ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")] == list(window.numbers)
    assert full["CRPIX1"] - sub["CRPIX1"] == sub["SUBSTRT1"] - 1
    assert full["DATE-OBS"] + full["TIME-OBS"] == sub["DATE-OBS"] + sub["TIME-OBS"]
    assert (full["NINTS"], sub["NINTS"]) == (1, 150)


def test_header_wcs_is_the_geometry_of_the_pixels(truth):
    """Within 2e-5 pixel, but for the error of the pointing, which the header does not tell."""
    for planned in truth.exposures[:3]:
        header = fits.getheader(truth.path(planned))
        del header["NAXIS"], header["RADECSYS"]  # astropy warns: no pixels here, and a keyword of former times
        wcs = WCS(header, fix=False)
        ny, nx = planned.window.ny, planned.window.nx
        corners = np.array([[-0.5, -0.5], [nx - 0.5, -0.5], [nx - 0.5, ny - 0.5], [12.25, 7.5]])
        believed = Geometry(planned.exposure.geometry.optics, planned.window, planned.exposure.nominal)
        sky = np.column_stack(believed.to_sky(*corners.T))
        np.testing.assert_allclose(wcs.all_world2pix(sky, 0), corners, atol=2e-5)
        assert np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))) * 3600 == pytest.approx(0.004, rel=1e-9)
    first, second = (planned.exposure for planned in truth.exposures[:2])
    assert first.geometry.pointing == first.nominal
    assert first.geometry.pointing != second.geometry.pointing != second.nominal


def test_rotation_is_in_the_pc_matrix(truth):
    header = planes(truth, 0)[0]
    # Position angle 30 degrees of the y axis; x to the right of it is 60 degrees north of west.
    matrix = [header[f"PC{i}_{j}"] for i in (1, 2) for j in (1, 2)]
    np.testing.assert_allclose(matrix, [-np.sqrt(0.75), 0.5, 0.5, np.sqrt(0.75)], rtol=1e-12)
    assert header["CDELT1"] == header["CDELT2"] == pytest.approx(0.004 / 3600)


def test_bright_star_saturates_except_in_its_subarray(truth):
    sources, star = truth.sources, truth.exposures[0]
    x, y = star.exposure.geometry.to_pixel(sources["ra"][0], sources["dec"][0])
    _, image = planes(truth, 0)
    core = np.s_[round(float(y)), round(float(x))]
    assert image["DQ"][core] & SATURATED_AND_UNUSABLE == SATURATED_AND_UNUSABLE
    assert np.isnan(image["SCI"][core])
    _, sub = planes(truth, 2)
    assert not np.any(sub["DQ"] & FLAGS["SATURATED"])
    # 20 full wells in 60 s, 45000 DN each, on a pixel of about average response.
    assert np.nanmax(sub["SCI"]) == pytest.approx(20 * 45000 / 60, rel=0.3)


def test_full_frame_has_no_data_in_its_subarray(truth):
    _, image = planes(truth, 1)
    (window,) = truth.exposures[1].concurrent
    inside = np.zeros(SHAPE, bool)
    inside[truth.field.scene.full_frame.slices(window)] = True
    np.testing.assert_array_equal(image["SUBARR_MAP"], inside.astype(np.uint16))
    assert np.all(np.isnan(image["SCI"][inside]))
    assert np.mean(np.isnan(image["SCI"][~inside])) < 0.01
    assert "SUBARR_MAP" not in planes(truth, 0)[1]


def test_subarray_and_full_frame_show_the_same_sources(truth):
    """What the chain of stage 2 leaves is the light of the sources, within the noise that ERR tells."""
    for index in (1, 2):
        geometry = truth.exposures[index].exposure.geometry
        _, cal, flags = calibrated(truth, index)
        residual = cal - render_sources(truth.sources, geometry) / IRIS_K.photmjsr
        deviation = ((residual - np.nanmedian(residual)) / planes(truth, index)[1]["ERR"])[flags == 0]
        assert np.nanmedian(residual) == pytest.approx(0, abs=0.15)  # the skies differ
        low, high = np.nanpercentile(deviation, [16, 84])
        assert (high - low) / 2 == pytest.approx(1, abs=0.25)


def test_noise_of_a_subarray_grows_with_the_number_of_integrations(tmp_path):
    """ERR**2 = rate / (gain T) + n (read noise / T)**2 for n integrations in the time T."""
    scene = Scene(IRIS_K, detector_shape=SHAPE, exposures=1, stars=0, galaxies=0, bad_pixels=0, seed=1)
    quiet = IrisField(scene, [(50, 40, 0.0)], subarrays=1, subarray_exposures=[1], subarray_time=0.4)
    truth = simulate_iris(tmp_path, quiet)
    _, sub = planes(truth, 1)
    read = np.nanmedian(sub["ERR"] ** 2 - sub["SCI"] / (2.2 * 60))
    assert read == pytest.approx(150 * (1.2 / 60) ** 2, rel=0.02)


def test_background_has_no_dark_and_its_own_sky(tmp_path, truth):
    iris = field(background_level=0.5)
    dimmer = simulate_iris(tmp_path, iris)
    flat = reference(dimmer, "flat")[0]
    good = (reference(dimmer, "dark")[1] == 0) & (reference(dimmer, "flat")[1] == 0) & (flat > 0)
    sky = IRIS_K.sky / IRIS_K.photmjsr
    levels = [np.nanmedian(planes(t, -1)[1]["SCI"][good] / flat[good]) for t in (truth, dimmer)]
    assert levels == pytest.approx([sky, 0.5 * sky], rel=0.03)


def test_chain_of_stage_2_leaves_the_difference_of_the_skies(tmp_path):
    scene = Scene(IRIS_K, detector_shape=SHAPE, exposures=1, backgrounds=2, stars=0, galaxies=0, bad_pixels=0, seed=1)
    truth = simulate_iris(tmp_path, IrisField(scene))
    _, cal, flags = calibrated(truth, 0)
    science, *backgrounds = (planned.exposure.sky / IRIS_K.photmjsr for planned in truth.exposures)
    # 0.27 DN/s is the noise of a pixel; the average of the backgrounds adds half of its square.
    good = flags == 0
    expected = pytest.approx(science - np.mean(backgrounds), abs=5 * 0.27 / np.sqrt(good.sum()))
    assert np.nanmedian(cal[good]) == expected
    assert np.nanstd(cal[good & (np.abs(cal) < 3)]) == pytest.approx(0.27, rel=0.1)


def test_references_have_every_kind_of_bad_pixel(truth):
    dark, dark_flags = reference(truth, "dark")
    flat, flat_flags = reference(truth, "flat")
    for name in ("HOT", "DEAD", "DO_NOT_USE", "UNRELIABLE_DARK", "REFERENCE_PIXEL"):
        assert np.any(dark_flags & FLAGS[name]), name
    for name in ("NO_FLAT_FIELD", "UNRELIABLE_FLAT", "DO_NOT_USE", "NON_SCIENCE"):
        assert np.any(flat_flags & FLAGS[name]), name
    assert np.isnan(dark).any()
    assert np.isnan(flat).any()
    assert (flat == 0).any()
    assert (flat < 0).any()


def test_references_say_what_they_are_for(truth):
    for reftype, path in truth.references.items():
        header = fits.getheader(path)
        assert (header["TELESCOP"], header["INSTRUME"], header["DETECTOR"]) == ("LIGERIRI", "IRIS", "IRIS1")
        assert (header["REFTYPE"], header["FILENAME"]) == (reftype, path.name)
        assert header["USEAFTER"] < "2023-03-12"
    flat = fits.getheader(truth.references["flat"])
    assert (flat["FILTER"], flat["PUPIL"], flat["SUBSIZE1"], flat["SUBSIZE2"]) == ("K", "CLEAR", 110, 90)
    row = fits.getdata(truth.references["photom"], "PHOTOM")[1]
    assert (row["filter"], row["pupil"], row["photmjsr"]) == ("K", "CLEAR", np.float32(10.7))


def test_associations(truth):
    stage2, merge, stage3 = (
        json.loads(path.read_text()) for path in (truth.association, truth.merge_association, truth.stage3_association)
    )
    assert [product["name"] for product in stage2["products"]] == [
        "iris_p01234_001_0001",
        "iris_p01234_001_0002",
        "iris_p01234_001_0002_sub1",
    ]
    for product in stage2["products"]:
        kinds = [member["exptype"] for member in product["members"]]
        assert kinds == ["science", "background", "background"]
        assert all((truth.association.parent / member["expname"]).exists() for member in product["members"])
    (merged,) = merge["products"]
    assert [member["expname"] for member in merged["members"]] == [
        "iris_p01234_001_0002_cal.fits",
        "iris_p01234_001_0002_sub1_cal.fits",
    ]
    (combined,) = stage3["products"]
    assert [member["expname"] for member in combined["members"]] == [
        "iris_p01234_001_0001_cal.fits",
        f"{merged['name']}_cal.fits",
    ]


def test_without_subarrays_there_is_nothing_to_merge(tmp_path):
    truth = simulate_iris(tmp_path, field(subarrays=0))
    assert truth.merge_association is None
    assert not (tmp_path / "merge").exists()
    assert len(json.loads(truth.association.read_text())["products"]) == 2


def test_truth_is_written(truth):
    facts = json.loads((truth.directory / "truth.json").read_text())
    assert [exposure["subarray_id"] for exposure in facts["exposures"]] == [0, 0, 1, 0, 0]
    assert facts["exposures"][1]["concurrent"] == [facts["exposures"][2]["window"]]
    assert facts["conversion_mjysr"] == pytest.approx(10.7)
    sources = Table.read(truth.directory / "truth.ecsv")
    assert len(sources) == 1 + 3 + 2
    assert sources["flux"].unit == "Jy"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subarrays": 2}, "2 subarrays for 1 bright stars"),
        ({"subarray_exposures": [3]}, "there is no exposure 3 among 2"),
        ({"subarray_time": 61.0}, "not between 0 and the full frame's integration time, 60"),
        ({"bright_stars": [(108.0, 40.0, 9.0)]}, "is not on the detector"),
        (
            {"bright_stars": [(50.0, 40.0, 9.0), (60.0, 45.0, 9.0)], "subarrays": 2},
            "exposure 2: subarrays columns .* overlap",
        ),
    ],
)
def test_field_refuses_what_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        field(**changes)


def test_field_is_seen_in_full_frames():
    with pytest.raises(ValueError, match="full frames of one detector and one integration"):
        IrisField(Scene(IRIS_K, detector_shape=SHAPE, nints=2))


def test_demo_script_writes_under_the_names_of_the_rule(tmp_path, monkeypatch):
    """The rule's output decides the directory and the associations' names."""
    original = simulation.simulate_iris
    monkeypatch.setattr(simulation, "simulate_iris", lambda directory, iris: original(directory, field()))
    names = {
        "association": "rate/two_asn.json",
        "merge": "merge/merge_asn.json",
        "combination": "stage3/three_asn.json",
    }
    output = SimpleNamespace(**{name: str(tmp_path / path) for name, path in names.items()})
    simulate_iris_demo.simulate_iris_demo(None, output, SimpleNamespace(seed=7))
    for path in names.values():
        assert json.loads((tmp_path / path).read_text())["products"]


def test_demo_has_what_subarrays_are_for(tmp_path, monkeypatch):
    """A star that saturates in the full frames and not in the subarray."""
    fields = []
    monkeypatch.setattr(simulation, "simulate_iris", lambda directory, iris: fields.append(iris))
    simulate_iris_demo.main(tmp_path)
    (iris,) = fields
    most = max(wells for _, _, wells in iris.bright_stars)
    assert 1 < most < IRIS_K.integration_time / iris.subarray_time
    assert iris.scene.exposures == 4
    assert iris.scene.pointing_error > IRIS_K.x_scale
