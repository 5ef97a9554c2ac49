"""Association files as they are written: named as the archive names them, and left alone if nothing changes."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from calflow.associations.association import WHOLE_POOL, MadeAssociation, number
from calflow.whole_files import replace_text

# Says in a file that it was made here, and so may be replaced or removed.
MADE_BY = ("made_by", "calflow")
_Key = tuple[str, ...]


@dataclass(frozen=True)
class AsnFiles:
    """The association files of a folder that were made here.

    Attributes
    ----------
    folder : Path
    trees : mapping of file name to what the file holds
    """

    folder: Path
    trees: Mapping[str, dict] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> "AsnFiles":
        """Look at the association files in a folder. Those that cannot be read, or that others wrote, do not count.

        Parameters
        ----------
        folder : Path
            It need not be there.
        """
        return cls(folder, dict(_own_files(folder)))

    def targets(self) -> dict[tuple[str, str], str]:
        """Return the numbers that targets have in the files, by programme and name."""
        return {
            (str(tree["made_for_program"]), str(tree["target_name"])): str(tree["target_number"])
            for tree in self.trees.values()
            if str(tree.get("target_number", "")).isdigit() and "made_for_program" in tree and "target_name" in tree
        }

    def named(
        self, associations: Iterable[MadeAssociation], pool: str, targets: Mapping[tuple[str, str], str]
    ) -> dict[str, dict]:
        """Return the contents of the files to write, by their names.

        An association keeps the name that it has in the folder: it is recorded in its products, which would be stale
        under another. The others get the first free numbers.

        Parameters
        ----------
        associations : iterable of MadeAssociation
        pool : str
            File name of the pool, or ``none``.
        targets : mapping of (program, number) to name
        """
        known = {_key_of(tree): name for name, tree in self.trees.items()}
        wanted = [(association, tree_of(association, pool, targets)) for association in associations]
        kept = {known[key] for _, tree in wanted if (key := _key_of(tree)) in known}
        named: dict[str, dict] = {}
        free: dict[str, Iterator[str]] = {}
        for association, tree in wanted:
            name = known.get(_key_of(tree))
            if name is None or name in named:
                names = free.setdefault(_pattern(association), _numbered(_pattern(association)))
                name = next(name for name in names if name not in named and name not in kept)
            named[name] = tree
        return named

    def write(self, named: Mapping[str, dict]) -> None:
        """Write the files that are not there in this form, and remove those of `trees` that are not among them.

        Parameters
        ----------
        named : mapping of str to dict
            Contents by file name.

        Raises
        ------
        OSError
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, tree in named.items():
            path, text = self.folder / name, json.dumps(tree, indent=2) + "\n"
            if not (path.is_file() and path.read_bytes() == text.encode()):
                replace_text(path, text)
        for name in self.trees.keys() - named.keys():
            (self.folder / name).unlink(missing_ok=True)


def _own_files(folder: Path) -> Iterator[tuple[str, dict]]:
    if not os.path.isdir(folder):  # unlike Path.is_dir, also of what no path can be
        return
    key, value = MADE_BY
    for path in sorted(folder.glob("*_asn.json")):
        try:
            tree = json.loads(path.read_bytes())
            if tree[key] == value:
                _key_of(tree)
                yield path.name, tree
        except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
            continue


def _key_of(tree: Mapping) -> _Key:
    """Return what identifies an association: its kind, and which product it makes of which exposure."""
    product = tree["products"][0]
    sciences = [member["expname"] for member in product["members"] if member["exptype"] == "science"]
    is_one = str(tree["asn_type"]).endswith("2")  # coronagraphic exposures have two of one name
    return str(tree["asn_type"]), str(tree["asn_id"]), str(product["name"]), str(sciences[0]) if is_one else ""


def _pattern(association: MadeAssociation) -> str:
    program = f"{association.prefix}{number(association.program, 5)}"
    return f"{program}-{association.asn_id}_{association.asn_type}_{{:05d}}_asn.json"


def _numbered(pattern: str) -> Iterator[str]:
    return (pattern.format(each) for each in count(1))


def tree_of(association: MadeAssociation, pool: str, targets: Mapping[tuple[str, str], str]) -> dict:
    """Return the content of the file of an association.

    Parameters
    ----------
    association : MadeAssociation
    pool : str
        File name of the pool, or ``none``.
    targets : mapping of (program, number) to name
    """
    found = "discover" if association.asn_id == WHOLE_POOL else "candidate"
    number_of_target = association.target.lstrip("t") if association.level == 3 else association.target
    key = association.program, number_of_target.lstrip("0")
    named = {}
    if key in targets:
        named = {"made_for_program": key[0], "target_name": targets[key], "target_number": key[1]}
    return {
        "asn_type": association.asn_type,
        "asn_rule": f"{found}_{association.rule}",
        "asn_id": association.asn_id,
        "asn_pool": pool,
        "program": number(association.program, 5),
        "target": association.target,
        **named,
        MADE_BY[0]: MADE_BY[1],
        "products": [
            {
                "name": association.product,
                "members": [{"expname": each.name, "exptype": each.exptype} for each in association.members],
            }
        ],
    }
