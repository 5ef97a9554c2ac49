"""Simulated count-rate exposures with known truth, and the reference files that belong to them."""

from calflow.simulation.artefacts import Artefacts
from calflow.simulation.instruments import INSTRUMENTS, Instrument
from calflow.simulation.observation import Truth, simulate
from calflow.simulation.scene import Scene

__all__ = [
    "INSTRUMENTS",
    "Artefacts",
    "Instrument",
    "Scene",
    "Truth",
    "simulate",
]
