"""Files of the smooth sky of a set of background exposures."""

from pathlib import Path

from astropy.io import fits

from calflow.files.background_files import write_planes
from calflow.science.sky.sky_model import SkyModel


def read_sky(path: Path) -> SkyModel:
    """Read the smooth sky of a set.

    Parameters
    ----------
    path : Path
    """
    with fits.open(path, memmap=False) as hdus:
        return SkyModel(hdus["SCI"].data, hdus["ERR"].data, hdus["DQ"].data, hdus[0].header["SKYLEVEL"])


def write_sky(sky: SkyModel, members: int, path: Path) -> None:
    """Write the smooth sky of a set of so many members.

    Parameters
    ----------
    sky : SkyModel
        Planes of shape (ny, nx).
    members : int
        How many exposures it comes from.
    path : Path
    """
    write_planes(
        {"SCI": sky.sky, "DQ": sky.dq, "ERR": sky.err}, members, path, SKYLEVEL=(sky.level, "Level of the sky")
    )
