"""calflow as a module of another workflow, which makes the exposures itself, through real snakemake runs."""

import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from tests.workflow.conftest import ROOT, Workflow

pytestmark = pytest.mark.slow

# The other workflow: its rule makes the exposures, and calflow comes to it when their headers can be read.
OUTER = """
from pathlib import Path

RATES = [f"rates/{{path.name}}" for path in sorted(Path("raw").glob("*.fits"))]
READY = all(map(os.path.exists, RATES))


rule all:
    input:
        RATES,
        "report.txt" if READY else [],


rule rate:
    input:
        "raw/{{name}}",
    output:
        "rates/{{name}}",
    shell:
        "cp {{input}} {{output}}"


if READY:

    module calflow:
        snakefile:
            "{snakefile}"
        config:
            config["calflow"]
        {more}

    use rule * from calflow as calflow_*

    {changed}

    rule report:
        input:
            rules.calflow_stage2.input,
        output:
            "report.txt",
        shell:
            "ls {{input}} > {{output}}"
"""
ROOT_1 = "jw01234001001_02101_00001_mirimage"


class Outer(Workflow):
    """A folder with a workflow of its own."""

    def write(self, more="", changed=""):
        text = OUTER.format(snakefile=ROOT / "Snakefile", more=more, changed=changed)
        (self.folder / "Snakefile").write_text(text)


@pytest.fixture
def outer(simulated, tmp_path):
    shutil.copytree(simulated / "data" / "references", tmp_path / "references")
    (tmp_path / "raw").mkdir()
    shutil.copy(simulated / "data" / "rate" / f"{ROOT_1}_rate.fits", tmp_path / "raw")
    workflow = Outer(tmp_path, tmp_path / "Snakefile")
    workflow.config = {
        "calflow": {
            "input": "rates",
            "references": {"directory": "references"},
            "stage2": {"resample": {"skip": True}},
        }
    }
    workflow.write()
    return workflow


def test_another_workflow_makes_the_exposures_and_uses_what_is_made_of_them(outer):
    first = outer.run()
    assert first.code == 0, first.output
    assert first.rules == {"rate": 1}

    second = outer.run()
    assert second.code == 0, second.output
    assert second.rules == {"calflow_calibrate": 1, "report": 1}
    assert (outer.folder / "report.txt").read_text().split() == [f"results/stage2/{ROOT_1}_cal.fits"]
    assert (outer.folder / "results" / "associations").is_dir()
    assert outer.planned() == {}

    # What is upstream of an exposure makes what is downstream of it stale, in one graph.
    with fits.open(outer.folder / "raw" / f"{ROOT_1}_rate.fits", mode="update") as hdus:
        hdus["SCI"].data += 1
    assert outer.planned() == {"rate": 1, "calflow_calibrate": 1, "report": 1}


def test_prefix_rules_that_are_changed_and_other_targets(outer):
    assert outer.run().code == 0
    changed = "use rule calibrate from calflow as calflow_calibrate with:\n        threads: 2"
    outer.write('prefix:\n            "sub"', changed)
    assert outer.planned() == {"calflow_calibrate": 1, "report": 1}
    assert outer.planned("calflow_all").keys() >= {"calflow_calibrate", "calflow_combine"}
    made = outer.planned(f"sub/results/stage2/{ROOT_1}_cal.fits")
    assert made == {"calflow_calibrate": 1}
    assert not Path(outer.folder, "sub").exists()  # a dry run writes nothing


def test_what_is_wrong_is_told(outer):
    assert outer.run().code == 0
    outer.config["calflow"]["stage2"] = {"resampel": {}}
    wrong = outer.run(dry=True)
    assert wrong.code == 1
    assert "config of the module: stage2.resampel: unknown key; did you mean 'resample'?" in wrong.output
    outer.config["calflow"].pop("stage2")
    outer.write('replace_prefix:\n            {"results": "x"}')
    wrong = outer.run(dry=True)
    assert wrong.code == 1
    assert "module: replace_prefix: cannot be used here; give input and output in its config" in wrong.output
