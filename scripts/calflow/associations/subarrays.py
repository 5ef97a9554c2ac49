"""Concurrent subarrays of Liger and IRIS: put into their full frames before anything is combined."""

from collections.abc import Sequence
from dataclasses import replace

from calflow.associations.association import MadeAssociation, MadeMember
from calflow.associations.rows import Row
from calflow.instruments import exposure_kinds as kinds

MERGE_RULE = "Asn_MergeSubarrays"


def merges(rows: Sequence[Row]) -> tuple[list[Row], list[MadeAssociation]]:
    """Return the rows of what is combined, and the associations by which subarrays are put into full frames.

    Parameters
    ----------
    rows : sequence of Row

    Returns
    -------
    rows : list of Row
        Subarrays are left out, and their full frames replaced by what they are merged to.
    associations : list of MadeAssociation

    Notes
    -----
    A subarray has a SUBARRID above 0, and belongs to the full frame whose name its own begins with.
    """
    parts: dict[str, list[Row]] = {}
    fulls = [row for row in rows if row["exp_type"] in kinds.CUT_FROM_FULL and not _is_part(row)]
    for row in filter(_is_part, rows):
        if roots := [full.root for full in fulls if row.root.startswith((f"{full.root}_", f"{full.root}-"))]:
            parts.setdefault(max(roots, key=len), []).append(row)
    merged = {part.filename for found in parts.values() for part in found}
    combined, made = [], []
    for row in rows:
        if row.root in parts and row in fulls:
            members = [MadeMember(each.member("cal"), "science") for each in (row, *parts[row.root])]
            asn_id = row.candidates[0].id if row.candidates else "a3001"
            name = f"{row.root}_merged"
            made.append(
                MadeAssociation(
                    "image3", asn_id, row["program"], row["targetid"], name, tuple(members), MERGE_RULE, row.prefix
                )
            )
            combined.append(replace(row, filename=row.filename.replace(row.root, name, 1)))
        elif row.filename not in merged:
            combined.append(row)
    return combined, made


def _is_part(row: Row) -> bool:
    return row["exp_type"] in kinds.CUT_FROM_FULL and row["subarray_id"] not in ("", "0")
