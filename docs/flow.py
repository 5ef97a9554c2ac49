"""Draw the flow of files and rules, flow.svg of architecture.md: the jobs of a small simulated field, as planned.

Run by ``make flow``; as a plain command ``.venv/bin/python docs/flow.py``.
"""

import json
import re
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from calflow.configuration.settings import read_settings
from calflow.jobs.all import JOBS
from calflow.jobs.declaration import flat
from calflow.plan.planner import make_plan
from calflow.simulation import Scene, simulate

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/flow.svg"
FIELD = Scene("miri_f1130w", detector_shape=(56, 64), exposures=2, backgrounds=1, stars=1, galaxies=0, seed=3)
CONFIG = {
    "associations": ["rate/*_asn.json", "stage3/*_asn.json"],
    "references": {"directory": "references"},
    "output": "out",
    # So that the output has a grid of its own, apart from that of the outlier search.
    "stage3": {"resample": {"pixel_scale_ratio": 0.5}},
}
# Wildcards that are part of a suffix.
SUFFIXES = ("cal", "bsub")
GIVEN, REFERENCES = "_rate.fits", "reference files"
# Pixels: from rule to rule, of a box, and beside the last one.
LANE, ROW, WIDTH, BOX, FILES = 34, 36, 150, 25, 300
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -4 {size}" style="background: #fff"
 font-family="sans-serif" font-size="13">
<title>Which rule makes which files of which others</title>
<style>
.rule {{ fill: #dbe7f5; stroke: #4a6fa5 }}
.given {{ fill: #f3e9d2; stroke: #a5854a }}
.files {{ fill: #4a6fa5; font-family: monospace }}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" fill="#8a8f98"/></marker></defs>
<g fill="none" stroke="#8a8f98" stroke-width="1.3">"""


class PlannedJob(NamedTuple):
    """A job of the plan."""

    rule: str
    wildcards: dict[str, str]
    inputs: list[str]
    outputs: list[str]


def planned_jobs(folder: Path) -> list[PlannedJob]:
    """Return the jobs of the simulated field, in the order of `JOBS`.

    Parameters
    ----------
    folder : Path
        An empty one.
    """
    simulate(folder, FIELD)
    (folder / "flow.yaml").write_text(json.dumps(CONFIG))
    command = [sys.executable, "-m", "snakemake", "plan", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    subprocess.run([*command, "--configfile", "flow.yaml"], cwd=folder, capture_output=True, check=True)
    jobs: list[dict[str, Any]] = json.loads((folder / "out/plan.json").read_text())["jobs"]
    with chdir(folder):
        plan = make_plan(read_settings(CONFIG), [], folder / "headers")
        planned = [
            PlannedJob(
                rule := job["rule"], names := job["wildcards"], flat(JOBS[rule].inputs(plan, **names)), job["output"]
            )
            for job in jobs
        ]
    return sorted(planned, key=lambda job: [*JOBS].index(job.rule))


def flow(jobs: list[PlannedJob]) -> str:
    """Return the flow as SVG: the rules on a diagonal, what each makes beside it, and a line from there to its readers.

    Parameters
    ----------
    jobs : list of PlannedJob
        Each after those whose files it reads.
    """
    maker = {path: job.rule for job in jobs for path in job.outputs}
    kinds: dict[str, list[str]] = {GIVEN: [], REFERENCES: []}
    kinds |= {job.rule: sorted(_kind(path, job.wildcards) for path in job.outputs) for job in jobs}
    read: dict[str, set[str]] = {name: set() for name in kinds}
    for job in jobs:
        read[job.rule] |= {
            maker.get(path, REFERENCES if path.startswith("references/") else GIVEN) for path in job.inputs
        }
    row = {name: number for number, name in enumerate(kinds)}
    lines, boxes = [], []
    for name, files in kinds.items():
        x, y = row[name] * LANE, row[name] * ROW
        readers = [row[reader] for reader in read if name in read[reader]]
        if readers:
            lines.append(f'<path d="M{x + 12} {y + BOX} V{max(readers) * ROW + BOX // 2}"/>')
        if sources := sorted(row[source] for source in read[name]):
            lines.append(f'<path d="M{sources[0] * LANE + 12} {y + BOX // 2} H{x - 3}" marker-end="url(#head)"/>')
            lines += [
                f'<circle cx="{source * LANE + 12}" cy="{y + BOX // 2}" r="3" fill="#8a8f98"/>' for source in sources
            ]
        kind = "rule" if files else "given"
        boxes.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{WIDTH}" height="{BOX}" rx="4"/>')
        boxes.append(f'<text x="{x + 8}" y="{y + 17}">{name}</text>')
        boxes.append(f'<text class="files" x="{x + WIDTH + 8}" y="{y + 17}">{"&#160;&#160; ".join(files)}</text>')
    size = f"{row[name] * LANE + WIDTH + FILES} {row[name] * ROW + BOX + 8}"
    return "\n".join([HEAD.format(size=size), *lines, "</g>", *boxes, "</svg>", ""])


def _kind(path: str, wildcards: dict[str, str]) -> str:
    """Return the path of a file without what is of this field: a suffix, with the folder below that of the stage."""
    for name, value in wildcards.items():
        path = path if name in SUFFIXES else path.replace(value, "")
    return re.sub(r"/+\.", "/*.", path.removeprefix("out/").partition("/")[2])


def main() -> None:
    """Draw it."""
    with tempfile.TemporaryDirectory() as name:
        PICTURE.write_text(flow(planned_jobs(Path(name))))


if __name__ == "__main__":
    main()
