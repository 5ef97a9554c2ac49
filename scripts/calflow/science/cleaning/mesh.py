"""The means of blocks of an image, and the smooth image that goes through them."""

from dataclasses import dataclass

import numpy as np

# Values that are worked on at a time: they stay in the cache of the processor.
AT_A_TIME = 2**16
# Columns of which the sums are taken one after the other.
FEW = 8


@dataclass(frozen=True, eq=False)
class Mesh:
    """An image in blocks.

    Attributes
    ----------
    means : float64 array, shape (my, mx)
        Means of the values that count; 0 where none does.
    weights : float64 array, shape (my, mx)
        How many pixels count.
    box : (int, int)
        Size of a block. Those at the end of an axis may be smaller.
    shape : (int, int)
        That of the image.
    """

    means: np.ndarray
    weights: np.ndarray
    box: tuple[int, int]
    shape: tuple[int, ...]

    def image(self, level: np.ndarray | None = None) -> np.ndarray:
        """Return the smooth image through the means, float32; blocks without a value have that of the nearest one.

        Parameters
        ----------
        level : float array, shape (my, mx), or None
            Other values of all blocks instead.
        """
        return smooth_image(self.filled() if level is None else level, self.box, self.shape)

    def filled(self) -> np.ndarray:
        """Return the means; those of blocks without a value are those of the nearest one."""
        return _filled(self.means, self.weights > 0)


def mesh_of(image: np.ndarray, counts: np.ndarray, box: tuple[int, int]) -> Mesh:
    """Return the means of the blocks of an image.

    Parameters
    ----------
    image : float32 array, shape (ny, nx)
        Finite.
    counts : bool array, shape (ny, nx)
        True: the pixel counts.
    box : (int, int)
        Size of a block, pixels; cut to the image.
    """
    box = min(box[0], image.shape[0]), min(box[1], image.shape[1])
    rows, sums = max(1, AT_A_TIME // (box[0] * image.shape[1])) * box[0], []
    for start in range(0, len(image), rows):
        part = counts[start : start + rows].astype(np.float32)
        part *= image[start : start + rows]
        sums.append(_sums_of_rows(part, box[0], np.float32))
    numbers = _sums_of_rows(counts.view(np.uint8), box[0], np.uint8 if box[0] <= np.iinfo(np.uint8).max else np.int32)
    means, numbers = (_sums_of_columns(each, box[1]) for each in (np.concatenate(sums), numbers))
    return Mesh(means / np.maximum(numbers, 1), numbers, box, image.shape)


def smooth_image(level: np.ndarray, box: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """Return an image whose blocks have the values of a mesh, by cubic splines; float32.

    Parameters
    ----------
    level : float array, shape (my, mx)
        Finite.
    box : (int, int)
        Size of a block.
    shape : (int, int)
        That of the image.
    """
    from scipy.ndimage import spline_filter

    lowest, highest = np.float32(level.min()), np.float32(level.max())
    if lowest == highest:
        return np.full(shape, lowest)
    coefficients = spline_filter(level, 3, np.float64, mode="reflect").astype(np.float32)
    columns = _spline_values(np.ascontiguousarray(coefficients.T), box[1], shape[1])
    image = _spline_values(np.ascontiguousarray(columns.T), box[0], shape[0])
    # A cubic spline exceeds the values it goes through.
    return np.clip(image, lowest, highest, out=image)


def _spline_values(coefficients: np.ndarray, size: int, number: int) -> np.ndarray:
    """Return the values of cubic splines along the first axis, `size` between two coefficients.

    The weights are those of a cubic B-spline (Unser 1999, IEEE Signal Processing Magazine 16, 22); beyond the ends the
    coefficients are mirrored.
    """
    padded = np.pad(coefficients, ((2, 2), (0, 0)), mode="symmetric")
    values = np.empty((len(coefficients) * size, coefficients.shape[1]), coefficients.dtype)
    weighted = np.empty_like(coefficients)
    for place in range(size):
        x = (place + 0.5) / size - 0.5
        first = 1 + int(np.floor(x))
        t = x % 1
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        part = values[place::size]
        np.multiply(padded[first : first + len(part)], np.float32(weights[0] / 6), out=part)
        for number_of_weight in (1, 2, 3):
            begin = first + number_of_weight
            part += np.multiply(
                padded[begin : begin + len(part)], np.float32(weights[number_of_weight] / 6), out=weighted
            )
    return values[:number]


def _sums_of_columns(plane: np.ndarray, size: int) -> np.ndarray:
    """Return the sums of each so many columns, float64."""
    if size <= FEW and plane.shape[1] % size == 0:  # `np.add.reduceat` takes three times as long, with the same sums
        first, *others = (plane[:, place::size].astype(np.float64) for place in range(size))
        return first + sum(others[1:], others[0]) if others else first
    return np.add.reduceat(plane, np.arange(0, plane.shape[1], size), axis=1, dtype=np.float64)


def _sums_of_rows(plane: np.ndarray, size: int, kind: type) -> np.ndarray:
    """Return the sums of each so many rows; `np.add.reduceat` goes along the columns, which takes ten times as long."""
    whole = len(plane) // size * size
    sums = plane[:whole].reshape(-1, size, plane.shape[1]).sum(axis=1, dtype=kind)
    if whole == len(plane):
        return sums
    return np.concatenate([sums, plane[whole:].sum(axis=0, dtype=kind)[None]])


def _filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    if known.all() or not known.any():
        return values
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return values[tuple(nearest)]
