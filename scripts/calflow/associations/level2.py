"""The rules of level 2: which exposures are calibrated, and which backgrounds are subtracted from each."""

from collections.abc import Iterable, Sequence

from calflow.associations.association import MadeAssociation, MadeMember
from calflow.associations.rows import Candidate, Row
from calflow.instruments import exposure_kinds as kinds

# What a background has in common with the exposure it is subtracted from. Target, dithers and dates do not count.
_MODE = "program instrume detector fxd_slit channel tsovisit exp_type".split()
# Candidates whose exposures are calibrated, as those of their observations
_NOT_CALIBRATED = ("group", "mosaic")


def calibrations(rows: Sequence[Row], candidate: Candidate) -> list[MadeAssociation]:
    """Return the level-2 associations of the exposures of a candidate, one for each rule that an exposure meets.

    Parameters
    ----------
    rows : sequence of Row
        The exposures of the candidate.
    candidate : Candidate
    """
    if candidate.type in _NOT_CALIBRATED:
        return []
    backgrounds: dict[tuple, list[Row]] = {}
    for row in rows:
        if row.exptype == "background" and _has_mode(row) and (row.is_whole_detector or _counts_window(row)):
            backgrounds.setdefault(_mode(row), []).append(row)
    made = []
    for row in rows:
        own = backgrounds.get(_mode(row), []) if _has_mode(row) else []
        for rule, asn_type, suffix, subtracted in _rules(row, own):
            if candidate.type == "background" and not subtracted:
                continue
            members = [MadeMember(row.member(suffix), "science")]
            # A background has the suffix of its kind of exposure, unless the exposure is calibrated as a whole.
            members += [MadeMember(each.member(_suffix(each, suffix)), "background") for each in subtracted]
            made.append(
                MadeAssociation(
                    asn_type,
                    candidate.id,
                    row["program"],
                    row["targetid"],
                    row.root,
                    tuple(members),
                    f"Asn_Lv2{rule}",
                    row.prefix,
                )
            )
    return made


def _rules(row: Row, backgrounds: Sequence[Row]) -> Iterable[tuple[str, str, str, Sequence[Row]]]:
    """Yield the rules that an exposure meets: name, type, suffix of the exposure, backgrounds.

    In this order the last counts where two make the same of an exposure.
    """
    exp_type = row["exp_type"]
    suffix = _suffix(row, "")
    is_image = exp_type in kinds.IMAGES and row.is_pointed
    is_science = row.is_pointed and row.exptype not in ("background", "imprint")
    is_one_image = is_image and is_science and _has_mode(row) and not row.is_time_series
    if is_one_image and exp_type == "nrc_coron" and row.is_whole_detector and row["pupil"] and row.sees_occulter:
        yield "CoronAsRate", "image2", "rate", backgrounds
    if exp_type in kinds.FINE_GUIDANCE and is_science and not row.is_wavefront_visit:
        yield "FGS", "image2", suffix, ()
    if is_one_image:
        yield "Image", "image2", suffix, backgrounds
    if exp_type in kinds.NO_SCIENCE or row.exptype == "target_acquisition":
        yield "ImageNonScience", "image2", suffix, ()
    if is_image and _has_mode(row) and (row["bkgdtarg"] or row["is_psf"]) and exp_type not in kinds.CUT_FROM_FULL:
        yield "ImageSpecial", "image2", suffix, ()
    if is_image and is_science and _has_mode(row) and row.is_time_series:
        yield "ImageTSO", "tso-image2", suffix, ()
    is_jitter = exp_type == "nrc_image" and row.is_jitter
    if is_image and is_science and row.is_wavefront_visit and not is_jitter:
        yield "WFSC", "image2", suffix, ()


def _suffix(row: Row, science: str) -> str:
    if science == "rate":
        return "rate"
    return "rateints" if row.has_integrations else "rate"


def _mode(row: Row) -> tuple[str, ...]:
    window = row["subarray"] if _counts_window(row) else ""
    return (*(row[column] for column in _MODE), row.filter, row.pupil, window)


def _counts_window(row: Row) -> bool:
    """Tell whether a background must have the subarray of the exposure; else it has the full frame."""
    return row["exp_type"] not in kinds.CUT_FROM_FULL


def _has_mode(row: Row) -> bool:
    """Tell whether the mode of an exposure is known, and is one that is subtracted from."""
    return bool(row["instrume"] and row["detector"] and row.filter) and not row.is_wavefront_visit
