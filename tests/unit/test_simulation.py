"""The simulator: same seed, same bytes; pixels, noise, flags and headers agree with the truth."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from calflow.science.dq_flags import FLAGS
from calflow.science.windows import Window
from calflow.simulation import INSTRUMENTS, Scene, simulate
from calflow.simulation.geometry import Geometry, Optics, Pointing
from calflow.simulation.photometry import conversion_at
from calflow.simulation.rendering import sersic_gaussians

SMALL = {"detector_shape": (80, 96), "exposures": 2, "stars": 5, "galaxies": 2}


def digests(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("small"), Scene("nircam_f200w", backgrounds=1, seed=3, **SMALL))


@pytest.fixture(scope="module")
def star(tmp_path_factory):
    """One star of peak signal to noise 400 on an otherwise perfect detector."""
    scene = Scene(
        "nircam_f200w",
        detector_shape=(80, 96),
        exposures=1,
        stars=1,
        galaxies=0,
        star_snr=(400, 400),
        bad_pixels=0,
        cosmic_rays=0,
        seed=6,
    )
    return simulate(tmp_path_factory.mktemp("star"), scene)


def test_same_seed_gives_the_same_bytes(tmp_path, small):
    simulate(tmp_path, small.scene)
    assert digests(tmp_path) == digests(small.directory)
    assert len(digests(tmp_path)) == 3 + 2 + 7 + 2


def test_another_seed_gives_other_pixels(tmp_path, small):
    other = simulate(tmp_path, Scene("nircam_f200w", backgrounds=1, seed=4, **SMALL))
    first, second = fits.getdata(small.science[0]), fits.getdata(other.science[0])
    assert first.shape == second.shape == (80, 96)
    assert np.mean(first == second) < 0.01


def test_nothing_tells_the_date_of_the_run(small):
    today = time.strftime("%Y-%m-%d").encode()
    assert not [path for path in small.directory.rglob("*.*") if path.is_file() and today in path.read_bytes()]


def test_star_flux_is_recovered_in_an_aperture(star):
    """Sum of (brightness - sky) x pixel area = flux, with flat, conversion and area taken from the files."""
    instrument = star.scene.preset
    with fits.open(star.science[0]) as hdus:
        rate, variance = hdus["SCI"].data.astype(float), hdus["ERR"].data.astype(float) ** 2
        conversion = conversion_at(instrument, hdus[0].header["EXPMID"])
    flat = fits.getdata(star.references["flat"], "SCI").astype(float)
    area = fits.getdata(star.references["area"], "SCI").astype(float) * instrument.pixel_area_sr
    y, x = np.indices(rate.shape)
    star_x, star_y = star.exposures[0].geometry.to_pixel(star.sources["ra"][0], star.sources["dec"][0])
    aperture = (np.hypot(x - star_x, y - star_y) < 10) & np.isfinite(rate) & (flat != 0) & np.isfinite(flat)
    brightness = rate[aperture] / flat[aperture] * conversion - star.exposures[0].sky
    flux = np.sum(brightness * area[aperture]) * 1e6
    noise = np.sqrt(np.sum(variance[aperture])) * conversion * instrument.pixel_area_sr * 1e6
    # The flat's own error, 0.2 % a pixel, is below 0.1 % of the flux.
    assert flux == pytest.approx(star.sources["flux"][0], abs=4 * noise + 2e-3 * star.sources["flux"][0])
    assert star.sources["flux"][0] > 50 * noise
    assert 20 < star_x < 76, "the aperture is on the lit part of the detector"
    assert 20 < star_y < 60


def test_star_lies_where_the_header_and_the_distortion_reference_say(star):
    """Through the header's attitude and the reference file's model, not the simulator's geometry."""
    asdf = pytest.importorskip("asdf")
    from astropy.coordinates.matrix_utilities import rotation_matrix

    with fits.open(star.science[0]) as hdus:
        rate, header = np.nan_to_num(hdus["SCI"].data.astype(float)), hdus["SCI"].header
    star_x, star_y = star.exposures[0].geometry.to_pixel(star.sources["ra"][0], star.sources["dec"][0])
    y, x = np.indices(rate.shape)
    near = np.hypot(x - star_x, y - star_y) < 5
    light = (rate - np.median(rate)) * near
    centroid = np.sum(light * x) / np.sum(light), np.sum(light * y) / np.sum(light)

    with asdf.open(star.references["filteroffset"]) as file:
        (offset,) = (f for f in file["filters"] if f["filter"] == "F200W")
    with asdf.open(star.references["distortion"]) as file:
        v2, v3 = file["model"](centroid[0] + offset["column_offset"], centroid[1] + offset["row_offset"])
    scale = header["VA_SCALE"]
    v2 = np.radians((header["V2_REF"] + scale * (v2 - header["V2_REF"])) / 3600)
    v3 = np.radians((header["V3_REF"] + scale * (v3 - header["V3_REF"])) / 3600)
    vector = np.array([np.cos(v2) * np.cos(v3), np.sin(v2) * np.cos(v3), np.sin(v3)])
    # astropy's rotation matrices turn the axes, not the vector.
    for angle, axis in (
        (header["V2_REF"] / 3600, "z"),
        (-header["V3_REF"] / 3600, "y"),
        (header["ROLL_REF"], "x"),
        (header["DEC_REF"], "y"),
        (-header["RA_REF"], "z"),
    ):
        vector = rotation_matrix(angle, axis) @ vector
    ra, dec = np.degrees(np.arctan2(vector[1], vector[0])), np.degrees(np.arcsin(vector[2]))
    error = np.hypot((ra - star.sources["ra"][0]) * np.cos(np.radians(dec)), dec - star.sources["dec"][0]) * 3600
    assert error < 0.05 * star.scene.preset.x_scale


