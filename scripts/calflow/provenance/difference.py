"""Why two products of one name differ: in what their contents do, and what was otherwise when they were made."""

import ast
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calflow.jobs.libraries import changes
from calflow.provenance.contents import differences, of_trees
from calflow.provenance.lineage import NO_RECORD, PRODUCT, REFERENCE, Lineage, Source, digest_of

INPUTS, REFERENCES, PARAMETERS, VERSIONS, CODE = "inputs", "references", "parameters", "versions", "code"
KINDS = (INPUTS, REFERENCES, PARAMETERS, VERSIONS, CODE)
MOST = 20  # lines of a kind in a text


@dataclass(frozen=True)
class Difference:
    """In what two products differ, and why.

    Attributes
    ----------
    first, second : str
        Their paths.
    same : bool
        Whether they have the same bytes.
    contents : list of str
        In what their contents differ.
    made : mapping of str to list of str
        For each of `KINDS` what was otherwise, and of which rule, when they were made, or what they were made of.
    unknown : list of str
        What cannot be told, and why.
    """

    first: str
    second: str
    same: bool
    contents: list[str] = field(default_factory=list)
    made: Mapping[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def tree(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        return vars(self) | {"made": dict(self.made)}

    def text(self) -> str:
        """Return all of it for people."""
        return "\n".join([f"first   {self.first}", f"second  {self.second}", "", *self._contents(), "", *self._made()])

    def _contents(self) -> Iterator[str]:
        if self.same:
            yield "They have the same bytes."
        elif self.contents:
            yield "Their contents differ:"
            yield from _some(self.contents)
        else:
            yield "They have the same content in other bytes."

    def _made(self) -> Iterator[str]:
        yield (
            "They were made with other:"
            if self.made
            else "No other inputs, parameters, versions or code are on record."
        )
        for kind, texts in self.made.items():
            yield f"  {kind}"
            yield from (f"  {text}" for text in _some(texts))
        yield from self.unknown


def difference_of(first: Lineage, second: Lineage) -> Difference:
    """Return why two products differ.

    Parameters
    ----------
    first, second : Lineage
        Of them.
    """
    files = [lineage.folder / lineage.product for lineage in (first, second)]
    same = first.digest == second.digest
    unknown: list[str] = []
    contents: list[str] = []
    try:
        contents = [] if same else differences(*files)
    except ValueError as error:
        unknown.append(f"In what their contents differ cannot be told: {error}")
    found: Counter[tuple[str, str]] = Counter()
    for one, other in _pairs(first, second):
        found.update(_between(first, one, second, other))
        for which, path, source in (("first", one, first.files[one]), ("second", other, second.files[other])):
            trouble = source.trouble or (
                "" if source.rule or path not in (first.product, second.product) else NO_RECORD
            )
            unknown += [f"{path} of the {which}: {trouble}"] if trouble else []
    made = {
        kind: [f"{text}{f' ({count} files)' if count > 1 else ''}" for (of, text), count in found.items() if of == kind]
        for kind in KINDS
        if any(of == kind for of, _ in found)
    }
    return Difference(str(files[0]), str(files[1]), same, contents, made, unknown)


def _pairs(first: Lineage, second: Lineage) -> Iterator[tuple[str, str]]:
    """Yield the files of two lineages that correspond by their names, as far as they are not known to be the same."""
    ahead, seen = deque([(first.product, second.product)]), set()
    while ahead:
        pair = ahead.popleft()
        if pair in seen:
            continue
        seen.add(pair)
        yield pair
        sources = first.files[pair[0]], second.files[pair[1]]
        names = [_by_name(source.made_of) for source in sources]
        for name in (name for name in names[0] if name in names[1]):
            one, other = names[0][name], names[1][name]
            digests = sources[0].made_of[one], sources[1].made_of[other]
            if not digests[0] or digests[0] != digests[1]:
                ahead.append((one, other))


def _by_name(paths: Iterable[str]) -> dict[str, str]:
    """Return paths by the names of the files; by themselves, where several have one name."""
    names = Counter(Path(path).name for path in paths)
    return {Path(path).name if names[Path(path).name] == 1 else path: path for path in paths}


def _between(first: Lineage, one: str, second: Lineage, other: str) -> Iterator[tuple[str, str]]:
    """Yield the kind, and a text, of what was otherwise when two files were made."""
    old, new = first.files[one], second.files[other]
    if old.kind != PRODUCT or new.kind != PRODUCT:
        kind = REFERENCES if REFERENCE in (old.kind, new.kind) else INPUTS
        digests = [digest_of(lineage.folder / path) for lineage, path in ((first, one), (second, other))]
        if digests[0] != digests[1] and all(digests):
            yield kind, f"{Path(one).name}: another content"
        return
    if not old.rule or not new.rule:  # no record
        return
    if old.rule != new.rule:
        yield CODE, f"{Path(one).name}: made by {old.rule} -> {new.rule}"
    if old.code != new.code:
        yield CODE, f"{new.rule}: {old.code or '(not on record)'} -> {new.code or '(not on record)'}"
    for change in changes(old.libraries, new.libraries):
        yield VERSIONS, f"{new.rule}: {change}"
    names = _by_name(old.made_of), _by_name(new.made_of)
    for lineage, own, others, which in ((first, *names, "first"), (second, *names[::-1], "second")):
        for name in (name for name in own if name not in others):
            kind = REFERENCES if lineage.files[own[name]].kind == REFERENCE else INPUTS
            yield kind, f"{new.rule}: {name} in the {which} alone"
    yield from ((PARAMETERS, f"{new.rule}: {text}") for text in _of_parameters(old, new))


def _of_parameters(old: Source, new: Source) -> Iterator[str]:
    """Yield in what the parameters of two jobs differ. Of those on record the names are not known."""
    left = [[*map(_value, source.parameters.values())] for source in (old, new)]
    for value in list(left[0]):
        if value in left[1]:
            for values in left:
                values.remove(value)
    for value in left[0]:
        alike = [other for other in left[1] if _are_alike(value, other)]
        if alike:
            left[1].remove(alike[0])
            yield from of_trees(value, alike[0])
        else:
            yield f"{value!r} in the first alone"
    yield from (f"{value!r} in the second alone" for value in left[1])


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _are_alike(one: Any, other: Any) -> bool:
    """Tell whether two mappings say values of the same things."""
    return isinstance(one, dict) and isinstance(other, dict) and len(one.keys() & other.keys()) * 2 > len(one | other)


def _some(texts: list[str]) -> Iterator[str]:
    yield from (f"  {text}" for text in texts[:MOST])
    if len(texts) > MOST:
        yield f"  and {len(texts) - MOST} more; `json` behind the products has all"


def as_json(difference: Difference) -> str:
    """Return a difference as JSON.

    Parameters
    ----------
    difference : Difference
    """
    return json.dumps(difference.tree(), indent=1)
