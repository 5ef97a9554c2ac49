"""Real snakemake runs on tiny simulated data."""

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from calflow.simulation import Scene, simulate
from tests.workflow.forked import run_snakemake, start_snakemake

ROOT = Path(__file__).parents[2]
# A detector small enough that a run takes seconds; two exposures share two backgrounds.
SCENE = Scene("miri_f1130w", detector_shape=(56, 64), exposures=2, backgrounds=2, stars=4, galaxies=1, seed=3)
# Four exposures with enough stars to align; stage 3 combines them.
FIELD: dict[str, Any] = {
    "instrument": "nircam_f200w",
    "detector_shape": (128, 136),
    "stars": 40,
    "galaxies": 3,
    "pointing_error": 0.05,
    "sky_scatter": 0.2,
    "drizzled_apcorr": True,
    "seed": 3,
}
TARGETS = ("all", "stage2", "stage3")


@dataclass
class Run:
    """What a snakemake run printed and did."""

    code: int
    output: str
    jobs: list[str] = field(default_factory=list)
    logged: str = ""

    @property
    def rules(self) -> dict[str, int]:
        """How many jobs of each rule were finished, without the target rules."""
        return {rule: self.jobs.count(rule) for rule in sorted(set(self.jobs)) if rule not in TARGETS}


class Workflow:
    """A working folder with simulated data, and a way to run calflow in it."""

    def __init__(self, folder: Path, snakefile: Path = ROOT / "Snakefile"):
        self.folder = folder
        self.snakefile = snakefile
        self.config: dict = {"associations": "data/rate/*_asn.json", "references": {"directory": "data/references"}}

    def run(
        self,
        *arguments: str,
        dry: bool = False,
        snakefile: Path | None = None,
        options: Sequence[str] = (),
        started: bool = False,
    ) -> Run:
        """Run snakemake with the configuration as it is now, forked or `started` by Python."""
        (self.folder / "my.yaml").write_text(yaml.safe_dump(self.config))
        command = ["--snakefile", str(snakefile or self.snakefile), "--cores", "2", "--configfile", "my.yaml"]
        command += [*(["-n"] if dry else []), *options, *(["--", *arguments] if arguments else [])]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE")}
        before = self.logs()
        code, text = (start_snakemake if started else run_snakemake)(command, self.folder, environment, timeout=900)
        logged = "".join(path.read_text() for path in sorted(self.logs() - before))
        return Run(code, text, re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", logged), logged)

    def logs(self) -> set[Path]:
        """Return the log files of Snakemake, which have all of its own text."""
        return set((self.folder / ".snakemake" / "log").glob("*.log"))

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a dry run announces."""
        run = self.run(*arguments, dry=True)
        assert run.code == 0, run.output
        table = run.output.partition("Job stats:")[2].partition("total")[0]
        return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE) if rule not in TARGETS}

    def product(self, name: str) -> Path:
        """Return the path of a stage-2 product."""
        return self.folder / "results" / "stage2" / name

    def products(self) -> set[str]:
        """Return the names of all products of stage 2 that exist."""
        return {path.name for path in (self.folder / "results" / "stage2").glob("[!.]*.fits")}

    def combined(self, name: str) -> Path:
        """Return the path of a stage-3 product."""
        return self.folder / "results" / "stage3" / name

    def combined_products(self) -> set[str]:
        """Return the names of all products of stage 3 that exist, in its folder itself."""
        return {path.name for path in (self.folder / "results" / "stage3").glob("[!.]*.*")}

    @property
    def association(self) -> Path:
        """Return the level-2 association."""
        return next((self.folder / "data" / "rate").glob("*_asn.json"))

    def edit_association(self, change) -> None:
        """Change the association's tree in place."""
        tree = json.loads(self.association.read_text())
        change(tree)
        self.association.write_text(json.dumps(tree))

    def reference(self, kind: str) -> Path:
        """Return the reference file of a type."""
        return next((self.folder / "data" / "references").glob(f"*{kind}*"))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "data", SCENE)
    return folder


@pytest.fixture
def workflow(simulated, tmp_path):
    """A fresh working folder: data simulated, nothing made yet."""
    shutil.copytree(simulated, tmp_path / "work")
    return Workflow(tmp_path / "work")


@pytest.fixture(scope="session")
def finished_folder(simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "work"
    shutil.copytree(simulated, folder)
    run = Workflow(folder).run()
    assert run.code == 0, run.output
    return folder


@pytest.fixture
def finished(finished_folder, tmp_path):
    """A working folder in which everything is made."""
    shutil.copytree(finished_folder, tmp_path / "finished")  # which keeps the times
    return Workflow(tmp_path / "finished")


def combining(folder: Path) -> Workflow:
    """Return a workflow that takes a simulated field through stage 2, without quick looks, and stage 3."""
    workflow = Workflow(folder)
    workflow.config["associations"] = ["data/rate/*_asn.json", "data/stage3/*_asn.json"]
    workflow.config["stage2"] = {"resample": {"skip": True}}
    return workflow


@pytest.fixture(scope="session")
def simulated_field(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated_field")
    simulate(folder / "data", Scene(**FIELD))
    return folder


@pytest.fixture
def field_workflow(simulated_field, tmp_path):
    """A fresh working folder with a field to combine: data simulated, nothing made yet."""
    shutil.copytree(simulated_field, tmp_path / "field")
    return combining(tmp_path / "field")


@pytest.fixture(scope="session")
def combined_folder(simulated_field, tmp_path_factory):
    folder = tmp_path_factory.mktemp("combined") / "field"
    shutil.copytree(simulated_field, folder)
    run = combining(folder).run()
    assert run.code == 0, run.output
    return folder


@pytest.fixture
def combined(combined_folder, tmp_path):
    """A working folder in which stage 3 is made."""
    shutil.copytree(combined_folder, tmp_path / "combined")  # which keeps the times
    return combining(tmp_path / "combined")


@pytest.fixture
def own_code(tmp_path):
    """A copy of calflow whose code can be edited."""
    folder = tmp_path / "calflow"
    folder.mkdir()
    for name in ("Snakefile", "config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("rules", "scripts", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / name)  # with what Python has compiled
    return folder
