"""Ways in which files are wrong: by chance, and by what their format allows to lie about.

Every function takes a random generator and a content and returns another content; the same generator gives the same.
"""

import bz2
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, NamedTuple

CARD, BLOCK = 80, 2880
BOMB_MEGABYTES = 300  # that a small packed file unpacks to

Mutation = Callable[[Random, bytes], bytes]

NUMBERS = [
    *"0 -0 1 -1 7 255 65536 2147483647 2147483648 -2147483649 9223372036854775807 9223372036854775808".split(),
    *"1e308 -1e308 1e309 1e-320 -0.0 0.5 NaN nan -inf Infinity .inf .nan 1E400 1D5 0x10 0o17 1_000 +5 1.2.3".split(),
    *"1e 90 -90 95 360 1e6 1e18 ٣ ½".split(),
    *("1" + "0" * 30, "9" * 400, "9" * 5000),
]
CHARACTERS = ["\0", "\x1b[31m", "\r", "\n", "\t", "\x7f", "\x85", "\u2028", "é", "\u202e", "\ufeff", "💥", "\ud800"]
TEXTS = [
    *(
        "",
        " ",
        "'",
        '"',
        "&",
        "*",
        "{}",
        "{x}",
        "..",
        "../../x",
        "/",
        "/dev/null",
        "~",
        "~nobody",
        "$HOME",
        "%s",
        "%(a)s",
    ),
    *("N/A", "none", "null", "true", "T", "F", "COMPLETE", "SKIPPED", "ANY", "GENERIC", "a" * 300, "a/b" * 100, "x\0y"),
    *(
        "!!python/object/apply:os.system [true]",
        "`id`",
        "<!ENTITY x>",
        "2023-02-30",
        "2023-03-12",
        "07:47:13",
        "24:00:00",
    ),
    *("0001-01-01", "9999-12-31T23:59:59", "2023-W10-7", "2023-03-12T07:47:13+14:00", "-0001-01-01", "a\u0301" * 20),
    *CHARACTERS,
    *NUMBERS,
]


def encoded(text: str) -> bytes:
    """Return a text as bytes; halves of characters are written as they are."""
    return text.encode("utf-8", "surrogatepass")


# Any file -----------------------------------------------------------------------------------------------


def damaged(random: Random, content: bytes) -> bytes:
    """Return a content as a bad disk, line or program leaves it."""
    # Mostly at the beginning, where headers are.
    length = random.choice((2880, 20_000, len(content)))
    start, rest = content[:length], content[length:]
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        start = random.choice(_DAMAGES)(random, start)
    return start if random.random() < 0.05 else start + rest


def _flip(random: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 3, 30)) if content else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(random: Random, content: bytes) -> bytes:
    return content[: random.randint(0, len(content))]


def _part(random: Random, content: bytes) -> tuple[int, int]:
    start = random.randint(0, len(content))
    return start, min(len(content), start + random.choice((1, 8, 80, 800, 2880)))


def _remove(random: Random, content: bytes) -> bytes:
    start, end = _part(random, content)
    return content[:start] + content[end:]


def _repeat(random: Random, content: bytes) -> bytes:
    start, end = _part(random, content)
    return content[:start] + content[start:end] * random.choice((2, 3, 100)) + content[end:]


def _swap(random: Random, content: bytes) -> bytes:
    (a, b), (c, d) = sorted((_part(random, content), _part(random, content)))
    return content if b > c else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _overwrite(random: Random, content: bytes) -> bytes:
    start, end = _part(random, content)
    return content[:start] + random.choice((b"\0", b"\xff", b" ", b"\n", b"[")) * (end - start) + content[end:]


def _insert(random: Random, content: bytes) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + encoded(random.choice(TEXTS)) * random.choice((1, 1, 50)) + content[at:]


def _other_number(random: Random, content: bytes) -> bytes:
    found = list(re.finditer(rb"[+-]?\d[\d.eE+-]*", content[:200_000]))
    if not found:
        return content
    match = random.choice(found)
    return content[: match.start()] + encoded(random.choice(NUMBERS)) + content[match.end() :]


