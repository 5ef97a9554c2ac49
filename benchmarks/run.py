"""Time calflow and the jwst package on the same simulated full-size exposures.

Run by ``make benchmark``; as a plain command ``.venv/bin/python benchmarks/run.py``. The simulated exposures are kept
in benchmarks/data; the tables are written into benchmarks/stage2.md and benchmarks/stage3.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks"
POLLING_INTERVAL = 0.02  # seconds between two looks whether a command has ended
SAMPLING_INTERVAL = 0.5  # seconds between two looks at the memory
CASES = {
    "MIRI F1130W, 4 exposures of 1024 x 1032, 3 backgrounds": {
        "instrument": "miri_f1130w",
        "exposures": 4,
        "backgrounds": 3,
    },
    "NIRCam F200W, 4 exposures of 2048 x 2048": {"instrument": "nircam_f200w", "exposures": 4},
}
# The memory of stage 3 must not grow with the number of exposures.
NUMBERS = (4, 16)
HEADS = {
    2: (
        "# Stage 2: calflow and jwst on the same exposures",
        "From `_rate` to `_bsub`, `_cal` and `_i2d`, with the start of the programs, on the same simulated files:",
        "jwst as one process that runs `Image2Pipeline` over the association.",
    ),
    3: (
        "# Stages 2 and 3: calflow and jwst on the same exposures",
        "From `_rate` to `_cal`, quick looks, `_crf`, the combined `_i2d`, catalogue and segmentation map, with the "
        "start of the programs, on the same simulated files:",
        "jwst as one process for `Image2Pipeline` and one for `Image3Pipeline`, times added.",
    ),
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
        Largest sum of memory, MB: what several processes share counts once; NaN where it was not looked at.
    """

    wall: float
    cpu: float
    memory: float


