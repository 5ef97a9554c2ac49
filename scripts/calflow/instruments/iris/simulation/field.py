"""What is simulated for the IRIS imager: the parameters of a field, and its exposures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from astropy.table import Table, vstack

from calflow.science.windows import Window
from calflow.simulation.exposure import Exposure
from calflow.simulation.geometry import Geometry
from calflow.simulation.instruments import Instrument
from calflow.simulation.observation import plan_exposures
from calflow.simulation.photometry import sky_noise
from calflow.simulation.rendering import peak_fraction
from calflow.simulation.scene import Scene, make_sources

# IRIS behind the adaptive optics of the Thirty Meter Telescope: a core at the limit of diffraction, and a halo.
# The axes of the sky take the place of V2 and V3, and there is no distortion: the headers tell all of the geometry.
IRIS_K = Instrument(
    instrument="IRIS",
    detector="IRIS1",
    aperture="",
    exp_type="IRIS_IMAGE",
    filter="K",
    pupil="CLEAR",
    shape=(4096, 4096),
    x_reference=2048.5,
    y_reference=2048.5,
    x_scale=0.004,
    y_scale=0.004,
    distortion_x=(),
    distortion_y=(),
    v2_ref=0.0,
    v3_ref=0.0,
    v3i_yang=0.0,
    fwhm=3.9,
    psf=((0.72, 1.0), (0.14, 2.8), (0.14, 11.0)),
    photmjsr=10.7,
    time_dependence="",
    sky=68.0,
    sky_gradient=0.12,
    gain=2.2,
    read_noise=1.2,
    integration_time=60.0,
    full_well=45000.0,
    readpatt="",
    pattern="",
    subarray="CUSTOM",
)


@dataclass(frozen=True)
class IrisField:
    """Everything that decides what `simulate_iris` writes.

    Attributes
    ----------
    scene : Scene
        The field, its dithered exposures and its backgrounds, of one detector.
    bright_stars : sequence of (float, float, float)
        Stars besides those of the scene: 0-based pixel x, y of the undithered pointing, and the signal in the
        brightest pixel in units of what saturates it.
    subarrays : int
        How many of the bright stars, from the first, get a concurrent subarray about them.
    subarray_exposures : sequence of int
        Numbers of the science exposures, from 1, that have these subarrays.
    subarray_size : int
        Columns and rows of a subarray, pixels.
    subarray_time : float
        Longest integration time of a subarray, seconds; it integrates as often as fits into the full frame's.
    background_level : float
        Sky of the background exposures as a part of that of the science exposures.
    """

    scene: Scene = field(default_factory=lambda: Scene(IRIS_K))
    bright_stars: Sequence[tuple[float, float, float]] = ()
    subarrays: int = 0
    subarray_exposures: Sequence[int] = ()
    subarray_size: int = 64
    subarray_time: float = 0.4
    background_level: float = 1.0

    def __post_init__(self):
        if self.scene.window is not None or self.scene.nints or self.scene.detectors > 1:
            raise ValueError("a field of IRIS is seen in full frames of one detector and one integration")
        if not 0 <= self.subarrays <= len(self.bright_stars):
            raise ValueError(f"{self.subarrays} subarrays for {len(self.bright_stars)} bright stars")
        if wrong := [number for number in self.subarray_exposures if not 1 <= number <= self.scene.exposures]:
            raise ValueError(f"subarray_exposures: there is no exposure {wrong[0]} among {self.scene.exposures}")
        if not 0 < self.subarray_time <= self.scene.preset.integration_time:
            raise ValueError(
                f"subarray_time {self.subarray_time} s is not between 0 and the full frame's integration time, "
                f"{self.scene.preset.integration_time} s"
            )
        for exposure in plan_exposures(self.scene):
            _concurrent_windows(self, exposure)


@dataclass(frozen=True)
class IrisExposure:
    """One file to be simulated.

    Attributes
    ----------
    exposure : Exposure
    subarray_id : int
        SUBARRID: 0 for a full frame, otherwise the number of the concurrent subarray.
    concurrent : tuple of Window
        Subarrays that are read out on their own while this full frame is exposed; it has no data there.
    integrations : int
        How many integrations are averaged in the count rate.
    """

    exposure: Exposure
    subarray_id: int = 0
    concurrent: tuple[Window, ...] = ()
    integrations: int = 1

    @property
    def window(self) -> Window:
        """Where its pixels are on the detector."""
        return self.exposure.geometry.window


def plan_iris_exposures(iris: IrisField) -> list[IrisExposure]:
    """Return the files of a field: full frames of the science, their subarrays, and the backgrounds.

    Parameters
    ----------
    iris : IrisField
        The field.
    """
    scene = iris.scene
    plans = plan_exposures(scene)
    science: list[IrisExposure] = []
    subarrays: list[IrisExposure] = []
    backgrounds: list[IrisExposure] = []
    for planned in plans:
        exposure = _of_iris(iris, planned)
        if exposure.background:
            backgrounds.append(IrisExposure(exposure))
            continue
        windows = _concurrent_windows(iris, exposure)
        science.append(IrisExposure(exposure, concurrent=windows))
        integrations = math.ceil(exposure.times.integration_time / iris.subarray_time)
        for number, window in enumerate(windows, start=1):
            part = replace(
                exposure,
                name=f"{exposure.name}_sub{number}",
                geometry=replace(exposure.geometry, window=window),
                stream=len(plans) + len(subarrays),
            )
            subarrays.append(IrisExposure(part, number, integrations=integrations))
    return [*science, *subarrays, *backgrounds]


def make_iris_sources(iris: IrisField) -> Table:
    """Return the sources of a field, as `simulation.scene.make_sources` does: the bright stars come first.

    Parameters
    ----------
    iris : IrisField
        The field.
    """
    scene, instrument = iris.scene, iris.scene.preset
    part = peak_fraction(instrument)
    others = make_sources(scene, sky_noise(scene), part)
    if not iris.bright_stars:
        return others
    x, y, wells = np.array(iris.bright_stars, float).T
    ra, dec = _undithered(scene).to_sky(x, y)
    peak = wells * instrument.full_well / instrument.integration_time * instrument.photmjsr  # MJy/sr
    bright = Table({name: np.zeros(len(x)) for name in others.colnames[1:]})
    bright["type"], bright["ra"], bright["dec"], bright["axis_ratio"] = "star", ra, dec, 1.0
    bright["flux"] = peak * 1e6 * instrument.pixel_area_sr / part
    return vstack([bright[others.colnames], others])


def _of_iris(iris: IrisField, planned: Exposure) -> Exposure:
    """Return an exposure with the names and the sky of IRIS, and without aberration: the guide stars share it."""
    sky = planned.sky * (iris.background_level if planned.background else 1.0)
    return replace(
        planned,
        name=f"iris_p{iris.scene.program}_{planned.observation:03d}_{planned.number:04d}",
        geometry=replace(planned.geometry, velocity_scale=1.0),
        sky=sky,
    )


def _undithered(scene: Scene) -> Geometry:
    first = plan_exposures(replace(scene, exposures=1, dithers=[(0.0, 0.0)], backgrounds=0, mispointings={}))[0]
    return replace(first.geometry, velocity_scale=1.0)


def _concurrent_windows(iris: IrisField, exposure: Exposure) -> tuple[Window, ...]:
    """Return the subarrays of a full frame, centred where the header says that the bright stars are."""
    if exposure.background or exposure.number not in iris.subarray_exposures or not iris.subarrays:
        return ()
    x, y, _ = np.array(iris.bright_stars[: iris.subarrays], float).T
    believed = replace(exposure.geometry, pointing=exposure.nominal, velocity_scale=1.0)
    columns, rows = (np.round(pixel).astype(int) for pixel in believed.to_pixel(*_undithered(iris.scene).to_sky(x, y)))
    size = iris.subarray_size
    windows = tuple(
        Window(int(column) - size // 2 + 1, int(row) - size // 2 + 1, size, size)
        for column, row in zip(columns, rows, strict=True)
    )
    for window in windows:
        if not iris.scene.full_frame.contains(window):
            raise ValueError(f"exposure {exposure.number}: subarray {window} is not on the detector")
    for first, second in combinations(windows, 2):
        if first.overlap(second):
            raise ValueError(f"exposure {exposure.number}: subarrays {first} and {second} overlap")
    return windows
