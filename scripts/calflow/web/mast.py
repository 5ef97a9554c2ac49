"""The archive of JWST (MAST): which exposures a programme has, their files, and their download, verified.

The requests are those of the archive's search page, which `MastMissions` of astroquery makes too: ``search`` for the
exposures, ``post_list_products`` for their files, ``retrieve_product`` for a file.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from calflow.web.client import AttemptsFailed, Published, Refused, WebClient, WebError

# Seconds without a byte. Searching takes the archive a minute and a half on a bad day.
SEARCH_TIMEOUT = 300.0
FILE_TIMEOUT = 60.0
AT_A_TIME = 5000  # exposures in one answer
FILESETS = 500  # of which files are asked for at once
COLUMNS = ("fileSetName", "observtn", "targprop", "targname", "instrume", "filter", "opticalElements", "exp_type")
TOKEN_VARIABLE = "MAST_API_TOKEN"  # noqa: S105
TOKENS = "https://auth.mast.stsci.edu/token"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_TOTAL = "totalResults"


@dataclass(frozen=True)
class ArchiveFile:
    """A file of the archive.

    Attributes
    ----------
    name : str
        Without folder.
    uri : str
        What the archive calls it.
    size : int
        Bytes.
    is_public : bool
        Whether everybody may have it.
    """

    name: str
    uri: str
    size: int
    is_public: bool = True


class Archive:
    """The archive.

    Parameters
    ----------
    url : str
        Of its search, such as ``https://mast.stsci.edu/search/jwst/api/v0.1``.
    token : str, optional
        Of a user who may have proprietary files.
    retries : int
        Number of further attempts after a failure that may pass.
    """

    def __init__(self, url: str, token: str | None = None, retries: int = 4):
        self.url, self._retries = url.rstrip("/"), retries
        self._headers = {"Authorization": f"token {token}"} if token else {}
        self._has_token = bool(token)

    def exposures(self, program: int) -> list[dict[str, str]]:
        """Return the exposures of a programme, and what else is filed like them: the values of `COLUMNS`.

        Raises
        ------
        WebError
            If the archive cannot be reached, refuses, or answers something else.
        """
        found: list[dict[str, str]] = []
        while True:
            wanted = {
                "conditions": [{"program": str(program)}],
                "select_cols": list(COLUMNS),
                "sort_by": ["fileSetName"],
                "sort_desc": [False],
                "limit": AT_A_TIME,
                "offset": len(found),
            }
            answer = self._ask("search", wanted)
            rows = answer.get("results") if isinstance(answer, Mapping) else None
            if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
                raise self._other("search", answer)
            found += [{column: _text(row.get(column)) for column in COLUMNS} for row in rows]
            total = answer.get(_TOTAL)
            if not rows or not isinstance(total, int) or len(found) >= total:
                return found

    def files(self, filesets: Sequence[str]) -> list[ArchiveFile]:
        """Return the files of exposures, each once, in the order of their names.

        Raises
        ------
        WebError
            As `exposures`.
        """
        found: dict[str, ArchiveFile] = {}
        for start in range(0, len(filesets), FILESETS):
            part = filesets[start : start + FILESETS]
            answer = self._ask("post_list_products", {"dataset_ids": list(part)})
            rows = answer.get("products") if isinstance(answer, Mapping) else None
            if not isinstance(rows, list):
                raise self._other("post_list_products", answer)
            for row in _flat(rows):
                if file := self._file(row):
                    found.setdefault(file.name, file)
        return [found[name] for name in sorted(found)]

    def download(self, file: ArchiveFile, path: Path) -> None:
        """Fetch a file, or what is missing of it, verify it, and move it into place.

        Raises
        ------
        WebError
            With the reason alone; there is nothing at `path` then.
        """
        client = WebClient(self._retries, FILE_TIMEOUT, "archive", self._headers)
        url = f"{self.url}/retrieve_product?product_name={quote(file.uri, safe='')}"
        try:
            client.download(url, path, Published(file.size))
        except Refused as error:  # its address may be that of a store, with a signature
            right = {401: self._who_may(), 403: self._who_may(), 404: "; it may have been made anew: call again"}
            raise WebError(error.told + right.get(error.status, "")) from None

    def _who_may(self) -> str:
        if self._has_token:
            return f"; it is proprietary, and the token in {TOKEN_VARIABLE} is of nobody who may have it, or too old"
        return f"; it is proprietary: set {TOKEN_VARIABLE} to a token of {TOKENS}"

    def _ask(self, what: str, wanted: Mapping[str, Any]) -> Any:
        """Return what the archive answers, JSON as the question."""
        client = WebClient(min(self._retries, 2), SEARCH_TIMEOUT, "archive", self._headers)
        url, body = f"{self.url}/{what}", json.dumps(wanted).encode()
        try:
            text = client.attempt(what, lambda: client.read(url, body, "application/json"))
        except AttemptsFailed as error:
            raise WebError(f"the archive {self.url} cannot be asked: {error}") from None
        except Refused as error:
            raise WebError(f"the archive {self.url} cannot be asked: {error.told}") from None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self._other(what, text) from None

    def _file(self, row: Any) -> ArchiveFile | None:
        """Return a file of the archive's list; None for what has no name that can be written."""
        if not isinstance(row, Mapping):
            raise self._other("post_list_products", row)
        name = _text(row.get("filename"))
        if not _FILE_NAME.fullmatch(name):
            return None
        try:
            size = int(row["size"])
        except (KeyError, TypeError, ValueError):
            raise WebError(f"the archive {self.url} does not say how large {name} is") from None
        is_public = _text(row.get("access")).upper() in ("", "PUBLIC")
        return ArchiveFile(name, _text(row.get("uri")) or name, size, is_public)

    def _other(self, what: str, answer: Any) -> WebError:
        return WebError(f"{self.url}/{what} does not answer as the archive: {str(answer)[:80]!r}")


def _flat(rows: Iterable[Any]) -> list[Any]:
    """Return the rows of an answer that may be a list of lists."""
    return [item for row in rows for item in (row if isinstance(row, list) else [row])]


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def with_suffix(files: Iterable[ArchiveFile], suffixes: Collection[str]) -> list[ArchiveFile]:
    """Return the FITS files whose names end in one of some suffixes, such as ``rate``."""
    ends = tuple(f"_{suffix}.fits" for suffix in suffixes)
    return [file for file in files if file.name.endswith(ends)]


def newest_pool(files: Iterable[ArchiveFile], program: int) -> ArchiveFile | None:
    """Return the association pool of a programme that was written last, by the time in its name."""
    named = re.compile(rf"jw{program:05d}_\d{{8}}[tT]\d{{6}}_pool\.csv")
    return max((file for file in files if named.fullmatch(file.name)), key=lambda file: file.name, default=None)