def test_linear_keywords_point_to_the_same_place(small):
    """The TAN header is within the distortion of the full geometry: less than a pixel this close to CRPIX."""
    from astropy.wcs import WCS

    exposure = small.exposures[1]
    header = fits.getheader(small.science[1], "SCI")
    x, y = np.array([10.0, 60.0]), np.array([70.0, 20.0])
    ra, dec = exposure.geometry.to_sky(x, y)
    assert np.abs(np.array(WCS(header, fix=False).all_world2pix(ra, dec, 0)) - [x, y]).max() < 0.6


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_sky_to_pixel_is_the_inverse_of_pixel_to_sky(name):
    instrument = INSTRUMENTS[name]
    ny, nx = instrument.shape
    geometry = Geometry(Optics(instrument), Window(1, 1, nx, ny), Pointing(359.999, 62.0, 123.0), 1.0001)
    x, y = np.array([0.0, nx - 1, 17.3]), np.array([0.0, ny - 1, 900.2])
    back = geometry.to_pixel(*geometry.to_sky(x, y))
    assert np.abs(np.array(back) - [x, y]).max() < 1e-6


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_reference_point_is_at_the_pointing(name):
    """Without the filter's offset the header's RA_REF, DEC_REF are at CRPIX."""
    from dataclasses import replace

    instrument = replace(INSTRUMENTS[name], filter_offset=(0.0, 0.0))
    geometry = Geometry(Optics(instrument), Window(11, 21, 40, 40), Pointing(10.0, -20.0, 77.0), 1.0001)
    ra, dec = geometry.to_sky(instrument.x_reference - 11, instrument.y_reference - 21)
    assert (ra, dec) == pytest.approx((10.0, -20.0), abs=1e-11)


def test_relative_area_is_the_solid_angle_of_a_pixel():
    instrument = INSTRUMENTS["miri_f1130w"]
    window = Window(901, 51, 4, 4)
    geometry = Geometry(Optics(instrument), window, Pointing(10.0, 0.0, 0.0))
    ra, dec = geometry.to_sky(np.array([0.5, 1.5, 1.5, 0.5]), np.array([1.5, 1.5, 2.5, 2.5]))
    x, y = ra * np.cos(np.radians(dec)) * 3600, dec * 3600
    shoelace = 0.5 * abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    relative = geometry.optics.relative_area(window)[2, 1]
    assert shoelace / instrument.pixel_area_arcsec2 == pytest.approx(relative, rel=1e-5)
    assert abs(relative - 1) > 1e-3


