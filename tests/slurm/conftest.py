"""Runs on a real SLURM of three nodes on this machine."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from calflow.simulation import Scene, simulate
from tests.slurm.cluster import DATABASE, PROGRAMS, Cluster

ROOT = Path(__file__).parents[2]
# Enough for stage 3; small enough that Snakemake itself takes most of the time.
FIELD = Scene(
    "nircam_f200w",
    detector_shape=(128, 136),
    exposures=3,
    stars=40,
    galaxies=3,
    pointing_error=0.05,
    sky_scatter=0.2,
    drizzled_apcorr=True,
    seed=3,
)
CONFIG = {
    "associations": ["data/rate/*_asn.json", "data/stage3/*_asn.json"],
    "references": {"directory": "data/references"},
    "stage2": {"resample": {"skip": True}},
}
# Those of the profile are meant for queues of minutes and for slow file systems.
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")


class SlurmRun:
    """A run of calflow through profiles/slurm, in the background."""

    def __init__(self, folder: Path, cluster: Cluster, *options: str) -> None:
        command = [
            *snakemake(),
            "--profile",
            str(ROOT / "profiles/slurm"),
            "--configfile",
            "my.yaml",
            *QUICK,
            *options,
        ]
        self.output = folder / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment(cluster), stdout=output, stderr=subprocess.STDOUT
            )

    def finish(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and all that was printed."""
        try:
            code = self.process.wait(180)
        finally:
            self.process.kill()
        return code, self.output.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], object]) -> object:
        """Wait for something that is not nothing while the run goes on."""
        while self.process.poll() is None:
            if found := ready():
                return found
            time.sleep(0.1)
        raise AssertionError(self.output.read_text(errors="replace"))


def products(folder: Path) -> dict[str, bytes]:
    """Return what a run has made, without what tells of the run itself."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[0] not in ("benchmarks", "logs", ".run.lock")
    }


def snakemake(*arguments: str) -> list[str]:
    """Return a command of calflow."""
    return [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile")]


def environment(cluster: Cluster | None = None) -> dict[str, str]:
    """Return the variables of a command, for which the cluster is that of SLURM's."""
    ours = {name: value for name, value in os.environ.items() if not re.match("SNAKEMAKE|SLURM|SBATCH", name)}
    return ours | (cluster.environment if cluster else {})


def _require(programs: tuple[str, ...]) -> None:
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing)}: see tests/slurm/packages.sh")


def _cluster(accounting: bool):
    _require(PROGRAMS + (DATABASE if accounting else ()))
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # the folder of pytest is too long for sockets
    try:
        with Cluster(folder, accounting=accounting) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster():
    """A cluster without accounting."""
    yield from _cluster(False)


@pytest.fixture
def accounting_cluster():
    """A cluster with an accounting database."""
    yield from _cluster(True)


@pytest.fixture(scope="session")
def local_folder(tmp_path_factory):
    """A folder in which everything was made without SLURM."""
    _require(PROGRAMS)
    folder = tmp_path_factory.mktemp("slurm") / "local"
    simulate(folder / "data", FIELD)
    (folder / "my.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [*snakemake(), "--cores", "2", "--configfile", "my.yaml"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def folder(local_folder, tmp_path):
    """The same data, nothing made."""
    shutil.copytree(local_folder / "data", tmp_path / "run" / "data")
    shutil.copy(local_folder / "my.yaml", tmp_path / "run")
    return tmp_path / "run"
