"""Liger and IRIS: the imagers for the adaptive optics of Keck and of the Thirty Meter Telescope."""

from calflow.instruments.iris.description import FAMILY

__all__ = ["FAMILY"]