def test_noise_is_what_the_variances_tell(tmp_path):
    """Two exposures of one empty field differ by noise alone, of sigma sqrt(2) in units of ERR."""
    scene = Scene(
        "nircam_f200w",
        detector_shape=(200, 200),
        exposures=2,
        stars=0,
        galaxies=0,
        sky_scatter=0,
        cosmic_rays=0,
        seed=7,
    )
    science = simulate(tmp_path, scene).science
    first, second = (fits.getdata(path, "SCI").astype(float) for path in science)
    scaled = (first - second) / fits.getdata(science[0], "ERR")
    scaled = scaled[np.isfinite(scaled)]
    assert np.std(scaled) / np.sqrt(2) == pytest.approx(1, abs=4 / np.sqrt(2 * scaled.size))
    assert np.mean(scaled) == pytest.approx(0, abs=4 * np.sqrt(2 / scaled.size))


def test_err_is_the_root_of_the_variances(small):
    with fits.open(small.science[0]) as hdus:
        err, poisson, read = (hdus[name].data for name in ("ERR", "VAR_POISSON", "VAR_RNOISE"))
    valid = np.isfinite(err) & np.isfinite(read)
    assert valid.mean() > 0.99
    np.testing.assert_allclose(err[valid], np.sqrt(poisson + read)[valid], rtol=2e-6)


def test_flags_and_nans_are_there(small):
    """Every kind of pixel that stage 2 has to cope with is in the files."""
    with fits.open(small.science[0]) as hdus:
        sci, dq, read = hdus["SCI"].data, hdus["DQ"].data, hdus["VAR_RNOISE"].data
    assert dq.dtype.kind == "u"
    assert dq.dtype.itemsize == 4
    present = int(np.bitwise_or.reduce(dq, axis=None))
    for name in ("DO_NOT_USE", "HOT", "DEAD", "JUMP_DET", "UNRELIABLE_SLOPE", "REFERENCE_PIXEL"):
        assert present & FLAGS[name], name
    do_not_use = (dq & FLAGS["DO_NOT_USE"]) != 0
    assert np.isnan(sci[~do_not_use]).any(), "NaN without a flag"
    assert np.isfinite(sci[do_not_use]).any(), "a value under DO_NOT_USE"
    assert (np.isnan(read) & np.isfinite(sci)).any(), "NaN in a variance only"


def test_reference_pixels_are_the_border(small):
    dq = fits.getdata(small.science[0], "DQ")
    border = (dq & FLAGS["REFERENCE_PIXEL"]) != 0
    assert border[:4].all()
    assert border[:, -4:].all()
    assert not border[4:-4, 4:-4].any()
    assert ((dq[border] & FLAGS["DO_NOT_USE"]) != 0).all()


def test_layout_and_names_are_the_archives(small):
    assert [path.name for path in small.science] == [
        "jw01234001001_02101_00001_nrcb1_rate.fits",
        "jw01234001001_02101_00002_nrcb1_rate.fits",
    ]
    assert [path.name for path in small.backgrounds] == ["jw01234002001_02101_00001_nrcb1_rate.fits"]
    with fits.open(small.science[0]) as hdus:
        assert [hdu.name for hdu in hdus] == [
            "PRIMARY",
            "SCI",
            "ERR",
            "DQ",
            "VAR_POISSON",
            "VAR_RNOISE",
            "ASDF",
        ]
        assert hdus[0].data is None
        assert all(hdus[i].data.dtype == ">f4" for i in (1, 2, 4, 5))
        assert hdus["DQ"].header["BZERO"] == 2**31


