"""Parameter files of strun and lirun in real snakemake runs."""

import pytest

pytestmark = pytest.mark.slow

CFG = """
class = "jwst.pipeline.Image2Pipeline"
save_results = True
save_bsub = True
output_dir = "reduced"
[steps]
  [[assign_wcs]]
    slit_y_low = -0.5
  [[resample]]
    {parameters}
"""


def with_cfg(workflow, parameters):
    """Let a workflow read a .cfg file with these parameters of resample."""
    (workflow.folder / "image2.cfg").write_text(CFG.format(parameters=parameters))
    workflow.config["parameter_files"] = ["image2.cfg"]
    return workflow


def test_a_dry_run_shows_the_jobs_that_a_cfg_file_asks_for(workflow):
    run = with_cfg(workflow, "skip = True").run(dry=True)
    assert run.code == 0, run.output
    assert "reduced/stage2/jw01234001001_02101_00001_mirimage_bsub.fits" in run.output
    assert "_i2d.fits" not in run.output
    assert "image2.cfg: not used, Snakemake and the configuration do this: save_results" in run.output
    assert "image2.cfg: not used, calflow does not have this: steps.assign_wcs.slit_y_low" in run.output


def test_the_configuration_wins_also_with_a_default(workflow):
    """In the file given with --configfile, and with --config."""
    workflow.config |= {"output": "results", "stage2": {"resample": {"skip": False}}}
    with_cfg(workflow, "skip = True")
    run = workflow.run(dry=True, options=["--config", "stage2={save_bsub: false}"])
    assert run.code == 0, run.output
    assert "results/stage2/jw01234001001_02101_00001_mirimage_i2d.fits" in run.output
    assert "_bsub.fits" not in run.output


def test_a_dry_run_shows_the_value_of_a_cfg_file(finished):
    """The quick looks are made again, and nothing else: the configuration takes back what else the file says."""
    finished.config |= {"output": "results", "stage2": {"save_bsub": False}}
    run = with_cfg(finished, "pixfrac = 0.75").run(dry=True)
    assert run.code == 0, run.output
    assert "'pixfrac': 0.75" in run.output
    assert finished.planned() == {"resample_exposure": 2}
    assert finished.run().rules == {"resample_exposure": 2}
    assert finished.planned() == {}


def test_wrong_values_are_told_before_any_job(workflow):
    run = with_cfg(workflow, "pixfrac = 1.5\n    kernl = point").run()
    assert (run.code != 0, run.jobs) == (True, [])
    assert "2 problems with the input, no job was started:" in run.output
    assert "image2.cfg: steps.resample.kernl: unknown; did you mean 'kernel'?" in run.output
    assert "image2.cfg: steps.resample.pixfrac: '1.5' is not valid; give a number from 0 to 1" in run.output
    assert "Traceback" not in run.output


def test_a_lost_reference_is_told_of_the_file_that_names_it(workflow):
    (workflow.folder / "flat.cfg").write_text("class = jwst.flatfield.FlatFieldStep\noverride_flat = lost.fits\n")
    workflow.config["parameter_files"] = "flat.cfg"
    run = workflow.run()
    assert run.jobs == []
    assert "flat.cfg: override_flat: no such file 'lost.fits'" in run.output
