"""From the number of a programme to what is to be made of its exposures, through real snakemake runs."""

import pytest

from tests.mast_stand_in import archive
from tests.workflow.conftest import Workflow

pytestmark = pytest.mark.slow


@pytest.fixture
def programme(simulated, tmp_path, monkeypatch):
    """An empty folder, and an archive that has the simulated exposures."""
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "references").symlink_to(simulated / "data" / "references")
    workflow = Workflow(tmp_path)
    with archive() as stand_in:
        for rate in (simulated / "data" / "rate").glob("*.fits"):
            stand_in.add(rate.name.removesuffix("_rate.fits"), exp_type="MIR_IMAGE")
            stand_in.files[rate.name] = rate.read_bytes()
        workflow.config = {
            "input": "data",
            "references": {"directory": "references"},
            "download": {"program": 1234, "url": stand_in.url},
        }
        workflow.stand_in = stand_in
        yield workflow


def test_a_programme_is_fetched_and_planned(programme):
    listed = programme.run("download", dry=True)
    assert listed.code == 0, listed.output
    assert "4 files would be fetched, 0 are there" in listed.output
    assert not (programme.folder / "data").exists()

    fetched = programme.run("download")
    assert fetched.code == 0, fetched.output
    assert "4 fetched, 0 were there" in fetched.output
    assert programme.planned()["calibrate"] == 4
    assert programme.stand_in.asked["/search"] == 4  # in two parts each time: a plan asks nothing

    programme.config["download"] |= {"program": 99}
    wrong = programme.run("download")
    assert wrong.code == 1
    assert "my.yaml: download.program: the archive has no exposures of programme 99" in wrong.output