def test_headers_have_the_keywords_of_the_contract(small):
    primary, science = fits.getheader(small.science[1]), fits.getheader(small.science[1], "SCI")
    primary_keywords = """
        TELESCOP INSTRUME DETECTOR CHANNEL MODULE FILTER PUPIL EXP_TYPE READPATT DATE-OBS TIME-OBS
        EXPSTART EXPMID EXPEND NINTS EFFEXPTM TMEASURE DURATION SUBARRAY SUBSTRT1 SUBSTRT2 SUBSIZE1
        SUBSIZE2 PROGRAM OBSERVTN VISIT VISITGRP SEQ_ID ACT_ID EXPOSURE VISITYPE TSOVISIT TARGTYPE
        TARG_RA TARG_DEC APERNAME FILENAME DATAMODL CAL_VER CRDS_CTX XOFFSET YOFFSET S_RAMP S_JUMP
    """
    science_keywords = """
        BUNIT RA_REF DEC_REF ROLL_REF V2_REF V3_REF VPARITY V3I_YANG VA_SCALE CRPIX1 CRPIX2 CRVAL1
        CRVAL2 CTYPE1 CTYPE2 CUNIT1 CUNIT2 CDELT1 CDELT2 PC1_1 PC1_2 PC2_1 PC2_2 S_REGION RADESYS
        RA_V1 DEC_V1 PA_V3 PA_APER XPOSURE TELAPSE WCSAXES
    """
    assert [k for k in primary_keywords.split() if k not in primary] == []
    assert [k for k in science_keywords.split() if k not in science] == []
    assert (primary["FILENAME"], primary["EXPOSURE"], primary["SUBSIZE1"]) == (small.science[1].name, "2", 96)
    assert science["S_REGION"].startswith("POLYGON ICRS  ")
    assert len(science["S_REGION"].split()) == 10
    assert fits.getheader(small.science[1], "ERR")["BUNIT"] == science["BUNIT"] == "DN/s"


def test_associations(small):
    association = json.loads(small.association.read_text())
    assert small.association.name == "jw01234-o001_20230312t074713_image2_00001_asn.json"
    assert association["asn_type"] == "image2"
    assert association["asn_id"] == "o001"
    assert [p["name"] for p in association["products"]] == [
        "jw01234001001_02101_00001_nrcb1",
        "jw01234001001_02101_00002_nrcb1",
    ]
    for product in association["products"]:
        assert [m["exptype"] for m in product["members"]] == ["science", "background"]
        assert all((small.association.parent / m["expname"]).exists() for m in product["members"])
    later = json.loads(small.stage3_association.read_text())
    assert later["products"][0]["name"] == "jw01234-o001_t001_nircam_clear-f200w"
    assert later["products"][0]["members"][1]["expname"] == "jw01234001001_02101_00002_nrcb1_cal.fits"


def test_truth_is_written(small):
    sources = Table.read(small.directory / "truth.ecsv")
    assert list(sources["type"]) == ["star"] * 5 + ["galaxy"] * 2
    assert sources["flux"].unit == "Jy"
    truth = json.loads((small.directory / "truth.json").read_text())
    assert [e["background"] for e in truth["exposures"]] == [False, False, True]
    assert truth["exposures"][0]["true_pointing"] == truth["exposures"][0]["header_pointing"]


def test_pointing_errors_are_in_the_truth_and_not_in_the_header(tmp_path):
    scene = Scene("nircam_f200w", pointing_error=0.3, roll_error=0.01, **SMALL)
    truth = simulate(tmp_path, scene)
    first, second = truth.exposures
    assert first.geometry.pointing == first.nominal
    assert second.geometry.pointing != second.nominal
    assert fits.getheader(truth.science[1], "SCI")["RA_REF"] == second.nominal.ra


