"""One exposure to be simulated: where it points, and when it is taken."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from calflow.simulation.geometry import Geometry, Pointing
from calflow.simulation.instruments import Instrument
from calflow.simulation.patterns import Trail
from calflow.simulation.scene import Scene

# The date of every simulated observation; files never carry the time of the computer.
START = datetime(2023, 3, 12, 7, 47, 13, tzinfo=UTC)
OVERHEAD = 95.0  # seconds between exposures
MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)


@dataclass(frozen=True)
class ExposureTimes:
    """When an exposure was taken.

    Attributes
    ----------
    start : datetime
        UTC.
    integration_time : float
        Seconds.
    nints : int
        Integrations; 0 for a 2-D product of one integration.
    barycentre_delay : float
        Seconds to add to UTC for the barycentre, in round numbers.
    """

    start: datetime
    integration_time: float
    nints: int
    barycentre_delay: float = -131.4

    @property
    def duration(self) -> float:
        """Exposure time, seconds."""
        return self.integration_time * max(self.nints, 1)

    @property
    def end(self) -> datetime:
        """UTC at the end."""
        return self.start + timedelta(seconds=self.duration)

    @property
    def start_mjd(self) -> float:
        """MJD at the start."""
        return (self.start - MJD_EPOCH) / timedelta(days=1)

    @property
    def middle_mjd(self) -> float:
        """MJD in the middle."""
        return self.start_mjd + self.duration / 172800

    @property
    def end_mjd(self) -> float:
        """MJD at the end."""
        return self.start_mjd + self.duration / 86400


@dataclass(frozen=True)
class Exposure:
    """One exposure to be simulated.

    Attributes
    ----------
    name : str
        File name without `_rate.fits`.
    number : int
        Number within its observation, from 1.
    observation : int
    geometry : Geometry
        With the true attitude.
    nominal : Pointing
        The attitude that the header tells.
    dither : (float, float)
        Offset in arcsec along the detector's axes.
    sky : float
        Sky level, MJy/sr.
    times : ExposureTimes
    stream : int
        Which random numbers are its own.
    background : bool
        Whether it is a dedicated background.
    blank : bool
        Whether no source is seen in it.
    detector : int
        Number of its detector, from 0.
    wisp : float
        Brightness of the wisp of the detector at its brightest, MJy/sr.
    trails : tuple of Trail
        Of satellites.
    """

    name: str
    number: int
    observation: int
    geometry: Geometry
    nominal: Pointing
    dither: tuple[float, float]
    sky: float
    times: ExposureTimes
    stream: int
    background: bool
    blank: bool = False
    detector: int = 0
    wisp: float = 0.0
    trails: tuple[Trail, ...] = ()

    @property
    def instrument(self) -> Instrument:
        """The instrument, with this exposure's detector."""
        return self.geometry.optics.instrument

    @property
    def filename(self) -> str:
        """The name of the file."""
        return f"{self.name}_{'rateints' if self.times.nints else 'rate'}.fits"


def exposure_times(scene: Scene, index: int) -> ExposureTimes:
    """Return the times of an exposure of a scene.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    index : int
        From 0, of all exposures of the scene.
    """
    seconds = scene.preset.integration_time * max(scene.nints, 1)
    start = START + timedelta(seconds=index * (seconds + OVERHEAD))
    return ExposureTimes(start, scene.preset.integration_time, scene.nints)
