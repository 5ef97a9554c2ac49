"""The scenes on which cleaning steps are judged: what is simulated, what is done to it, and which figures come out."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cleaning_truth import (
    SCALES,
    Case,
    background_left,
    depth_lost,
    flat_fielded,
    flux_errors,
    known_response,
    lines_left,
    lost_light,
    mean_of,
    rests,
    scene_of,
    simulate_cases,
)
from run import HERE

if TYPE_CHECKING:
    from calflow.science.cleaning.step import Cleaned, Facts
    from calflow.science.image import Image
    from calflow.simulation import Scene

# Figures of one realisation, by program: numbers by name; light lost and error of the flux by kind of source.
Judged = dict[str, dict[str, dict[str, float]]]

NIRCAM = {"instrument": "nircam_f200w", "stars": 60, "galaxies": 0, "exposures": 1}
MIRI = {**NIRCAM, "instrument": "miri_f1130w"}
# Sets of exposures are of a quarter of the detector: the pixels have the size of real ones.
QUARTER = {"detector_shape": (1024, 1024)}
DITHERED = {**NIRCAM, **QUARTER, "exposures": 12, "dither_step": 3.0}
# Of a set, every so many are judged.
EVERY = 4
DEFAULT = "calflow"
# What clean_flicker_noise does besides its defaults.
CHOICES: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "without the flat": {"flat": False},
    "fit_by_channel": {"fit_by_channel": True},
    "fit_method: median": {"fit_method": "median", "flat": False},
}


@dataclass(frozen=True)
class Setting:
    """A scene, and what is done to it.

    Attributes
    ----------
    section : str
        Of the page: the name of the step.
    judge : callable
        Simulates and judges; takes scenes of several seeds, the Python that has jwst, and `options`; yields the figures
        of each.
    scene : mapping
        Options of a scene.
    options : mapping
    """

    section: str
    judge: Callable[..., Iterator[Judged]]
    scene: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def run(self, seeds: Sequence[int], python: str) -> Iterator[Judged]:
        """Yield the figures of each realisation."""
        seeds = seeds[:1] if self.judge is judge_time else seeds
        return self.judge([scene_of(self.scene, seed) for seed in seeds], python, **self.options)


def facts_of(case: Case, place: str) -> Facts:
    """Return what steps know of an exposure."""
    from calflow.science.cleaning.step import Facts

    def sky(x, y):
        return np.stack(case.exposure.geometry.to_sky(x, y), axis=-1)

    times = case.exposure.times
    return Facts(
        case.exposure.name,
        place,
        slow_axis=case.scene.artefacts.slow_axis,
        subarray="FULL",
        start=times.start_mjd,
        exposure_time=times.duration,
        sky=sky if place == "cal" else None,
    )


def of_planes(
    case: Case, full: np.ndarray, empty: np.ndarray, seconds: float, response: np.ndarray | None = None
) -> dict[str, dict[str, float]]:
    """Return the figures that all steps that change planes have."""
    figures = {f"{scale:g} arcsec": left for scale, left in zip(SCALES, background_left(case, full), strict=True)}
    figures |= {"depth": depth_lost(case, empty, response), "CPU (s)": seconds}
    return {"figures": figures, "lost": lost_light(case, full, empty), "error": flux_errors(case, full)}


def before(case: Case, response: np.ndarray | None = None) -> dict[str, dict[str, float]]:
    """Return the same of planes as they are; nothing is lost."""
    return of_planes(case, case.full.sci, case.empty.sci, 0.0, response) | {"lost": {}}


def timed(step: Callable[..., Any], *arguments, **inputs) -> tuple[Any, float]:
    """Return what a step returns, and its CPU time."""
    start = time.process_time()
    done = step(*arguments, **inputs)
    return done, time.process_time() - start


def cleaned(
    case: Case, step: Callable[..., Cleaned], *arguments, **inputs
) -> tuple[np.ndarray, np.ndarray, float, Mapping[str, Any]]:
    """Return the planes that a step makes of an exposure and of that without sources, its time, and its figures."""
    done, seconds = timed(step, case.full, *arguments, **inputs)
    full, empty = _planes(case, done, step(case.empty, *arguments, **inputs))
    return full, empty, seconds, done.figures


def judge_stripes(scenes: Sequence[Scene], python: str, choices: Sequence[str]) -> Iterator[Judged]:
    """Judge clean_flicker_noise, and that of jwst."""
    from calflow.science.cleaning.clean_flicker_noise import clean_flicker_noise
    from calflow.science.cleaning.clean_flicker_noise_parameters import FlickerCleaning

    cases = [case for scene in scenes for case in simulate_cases(scene, "readout")]
    for case, of_jwst in zip(cases, clean_with_jwst(cases, python), strict=True):
        facts, response = facts_of(case, "rate"), case.detector.response
        planes: dict[str, Any] = {"before": (case.full.sci, case.empty.sci, 0.0)}
        for choice in choices:
            parameters = dict(CHOICES[choice])
            flat = known_response(case) if parameters.pop("flat", True) else None
            wanted = FlickerCleaning(**parameters)
            planes[choice] = cleaned(case, clean_flicker_noise, wanted, facts, flat=flat)[:3]
        planes["jwst"] = of_jwst
        found = {}
        for program, (full, empty, seconds) in planes.items():
            judged = of_planes(case, full, empty, seconds, response) if program != "before" else before(case, response)
            lines = dict(zip(("lines", "neighbours"), lines_left(case, rests(case, full, empty)[0]), strict=True))
            judged["figures"] = lines | {name: judged["figures"][name] for name in ("depth", "CPU (s)")}
            found[program] = judged
        yield found


def clean_with_jwst(cases: Sequence[Case], python: str) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Yield the planes that jwst makes of exposures, with their sources and without, and the CPU time of one."""
    from astropy.io import fits

    from calflow.simulation.exposures import write_exposure

    (HERE / "data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HERE / "data") as scratch:
        folder = Path(scratch)
        names = [(f"full{number}_rate", f"empty{number}_rate") for number in range(len(cases))]
        for case, both in zip(cases, names, strict=True):
            for name, image in zip(both, (case.full, case.empty), strict=True):
                write_exposure(folder / f"{name}.fits", case.exposure, case.scene, image)
        files = [str(folder / f"{name}.fits") for both in names for name in both]
        command = [python, str(HERE / "run_jwst_cleaning.py"), str(folder), *files]
        subprocess.run(command, check=True, capture_output=True)
        seconds = json.loads((folder / "seconds.json").read_text())
        for both in names:
            full, empty = (fits.getdata(folder / f"{name}_cleaned.fits", "SCI") for name in both)
            yield full, empty, seconds[f"{both[0]}.fits"]


def judge_background(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Judge subtract_background_2d."""
    from calflow.science.cleaning.subtract_background_2d import subtract_background_2d
    from calflow.science.cleaning.subtract_background_2d_parameters import BackgroundRemoval
    from calflow.simulation.exposures import noise_free_rate

    for scene in scenes:
        (case,) = simulate_cases(scene)
        dark = replace(case.detector, dark_rate=np.zeros_like(case.detector.dark_rate))
        sky = noise_free_rate(case.exposure, scene, dark, _no_sources())
        case = flat_fielded(replace(case, unwanted=(sky, sky)))
        planes = cleaned(case, subtract_background_2d, BackgroundRemoval(), facts_of(case, "cal"))
        yield {"before": before(case), DEFAULT: of_planes(case, *planes[:3])}


def _no_sources():
    from astropy.table import Table

    return Table({"type": [], "ra": [], "dec": []})


def judge_template(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Judge subtract_template with the true template."""
    from calflow.science.cleaning.subtract_template import subtract_template
    from calflow.science.cleaning.subtract_template_parameters import TemplateFit
    from calflow.simulation.exposures import wisp_of

    for scene in scenes:
        (rate,) = simulate_cases(scene, "wisp")
        case, response = flat_fielded(rate), known_response(rate)
        wisp = wisp_of(scene, case.detector)
        judged = {"before": before(case)}
        for program, used, template in ((DEFAULT, case, wisp), ("on rate", rate, wisp * rate.detector.response)):
            facts = facts_of(used, "rate" if used is rate else "cal")
            full, empty, seconds, told = cleaned(used, subtract_template, TemplateFit(), facts, template)
            if used is rate:
                full, empty = full / response, empty / response
            judged[program] = of_planes(case, full, empty, seconds)
            judged[program]["figures"] |= _of_pattern(case, full, wisp, told)
        yield judged


def _of_pattern(case: Case, full: np.ndarray, template: np.ndarray, told: Mapping[str, Any]) -> dict[str, float]:
    """Return by how much the amplitude of a template is wrong, the error that is told, and what is left of it."""
    removed = np.where(case.good, case.full.sci - full, 0)
    shape = np.where(case.good, template, 0)
    shape = shape - shape.mean()
    power = np.sum(template * shape)
    true, found = (
        float(np.sum(plane * shape) / power) for plane in (np.where(case.good, case.unwanted[0], 0), removed)
    )
    rest = np.where(case.good, case.unwanted[0], 0) - removed
    figures = {"wisp left (sigma)": float(np.std(rest) / case.noise)}
    if true > 0:
        figures |= {"amplitude wrong by (%)": 100 * (found / true - 1)}
    if true > 0 and told["amplitude"]:
        figures |= {"told (%)": 100 * found / true * float(told["error"]) / float(told["amplitude"])}
    return figures


def judge_own_template(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Judge subtract_own_template: made of a set with its sources, and of the set without them."""
    from calflow.science.cleaning.subtract_template import subtract_own_template
    from calflow.science.cleaning.subtract_template_parameters import TemplateFit
    from calflow.science.cleaning.template_making import make_template
    from calflow.simulation.exposures import wisp_of

    parameters = TemplateFit()
    for scene in scenes:
        rates = list(simulate_cases(scene, "wisp", largest=3))
        cases = [flat_fielded(case) for case in rates]
        judged: dict[str, list] = {"before": [before(case) for case in cases[::EVERY]]}
        for program, place, of_set in ((DEFAULT, "cal", cases), ("on rate", "rate", rates)):
            facts = [facts_of(case, place) for case in of_set]
            start = time.process_time()
            made, of_empty = (
                make_template(
                    [(getattr(case, part), known) for case, known in zip(of_set, facts, strict=True)], parameters
                )
                for part in ("full", "empty")
            )
            making = (time.process_time() - start) / 2 / len(cases)
            judged[program] = []
            for case, used, known in list(zip(cases, of_set, facts, strict=True))[::EVERY]:
                full_own, empty_own = _as_collected(used.full, known), _as_collected(used.empty, known)
                done, seconds = timed(subtract_own_template, used.full, parameters, known, made, own=full_own)
                bare = subtract_own_template(used.empty, parameters, known, of_empty, own=empty_own)
                response = known_response(case) if place == "rate" else np.float32(1)
                full, empty = _planes(used, done, bare)
                found = of_planes(case, full / response, empty / response, seconds + making)
                found["figures"] |= _of_pattern(case, full / response, wisp_of(scene, case.detector), done.figures)
                judged[program].append(found)
        yield {program: _means(each) for program, each in judged.items()}


def _planes(case: Case, *done: Cleaned) -> list[np.ndarray]:
    """Return the science planes after a step, of an exposure and of that without sources; none is changed alone."""
    if done[0].changes_nothing:
        return [case.full.sci, case.empty.sci]
    return [
        image.sci if each.sci is None else each.sci for each, image in zip(done, (case.full, case.empty), strict=True)
    ]


def _means(judged: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {part: mean_of([each[part] for each in judged]) for part in ("figures", "lost", "error")}


def judge_sky_flat(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Judge sky_flat: made of a set with its sources, and of the set without them."""
    from calflow.science.cleaning.sky_flat import collect_sky_flat, sky_flat
    from calflow.science.cleaning.sky_flat_parameters import SkyFlat

    parameters = SkyFlat()
    for scene in scenes:
        cases = [_with_wrong_flat(flat_fielded(case)) for case in simulate_cases(scene)]
        facts = [facts_of(case, "cal") for case in cases]
        judged: dict[str, list] = {"before": []}
        for case in cases[::EVERY]:
            first = before(case)
            first["figures"] |= {"response wrong by (%)": _wrong_response(case, np.ones_like(case.full.sci))}
            judged["before"].append(first)
        for program in (DEFAULT, "light_from"):
            sets, judged[program] = [], []
            lights = [combined_light(cases, part) if program != DEFAULT else None for part in ("full", "empty")]
            start = time.process_time()
            for part, light in zip(("full", "empty"), lights, strict=True):
                images = [getattr(case, part) for case in cases]
                sets.append(collect_sky_flat(zip(images, facts, strict=True), parameters, light))
            making = (time.process_time() - start) / 2 / len(cases)
            for case, known in list(zip(cases, facts, strict=True))[::EVERY]:
                full, empty = (_as_collected(image, known) for image in (case.full, case.empty))
                done, seconds = timed(sky_flat, case.full, parameters, known, sets[0], own=full)
                bare = sky_flat(case.empty, parameters, known, sets[1], own=empty)
                planes = _planes(case, done, bare)
                found = of_planes(case, planes[0], planes[1], seconds + making)
                flat = sets[0]["flat"] if done.sci is not None else np.ones_like(case.full.sci)
                found["figures"] |= {"response wrong by (%)": _wrong_response(case, flat)}
                judged[program].append(found)
        yield {program: _means(each) for program, each in judged.items()}


def combined_light(cases: Sequence[Case], part: str) -> list[np.ndarray]:
    """Return what the mean of exposures shows above its sky where it has sources, at the pixels of each: `light_from`.

    They are laid upon each other to a pixel where they really lie, in place of the workflow's alignment and resampling.
    """
    from calflow.science.cleaning.combined_sources import Blotted, combined_sources
    from calflow.science.cleaning.source_mask import is_light, sky_level

    middle = np.array(cases[0].full.sci.shape) / 2
    first = cases[0].exposure.geometry
    places = [first.to_pixel(*case.exposure.geometry.to_sky(middle[1:], middle[:1])) for case in cases]
    shifts = np.rint([(y[0], x[0]) for x, y in places]).astype(int)
    shifts -= shifts.min(axis=0)
    size = shifts.max(axis=0) + cases[0].full.sci.shape
    image, number = np.zeros(size), np.zeros(size)
    windows = [tuple(map(slice, shift, shift + cases[0].full.sci.shape)) for shift in shifts]
    for case, window in zip(cases, windows, strict=True):
        values = getattr(case, part).sci
        image[window] += np.where(case.good, values - sky_level(values[case.good])[0], 0)
        number[window] += case.good
    image /= np.maximum(number, 1)
    level, _ = sky_level(image[number > 0])
    light = np.where(number > 0, image - level, 0).astype(np.float32)
    found = []
    for window in windows:
        sources = combined_sources(Blotted(light[window], number[window].astype(np.float32)))
        found.append(np.where(is_light(sources), light[window], np.float32(0)))
    return found


def _as_collected(image: Image, facts: Facts) -> Callable[[], tuple[Image, Facts]]:
    return lambda: (image, facts)


def _with_wrong_flat(case: Case) -> Case:
    """Return an exposure of which what its flat is wrong by is to be taken off."""
    ratio = _true_ratio(case)
    return replace(case, unwanted=(case.full.sci - case.full.sci / ratio, case.empty.sci - case.empty.sci / ratio))


def _true_ratio(case: Case) -> np.ndarray:
    known = case.detector.known_response
    return np.divide(case.detector.response, known, out=np.ones_like(known), where=known > 0)


def _wrong_response(case: Case, flat: np.ndarray) -> float:
    ratio = (_true_ratio(case) / flat)[case.good]
    return 100 * float(np.std(ratio[np.abs(ratio - np.median(ratio)) < 0.5]))


def judge_bad_pixels(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Judge bad_pixels: which of those without a flag are found, and which good ones are called bad."""
    from calflow.science.cleaning.bad_pixels import collect_bad_pixels
    from calflow.science.cleaning.bad_pixels_parameters import BadPixels
    from calflow.science.dq_flags import FLAGS
    from calflow.simulation.detector import make_detector

    for scene in scenes:
        cases = [flat_fielded(case) for case in simulate_cases(scene, largest=0)]
        detector = cases[0].detector
        pairs = [(case.full, facts_of(case, "cal")) for case in cases]
        start = time.process_time()
        found = collect_bad_pixels(pairs, BadPixels())["dq"] != 0
        seconds = (time.process_time() - start) / len(cases)
        bare = make_detector(replace(scene, artefacts=replace(scene.artefacts, warm=0.0, open=0.0)))
        strength = (detector.dark_rate - bare.dark_rate) / detector.known_response.clip(0.01) / cases[0].noise
        kinds = np.where(detector.unlit, 0, detector.unflagged)
        warm, unconnected = kinds == FLAGS["WARM"], kinds == FLAGS["OPEN"]
        figures = {}
        for low, high in ((3, 5), (5, 10), (10, np.inf)):
            chosen = warm & (strength >= low) & (strength < high)
            name = f"{low} to {high} sigma" if high < np.inf else f"above {low}"
            figures[f"missed (%): {name}"] = 100 * float((~found)[chosen].mean())
        figures["missed (%): open"] = 100 * float((~found)[unconnected].mean())
        good = (detector.unflagged == 0) & (detector.dq == 0)
        cores = np.zeros_like(good)
        for case in cases:
            cores |= case.light > 5 * case.noise
        figures["false per million"] = 1e6 * float(found[good].mean())
        figures["of them on stars"] = 1e6 * float((found & cores)[good].sum() / good.sum())
        yield {DEFAULT: {"figures": figures | {"CPU (s)": seconds}, "lost": {}, "error": {}}}


def judge_persistence(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Judge persistence: in the last exposure of a set, which pixels that shine on are flagged, and which others."""
    from calflow.science.cleaning.persistence import persistence
    from calflow.science.cleaning.persistence_parameters import Persistence

    for scene in scenes:
        *earlier, last = list(simulate_cases(scene, "persistence", largest=0))
        others = [(case.full, facts_of(case, "rate")) for case in earlier]
        shines = last.unwanted[0] / last.noise
        judged: Judged = {}
        level = scene.preset.full_well / 2
        for program, parameters in ((DEFAULT, Persistence()), (f"level: {level:g}", Persistence(level=level))):
            done, seconds = timed(persistence, last.full, parameters, facts_of(last, "rate"), iter(others))
            flagged = (done.dq & ~last.full.dq & 1) != 0
            usable = last.good
            left = np.where(flagged | ~usable, 0, last.unwanted[0])
            figures = {
                "pixels above 3 sigma": float((usable & (shines > 3)).sum()),
                "missed (%)": 100 * float((~flagged)[usable & (shines > 3)].mean()),
                "light left (%)": 100 * float(left.sum() / np.where(usable, last.unwanted[0], 0).sum()),
                "false per million": 1e6 * float(flagged[usable & (shines < 0.1)].mean()),
                "of them on stars": 1e6
                * float((flagged & (shines < 0.1) & (last.light > 5 * last.noise))[usable].mean()),
                "CPU (s)": seconds,
            }
            judged[program] = {"figures": figures, "lost": {}, "error": {}}
        yield judged


def judge_regions(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Judge mask_regions: a trail as somebody would draw it, one and a half times as wide as it is."""
    from calflow.science.cleaning.mask_regions import mask_regions
    from calflow.science.cleaning.mask_regions_parameters import RegionMask

    for scene in scenes:
        (case,) = simulate_cases(scene, "trails", largest=0)
        drawn, seen = "image\n", case.unwanted[0] / case.noise
        for trail in case.exposure.trails:
            # DS9 counts from 1.
            length = 2 * max(case.full.sci.shape)
            drawn += f"box({trail.x + 1},{trail.y + 1},{length},{1.5 * trail.width},{trail.angle})\n"
        judged: Judged = {}
        for program, grow in (("as drawn", 0.0), ("grow: 4", 4.0)):
            done, seconds = timed(mask_regions, case.full, RegionMask(grow=grow), facts_of(case, "rate"), drawn)
            flagged = (done.dq & ~case.full.dq & 1) != 0
            left = np.where(flagged | ~case.good, 0, case.unwanted[0])
            figures = {
                "missed (%): above 1 sigma": 100 * float((~flagged)[case.good & (seen > 1)].mean()),
                "light left (%)": 100 * float(left.sum() / case.unwanted[0][case.good].sum()),
                "brightest left (sigma)": float(left.max() / case.noise),
                "false (% of the pixels)": 100 * float(flagged[seen < 0.1].mean()),
                "CPU (s)": seconds,
            }
            judged[program] = {"figures": figures, "lost": {}, "error": {}}
        yield judged


def judge_time(scenes: Sequence[Scene], _: str) -> Iterator[Judged]:
    """Time all steps on one exposure with everything in it; of those that collect, what one exposure takes."""
    for scene in scenes:
        (case,) = simulate_cases(scene)
        judged = {}
        for name, (step, number) in all_steps(case).items():
            seconds = min(timed(step)[1] for _ in range(3)) / number
            judged[name] = {"figures": {"CPU (s)": seconds}, "lost": {}, "error": {}}
        total = sum(each["figures"]["CPU (s)"] for each in judged.values())
        yield judged | {"all": {"figures": {"CPU (s)": total}, "lost": {}, "error": {}}}


def all_steps(case: Case) -> dict[str, tuple[Callable[[], Any], int]]:
    """Return all steps with their defaults, on an exposure, with how many times they look at it."""
    from calflow.science.cleaning import bad_pixels as bad
    from calflow.science.cleaning import clean_flicker_noise as flicker
    from calflow.science.cleaning import mask_regions as regions
    from calflow.science.cleaning import persistence as shining
    from calflow.science.cleaning import sky_flat as flats
    from calflow.science.cleaning import subtract_background_2d as backgrounds
    from calflow.science.cleaning import subtract_template as templates
    from calflow.science.cleaning.shipped import SHIPPED
    from calflow.science.cleaning.template_making import make_template
    from calflow.science.combination.cosmic_rays import find_cosmic_rays
    from calflow.simulation.exposures import wisp_of

    defaults = {name: shipped.parameter_class()() for name, shipped in SHIPPED.items()}
    rate, divided, response = case.full, flat_fielded(case).full, case.detector.response
    on_rate, on_cal, wisp = facts_of(case, "rate"), facts_of(case, "cal"), wisp_of(case.scene, case.detector)
    seen = np.float32(np.nanmedian(divided.sci)) + case.light.astype(np.float32)
    lowest = seen - np.float32(case.noise)
    mask = {"dq": np.zeros_like(rate.dq)}
    drawn = "image\nbox(1000,1000,4000,10,40)\ncircle(500,500,80)\n"
    later, grown = replace(on_rate, start=(on_rate.start or 0) + 0.02), replace(defaults["mask_regions"], grow=3.0)
    few = replace(defaults["sky_flat"], exposures=3)
    pattern, dark, light = defaults["subtract_template"], defaults["bad_pixels"], defaults["sky_flat"]
    own = _as_collected(divided, on_cal)
    made = make_template([(divided, on_cal)] * 4, pattern)
    sky = flats.collect_sky_flat([(divided, on_cal)] * 3, few)
    light = replace(light, least=0.0)
    stripes, smooth = defaults["clean_flicker_noise"], defaults["subtract_background_2d"]
    times = defaults["persistence"]
    return {
        "clean_flicker_noise": (lambda: flicker.clean_flicker_noise(rate, stripes, on_rate, flat=response), 1),
        "subtract_template": (lambda: templates.subtract_template(divided, pattern, on_cal, wisp), 1),
        "subtract_own_template": (lambda: templates.subtract_own_template(divided, pattern, on_cal, made, own=own), 1),
        "subtract_own_template, made of 4": (lambda: make_template([(divided, on_cal)] * 4, pattern), 4),
        "persistence, of 2": (lambda: shining.persistence(rate, times, later, [(rate, on_rate)] * 2), 1),
        "mask_regions, a trail": (lambda: regions.mask_regions(rate, grown, on_rate, drawn), 1),
        "bad_pixels, collected": (lambda: bad.collect_bad_pixels([(divided, on_cal)] * 2, dark), 2),
        "bad_pixels": (lambda: bad.bad_pixels(divided, dark, on_cal, mask), 1),
        "sky_flat, collected": (lambda: flats.collect_sky_flat([(divided, on_cal)] * 3, few), 3),
        "sky_flat": (lambda: flats.sky_flat(divided, light, on_cal, sky, own=own), 1),
        "subtract_background_2d": (lambda: backgrounds.subtract_background_2d(divided, smooth, on_cal), 1),
        "outlier_detection, search: lowest": (lambda: find_cosmic_rays(divided, seen, lowest, 0.0), 1),
    }


STRIPES = "clean_flicker_noise"
BACKGROUND = "subtract_background_2d"
SETTINGS: dict[str, Setting] = {
    "stripes, NIRCam F200W": Setting(
        STRIPES, judge_stripes, {**NIRCAM, "artefacts": {"flicker": 0.3}}, {"choices": list(CHOICES)}
    ),
    "stripes, amplifiers differ": Setting(
        STRIPES,
        judge_stripes,
        {**NIRCAM, "artefacts": {"flicker": 0.2, "channel_flicker": 0.2}},
        {"choices": [DEFAULT, "fit_by_channel"]},
    ),
    "stripes, a nebula": Setting(
        STRIPES, judge_stripes, {**NIRCAM, "artefacts": {"flicker": 0.3, "nebula": 3.0}}, {"choices": [DEFAULT]}
    ),
    "no stripes": Setting(STRIPES, judge_stripes, {**NIRCAM, "artefacts": {}}, {"choices": [DEFAULT]}),
    "stripes, NIRISS F200W": Setting(
        STRIPES,
        judge_stripes,
        {**NIRCAM, "instrument": "niriss_f200w", "artefacts": {"flicker": 0.3}},
        {"choices": [DEFAULT]},
    ),
    "stripes, MIRI F1130W": Setting(
        STRIPES, judge_stripes, {**MIRI, "artefacts": {"flicker": 0.3}}, {"choices": [DEFAULT]}
    ),
    "a gradient of 30 %": Setting(BACKGROUND, judge_background, {**NIRCAM, "artefacts": {"gradient": 0.3}}),
    "a gradient, a nebula": Setting(
        BACKGROUND, judge_background, {**NIRCAM, "artefacts": {"gradient": 0.3, "nebula": 3.0}}
    ),
    "the glow of MIRI F1130W": Setting(BACKGROUND, judge_background, MIRI),
    "a wisp of 1 sigma": Setting("subtract_template", judge_template, {**NIRCAM, "artefacts": {"wisp": 1.0}}),
    "a wisp, a nebula": Setting(
        "subtract_template", judge_template, {**NIRCAM, "artefacts": {"wisp": 1.0, "nebula": 3.0}}
    ),
    "no wisp": Setting("subtract_template", judge_template, {**NIRCAM, "artefacts": {}}),
    "a wisp in 12 exposures": Setting(
        "subtract_own_template", judge_own_template, {**DITHERED, "artefacts": {"wisp": 1.0}}
    ),
    "a flat of MIRI, wrong by 2 %": Setting(
        "sky_flat",
        judge_sky_flat,
        {**MIRI, "exposures": 12, "dither_step": 6.0, "artefacts": {"flat_error": 0.02}},
    ),
    "a flat of NIRCam, wrong by 2 %": Setting(
        "sky_flat", judge_sky_flat, {**DITHERED, "artefacts": {"flat_error": 0.02}}
    ),
    "6 exposures, 300 stars": Setting(
        "bad_pixels",
        judge_bad_pixels,
        {**DITHERED, "exposures": 6, "dither_step": 0.5, "stars": 300, "artefacts": {"warm": 0.002, "open": 0.0005}},
    ),
    "12 exposures of MIRI, 300 stars": Setting(
        "bad_pixels",
        judge_bad_pixels,
        {**MIRI, "exposures": 12, "dither_step": 1.0, "stars": 300, "artefacts": {"warm": 0.002, "open": 0.0005}},
    ),
    "stars that fill pixels, 2 exposures before": Setting(
        "persistence",
        judge_persistence,
        {
            **DITHERED,
            "exposures": 3,
            "dither_step": 1.0,
            "stars": 200,
            "star_snr": (100.0, 20000.0),
            "artefacts": {"persistence": 0.01},
        },
    ),
    "two trails": Setting("mask_regions", judge_regions, {**NIRCAM, "artefacts": {"trails": 2}}),
    "one exposure, 2048 x 2048": Setting(
        "CPU of all",
        judge_time,
        {**NIRCAM, "artefacts": {"flicker": 0.3, "gradient": 0.1, "wisp": 1.0}},
    ),
}
