"""Fetching the exposures of a programme: what there is, what is missing, and that."""

import os
import queue
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from calflow.archive.selection import ArchivedExposure, archived_exposures, exposure_of, is_imaging, selected
from calflow.configuration.downloading import Download
from calflow.configuration.problems import InputError, Problem
from calflow.configuration.settings import Settings
from calflow.files.names import other_packing
from calflow.printable import printable
from calflow.web.client import WebError
from calflow.web.crds_server import locked
from calflow.web.mast import TOKEN_VARIABLE, Archive, ArchiveFile, newest_pool, with_suffix

MB = 1e6
LOCK_TIMEOUT = 5.0  # seconds
Tell = Callable[[str], None]


@dataclass
class Listing:
    """What the archive has of a programme, as far as it is wanted, and what of it is there.

    Attributes
    ----------
    program : int
    folder : Path
        Where the files belong.
    files : list of (ArchiveFile, ArchivedExposure or None)
        Those that are wanted, the pool without an exposure.
    there : set of str
        The names of those that are in the folder, packed or not.
    other : dict of str to int
        Names and sizes of those that are there with another size than the archive's.
    left_out : list of str
        What is not fetched, and why, in words.
    """

    program: int
    folder: Path
    files: list[tuple[ArchiveFile, ArchivedExposure | None]]
    there: set[str] = field(default_factory=set)
    other: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[ArchiveFile]:
        """The files that are to be fetched."""
        return [file for file, _ in self.files if file.name not in self.there and file.name not in self.other]

    def lines(self) -> Iterator[str]:
        """Yield what there is, as a table, and what is to be known of it."""
        total = sum(file.size for file, _ in self.files)
        yield f"programme {self.program}: {_files(len(self.files))}, {_mb(total)}, for {str(self.folder)!r}"
        groups: dict[tuple[str, ...], list[ArchiveFile]] = {}
        for file, exposure in self.files:
            key: tuple[str, ...] = ("", "association pool", "", "")
            if exposure is not None:
                filters = " ".join(name for name in exposure.filters if name != "CLEAR")
                key = (exposure.observation, exposure.targets[0], exposure.instrument, filters)
            groups.setdefault(key, []).append(file)
        rows: list[tuple[str, ...]] = [("obs", "target", "instrument", "filter", "files", "MB", "there")]
        for key, files in sorted(groups.items(), key=lambda item: (int(item[0][0] or 0), item[0])):
            there = sum(file.name in self.there for file in files)
            rows.append((*key, str(len(files)), f"{sum(file.size for file in files) / MB:.0f}", str(there)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        yield ""
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield ""
        yield from self.left_out
        if closed := sum(not file.is_public for file in self.missing):
            has = "is set" if os.environ.get(TOKEN_VARIABLE) else "is not set"
            yield f"{_files(closed)} of these {'is' if closed == 1 else 'are'} proprietary: {TOKEN_VARIABLE} {has}"


def print_at_once(line: str) -> None:
    """Print a line, also where the output goes into a file or a pipe."""
    print(line, flush=True)


def download(
    settings: Settings,
    files: Sequence[Path] = (),
    *,
    dry: bool = False,
    tell: Tell = print_at_once,
    retries: int = 4,
) -> int:
    """List what the archive has of a programme, and fetch what is missing; return the exit status.

    Parameters
    ----------
    settings : Settings
    files : sequence of Path
        The configuration files, the strongest first.
    dry : bool
        Whether nothing is fetched.
    tell : callable
        Is given each line that there is to say.
    retries : int
        Number of further attempts after a failure that may pass.

    Returns
    -------
    int
        0 if everything that is wanted is there now, or nothing was to be fetched; 1 if something is not.

    Raises
    ------
    InputError
        If the configuration asks for nothing, or for what there is not.
    """

    def say(line: str) -> None:
        tell(printable(line))

    wanted = settings.download
    archive = Archive(wanted.url, os.environ.get(TOKEN_VARIABLE), retries)
    try:
        with settings.locating(files):
            listing = list_files(wanted, Path(wanted.folder or settings.input), archive)
    except WebError as error:
        say(f"nothing is fetched: {error}")
        return 1
    for line in listing.lines():
        say(line)
    failed = {
        name: f"is there with {size} bytes, in the archive it has {_size_of(name, listing)}: delete it to have that"
        for name, size in listing.other.items()
    }
    if not dry and listing.missing:
        try:
            failed |= _fetch(listing, archive, wanted.at_once, say)
        except WebError as error:
            say(f"nothing is fetched: {error}")
            return 1
    for name, why in sorted(failed.items()):
        say(f"failed: {name}: {why}")
    unfetched = [file for file in listing.missing if dry or file.name in failed]
    counts = f"{len(listing.missing) - len(unfetched)} fetched, {len(listing.there)} were there"
    if dry:
        counts = f"{_files(len(unfetched))} would be fetched, {len(listing.there)} are there"
    say(counts + (f", {len(failed)} failed: the next call goes on from here" if failed else ""))
    return 1 if failed else 0


def list_files(wanted: Download, folder: Path, archive: Archive) -> Listing:
    """Ask the archive what it has of a programme, and look what of it is in a folder.

    Parameters
    ----------
    wanted : Download
    folder : Path
    archive : Archive

    Raises
    ------
    WebError
        If the archive does not answer.
    InputError
        If no programme is given, or it has nothing of what is wanted.
    """
    if wanted.program is None:
        right = "give the number of the programme, such as --config download='{program: 1234}'"
        raise InputError([Problem("config", "download.program", "is not set", right)])
    exposures = archived_exposures(archive.exposures(wanted.program))
    if not exposures:
        wrong = f"the archive has no exposures of programme {wanted.program}"
        raise InputError([Problem("config", "download.program", wrong, "give the number of another")])
    kept, problems = selected(exposures, wanted)
    if problems:
        raise InputError(problems)
    images = {exposure.name: exposure for exposure in kept if is_imaging(exposure)}
    others = Counter(exposure.exp_type for exposure in kept if not is_imaging(exposure))
    found = archive.files(list(images))
    files = [(file, exposure_of(file.name, images)) for file in with_suffix(found, wanted.products)]
    listing = Listing(wanted.program, folder, [(file, exposure) for file, exposure in files if exposure])
    listing.left_out = [f"left out: {n} exposures of type {kind}, no imaging" for kind, n in sorted(others.items())]
    having = {exposure.name for _, exposure in listing.files if exposure}
    if without := len(images) - len(having):
        suffixes = " or ".join(f"_{suffix}" for suffix in wanted.products)
        listing.left_out.append(f"left out: {without} exposures of which the archive has no {suffixes}")
    if wanted.pool:
        if pool := newest_pool(found, wanted.program):
            listing.files.append((pool, None))
        else:
            listing.left_out.append("left out: the pool, which the archive does not list")
    for file, _ in listing.files:
        path = folder / file.name
        if path.is_file() and path.stat().st_size != file.size:
            listing.other[file.name] = path.stat().st_size
        elif path.is_file() or Path(other_packing(str(path))).is_file():
            listing.there.add(file.name)
    return listing


def _fetch(listing: Listing, archive: Archive, at_once: int, say: Tell) -> dict[str, str]:
    """Fetch what is missing, a few files at once; return the names of those that failed, with the reasons."""
    missing, folder = listing.missing, listing.folder
    total = sum(file.size for file in missing)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < total:
            raise WebError(f"{folder}: {_mb(free)} are free, {_mb(total)} are needed")
        with locked(folder, LOCK_TIMEOUT):
            say(f"fetching {_files(len(missing))}, {_mb(total)}, {at_once} at once")
            return _fetch_all(missing, folder, archive, at_once, say)
    except OSError as error:
        raise WebError(f"{error.filename or folder}: {error.strerror}") from None


def _fetch_all(
    missing: Sequence[ArchiveFile], folder: Path, archive: Archive, at_once: int, say: Tell
) -> dict[str, str]:
    waiting: queue.SimpleQueue[ArchiveFile] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[ArchiveFile, str | None]] = queue.SimpleQueue()
    for file in missing:
        waiting.put(file)

    def work() -> None:
        while True:
            try:
                file = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                archive.download(file, folder / file.name)
            except WebError as error:
                done.put((file, str(error)))
            except Exception as error:  # a defect of ours must not leave the others waiting for ever
                done.put((file, repr(error)))
            else:
                done.put((file, None))

    # Daemons: after a Ctrl-C what they have so far stays, and is gone on with.
    for _ in range(min(at_once, len(missing))):
        threading.Thread(target=work, daemon=True).start()
    failed = {}
    for number in range(1, len(missing) + 1):
        file, why = done.get()
        say(f"[{number}/{len(missing)}] {file.name} {_mb(file.size)}" + (": failed" if why else ""))
        if why:
            failed[file.name] = why
    return failed


def _size_of(name: str, listing: Listing) -> int:
    return next(file.size for file, _ in listing.files if file.name == name)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _mb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / MB:.1f} MB"
