"""Simulated count-rate exposures with known truth, and the reference files that belong to them."""

from calflow.simulation.instruments import INSTRUMENTS, Instrument
from calflow.simulation.iris_field import IRIS_K, IrisField
from calflow.simulation.iris_observation import IrisTruth, simulate_iris
from calflow.simulation.observation import Truth, simulate
from calflow.simulation.scene import Scene

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
