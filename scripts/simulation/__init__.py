"""Simulated count-rate exposures with known truth, and the reference files that belong to them."""

from simulation.instruments import INSTRUMENTS, Instrument
from simulation.iris_field import IRIS_K, IrisField
from simulation.iris_observation import IrisTruth, simulate_iris
from simulation.observation import Truth, simulate
from simulation.scene import Scene

__all__ = [
    "INSTRUMENTS",
    "IRIS_K",
    "Instrument",
    "IrisField",
    "IrisTruth",
    "Scene",
    "Truth",
    "simulate",
    "simulate_iris",
]
