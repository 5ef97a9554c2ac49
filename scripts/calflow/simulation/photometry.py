"""The simulated flux calibration: the rows of the photom reference, and what they give at a time."""

import numpy as np

from calflow.simulation.instruments import Instrument
from calflow.simulation.scene import Scene

# Reference times of the time-dependence tables, MJD; whole numbers, which float32 keeps exactly.
LINEAR = {"t0": 59720.0, "lossperyear": 0.004}
EXPONENTIAL = {"t0": 59720.0, "amplitude": 0.06, "tau": 240.0, "const": 0.96}
POWERLAW = {"t0": 59720.0, "year1value": 0.985, "tsoft": 12.0, "alpha": -0.011}
TIME_TABLES = {"linear": LINEAR, "exponential": EXPONENTIAL, "powerlaw": POWERLAW}


def conversion_at(instrument: Instrument, mjd: float) -> float:
    """Return MJy/sr per DN/s at a time, from the numbers as the reference file stores them.

    Parameters
    ----------
    instrument : Instrument
        With its telescope and filter.
    mjd : float
        The time, days.
    """
    if not instrument.time_dependence:
        return float(np.float32(instrument.photmjsr))
    stored = {name: float(np.float32(value)) for name, value in TIME_TABLES[instrument.time_dependence].items()}
    days = mjd - stored["t0"]
    if instrument.time_dependence == "linear":
        factor = 1 - stored["lossperyear"] * days / 365
    elif instrument.time_dependence == "exponential":
        factor = stored["amplitude"] * np.exp(-days / stored["tau"]) + stored["const"]
    else:
        factor = stored["year1value"] * ((days + stored["tsoft"]) / (365 + stored["tsoft"])) ** stored["alpha"]
    return float(np.float32(instrument.photmjsr)) / float(factor)


def sky_noise(scene: Scene) -> float:
    """Return the noise of an average sky pixel of one integration, MJy/sr.

    Parameters
    ----------
    scene : Scene
        What is simulated.
    """
    instrument = scene.preset
    sky = (instrument.sky if scene.sky is None else scene.sky) / instrument.photmjsr
    poisson = sky / (instrument.gain * instrument.integration_time)
    read = (instrument.read_noise / instrument.integration_time) ** 2
    return float(np.sqrt(poisson + read)) * instrument.photmjsr
