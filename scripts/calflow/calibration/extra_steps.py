"""Extra steps: cleaning steps, and functions of the user's own, called for an exposure and recorded in it."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from astropy.io import fits

from calflow.calibration.flat import read_flat
from calflow.calibration.work import function_named
from calflow.files.exposure import PLANES, Exposure, image_extension, read_exposure
from calflow.files.geometry_files import read_geometry
from calflow.files.keywords import exposure_time, record_figures, window
from calflow.files.names import product_root
from calflow.files.photometry_keywords import conversion_in
from calflow.science.calibration.flat_field import known_response
from calflow.science.cleaning.shipped import ARRAYS, CAL, IMAGE, LIGHT, RESPONSE, TEMPLATE, TEXT, StepOfExposure
from calflow.science.cleaning.source_mask import is_light
from calflow.science.cleaning.step import Cleaned, Facts, Figure, with_cleaned
from calflow.science.image import Image, discard_impossible
from calflow.science.windows import Window

log = logging.getLogger(__name__)
STARTS = ("EXPSTART", "MJD-BEG", "MJD-OBS")


class ExtraStep(StepOfExposure):
    """A step that is called. What it takes of other exposures are files here."""

    def called(
        self, images: Sequence[str], place: str, source: str = ""
    ) -> Callable[[Image, Facts], tuple[Image, Mapping[str, Figure]]]:
        """Return the step as a function of planes and facts that returns the new planes and figures.

        Parameters
        ----------
        images : sequence of str
            Names that the extension with the pixels of an exposure may have.
        place : str
            ``rate`` or ``cal``.
        source : str, optional
            The file of the exposure, which a step reads that leaves it out of what was collected.

        Raises
        ------
        ValueError
            If its inputs cannot be read, or the file of the user's own function fails.
        """
        if not self.parameter_class:
            function = own_function(self.function, self.name)
            paths = {role: Path(path) for role, (path, _) in self.inputs.items()}
            return lambda planes, facts: self._call_own(function, planes, facts, paths, images)
        work = function_named(self.function)
        parameters = function_named(self.parameter_class)(**self.parameters)
        contents = {role: _content(path, kind, place) for role, (path, kind) in self.inputs.items() if kind != RESPONSE}
        flats = {role: path for role, (path, kind) in self.inputs.items() if kind == RESPONSE}

        @cache
        def responses(covered: Window) -> dict[str, np.ndarray]:
            return {role: known_response(read_flat(path, covered, images)) for role, path in flats.items()}

        if self.leaves_out:
            contents["own"] = cache(lambda: next(read_others([source], images, place)))

        def call(planes: Image, facts: Facts) -> tuple[Image, Mapping[str, Figure]]:
            files = contents | responses(Window(*facts.first_pixel, *planes.sci.shape[::-1]))
            try:
                cleaned: Cleaned = work(planes, parameters, facts, **files, **self._more(images, place))
            except ValueError as error:
                raise ValueError(f"{self.name}: {error}") from error
            return with_cleaned(planes, cleaned), cleaned.figures

        return call

    def _call_own(
        self, function: Any, planes: Image, facts: Facts, paths: Mapping[str, Path], images: Sequence[str]
    ) -> tuple[Image, Mapping[str, Figure]]:
        copy = replace(planes, **{name: plane.copy() for name, plane in planes.planes().items()})
        more = self._more(images, facts.place).values()
        with _told_by_line(self.function, self.name):
            returned = function(copy, dict(self.parameters), facts, dict(paths), *more)
        found, figures = returned if isinstance(returned, tuple) and len(returned) == 2 else (returned, {})
        if not isinstance(found, Image) or not isinstance(figures, Mapping):
            kind = type(returned).__name__
            raise ValueError(f"{self.name}: {_place(function)} returned {kind}: return planes, or planes and figures")
        return _like(found, planes, f"{self.name}: {_place(function)} returned"), figures

    def _more(self, images: Sequence[str], place: str) -> dict[str, Any]:
        """Return what it takes of other exposures, as an argument by its name."""
        if self.collected:
            return {"collected": read_collection(self.collected)}
        return {} if self.others is None else {"others": read_others(self.others, images, place)}

    def described(self) -> str:
        """Say what is done, as HISTORY has it."""
        parts = []
        if not self.parameter_class:
            file, _, function = self.function.rpartition(":")
            parts.append(f"{function} of {Path(file).name}")
        parts += [f"{name}={value}" for name, value in self.parameters.items()]
        parts += [f"{role}={Path(path).name}" for role, (path, _) in self.inputs.items()]
        return ", ".join(parts)


def apply_step(
    exposure: Exposure,
    step: ExtraStep,
    call: Callable[[Image, Facts], tuple[Image, Mapping[str, Figure]]],
    facts: Facts,
) -> tuple[dict[str, Figure], bool]:
    """Take an exposure through a step, each of its integrations by itself, and return what is to be told of it.

    Parameters
    ----------
    exposure : Exposure
        Its planes are replaced.
    step : ExtraStep
    call : callable
        Of the step.
    facts : Facts
        Of the exposure; `integration` is that of its first plane here.

    Returns
    -------
    figures : dict of str to int, float or str
        Of all integrations: whole numbers added up, others averaged, of texts the last.
    is_applied : bool
        Whether the step changed any of them.
    """
    image = exposure.image
    if image.sci.ndim == 2:
        exposure.image, figures = call(image, facts)
        _discard(exposure.image, step.name)
        return dict(figures), exposure.image is not image
    every, is_applied = [], False
    for number in range(len(image.sci)):
        planes = Image(**{name: plane[number] for name, plane in image.planes().items()})
        found, figures = call(planes, replace(facts, integration=(facts.integration or 0) + number))
        for name, plane in found.planes().items():
            getattr(image, name)[number] = plane
        every.append(figures)
        is_applied |= found is not planes
    _discard(image, step.name)
    return _joint(every), is_applied


def record_step(exposure: Exposure, step: ExtraStep, figures: Mapping[str, Figure], status: str) -> None:
    """Record in the primary header what a step has done.

    Parameters
    ----------
    exposure : Exposure
    step : ExtraStep
    figures : mapping of str to int, float or str
    status : {"COMPLETE", "SKIPPED"}
    """
    record_figures(exposure, step.keyword, step.name, step.described(), figures, status)
    told = ", ".join(f"{name} {value}" for name, value in figures.items())
    log.info("%s %s%s", step.name, status, f": {told}" if told else "")


def facts_of(
    exposure: Exposure, root: str, place: str, made: Mapping[str, Any] | None = None, geometry: str = ""
) -> Facts:
    """Return what is known of an exposure besides its pixels.

    Parameters
    ----------
    exposure : Exposure
    root : str
        Root of the names of its products.
    place : str
        ``rate`` or ``cal``.
    made : mapping, optional
        Keywords that were made of others.
    geometry : str, optional
        The file that says where its pixels lie on the sky.
    """
    header = {**exposure.science, **exposure.primary, **(made or {})}
    words = {
        name: str(header.get(keyword) or "").strip().upper()
        for name, keyword in {
            "instrument": "INSTRUME",
            "detector": "DETECTOR",
            "filter": "FILTER",
            "pupil": "PUPIL",
            "channel": "CHANNEL",
            "subarray": "SUBARRAY",
            "readout": "READPATT",
        }.items()
    }
    start = next((float(header[name]) for name in STARTS if isinstance(header.get(name), int | float)), None)
    here = window(exposure)
    return Facts(
        root,
        place,
        unit=str(exposure.science.get("BUNIT") or "").strip(),
        **words,
        exposure_time=exposure_time(exposure),
        start=start,
        slow_axis=_axis(header.get("SLOWAXIS")),
        fast_axis=_axis(header.get("FASTAXIS")),
        first_pixel=(here.xstart, here.ystart),
        integration=0 if exposure.image.sci.ndim == 3 else None,
        header={name: value for name, value in header.items() if name not in ("", "COMMENT", "HISTORY")},
        sky=_Sky(geometry) if geometry else None,
    )


class _Sky:
    """Where pixels lie on the sky; the file is read when it is asked."""

    def __init__(self, path: str):
        self._path = Path(path)
        self._geometry: Any = None

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self._geometry is None:
            self._geometry = read_geometry(self._path)
        return self._geometry.sky(x, y)


def read_others(paths: Sequence[str], images: Sequence[str], place: str) -> Iterator[tuple[Image, Facts]]:
    """Yield the planes and the facts of other exposures, of which one is in memory at a time.

    Parameters
    ----------
    paths : sequence of str
    images : sequence of str
        Names that the extension with the pixels may have.
    place : str
        ``rate`` or ``cal``.
    """
    for path in paths:
        exposure = read_exposure(Path(path), images)
        yield exposure.image, facts_of(exposure, product_root(Path(path).name), place)


def read_lights(paths: Sequence[str], lights: Mapping[int, str]) -> Iterator[np.ndarray | None]:
    """Yield the light of calibrated exposures where there are sources, in their unit, or None; one at a time.

    Parameters
    ----------
    paths : sequence of str
        The exposures.
    lights : mapping of int to str
        Files ``_sources.fits`` by the numbers of exposures, from 0.
    """
    for number, path in enumerate(paths):
        if number not in lights:
            yield None
            continue
        mask, light = (_content(lights[number], kind, CAL) for kind in (IMAGE, LIGHT))
        # Elsewhere the image has noise and what is wrong with flats, which the exposures would have in common.
        yield np.where(is_light(mask), light * np.float32(conversion_in(Path(path))), np.float32(0))


def collect(
    step: str,
    function: str,
    parameters: Mapping[str, Any],
    parameter_class: str,
    exposures: Iterator[tuple[Image, Facts]],
    lights: Iterator[np.ndarray | None] | None = None,
) -> dict[str, np.ndarray]:
    """Return what a function makes of several exposures, as arrays by name.

    Parameters
    ----------
    step : str
        The name of the step that it is for.
    function : str
        As ``module:function``; of the user's own, ``file.py:function``.
    parameters : mapping of str to object
        Of the step.
    parameter_class : str
        The dataclass that these are of; empty: the function is the user's own.
    exposures : iterator of (Image, Facts)
    lights : iterator of float32 arrays (ny, nx) or None, optional
        Of each exposure the light of its sources. None: the function takes none.

    Raises
    ------
    ValueError
        If the function fails, or returns anything else.
    """
    if parameter_class:
        more = {} if lights is None else {"lights": lights}
        found = function_named(function)(exposures, function_named(parameter_class)(**parameters), **more)
    else:
        own = own_function(function, step)
        with _told_by_line(function, step):
            found = own(exposures, dict(parameters))
    if not isinstance(found, Mapping):
        raise ValueError(
            f"{step}: {function.rpartition(':')[2]} returned {type(found).__name__}: return arrays by name"
        )
    arrays = {str(name): np.asarray(array) for name, array in found.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise ValueError(f"{step}: {name} is {array.dtype} of shape {array.shape}: return arrays of numbers")
    # FITS has no truth values.
    return {name: array.astype(np.uint8) if array.dtype.kind == "b" else array for name, array in arrays.items()}


def read_collection(path: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file that `collect_exposures` has written, by name in lower case.

    Parameters
    ----------
    path : str
    """
    with fits.open(path, memmap=False) as hdus:
        images = [hdu for hdu in hdus[1:] if hdu.is_image and hdu.data is not None]
        return {hdu.name.lower(): hdu.data.astype(hdu.data.dtype.newbyteorder("=")) for hdu in images}


