"""Catalogues and star lists before any job: what is in them, and whether it has to do with the exposures."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calflow.configuration.problems import Problem, Problems
from calflow.configuration.settings import Settings
from calflow.inputs.exposure_footprints import REACH, Footprint, extent
from calflow.inputs.fits_headers import HeaderError, read_hdus
from calflow.inputs.header_cache import HeaderCache
from calflow.inputs.times import decimal_year
from calflow.plan.combination import ONLINE_CATALOGS, PlannedAssociation
from calflow.references.parameter_references import settings_for
from calflow.science.geometry.input_pixels import fiducial
from calflow.science.geometry.sky_fields import circles_around
from calflow.science.geometry.sky_rotation import to_cartesian

if TYPE_CHECKING:
    from calflow.files.star_lists import StarTable

ARCSEC_PER_RADIAN = float(np.degrees(1.0)) * 3600.0
# Stars that would have moved less than this (arcsec) since the epoch of their catalogue are not worth a word.
SMALL_MOTION = 1e-3


class CatalogChecker:
    """Looks at the catalogues and star lists of associations; what was found is remembered between runs.

    Parameters
    ----------
    settings : Settings
    cache : HeaderCache
    problems : Problems
    notices : list of str
    """

    def __init__(self, settings: Settings, cache: HeaderCache, problems: Problems, notices: list[str]):
        self.settings = settings
        self.cache = cache
        self.problems = problems
        self.notices = notices
        self._catalogs: dict[Path, StarTable] = {}
        self._broken: set[Path] = set()
        self._told: set[Path] = set()

    def check_catalog(self, association: PlannedAssociation, footprints: Mapping[str, Footprint] | None) -> None:
        """Check the file that an association is aligned to.

        Parameters
        ----------
        association : PlannedAssociation
        footprints : mapping of str to Footprint, or None
            Of its members, by their names; None: not known.
        """
        tweakreg = settings_for(association.parameters, self.settings).stage3.tweakreg
        path = Path(tweakreg.abs_refcat)
        if not tweakreg.abs_refcat or tweakreg.abs_refcat.upper() in ONLINE_CATALOGS or not os.path.isfile(path):
            return  # there is none, or that it is not there is told
        contents = self._remembered(path, "sky catalogue", lambda: _contents(self._catalog(path)))
        if contents is None or not self._check_rows(path, contents):
            return
        self._tell_motion(path, contents, association)
        if footprints is None:
            return
        polygons = [footprint.vertices for footprint in footprints.values()]
        circles = [circles_around(polygon[None]) for polygon in polygons]
        margin = (tweakreg.abs_searchrad + tweakreg.abs_tolerance + REACH) / ARCSEC_PER_RADIAN
        fields = np.array([[*direction, radius + margin] for (direction,), (radius,) in circles])
        kind = "stars in " + hashlib.sha256(np.round(fields, 9).tobytes()).hexdigest()[:16]
        near = self._remembered(path, kind, lambda: {"stars": _number_within(self._catalog(path).positions, fields)})
        if near is None or near["stars"] >= tweakreg.abs_minobj:
            return
        (ra, dec), (width, height) = extent(polygons)
        field = f"{association.name}, {width:.3g} x {height:.3g} arcsec around [{ra:.5f}, {dec:.5f}]"
        if near["stars"] == 0:
            at_ra, at_dec, radius = contents["place"]
            wrong = f"none of its {contents['stars']} positions lies in the field of {field}"
            right = (
                f"they lie within {radius:.3g} degrees of [{at_ra:.5f}, {at_dec:.5f}]; give a catalogue of this field"
            )
            self.problems.add(Problem(str(path), "", wrong, right))
        else:
            self.notices.append(
                f"{path}: {near['stars']} of its positions lie in the field of {field}; "
                f"stage3.tweakreg.abs_minobj is {tweakreg.abs_minobj}, so that the alignment to them will fail"
            )

    def check_star_lists(self, association: PlannedAssociation, shapes: Mapping[str, Sequence[int]]) -> None:
        """Check the star lists that the user gives for members of an association.

        Parameters
        ----------
        association : PlannedAssociation
        shapes : mapping of str to (ny, nx)
            Of its members, by their names.
        """
        for member in association.members:
            path = member.star_list
            if path is None or not os.path.isfile(path):
                continue
            ny, nx = shapes[member.root][-2:]
            contents = self._remembered(path, f"star list {nx} x {ny}", partial(_list_contents, path, (nx, ny)))
            if contents is None or not self._check_rows(path, contents):
                continue
            if contents["inside"] == 0:
                wrong = f"none of its {contents['stars']} positions lies in the {nx} x {ny} pixels of {member.root}"
                self.problems.add(Problem(str(path), "", wrong, "give its pixels, 0 in the middle of the first"))

    # ----------------------------------------------------------------------------------------------------

    def _check_rows(self, path: Path, contents: Mapping[str, Any]) -> bool:
        """Tell a table without a star; return whether it has some."""
        if contents["stars"] or path in self._told:
            return bool(contents["stars"])
        self._told.add(path)
        if contents["rows"]:
            wrong = f"no position in any of its {contents['rows']} rows"
            self.problems.add(Problem(str(path), "", wrong, "give finite numbers"))
        else:
            self.notices.append(f"{path}: has no rows, so that nothing is aligned by it")
        return False

    def _tell_motion(self, path: Path, contents: Mapping[str, Any], association: PlannedAssociation) -> None:
        """Say that proper motions are not applied, if that makes a difference."""
        motion, epoch = contents["motion"], contents["epoch"]
        if not motion or path in self._told:
            return
        observed = decimal_year(str(association.header["DATE-OBS"]))
        years = observed - epoch if epoch else 1.0
        if abs(years) * motion / 1000 < SMALL_MOTION:
            return
        self._told.add(path)
        at = f"of {epoch:g}" if epoch else "of an epoch that is not told"
        self.notices.append(
            f"{path}: its positions, {at}, are taken as they stand; {association.name} was observed in "
            f"{observed:.1f}, and the proper motions (median {motion:.3g} mas a year) are not applied"
        )

    def _catalog(self, path: Path) -> "StarTable":
        from calflow.files.star_lists import read_sky_catalog  # it imports astropy

        if path not in self._catalogs:
            _check_header(path)
            self._catalogs[path] = read_sky_catalog(path)
        return self._catalogs[path]

    def _remembered(self, path: Path, kind: str, look: Callable[[], dict]) -> dict | None:
        """Return the contents of a file, as remembered if it has not changed; None and a problem if that fails."""
        if path in self._broken:
            return None
        try:
            return self.cache.remembered(path, kind, look)
        except (OSError, ValueError, HeaderError) as error:
            self._broken.add(path)
            column, wrong, right = (getattr(error, name, "") for name in ("column", "wrong", "right"))
            self.problems.add(Problem(str(path), column, wrong or str(error), right))
            return None


def _check_header(path: Path) -> None:
    """Refuse a FITS file that has not what its headers promise, before astropy goes by them."""
    with path.open("rb") as file:
        if file.read(6) == b"SIMPLE":
            file.seek(0)
            read_hdus(file, None)


def _contents(catalog: "StarTable") -> dict[str, Any]:
    """Return what is remembered of a catalogue; `place` is a circle around its stars, degrees."""
    place = None
    if len(catalog.positions):
        ra, dec = fiducial(catalog.positions)
        _, (radius,) = circles_around(catalog.positions[None])
        place = [ra, dec, float(np.degrees(radius))]
    return {
        "rows": catalog.rows,
        "stars": len(catalog.positions),
        "epoch": catalog.epoch,
        "motion": catalog.motion,
        "place": place,
    }


def _list_contents(path: Path, size: tuple[int, int]) -> dict[str, int]:
    """Return how many rows of a star list there are, how many are stars, and how many of these lie in the image."""
    from calflow.files.star_lists import read_star_list  # it imports astropy

    _check_header(path)
    stars = read_star_list(path)
    inside = (stars.positions > -0.5) & (stars.positions < np.array(size) - 0.5)
    return {"rows": stars.rows, "stars": len(stars.positions), "inside": int(inside.all(axis=1).sum())}


def _number_within(positions: np.ndarray, fields: np.ndarray) -> int:
    """Return how many sky positions lie in any of some circles, shape (m, 4): unit vector of the centre, radius."""
    directions, middle = to_cartesian(positions), fields[:, :3].mean(axis=0)
    reach = (np.linalg.norm(fields[:, :3] - middle, axis=-1) + fields[:, 3]).max()
    directions = directions[np.linalg.norm(directions - middle, axis=-1) <= reach]
    near = np.zeros(len(directions), bool)
    for *centre, radius in fields:
        near |= np.linalg.norm(directions - centre, axis=-1) <= radius
    return int(near.sum())
