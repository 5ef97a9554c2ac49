"""Association files of simulated exposures."""

import json
from collections.abc import Sequence
from pathlib import Path

from calflow.simulation.exposure import START
from calflow.simulation.scene import Scene

CANDIDATE = "o001"


def association_name(scene: Scene, kind: str) -> str:
    """Return the file name of an association: `jw<program>-<id>_<time>_<type>_<number>_asn.json`.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    kind : str
        ``image2``, ``image3`` and the like.
    """
    return f"jw{scene.program}-{CANDIDATE}_{_timestamp()}_{kind}_00001_asn.json"


def stage2_association(scene: Scene, science: Sequence[str], background: Sequence[str]) -> dict:
    """Return the stage-2 association: one product per science exposure, each with all its detector's backgrounds.

    Parameters
    ----------
    scene : Scene
    science, background : sequence of str
        File names of the exposures.
    """
    products = []
    for name in science:
        exposure, _, suffix = name.rpartition("_")
        detector = exposure.rpartition("_")[2]
        members = [_member(other, "background") for other in background if other.endswith(f"_{detector}_{suffix}")]
        products.append({"name": exposure, "members": [_member(name, "science"), *members]})
    return _association(scene, stage2_type(scene), "Asn_Lv2Image", products)


def stage3_association(scene: Scene, science: Sequence[str]) -> dict:
    """Return the stage-3 association of the calibrated exposures.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    science : sequence of str
        File names of the count-rate exposures.
    """
    suffix = "_calints" if scene.nints else "_cal"
    members = [_member(f"{name.rpartition('_')[0]}{suffix}.fits", "science") for name in science]
    products = [{"name": product_name(scene), "members": members}]
    return _association(scene, "tso3" if scene.is_tso else "image3", "Asn_Lv3Image", products)


def stage2_type(scene: Scene) -> str:
    """Return the type of the stage-2 association.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    return "tso-image2" if scene.is_tso else "image2"


def product_name(scene: Scene) -> str:
    """Return the name of the combined product: target, instrument, optical elements and subarray.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    preset = scene.preset
    elements = "-".join(sorted(name.lower() for name in (preset.filter, preset.pupil) if name)) or "clear"
    name = f"jw{scene.program}-{CANDIDATE}_t001_{preset.instrument.lower()}_{elements}"
    if scene.window is not None and scene.window != scene.full_frame:
        name += f"-{(scene.subarray or preset.subarray).lower()}"
    return name


def write_association(path: Path, association: dict) -> None:
    """Write an association as JSON.

    Parameters
    ----------
    path : Path
        Of the new file.
    association : dict
        Its content.
    """
    path.write_text(json.dumps(association, indent=4) + "\n")


def _association(scene: Scene, kind: str, rule: str, products: list[dict]) -> dict:
    return {
        "asn_type": kind,
        "asn_rule": rule,
        "version_id": _timestamp(),
        "code_version": "1.9.4",
        "degraded_status": "No known degraded exposures in association.",
        "program": scene.program,
        "target": "t001",
        "constraints": "none",
        "asn_id": CANDIDATE,
        "asn_pool": f"jw{scene.program}_{_timestamp()}_pool.csv",
        "products": products,
    }


def _member(name: str, exptype: str) -> dict:
    return {
        "expname": name,
        "exptype": exptype,
        "exposerr": None,
        "asn_candidate": f"[('{CANDIDATE}', 'observation')]",
    }


def _timestamp() -> str:
    return START.strftime("%Y%m%dt%H%M%S")