def own_function(name: str, step: str) -> Callable[..., Any]:
    """Return a function of the user's own, whose file is run as it is now.

    Parameters
    ----------
    name : str
        As ``file.py:function``.
    step : str
        The name of the step, for messages.

    Raises
    ------
    ValueError
        With the line, if the file fails; and if there is no such function in it.
    """
    file, _, function = name.rpartition(":")
    path = Path(file).resolve()
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.path.insert(0, str(path.parent))  # what lies beside it can be imported, as from a script
    sys.modules.setdefault(path.stem, module)
    with _told_by_line(name, step):
        # Not by an import: what Python keeps compiled counts as new until the second of the last edit is over.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 it is theirs
    found = getattr(module, function, None)
    if not callable(found):
        raise ValueError(f"{step}: {path.name} has no function {function}")
    return found


@contextmanager
def _told_by_line(function: str, step: str) -> Iterator[None]:
    """Make of an error in the user's own code one that tells the file and the line in one line."""
    path = Path(function.rpartition(":")[0]).resolve()
    try:
        yield
    except (Exception, SystemExit) as error:
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else own[-1].lineno if own else None
        where = path.name + (f", line {line}" if line else "")
        text = " ".join(str(error).split())
        raise ValueError(f"{step}: {where}: {type(error).__name__}{f': {text}' if text else ''}") from error


