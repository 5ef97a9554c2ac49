"""A survey to plan: many small exposures in many associations, links to a few simulated files."""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PER_ASSOCIATION = 10


def make_survey(field: Path, folder: Path, exposures: int) -> Path:
    """
    Make a working folder with exposures in level-2 and level-3 associations, and its configuration.

    Parameters
    ----------
    field : Path
        Folder of one simulated field of `PER_ASSOCIATION` exposures; made if it is not there.
    folder : Path
        New folder; on the same file system as `field`.
    exposures : int
        How many, a multiple of `PER_ASSOCIATION`.

    Returns
    -------
    Path
        The configuration file.
    """
    simulated(field)
    trees = {kind: json.loads(next(field.glob(f"{place}/*_asn.json")).read_text()) for kind, place in PLACES.items()}
    for name in ("rate", "stage3"):
        (folder / name).mkdir(parents=True)
    for number in range(exposures // PER_ASSOCIATION):
        for kind, tree in trees.items():
            renamed = json.loads(json.dumps(tree).replace("jw01234", f"jw{number:05d}"))
            (folder / PLACES[kind] / f"jw{number:05d}_{kind}_asn.json").write_text(json.dumps(renamed))
        for path in (field / "rate").glob("*.fits"):
            os.link(path, folder / "rate" / path.name.replace("jw01234", f"jw{number:05d}"))
    config = {
        "associations": ["rate/*_asn.json", "stage3/*_asn.json"],
        "references": {"directory": str(field / "references")},
    }
    path = folder / "survey.yaml"
    path.write_text(json.dumps(config))
    return path


PLACES = {"image2": "rate", "image3": "stage3"}


def simulated(field: Path) -> None:
    """Simulate the field if it is not there."""
    if (field / "truth.json").exists():
        return
    sys.path.insert(0, str(ROOT / "scripts"))
    from calflow.simulation import Scene, simulate

    simulate(field, Scene("miri_f1130w", detector_shape=(56, 64), exposures=PER_ASSOCIATION, stars=4, seed=3))