def measure(command: list[str], folder: Path, *, memory: bool = True) -> Cost:
    """
    Run a command and measure its process tree.

    Parameters
    ----------
    command : list of str
    folder : Path
        Working directory; gets the command's output as ``output.txt``.
    memory : bool
        Whether to look at it. To find what is shared, the kernel looks at every page and holds up the process: a run
        on all cores takes up to a second more of ten, one on a single core nothing.

    Raises
    ------
    RuntimeError
        When the command fails, with the end of its output.
    """
    output = folder / "output.txt"
    with output.open("w") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        largest, looked = 0.0 if memory else float("nan"), start
        # wait4 tells the time of the process and of all that it has waited for, which subprocess does not.
        finished, status, usage = os.wait4(process.pid, os.WNOHANG if memory else 0)
        while not finished:
            if time.perf_counter() - looked > SAMPLING_INTERVAL:
                largest, looked = max(largest, _tree_memory(process.pid)), time.perf_counter()
            time.sleep(POLLING_INTERVAL)
            finished, status, usage = os.wait4(process.pid, os.WNOHANG)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed ({process.returncode}):\n{output.read_text()[-4000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, largest)


def _tree_memory(pid: int) -> float:
    """Return the memory of a process and its descendants, MB: the proportional set size, or the resident one."""
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for process in tree:
        try:
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
    return total / 2**20


def simulated(case: dict) -> Path:
    """Return the folder of a case with its exposures, associations and references, which is made if there is none."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from calflow.simulation import Scene, simulate

    folder = HERE / "data" / f"{case['instrument']}_{case['exposures']}"
    if not (folder / "truth.json").exists():
        print(f"simulate {folder.relative_to(ROOT)}", flush=True)
        simulate(folder, Scene(**case))
    return folder


def associations(data: Path, stage: int) -> list[Path]:
    """Return the level-2 association of a case, and the level-3 one for stage 3."""
    folders = ("rate", "stage3")[: stage - 1]
    return [next((data / folder).glob("*_asn.json")) for folder in folders]


def run_calflow(data: Path, folder: Path, cores: int, stage: int, *, memory: bool = True) -> Cost:
    """Measure the workflow up to a stage, from an empty folder; `memory`: whether to look at that."""
    config = {
        "associations": list(map(str, associations(data, stage))),
        "references": {"source": "directory", "directory": str(data / "references")},
        "stage2": {"save_bsub": stage == 2},
    }
    configfile = folder / "benchmark.yaml"
    configfile.write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--snakefile", str(ROOT / "Snakefile")]
    return measure([*command, "--configfile", str(configfile)], folder, memory=memory)


def run_jwst(data: Path, folder: Path, python: str, stage: int, *, memory: bool = True) -> Cost:
    """Measure jwst: one process for each stage, with as many BLAS threads as it likes; `memory`: as above."""
    level2, *level3 = map(str, associations(data, stage))
    command = [python, str(HERE / "run_jwst.py"), level2, str(data / "references"), str(folder / "products")]
    command += ["--threads", str(os.cpu_count())]
    costs = [measure(command, folder, memory=memory)]
    if level3:
        costs.append(measure([*command, "--only-stage3", "--stage3", *level3], folder, memory=memory))
    return Cost(sum(c.wall for c in costs), sum(c.cpu for c in costs), max(c.memory for c in costs))


def compare(cores: int, repeat: int, python: str, stage: int) -> list[tuple[str, Cost, Cost]]:
    """Return the median costs, calflow's and jwst's, of every case; the two take turns.

    The first run of each is for its memory, which would hold up the others.
    """
    results = []
    for name, case in CASES.items():
        data = simulated(case)
        costs: list[tuple[Cost, Cost]] = []
        for number in range(1 + repeat):
            with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
                ours = run_calflow(data, Path(folder), cores, stage, memory=number == 0)
            with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
                theirs = run_jwst(data, Path(folder), python, stage, memory=number == 0)
            print(f"{name}: calflow {ours}, jwst {theirs}", flush=True)
            costs.append((ours, theirs))
        ours_all, theirs_all = zip(*costs, strict=True)
        results.append((name, _median(ours_all), _median(theirs_all)))
    return results


def compare_memory(cores: int, python: str) -> list[tuple[int, str, float, float]]:
    """Return, for each number of NIRCam exposures, calflow's largest job with its memory, and jwst's, MB."""
    results = []
    for number in NUMBERS:
        data = simulated({"instrument": "nircam_f200w", "exposures": number})
        with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
            run_calflow(data, Path(folder), cores, 3)
            rule, memory = largest_job(Path(folder) / "results" / "benchmarks")
        with tempfile.TemporaryDirectory(dir=HERE / "data") as folder:
            theirs = run_jwst(data, Path(folder), python, 3).memory
        print(f"{number} exposures: {rule} {memory:.0f} MB, jwst {theirs:.0f} MB", flush=True)
        results.append((number, rule, memory, theirs))
    return results


def largest_job(folder: Path) -> tuple[str, float]:
    """Return the rule with the highest resident memory (MB) in Snakemake's benchmark files."""
    peaks = []
    for path in folder.rglob("*.tsv"):
        names, values = (line.split("\t") for line in path.read_text().splitlines()[:2])
        peak = dict(zip(names, values, strict=True))["max_rss"]
        if peak not in ("-", "NA"):
            peaks.append((float(peak), path.relative_to(folder).parts[0].removesuffix(".tsv")))
    memory, rule = max(peaks)
    return rule, memory


def _median(costs: Sequence[Cost]) -> Cost:
    """Return the run with the median wall time of all but the first, with the memory of that."""
    timed = sorted(costs[1:], key=lambda cost: cost.wall)
    return replace(timed[len(timed) // 2], memory=costs[0].memory)


def report(results: list[tuple[str, Cost, Cost]], stage: int, given: argparse.Namespace, python: str) -> str:
    """Return the results as Markdown."""
    title, what, theirs_is = HEADS[stage]
    lines = [
        title,
        "",
        f"Made by `make benchmark`. {what} calflow as a whole `snakemake --cores {given.cores}` run from an empty "
        f"folder; {theirs_is} CPU is user and system time of all processes. Memory is the largest sum of them, what "
        "they share counted once, in a run of its own. "
        "Ratios are jwst / calflow: above 1, calflow needs less.",
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
    if stage == 3:
        lines += [
            "",
            "Memory of the largest single job for more and more NIRCam F200W exposures of 2048 x 2048:",
            "",
            "| exposures | largest job of calflow | MB | jwst, stage 3, MB |",
            "|---:|---|---:|---:|",
        ]
        lines += [
            f"| {number} | `{rule}` | {memory:.0f} | {theirs:.0f} |"
            for number, rule, memory, theirs in compare_memory(given.cores, python)
        ]
    times = "one run each" if given.repeat == 1 else f"the run of median wall time out of {given.repeat}"
    lines += ["", f"{versions(python)}; {machine()}; {times}{f'; {given.date}' if given.date else ''}.", ""]
    return "\n".join(lines)


def versions(python: str) -> str:
    """Return what was compared, in one line; `python` is the one that has jwst."""
    code = "from importlib.metadata import version; print(version('jwst'))"
    jwst = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return f"{versions_of_calflow()}, jwst {jwst}"


def versions_of_calflow() -> str:
    """Return which calflow, with what it runs on, in one line."""
    from importlib.metadata import version

    sys.path.insert(0, str(ROOT / "scripts"))
    from calflow.files.version import VERSION

    return f"calflow {VERSION}, snakemake {version('snakemake')}, Python {platform.python_version()}"


def machine() -> str:
    """Return where it was compared, in one line."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB"


def main() -> None:
    """Read the command line, measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="cores for calflow (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each (default %(default)s)")
    parser.add_argument("--date", help="to be written below the table")
    parser.add_argument("--stages", type=int, nargs="+", choices=(2, 3), default=[2, 3], help="default: %(default)s")
    given = parser.parse_args()
    python = os.environ.get("CALFLOW_JWST_PYTHON", str(ROOT / ".venv-jwst" / "bin" / "python"))
    if not Path(python).exists():
        sys.exit(f"no Python with jwst at {python}: `make benchmark` makes one, or set CALFLOW_JWST_PYTHON")
    for stage in given.stages:
        table = report(compare(given.cores, given.repeat, python, stage), stage, given, python)
        (HERE / f"stage{stage}.md").write_text(table)
        print(table)


if __name__ == "__main__":
    main()
