"""Association (ASN) files: which exposures belong together and what the result is called."""

import json
import os
import re
import unicodedata
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path

from calflow.configuration.paths import NO_FILE, advice, no_file, what_is_at
from calflow.configuration.problems import Problem, Problems, nearest, some
from calflow.files.names import check_product_name, exposure_suffix, other_packing, product_root, unpacked_name
from calflow.inputs.fits_headers import COMPRESSED
from calflow.inputs.input_folder import InputFolder
from calflow.inputs.scope import LEVEL_OF_TYPE, OTHER_TYPES, combines_integrations, other_kind, says_nothing

SINGLETON = "singleton"  # ASNPOOL and ASNTABLE of an exposure that comes without an association

EXPTYPES = frozenset(
    "science background imprint psf sourcecat segmap direct_image target_acquisition autoflat autowave "
    "dark flat engineering".split()
)
_USED_EXPTYPES = {2: ("science", "background"), 3: ("science",)}

# Says in the type or the rule that concurrent subarrays are put into their full frame.
_MERGING = re.compile(r"merge_?subarrays", re.IGNORECASE)
# Lists of exposures in place of products, as newer Liger/IRIS pipelines take them.
_EXPTYPES_OF_LISTS = {"SCI": "science", "SKY": "background"}
_LEVEL_IN_RULE = re.compile(r"(?:lv|level)_?([23])", re.IGNORECASE)
_CALIBRATED = ("cal", "calints", "crf", "crfints")
LONGEST_PATH = 4096  # characters, of Linux; elsewhere paths are shorter
_RIGHT_SUFFIXES = {2: ("rate", "rateints"), 3: _CALIBRATED}


@dataclass(frozen=True)
class Member:
    """One exposure of a product.

    Attributes
    ----------
    expname : str
        As the association has it.
    exptype : str
        Lower case.
    path : Path
        Where the file is; beside the association if it is nowhere (level 3: it may still be made).
    key : str
        Its place in the association, such as ``products[0].members[2]``.
    group_id : str or None
        Group given by the association in place of the one from the header (level 3).
    tweakreg_catalog : Path or None
        Custom source catalogue (level 3).
    """

    expname: str
    exptype: str
    path: Path
    key: str = ""
    group_id: str | None = None
    tweakreg_catalog: Path | None = None

    @property
    def suffix(self) -> str | None:
        """Return the suffix of the exposure, such as ``rate``."""
        return exposure_suffix(self.expname)


@dataclass(frozen=True)
class Product:
    """One result of an association and the exposures it is made of.

    Attributes
    ----------
    name : str
        As the association has it, without folders.
    root : str
        The beginning of the names of all its files.
    members : tuple of Member
        The used members in the order of the association.
    ignored : tuple of Member
        Members of types that this level has no use for (``psf``, ``imprint``...).
    key : str
        Its place in the association, such as ``products[0]``.
    """

    name: str
    root: str
    members: tuple[Member, ...]
    ignored: tuple[Member, ...] = ()
    key: str = "products[0]"

    @property
    def sciences(self) -> tuple[Member, ...]:
        """Return the science members."""
        return tuple(member for member in self.members if member.exptype == "science")

    @property
    def science(self) -> Member:
        """Return the science member; level 2 has exactly one."""
        return self.sciences[0]

    @property
    def backgrounds(self) -> tuple[Member, ...]:
        """Return the background members."""
        return tuple(member for member in self.members if member.exptype == "background")


@dataclass(frozen=True)
class Association:
    """One association file, or a single exposure in its place.

    Attributes
    ----------
    path : Path
        The file, as the user named it.
    level : int
        2: from count rates to calibrated exposures; 3: from those to combined products.
    pool, table : str
        Values of ASNPOOL and ASNTABLE.
    asn_id : str or None
        Candidate id, such as ``o001``; part of the names of ``_crf`` files.
    asn_type : str
        Lower case; empty if it says nothing.
    products : tuple of Product
    merges : bool
        Level 3 between the stages: each product is a full frame with its concurrent subarrays put into it.
    left_out : str
        Why nothing is done with the association; empty if it is done.
    lost : str
        Where its members were looked for, if none is there; empty if one is.
    """

    path: Path
    level: int
    pool: str
    table: str
    asn_id: str | None
    asn_type: str
    products: tuple[Product, ...]
    merges: bool = False
    left_out: str = ""
    lost: str = ""

    @property
    def ignored(self) -> tuple[Member, ...]:
        """Return the members that are not used, for a notice."""
        return tuple(member for product in self.products for member in product.ignored)


