"""Simulates an observation with the IRIS imager: exposures, reference files, associations and the truth about them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from astropy.table import Table

from calflow.instruments.iris.simulation.exposures import expose_iris, make_iris_detector, write_iris_exposure
from calflow.instruments.iris.simulation.field import IrisExposure, IrisField, make_iris_sources, plan_iris_exposures
from calflow.instruments.iris.simulation.references import make_dark, make_flat, write_iris_references
from calflow.simulation.associations import write_association
from calflow.simulation.observation import write_sources
from calflow.simulation.photometry import conversion_at, sky_noise


@dataclass(frozen=True)
class IrisTruth:
    """What was simulated, and where it was written.

    Attributes
    ----------
    directory : Path
    field : IrisField
    association : Path
        The stage-2 association, in `<directory>/rate`.
    merge_association : Path or None
        The association of each full frame with its concurrent subarrays, in `<directory>/merge`.
    stage3_association : Path
        The stage-3 association, in `<directory>/stage3`.
    references : dict of str to Path
        The reference file of each type, in `<directory>/references`.
    exposures : list of IrisExposure
        Science exposures, their subarrays, then backgrounds, with their true geometry and sky level.
    sources : Table
        As `iris.simulation.field.make_iris_sources` gives it; also in `<directory>/truth.ecsv`.
    """

    directory: Path
    field: IrisField
    association: Path
    merge_association: Path | None
    stage3_association: Path
    references: dict[str, Path]
    exposures: list[IrisExposure]
    sources: Table

    def path(self, planned: IrisExposure) -> Path:
        """Return the file of an exposure.

        Parameters
        ----------
        planned : IrisExposure
            One of its exposures.
        """
        return self.directory / "rate" / planned.exposure.filename


def simulate_iris(directory: Path, iris: IrisField) -> IrisTruth:
    """Write the files of a field: the same field gives the same bytes.

    Parameters
    ----------
    directory : Path
        Made if it is not there. Gets `rate/`, `merge/` if there are subarrays, `stage3/`, `references/`,
        `truth.ecsv` and `truth.json`.
    iris : IrisField
    """
    directory, scene = Path(directory), iris.scene
    exposures = plan_iris_exposures(iris)
    merged = [planned for planned in exposures if planned.concurrent]
    for name in ("rate", "stage3", "references", *(["merge"] if merged else [])):
        (directory / name).mkdir(parents=True, exist_ok=True)
    detector = make_iris_detector(scene)
    dark, flat = make_dark(scene, detector), make_flat(scene, detector)
    sources = make_iris_sources(iris)
    for planned in exposures:
        image = expose_iris(planned, iris, detector, dark.sci, sources)
        write_iris_exposure(directory / "rate" / planned.exposure.filename, planned, scene, image)

    association = directory / "rate" / _association_name(iris, "image2")
    write_association(association, stage2_association(iris, exposures))
    merge = directory / "merge" / _association_name(iris, "merge") if merged else None
    if merge:
        write_association(merge, merge_association(iris, exposures))
    later = directory / "stage3" / _association_name(iris, "image3")
    write_association(later, stage3_association(iris, exposures))
    references = write_iris_references(directory / "references", scene, dark, flat)
    truth = IrisTruth(directory, iris, association, merge, later, references, exposures, sources)
    _write_truth(truth)
    return truth


def stage2_association(iris: IrisField, exposures: Sequence[IrisExposure]) -> dict:
    """Return the stage-2 association: one product per full frame and per subarray, each with all backgrounds.

    Parameters
    ----------
    iris : IrisField
        The field.
    exposures : sequence of IrisExposure
        All of the field.
    """
    backgrounds = [_member(p.exposure.filename, "background") for p in exposures if p.exposure.background]
    products = [
        {"name": p.exposure.name, "members": [_member(p.exposure.filename, "science"), *backgrounds]}
        for p in exposures
        if not p.exposure.background
    ]
    return _association(iris, "image2", "Asn_Lv2Image", products)


def merge_association(iris: IrisField, exposures: Sequence[IrisExposure]) -> dict:
    """Return the association that puts calibrated subarrays into their full frames: one product per full frame.

    Parameters
    ----------
    iris : IrisField
        The field.
    exposures : sequence of IrisExposure
        All of the field.
    """
    products = []
    for frame in (p for p in exposures if p.concurrent):
        parts = [p for p in exposures if p.subarray_id and p.exposure.number == frame.exposure.number]
        members = [_member(f"{p.exposure.name}_cal.fits", "science") for p in (frame, *parts)]
        products.append({"name": _merged_name(frame), "members": members})
    return _association(iris, "image3", "Asn_MergeSubarrays", products)


def stage3_association(iris: IrisField, exposures: Sequence[IrisExposure]) -> dict:
    """Return the stage-3 association of the full frames, with the subarrays merged into those that have some.

    Parameters
    ----------
    iris : IrisField
        The field.
    exposures : sequence of IrisExposure
        All of the field.
    """
    frames = [p for p in exposures if not p.exposure.background and not p.subarray_id]
    names = [_merged_name(p) if p.concurrent else p.exposure.name for p in frames]
    preset = iris.scene.preset
    name = f"iris_p{iris.scene.program}_{preset.pupil}-{preset.filter}".lower()
    members = [_member(f"{name}_cal.fits", "science") for name in names]
    return _association(iris, "image3", "Asn_Lv3Image", [{"name": name, "members": members}])


def _merged_name(frame: IrisExposure) -> str:
    return f"{frame.exposure.name}_merged"


def _member(name: str, exptype: str) -> dict[str, str]:
    return {"expname": name, "exptype": exptype}


def _association(iris: IrisField, kind: str, rule: str, products: list[dict]) -> dict:
    return {
        "asn_type": kind,
        "asn_rule": rule,
        "asn_pool": "pool",
        "program": iris.scene.program,
        "products": products,
    }


def _association_name(iris: IrisField, kind: str) -> str:
    return f"iris_p{iris.scene.program}_{kind}_asn.json"


def _write_truth(truth: IrisTruth) -> None:
    write_sources(truth.directory / "truth.ecsv", truth.sources)
    scene = truth.field.scene
    exposures = [
        {
            "file": planned.exposure.filename,
            "background": planned.exposure.background,
            "subarray_id": planned.subarray_id,
            "window": vars(planned.window),
            "concurrent": [vars(window) for window in planned.concurrent],
            "integrations": planned.integrations,
            "true_pointing": vars(planned.exposure.geometry.pointing),
            "header_pointing": vars(planned.exposure.nominal),
            "sky_mjysr": planned.exposure.sky,
        }
        for planned in truth.exposures
    ]
    facts = {
        "instrument": scene.preset.instrument,
        "filter": scene.preset.filter,
        "seed": scene.seed,
        "sky_noise_mjysr": sky_noise(scene),
        "fwhm_pixels": scene.preset.fwhm,
        "conversion_mjysr": conversion_at(scene.preset, 0.0),
        "bright_stars": len(truth.field.bright_stars),
        "references": {reftype: path.name for reftype, path in truth.references.items()},
        "exposures": exposures,
    }
    (truth.directory / "truth.json").write_text(json.dumps(facts, indent=1) + "\n")
