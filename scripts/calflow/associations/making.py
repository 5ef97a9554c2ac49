"""Making the associations of a run: from the exposures in a folder, or from a pool."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from calflow.associations.asn_files import AsnFiles, tree_of
from calflow.associations.association import MadeAssociation, MadeMember
from calflow.associations.available import usable
from calflow.associations.exposures import linked, rows_of
from calflow.associations.generator import generate
from calflow.associations.pools import PoolError, read_pool
from calflow.associations.rows import Row
from calflow.associations.same_names import settle
from calflow.associations.subarrays import MERGE_RULE
from calflow.configuration.paths import no_file
from calflow.configuration.problems import InputError, Problem, Problems, some
from calflow.configuration.settings import Settings
from calflow.files.names import exposure_suffix, product_root, unpacked_name
from calflow.inputs.headers import ExposureHeader
from calflow.inputs.input_folder import InputFolder
from calflow.instruments import family_of
from calflow.instruments.pool_columns import KEYWORDS

# Of what stage 2 or 3 takes, the first that is there stands for the exposure.
_SUFFIXES = ("rateints", "rate", "calints", "cal")


@dataclass(frozen=True)
class MadeAssociations:
    """The associations of a run.

    Attributes
    ----------
    source : str
        What they were made from, for people.
    files : AsnFiles
        Where they are written.
    named : mapping of file name to content
        All that were made.
    used : mapping of file name to content
        Those of them that are selected, of the files that are there.
    left_out : tuple of (str, str)
        What is in none of them, and why.
    notes : tuple of str
        What the archive does otherwise.
    """

    source: str
    files: AsnFiles
    named: Mapping[str, dict]
    used: Mapping[str, dict]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def write(self) -> None:
        """Write the files; those that are there like this are left alone.

        Raises
        ------
        InputError
            If they cannot be written.
        """
        try:
            self.files.write(self.named)
        except OSError as error:
            wrong = f"associations cannot be written there ({error.strerror})"
            problem = Problem(str(self.files.folder), "", wrong, "give make_associations.folder, or another output")
            raise InputError([problem]) from None

    def summary(self) -> str:
        """Return one line on what was made."""
        types = Counter(str(tree["asn_type"]) for tree in self.named.values())
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(types.items())) or "none"
        return f"associations made of {self.source}: {counts}, in {self.files.folder}"

    def used_line(self) -> str:
        """Return one line on what the run combines."""
        combined = [
            one for one in self.used.values() if one["asn_type"] == "image3" and MERGE_RULE not in one["asn_rule"]
        ]
        names = sorted(str(tree["products"][0]["name"]) for tree in combined)
        return f"to be combined: {some(names)}" if names else "nothing is combined"

    def left_out_lines(self) -> list[str]:
        """Return a line for each reason why something is left out."""
        by_reason: dict[str, list[str]] = {}
        for name, why in self.left_out:
            by_reason.setdefault(why, []).append(name)
        return [f"left out: {some(names)}: {why}" for why, names in by_reason.items()]

    def table(self) -> str:
        """Return what was made, as a table, and what was left out."""
        lines = [("type", "id", "product", "science", "other members")]
        exposures: dict[tuple[str, str, int], int] = {}
        for tree in self.named.values():
            (product,) = tree["products"]
            kinds = Counter(member["exptype"] for member in product["members"])
            sciences = kinds.pop("science", 0)
            if tree["asn_type"].endswith("2"):
                key = tree["asn_type"], tree["asn_id"], sum(kinds.values())
                exposures[key] = exposures.get(key, 0) + 1
            else:
                others = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
                lines.append((tree["asn_type"], tree["asn_id"], product["name"], str(sciences), others))
        each = [
            (kind, asn_id, f"{count} exposures" if count > 1 else "1 exposure", "1", f"{n} background" if n else "")
            for (kind, asn_id, n), count in sorted(exposures.items())
        ]
        lines = [lines[0], *each, *sorted(lines[1:])]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([self.summary(), "", *text, "", *self.notes, *self.left_out_lines()]).rstrip()


@dataclass
class _Found:
    rows: list[Row]
    source: str
    pool: str = "none"
    files: frozenset[str] = frozenset()
    left_out: list[tuple[str, str]] = field(default_factory=list)
    targets: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by file name, the names of the target


def make_associations(
    settings: Settings,
    read_header: Callable[[Path], ExposureHeader | None],
    problems: Problems,
    folder: Path,
    inputs: InputFolder,
    but: Collection[Path] = (),
) -> MadeAssociations | None:
    """Make the associations of the exposures in the folder `input` or those below it, or in the pool.

    Parameters
    ----------
    settings : Settings
    read_header : callable
        From a path to its header, or None after adding a problem.
    problems : Problems
        What is wrong is added here.
    folder : Path
        Where their files are, or will be.
    inputs : InputFolder
        Where the exposures are.
    but : collection of Path
        Exposures that are something else, such as the flats that a reference is made of.

    Returns
    -------
    MadeAssociations or None
        None if there are no exposures, or if something is wrong.
    """
    new = problems.from_here()
    asn_files = AsnFiles.of(folder)
    _check_links(settings, problems)
    try:
        files = inputs.exposures()
    except OSError as error:
        problems.add(Problem("config", "input", f"cannot be looked into ({error.strerror})", "make it readable"))
        return None
    if but:
        calibrators = {os.path.realpath(path) for path in but}
        files = {name: path for name, path in files.items() if os.path.realpath(path) not in calibrators}
    # Members are called as the archive calls them; where they are found, they may be packed.
    twice = sorted(name for name in files if name != unpacked_name(name) in files)
    there = {unpacked_name(name): path for name, path in sorted(files.items()) if name not in twice}
    if settings.make_associations.pool is not None:
        found = _from_pool(settings, there, problems)
    else:
        found = _from_headers(settings, there, read_header, asn_files.targets(), problems)
    if found is None or new.any():
        return None
    if not found.rows:
        # References may be all that is wanted.
        if found.left_out and not settings.reference_makers:
            name, why = found.left_out[0]
            others = f" and {len(found.left_out) - 1} more" if len(found.left_out) > 1 else ""
            wrong = f"no exposures that can be used in {settings.input!r}: {name}{others} left out"
            problems.add(Problem("config", "input", wrong, why))
        return None
    settled = settle(generate(found.rows))
    made, left_out, selected = settled.associations, list(found.left_out), settled.associations
    left_out += [(name, "the same file is there unpacked") for name in twice]
    left_out += inputs.not_taken()
    if settings.make_associations.pool is None or any(_is_there(row, found.files) for row in found.rows):
        fitting = usable(made, found.files)
        left_out += fitting.left_out
        selected = fitting.associations
    if settings.make_associations.pool is None:
        made = selected
    left_out += _in_none(found.rows, made)
    names = {(row["program"], row["targetid"]): found.targets[row.filename][0] for row in found.rows if found.targets}
    named = asn_files.named(made, found.pool, names)
    wanted = _selected(selected, found, settings, problems)
    # Of what is used, members may be fewer, or other files of the same exposures.
    file_of = {(tree["asn_type"], tree["asn_id"], tree["products"][0]["name"]): name for name, tree in named.items()}
    used = {file_of[each.asn_type, each.asn_id, each.product]: tree_of(each, found.pool, names) for each in wanted}
    used = dict(sorted(used.items()))  # so that observations are told in their order
    notes = (*settled.notes, *_several_skies(found, settings))
    return MadeAssociations(found.source, asn_files, named, used, tuple(dict.fromkeys(left_out)), notes)


def _several_skies(found: _Found, settings: Settings) -> list[str]:
    """Tell of programs whose backgrounds are of several targets, and no link says which belongs to what."""
    making = settings.make_associations
    if making.pool is not None or any(link.type == "background" for link in making.links.values()):
        return []
    skies: dict[str, set[str]] = {}
    for row in found.rows:
        if row.exptype == "background":
            skies.setdefault(row["program"], set()).add(found.targets[row.filename][0])
    return [
        f"program {program}: the backgrounds of {len(names)} targets ({some(sorted(names))}) are averaged where they "
        "fit; make_associations.links can say which belongs to what"
        for program, names in skies.items()
        if len(names) > 1
    ]


def _is_there(row: Row, files: Collection[str]) -> bool:
    return any(row.member(suffix) in files for suffix in _SUFFIXES)


def _check_links(settings: Settings, problems: Problems) -> None:
    for name in settings.make_associations.links:
        if not (name[:1] in "cC" and name[1:].isdigit() and len(name) == 5):
            right = "a candidate is called c and four digits, such as c1001"
            problems.add(Problem("config", "make_associations.links", f"{name!r} is no candidate", right))


# Where the exposures are known from -------------------------------------------------------------------


def _from_pool(settings: Settings, there: Collection[str], problems: Problems) -> _Found | None:
    given = str(settings.make_associations.pool)
    path = Path(given)
    if not os.path.isfile(path):
        problems.add(Problem("config", "make_associations.pool", no_file(path), "give a pool file of the archive"))
        return None
    try:
        rows = read_pool(path.read_text("utf-8-sig"))
    except PoolError as error:
        problems.add(Problem(given, "", error.wrong, error.right))
        return None
    except (OSError, UnicodeDecodeError) as error:
        wrong = getattr(error, "strerror", None) or "is no text"
        problems.add(Problem(given, "", f"cannot be read ({wrong})", "give a pool file: text with '|' between cells"))
        return None
    if not rows:
        problems.add(Problem(given, "", "lists no exposures", "a pool has a line for each"))
    rows = linked(rows, settings.make_associations, without_links=False)
    targets = {row.filename: [name for name in (row["targname"], row["targetid"]) if name] or [""] for row in rows}
    return _Found(rows, given, path.name, frozenset(there), targets=targets)


def _from_headers(
    settings: Settings,
    files: Mapping[str, Path],
    read_header: Callable[[Path], ExposureHeader | None],
    known: Mapping[tuple[str, str], str],
    problems: Problems,
) -> _Found | None:
    exposures: dict[str, str] = {}
    for suffix in reversed(_SUFFIXES):  # the better one last
        exposures |= {product_root(name): name for name in files if exposure_suffix(name) == suffix}
    left_out = [
        (name, "stage 1 has not been done: calflow takes _rate")
        for name in files
        if exposure_suffix(name) in ("uncal", "ramp") and product_root(name) not in exposures
    ]
    headers = {}
    targets: dict[str, Sequence[str]] = {}
    new = problems.from_here()
    for name in sorted(exposures.values()):
        header = read_header(files[name])
        if header is None:
            continue
        if why := _no_image(header):
            left_out.append((name, why))
            continue
        headers[name] = header.values
        given = [str(header.values[keyword]) for keyword in KEYWORDS["target"] if header.values.get(keyword)]
        targets[name] = given or [""]
    if new.any():
        return None
    rows = rows_of(headers, settings.make_associations, known)
    return _Found(rows, _source(headers, files, settings.input), "none", frozenset(files), left_out, targets)


def _source(names: Collection[str], files: Mapping[str, Path], directory: str) -> str:
    """Say of how many exposures, in which folder, associations are made."""
    folders = {files[name].parent for name in names}
    below = f", in {len(folders)} folders below it" if len(folders) > 1 else ""
    (folder,) = folders if len(folders) == 1 else (directory,)
    return f"{len(names)} exposure{'s' if len(names) != 1 else ''} in {str(folder)!r}{below}"


def _no_image(header: ExposureHeader) -> str:
    """Return why nothing is made of an exposure; empty if it is an image."""
    family = family_of(header.values)
    if family is None:
        return f"TELESCOP {str(header.values.get('TELESCOP', ''))!r} is none that calflow knows"
    if family.variant(header.values) is None:
        return f"EXP_TYPE {str(header.values.get('EXP_TYPE', ''))!r} is no imaging"
    return ""


# What is used of it -----------------------------------------------------------------------------------


def _in_none(rows: Iterable[Row], made: Iterable[MadeAssociation]) -> list[tuple[str, str]]:
    """Return the exposures that are in no association."""
    roots = {product_root(member.name) for association in made for member in association.members}
    return [(row.filename, _why(row)) for row in rows if product_root(row.filename) not in roots]


def _why(row: Row) -> str:
    if row.exptype not in ("science", "background", "psf"):
        return f"is {row.exptype.replace('_', ' ')}, of which nothing is made"
    if not row["exp_type"]:
        return "has no EXP_TYPE"
    if not row.filter:
        return "has no filter"
    if not row["detector"]:
        return "has no detector"
    return f"EXP_TYPE {row['exp_type'].upper()} is no imaging, or nothing is combined of it"


def _selected(
    made: Iterable[MadeAssociation], found: _Found, settings: Settings, problems: Problems
) -> list[MadeAssociation]:
    """Return the associations all of whose science exposures are of the targets, filters and observations wanted."""
    by_root = {product_root(row.filename): row for row in found.rows}

    def targets(row: Row) -> Sequence[str]:
        return (*found.targets[row.filename], row["targetid"], f"t{row['targetid'].zfill(3)}")

    def filters(row: Row) -> Sequence[str]:
        return row.filter, row.pupil

    def observations(row: Row) -> Sequence[str]:
        return (row["obs_num"],)

    wanted = {
        "targets": (settings.targets, targets),
        "filters": (settings.filters, filters),
        "observations": ([str(number) for number in settings.observations], observations),
    }
    rows = set(by_root)
    for key, (patterns, values) in wanted.items():
        unfound = [
            pattern for pattern in patterns if not any(_fits(values(row), [pattern]) for row in by_root.values())
        ]
        if unfound:
            there = sorted({next(filter(None, values(row)), "") for row in by_root.values()} - {""})
            right = f"there are {some(there)}" if there else "no exposure says it"
            problems.add(Problem("config", key, f"no exposure has {unfound[0]!r}", right))
        if patterns:
            rows = {root for root in rows if _fits(values(by_root[root]), patterns)}
    merged = {one.product: product_root(one.members[0].name) for one in made if one.rule == MERGE_RULE}
    by_root |= {product: by_root[root] for product, root in merged.items() if root in by_root}
    rows |= {product for product, root in merged.items() if root in rows}
    made = [_of_observations(one, settings.observations, by_root) for one in made]
    selected = [one for one in made if {product_root(name) for name in one.of_type("science")} <= rows]
    if not selected and any(patterns for patterns, _ in wanted.values()) and not problems:
        keys = ", ".join(key for key, (patterns, _) in wanted.items() if patterns)
        problems.add(Problem("config", keys, "no association has exposures of all of these", "select less"))
    return selected


def _of_observations(
    association: MadeAssociation, wanted: Collection[int], by_root: Mapping[str, Row]
) -> MadeAssociation:
    """Return an association of several observations with those alone that are wanted, if these are several too."""

    def observation(member: MadeMember) -> str:
        row = by_root.get(product_root(member.name))
        return row["obs_num"] if row else ""

    if association.level == 2:
        return association
    kept = [one for one in association.members if one.exptype != "science" or observation(one) in map(str, wanted)]
    several = len({observation(one) for one in kept if one.exptype == "science"}) > 1
    return replace(association, members=tuple(kept)) if several else association


def _fits(values: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatch(value.lower(), pattern.lower()) for value in values for pattern in patterns)
