"""Simulates a whole observation: exposures, reference files, associations and the truth about them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from calflow.science.windows import Window
from calflow.simulation.associations import (
    association_name,
    stage2_association,
    stage2_type,
    stage3_association,
    write_association,
)
from calflow.simulation.detector import make_detector
from calflow.simulation.exposure import Exposure, exposure_times
from calflow.simulation.exposures import expose, write_detector_truth, write_exposure, write_signal
from calflow.simulation.geometry import Geometry, Optics, Pointing
from calflow.simulation.instruments import Instrument
from calflow.simulation.patterns import make_trails
from calflow.simulation.photometry import conversion_at, sky_noise
from calflow.simulation.references import write_references
from calflow.simulation.rendering import peak_fraction
from calflow.simulation.scene import (
    ARTEFACT_STREAM,
    EXPOSURE_STREAM,
    VELOCITY_SCALE,
    Scene,
    background_pointings,
    make_sources,
    science_pointings,
    true_pointings,
)


@dataclass(frozen=True)
class Truth:
    """What was simulated, and where it was written.

    Attributes
    ----------
    directory : Path
    scene : Scene
    association : Path
        The stage-2 association, in `<directory>/rate`.
    stage3_association : Path
        The stage-3 association, in `<directory>/stage3`.
    references : dict of str to Path
        The reference file of each type, in `<directory>/references`; of several detectors, the first one's.
    exposures : list of Exposure
        Science exposures, then backgrounds, with their true geometry and sky level; each detector's by itself.
    sources : Table
        As `simulation.scene.make_sources` gives it; also in `<directory>/truth.ecsv`.
    """

    directory: Path
    scene: Scene
    association: Path
    stage3_association: Path
    references: dict[str, Path]
    exposures: list[Exposure]
    sources: Table

    @property
    def science(self) -> list[Path]:
        """The files of the science exposures."""
        return [self.directory / "rate" / e.filename for e in self.exposures if not e.background]

    @property
    def backgrounds(self) -> list[Path]:
        """The files of the background exposures."""
        return [self.directory / "rate" / e.filename for e in self.exposures if e.background]


def simulate(directory: Path, scene: Scene) -> Truth:
    """Write the files of a scene: the same scene gives the same bytes.

    Parameters
    ----------
    directory : Path
        Made if it is not there. Gets `rate/`, `stage3/`, `references/`, `truth.ecsv` and `truth.json`,
        and `truth/` with `Scene.save_signal`.
    scene : Scene
    """
    directory = Path(directory)
    for name in ("rate", "stage3", "references", *(["truth"] if scene.save_signal else [])):
        (directory / name).mkdir(parents=True, exist_ok=True)
    detectors = [make_detector(scene, number) for number in range(scene.detectors)]
    sources = make_sources(scene, sky_noise(scene), peak_fraction(scene.preset))
    exposures = plan_exposures(scene)
    for exposure in exposures:
        earlier = [other for other in exposures if _precedes(other, exposure)]
        image, signal = expose(exposure, scene, detectors[exposure.detector], sources, earlier)
        write_exposure(directory / "rate" / exposure.filename, exposure, scene, image)
        if scene.save_signal:
            write_signal(directory / "truth" / f"{exposure.name}_signal.fits", signal)

    if scene.save_signal:
        for detector in detectors:
            write_detector_truth(directory / "truth" / f"{detector.instrument.detector.lower()}.fits", scene, detector)

    science = [exposure.filename for exposure in exposures if not exposure.background]
    background = [exposure.filename for exposure in exposures if exposure.background]
    association = directory / "rate" / association_name(scene, stage2_type(scene))
    write_association(association, stage2_association(scene, science, background))
    combined = stage3_association(scene, science)
    later = directory / "stage3" / association_name(scene, combined["asn_type"])
    write_association(later, combined)
    first, *_ = [write_references(directory / "references", scene, detector) for detector in detectors]
    truth = Truth(directory, scene, association, later, first, exposures, sources)
    _write_truth(truth)
    return truth


def plan_exposures(scene: Scene) -> list[Exposure]:
    """Return the exposures of a scene, science first.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    instrument, artefacts = scene.preset, scene.artefacts
    instruments = [instrument.beside(number) for number in range(scene.detectors)]
    window = scene.window or scene.full_frame
    level = instrument.sky if scene.sky is None else scene.sky
    plans = [
        (1, number, window, true, nominal, dither)
        for number, (true, nominal, dither) in enumerate(
            zip(true_pointings(scene), science_pointings(scene), scene.dither_offsets(), strict=True), start=1
        )
    ]
    plans += [
        (2, number, scene.background_window or window, pointing, pointing, (0.0, 0.0))
        for number, pointing in enumerate(background_pointings(scene), start=1)
    ]
    exposures = []
    for index, (observation, number, cut, true, nominal, dither) in enumerate(plans):
        scatter = scene.random(EXPOSURE_STREAM, index, 1).standard_normal()
        for detector, own in enumerate(instruments):
            stream = index + detector * len(plans)
            random = scene.random(ARTEFACT_STREAM, 4, stream)
            wisp = artefacts.wisp * np.exp(artefacts.wisp_scatter * random.standard_normal())
            across = make_trails(
                artefacts.trails if observation == 1 else 0,
                (cut.ny, cut.nx),
                artefacts.trail_width,
                artefacts.trail_brightness * sky_noise(scene),
                random,
            )
            geometry, believed = (_seen_by(own, detector, instrument, cut, pointing) for pointing in (true, nominal))
            exposures.append(
                Exposure(
                    name=f"jw{scene.program}{observation:03d}001_02101_{number:05d}_{own.detector.lower()}",
                    number=number,
                    observation=observation,
                    geometry=geometry,
                    nominal=believed.pointing,
                    dither=dither,
                    sky=float(level * (1 + scene.sky_scatter * scatter)),
                    times=exposure_times(scene, index),
                    stream=stream,
                    background=observation == 2,
                    blank=observation == 1 and number in scene.blank,
                    detector=detector,
                    wisp=float(wisp * sky_noise(scene)),
                    trails=across,
                )
            )
    return exposures


