"""The lineage of a product: all that it was made of, down to exposures and reference files, as it is on record."""

import ast
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import file_digest
from pathlib import Path
from types import MappingProxyType
from typing import Any

from calflow.engine.graph_jobs import GraphJob
from calflow.engine.reasons import FOLLOWS
from calflow.engine.records import DamagedRecord, Record, read_record
from calflow.jobs.rules import stamps
from calflow.printable import shortened
from calflow.provenance.carrying import carried_by

PRODUCT, REFERENCE, INPUT = "product", "reference", "input"
CURRENT, STALE, UNKNOWN = "current", "stale", "unknown"  # what a run would say of a product today
CARRIED = "no record here; this is what it carries"
NO_RECORD = "no record of how it was made"
BEGINNING = 8640  # bytes in which a reference file says its type
SHORT = 12  # digits of a digest in a text
LONGEST = 110  # characters of a parameter in a text


@dataclass(frozen=True)
class Source:
    """A file of a lineage.

    Attributes
    ----------
    kind : str
        ``product``, which a job made; ``reference``; ``input``: all else.
    rule : str
        Of the job that made it.
    made_of : mapping of str to str
        The files that this job read, each with its digest then, such as ``sha256:...``; empty if it is not known.
    parameters : mapping of str to str
        What it was given, as Python writes it, by name; a name that is not known is the number of the parameter.
    code, libraries : str
        The hash of its code, and the libraries whose versions count.
    causes : tuple of str
        Why a run would make the file again.
    trouble : str
        What is wrong with the file or its record.
    """

    kind: str
    rule: str = ""
    made_of: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    libraries: str = ""
    causes: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Lineage:
    """A product and all that it was made of.

    Attributes
    ----------
    folder : Path
        Of the run, from which paths are.
    product : str
    digest : str
        Of the product as it is now; empty if it is not there.
    today : str
        ``current``: a run would leave it as it is; ``stale``: it would make it again; ``unknown``.
    files : mapping of str to Source
        By path; the product is the first.
    """

    folder: Path
    product: str
    digest: str
    today: str
    files: Mapping[str, Source]

    def tree(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        files = {path: asdict(source) for path, source in self.files.items()}
        return {"product": self.product, "digest": self.digest, "today": self.today, "files": files}

    def text(self) -> str:
        """Return all of it for people: what a run would do, the tree, and what each kind of job was given."""
        return "\n".join([*self._head(), "", *self._lines(), "", *self._jobs()]).rstrip()

    def _head(self) -> Iterator[str]:
        yield f"{self.product}" + (f" of the run in {self.folder}" if self.folder != Path() else "")
        yield f"  {self.digest or 'is not there'}"
        if self.today == CURRENT:
            yield "  is what would be made today"
        elif self.today == UNKNOWN:
            yield "  whether it is what would be made today is not known: this configuration does not make it"
        else:
            yield "  a run would make it again:"
            for (rule, causes), files in self._stale().items():
                yield f"    {rule}: {', '.join(causes)}" + (f" ({files} files)" if files > 1 else "")

    def _stale(self) -> Counter[tuple[str, tuple[str, ...]]]:
        """Return how many files would be made again, by the rule and the causes; of the product whatever these are."""
        return Counter(
            (source.rule, source.causes)
            for path, source in self.files.items()
            if source.causes and (path == self.product or source.causes != (FOLLOWS,))
        )

    def _lines(self) -> Iterator[str]:
        told = {self.product}

        def below(path: str, stem: str) -> Iterator[str]:
            made_of = self.files[path].made_of
            new = [name for name in made_of if name not in told]
            told.update(new)
            above = len(made_of) - len(new)
            for number, name in enumerate(new, 1):
                last = number == len(new) and not above
                yield f"{stem}{'└' if last else '├'} {self._line(name, made_of[name])}"
                yield from below(name, f"{stem}{' ' if last else '│'} ")
            if above:
                yield f"{stem}└ {above} of the files above"

        yield self._line(self.product, "")
        yield from below(self.product, "")

    def _line(self, path: str, digest: str) -> str:
        source = self.files[path]
        algorithm, _, digits = digest.partition(":")
        parts = [
            f"{path}  {source.rule or source.kind}",
            f"{algorithm} {digits[:SHORT]}" if digits else "",
            "stale" if source.causes else "",
            source.trouble,
        ]
        return ", ".join(filter(None, parts))

    def _jobs(self) -> Iterator[str]:
        alike: dict[tuple[str, str, str], list[Source]] = {}
        for source in self.files.values():
            if source.rule:
                alike.setdefault((source.rule, source.code, source.libraries), []).append(source)
        for (rule, code, libraries), sources in alike.items():
            yield f"{rule}: code {code or '(not on record)'}; {libraries or 'no libraries on record'}"
            for name in dict.fromkeys(name for source in sources for name in source.parameters):
                values = {source.parameters[name] for source in sources if name in source.parameters}
                (first, *others) = sorted(values)
                yield f"  {name}: " + (f"{len(values)} values" if others else shortened(first, LONGEST))


def lineage_of(
    folder: Path,
    product: str,
    today: Mapping[str, GraphJob] | None,
    is_reference: Callable[[str], bool] | None = None,
    digests: Callable[[Path], str] | None = None,
) -> Lineage:
    """Return the lineage of a product.

    Parameters
    ----------
    folder : Path
        Of the run that made it, with its records.
    product : str
        As the rules of that run have it.
    today : mapping of str to GraphJob, or None
        The jobs of today, by the files that they make. None: they are not known.
    is_reference : callable, optional
        Tells whether a path is that of a reference file; without it, what stands at the beginning of files does.
    digests : callable, optional
        Returns the digest of a file that no job made; without it, these have none.
    """
    files = sources_of(folder, [product], today or {}, is_reference, digests)
    state = UNKNOWN if today is None or product not in today else STALE if files[product].causes else CURRENT
    return Lineage(folder, product, digest_of(folder / product), state, files)


def sources_of(
    folder: Path,
    products: Iterable[str],
    jobs: Mapping[str, GraphJob] = MappingProxyType({}),
    is_reference: Callable[[str], bool] | None = None,
    digests: Callable[[Path], str] | None = None,
) -> dict[str, Source]:
    """Return all files that some products were made of, by their paths; the products themselves first.

    Parameters
    ----------
    folder, jobs, is_reference, digests
        As of `lineage_of`.
    products : iterable of str
        As the rules of that run have them.
    """
    is_reference = is_reference or (lambda path: says_reference(folder / path))
    asked = list(products)
    files: dict[str, Source] = {}
    ahead: deque[tuple[str, str | None]] = deque((product, None) for product in asked)
    while ahead:
        path, stamp = ahead.popleft()
        if path in files:
            continue
        files[path], stamped = _source(folder, path, stamp, jobs, is_reference, digests)
        if path in asked and not files[path].rule and (carried := _carried(folder / path)):
            files |= {path: carried.pop("")} | {name: each for name, each in carried.items() if name not in files}
            continue
        ahead.extend((name, stamped.get(name)) for name in files[path].made_of)
    return files


def digest_of(path: Path) -> str:
    """Return the digest of a file, such as ``sha256:...``; empty if it is not there.

    Parameters
    ----------
    path : Path
    """
    try:
        with path.open("rb") as file:
            return f"sha256:{file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return ""


def says_reference(path: Path) -> bool:
    """Tell whether a file says that it is a reference file, at its beginning, as FITS headers and ASDF trees do.

    Parameters
    ----------
    path : Path
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
    except OSError:
        return False
    return b"REFTYPE =" in beginning or b"reftype:" in beginning


def _source(
    folder: Path,
    path: str,
    stamp: str | None,
    jobs: Mapping[str, GraphJob],
    is_reference: Callable[[str], bool],
    digests: Callable[[Path], str] | None,
) -> tuple[Source, Mapping[str, str]]:
    """Return a file of a lineage, and the size and time on record of what it was made of."""
    job = jobs.get(path, GraphJob())
    told = tuple(f"{cause.kind}: {cause.about}" if cause.about else cause.kind for cause in job.causes)
    try:
        record = read_record(folder, path)
    except DamagedRecord as error:
        return Source(PRODUCT, causes=told, trouble=f"its record is damaged: {error}"), {}
    if record is None:
        kind = PRODUCT if path in jobs else REFERENCE if is_reference(path) else INPUT
        trouble = NO_RECORD if kind == PRODUCT else _trouble(folder, path, stamp)
        return Source(kind, causes=told, trouble=trouble), {}
    made_of = {name: record.digests.get(name, "") for name in record.inputs}
    if digests:
        unread = [name for name in made_of if not made_of[name] and not _trouble(folder, name, record.stamps.get(name))]
        made_of |= {name: digests(folder / name) for name in unread}
    parameters = named_parameters(record, job.parameters)
    return Source(PRODUCT, record.rule, made_of, parameters, record.code, record.libraries, told), record.stamps


def _carried(path: Path) -> dict[str, Source] | None:
    """Return what a file says itself of how it was made: itself without a name, and what it was made of, by name."""
    if path.suffix not in (".fits", ".ecsv"):
        return None
    try:
        tree = carried_by(path)
        if tree is None:
            return None
        files = {INPUT: tree["inputs"], REFERENCE: tree["references"]}
        made_of = {str(file["name"]): f"sha256:{file['sha256']}" for each in files.values() for file in each}
        parameters = {str(name): str(value) for name, value in tree["parameters"].items()}
        code, libraries = str(tree.get("code", "")), str(tree.get("libraries", ""))
        own = Source(PRODUCT, str(tree["rule"]), made_of, parameters, code, libraries, trouble=CARRIED)
        return {"": own} | {str(file["name"]): Source(kind) for kind, each in files.items() for file in each}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _trouble(folder: Path, path: str, stamp: str | None) -> str:
    """Return what is wrong with a file that no job made, of which size and time may be on record."""
    file = folder / path
    if not file.exists():
        return "is gone"
    (now,) = stamps([file]).values()
    return "" if stamp in (None, now) else "another file now"


def named_parameters(record: Record, now: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters on record, which have no names there, by the names that equal or like ones have today.

    Parameters
    ----------
    record : Record
    now : mapping of str to str
        The parameters of that job as they are today.
    """
    left, named, missing = list(record.parameters), {}, {}
    for name, value in now.items():
        if value in left:  # equal values stand there as often as they are given
            left.remove(value)
            named[name] = value
        else:
            missing[name] = value
    for name, value in missing.items():
        alike = [other for other in left if _form(other) == _form(value)]
        if len(alike) == 1:
            left.remove(alike[0])
            named[name] = alike[0]
    return {name: named[name] for name in now if name in named} | {str(n): value for n, value in enumerate(left, 1)}


def _form(value: str) -> Any:
    """Return of what kind a parameter is: the keys of a mapping, else its type."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return frozenset(found) if isinstance(found, dict) else type(found)
