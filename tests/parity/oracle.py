"""Data of the oracle and jwst's products of them, which the comparisons with jwst share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from limits import ROOT, jwst_python

ORACLE = ROOT.parent / "shared" / "oracle"
CONTEXT = "jwst_9000.pmap"
# Data made elsewhere, and data made here: kept, so that a second run takes less than half the time.
DATA = [Path(folder) for folder in (os.environ.get("CALFLOW_ORACLE_DATA"), Path(__file__).parent / "data") if folder]

MARKS = [
    pytest.mark.parity,
    pytest.mark.skipif(not ORACLE.exists(), reason=f"no oracle: {ORACLE}"),
    pytest.mark.skipif(jwst_python() is None, reason="no environment with jwst: make parity makes it"),
]


def simulated(case: str, size: str = "small", seed: int = 1) -> Path:
    """Return the folder with the data of a case, which are made if there are none."""
    name = f"{case}_{size}" if seed == 1 else f"{case}_{size}_seed{seed}"
    for folder in DATA:
        if (folder / name / "crds").is_dir():
            return folder / name
    oracle("simulate.py", DATA[-1] / name, "--case", case, "--size", size, "--seed", seed)
    return DATA[-1] / name


def calibrated_by_jwst(data: Path) -> Path:
    """Return the folder with jwst's products of stage 2, which are made if there are none."""
    for folder in DATA:
        if list((folder / f"{data.name}_jwst").glob("timing_stage2.json")):
            return folder / f"{data.name}_jwst"
    oracle("run_jwst.py", data, DATA[-1] / f"{data.name}_jwst", "--stage", 2)
    return DATA[-1] / f"{data.name}_jwst"


def combined_by_jwst(data: Path, intermediate: bool = True) -> Path:
    """Return the folder with jwst's products of stage 3, and with what each step makes; made if there are none."""
    products = calibrated_by_jwst(data)
    wanted = "*_0_skymatch.fits" if intermediate else "*_segm.fits"
    if not list((products / "l3").glob(wanted)):
        oracle("run_jwst.py", data, products, "--stage", 3, *(["--intermediate"] if intermediate else []))
    return products / "l3"


def references(data: Path) -> dict:
    """Return where calflow finds the reference files of a case."""
    return {"source": "crds", "crds_path": str(data / "crds"), "crds_context": CONTEXT}


def stage3_association(data: Path) -> Path:
    """Return the level-3 association of a case."""
    (path,) = (data / "l3").glob("*_asn.json")
    return path


def product_and_exposures(association: Path) -> tuple[str, list[str]]:
    """Return the product of a level-3 association, and its exposures without ``_cal.fits``."""
    (product,) = json.loads(association.read_text())["products"]
    return product["name"], [member["expname"].removesuffix("_cal.fits") for member in product["members"]]


def oracle(script: str, *arguments: object) -> None:
    """Run a script of the oracle: compare.py by calflow's Python, the others by that of jwst."""
    python = sys.executable if script == "compare.py" else jwst_python()
    assert python is not None, "without jwst these tests are skipped"
    run([python, str(ORACLE / script), *map(str, arguments)])


def run(command: list[str]) -> None:
    """Run a command that must not fail."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