def _precedes(other: Exposure, exposure: Exposure) -> bool:
    """Return whether an exposure of the same detector came before."""
    return other.detector == exposure.detector and other.times.start < exposure.times.start


def _seen_by(own: Instrument, detector: int, first: Instrument, window: Window, pointing: Pointing) -> Geometry:
    """Return the geometry of a detector while the first of those that expose together is pointed so."""
    if detector:
        pointing = Geometry(Optics(first), window, pointing, VELOCITY_SCALE).pointing_of(own)
    return Geometry(Optics(own), window, pointing, VELOCITY_SCALE)


def write_sources(path: Path, sources: Table) -> None:
    """Write the true sources, with their units, as ECSV.

    Parameters
    ----------
    path : Path
        Of the new file.
    sources : Table
        The true sources, as by `make_sources`.
    """
    sources = sources.copy()
    for name, unit in (
        ("ra", "deg"),
        ("dec", "deg"),
        ("flux", "Jy"),
        ("radius", "arcsec"),
        ("position_angle", "deg"),
    ):
        sources[name].unit = unit
    sources.write(path, overwrite=True)


def _write_truth(truth: Truth) -> None:
    write_sources(truth.directory / "truth.ecsv", truth.sources)
    exposures = [
        {
            "file": exposure.filename,
            "background": exposure.background,
            "true_pointing": vars(exposure.geometry.pointing),
            "header_pointing": vars(exposure.nominal),
            "velocity_scale": exposure.geometry.velocity_scale,
            "window": vars(exposure.geometry.window),
            "dither_arcsec": exposure.dither,
            "sky_mjysr": exposure.sky,
            "conversion_mjysr": conversion_at(truth.scene.preset, exposure.times.middle_mjd),
        }
        | ({"wisp_mjysr": exposure.wisp} if exposure.wisp else {})
        | ({"trails": [vars(trail) for trail in exposure.trails]} if exposure.trails else {})
        for exposure in truth.exposures
    ]
    facts = {
        "instrument": truth.scene.preset.instrument,
        "filter": truth.scene.preset.filter,
        "seed": truth.scene.seed,
        "sky_noise_mjysr": sky_noise(truth.scene),
        "fwhm_pixels": truth.scene.preset.fwhm,
        "references": {reftype: path.name for reftype, path in truth.references.items()},
        "exposures": exposures,
    }
    (truth.directory / "truth.json").write_text(json.dumps(facts, indent=1) + "\n")