def test_rateints_of_a_time_series(tmp_path):
    truth = simulate(tmp_path, Scene("nircam_f200w", nints=3, **{**SMALL, "exposures": 1}))
    assert truth.science[0].name.endswith("_rateints.fits")
    assert truth.association.name == "jw01234-o001_20230312t074713_tso-image2_00001_asn.json"
    with fits.open(truth.science[0]) as hdus:
        primary = hdus[0].header
        assert (primary["EXP_TYPE"], primary["TSOVISIT"], primary["NINTS"]) == ("NRC_TSIMAGE", True, 3)
        assert primary["DATAMODL"] == "CubeModel"
        assert all(hdus[name].data.shape == (3, 80, 96) for name in ("SCI", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE"))
        times = hdus["INT_TIMES"].data
        assert list(times["integration_number"]) == [1, 2, 3]
        assert times["int_end_MJD_UTC"][2] == pytest.approx(primary["EXPEND"], abs=1e-9)
        assert not np.array_equal(hdus["SCI"].data[0], hdus["SCI"].data[1])


@pytest.mark.parametrize(
    ("instrument", "exp_type", "visit_type", "nints", "tso"),
    [
        ("nircam_f200w", "NRC_CORON", "PRIME_TARGETED_FIXED", 2, False),
        ("miri_f1130w", "MIR_4QPM", "PRIME_TARGETED_FIXED", 2, False),
        ("niriss_f200w", "NIS_AMI", "PRIME_TARGETED_FIXED", 2, False),
        ("nircam_f200w", "NRC_IMAGE", "PRIME_WFSC_ROUTINE", 0, False),
        ("miri_f1130w", "", "PRIME_TARGETED_FIXED", 2, True),
    ],
)
def test_exposure_types(tmp_path, instrument, exp_type, visit_type, nints, tso):
    scene = Scene(instrument, exp_type=exp_type, visit_type=visit_type, nints=nints, **{**SMALL, "exposures": 1})
    header = fits.getheader(simulate(tmp_path, scene).science[0])
    assert header["EXP_TYPE"] == (exp_type or "MIR_IMAGE")
    assert (header["VISITYPE"], header["TSOVISIT"]) == (visit_type, tso)


def test_subarray_is_a_part_of_the_same_detector(tmp_path):
    """A window has the flags and the geometry of the full frame at that place."""
    window = Window(33, 17, 40, 32)
    full = simulate(tmp_path / "full", Scene("nircam_f200w", seed=5, **SMALL))
    cut = simulate(tmp_path / "cut", Scene("nircam_f200w", window=window, seed=5, **SMALL))
    header = fits.getheader(cut.science[0])
    assert [header[k] for k in ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")] == [33, 17, 40, 32]
    assert header["SUBARRAY"] == "SUB640"
    permanent = FLAGS["HOT"] | FLAGS["DEAD"] | FLAGS["UNRELIABLE_SLOPE"] | FLAGS["RC"]
    flags = [fits.getdata(truth.science[0], "DQ") & np.uint32(permanent) for truth in (full, cut)]
    np.testing.assert_array_equal(flags[0][16:48, 32:72], flags[1])
    assert flags[1].any()
    np.testing.assert_allclose(
        cut.exposures[0].geometry.to_sky(0, 0), full.exposures[0].geometry.to_sky(32, 16), rtol=0, atol=1e-12
    )
    assert fits.getdata(cut.references["flat"], "SCI").shape == (80, 96)


def test_flat_can_be_cut_to_the_window(tmp_path):
    window = Window(33, 17, 40, 32)
    truth = simulate(tmp_path, Scene("nircam_f200w", window=window, crop_flat=True, **SMALL))
    assert fits.getdata(truth.references["flat"], "SCI").shape == (32, 40)
    header = fits.getheader(truth.references["flat"])
    assert [header[k] for k in ("SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2")] == [33, 17, 40, 32]
    assert fits.getdata(truth.references["area"], "SCI").shape == (80, 96)


def test_flat_reference_has_every_kind_of_pixel(small):
    with fits.open(small.references["flat"]) as hdus:
        flat, dq, table = hdus["SCI"].data, hdus["DQ"].data, hdus["DQ_DEF"].data
    bits = dict(zip(table["NAME"], table["VALUE"], strict=True))
    assert int(bits["DO_NOT_USE"]) != FLAGS["DO_NOT_USE"], "its own bit numbering"
    assert np.isnan(flat).any()
    assert (flat == 0).any()
    assert all((dq & value).any() for name, value in bits.items() if name != "NON_SCIENCE")
    assert np.nanmedian(flat[4:-4, 4:-4]) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_references_have_what_selection_reads(name, tmp_path):
    truth = simulate(tmp_path, Scene(name, **SMALL))
    instrument = truth.scene.preset
    assert {path.name for path in truth.references.values()} == {
        f"jwst_{instrument.instrument.lower()}_{reftype}_0001.{extension}"
        for reftype, extension in (
            ("distortion", "asdf"),
            ("filteroffset", "asdf"),
            ("flat", "fits"),
            ("photom", "fits"),
            ("area", "fits"),
            ("apcorr", "fits"),
            ("abvegaoffset", "asdf"),
        )
    }
    for path in truth.references.values():
        if path.suffix == ".fits":
            header = fits.getheader(path)
            assert header["INSTRUME"] == instrument.instrument
            assert header["DETECTOR"] == instrument.detector
            assert all(header[k] for k in ("REFTYPE", "DESCRIP", "AUTHOR", "PEDIGREE", "USEAFTER", "DATAMODL"))
            assert header["EXP_TYPE"] in header["P_EXP_TY"].split("|")


def test_photom_gives_the_conversion_of_the_scene(tmp_path):
    """The exponential of MIRI, worked out from the table: 0.412 / (0.06 exp(-295.3/240) + 0.96)."""
    truth = simulate(tmp_path, Scene("miri_f1130w", **SMALL))
    with fits.open(truth.references["photom"]) as hdus:
        rows, times = hdus["PHOTOM"].data, hdus["TIMECOEFF_EXPONENTIAL"].data
        assert list(zip(rows["filter"], rows["subarray"], strict=True))[:2] == [
            ("F1130W", "FULL"),
            ("F1130W", "GENERIC"),
        ]
        assert len(rows) == len(times)
        middle = fits.getheader(truth.science[0])["EXPMID"]
        loss = times["amplitude"][0] * np.exp(-(middle - times["t0"][0]) / times["tau"][0]) + times["const"][0]
        assert rows["photmjsr"][0] / loss == pytest.approx(conversion_at(truth.scene.preset, middle), rel=1e-6)


def test_inverse_of_the_distortion_reference_is_close(small):
    asdf = pytest.importorskip("asdf")
    with asdf.open(small.references["distortion"]) as file:
        model = file["model"]
        x, y = np.array([3.0, 90.0]), np.array([75.0, 5.0])
        assert np.abs(np.array(model.inverse(*model(x, y))) - [x, y]).max() < 1e-4
        assert model.n_inputs == model.n_outputs == 2


@pytest.mark.parametrize("index", [1.0, 1.5, 2.5, 4.0])
def test_sersic_gaussians_hold_half_the_light_within_the_half_light_radius(index):
    parts = sersic_gaussians(index)
    assert sum(part for part, _ in parts) == pytest.approx(1)
    within = sum(part * (1 - np.exp(-0.5 / sigma**2)) for part, sigma in parts)
    assert within == pytest.approx(0.5, abs=0.05)


def test_scene_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="no simulated instrument 'nircam'"):
        Scene("nircam")
    with pytest.raises(ValueError, match="not on the detector"):
        Scene(detector_shape=(80, 96), window=Window(60, 1, 64, 64))
    with pytest.raises(ValueError, match="1 dithers for 2 exposures"):
        Scene(exposures=2, dithers=[(0, 0)])


def test_small_scene_is_fast(tmp_path):
    """The first call has the imports behind it, from the other tests or from this one."""
    simulate(tmp_path, Scene("nircam_f200w", **SMALL))
    start = time.process_time()
    simulate(tmp_path, Scene("nircam_f200w", **SMALL))
    assert time.process_time() - start < 2


def test_files_open_as_official_data_models(small, tmp_path, datamodels):
    with datamodels.open(small.science[0]) as model:
        assert type(model).__name__ == "ImageModel"
        assert model.data.shape == (80, 96)
        assert model.meta.instrument.name == "NIRCAM"
        assert model.meta.wcsinfo.v2_ref == pytest.approx(-122.43)
        assert model.meta.velocity_aberration.scale_factor == pytest.approx(1.0000467, abs=1e-9)
        assert model.meta.exposure.mid_time == fits.getheader(small.science[0])["EXPMID"]
    cube = simulate(tmp_path, Scene("nircam_f200w", nints=2, **{**SMALL, "exposures": 1}))
    with datamodels.open(cube.science[0]) as model:
        assert type(model).__name__ == "CubeModel"
        assert len(model.int_times) == 2
    for reftype, kind in (("flat", "FlatModel"), ("photom", "NrcImgPhotomModel"), ("area", "PixelAreaModel")):
        with datamodels.open(small.references[reftype]) as model:
            assert type(model).__name__ == kind
    with datamodels.DistortionModel(small.references["distortion"]) as model:
        assert model.model(48.0, 40.0)[0] == pytest.approx(-122.4, abs=1)
