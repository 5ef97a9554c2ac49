"""Check that an ASDF reference file is whole and has what its type needs, without acting on any tag in it."""

import os
import struct
from typing import BinaryIO

from calflow.inputs.asdf_meta import MAX_YAML_DEPTH, read_yaml_text
from calflow.inputs.fits_headers import HeaderError

# By type: the name of the entry that is used, the kind of its YAML node, a part of its tag, and what it is in words.
_ENTRIES = {
    "distortion": ("model", "mapping", "transform/", "a transform"),
    "filteroffset": ("filters", "sequence", "", "a list of offsets"),
    "abvegaoffset": ("abvega_offset", "mapping", "table", "a table"),
}
_MAGIC = b"\xd3BLK"
_HEADER = struct.Struct(">I4sQQQ")  # flags, compression, bytes that are kept free, used, and used unpacked
_STREAMED = 1
_PADDING = 64 * 1024  # between the text and the first block


def check_asdf_reference(file: BinaryIO, reftype: str) -> None:
    """Check that an ASDF file is whole and has the entry that a type of reference needs.

    Parameters
    ----------
    file : binary file
        At its beginning.
    reftype : str
        Such as ``distortion``; of a type that is not known only the file is checked.

    Raises
    ------
    HeaderError
        If the text is damaged, binary blocks are missing or cut off, or the entry is missing or something else.
    """
    import yaml

    text, end = read_yaml_text(file)
    try:
        entries, blocks = _scan(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        wrong = f"not readable as ASDF ({str(error).splitlines()[0]})"
        raise HeaderError(wrong, "get the file again") from None
    present = _count_blocks(file, end)
    if present < blocks:
        raise HeaderError(f"truncated: it has {present} of {blocks} binary blocks", "get the file again")
    if reftype not in _ENTRIES:
        return
    key, node, tag, what = _ENTRIES[reftype]
    own = entries.get(key)
    if own is None:
        raise HeaderError(f"has no entry {key!r}", f"a {reftype} reference has {what} there")
    if own != ("alias", "") and (own[0] != node or tag not in own[1]):
        raise HeaderError(f"its entry {key!r} is not {what}", f"a {reftype} reference has {what} there")


def _scan(text: bytes) -> tuple[dict[str, tuple[str, str]], int]:
    """Return the entries of a YAML mapping, with kind and tag of their nodes, and how many blocks it needs."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries: dict[str, tuple[str, str]] = {}
    key: str | None = None  # the entry whose node comes next
    blocks = depth = 0
    last: str | None = None
    for event in yaml.parse(text, Loader=loader):
        if depth == 1 and isinstance(event, yaml.NodeEvent):
            if key is None:
                key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            else:
                entries[key], key = _node(event), None
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_YAML_DEPTH:
                raise HeaderError(f"more than {MAX_YAML_DEPTH} levels deep", "give a reference file")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        value = event.value if isinstance(event, yaml.ScalarEvent) else None
        if last == "source" and value is not None and value.isdecimal():  # of an array: the number of its block
            blocks = max(blocks, int(value[:9]) + 1)
        last = value
    return entries, blocks


def _node(event: object) -> tuple[str, str]:
    import yaml

    kinds = {yaml.MappingStartEvent: "mapping", yaml.SequenceStartEvent: "sequence", yaml.AliasEvent: "alias"}
    return kinds.get(type(event), "scalar"), getattr(event, "tag", None) or ""


def _count_blocks(file: BinaryIO, position: int) -> int:
    """Return how many binary blocks follow the text, all of them whole.

    Raises
    ------
    HeaderError
        If the last of them is cut off.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(position)
    start = file.read(_PADDING).find(_MAGIC)
    position += max(start, 0)
    count = 0
    while True:
        file.seek(position)
        head = file.read(6 + _HEADER.size)
        if head[:4] != _MAGIC:
            return count
        if len(head) < 6 + _HEADER.size:
            raise HeaderError(f"truncated: its binary block {count} ends in its header", "get the file again")
        flags, _, kept, used, _ = _HEADER.unpack_from(head, 6)
        begin = position + 6 + struct.unpack_from(">H", head, 4)[0]
        count += 1
        if flags & _STREAMED:
            return count
        if begin + used > size:
            wrong = f"truncated: {size} bytes, its binary block {count - 1} needs {begin + used}"
            raise HeaderError(wrong, "get the file again")
        position = begin + kept
        if position > size:  # what is kept free need not be there
            return count