def read_association(path: Path, inputs: InputFolder | None, problems: Problems) -> Association | None:
    """Read and check one association file.

    Parameters
    ----------
    path : Path
        The association, strict JSON.
    inputs : InputFolder or None
        Where members are looked for that are not beside the association.
    problems : Problems
        Everything that is wrong with the file is added here; nothing is raised.

    Returns
    -------
    Association or None
        With the products that nothing is wrong with, so that their exposures can be checked further
        whatever was found in others; None if not even the level can be told.

    Notes
    -----
    Level 2 members have to exist. Level 3 members may be products of this very run, so their existence is
    left to the caller.
    """
    path = Path(path)
    tree = _load_json(path, problems)
    return _Reader(path, inputs, problems).association(tree) if tree is not None else None


def made_association(path: Path, tree: dict, inputs: InputFolder, problems: Problems) -> Association | None:
    """Return an association that was made in this run, as if it had been read from its file.

    Parameters
    ----------
    path : Path
        Its file, which need not be there.
    tree : dict
        What it holds.
    inputs : InputFolder
        Where its members are.
    problems : Problems
        What is wrong is added here.
    """
    return _Reader(path, inputs, problems).association(tree)


def single_exposure(path: Path, problems: Problems) -> Association | None:
    """Make the association of one exposure that is processed without an association file.

    Parameters
    ----------
    path : Path
        A ``_rate`` or ``_rateints`` file for stage 2, or a ``_cal`` file for stage 3; the product is named after it.
    problems : Problems
        What is wrong with the name is added here.
    """
    path = Path(path)
    level = 3 if exposure_suffix(path.name) in ("cal", "crf") else 2
    refusal = _wrong_suffix(path.name, level) or _wrong_name(path.name)
    if refusal:
        problems.add(Problem(str(path), "", *refusal))
        return None
    member = Member(path.name, "science", path, "products[0].members[0]")
    product = Product(path.name, product_root(path.name), (member,))
    return Association(path, level, SINGLETON, SINGLETON, None, f"image{level}", (product,))


def expand(patterns: list[str], key: str, problems: Problems, file: str = "config") -> list[Path]:
    """Return the files that a list of paths and globs of the configuration stands for.

    Parameters
    ----------
    patterns : list of str
        Paths or globs (``*``, ``?``, ``[]``, ``**``). A file whose own name looks like a glob is taken as it is.
    key : str
        The configuration key, for the problems.
    problems : Problems
        Entries that stand for no file are added here; several that are not there are one.
    file : str
        The configuration file, for the problems.

    Returns
    -------
    list of Path
        In the order of the entries, those of one glob sorted; each file once.
    """
    files: dict[Path, None] = {}
    lost: list[Problem] = []
    for index, pattern in enumerate(patterns):
        here = f"{key}[{index}]"
        if not isinstance(pattern, str) or not pattern.strip() or "\0" in pattern:
            problems.add(Problem(file, here, f"{pattern!r} is not a path", "give a file name or a glob"))
            continue
        matches = [pattern]
        if has_magic(pattern) and not os.path.lexists(pattern):
            matches = _matches(pattern)
            if not matches:
                problems.add(Problem(file, here, f"no file matches {pattern!r}", advice(pattern)))
        for match in matches:
            if os.path.isdir(match):
                right = f"give its files, such as {os.path.join(pattern, '*')!r}"
                problems.add(Problem(file, here, f"{pattern!r} is a folder", right))
            elif not os.path.isfile(match):
                problem = Problem(file, here, no_file(Path(match)), advice(pattern))
                (lost.append if what_is_at(Path(match)) == NO_FILE else problems.add)(problem)
            else:
                files[Path(match)] = None
    problems.add(*_one_for_several(lost, key, len(patterns)))
    return list(files)


def _one_for_several(lost: list[Problem], key: str, entries: int) -> list[Problem]:
    """Return the problems of entries that are not there, as one if there are several and the advice is the same."""
    if len(lost) < 2 or len({problem.right for problem in lost}) > 1:
        return lost
    names = some([problem.wrong.removeprefix(f"{NO_FILE} ") for problem in lost])
    wrong = f"{len(lost)} of its {entries} files are not there: {names}"
    return [replace(lost[0], key=key, wrong=wrong)]


