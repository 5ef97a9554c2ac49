"""Which jobs an edit of the code makes stale: those that make what the edited function makes, and no others.

What hangs on their products follows, as with any changed input; that is Snakemake's, and not looked at here.
"""

import shutil
from pathlib import Path

import pytest

from calflow.calibration.work import MAKERS, WITHOUT_DARK, work_of
from calflow.instruments.iris import FAMILY as IRIS
from calflow.instruments.jwst import FAMILY as JWST
from calflow.jobs.code_hash import CodeHashes
from tests.edits import edit_function
from tests.ground_camera import FAMILY as CAMERA

SCRIPTS = Path(__file__).parents[2] / "scripts"


def calibration(family, without):
    """Return the functions of the steps of a family, of which some do not run."""
    steps = [(step.name, step.rule) for step in family.steps if step.name != "resample" and step.rule not in without]
    return [function for _, function in work_of(steps)]


# Scripts, with the functions that the plan names, where it does.
NAMED = ("calibrate", "make_reference", "settings")
JOBS = {path.stem: (path.name, []) for path in SCRIPTS.glob("*.py") if path.stem not in NAMED} | {
    "JWST": ("calibrate.py", calibration(JWST, without={})),
    "IRIS": ("calibrate.py", calibration(IRIS, without={"sky_model"})),
    "IRIS, smooth sky": ("calibrate.py", calibration(IRIS, without={"average"})),
    "dark background": ("combine_background.py", [WITHOUT_DARK]),
    **{f"made {reference}": ("make_reference.py", [function]) for reference, function in MAKERS.items()},
}
MADE_FLATS = {"made flat", "made sky_flat"}
IRIS_ALONE = {"IRIS", "IRIS, smooth sky"}
CALIBRATIONS = {"JWST", *IRIS_ALONE}
AVERAGES = {"combine_background", "dark background"}
GRIDS = {"lay_grid", "resample_exposure"}
# Those that make what is described by numbers, such as a geometry, apart from all that read it.
GEOMETRIES = {*CALIBRATIONS, "describe_geometry", "merge_subarrays"}
DRIZZLED = {"combine", "combine_piece", "resample_exposure", "resample_group"}
DEMOS = {"simulate_demo", "simulate_iris_demo"}

STALE = {
    # Stage 2, step by step
    "calibration/background.py subtract": {"JWST", "IRIS", "subtract_background"},
    "calibration/background.py combine": AVERAGES,
    "calibration/subarray_map.py flag_subarrays": IRIS_ALONE,
    "calibration/subarray_map.py merge_subarrays": {"merge_subarrays"},
    "geometry/assign_wcs.py build_wcs": {"JWST"},
    "geometry/sip.py sip_approximation": {"JWST", "flag_outliers", "combine", "resample_exposure"},
    "calibration/dark_current.py subtract_dark": {*IRIS_ALONE, "dark background", "model_sky", *MADE_FLATS},
    "calibration/flat_field.py apply_flat": {"JWST"},
    "calibration/flat_field.py divide_by_flat": {*IRIS_ALONE, "model_sky", "made sky_flat"},
    "sky/sky_model.py subtract_sky": {"IRIS, smooth sky"},
    "sky/sky_model.py smooth_sky": {"IRIS, smooth sky", "model_sky"},
    "calibration/photom.py apply_conversion": CALIBRATIONS,
    "calibration/reference_making.py master_dark": {"made dark"},
    "calibration/reference_making.py normalised_flat": {"made flat"},
    "calibration/sky_reference.py flat_of_skies": {"made sky_flat"},
    "calibration/frame_combination.py combine_frames": {"made dark", "made flat", "model_sky"},
    # Stage 3
    "stars/star_finding.py find_stars": {"find_stars"},
    "stars/alignment.py align_relative": {"align"},
    "sky/skymatch.py match_sky": {"match_sky"},
    "sky/sky_statistics.py sky_statistic": {"measure_sky", "made flat"},
    "combination/resample.py Resampler": DRIZZLED,
    "combination/outlier_detection.py flag_outliers": {"flag_outliers"},
    "sources/source_catalog.py source_catalog": {"catalog_sources"},
    # What is made apart from what it is
    "geometry/geometry.py geometry_of": GEOMETRIES,
    "geometry/output_grid.py grid_from_footprints": GRIDS,
    "geometry/output_grid.py fits_keywords": {"combine", "resample_exposure"},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("code") / "scripts"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def hashes(scripts):
    """Return a function that gives the hash of each job."""
    cache = scripts.parent / "cache"

    def of_all():
        found = CodeHashes(cache)
        all_of_them = {job: found.hash(scripts / script, *functions) for job, (script, functions) in JOBS.items()}
        found.save()
        return all_of_them

    return of_all


@pytest.fixture(scope="module")
def unedited(hashes):
    """The hashes of all jobs before the first edit; each test of one function undoes its own."""
    return hashes()


@pytest.mark.parametrize("edit", STALE)
def test_an_edited_function_makes_stale_what_it_makes(scripts, hashes, unedited, edit):
    name, function = edit.split()
    path = scripts / "calflow/science" / name
    text = path.read_text()
    edit_function(path, function)
    after = hashes()
    path.write_text(text)
    assert {job for job in JOBS if after[job] != unedited[job]} == STALE[edit]


def test_another_row_in_the_table_of_steps_makes_nothing_stale(scripts, hashes):
    path = scripts / "calflow/calibration/work.py"
    before = hashes()
    path.write_text(path.read_text().replace("WORK = {", 'WORK = {\n    ("new", "way"): "calflow.new:step",'))
    assert hashes() == before


def test_what_is_of_one_telescope_counts_for_its_exposures_alone(scripts):
    """Of two families, one of which is a folder that was put there."""
    folder = scripts / "calflow/instruments"
    shutil.copytree(Path(__file__).parents[1] / "ground_camera", folder / "ground_camera")
    jobs = {
        "JWST": ("calibrate.py", calibration(JWST, without={})),
        "camera": ("calibrate.py", calibration(CAMERA, without={})),
        "JWST, correction": ("flag_outliers.py", [JWST.wcs_correction]),
        "camera, correction": ("flag_outliers.py", [CAMERA.wcs_correction]),
    }

    def edited(path, function):
        hashes = []
        for edit in (lambda: None, lambda: edit_function(folder / path, function)):
            edit()
            found = CodeHashes(scripts.parent / "other cache")
            hashes.append({job: found.hash(scripts / script, *functions) for job, (script, functions) in jobs.items()})
        return {job for job in jobs if hashes[0][job] != hashes[1][job]}

    assert edited("ground_camera/steps.py", "count_rates") == {"camera"}
    assert edited("jwst/wcs_correction.py", "_follow_target") == {"JWST, correction"}
    # Descriptions are looked up by the plan: what a job needs of them is among its parameters.
    assert edited("jwst/description.py", "_values") == set()
