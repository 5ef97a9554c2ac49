"""How far calflow may be from jwst 3.0.0, and the commands that both comparisons share."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

RELATIVE = 1e-6  # SCI, ERR, VAR_* of _bsub and _cal
SKY_MAS = 0.01  # through gwcs
FITS_PIXELS = 0.01  # through the FITS keywords
I2D_OF_ERR = 1e-3  # SCI of _i2d, as a part of ERR
# WHT, VAR_*, ERR of _i2d. WHT is taken relative to at least its median: where an input pixel covers an output pixel
# by 1e-6 of its area, at the edge and beside bad pixels, the 1e-7 pixel of the pixel map's spline count for more.
I2D_RELATIVE = 1e-4
# Part of the pixels of _i2d that may differ more, if the pointings are not equal but within SKY_MAS: where of an
# exposure only the edges of good pixels beside a bad one reach an output pixel, 1e-6 pixel decides which counts more.
I2D_SLIVERS = 1e-6

# Stage 3.
SKY_OF_NOISE = 1e-3  # sky levels, as a part of the noise of a pixel
OUTLIERS = 1e-5  # part of the pixels that may be flagged by one side alone
CATALOG_RELATIVE = 1e-4  # fluxes, their errors and the background, on equal images
# On images that are not equal, but within I2D_OF_ERR: the clipped median around a source takes one pixel more or less.
FLUX_OF_ERR = 2e-2
CATALOG_PIXELS = 1e-3  # centroids
S_REGION_MAS = 0.02  # between the outlines; of vertices, where edges are nearly parallel, more

# Keywords of jwst that calflow does not write, with the reason; also in docs/differences.md.
MISSING_KEYWORDS: dict[str, str] = {}
MISSING_IN_SEGM = {
    "VELOSYS": "says nothing about a map of labels; it is in _i2d",
    "XREF_SCI": "of the detector, not of the map",
    "YREF_SCI": "of the detector, not of the map",
}

# Numbers that agree less well than to 1e-9: the limit, relative, and the reason.
ROUGHER_KEYWORDS = {
    "PHOTMJSR": (2e-7, "jwst computes the time correction in single precision"),
    "PHOTUJA2": (2e-7, "PHOTMJSR in other units"),
}
SIP = re.compile(r"[AB]P?_\d_\d")


def same_value(key: str, theirs: object, ours: object) -> bool:
    """Tell whether jwst's and calflow's value of a keyword are the same."""
    if key.startswith("R_"):
        # jwst has the path where the reference was given by the user.
        return str(theirs).rpartition("/")[2] == str(ours).rpartition("/")[2]
    if key == "S_REGION":
        first, second = (np.array(str(text).split()[2:], float).reshape(-1, 2) for text in (theirs, ours))
        return len(first) == len(second) and outline_distance_mas(first, second) < S_REGION_MAS
    if isinstance(theirs, float) and isinstance(ours, int | float):
        relative = ROUGHER_KEYWORDS[key][0] if key in ROUGHER_KEYWORDS else 1e-9
        # 1e-5 pixel at the edge of a frame; the positions themselves are compared too.
        absolute = 1e-11 if SIP.fullmatch(key) else 1e-12
        return math.isclose(theirs, ours, rel_tol=relative, abs_tol=absolute)
    return theirs == ours


def outline_distance_mas(first: np.ndarray, second: np.ndarray) -> float:
    """
    Return how far the vertices of two polygons are from the outline of the other.

    Parameters
    ----------
    first, second : array, shape (n, 2)
        Right ascension and declination, degrees; far from the poles and from right ascension 0.
    """
    plane = np.cos(np.radians(first[0, 1])), 1.0
    a, b = (3.6e6 * (polygon - first[0]) * plane for polygon in (first, second))
    return max(_farthest_vertex(a, b), _farthest_vertex(b, a))


def _farthest_vertex(vertices: np.ndarray, outline: np.ndarray) -> float:
    """Return the largest distance of a vertex from an outline, both in a plane."""
    start, edge = outline, np.roll(outline, -1, axis=0) - outline
    to_vertex = vertices[:, None] - start
    along = np.clip((to_vertex * edge).sum(-1) / (edge**2).sum(-1), 0, 1)
    return float(np.linalg.norm(to_vertex - along[..., None] * edge, axis=-1).min(axis=1).max())


def jwst_python() -> str | None:
    """Return the Python that has jwst installed, if there is one."""
    python = os.environ.get("CALFLOW_JWST_PYTHON", str(ROOT / ".venv-jwst" / "bin" / "python"))
    return python if Path(python).exists() else None


def run_calflow(folder: Path, config: dict, targets: Sequence[str] = ()) -> Path:
    """
    Run the workflow in a folder of its own.

    Parameters
    ----------
    folder : Path
        Working directory.
    config : dict
        As in config.yaml; paths are relative to `folder`, or absolute.
    targets : sequence of str
        Files to make, if not all.

    Returns
    -------
    Path
        Folder of the stage-2 products; those of stage 3 are in ``stage3`` beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configfile = folder / "parity.yaml"
    configfile.write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(configfile)]
    command += ["--", *targets]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder / config.get("output", "results") / "stage2"
