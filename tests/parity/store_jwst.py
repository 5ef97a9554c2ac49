"""Run jwst 3.0.0 on the tiny scenes and store its results for the tests, in tests/parity/stored.

A plain command for calflow's Python, after ``make parity`` or with CALFLOW_JWST_PYTHON set to a Python with jwst:
``PYTHONPATH=scripts python tests/parity/store_jwst.py``. Needed when the simulator or the scenes change.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from limits import ROOT, jwst_python
from scenes import COMBINED, SCENES, SKIPPED, STORED, describe, describe_combined, digest, store

from calflow.simulation import Scene, simulate


def main() -> None:
    """Store all scenes."""
    python = jwst_python()
    if python is None:
        sys.exit("no Python with jwst: run `make parity` first, or set CALFLOW_JWST_PYTHON")
    STORED.mkdir(exist_ok=True)
    for name, scene in (SCENES | COMBINED).items():
        with tempfile.TemporaryDirectory() as folder:
            store_scene(name, scene, Path(folder), python)
        file = STORED / f"{name}.npz"
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1024:.0f} kB")


def store_scene(name: str, scene: Scene, folder: Path, python: str) -> None:
    """Simulate one scene, calibrate it by jwst, and if so combine it, store the products."""
    truth = simulate(folder / "data", scene)
    products = folder / "jwst"
    command = [python, str(ROOT / "benchmarks" / "run_jwst.py"), str(truth.association)]
    command += [str(folder / "data" / "references"), str(products)]
    if name in COMBINED:
        command += ["--stage3", str(truth.stage3_association)]
    for step in SKIPPED.get(name, []):
        command += ["--skip", step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"jwst failed on {name}:\n{done.stderr[-4000:]}")
    if name in COMBINED:
        described = describe_combined(products, truth.stage3_association)
    else:
        described = {path.stem.rpartition("_")[2]: describe(path) for path in sorted(products.glob("*.fits"))}
    store(STORED / f"{name}.npz", digest(truth.science + truth.backgrounds), described)


if __name__ == "__main__":
    main()
