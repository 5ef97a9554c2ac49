"""Time how long planning takes, for more and more exposures, and a run with nothing to do.

Run by ``make benchmark-planning``; as a plain command ``.venv/bin/python benchmarks/planning.py``. Writes
benchmarks/planning.md; rows of other numbers of exposures stay as they are there. The exposures are links to ten
simulated ones of 64 x 56 pixels, in level-2 and level-3 associations of ten. To have nothing to do, all products are
made as empty files with Snakemake's records of them, and what a run notes at its end.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from run import HERE, ROOT, Cost, machine, measure, versions_of_calflow
from survey import PER_ASSOCIATION, make_survey

WHEN = ("first time", "again")
UP_TO_DATE = ".snakemake/calflow/up_to_date"  # what the run has noted that made everything
PER_SHARD = 1_000  # exposures, as config.yaml has it
ONE_RUN = 10_000  # exposures; more are planned by shards alone


def snakemake(folder: Path, cores: int, *arguments: str) -> Cost:
    """Measure a command of Snakemake in a survey's folder."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile")]
    return measure([*command, "--cores", str(cores), "--configfile", "survey.yaml"], folder)


def measure_survey(number: int, cores: int) -> list[tuple[str, Cost]]:
    """Return what planning takes for a number of exposures."""
    (HERE / "data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        folder = Path(name) / "survey"
        make_survey(HERE / "data" / "survey_field", folder, number)
        found = []
        if number <= ONE_RUN:
            found += [(f"plan, {when}", snakemake(folder, cores, "plan")) for when in WHEN]
        if number > PER_SHARD:
            found.append(("shards cut", snakemake(folder, cores, "shards")))
            found += [(f"shards planned, {when}", snakemake(folder, cores, "shards", "plan")) for when in WHEN]
        if number > ONE_RUN:
            return found
        shutil.rmtree(folder / ".snakemake")
        found += [(f"dry run, {when}", snakemake(folder, cores, "-n")) for when in WHEN]
        command = [sys.executable, str(HERE / "pretend.py"), str(ROOT / "Snakefile"), "survey.yaml"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        for state in ("", ", forgotten"):
            for name, targets in (("plan", ["plan"]), ("run", [])):
                if state:
                    (folder / UP_TO_DATE).unlink(missing_ok=True)
                found.append((f"{name}, nothing to do{state}", snakemake(folder, cores, *targets)))
    return found


def rows_of(number: int, found: list[tuple[str, Cost]]) -> list[str]:
    """Return the rows of the table for a number of exposures."""
    jobs = number * 6 + number // PER_ASSOCIATION * 7
    start = f"| {number} | {jobs} |"
    return [f"{start} {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.memory:.0f} |" for name, cost in found]


def rows_in(table: Path) -> dict[int, list[str]]:
    """Return the rows that are in a table, by the number of exposures."""
    rows: dict[int, list[str]] = {}
    for line in table.read_text().splitlines() if table.exists() else []:
        if (number := line.removeprefix("| ").partition(" ")[0]).isdecimal():
            rows.setdefault(int(number), []).append(line)
    return rows


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2, help="(default %(default)s)")
    parser.add_argument(
        "--exposures", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000], help="default: %(default)s"
    )
    given = parser.parse_args()
    rows = rows_in(HERE / "planning.md")
    for number in given.exposures:
        rows[number] = rows_of(number, measure_survey(number, given.cores))
        print(*rows[number], sep="\n", flush=True)
    lines = [
        "# Planning",
        "",
        f"Made by `make benchmark-planning`: `snakemake --cores {given.cores}` on small MIRI exposures, "
        f"{PER_ASSOCIATION} to a level-2 and a level-3 association, 6.7 jobs for each exposure. First time: no header "
        "is remembered. Nothing to do: after the run that made everything; forgotten: without what that has noted. "
        "Memory is the largest sum of all processes; what they share counts once.",
        "",
        "| exposures | jobs | | wall s | CPU s | memory MB |",
        "|---:|---:|---|---:|---:|---:|",
    ]
    lines += [row for number in sorted(rows) for row in rows[number]]
    lines += [
        "",
        "Snakemake builds its graph on one core, at about a millisecond and 15 kB for each job, and its dry run prints "
        "each job for as much again. So the plan, dry runs of 300 exposures and more, and runs of more than 100 of "
        "which most is made, build it part by part in as many processes as there are cores (at most 8; "
        "`scripts/calflow/engine/graphs.py`). What parts have in common, such as a background, keeps them "
        "together. Of parts that a run has left up to date, or found so, and of which nothing has changed since, no "
        "graph is built (`scripts/calflow/engine/made_parts.py`, `up_to_date.py`).",
        "",
        f"{versions_of_calflow()}; {machine()}; one run each.",
        "",
    ]
    (HERE / "planning.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