def _matches(pattern: str) -> list[str]:
    """Return the files that a glob stands for, sorted."""
    if len(pattern) > LONGEST_PATH:
        return []
    try:
        return sorted(match for match in glob(pattern, recursive=True) if not os.path.isdir(match))
    except (RecursionError, ValueError):  # of hundreds of folders, or of characters that no path has
        return []


# Strict JSON ----------------------------------------------------------------------------------------


_OTHER_FILES = {
    magic: (f"compressed with {name}", f"{command} it first") for magic, (name, command) in COMPRESSED.items()
} | {
    b"SIMPLE  =": ("a FITS file, not an association", "single exposures go into 'exposures' of the configuration"),
    b"#ASDF": ("an ASDF file, not an association", "an association is a JSON text file"),
}


def _load_json(path: Path, problems: Problems) -> dict | None:
    """Return the parsed file, or None and a problem."""

    def refuse(wrong: str, right: str = "write a JSON object with a key 'products'"):
        problems.add(Problem(str(path), "", wrong, right))

    try:
        if not os.path.isfile(path):
            return refuse(what_is_at(path), "give an association file")
        content = path.read_bytes()
        if not content.strip():
            return refuse("empty", "get the file again; it is a JSON object with a key 'products'")
        for magic, (wrong, right) in _OTHER_FILES.items():
            if content.startswith(magic):
                return refuse(wrong, right)
        # utf-8-sig: some editors put a byte order mark in front, which json refuses
        text = content.decode("utf-8-sig")
        tree = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except OSError as error:
        return refuse(f"cannot be read ({error.strerror})", "make it readable")
    except UnicodeDecodeError as error:
        return refuse(f"not UTF-8 text (byte {error.start})", "an association is a JSON text file")
    except json.JSONDecodeError as error:
        return refuse(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except RecursionError:
        return refuse("not an association: nested too deeply")
    except ValueError as error:  # from the two hooks and from absurdly long numbers
        return refuse(f"not JSON: {error}")
    if not isinstance(tree, dict):
        return refuse(f"not an association: the file holds {_kind(tree)}, not an object")
    return tree


def _unique_keys(pairs: list[tuple[str, object]]) -> dict:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return tree


def _refuse_constant(text: str):
    raise ValueError(f"{text} is not a JSON value")


def _kind(value: object) -> str:
    kinds = {str: "a string", dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


# From the JSON tree to an association ----------------------------------------------------------------


class _Reader:
    """Checks the tree of one association file and keeps what is used of it."""

    def __init__(self, path: Path, inputs: InputFolder | None, problems: Problems):
        self.path = path
        self.inputs = inputs
        self.problems = problems
        self.looked_for = 0  # members that have to be there
        self.lost: list[tuple[str, str, list[Path]]] = []  # their keys, their names, where they should be

    def refuse(self, key: str, wrong: str, right: str = "") -> None:
        self.problems.add(Problem(str(self.path), key, wrong, right))

    def text(self, tree: dict, key: str, place: str = "", required: bool = False) -> str | None:
        """Return a string value, or None with a problem if it is something else."""
        value = tree.get(key)
        if isinstance(value, str):
            return value
        if required and value is None:
            missing = f"{place}.{key}" if place else key
            self.refuse(missing, "missing", "give a string")
        elif value is not None:
            self.refuse(f"{place}.{key}" if place else key, f"is {_kind(value)}", "give a string")
        return None

    def objects(self, tree: dict, key: str, place: str = "") -> list[tuple[str, dict]]:
        """Return the places and the objects of a required list of objects."""
        where = f"{place}.{key}" if place else key
        value = tree.get(key)
        if not isinstance(value, list):
            self.refuse(where, "missing" if value is None else f"is {_kind(value)}", "give a list of objects")
            return []
        if not value:
            self.refuse(where, "empty", "give at least one")
        objects = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                objects.append((f"{where}[{index}]", item))
            else:
                self.refuse(f"{where}[{index}]", f"is {_kind(item)}", "give an object")
        return objects

    def association(self, tree: dict) -> Association | None:
        """Return the association, complete if no problem was added."""
        if "products" not in tree and _EXPTYPES_OF_LISTS.keys() & tree.keys():
            return self.lists(tree)
        word = (self.text(tree, "asn_type") or "").strip()
        asn_type = "" if says_nothing(word.lower()) else word.lower()
        rule = self.text(tree, "asn_rule") or ""
        asn_id = self.text(tree, "asn_id")
        pool = self.text(tree, "asn_pool") or "none"
        merges = bool(_MERGING.search(asn_type) or _MERGING.search(rule))
        if not merges and (kind := other_kind(asn_type, rule)):
            stage = 2 if asn_type.endswith("2") or _level_in_rule(rule) == 2 else 3
            why = f"asn_type {word!r} is {kind}" if asn_type else f"asn_rule {rule!r} is {kind}"
            return Association(self.path, stage, pool, self.path.name, asn_id, asn_type, (), left_out=why)
        self.check_id(asn_id)
        trees = self.objects(tree, "products")
        level = 3 if merges else self.level(asn_type, rule, trees)
        if level is None:
            return None
        products = self.products(trees, level)
        suffixes = {member.suffix for product in products for member in product.sciences}
        why = ""
        if not asn_type and not merges and combines_integrations(suffixes):
            why = "its exposures have integrations (_calints): time series, coronagraphy or interferometry"
        lost = self.all_lost()
        return Association(self.path, level, pool, self.path.name, asn_id, asn_type, products, merges, why, lost)

    def lists(self, tree: dict) -> Association:
        """Return the association of a file with the lists SCI and SKY: a product of each science exposure."""
        found: dict[str, list[str]] = {}
        for key in _EXPTYPES_OF_LISTS:
            value = tree.get(key, [])
            listed = value if isinstance(value, list) else [value]
            if not all(isinstance(name, str) for name in listed):
                self.refuse(key, "is no list of file names", "give a list of strings")
                listed = []
            found[key] = listed
        if not found["SCI"]:
            self.refuse("SCI", "has no exposure", "give at least one")
        sky = [{"expname": name, "exptype": "background"} for name in found["SKY"]]
        trees = [
            {"name": product_root(name), "members": [{"expname": name, "exptype": "science"}, *sky]}
            for name in found["SCI"]
        ]
        products = self.products([(f"SCI[{index}]", tree) for index, tree in enumerate(trees)], 2)
        return Association(self.path, 2, "none", self.path.name, None, "image2", products)

    def check_id(self, asn_id: str | None) -> None:
        """Refuse an id that cannot be part of a file name."""
        refusal = _wrong_name(asn_id) if asn_id is not None else None
        if refusal:
            wrong, right = refusal
            self.refuse("asn_id", wrong.replace("the name", "the id", 1), right)

    def level(self, asn_type: str, rule: str, trees: list[tuple[str, dict]]) -> int | None:
        """Return 2 or 3: from the type, else from the rule, else from the members' suffixes."""
        if asn_type in LEVEL_OF_TYPE:
            return LEVEL_OF_TYPE[asn_type]
        if asn_type:
            hint = nearest(asn_type, [*LEVEL_OF_TYPE, *OTHER_TYPES])
            self.refuse("asn_type", f"{asn_type!r} is no type of association", hint)
            return None
        in_rule = _level_in_rule(rule)
        if in_rule:
            return in_rule
        suffixes = {exposure_suffix(name) for name in _science_names(trees)}
        levels = {level for level, right in _RIGHT_SUFFIXES.items() if suffixes.intersection(right)}
        if len(levels) == 1:
            return levels.pop()
        if trees:
            why = "members of both levels" if levels else "no member that tells by its suffix"
            self.refuse(
                "asn_type",
                f"does not tell the level, and there are {why}",
                "give 'image2' for _rate members, 'image3' for _cal members",
            )
        return None

    def products(self, trees: list[tuple[str, dict]], level: int) -> tuple[Product, ...]:
        """Return the products that nothing is wrong with."""
        sound = []
        names: dict[str, tuple[str, str]] = {}
        for place, tree in trees:
            new, lost = self.problems.from_here(), len(self.lost)
            name = self.product_name(place, tree, level)
            self.check_unique_name(place, name, names)
            members = self.members(place, tree, level)
            if not new.any() and len(self.lost) == lost and name is not None:
                used = tuple(member for member in members if member.exptype in _USED_EXPTYPES[level])
                ignored = tuple(member for member in members if member not in used)
                sound.append(Product(name, product_root(name), used, ignored, place))
        self.tell_lost()
        return tuple(sound)

    def members(self, place: str, tree: dict, level: int) -> list[Member]:
        """Return the members of a product that can be used, checked against each other."""
        members = []
        for member_place, member_tree in self.objects(tree, "members", place):
            member = self.member(member_place, member_tree, level)
            if member:
                members.append(member)
        self.check_sciences(place, tree, level)
        self.check_unique_members([member for member in members if member.exptype in _USED_EXPTYPES[level]])
        return members

    def product_name(self, place: str, tree: dict, level: int) -> str | None:
        # Level 3 without a name takes that of the association file, as jwst does.
        name = self.text(tree, "name", place, required=level == 2)
        if tree.get("name") is None and level == 3:
            name = self.path.stem
        if name is None:
            return None
        # Level-2 associations of `asn_from_list` have the path of the exposure as name: its last component counts.
        folders, _, plain = name.rpartition("/")
        refusal = _wrong_folders(folders) or _wrong_name(plain) or _wrong_name(product_root(plain))
        if refusal:
            self.refuse(f"{place}.name", *refusal)
            return None
        return plain

    def member(self, place: str, tree: dict, level: int) -> Member | None:
        """Return one member; None with problems if it cannot be used."""
        expname = self.text(tree, "expname", place, required=True)
        given = self.text(tree, "exptype", place, required=True)
        catalog = self.text(tree, "tweakreg_catalog", place)
        exptype = _exptype(tree)
        if exptype is not None and exptype not in EXPTYPES:
            hint = nearest(exptype, EXPTYPES)
            self.refuse(f"{place}.exptype", f"{given!r} is no type of exposure", hint)
        if expname is None or exptype not in EXPTYPES:
            return None
        used = exptype in _USED_EXPTYPES[level]
        refusal = _wrong_file_name(expname) or (_wrong_suffix(expname, level) if used else None)
        if refusal:
            self.refuse(f"{place}.expname", *refusal)
            return None
        path = self.find(expname, f"{place}.expname", required=used and level == 2)
        group_id = tree.get("group_id")
        return Member(
            expname,
            exptype,
            path,
            place,
            str(group_id) if isinstance(group_id, (str, int)) else None,
            _plain(self.path.parent / catalog) if catalog else None,
        )

    def find(self, expname: str, key: str, required: bool) -> Path:
        """Return where the member is: as given if absolute, else beside the association, else in `input` or below it.

        One that is packed with gzip, and is not named so, counts if it is nowhere unpacked, and the other way round.
        """
        beside = _plain(self.path.parent / expname)
        places = [beside]
        if self.inputs is not None and not Path(expname).is_absolute():
            places.append(_plain(self.inputs.path / expname))
        self.looked_for += required
        for place in [*places, *(Path(other_packing(str(place))) for place in places)]:
            if os.path.isfile(place):
                return place
        if len(places) > 1 and self.inputs and (below := self.inputs.find(expname)):
            return below
        odd = next((place for place in places if os.path.lexists(place)), None)
        if odd and required:
            self.refuse(key, no_file(odd), "give a file with an exposure")
        elif required:
            self.lost.append((key, expname, list(dict.fromkeys(places))))
        return beside

    def all_lost(self) -> str:
        """Say where the members were looked for, if none is there."""
        folders = dict.fromkeys(str(place.parent) for _, _, places in self.lost for place in places)
        return " or ".join(map(repr, folders)) if self.lost and len(self.lost) == self.looked_for else ""

    def tell_lost(self) -> None:
        """Add a problem for each member that is nowhere; one for all of several, if none is there."""
        names = {expname for _, expname, _ in self.lost}
        where = self.all_lost()
        if len(names) > 1 and where:
            wrong = f"none of its {len(names)} exposures is in {where}, such as {self.lost[0][1]!r}"
            self.refuse("products", wrong, "set input to the folder that they are in")
            return
        first: dict[str, tuple[str, list[Path]]] = {}
        for key, expname, places in self.lost:  # a background may be a member of many products
            first.setdefault(expname, (key, places))
        for key, places in first.values():
            looked = " nor ".join(repr(str(place)) for place in places)
            wrong = f"no such file, neither {looked}" if len(places) > 1 else f"no such file {looked}"
            self.refuse(key, wrong, "put it beside the association or into the folder 'input'")

    def check_sciences(self, place: str, tree: dict, level: int) -> None:
        """Level 2 has one science member, level 3 at least one."""
        listed = tree.get("members")
        if not isinstance(listed, list) or not listed:
            return  # told already
        types = [_exptype(member) for member in listed]
        count = types.count("science")
        if count == 0 and EXPTYPES.issuperset(types):  # else the missing one may be among the misspelt
            self.refuse(f"{place}.members", "no science member", "give one the exptype 'science'")
        elif count > 1 and level == 2:
            names = ", ".join(repr(name) for name in _science_names([("", tree)]))
            right = "a level 2 product has one; make a product of each"
            self.refuse(f"{place}.members", f"{count} science members ({names})", right)

    def check_unique_members(self, members: list[Member]) -> None:
        """Refuse a file that is listed twice, under whatever spelling, packed or not: it would count double."""
        seen: dict[str, Member] = {}
        for member in members:
            first = seen.setdefault(unpacked_name(str(member.path)), member)
            if first is not member:
                wrong = f"{member.expname!r} is already {first.key}.expname"
                self.refuse(f"{member.key}.expname", wrong, "list every exposure once")

    def check_unique_name(self, place: str, name: str | None, names: dict[str, tuple[str, str]]) -> None:
        """Refuse a product that would write the files of an earlier one."""
        if name is None:
            return
        first_place, first_name = names.setdefault(product_root(name), (place, name))
        if first_place != place:
            same = "" if first_name == name else f" ({first_name!r}, both make {product_root(name)!r})"
            wrong = f"{name!r} is already the name of {first_place}{same}"
            self.refuse(f"{place}.name", wrong, "give every product a name of its own")


def _level_in_rule(rule: str) -> int | None:
    found = _LEVEL_IN_RULE.search(rule)
    return int(found[1]) if found else None


def _exptype(member: object) -> str | None:
    value = member.get("exptype") if isinstance(member, dict) else None
    return value.strip().lower() if isinstance(value, str) else None


def _science_names(trees: list[tuple[str, dict]]) -> list[str]:
    """Return the names of the science members, as far as they are given."""
    lists = [tree.get("members") for _, tree in trees]
    members = [member for members in lists if isinstance(members, list) for member in members]
    names = [member.get("expname") for member in members if _exptype(member) == "science"]
    return [name for name in names if isinstance(name, str)]


# What is wrong and what would be right, or None if nothing is wrong
_Refusal = tuple[str, str] | None


def _wrong_name(name: str) -> _Refusal:
    """Return what is wrong with the name of a product."""
    text = check_product_name(name)
    if text is None:
        return None
    wrong, _, right = text.rpartition("; ")  # from behind: the name, quoted in front, may hold one
    return wrong, right


def _wrong_folders(folders: str) -> _Refusal:
    """Return what is wrong with the folders in the name of a product; folders are not used."""
    if ".." in folders.split("/"):
        return f"the name leads through '..' ({folders + '/...'!r})", "give the name alone"
    return None


def _wrong_file_name(expname: str) -> _Refusal:
    """Return what is wrong with a member's file name."""
    if not expname.strip():
        return "the file name is empty", "give the name of an exposure"
    bad = [character for character in expname if unicodedata.category(character) in ("Cc", "Cs")]
    if bad:
        return f"{expname!r} holds the control character U+{ord(bad[0]):04X}", "give a plain file name"
    return None


def _wrong_suffix(name: str, level: int) -> _Refusal:
    """Return what is wrong with an exposure's suffix at a level. No suffix is all right."""
    suffix = exposure_suffix(name)
    if suffix is None or suffix in _RIGHT_SUFFIXES[level]:
        return None
    if level == 2:
        state = "already calibrated" if suffix in _CALIBRATED else "not a count-rate exposure"
        return f"{name!r} is {state} (_{suffix})", "stage 2 takes _rate or _rateints"
    how = ", which stage 2 makes of it" if suffix in _RIGHT_SUFFIXES[2] else ""
    return f"{name!r} is not a calibrated exposure (_{suffix})", f"stage 3 takes _cal{how}"


def _plain(path: Path) -> Path:
    """Return the path without ``..``, so that one file has one spelling, unless a link forbids it."""
    if ".." not in path.parts:
        return path
    plain = Path(os.path.normpath(path))
    try:
        return plain if os.path.samefile(plain, path) else path
    except (OSError, ValueError):
        return plain
