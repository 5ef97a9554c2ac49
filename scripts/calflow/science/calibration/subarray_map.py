"""Concurrent subarrays: pixels of a full frame that subarrays read at the same time.

A full frame has no values of its own in such pixels. Its map says which ones they are: an array of
its shape with the id of the subarray of each pixel, 0 where there is none. The subarrays are
rectangles that do not overlap. They come as exposures of their own, which `merge_subarrays` puts
where they belong once all are calibrated.

Source: the Liger/IRIS imager pipeline's steps parse_subarray_map and merge_subarrays. Not kept: that
ids behind a gap are not looked for, that the extent of a region which is no rectangle is a guess,
and that a subarray is known by its place in a list, not by its id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from calflow.science.dq_flags import CONCURRENT_SUBARRAY, DO_NOT_USE
from calflow.science.image import Image
from calflow.science.windows import Window


@dataclass(frozen=True)
class Subarray:
    """Where a subarray lies in a full frame.

    Attributes
    ----------
    id : int
        Its value in the map, 1 or more.
    xstart, ystart : int
        Its first column and row, 1-based.
    xsize, ysize : int
        Its columns and rows.
    """

    id: int
    xstart: int
    ystart: int
    xsize: int
    ysize: int

    @property
    def window(self) -> Window:
        """The pixels of the subarray."""
        return Window(self.xstart, self.ystart, self.xsize, self.ysize)


def parse_subarray_map(ids: np.ndarray) -> list[Subarray]:
    """List the subarrays of a map.

    Parameters
    ----------
    ids : integer array, shape (ny, nx)
        The id of the subarray that each pixel belongs to, 0: none.

    Returns
    -------
    list of Subarray
        In the order of their ids, which need not follow each other. Empty if the map is all 0.

    Raises
    ------
    ValueError
        If the map is no 2-D array of integers, an id is negative, or the pixels of an id are not
        all those of a rectangle.
    """
    from scipy.ndimage import find_objects

    _check_map(ids)
    boxes = find_objects(ids.astype(np.int32))
    return [_subarray(ids, number, box) for number, box in enumerate(boxes, start=1) if box is not None]


def flag_subarrays(image: Image, ids: np.ndarray) -> Image:
    """Flag the pixels of a full frame that belong to subarrays.

    Parameters
    ----------
    image : Image
        The full frame, 2-D, or 3-D: every integration is flagged.
    ids : integer array, shape (ny, nx)
        The map of its subarrays.

    Returns
    -------
    Image
        New `dq`: CONCURRENT_SUBARRAY where the map is not 0, and DO_NOT_USE where SCI is NaN
        there too. Other flags are kept; the other planes are the arrays of `image`.

    Raises
    ------
    ValueError
        If the map has not the shape of one integration.
    """
    _check_fits(image, ids)
    inside = ids != 0
    dq = image.dq.astype(np.uint32)
    dq[..., inside] |= CONCURRENT_SUBARRAY
    dq[inside & np.isnan(image.sci)] |= DO_NOT_USE
    return replace(image, dq=dq)


def merge_subarrays(full: Image, ids: np.ndarray, members: Mapping[int, Image]) -> Image:
    """Put subarrays in their places in the full frame.

    Parameters
    ----------
    full : Image
        The full frame, 2-D, or 3-D like the subarrays.
    ids : integer array, shape (ny, nx)
        The map of its subarrays.
    members : mapping of id to Image
        The subarrays of the map, every one, in the unit of the full frame.

    Returns
    -------
    Image
        With new arrays. In each subarray all planes, flags too, are those of the member, so that
        CONCURRENT_SUBARRAY marks no pixel any more; elsewhere those of `full`.

    Raises
    ------
    ValueError
        If the ids of the map and those of the members are not the same, a member has not the
        shape or not the planes that its place needs, or the map is none (`parse_subarray_map`).
    """
    _check_fits(full, ids)
    subarrays = parse_subarray_map(ids)
    _check_ids({subarray.id for subarray in subarrays}, set(members))
    planes = {name: plane.copy() for name, plane in full.planes().items()}
    ny, nx = ids.shape
    for subarray in subarrays:
        place = Window(1, 1, nx, ny).slices(subarray.window)
        member = members[subarray.id].planes()
        _check_member(subarray.id, member, planes, planes["sci"][..., *place].shape)
        for name, plane in planes.items():
            plane[..., *place] = member[name]
    return Image(**planes)


def _subarray(ids: np.ndarray, number: int, box: tuple[slice, slice]) -> Subarray:
    rows, columns = box
    subarray = Subarray(number, columns.start + 1, rows.start + 1, columns.stop - columns.start, rows.stop - rows.start)
    others = int(np.count_nonzero(ids[box] != number))
    if others:
        raise ValueError(
            f"subarray {number} of the map is no rectangle: {others} pixels of {subarray.window} are not of it"
        )
    return subarray


def _check_map(ids: np.ndarray) -> None:
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise ValueError(
            f"a subarray map is a 2-D array of integers, not one of shape {ids.shape} and type {ids.dtype}"
        )
    if ids.size and ids.min() < 0:
        raise ValueError(f"the subarray map has the id {ids.min()}; ids are 1 or more, 0 is no subarray")


def _check_fits(image: Image, ids: np.ndarray) -> None:
    if ids.shape != image.sci.shape[-2:]:
        raise ValueError(f"the subarray map has shape {ids.shape}, the exposure {image.sci.shape}")


def _check_ids(in_map: set[int], given: set[int]) -> None:
    if in_map - given:
        raise ValueError(f"no subarray is given for id {_listed(in_map - given)} of the map; given: {_listed(given)}")
    if given - in_map:
        raise ValueError(f"subarray {_listed(given - in_map)} is not in the map, which has {_listed(in_map)}")


def _listed(ids: set[int]) -> str:
    return ", ".join(map(str, sorted(ids))) or "none"


def _check_member(number: int, member: Mapping[str, np.ndarray], full: Mapping[str, np.ndarray], shape) -> None:
    if member["sci"].shape != shape:
        raise ValueError(f"subarray {number} has shape {member['sci'].shape}; its place in the full frame has {shape}")
    if member.keys() != full.keys():
        raise ValueError(f"subarray {number} has the planes {', '.join(member)}, the full frame {', '.join(full)}")
