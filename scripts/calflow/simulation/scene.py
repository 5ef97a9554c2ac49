"""What is simulated: the parameters of a scene, and its sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.table import Table, vstack

from calflow.science.windows import Window
from calflow.simulation.artefacts import Artefacts, nebula
from calflow.simulation.geometry import Geometry, Optics, Pointing
from calflow.simulation.instruments import INSTRUMENTS, Instrument

# Of the size that the motion of the Earth around the Sun gives (30 km/s over c is 1e-4).
VELOCITY_SCALE = 1.0000467
# Streams of random numbers; each purpose has its own, so that e.g. one star more changes no bad pixel.
DETECTOR_STREAM, SOURCE_STREAM, POINTING_STREAM, EXPOSURE_STREAM, DARK_STREAM, ARTEFACT_STREAM = range(6)


@dataclass(frozen=True)
class Scene:
    """Everything that decides what `simulate` writes.

    Attributes
    ----------
    instrument : str or Instrument
        A name of `INSTRUMENTS`, or an instrument of one's own.
    detector_shape : (int, int), optional
        Rows and columns of a smaller full frame, for fast tests.
    window : Window, optional
        Subarray of the science exposures; the full frame if left out.
    background_window : Window, optional
        Subarray of the background exposures, if another than that of the science exposures.
    subarray : str, optional
        SUBARRAY of a window.
    crop_flat : bool
        Cut the flat reference to `window` (the area reference is always full frame).
    exposures, backgrounds : int
        Number of science and of dedicated background exposures.
    detectors : int
        How many detectors expose together; more than 1 if the instrument has `others`.
    dithers : sequence of (float, float), optional
        Offsets of the science exposures along the detector's x and y, arcsec; a spiral if left out.
    dither_step : float, optional
        Size of the spiral's steps, arcsec; 8 pixels if left out.
    nints : int
        0: 2-D `_rate`; otherwise `_rateints` with so many integrations.
    tso : bool, optional
        Time-series visit. If left out: with `nints` and no `exp_type` of one's own, or with NRC_TSIMAGE.
    exp_type, visit_type : str
        EXP_TYPE (empty: the instrument's own) and VISITYPE.
    stars, galaxies : int
        How many there are in the field.
    star_snr : (float, float)
        Range of the stars' peak signal over the noise of a sky pixel.
    sky : float, optional
        Sky level in MJy/sr, if another than the instrument's.
    sky_scatter : float
        Standard deviation of the exposures' sky levels, as a part of the level.
    pointing_error, roll_error : float
        Standard deviation of the difference between true and header attitude, arcsec per axis
        and degrees; the first exposure has none.
    mispointings : mapping of int to (float, float)
        By number of the exposure, from 1: arcsec to the east and north by which it is wrongly
        pointed, besides `pointing_error`. Its header does not tell.
    turns : mapping of int to float
        By number of the exposure: degrees by which the telescope is rolled. Its header tells.
    blank : sequence of int
        Numbers of the science exposures in which no source is seen.
    cosmic_rays : float
        Part of the pixels hit by cosmic rays that stage 1 has not found.
    cosmic_ray_error : float
        Error that a cosmic ray adds to that of its pixel, in quadrature, as a part of its signal: more than 0 if
        stage 1 noticed it in part.
    bad_pixels : float
        Part of the pixels that are hot, dead or otherwise bad.
    drizzled_apcorr : bool
        Aperture corrections for stars in combined images, as the real ones are, instead of for the
        point spread function of the detector.
    artefacts : Artefacts
        What cleaning takes out again: 1/f noise, pedestals, a gradient of the sky, a nebula, wisps, errors of the flat,
        warm and open pixels, persistence, trails of satellites.
    ra, dec, roll : float
        Attitude of the undithered pointing, degrees.
    seed : int
        Scenes that differ in the seed alone are different realisations.
    save_signal : bool
        Write for each exposure what is in its pixels besides noise, as `truth/<exposure>_signal.fits`, and for each
        detector what is wrong with it that its references do not tell, as `truth/<detector>.fits`.
    """

    instrument: str | Instrument = "nircam_f200w"
    detector_shape: tuple[int, int] | None = None
    window: Window | None = None
    background_window: Window | None = None
    subarray: str | None = None
    crop_flat: bool = False
    exposures: int = 4
    backgrounds: int = 0
    detectors: int = 1
    dithers: Sequence[tuple[float, float]] | None = None
    dither_step: float | None = None
    nints: int = 0
    tso: bool | None = None
    exp_type: str = ""
    visit_type: str = "PRIME_TARGETED_FIXED"
    stars: int = 40
    galaxies: int = 10
    star_snr: tuple[float, float] = (15.0, 1000.0)
    sky: float | None = None
    sky_scatter: float = 0.01
    pointing_error: float = 0.0
    roll_error: float = 0.0
    mispointings: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    turns: Mapping[int, float] = field(default_factory=dict)
    blank: Sequence[int] = ()
    cosmic_rays: float = 1e-3
    cosmic_ray_error: float = 0.0
    bad_pixels: float = 4e-3
    drizzled_apcorr: bool = False
    artefacts: Artefacts = field(default_factory=Artefacts)
    ra: float = 83.8221
    dec: float = -5.3911
    roll: float = 265.08
    program: str = "01234"
    seed: int = 0
    save_signal: bool = False

    def __post_init__(self):
        if isinstance(self.instrument, str) and self.instrument not in INSTRUMENTS:
            raise ValueError(f"no simulated instrument {self.instrument!r}; there are {', '.join(INSTRUMENTS)}")
        if self.exposures < 1 or self.backgrounds < 0 or self.nints < 0:
            raise ValueError("a scene has at least one exposure, and no negative number of backgrounds or integrations")
        if self.dithers is not None and len(self.dithers) != self.exposures:
            raise ValueError(f"{len(self.dithers)} dithers for {self.exposures} exposures")
        most = 1 + len(self.preset.others)
        if not 1 <= self.detectors <= most:
            raise ValueError(f"{self.detectors} detectors, but {self.preset.detector} exposes with at most {most}")
        for name in ("mispointings", "turns", "blank"):
            if wrong := [n for n in getattr(self, name) if not 1 <= n <= self.exposures]:
                raise ValueError(f"{name}: there is no exposure {wrong[0]} among {self.exposures}")
        frame = self.full_frame
        for window in (self.window, self.background_window):
            if window is not None and not frame.contains(window):
                raise ValueError(f"window {window} is not on the detector, {frame}")

    @property
    def preset(self) -> Instrument:
        """The instrument, with the full frame of this scene; of several detectors, the first."""
        chosen = INSTRUMENTS[self.instrument] if isinstance(self.instrument, str) else self.instrument
        if self.detector_shape is None:
            return chosen
        (ny, nx), (full_ny, full_nx) = self.detector_shape, chosen.shape
        return replace(
            chosen,
            shape=(ny, nx),
            x_reference=round((chosen.x_reference - 0.5) * nx / full_nx) + 0.5,
            y_reference=round((chosen.y_reference - 0.5) * ny / full_ny) + 0.5,
        )

    @property
    def full_frame(self) -> Window:
        """The whole detector."""
        ny, nx = self.preset.shape
        return Window(1, 1, nx, ny)

    @property
    def is_tso(self) -> bool:
        """Whether this is a time-series visit, TSOVISIT."""
        if self.tso is not None:
            return self.tso
        return self.exposure_type == "NRC_TSIMAGE" or (self.nints > 0 and not self.exp_type)

    @property
    def exposure_type(self) -> str:
        """EXP_TYPE of the exposures."""
        if self.exp_type:
            return self.exp_type
        return "NRC_TSIMAGE" if self.nints and self.preset.instrument == "NIRCAM" else self.preset.exp_type

    def dither_offsets(self) -> list[tuple[float, float]]:
        """Return the offsets of the science exposures, arcsec along the detector's x and y."""
        if self.dithers is not None:
            return [(float(x), float(y)) for x, y in self.dithers]
        step = 8 * self.preset.x_scale if self.dither_step is None else self.dither_step
        # The golden angle spreads any number of points evenly, and gives every one another pixel phase.
        angles, radii = (
            np.arange(self.exposures) * np.radians(137.508),
            step * np.sqrt(np.arange(self.exposures)),
        )
        return list(zip((radii * np.cos(angles)).tolist(), (radii * np.sin(angles)).tolist(), strict=True))

    def random(self, *stream: int) -> np.random.Generator:
        """Return the random numbers for one purpose, which do not depend on how many others were drawn.

        Parameters
        ----------
        *stream : int
            Numbers that name the purpose.
        """
        return np.random.default_rng([self.seed, *stream])


def science_pointings(scene: Scene) -> list[Pointing]:
    """Return the attitudes that the headers of the science exposures will tell.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    centre = Pointing(scene.ra, scene.dec, scene.roll)
    angle = np.radians(scene.roll + scene.preset.v3i_yang)
    parity = scene.preset.vparity
    return [
        centre.offset(
            parity * x * np.cos(angle) + y * np.sin(angle),
            -parity * x * np.sin(angle) + y * np.cos(angle),
            scene.turns.get(number, 0.0),
        )
        for number, (x, y) in enumerate(scene.dither_offsets(), start=1)
    ]


def true_pointings(scene: Scene) -> list[Pointing]:
    """Return the attitudes at which the science exposures are really taken.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    random = scene.random(POINTING_STREAM)
    errors = random.standard_normal((scene.exposures, 3))
    errors[0] = 0.0
    mispointings = [scene.mispointings.get(number, (0.0, 0.0)) for number in range(1, scene.exposures + 1)]
    return [
        nominal.offset(
            east * scene.pointing_error + wrong_east,
            north * scene.pointing_error + wrong_north,
            roll * scene.roll_error,
        )
        for nominal, (east, north, roll), (wrong_east, wrong_north) in zip(
            science_pointings(scene), errors, mispointings, strict=True
        )
    ]


def background_pointings(scene: Scene) -> list[Pointing]:
    """Return the attitudes of the background exposures: one empty field, five arcmin to the east.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    centre = Pointing(scene.ra, scene.dec, scene.roll).offset(300.0, 0.0)
    return [centre.offset(4.0 * i, 3.0 * i) for i in range(scene.backgrounds)]


def make_sources(scene: Scene, sky_noise: float, peak_fraction: float) -> Table:
    """Return the stars and galaxies of the scene.

    Parameters
    ----------
    scene : Scene
    sky_noise : float
        Noise of one sky pixel, MJy/sr.
    peak_fraction : float
        Part of a star's light in its brightest pixel.

    Returns
    -------
    Table
        Columns `type` (star, galaxy or nebula), `ra`, `dec` (deg), `flux` (Jy, total), `radius`
        (half-light, arcsec), `axis_ratio`, `position_angle` (deg, east of north), `sersic_index`.
    """
    random = scene.random(SOURCE_STREAM)
    instrument = scene.preset
    n = scene.stars + scene.galaxies
    ra, dec = _positions(scene, n, random)
    pixel_flux = sky_noise * 1e6 * instrument.pixel_area_sr  # Jy in a pixel that is as bright as the noise

    low, high = scene.star_snr
    star_flux = np.exp(random.uniform(np.log(low), np.log(high), scene.stars)) * pixel_flux / peak_fraction
    # Few large, many small: the square of a uniform number.
    radius_pixels = instrument.fwhm * (0.5 + 4.5 * random.uniform(0, 1, scene.galaxies) ** 3)
    axis_ratio = random.uniform(0.25, 1.0, scene.galaxies)
    # The mean signal to noise of the pixels within the half-light radius.
    mean_snr = np.exp(random.uniform(np.log(0.8), np.log(15.0), scene.galaxies))
    galaxy_flux = 2 * np.pi * radius_pixels**2 * axis_ratio * mean_snr * pixel_flux
    nothing = np.zeros(scene.stars)
    table = Table(
        {
            "type": np.array(["star"] * scene.stars + ["galaxy"] * scene.galaxies, str),
            "ra": ra,
            "dec": dec,
            "flux": np.concatenate([star_flux, galaxy_flux]),
            "radius": np.concatenate([nothing, radius_pixels * instrument.x_scale]),
            "axis_ratio": np.concatenate([nothing + 1, axis_ratio]),
            "position_angle": np.concatenate([nothing, random.uniform(0, 180, scene.galaxies)]),
            "sersic_index": np.concatenate([nothing, random.choice([1.0, 1.5, 2.5, 4.0], scene.galaxies)]),
        }
    )
    return vstack([table, _nebula(scene, sky_noise)]) if scene.artefacts.nebula else table


def _nebula(scene: Scene, sky_noise: float) -> Table:
    """Return the clumps of the nebula as sources."""
    instrument, window = scene.preset, scene.window or scene.full_frame
    size = window.nx * instrument.x_scale, window.ny * instrument.y_scale
    clumps = nebula(scene.artefacts.nebula * sky_noise, *size, scene.random(ARTEFACT_STREAM, 0))
    geometry = _centred(scene)
    ra, dec = geometry.to_sky(clumps["x"] / instrument.x_scale, clumps["y"] / instrument.y_scale)
    clumps.remove_columns(["x", "y"])
    clumps["flux"] *= 1e6 * instrument.pixel_area_sr / instrument.pixel_area_arcsec2  # MJy/sr arcsec**2 to Jy
    # A Gaussian is the Sersic profile of index 0.5.
    return Table(
        {"type": ["nebula"] * len(clumps), "ra": ra, "dec": dec, "sersic_index": [0.5] * len(clumps)}
        | dict(clumps.columns)
    )


def _positions(scene: Scene, n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Spread sources over all that the science exposures see, away from the very edge."""
    window = scene.window or scene.full_frame
    offsets = np.array(scene.dither_offsets()) / [scene.preset.x_scale, scene.preset.y_scale]
    low, high = offsets.min(axis=0), offsets.max(axis=0)
    if scene.detectors > 1:
        ny, nx = scene.preset.shape
        high = high + np.array([nx + scene.preset.gap, (ny + scene.preset.gap) * (scene.detectors > 2)])
    edge = max(scene.preset.border) + min(6.0, window.nx / 8, window.ny / 8)
    x = random.uniform(low[0] + edge, window.nx - 1 + high[0] - edge, n)
    y = random.uniform(low[1] + edge, window.ny - 1 + high[1] - edge, n)
    return _centred(scene).to_sky(x, y)


def _centred(scene: Scene) -> Geometry:
    """Return the geometry without a dither."""
    window = scene.window or scene.full_frame
    return Geometry(Optics(scene.preset), window, Pointing(scene.ra, scene.dec, scene.roll), VELOCITY_SCALE)
