"""The rules of level 3: which calibrated exposures are combined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calflow.associations.association import MadeAssociation, MadeMember, combined_name, number
from calflow.associations.rows import Candidate, Row
from calflow.instruments import exposure_kinds as kinds

_NO_TARGET = "t000"
# Candidates that link observations: what lies within one of them is combined as that observation.
_LINKS = ("background", "group", "mosaic")


def _always(candidate: Candidate) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """A rule of level 3: exposures that agree in what its key says make one association.

    Attributes
    ----------
    name, asn_type : str
    takes : callable
        From a row to the type of the member that it is, or "" if it is none.
    key : sequence of str
        Columns in which the members agree, beside those of every rule.
    suffix : str
    ending : str
        Of the product's name.
    of : callable
        From a candidate to whether the rule applies to its exposures.
    members : int
        How many there must be, acquisitions among them.
    any_reference : bool
        PSF references are members whatever their target, and there must be one.
    """

    name: str
    asn_type: str
    takes: Callable[[Row], str]
    key: Sequence[str] = ("targetid",)
    suffix: str = "cal"
    ending: str = ""
    of: Callable[[Candidate], bool] = _always
    members: int = 1
    any_reference: bool = False


def _is_imaging(row: Row) -> bool:
    return row["exp_type"] in kinds.IMAGING and row.is_pointed and not row.is_time_series


def _image(row: Row) -> str:
    if not _is_imaging(row) or row.is_background or "wfsc" in row["visitype"]:
        return ""
    return row.exptype if row.exptype in ("science", "psf") else ""


def _background(row: Row) -> str:
    # The sky of Liger and IRIS may come with its dark subtracted already: it is a background and nothing else.
    fits = _is_imaging(row) and row.is_background and row["exp_type"] not in kinds.CUT_FROM_FULL
    return "science" if fits and "wfsc" not in row["visitype"] else ""


def _coronagraphic_image(row: Row) -> str:
    fits = row["exp_type"] == "nrc_coron" and row.is_pointed and row["channel"] == "short" and row.is_whole_detector
    return "science" if fits and not row.is_background and row["is_psf"] != "t" else ""


def _coronagraphic(row: Row) -> str:
    exp_type = row["exp_type"]
    if exp_type not in kinds.CORONAGRAPHIC or not row.is_pointed or row.is_background:
        return ""
    if exp_type == "nrc_coron" and not (row["pupil"] and row.sees_occulter):
        return ""
    return row.exptype if row.exptype in ("science", "psf") else ""


def _time_series(row: Row) -> str:
    if not row.is_time_series or row["exp_type"] not in kinds.IMAGES or row.is_background:
        return ""
    return "science" if row.exptype == "science" else ""


def _wavefront(row: Row) -> str:
    fits = row["exp_type"] in kinds.IMAGING and row.is_pointed and row["patttype"] == "wfsc" and not row.is_jitter
    return row.exptype if fits else ""


# In this order the last counts where two make the same association.
RULES = (
    Rule("Image", "image3", _image, ("targetid", "visitype")),
    Rule("ImageBackground", "image3", _background, ("targetid", "visitype")),
    Rule("ImageMosaic", "image3", _image, ("visitype",), of=lambda candidate: candidate.type == "mosaic"),
    Rule("Coron", "coron3", _coronagraphic, suffix="calints", any_reference=True),
    Rule("NRCCoronImage", "image3", _coronagraphic_image, ending="-image3"),
    Rule("TSO", "tso3", _time_series, suffix="calints", of=lambda candidate: candidate.type == "observation"),
    Rule(
        "WFSCMB",
        "wfs-image3",
        _wavefront,
        ("targetid", "detector", "obs_id", "act_id"),
        of=lambda candidate: candidate.type != "group",
        members=2,
    ),
)


def combinations(rows: Sequence[Row], candidate: Candidate) -> list[MadeAssociation]:
    """Return the level-3 associations of the exposures of a candidate.

    Parameters
    ----------
    rows : sequence of Row
        The exposures of the candidate.
    candidate : Candidate
    """
    made: list[MadeAssociation] = []
    for rule in RULES:
        if rule.of(candidate):
            made += _by(rule, rows, candidate)
    return made


def _by(rule: Rule, rows: Sequence[Row], candidate: Candidate) -> list[MadeAssociation]:
    groups: dict[tuple[str, ...], list[tuple[Row, str]]] = {}
    references: dict[tuple[str, ...], list[tuple[Row, str]]] = {}
    for row in rows:
        exptype = rule.takes(row)
        if not exptype or not row["subarray"] or ("targetid" in rule.key and not row["targetid"]):
            continue
        whose = references if rule.any_reference and exptype == "psf" else groups
        key = _mode(row) if whose is references else (*_mode(row), *(row[column] for column in rule.key))
        whose.setdefault(key, []).append((row, exptype))
    acquisitions = [row for row in rows if row.exptype == "target_acquisition"]
    made = []
    for key, found in groups.items():
        psfs = references.get(key[: len(_mode(found[0][0]))], [])
        if rule.any_reference and not psfs:
            continue
        if association := _association(rule, found + psfs, acquisitions, candidate):
            made.append(association)
    return made


def _association(
    rule: Rule, found: Sequence[tuple[Row, str]], acquisitions: Sequence[Row], candidate: Candidate
) -> MadeAssociation | None:
    first = found[0][0]
    observations = {row["obs_num"] for row, _ in found}
    if "science" not in (exptype for _, exptype in found):
        return None
    if candidate.type in _LINKS and len(observations) < 2:
        return None
    members = [MadeMember(row.member("calints" if row.is_time_series else rule.suffix), kind) for row, kind in found]
    for row in acquisitions:
        same = row["program"] == first["program"] and row["instrume"] == first["instrume"]
        if same and row["obs_num"] in observations:
            members.append(MadeMember(row.member("cal"), "target_acquisition"))
    if len(members) < rule.members:
        return None
    target = f"t{number(first['targetid'], 3)}" if "targetid" in rule.key else _NO_TARGET
    ending = rule.ending
    if rule.asn_type == "wfs-image3":  # the archive's names have the braces
        ending = f"-{first['detector']}_{{suffix}}-{number(first['act_id'], 2)}"
    product = combined_name(candidate.id, first, target, ending)
    made_by = f"Asn_Lv3{rule.name}"
    return MadeAssociation(
        rule.asn_type, candidate.id, first["program"], target, product, tuple(members), made_by, first.prefix
    )


def _mode(row: Row) -> tuple[str, ...]:
    """Return what the members of every association have in common. The detector is not among it."""
    return (
        row["program"],
        row["instrume"],
        row["filter"],
        row.pupil,
        row["fxd_slit"],
        row["subarray"],
        row["exp_type"],
    )
