"""What is thought of the numbers of an association: a list of checks, each with its rule in words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from calflow.quality.associations import Measured, MeasuredExposure
from calflow.science.quality.judgement import FINE, LOOK, WRONG, Judgement, judge, judge_ratio, worst
from calflow.science.quality.rays_left import SIGMAS
from calflow.science.quality.thresholds import Thresholds

# With fewer stars a median offset is that of chance.
LEAST_STARS = 3
# Of fewer exposures it is not known which is the odd one.
LEAST_EXPOSURES = 3
# So many errors of a step in sky level are not taken for a step.
SURE = 3.0
FAILED, COMPLETE = "FAILED", "COMPLETE"


@dataclass(frozen=True)
class Check:
    """What is thought of a number.

    Attributes
    ----------
    name : str
        Of what was looked at.
    judgement : {"fine", "look", "wrong"}
    found : str
        The number, in words.
    rule : str
        Why it is thought so, in words.
    value : float or None
        The worst number; None: not known.
    unit : str
    exposures : mapping of str to str
        The exposures that are not fine, and what was found of each.
    """

    name: str
    judgement: Judgement
    found: str
    rule: str
    value: float | None = None
    unit: str = ""
    exposures: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class _Of:
    """A number of an exposure, and what is thought of it."""

    exposure: str
    judgement: Judgement
    value: float | None
    found: str


def checks_of(measured: Measured, status: Mapping[str, str], limits: Thresholds, variance: str) -> list[Check]:
    """Return what is thought of an association, in the order in which a person asks.

    Parameters
    ----------
    measured : Measured
    status : mapping of step to str
        The steps that do not run.
    limits : Thresholds
    variance : {'resampled', 'propagated'}
        How the errors of the image were made.
    """
    exposures = measured.exposures
    found = [
        _alignment(exposures, limits),
        _star_offsets(exposures, limits),
        _used(exposures),
        _steps(exposures, limits),
        _outliers(exposures, limits),
        _on_sources(exposures, limits),
        _rays_left(exposures, limits),
        _unusable(exposures, limits),
        _noise(exposures, limits),
        _errors(measured, limits, variance),
        _depth(measured),
        _completeness(measured, limits),
        _sources(measured, status),
    ]
    return [check for check in found if check is not None]


def _alignment(exposures: Iterable[MeasuredExposure], limits: Thresholds) -> Check | None:
    def of(one: MeasuredExposure) -> _Of | None:
        row = one.row
        if row.status == FAILED:
            return _Of(row.exposure, WRONG, None, f"not aligned: {row.reason}")
        if row.status != COMPLETE or not np.isfinite(row.rms):
            return None  # skipped, or the reference
        pixels = row.rms / one.pixel
        judgement = judge(pixels, limits.rms_look, limits.rms_wrong)
        if row.matches < limits.matches_look:
            judgement = worst((judgement, LOOK))
        return _Of(row.exposure, judgement, 1000 * row.rms, f"{row.matches} stars, rms {1000 * row.rms:.3g} mas")

    rule = (
        f"wrong: not aligned, or rms of the residuals above {limits.rms_wrong:g} pixels; "
        f"look: above {limits.rms_look:g} pixels, or fewer than {limits.matches_look} stars"
    )
    return _joint("alignment", exposures, of, rule, "mas", "largest rms of the residuals {:.3g} mas")


def _star_offsets(exposures: Iterable[MeasuredExposure], limits: Thresholds) -> Check | None:
    exposures = list(exposures)

    def of(one: MeasuredExposure) -> _Of | None:
        if not any(len(other.residuals) for other in exposures):
            return None  # no star lists, or nothing overlaps
        number = len(one.residuals)
        if number < LEAST_STARS:
            return _Of(one.row.exposure, LOOK, None, f"only {number} stars that another exposure has, too")
        pixels = star_offset(one) / one.pixel
        judgement = judge(pixels, limits.offset_look, limits.offset_wrong)
        return _Of(one.row.exposure, judgement, pixels, f"{pixels:.3g} pixels by {number} stars")

    rule = (
        "the median displacement of an exposure's stars from where the others have them: "
        f"look above {limits.offset_look:g} pixels, wrong above {limits.offset_wrong:g}"
    )
    return _joint("star positions", exposures, of, rule, "pixel", "largest offset between exposures {:.2g} pixels")


def star_offset(one: MeasuredExposure) -> float:
    """Return by how much the stars of an exposure are displaced, arcsec: the length of the median.

    Parameters
    ----------
    one : MeasuredExposure
        With stars that others have, too.
    """
    return float(np.hypot(*np.median(one.residuals, axis=0)))


def _used(exposures: Iterable[MeasuredExposure]) -> Check:
    rows = [one.row for one in exposures]
    left = {row.exposure: row.reason or "left out" for row in rows if not row.used}
    return Check(
        "exposures",
        LOOK if left else FINE,
        f"{len(rows) - len(left)} of {len(rows)} combined",
        "look: an exposure is left out",
        float(len(left)),
        "",
        left,
    )


def _steps(exposures: Iterable[MeasuredExposure], limits: Thresholds) -> Check | None:
    def of(one: MeasuredExposure) -> _Of | None:
        # Not that of the image, which is the smaller the more exposures there are, though their steps are the same.
        noise = (one.own["error"] or 0.0) * (one.own["noise_over_error"] or 1.0)
        if one.step is None or not one.step.cells or not noise > 0:
            return None
        error = one.step.error if np.isfinite(one.step.error) else 0.0
        height = max(abs(one.step.height) - SURE * error, 0.0) / noise
        judgement = judge(height, limits.seam_look, limits.seam_wrong)
        found = (
            f"{one.step.height:+.3g} +- {error:.1g} {one.own['unit']}, at least {height:.2g} of the noise of a pixel"
        )
        return _Of(one.row.exposure, judgement, height, found)

    rule = (
        f"the sky of an exposure against that of those that overlap with it, less {SURE:g} errors, in units of the "
        f"noise of a pixel of the exposure: look above {limits.seam_look:g}, wrong above {limits.seam_wrong:g}"
    )
    return _joint("seams", exposures, of, rule, "noise", "largest step in sky level {:.2g} of the noise of a pixel")


def _outliers(exposures: Iterable[MeasuredExposure], limits: Thresholds) -> Check | None:
    def of(one: MeasuredExposure) -> _Of | None:
        row, exposure = one.outliers, one.row.exposure
        if not row or row["status"] == "SKIPPED":
            return None
        if row["status"] == FAILED:
            return _Of(exposure, WRONG, None, "there is no other group to compare it with")
        judgement = judge(row["fraction"], limits.outliers_look, limits.outliers_wrong)
        return _Of(exposure, judgement, 100 * row["fraction"], f"{100 * row['fraction']:.2g} % flagged")

    rule = (
        f"look: above {100 * limits.outliers_look:g} % of the pixels of an exposure are flagged; "
        f"wrong: above {100 * limits.outliers_wrong:g} %, or the search failed"
    )
    return _joint("outliers", exposures, of, rule, "%", "{:.2g} % of the pixels of an exposure flagged at the most")


def _on_sources(exposures: Iterable[MeasuredExposure], limits: Thresholds) -> Check | None:
    def of(one: MeasuredExposure) -> _Of | None:
        ratio, fraction = one.on_sources, one.outliers.get("fraction")
        if not np.isfinite(ratio) or fraction is None:
            return None  # few are flagged, or there are no sources
        more = max(ratio - 1.0, 0.0) * fraction
        judgement = judge(more, limits.on_sources_look, limits.on_sources_wrong)
        found = f"{100 * ratio * fraction:.2g} % of the pixels of sources, {100 * fraction:.2g} % of all"
        return _Of(one.row.exposure, judgement, 100 * more, found)

    rule = (
        "the part of the pixels of sources that is flagged as outliers, less that of all pixels, about 0 for cosmic "
        f"rays: look above {100 * limits.on_sources_look:g} %, wrong above {100 * limits.on_sources_wrong:g} %"
    )
    words = "{:.2g} % more of the pixels of sources are flagged than of all, at the most"
    return _joint("outliers on sources", exposures, of, rule, "%", words)


def _rays_left(exposures: Iterable[MeasuredExposure], limits: Thresholds) -> Check | None:
    def of(one: MeasuredExposure) -> _Of | None:
        if not np.isfinite(one.rays_left):
            return None  # no combined image, or one full of sources
        judgement = judge(one.rays_left, limits.rays_look, limits.rays_wrong)
        return _Of(one.row.exposure, judgement, 100 * one.rays_left, f"{100 * one.rays_left:.2g} % of its pixels")

    rule = (
        f"pixels {SIGMAS:g} sigma brighter than in the other exposures, beyond what sources explain, and not "
        f"flagged: look above {100 * limits.rays_look:g} %, wrong above {100 * limits.rays_wrong:g} %"
    )
    words = "{:.2g} % of the pixels of an exposure are rays that are not flagged, at the most"
    return _joint("cosmic rays left", exposures, of, rule, "%", words)


def _unusable(exposures: Iterable[MeasuredExposure], limits: Thresholds) -> Check | None:
    def of(one: MeasuredExposure) -> _Of:
        fraction = one.own["unusable"] / one.own["pixels"] if one.own["pixels"] else None
        judgement = judge(fraction, limits.unusable_look, limits.unusable_wrong)
        percent = None if fraction is None else 100 * fraction
        return _Of(one.row.exposure, judgement, percent, f"{100 * (fraction or 0):.2g} % cannot be used")

    rule = (
        f"look: above {100 * limits.unusable_look:g} % of the science pixels of an exposure are flagged DO_NOT_USE or "
        f"have no value; wrong: above {100 * limits.unusable_wrong:g} %"
    )
    return _joint("bad pixels", exposures, of, rule, "%", "{:.2g} % of an exposure cannot be used at the most")


def _noise(exposures: Sequence[MeasuredExposure], limits: Thresholds) -> Check | None:
    known = [ratio for one in exposures if (ratio := one.own["noise_over_error"])]
    usual = float(np.median(known)) if len(known) >= LEAST_EXPOSURES else None

    def of(one: MeasuredExposure) -> _Of:
        ratio = one.own["noise_over_error"]
        # A background that is the average of few exposures adds noise to all exposures that ERR does not have.
        values = (ratio, ratio / usual) if ratio and usual else (ratio,)
        judged = [judge_ratio(value, limits.noise_look, limits.noise_wrong) for value in values]
        return _Of(one.row.exposure, worst(judged), ratio, f"{ratio:.3g}" if ratio else "cannot be told")

    rule = (
        "the scatter between neighbouring pixels of an exposure, where the sky is quiet, over its ERR, which should be "
        f"1, and that of the other exposures: look if they differ by a factor above {limits.noise_look:g}, wrong "
        f"above {limits.noise_wrong:g}"
    )
    name, words = "noise of exposures", "scatter over ERR {:.3g} where it differs most from 1"
    return _joint(name, exposures, of, rule, "", words, lambda value: abs(np.log(value)) if value > 0 else np.inf)


def _errors(measured: Measured, limits: Thresholds, variance: str) -> Check | None:
    image = measured.image
    if image is None:
        return None
    name = "errors of the image"
    if image.depth is None:
        return Check(name, LOOK, "there are too few empty places to tell", "look: it cannot be told")
    propagated = variance == "propagated"
    ratio = image.depth.pixel_ratio if propagated else image.depth.aperture_ratio
    what = "pixels" if propagated else f"apertures of {image.depth.wide_pixels} pixels"
    judgement = judge_ratio(ratio, limits.noise_look, limits.noise_wrong)
    found = f"scatter over ERR {ratio:.3g}, in {image.depth.apertures} empty {what}"
    if judgement != FINE and ratio > 1 and image.depth.fine_ratio <= limits.noise_wrong:
        judgement = LOOK
        found += (
            f"; between neighbouring pixels {image.depth.fine_ratio:.2g}, so it may be a nebula, faint sources, "
            "stripes or the noise of a background, of which ERR knows nothing"
        )
    return Check(
        name,
        judgement,
        found,
        f"the scatter of empty {what} over what ERR says, which should be 1: look if they differ by a factor above "
        f"{limits.noise_look:g}; wrong above {limits.noise_wrong:g}, if neighbouring pixels scatter so, too, or ERR is "
        "too large",
        ratio,
    )


def _depth(measured: Measured) -> Check | None:
    image = measured.image
    if image is None or image.depth is None or not np.isfinite(image.limit):
        return None
    arcsec = image.radius * image.pixel
    radius = f"{arcsec:.2g} arcsec" if np.isfinite(arcsec) else f"{image.radius:.2g} pixels"
    found = f"5 sigma at {image.limit:.2f} AB mag, of a point source in apertures of {radius} radius"
    return Check("depth", FINE, found, "the scatter of empty apertures; told, not judged", image.limit, "AB mag")


def _completeness(measured: Measured, limits: Thresholds) -> Check | None:
    completeness = measured.completeness
    if completeness is None:
        return None
    name, rule = "completeness", "of artificial sources in the image; told, not judged"
    if completeness["status"] == FAILED:
        return Check(name, LOOK, f"not measured: {completeness['reason']}", "look: it cannot be told")
    points = completeness["kinds"][0]
    depth = measured.image.limit if measured.image else np.nan
    judgement = FINE
    if limits.completeness_look is not None and np.isfinite(depth):
        limit = points["limit_80_abmag"]
        judgement = LOOK if limit is None or depth - limit > limits.completeness_look else FINE
        rule = (
            "of artificial sources in the image: look if 80 % of the point sources are found at no magnitude, or only "
            f"at one that is brighter than the depth by more than {limits.completeness_look:g}"
        )
    told = [f"{_limits_of(kind)}, {kind['name']}" for kind in completeness["kinds"]]
    return Check(name, judgement, "; ".join(told), rule, points["limit_50_abmag"], "AB mag")


def _limits_of(kind: Mapping[str, Any]) -> str:
    """Return in words at which magnitudes sources of a kind are found."""
    told = [
        f"{part} % found at {limit:.2f} +- {kind[f'limit_{part}_error']:.2f}"
        for part in (50, 80)
        if (limit := kind[f"limit_{part}_abmag"]) is not None
    ]
    return ", ".join(told) + " AB mag" if told else f"{kind['found']} of {kind['injected']} found, no limit seen"


def _sources(measured: Measured, status: Mapping[str, str]) -> Check | None:
    catalog = measured.catalog
    if catalog is None:
        return None
    if catalog.status == FAILED or status.get("source_catalog") == FAILED:
        judgement, found = WRONG, "the catalogue failed"
    elif not catalog.sources:
        judgement, found = LOOK, "no sources"
    else:
        judgement, found = FINE, f"{catalog.sources} sources, {catalog.extended} of them extended"
    return Check("catalogue", judgement, found, "wrong: it failed; look: no sources", float(catalog.sources))


def _joint(
    name: str,
    exposures: Iterable[MeasuredExposure],
    of: Callable[[MeasuredExposure], _Of | None],
    rule: str,
    unit: str,
    words: str,
    badness: Callable[[float], float] = float,
) -> Check | None:
    """Return one check of all exposures: the worst of them counts."""
    found = [one for one in map(of, exposures) if one is not None]
    if not found:
        return None
    known = [one.value for one in found if one.value is not None and np.isfinite(one.value)]
    most = max(known, key=badness, default=None)
    odd = {one.exposure: one.found for one in found if one.judgement != FINE}
    told = words.format(most) if most is not None else "nothing is known"
    if odd:
        told += f"; {len(odd)} of {len(found)} exposures are not fine"
    return Check(name, worst(one.judgement for one in found), told, rule, most, unit, odd)
