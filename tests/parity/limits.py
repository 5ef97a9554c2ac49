"""How far calflow may be from jwst 3.0.0, and the commands that both comparisons share."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

RELATIVE = 1e-6  # SCI, ERR, VAR_* of _bsub and _cal
SKY_MAS = 0.01  # through gwcs
FITS_PIXELS = 0.01  # through the FITS keywords
I2D_OF_ERR = 1e-3  # SCI of _i2d, as a part of ERR
# WHT, VAR_*, ERR of _i2d. WHT is taken relative to at least its median: where an input pixel covers an output pixel
# by 1e-6 of its area, at the edge and beside bad pixels, the 1e-7 pixel of the pixel map's spline count for more.
I2D_RELATIVE = 1e-4

# Keywords of jwst that calflow does not write, with the reason; also in docs/differences.md.
MISSING_KEYWORDS: dict[str, str] = {}

# Numbers that agree less well than to 1e-9: the limit, relative, and the reason.
ROUGHER_KEYWORDS = {
    "PHOTMJSR": (2e-7, "jwst computes the time correction in single precision"),
    "PHOTUJA2": (2e-7, "PHOTMJSR in other units"),
}


def same_value(key: str, theirs: object, ours: object) -> bool:
    """Tell whether jwst's and calflow's value of a keyword are the same."""
    if key.startswith("R_"):
        # jwst has the path where the reference was given by the user.
        return str(theirs).rpartition("/")[2] == str(ours).rpartition("/")[2]
    if key == "S_REGION":
        first, second = ([float(number) for number in str(text).split()[2:]] for text in (theirs, ours))
        # Given with 9 decimals; the union of the polygons of an _i2d is computed from rounded ones.
        return len(first) == len(second) and all(abs(a - b) < 5e-9 for a, b in zip(first, second, strict=True))
    if isinstance(theirs, float) and isinstance(ours, int | float):
        relative = ROUGHER_KEYWORDS[key][0] if key in ROUGHER_KEYWORDS else 1e-9
        return math.isclose(theirs, ours, rel_tol=relative, abs_tol=1e-12)
    return theirs == ours


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
    folder.mkdir(parents=True, exist_ok=True)
    configfile = folder / "parity.yaml"
    configfile.write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(configfile)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder / config.get("output", "results") / "stage2"
