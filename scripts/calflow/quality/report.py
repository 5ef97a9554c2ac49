"""The quality of an association as its JSON file has it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from calflow.quality.associations import Measured, MeasuredExposure, MeasuredImage
from calflow.quality.catalogs import MeasuredCatalog
from calflow.quality.checks import checks_of, star_offset
from calflow.quality.numbers import plain
from calflow.science.quality.judgement import worst
from calflow.science.quality.thresholds import Thresholds

# Points of a figure: of more, evenly chosen ones stand for all.
POINTS = 2000
MAGNITUDE_BIN = 0.5


def report(
    association: str, measured: Measured, status: Mapping[str, str], limits: Thresholds, variance: str
) -> dict[str, Any]:
    """Return what was found and what is thought of it, as JSON can hold it.

    Parameters
    ----------
    association : str
    measured : Measured
    status : mapping of step to str
        The steps that do not run.
    limits : Thresholds
    variance : {'resampled', 'propagated'}
        How the errors of the image were made.
    """
    checks = checks_of(measured, status, limits, variance)
    return plain(
        {
            "association": association,
            "judgement": worst(check.judgement for check in checks),
            "checks": [check.as_json() for check in checks],
            "skipped": dict(status),
            "image": measured.image and _image(measured.image),
            "catalog": measured.catalog and _catalog(measured.catalog),
            "completeness": measured.completeness,
            "exposures": [_exposure(one) for one in measured.exposures],
        }
    )


def _image(image: MeasuredImage) -> dict[str, Any]:
    depth, area = image.depth, image.pixel**2 / 3600
    covered = sum(image.exposures[1:])
    return {
        "header": dict(image.header),
        "shape": list(image.shape),
        "unit": image.unit,
        "pixel_arcsec": image.pixel,
        "area_arcmin2": covered * area if image.exposures else None,
        "area_by_exposures_arcmin2": [number * area for number in image.exposures[1:]],
        "noise": image.noise,
        "depth": depth
        and {
            "apertures": depth.apertures,
            "radius_pixels": image.radius,
            "radius_arcsec": image.radius * image.pixel,
            "aperture_correction": image.correction,
            "sigma": depth.sigma,
            "wide_pixels": depth.wide_pixels,
            "scatter_over_error": depth.aperture_ratio,
            "scatter_over_error_of_pixels": depth.pixel_ratio,
            "scatter_over_error_of_neighbours": depth.fine_ratio,
            "limit_5_sigma_abmag": image.limit,
        },
    }


def _catalog(catalog: MeasuredCatalog) -> dict[str, Any]:
    known = catalog.magnitude[np.isfinite(catalog.magnitude)]
    low = np.floor(known.min() / MAGNITUDE_BIN) * MAGNITUDE_BIN if len(known) else 0.0
    high = np.floor(known.max() / MAGNITUDE_BIN) * MAGNITUDE_BIN + MAGNITUDE_BIN if len(known) else 0.0
    edges = np.arange(low, high + MAGNITUDE_BIN / 2, MAGNITUDE_BIN)
    some = _some(len(catalog.magnitude))
    return {
        "status": catalog.status,
        "sources": catalog.sources,
        "extended": catalog.extended,
        "signal_to_noise": catalog.signal,
        "versions": dict(catalog.versions),
        "columns": list(catalog.names),
        "magnitudes": {"edges": edges, "counts": np.histogram(known, edges)[0] if len(known) else []},
        "magnitude": catalog.magnitude[some],
        "concentration": catalog.concentration[some],
        "is_extended": catalog.is_extended[some],
    }


def _exposure(one: MeasuredExposure) -> dict[str, Any]:
    row, own, stars = one.row, one.own, len(one.residuals)
    some = _some(stars)
    return {
        "exposure": row.exposure,
        "group": row.group,
        "header": own["header"],
        "steps": own["steps"],
        "references": own["references"],
        "context": own["context"],
        "used": row.used,
        "alignment": {
            "status": row.status,
            "reason": row.reason,
            "reference": row.reference,
            "stars": row.stars,
            "matches": row.matches,
            "rms_mas": 1000 * row.rms,
            "rms_pixels": row.rms / one.pixel,
            "shift_east_mas": 1000 * row.shift[0],
            "shift_north_mas": 1000 * row.shift[1],
            "rotation_deg": row.rotation,
            "scale": row.scale,
        },
        "star_positions": {
            "shared": stars,
            "offset_mas": 1000 * star_offset(one) if stars else None,
            "place_arcsec": one.places[some],
            "residual_mas": 1000 * one.residuals[some],
        },
        "footprint_deg": row.footprint,
        "sky": {
            "status": one.sky.get("status", ""),
            "level": one.sky.get("level"),
            "step": one.step and one.step.height,
            "step_error": one.step and one.step.error,
            "cells": one.step and one.step.cells,
        },
        "outliers": {name: one.outliers.get(name) for name in ("status", "flagged", "fraction")}
        | {"on_sources": one.on_sources, "rays_left": one.rays_left},
        "pixels": {name: own[name] for name in ("pixels", "unusable", "flags")},
        "noise": {name: own[name] for name in ("unit", "level", "noise", "error", "noise_over_error")},
    }


def _some(number: int) -> np.ndarray:
    """Return which of so many points a figure shows."""
    return np.arange(number) if number <= POINTS else np.linspace(0, number - 1, POINTS).astype(int)