def _place(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f"{Path(code.co_filename).name}, line {code.co_firstlineno}:" if code else str(function)


def _like(found: Image, planes: Image, returned: str) -> Image:
    """Return planes with the types of others; an error if they cannot stand in their place."""
    changed = {}
    for name, plane in planes.planes().items():
        new = getattr(found, name)
        if np.shape(new) != plane.shape:
            raise ValueError(f"{returned} {PLANES[name]} of shape {np.shape(new)}, not {plane.shape}")
        kinds = "biu" if name == "dq" else "biuf"
        if np.asarray(new).dtype.kind not in kinds:
            raise ValueError(f"{returned} {PLANES[name]} of type {np.asarray(new).dtype}")
        with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinite
            changed[name] = np.asarray(new).astype(plane.dtype)
    return replace(planes, **changed)


def _discard(image: Image, step: str) -> None:
    for name, number in discard_impossible(image.float_planes(), image.dq).items():
        log.warning("%s left %d pixels of %s that are no value", step, number, PLANES[name])


def _content(path: str, kind: str, place: str) -> Any:
    """Return what a step that calflow has gets of a file."""
    if kind == TEXT:
        return Path(path).read_text("utf-8")
    if kind == ARRAYS:
        return read_collection(path)
    with fits.open(path, memmap=False) as hdus:
        if kind == TEMPLATE:
            return _template(hdus, place)
        names = ("LIGHT", "SCI", "PRIMARY") if kind == LIGHT else ("SCI", "PRIMARY")
        return np.array(hdus[image_extension(hdus, names)].data, np.float32)


def _template(hdus: fits.HDUList, place: str) -> np.ndarray:
    """Return the images of a template as they are published: RATE and CAL, WISP_0, WISP_1 and so on, or one image."""
    named = [hdu for hdu in hdus if hdu.name == place.upper()]
    found = named or [hdu for hdu in hdus if re.fullmatch(r"WISP_\d+", hdu.name)]
    found = found or [hdus[image_extension(hdus, ("SCI", "PRIMARY"))]]
    return (
        np.stack([np.array(hdu.data, np.float32) for hdu in found])
        if len(found) > 1
        else np.array(found[0].data, np.float32)
    )


def _axis(value: Any) -> int | None:
    return value if value in (1, 2, -1, -2) else None


def _joint(every: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    joint: dict[str, Figure] = {}
    for name in dict.fromkeys(name for figures in every for name in figures):
        values: list[Any] = [figures[name] for figures in every if name in figures]
        if all(isinstance(value, int) for value in values):
            joint[name] = sum(values)
        else:
            joint[name] = values[-1] if any(isinstance(value, str) for value in values) else float(np.mean(values))
    return joint
