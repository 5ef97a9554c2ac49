"""Time stage 2 of calflow and of the jwst package on the same simulated full-size exposures.

Run by ``make benchmark``; as a plain command ``.venv/bin/python benchmarks/run.py``. The simulated exposures are kept
in benchmarks/data; the table is written into benchmarks/stage2.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks"
SAMPLING_INTERVAL = 0.05  # seconds between two looks at the memory
CASES = {
    "MIRI F1130W, 4 exposures of 1024 x 1032, 3 backgrounds": {
        "instrument": "miri_f1130w",
        "exposures": 4,
        "backgrounds": 3,
    },
    "NIRCam F200W, 4 exposures of 2048 x 2048": {"instrument": "nircam_f200w", "exposures": 4},
}


@dataclass(frozen=True)
class Cost:
    """
    What a command took, all its processes together.

    Attributes
    ----------
    wall, cpu : float
        Seconds; user and system time.
    memory : float
        Largest sum of resident memory, MB.
    """

    wall: float
    cpu: float
    memory: float


def measure(command: list[str], folder: Path) -> Cost:
    """
    Run a command and measure its process tree.

    Parameters
    ----------
    command : list of str
    folder : Path
        Working directory; gets the command's output as ``output.txt``.

    Raises
    ------
    RuntimeError
        When the command fails, with the end of its output.
    """
    output = folder / "output.txt"
    with output.open("w") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        memory = 0.0
        # wait4 tells the time of the process and of all that it has waited for, which subprocess does not.
        finished, status, usage = os.wait4(process.pid, os.WNOHANG)
        while not finished:
            memory = max(memory, _tree_memory(process.pid))
            time.sleep(SAMPLING_INTERVAL)
            finished, status, usage = os.wait4(process.pid, os.WNOHANG)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed ({process.returncode}):\n{output.read_text()[-4000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, memory)


def _tree_memory(pid: int) -> float:
    """Return the resident memory of a process and its descendants, MB."""
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for process in tree:
        try:
            total += process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total / 2**20


def simulated(case: dict) -> tuple[Path, Path]:
    """Return the association and the folder of references of a case, which are made if there are none."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from simulation import Scene, simulate

    folder = HERE / "data" / case["instrument"]
    if not (folder / "truth.json").exists():
        print(f"simulate {folder.relative_to(ROOT)}", flush=True)
        simulate(folder, Scene(**case))
    return next((folder / "rate").glob("*_asn.json")), folder / "references"


def run_calflow(association: Path, references: Path, folder: Path, cores: int) -> Cost:
    """Measure the workflow, from an empty folder."""
    config = {
        "associations": [str(association)],
        "references": {"source": "directory", "directory": str(references)},
        "stage2": {"save_bsub": True},
    }
    configfile = folder / "benchmark.yaml"
    configfile.write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--snakefile", str(ROOT / "Snakefile")]
    return measure([*command, "--configfile", str(configfile)], folder)


def run_jwst(association: Path, references: Path, folder: Path, python: str) -> Cost:
    """Measure jwst: one process for all exposures, with as many BLAS threads as it likes to have."""
    command = [python, str(HERE / "run_jwst.py"), str(association), str(references), str(folder / "products")]
    return measure([*command, "--threads", str(os.cpu_count())], folder)


def compare(cores: int, repeat: int, python: str) -> list[tuple[str, Cost, Cost]]:
    """Return the median costs, calflow's and jwst's, of every case; the two take turns."""
    results = []
    for name, case in CASES.items():
        association, references = simulated(case)
        costs: dict[str, list[Cost]] = {"calflow": [], "jwst": []}
        for _ in range(repeat):
            with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
                costs["calflow"].append(run_calflow(association, references, Path(folder), cores))
            with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
                costs["jwst"].append(run_jwst(association, references, Path(folder), python))
            print(f"{name}: calflow {costs['calflow'][-1]}, jwst {costs['jwst'][-1]}", flush=True)
        results.append((name, _median(costs["calflow"]), _median(costs["jwst"])))
    return results


def _median(costs: list[Cost]) -> Cost:
    """Return the run with the median wall time."""
    return sorted(costs, key=lambda cost: cost.wall)[len(costs) // 2]


def report(results: list[tuple[str, Cost, Cost]], cores: int, repeat: int, python: str, date: str | None) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Stage 2: calflow and jwst on the same exposures",
        "",
        "Made by `make benchmark`. From `_rate` to `_bsub`, `_cal` and `_i2d`, with the start of the programs, on the",
        f"same simulated files: calflow as a whole `snakemake --cores {cores}` run from an empty folder; jwst as one",
        "process that runs `Image2Pipeline` over the association. CPU is user and system time, memory the largest sum",
        "of resident memory, both of all processes. Ratios are jwst / calflow: above 1, calflow needs less.",
        "",
        "| data | | wall s | CPU s | peak memory MB |",
        "|---|---|---:|---:|---:|",
    ]
    for name, ours, theirs in results:
        lines += [
            f"| {name} | calflow | {ours.wall:.1f} | {ours.cpu:.1f} | {ours.memory:.0f} |",
            f"| | jwst | {theirs.wall:.1f} | {theirs.cpu:.1f} | {theirs.memory:.0f} |",
            f"| | **ratio** | **{theirs.wall / ours.wall:.2f}** | **{theirs.cpu / ours.cpu:.2f}** "
            f"| **{theirs.memory / ours.memory:.2f}** |",
        ]
    times = "one run each" if repeat == 1 else f"the run of median wall time out of {repeat}"
    lines += ["", f"{_versions(python)}; {_machine()}; {times}{f'; {date}' if date else ''}.", ""]
    return "\n".join(lines)


def _versions(python: str) -> str:
    from importlib.metadata import version

    sys.path.insert(0, str(ROOT / "scripts"))
    from products.version import VERSION

    code = "from importlib.metadata import version; print(version('jwst'))"
    jwst = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return f"calflow {VERSION}, snakemake {version('snakemake')}, jwst {jwst}, Python {platform.python_version()}"


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB"


def main() -> None:
    """Read the command line, measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="cores for calflow (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each (default %(default)s)")
    parser.add_argument("--date", help="to be written below the table")
    parser.add_argument("--output", type=Path, default=HERE / "stage2.md", help="the table (default %(default)s)")
    given = parser.parse_args()
    python = os.environ.get("CALFLOW_JWST_PYTHON", str(ROOT / ".venv-jwst" / "bin" / "python"))
    if not Path(python).exists():
        sys.exit(f"no Python with jwst at {python}: `make benchmark` makes one, or set CALFLOW_JWST_PYTHON")
    results = compare(given.cores, given.repeat, python)
    table = report(results, given.cores, given.repeat, python, given.date)
    given.output.write_text(table)
    print(table)


if __name__ == "__main__":
    main()
