"""How far calflow may be from jwst 3.0.0, and the commands that both comparisons share."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

RELATIVE = 1e-6  # SCI, ERR, VAR_* of _bsub and _cal
SKY_MAS = 0.01  # through gwcs
FITS_PIXELS = 0.01  # through the FITS keywords
I2D_OF_ERR = 1e-3  # SCI of _i2d, as a part of ERR
I2D_RELATIVE = 1e-4  # WHT, VAR_*, ERR of _i2d

# Keywords of jwst that calflow does not write, with the reason.
MISSING_KEYWORDS: dict[str, str] = {}

# Keywords whose value is another, with the reason.
DIFFERENT_KEYWORDS: dict[str, str] = {}


def jwst_python() -> str | None:
    """Return the Python that has jwst installed, if there is one."""
    python = os.environ.get("CALFLOW_JWST_PYTHON", str(ROOT / ".venv-jwst" / "bin" / "python"))
    return python if Path(python).exists() else None


def run_calflow(folder: Path, config: dict) -> Path:
    """
    Run the workflow in a folder of its own.

    Parameters
    ----------
    folder : Path
        Working directory.
    config : dict
        As in config.yaml; paths are relative to `folder`, or absolute.

    Returns
    -------
    Path
        Folder of the stage-2 products.
    """
    configfile = folder / "parity.yaml"
    configfile.write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(configfile)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder / config.get("output", "results") / "stage2"
