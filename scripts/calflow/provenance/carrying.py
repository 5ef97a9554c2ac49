"""Products that carry what they were made of, in the primary header, the ASDF tree, and the metadata of tables.

It is put in when the script of a job has ended, so that scripts and their code are the same with it and without.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import yaml

from calflow.engine.after_scripts import EndedScript, after_scripts
from calflow.engine.unchanged import Checksums
from calflow.files.version import VERSION
from calflow.jobs.all import JOBS
from calflow.whole_files import replacing

EVERYTHING = "all"  # with versions and code
KEY = "calflow_provenance"  # in an ASDF tree, and in the metadata of a table
ROOM = 60  # characters of a value and its comment on one card, with some to spare for quotes
MOST = 999  # files that a header names; the tree has all
# Of the parameters of a job: what is said in another way, or is no part of how a product was made.
SAID = ("code", "libraries", "stamps", "provenance", "writing")
CARD = re.compile(r"PRV(FILE|RULE|COUNT|\d{3}[FD])")
END_OF_TREE = re.compile(rb"\n\.\.\.\r?(\n|$)")
BLOCK_INDEX = b"#ASDF BLOCK INDEX"


def carry(level: str, is_reference: Callable[[str], bool]) -> None:
    """From now on have the products of the jobs that this process runs carry what they were made of.

    Parameters
    ----------
    level : str
        ``inputs``: files with their digests, and parameters; ``all``: versions and code besides.
    is_reference : callable
        Tells whether a path is that of a reference file.
    """
    # A file that several jobs read is read for its digest once.
    checksums = Checksums(lambda path: True)

    def put_in(script: EndedScript) -> None:
        if script.rule in JOBS:
            tree = provenance_of(script, level, is_reference, lambda path: checksums.of(path) or "")
            for path in map(Path, script.outputs):
                put_into(path, tree)

    after_scripts(put_in)


def provenance_of(
    script: EndedScript, level: str, is_reference: Callable[[str], bool], digest: Callable[[str], str]
) -> dict[str, Any]:
    """Return what the products of a job carry.

    Parameters
    ----------
    script : EndedScript
    level, is_reference
        As of `carry`.
    digest : callable
        From a path to its digest, such as ``sha256:...``.
    """
    files = [(role, path) for role, paths in script.inputs.items() for path in paths]
    left_out = {*SAID, *JOBS[script.rule].uncompared}
    listed = [{"role": role, "name": Path(path).name, "sha256": digest(path).partition(":")[2]} for role, path in files]
    references = [is_reference(path) for _, path in files]
    tree: dict[str, Any] = {
        "rule": script.rule,
        "inputs": [each for each, is_one in zip(listed, references, strict=True) if not is_one],
        "references": [each for each, is_one in zip(listed, references, strict=True) if is_one],
        # As texts, as Python writes them and records have them: jwst cannot save a tree with None in a list.
        "parameters": {name: repr(value) for name, value in script.parameters.items() if name not in left_out},
    }
    if level == EVERYTHING:
        libraries = str(script.parameters.get("libraries", "")).removeprefix("libraries: ")
        tree |= {"calflow": VERSION, "code": str(script.parameters.get("code", "")), "libraries": libraries}
    return tree


def put_into(path: Path, tree: Mapping[str, Any]) -> None:
    """Put what a product was made of into it; into a FITS file or an ECSV table, no other.

    Parameters
    ----------
    path : Path
    tree : mapping
        As `provenance_of` returns it.
    """
    if path.suffix == ".fits":
        _put_into_fits(path, tree)
    elif path.suffix == ".ecsv":
        _put_into_ecsv(path, tree)


def carried_by(path: Path) -> dict[str, Any] | None:
    """Return what a product carries; None if it carries nothing.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    try:
        if path.suffix == ".ecsv":
            with path.open("rb") as file:
                return _read(b"".join(line for line in file if line.startswith(b"# - {" + KEY.encode()))[2:])
        from astropy.io import fits

        # astropy leaves a damaged file open, and warns of what it then fails for.
        with path.open("rb") as file, catch_warnings(action="ignore"), fits.open(file) as hdus:
            trees = [hdu.data["ASDF_METADATA"][0].tobytes() for hdu in hdus if hdu.name == "ASDF"]
            return _read(trees[0]) if trees else None
    except (OSError, KeyError, TypeError, IndexError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from None


def _read(text: bytes) -> dict[str, Any] | None:
    found = re.search(rf"^(?:- )?(\{{?{KEY}: .*)$".encode(), text, re.MULTILINE)
    return yaml.safe_load(found[1])[KEY] if found else None


def _put_into_fits(path: Path, tree: Mapping[str, Any]) -> None:
    from astropy.io import fits

    # Images stay as they are stored: they are copied, and neither unpacked nor scaled.
    stored = {"memmap": True, "disable_image_compression": True, "do_not_scale_image_data": True}
    with fits.open(path, **stored) as hdus, replacing(path) as partial:
        primary = hdus[0].header
        for keyword in [keyword for keyword in primary if CARD.fullmatch(keyword)]:
            del primary[keyword]
        primary.extend(_cards(path.name, tree), end=True)
        for number, hdu in enumerate(hdus):
            if hdu.name == "ASDF":
                hdus[number] = _asdf_hdu(hdu.data["ASDF_METADATA"][0].tobytes(), tree)
        hdus.writeto(partial, output_verify="silentfix+exception")


def _cards(name: str, tree: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    files = [*tree["inputs"], *tree["references"]]
    cards: list[tuple[str, Any, str]] = [
        ("PRVFILE", _ascii(name), "" if len(name) > ROOM // 2 else "of which these cards are"),
        ("PRVRULE", tree["rule"], "rule of calflow that made this"),
        ("PRVCOUNT", len(files), "files it was made of"),
    ]
    for number, file in enumerate(files[:MOST], 1):
        cards += [
            (f"PRV{number:03}F", _ascii(file["name"]), _ascii(file["role"])[: max(0, ROOM - len(file["name"]))]),
            (f"PRV{number:03}D", file["sha256"], ""),
        ]
    return cards


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _asdf_hdu(content: bytes, tree: Mapping[str, Any]) -> Any:
    import numpy as np
    from astropy.io import fits

    data = np.frombuffer(with_key(content, tree), np.uint8)
    column = fits.Column(name="ASDF_METADATA", format=f"{data.size}B", array=data[np.newaxis])
    return fits.BinTableHDU.from_columns([column], name="ASDF")


def with_key(content: bytes, tree: Mapping[str, Any]) -> bytes:
    """Return an ASDF file with what it was made of as one more key of its tree.

    Parameters
    ----------
    content : bytes
        The file. All else in it stays as it is, but for the index of blocks, which need not be there.
    tree : mapping
    """
    end = END_OF_TREE.search(content)
    if end is None:
        return content
    head, rest = content[: end.start()], content[end.start() :]
    head = re.sub(rf"\n{KEY}: .*".encode(), b"", head)
    return head + b"\n" + _flow(tree)[1:-1] + rest.partition(BLOCK_INDEX)[0]


def _flow(tree: Mapping[str, Any]) -> bytes:
    """Return the tree under its key as YAML in one line."""
    # Not by the C library, which wraps lines. Tables are ASCII.
    text = yaml.dump({KEY: dict(tree)}, Dumper=_Dumper, default_flow_style=True, width=float("inf"))
    return text.rstrip("\n").encode()


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice twice, since a line by itself has no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _put_into_ecsv(path: Path, tree: Mapping[str, Any]) -> None:
    lines = [
        line for line in path.read_bytes().splitlines(keepends=True) if not line.startswith(b"# - {" + KEY.encode())
    ]
    head = [number for number, line in enumerate(lines) if line.startswith(b"# schema:")]
    line = b"# - " + _flow(tree) + b"\n"
    meta = next((number for number, line in enumerate(lines) if line.startswith(b"# meta: !!omap")), None)
    if meta is not None:
        lines.insert(meta + 1, line)
    elif head:
        lines[head[0] : head[0]] = [b"# meta: !!omap\n", line]
    with replacing(path) as partial:
        partial.write_bytes(b"".join(lines))
