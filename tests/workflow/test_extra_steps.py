"""Extra steps in real runs: what runs, what an edit of the user's file makes stale, how a failure is told."""

import numpy as np
import pytest
from astropy.io import fits

pytestmark = pytest.mark.slow

EXPOSURE = "jw01234001001_02101_00001_mirimage"
PRODUCT = "jw01234-o001_t001_nircam_clear-f200w"
OWN = """\
LEVEL = 2.0


def pedestal(planes, parameters, facts, inputs):
    planes.sci -= LEVEL
    planes.dq[:4, :5] |= 1
    return planes, {"pixels": 20}
"""
STEP = {"name": "pedestal", "file": "my_steps.py", "for": {"exposures": EXPOSURE}}


def test_a_step_of_the_users_own(finished):
    own, cal = finished.folder / "my_steps.py", finished.product(f"{EXPOSURE}_cal.fits")
    own.write_text(OWN)
    before = fits.getdata(cal)
    products = finished.products()
    finished.config["extra_steps"] = {"rate": [STEP]}
    rules = {"apply_extra_steps": 1, "calibrate": 1, "resample_exposure": 1}

    run = finished.run()
    assert run.code == 0, run.output
    assert run.rules == rules
    assert finished.products() == products  # what the step makes is temporary
    header = fits.getheader(cal)
    assert (header["S_PEDEST"], header["N_PEDEST"]) == ("COMPLETE", 20)
    assert "Extra step pedestal; pedestal of my_steps.py; pixels 20" in str(header["HISTORY"])
    assert (fits.getdata(cal) != before).any()
    status = finished.run("status").output
    assert "pedestal" in status
    assert "pedestal: 20 pixels in 1 exposure" in status

    own.write_text(OWN.replace("    planes.dq", "    # corner\n    planes.dq"))
    assert finished.planned() == {}
    own.write_text(OWN.replace("LEVEL = 2.0", "LEVEL = 1.0"))
    assert finished.planned() == rules

    own.write_text(OWN.replace("planes.sci -= LEVEL", "planes.sci -= 1 / len(inputs)"))
    finished.config["extra_steps"]["rate"].append(STEP | {"name": "next", "function": "pedestal"})
    run = finished.run()
    assert run.code != 0
    why = f"apply_extra_steps {EXPOSURE}, rate: pedestal: my_steps.py, line 5: ZeroDivisionError: division by zero"
    assert why in run.output
    assert "1 job failed, 2 jobs could not run without it" in run.output
    assert why.replace("rate: ", "rate FAILED: ") in finished.run("status").output


def test_regions_are_masked_before_stage_3(combined):
    root = "jw01234001001_02101_00001_nrcb1"
    (combined.folder / f"{root}.reg").write_text("image\ncircle(60,60,4)\n")
    step = {"name": "mask_regions", "inputs": {"regions": "{exposure}.reg"}}
    of_set = {"name": "bad_pixels", "for": {"exposures": root}}
    combined.config["extra_steps"] = {"cal": [step, of_set], "save_clean": True}
    clean = f"results/stage2/{root}_cal_clean.fits"
    run = combined.run(clean)
    assert run.code == 0, run.output
    assert run.rules == {"collect_exposures": 1, "apply_extra_steps": 1}
    dq = fits.getdata(combined.folder / clean, "DQ")
    assert (dq & 1)[59, 59] == 1
    header = fits.getheader(combined.folder / clean)
    assert header["N_MASK_R"] == 49
    assert (header["S_BADPIX"], header["N_BADPIX"]) == ("COMPLETE", 0)  # one exposure tells of none
    planned = combined.planned()
    assert "calibrate" not in planned
    assert "apply_extra_steps" not in planned
    assert (planned["find_stars"], planned["flag_outliers"], planned["combine"]) == (1, 4, 1)


