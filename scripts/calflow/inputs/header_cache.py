"""What was found out about files, remembered between runs."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from calflow.whole_files import replace_text

MAX_CACHE_ENTRIES = 100_000
_CACHE_VERSION = "calflow headers 4"


class HeaderCache:
    """Headers of files, by path, size and time of modification, kept in one file between runs.

    The file has one line per entry: key, size and time, checksum, JSON, with tabs between. An entry is parsed when it
    is asked for, so that loading many costs little; the file is only ever replaced as a whole, so that runs beside
    each other see a complete one (the last to write wins, what is lost is read again). A broken file or entry, and
    one that is not as it was written, is as none.

    Parameters
    ----------
    path : Path
        The file; made, with its folder, at the first `save`.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._lines = self._load()
        self._new: dict[str, str] = {}

    def remembered(self, path: Path, kind: str, look: Callable[[], dict]) -> dict:
        """Return the entry of a file as it is now; if there is none, remember and return what `look` finds.

        Parameters
        ----------
        path : Path
            Of the file.
        kind : str
            Which of the things that are remembered of it.
        look : callable
            Takes the path, and returns what is to be remembered; JSON.

        Raises
        ------
        OSError
            If there is no such file; and what `look` raises, of which nothing is remembered.
        """
        status = path.stat()
        entry = self.get(path, status, kind)
        if entry is None:
            entry = look()
            self.put(path, status, kind, entry)
        return entry

    def get(self, path: Path, status: os.stat_result, kind: str) -> dict | None:
        """Return the entry of a file with this status, or None.

        Parameters
        ----------
        path : Path
            Of the file.
        status : os.stat_result
            Of the file, as it is now.
        kind : str
            Which of the things that are remembered of it.
        """
        name = self._name(path, kind)
        stamp, _, rest = self._lines.get(name, "").partition("\t")
        checksum, _, text = rest.partition("\t")
        if stamp != self._stamp(status) or checksum != _checksum(name, stamp, text):
            return None
        return json.loads(text)

    def put(self, path: Path, status: os.stat_result, kind: str, entry: dict) -> None:
        """Remember an entry; `save` writes it.

        Parameters
        ----------
        path : Path
            Of the file.
        status : os.stat_result
            Of the file, when it was looked at.
        kind : str
            Which of the things that are remembered of it.
        entry : dict
            JSON.
        """
        name, stamp, text = self._name(path, kind), self._stamp(status), json.dumps(entry, separators=(",", ":"))
        self._lines[name] = self._new[name] = f"{stamp}\t{_checksum(name, stamp, text)}\t{text}"

    def save(self) -> None:
        """Write the entries if there are new ones. A cache that cannot be written is no error."""
        if not self._new:
            return
        lines = self._load() | self._new  # with what others wrote meanwhile; the new ones last
        newest = list(lines.items())[-MAX_CACHE_ENTRIES:]
        text = "\n".join([_CACHE_VERSION, *(f"{name}\t{line}" for name, line in newest)]) + "\n"
        try:
            replace_text(self.path, text)
        except OSError:
            return
        self._new = {}

    def _load(self) -> dict[str, str]:
        try:
            version, *lines = self.path.read_bytes().decode("utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return {}
        if version != _CACHE_VERSION:
            return {}
        pairs = (line.partition("\t") for line in lines)
        return {name: entry for name, _, entry in pairs if entry}

    @staticmethod
    def _name(path: Path, kind: str) -> str:
        # A digest, because a path can hold anything, tabs and broken unicode included
        whole = f"{kind}\0{os.path.abspath(path)}"
        return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @staticmethod
    def _stamp(status: os.stat_result) -> str:
        return f"{status.st_size}-{status.st_mtime_ns}"


def _checksum(*texts: str) -> str:
    return hashlib.blake2b("\t".join(texts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
