"""What a changed step, a new release of a library and a new reference cost, at the most and if the bytes stay the same.

As a plain command: ``.venv/bin/python benchmarks/cut_off.py``; writes benchmarks/cut_off.md. The exposures are those of
planning.py, their products empty files with Snakemake's records; the costs are those that ``snakemake plan`` tells.
With ``--run`` the smallest number is reduced, and each change made, with and without the cut-off.
"""

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from run import HERE, ROOT, Cost, machine, measure, versions_of_calflow
from survey import PER_ASSOCIATION, make_survey

CODE = ("Snakefile", "config.yaml", "pyproject.toml", "rules", "scripts", "envs", "profiles")


class Survey:
    """A survey, the code that reduces it, and changes to both."""

    def __init__(self, folder: Path, number: int):
        self.folder, self.code, self.installed = folder / "survey", folder / "code", folder / "installed"
        make_survey(HERE / "data" / "survey_field", self.folder, number)
        self.code.mkdir()
        for name in CODE:
            path = ROOT / name
            (shutil.copytree if path.is_dir() else shutil.copy)(path, self.code / name)
        self.installed.mkdir()
        os.environ["PYTHONPATH"] = str(self.installed)
        self._times = 0

    def snakemake(self, *arguments: str) -> Cost:
        """Measure a command of Snakemake."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.code / "Snakefile"), "--cores", "2"]
        return measure([*command, *arguments, "--configfile", "survey.yaml"], self.folder)

    def pretend(self) -> None:
        """Make all products as empty files, with their records."""
        command = [sys.executable, str(HERE / "pretend.py"), str(self.code / "Snakefile"), "survey.yaml"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def plan(self) -> dict[str, float]:
        """Return the totals of the plan."""
        self.snakemake("plan")
        return json.loads((self.folder / "results" / "plan.json").read_text())["totals"]

    def configure(self, **values: object) -> None:
        """Give parameters other values."""
        path = self.folder / "survey.yaml"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def edit_a_step(self) -> None:
        """Change the text of a function, and nothing that it does."""
        path = self.code / "scripts/calflow/science/calibration/photom.py"
        line = "    scale = 1.0 / factor if inverse else factor\n"
        path.write_text(path.read_text().replace(line, f"    edited = {self._next()}\n{line}"))

    def release_a_library(self) -> None:
        """Have the metadata of photutils tell another version, and all else that photutils reads there as it is."""
        folder = self.installed / "photutils-99.dist-info"
        folder.mkdir(exist_ok=True)
        metadata = importlib.metadata.distribution("photutils").read_text("METADATA") or ""
        (folder / "METADATA").write_text(re.sub(r"(?m)^Version: .*", f"Version: 99.{self._next()}", metadata, count=1))

    def rename_a_reference(self) -> None:
        """Have the same flat chosen under another name, as a new context does."""
        (flat,) = (HERE / "data" / "survey_field" / "references").glob("*flat*.fits")
        renamed = self.folder / f"flat_{self._next()}.fits"
        shutil.copy(flat, renamed)
        self.configure(references={"directory": str(flat.parent), "override": {"flat": str(renamed)}})

    def _next(self) -> int:
        self._times += 1
        return self._times


CHANGES: dict[str, Callable[[Survey], None]] = {
    "a step edited (photom)": Survey.edit_a_step,
    "another photutils": Survey.release_a_library,
    "a flat of another name, with the same values": Survey.rename_a_reference,
}


def planned(number: int) -> list[str]:
    """Return a line for each change: what the plan tells."""
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        survey = Survey(Path(name), number)
        survey.pretend()
        lines = []
        for what, change in CHANGES.items():
            change(survey)
            found = survey.plan()
            lines.append(
                f"| {number} | {what} | {found['jobs']} | {found['wall_s']:.0f} | {found['least_jobs']} "
                f"| {found['least_wall_s']:.0f} |"
            )
            print(lines[-1], flush=True)
            survey.pretend()
    return lines


def run(number: int) -> list[str]:
    """Return a line for each change: what it takes with and without the cut-off."""
    with tempfile.TemporaryDirectory(dir=HERE / "data") as name:
        survey = Survey(Path(name), number)
        survey.snakemake()
        costs = {}
        for leaves_out in (True, False):  # without it nothing is recorded of content
            survey.configure(leave_out_unchanged=leaves_out)
            for what, change in CHANGES.items():
                change(survey)
                costs[what, leaves_out] = survey.snakemake()
                print(what, leaves_out, costs[what, leaves_out], flush=True)
        return [
            f"| {number} | {what} | {costs[what, False].wall:.0f} | {costs[what, False].cpu:.0f} "
            f"| {costs[what, True].wall:.0f} | {costs[what, True].cpu:.0f} |"
            for what in CHANGES
        ]


def main() -> None:
    """Plan, run if asked to, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exposures", type=int, nargs="+", default=[100, 1_000], help="default: %(default)s")
    parser.add_argument("--run", action="store_true", help="also run the smallest number of exposures")
    given = parser.parse_args()
    (HERE / "data").mkdir(exist_ok=True)
    lines = [
        "# Early cut-off",
        "",
        f"Made by `benchmarks/cut_off.py` on small MIRI exposures, {PER_ASSOCIATION} to an association, for 2 cores.",
        "",
        "What `snakemake plan` tells: the most that runs, which is also what runs without the cut-off "
        "(`leave_out_unchanged: false`), and what runs if all comes out with the bytes it had.",
        "",
        "| exposures | what is changed | jobs, at most | s | jobs, at least | s |",
        "|---:|---|---:|---:|---:|---:|",
        *(line for number in given.exposures for line in planned(number)),
        "",
    ]
    if given.run:
        lines += [
            "Runs:",
            "",
            "| exposures | what is changed | without: wall s | CPU s | with: wall s | CPU s |",
            "|---:|---|---:|---:|---:|---:|",
            *run(min(given.exposures)),
            "",
            "The headers of all products name their flat, so one of another name makes all again, whatever its values.",
            "",
        ]
    lines += [f"{versions_of_calflow()}; {machine()}; one run each.", ""]
    (HERE / "cut_off.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
