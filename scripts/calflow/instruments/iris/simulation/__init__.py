"""Simulated exposures of the imager of IRIS with known truth, and their reference files."""

from calflow.instruments.iris.simulation.field import IRIS_K, IrisField
from calflow.instruments.iris.simulation.observation import IrisTruth, simulate_iris

__all__ = ["IRIS_K", "IrisField", "IrisTruth", "simulate_iris"]