def _other_encoding(random: Random, content: bytes) -> bytes:
    text = content.decode("latin-1")
    return random.choice(
        (
            b"\xef\xbb\xbf" + content,
            encoded(text),
            text.encode("utf-16"),
            text.encode("utf-32"),
            content.replace(b"\n", b"\r\n"),
            content.replace(b"\n", b"\r"),
        )
    )


def packed(random: Random, content: bytes) -> bytes:
    """Return a content packed, or a small file that unpacks to a large one."""
    pack = random.choice((_gzip, bz2.compress, _zip, zlib.compress))
    return _bomb(pack, random.choice((b"\0", b"\n", b"1 2\n"))) if random.random() < 0.2 else pack(content)


@cache
def _bomb(pack: Callable[[bytes], bytes], filling: bytes) -> bytes:
    return pack(filling * (2**20 // len(filling))) * BOMB_MEGABYTES


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def _zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("x"), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _empty(random: Random, content: bytes) -> bytes:
    return random.choice((b"", b"\n", b" ", b"\0", b"\0" * 2880, b" " * 2880, b"\n" * 100_000))


_DAMAGES = (
    [_flip, _cut, _remove, _repeat, _swap, _overwrite, _insert, _other_number] * 6 + [_other_encoding] * 2 + [_empty]
)


# FITS -------------------------------------------------------------------------------------------------

_STRUCTURE = (
    "SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 NAXIS3 PCOUNT GCOUNT TFIELDS EXTNAME EXTVER ZIMAGE EXTEND TFORM1 "
    "TTYPE1 TDIM1 TNULL1 BSCALE BZERO BLANK THEAP GROUPS INHERIT"
).split()
_FIELDS = [
    *(f"'{text}'" for text in TEXTS),
    *NUMBERS,
    *(
        "",
        "T",
        "F",
        "t",
        "X",
        "(1.0, 2.0)",
        "'unclosed",
        "'a''b'",
        "''",
        "'  '",
        "'x&'",
        "T / comment",
        "/ only",
        "1 2",
    ),
    *(
        "IMAGE",
        "'IMAGE   '",
        "'BINTABLE'",
        "'TABLE   '",
        "'FOREIGN '",
        "'SCI'",
        "'ERR'",
        "'DQ'",
        "8",
        "16",
        "32",
        "-32",
        "-64",
    ),
    *("2", "3", "999", "1000", "100000", "-1", "1.0", "2.0E0", "'2'"),
]


def fits_with_lies(random: Random, content: bytes) -> bytes:
    """Return a FITS file whose headers say other things than before, with its data behind them as they were."""
    hdus = _hdus(content)
    for _ in range(random.choice((1, 1, 1, 2, 4, 20))):
        header = random.choice(hdus)[0]
        random.choice(_LIES)(random, header)
    if random.random() < 0.05:
        _rearrange(random, hdus)
    return b"".join(_header(cards) + data for cards, data in hdus)


def _rearrange(random: Random, hdus: list) -> None:
    how = random.randrange(3)
    if how == 0:
        random.shuffle(hdus)
    elif how == 1:
        hdus.append(random.choice(hdus))
    else:
        hdus.pop(random.randrange(len(hdus)))
    if not hdus:
        hdus.append(([], b""))


def _hdus(content: bytes) -> list[tuple[list[bytes], bytes]]:
    """Split a sound file into its headers, as lists of cards, and what is behind each up to the next."""
    starts = [match.start() for match in re.finditer(rb"SIMPLE  = |XTENSION= ", content) if match.start() % BLOCK == 0]
    hdus = []
    for start, stop in zip(starts, [*starts[1:], len(content)], strict=True):
        part = content[start:stop]
        cards = [part[at : at + CARD] for at in range(0, len(part), CARD)]
        end = next(number for number, card in enumerate(cards) if card == b"END".ljust(CARD))
        length = -(-(end + 1) * CARD // BLOCK) * BLOCK
        hdus.append((cards[: end + 1], part[length:]))
    return hdus


def _header(cards: Sequence[bytes]) -> bytes:
    joined = b"".join(cards)
    return joined + b" " * (-len(joined) % BLOCK)


def _card(keyword: str, field: str) -> bytes:
    """Return cards of a value, long ones cut to 80 bytes."""
    return encoded(f"{keyword:8}= {field}")[:CARD].ljust(CARD)


def _some(random: Random, cards: list[bytes]) -> int:
    return random.randrange(len(cards)) if cards else 0


def _other_value(random: Random, cards: list[bytes]) -> None:
    at = _some(random, cards)
    keyword = cards[at][:8].decode("latin-1").strip() if cards else "X"
    cards[at : at + 1] = [_card(keyword, random.choice(_FIELDS))]


def _other_structure(random: Random, cards: list[bytes]) -> None:
    keyword = random.choice(_STRUCTURE)
    card = _card(keyword, random.choice(_FIELDS))
    at = next((n for n, old in enumerate(cards) if old.startswith(keyword.ljust(8).encode())), None)
    if at is None:
        cards.insert(_some(random, cards), card)
    else:
        cards[at] = card


def _lost_card(random: Random, cards: list[bytes]) -> None:
    if cards:
        cards.pop(_some(random, cards))


def _second_card(random: Random, cards: list[bytes]) -> None:
    if cards:
        keyword = random.choice(cards)[:8].decode("latin-1").strip()
        cards.insert(_some(random, cards), _card(keyword, random.choice(_FIELDS)))


def _other_keyword(random: Random, cards: list[bytes]) -> None:
    at = _some(random, cards)
    if cards:
        name = random.choice(
            ("END", "END     x", "CONTINUE", "COMMENT", "HIERARCH", "", "abc", "é", "\0\0", *_STRUCTURE)
        )
        cards[at] = encoded(name)[:8].ljust(8) + cards[at][8:]


def _moved_end(random: Random, cards: list[bytes]) -> None:
    if cards:
        cards.pop()
    how = random.randrange(4)
    if how == 0:
        cards.insert(_some(random, cards), b"END".ljust(CARD))
    elif how == 1:
        cards.append(b"END" + b"\0" * 77)
    elif how == 2:
        cards += [b" " * CARD] * random.choice((1, 36, 3600))


def _continued(random: Random, cards: list[bytes]) -> None:
    keyword = random.choice(("EXTNAME", "FILTER", "TELESCOP", "LONG", "TCATFILE", "DATE-OBS", "P_FILTER"))
    chain = [_card(keyword, "'a&'")]
    piece = random.choice(("'b&'", "'&'", "'b", "b", "", "'" + "c" * 60 + "&'", "'é&'", "'''&'"))
    chain += [encoded(f"CONTINUE  {piece}")[:CARD].ljust(CARD)] * random.choice((1, 10, 1000, 20_000))
    at = _some(random, cards)
    cards[at:at] = chain


def _many_cards(random: Random, cards: list[bytes]) -> None:
    at = _some(random, cards)
    count = random.choice((100, 5000, 40_000))
    name = random.choice(("K{}", "COMMENT", "HISTORY", "SAME"))
    cards[at:at] = [_card(name.format(number), "1") for number in range(count)]


def _spoiled_card(random: Random, cards: list[bytes]) -> None:
    if cards:
        at = _some(random, cards)
        cards[at] = _flip(random, cards[at])


def _shifted(random: Random, cards: list[bytes]) -> None:
    if cards:
        at = _some(random, cards)
        cards[at] = cards[at][: random.randrange(CARD)]


def _two_cards_changed_places(random: Random, cards: list[bytes]) -> None:
    if cards:
        a, b = _some(random, cards), _some(random, cards)
        cards[a], cards[b] = cards[b], cards[a]


_LIES = (
    [_other_value] * 12
    + [_other_structure] * 6
    + [_lost_card, _second_card, _other_keyword] * 3
    + [_moved_end, _continued, _spoiled_card, _shifted, _two_cards_changed_places]
) * 3 + [_many_cards]


# Trees: JSON and YAML ---------------------------------------------------------------------------------

Tree = Any


class Twice(dict):
    """An object that says a key twice, with two values."""

    def __init__(self, values: dict, key: str, second: Tree):
        super().__init__(values)
        self.key, self.second = key, second


_VALUES: list[Tree] = [
    *TEXTS,
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        0.5,
        -1e308,
        1e308,
        float("nan"),
        float("inf"),
        10**30,
        -(10**400),
        2**63,
        1e-320,
    ),
    *([], {}, [[]], [{}], {"": None}, [None], [1, 2], ["a", 1], {"a": {"b": []}}, [[], []], ["x"] * 1000),
]


def other_tree(random: Random, tree: Tree) -> Tree:
    """Return a tree with something else in some places of it."""
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        place = random.choice(list(_places(tree)))
        tree = _changed(random, tree, place)
    return tree


def _places(tree: Tree, place: tuple = ()) -> Any:
    yield place
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _places(value, (*place, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree[:50]):
            yield from _places(value, (*place, number))


def _changed(random: Random, tree: Tree, place: tuple) -> Tree:
    if not place:
        return _other_node(random, tree)
    if isinstance(tree, dict):
        changed = dict(tree)
        changed[place[0]] = _changed(random, tree[place[0]], place[1:])
        return changed
    changed_list = list(tree)
    changed_list[place[0]] = _changed(random, tree[place[0]], place[1:])
    return changed_list


def _other_node(random: Random, node: Tree) -> Tree:
    if isinstance(node, dict) and node and random.random() < 0.6:
        return _other_keys(random, node)
    if isinstance(node, list) and node and random.random() < 0.5:
        how = random.randrange(4)
        item = random.choice(node)
        return [[], [*node, item], [*node, random.choice(_VALUES)], node * random.choice((2, 300))][how]
    how = random.random()
    if how < 0.06:
        return _deep(random, node)
    if how < 0.12:
        return [node]
    if how < 0.16:
        return {"name": node}
    if how < 0.19:
        return str(node)[:1000] * random.choice((1, 10, 20_000))
    if isinstance(node, int | float) and how < 0.7:  # of its kind
        return random.choice([value for value in _VALUES if isinstance(value, int | float)])
    if isinstance(node, str) and node and how < 0.4:
        at = random.randrange(len(node))
        return node[:at] + random.choice(TEXTS) + node[at + random.choice((0, 1, 5)) :]
    return random.choice(_VALUES)


def _other_keys(random: Random, node: dict) -> dict:
    key = random.choice(list(node))
    rest = {name: value for name, value in node.items() if name != key}
    how = random.randrange(5)
    if how == 0:
        return rest
    if how == 1:
        return rest | {random.choice((f"{key}x", str(key)[1:], str(key).upper(), random.choice(TEXTS))): node[key]}
    if how == 2:
        return node | {random.choice(TEXTS): random.choice(_VALUES)}
    if how == 3:
        return Twice(node, key, random.choice(_VALUES))
    return node | {key: random.choice(_VALUES)}


def _deep(random: Random, node: Tree) -> Tree:
    for _ in range(random.choice((5, 60, 300))):
        node = random.choice(([node], {"a": node}))
    return node


def json_text(random: Random, content: bytes) -> bytes:
    """Return a JSON file with another tree, or with what is no JSON in it."""
    how = random.random()
    if how < 0.25:
        return damaged(random, content)
    if how < 0.3:
        return encoded(random.choice(_NOT_JSON)(random))
    text = to_json(other_tree(random, json.loads(content)))
    return damaged(random, encoded(text)) if random.random() < 0.1 else encoded(text)


_NOT_JSON: list[Callable[[Random], str]] = [
    lambda random: random.choice("[{") * random.choice((10, 1000, 100_000)),
    lambda random: '{"a":' * random.choice((100, 100_000)),
    lambda random: "[" * 100_000 + "]" * 100_000,
    lambda random: "9" * random.choice((4000, 5000, 1_000_000)),
    lambda random: '{"products": ' + "9" * 5000 + "}",
    lambda random: '{"products": [' + "1e" * 3 + "]}",
    lambda random: '"' + "\\ud800" * 3 + '"',
    lambda random: '{"products": NaN}',
    lambda random: "{}" + "{}",
    lambda random: "// comment\n{}",
]


LONGEST = 10**7  # characters of a text, about, where it is cut off


def to_json(tree: Tree) -> str:
    """Return a tree as JSON, keys that stand twice and numbers that JSON has not included."""
    pieces: list[str] = []
    length = 0
    # Without recursion, since trees may be deep.
    todo = [tree]
    while todo and length < LONGEST:
        node = todo.pop()
        if isinstance(node, _Raw):
            pieces.append(node.text)
        elif isinstance(node, dict):
            items = [*node.items(), *([(node.key, node.second)] if isinstance(node, Twice) else [])]
            todo.append(_Raw("}"))
            for number, (key, value) in reversed(list(enumerate(items))):
                todo += [value, _Raw((", " if number else "") + json.dumps(str(key)) + ": ")]
            todo.append(_Raw("{"))
        elif isinstance(node, list):
            todo.append(_Raw("]"))
            for number, value in reversed(list(enumerate(node))):
                todo += [value, *([_Raw(", ")] if number else [])]
            todo.append(_Raw("["))
        else:
            pieces.append(json.dumps(node))
            length += len(pieces[-1])
    return "".join(pieces)


class _Raw(NamedTuple):
    text: str


def yaml_text(random: Random, content: bytes) -> bytes:
    """Return a YAML file with another tree, or with anchors, tags and other of YAML's own ways in it."""
    import yaml

    how = random.random()
    if how < 0.2:
        return damaged(random, content)
    if how < 0.45:
        return _with_yaml_ways(random, content)
    # JSON is YAML, and says what YAML's writer refuses to: keys twice, halves of characters.
    text = encoded(to_json(other_tree(random, yaml.safe_load(content))))
    return _with_yaml_ways(random, text) if random.random() < 0.1 else text


_YAML_SCALARS = [
    *(
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "!unknown x",
        "!!binary aGFsbG8=",
        "!!binary x",
    ),
    *(
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!!pairs [a: 1]",
        "!!timestamp 2023-01-01",
        "2023-01-01",
        "2023-13-01",
        "1:30:00",
    ),
    *(
        "!!int x",
        "!!float y",
        "!!bool z",
        "!!null w",
        "!!int 1_0",
        "0b11",
        "0x_",
        "~",
        "yes",
        "off",
        ".nan",
        "-.inf",
        "+.inf",
    ),
    *(
        "&a [*a]",
        "&a {b: *a}",
        "*missing",
        "<<: 1",
        "{<<: [1, 2]}",
        "? [a, b]\n: c",
        "{[a]: b}",
        "{{a: 1}: 2}",
        "{1: 2}",
    ),
    *(
        "{null: 1, true: 2}",
        "{2023-01-01: 1}",
        "{1.5: x}",
        "{.nan: 1}",
        "| \n  x",
        "> x",
        "'",
        '"',
        "@x",
        "`x",
        "%x",
        "- - - a",
    ),
    *(
        "!!str 5",
        "!!map []",
        "!!seq {}",
        "!core/asdf-1.1.0 {}",
        "!<tag:x> y",
        "!!float 1e400",
        "0o8",
        "1__0",
        "[",
        "}",
        "--- a",
    ),
    *("190:20:30", "!!int 1:60", "!!bool yes", "!!value =", "=", "!!merge <<", "{=: 1}", "\t x"),
]


def _with_yaml_ways(random: Random, content: bytes, levels_of_aliases: Sequence[int] = (2, 3)) -> bytes:
    """Return a YAML text with aliases of aliases, or one of YAML's own ways in one line.

    Snakemake itself follows each alias of a configuration, so that there can be few.
    """
    how = random.randrange(5)
    if how == 0:
        levels = random.choice(levels_of_aliases)
        lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
        return content.rstrip(b"\n") + encoded("\n" + "\n".join(lines) + "\n")
    lines_of = content.split(b"\n")
    at = random.randrange(len(lines_of))
    if how == 1:
        lines_of.insert(at, encoded(random.choice(_YAML_SCALARS)))
        return b"\n".join(lines_of)
    if how == 2:
        deep = random.choice((50, 400, 3000))
        opening, closing = random.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")))
        key = lines_of[at].partition(b":")[0]
        lines_of[at] = key + b": " + encoded(opening * deep + "x" + closing * deep)
        return b"\n".join(lines_of)
    if how == 3:
        lines_of.insert(
            at, random.choice((b"---", b"...", b"%YAML 3.0", b"%TAG ! tag:x,", b"\t", b"key: value", b"- x"))
        )
        return b"\n".join(lines_of)
    key, colon, _ = lines_of[at].partition(b":")
    lines_of[at] = key + colon + b" " + encoded(random.choice(_YAML_SCALARS + TEXTS))
    return b"\n".join(lines_of)


def asdf_text(random: Random, content: bytes) -> bytes:
    """Return an ASDF file whose YAML text is another; its blocks stay."""
    how = random.random()
    if how < 0.3:
        return damaged(random, content)
    if how < 0.35:
        return packed(random, content)
    end = content.find(b"\n...")
    text, blocks = content[:end], content[end:]
    if how < 0.6:
        return _with_yaml_ways(random, text, (3, 9, 30)) + blocks
    lines = text.split(b"\n")
    for _ in range(random.choice((1, 1, 3, 10))):
        at = random.randrange(len(lines))
        key, colon, value = lines[at].partition(b": ")
        value = random.choice((encoded(random.choice(TEXTS)), encoded(random.choice(_YAML_SCALARS)), value * 50, b""))
        lines[at] = key + colon + value
    return b"\n".join(lines) + blocks


# Lines of text: .cfg, tables, Python of CRDS ------------------------------------------------------------


def lines_of_text(random: Random, content: bytes) -> bytes:
    """Return a text with lines and words changed, lost, doubled and moved."""
    if random.random() < 0.3:
        return damaged(random, content)
    lines = content.split(b"\n")
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(lines))
        how = random.randrange(6)
        if how == 0:
            lines.pop(at)
            lines = lines or [b""]
        elif how == 1:
            lines.insert(at, random.choice(lines))
        elif how == 2:
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif how == 3:
            words = re.split(rb"(\s+|[=:,|'\"\[\](){}])", lines[at][:100_000])
            words[random.randrange(len(words))] = encoded(random.choice(TEXTS))
            lines[at] = b"".join(words)
        elif how == 4:
            lines[at] = lines[at][:10_000] * random.choice((2, 1000))
        else:
            lines[at] = (
                random.choice((b"[", b"[[", b"[[[[x]]]]", b"'''", b'"""', b"(" * 300, b"-" * 3000, b"x = [", b"{" * 90))
                + lines[at]
            )
    return b"\n".join(lines)


def table(random: Random, content: bytes) -> bytes:
    """Return a table, FITS or text, packed or not, with something else in it."""
    if content.startswith(b"\x1f\x8b"):
        inside = table(random, gzip.decompress(content))
        return random.choice((_gzip(inside), _gzip(inside), damaged(random, content)))
    if random.random() < 0.05:
        return packed(random, content)
    return (fits_with_lies if content.startswith(b"SIMPLE") else lines_of_text)(random, content)


def remembered(random: Random, content: bytes) -> bytes:
    """Return a file of remembered JSON, one in each line behind tabs, with something else in one of them."""
    if random.random() < 0.3:
        return lines_of_text(random, content)
    lines = content.split(b"\n")
    at = random.randrange(len(lines))
    *before, text = lines[at].split(b"\t")
    lines[at] = b"\t".join([*before, json_text(random, text if text.startswith((b"{", b"[")) else b"{}")])
    return b"\n".join(lines)


def mixed(*mutations: Mutation) -> Mutation:
    """Return a mutation that is one of several each time."""

    def mutate(random: Random, content: bytes) -> bytes:
        return random.choice(mutations)(random, content)

    return mutate