def test_the_mask_of_a_first_pass(combined):
    roots = [f"jw01234001001_02101_0000{number}_nrcb1" for number in (1, 2, 3, 4)]
    masks = combined.folder / "results" / "stage2" / "masks" / "association"
    products = combined.products(), combined.combined_products()
    step = {"name": "clean_flicker_noise", "mask_from": "association"}
    combined.config["extra_steps"] = {"rate": [step]}
    cal = f"results/stage2/{roots[0]}_cal.fits"
    run = combined.run(cal)
    assert run.code == 0, run.output
    # The first pass of all four, then one of them with its mask.
    first = {
        "find_stars": 4,
        "align": 1,
        "lay_outlier_grid": 1,
        "find_overlaps": 1,
        "measure_sky": 4,
        "match_sky": 1,
        "resample_group": 4,
    }
    first |= {"take_median": 1, "flag_outliers": 4, "combine": 1, "mask_sources": 1}
    assert run.rules == first | {"apply_extra_steps": 5, "calibrate": 5}
    assert (combined.products(), combined.combined_products()) == products
    assert "first_pass" not in combined.run("status").output
    assert f"sources={roots[0]}_sources.fits" in "".join(fits.getheader(combined.folder / cal)["HISTORY"])

    # What is bright in the exposure has a mask, though its pointing is off by some pixels; what is beside it has none.
    rate = fits.getdata(combined.folder / "data" / "rate" / f"{roots[0]}_rate.fits")
    mask = fits.getdata(masks / f"{roots[0]}_sources.fits") != 0
    stars = rate > np.nanmedian(rate) + 20 * np.nanstd(rate[rate < np.nanmedian(rate)])
    assert mask[stars].mean() > 0.95
    assert mask.mean() < 0.6

    # Parameters of the first pass count as far as they make another mask.
    assert combined.planned(cal) == {}
    combined.config["stage3"] = {"resample": {"enable_ctx": False}}
    run = combined.run(cal)
    assert run.code == 0, run.output
    assert run.rules == {"combine": 1, "mask_sources": 1}
    combined.config["stage3"] = {"resample": {"enable_ctx": False, "pixfrac": 0.7}}
    run = combined.run(cal)
    assert run.code == 0, run.output
    assert run.rules == {"combine": 1, "mask_sources": 1, "apply_extra_steps": 1, "calibrate": 1}

    # The light, as it falls on the detector, in the unit of the exposure: of an image that has the wide stripes.
    combined.config["extra_steps"] = {"rate": [{"name": "clean_flicker_noise", "light_from": "association"}]}
    run = combined.run(cal)
    assert run.code == 0, run.output
    assert (run.rules["mask_sources"], run.rules["combine"]) == (1, 1)
    assert run.rules["calibrate"] == run.rules["apply_extra_steps"] == 5  # four of the first pass, and the exposure
    light = fits.getdata(masks / f"{roots[0]}_sources.fits", "LIGHT")
    bright = light > np.nanquantile(light, 0.99)
    assert np.nanmedian((rate - np.nanmedian(rate))[bright] / light[bright]) == pytest.approx(1.0, abs=0.1)
    assert f"light={roots[0]}_sources.fits" in "".join(fits.getheader(combined.folder / cal)["HISTORY"])


def test_the_light_of_a_first_pass_for_a_flat(combined):
    step = {"name": "sky_flat", "light_from": "association", "parameters": {"exposures": 3, "least": 0}}
    combined.config["extra_steps"] = {"cal": [step]}
    image = f"results/stage3/{PRODUCT}_i2d.fits"
    run = combined.run(image)
    assert run.code == 0, run.output
    assert (run.rules["mask_sources"], run.rules["collect_exposures"], run.rules["apply_extra_steps"]) == (4, 1, 4)
    assert run.rules["combine"] == 2
    assert "calibrate" not in run.rules
    (flat,) = (combined.folder / "results" / "stage2" / "collected").iterdir()
    # What is kept of the light is in the unit of the exposures, as the image has it.
    light = fits.getdata(flat, "EACH_LIGHT")
    assert light.shape == (4, 8, 9)
    first = fits.getdata(combined.folder / "results" / "stage3" / "first_pass" / f"{PRODUCT}_i2d.fits", "SCI")
    assert 0 < light.max() < np.nanmax(first)
    assert abs(np.median(light)) < 0.1 * np.nanstd(first)
    assert fits.getheader(combined.folder / image)["S_SKYFLT"] == "COMPLETE"

    # Another image of the first pass, another flat.
    assert combined.planned(image) == {}
    combined.config["stage3"] = {"resample": {"pixfrac": 0.7}}
    run = combined.run(image)
    assert run.code == 0, run.output
    assert (run.rules["mask_sources"], run.rules["collect_exposures"], run.rules["apply_extra_steps"]) == (4, 1, 4)
