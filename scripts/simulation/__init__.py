"""Simulated count-rate exposures with known truth, and the reference files that belong to them."""

from simulation.instruments import INSTRUMENTS, Instrument
from simulation.observation import Truth, simulate
from simulation.scene import Scene

__all__ = ["INSTRUMENTS", "Instrument", "Scene", "Truth", "simulate"]
