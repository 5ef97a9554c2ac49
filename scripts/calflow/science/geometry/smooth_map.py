"""Smooth maps of the plane, approximated by Chebyshev polynomials.

A world coordinate system is slow to evaluate for every pixel (seconds for 2048 x 2048), and smooth: its values at
some hundred points tell the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

# Terms per axis that are tried in turn. Distortions are polynomials of degree 5 or so, and the projections around
# them converge fast over a field of some arcminutes.
TERMS = (8, 12, 16, 24, 32, 48)
# Rows of a grid at a time: products that stay in the cache of the processor are written from there.
BAND_ROWS = 64


class NotSmooth(ValueError):
    """A map has no accurate approximation."""


@dataclass(frozen=True)
class SmoothMap:
    """A map from a rectangle to the plane.

    Attributes
    ----------
    x_range, y_range : (low, high)
        The rectangle. Outside of it the map is worth nothing.
    coefficients : float64 array, shape (n, n, 2)
        Of the Chebyshev polynomials in y (first axis) and x, for both coordinates.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    coefficients: np.ndarray

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the values at points, shape (..., 2)."""
        u, v = _to_unit(x, self.x_range), _to_unit(y, self.y_range)
        return np.moveaxis(chebyshev.chebval2d(v, u, self.coefficients), 0, -1)

    def on_grid(self, x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the values at all points of a rectangular grid, shape (len(y), len(x), 2).

        Parameters
        ----------
        x : float array, shape (nx,)
        y : float array, shape (ny,)
            The coordinates of the columns and rows.
        out : float64 array, shape (ny, nx, 2), or None
            Where the values are written. None: a new array.
        """
        n = len(self.coefficients)
        columns = chebyshev.chebvander(_to_unit(x, self.x_range), n - 1).T
        rows = chebyshev.chebvander(_to_unit(y, self.y_range), n - 1)
        if out is None:
            out = np.empty((len(y), len(x), 2))
        for axis in (0, 1):
            in_x = rows @ self.coefficients[..., axis]
            for start in range(0, len(out), BAND_ROWS):
                band = slice(start, start + BAND_ROWS)
                out[band, :, axis] = in_x[band] @ columns
        return out


def smooth_map(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    max_error: float,
) -> SmoothMap:
    """Approximate a map.

    Parameters
    ----------
    function : callable
        Takes x and y, returns their images, shape (..., 2).
    x_range, y_range : (low, high)
        Where the map is wanted.
    max_error : float
        Largest deviation allowed, in the unit of the images, at points between those the
        approximation goes through.

    Raises
    ------
    NotSmooth
        If the highest degree is not accurate enough, or the map has no value somewhere.
    """
    error = np.inf
    for n in TERMS:
        t = np.cos(np.pi * (np.arange(n) + 0.5) / n)
        values = _on_unit_grid(function, t, x_range, y_range)
        if not np.isfinite(values).all():
            raise NotSmooth("the map has no value at some points of its domain")
        to_coefficients = np.linalg.inv(chebyshev.chebvander(t, n - 1))
        coefficients = np.einsum("ij,jkc,lk->ilc", to_coefficients, values, to_coefficients)
        approximation = SmoothMap(x_range, y_range, coefficients)
        between = np.cos(np.pi * np.arange(n + 1) / n)
        x, y = _from_unit(between, x_range), _from_unit(between, y_range)
        error = np.abs(approximation.on_grid(x, y) - _on_unit_grid(function, between, x_range, y_range)).max()
        if error <= max_error:
            return approximation
    raise NotSmooth(f"{TERMS[-1]} terms per axis approximate the map to {error:.2g} only, not to {max_error:.2g}")


def _on_unit_grid(function, t, x_range, y_range):
    return function(*np.meshgrid(_from_unit(t, x_range), _from_unit(t, y_range)))


def _to_unit(values, interval):
    low, high = interval
    return (2 * np.asarray(values, float) - (low + high)) / (high - low)


def _from_unit(t, interval):
    low, high = interval
    return (low + high + t * (high - low)) / 2
