"""The stars of exposures on the sky: their star lists through their geometries."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from calflow.files.star_lists import StarTable, read_star_list
from calflow.science.geometry.geometry import Geometry
from calflow.science.stars.star_groups import ExposureStars


def read_exposure_stars(
    paths: Iterable[Path], groups: Mapping[str, str], geometries: Mapping[str, Geometry]
) -> list[ExposureStars]:
    """Read the star lists of the exposures of an association.

    Parameters
    ----------
    paths : iterable of Path
        A star list for each exposure, in the order of `groups`.
    groups : mapping
        From the name of an exposure to that of the group that moves with it.
    geometries : mapping
        From the name of an exposure to where its pixels lie.

    Returns
    -------
    list of ExposureStars
        With the stars that lie on the detector. If some lists have weights, those of the others are 1.
    """
    lists = [read_star_list(path) for path in paths]
    weighted = any(stars.weight is not None for stars in lists)
    return [
        _on_sky(name, group, geometries[name], stars, weighted)
        for (name, group), stars in zip(groups.items(), lists, strict=True)
    ]


def _on_sky(name: str, group: str, geometry: Geometry, stars: StarTable, weighted: bool) -> ExposureStars:
    xy, weight = stars.positions, stars.weight
    if weighted and weight is None:
        weight = np.ones(len(xy))
    (xmin, xmax), (ymin, ymax) = geometry.bounds
    inside = (xy > (xmin, ymin)).all(axis=1) & (xy < (xmax, ymax)).all(axis=1)
    return ExposureStars(
        name=name,
        group=group,
        centre=geometry.centre,
        sky=geometry.sky(*xy[inside].T),
        footprint=geometry.footprint(),
        pixel_scale=geometry.pixels.area**0.5,
        weight=None if weight is None else weight[inside],
    )
