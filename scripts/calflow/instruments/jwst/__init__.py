"""JWST: NIRCam, NIRISS, MIRI and FGS imaging."""

from calflow.instruments.jwst.description import FAMILY

__all__ = ["FAMILY"]
