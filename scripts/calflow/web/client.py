"""The client for all servers: what may pass is tried again; files are resumed, verified and moved into place whole.

Importing it takes the time of `requests`, so only what talks to a server does.
"""

import base64
import binascii
import hashlib
import logging
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InvalidHeader, LocationParseError, ProtocolError
from urllib3.util import Retry

from calflow.files.version import VERSION

log = logging.getLogger(__name__)

# Seconds before the second attempt; twice as long before each further one, and as long as the server asks for.
PAUSE = 2.0
LONGEST_PAUSE = 120.0  # that a server may ask for
# Answers of a server that may be another one the next time: 408 Request Timeout, 429 Too Many Requests.
TEMPORARY_STATUS = (408, 429)
CHUNK = 1 << 20  # bytes
FORM = "application/x-www-form-urlencoded"  # as web pages post it, and the package crds
# Checksums that a server sends with a file, by what hashlib calls them. The first two are of the whole file even where
# only its end is sent (RFC 9530, RFC 3230).
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "md5": "md5"}
_OF_THE_WHOLE = ("Repr-Digest", "Digest")
_OF_WHAT_IS_SENT = {"x-amz-checksum-sha256": "sha256", "x-amz-checksum-sha1": "sha1", "Content-MD5": "md5"}

Result = TypeVar("Result")


class WebError(ValueError):
    """Something that could not be had from a server."""


class Refused(WebError):
    """What a server answers to a request that it will not grant: ``status``, and ``told`` in words."""

    def __init__(self, url: str, told: str, status: int):
        super().__init__(f"{url}: {told}")
        self.told, self.status = told, status


class AttemptsFailed(WebError):
    """The reason of the last attempt, and how many there were: ``reason``, ``attempts`` ("3 attempts")."""

    def __init__(self, reason: str, attempts: str):
        super().__init__(f"{reason} ({attempts})")
        self.reason, self.attempts = reason, attempts


class TemporaryError(Exception):
    """A failure that the next attempt may not have.

    Parameters
    ----------
    reason : str
    pause : float
        Seconds that the server asks to wait for.
    """

    def __init__(self, reason: str, pause: float = 0.0):
        super().__init__(reason)
        self.pause = pause


class NothingToResume(TemporaryError):
    """The server has no bytes beyond those of a partial file."""


@dataclass(frozen=True)
class Published:
    """What a server publishes of a file.

    Attributes
    ----------
    size : int
        Bytes.
    checksum : str or None
        In hexadecimal, lower case; None if the server knows none.
    algorithm : str
        Of the checksum, by its name in hashlib.
    """

    size: int
    checksum: str | None = None
    algorithm: str = "sha1"

    def difference(self, path: Path) -> str | None:
        """Say how a file differs from what was published; None if it does not.

        Parameters
        ----------
        path : Path
            Of the file.
        """
        size = path.stat().st_size
        if size != self.size:
            return f"{size} bytes instead of {self.size}"
        if self.checksum is None:
            return None
        return _wrong_checksum(path, self.algorithm, self.checksum)


def _wrong_checksum(path: Path, algorithm: str, right: str) -> str | None:
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, algorithm).hexdigest()
    if checksum == right:
        return None
    return f"its {algorithm.upper().replace('SHA', 'SHA-')} is {checksum} instead of {right}"


class WebClient:
    """Requests to one server, over connections that are kept.

    Parameters
    ----------
    retries : int
        Number of further attempts after a failure that may pass.
    timeout : float
        Seconds without a byte after which an attempt has failed.
    called : str
        What messages call the server.
    headers : mapping of str to str, optional
        What is sent with each request; a server that it leads to elsewhere gets no Authorization.

    Notes
    -----
    The attempts are counted here, and not by the `Retry` of urllib3 (of which the reading of Retry-After is used): that
    knows nothing of an answer that is cut, or whose checksum is wrong, and its attempts would multiply with ours.
    """

    def __init__(self, retries: int, timeout: float, called: str = "server", headers: Mapping[str, str] | None = None):
        self.retries, self.timeout, self.called = retries, timeout, called
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": f"calflow/{VERSION}", **(headers or {})})
        self._session.mount("https://", _SystemCertificates())

    def attempt(self, what: str, work: Callable[[], Result]) -> Result:
        """Return what `work` returns; after a `TemporaryError` try again.

        Parameters
        ----------
        what : str
            For the log.
        work : callable

        Raises
        ------
        AttemptsFailed
            With the reason of the last attempt.
        """
        for attempt in range(self.retries + 1):
            try:
                return work()
            except TemporaryError as error:
                reason, pause = str(error), max(PAUSE * 2**attempt, min(error.pause, LONGEST_PAUSE))
                log.warning("attempt %d of %d: %s: %s", attempt + 1, self.retries + 1, what, reason)
            if attempt < self.retries:
                time.sleep(pause)
        raise AttemptsFailed(reason, "1 attempt" if self.retries == 0 else f"{self.retries + 1} attempts")

    def read(self, url: str, body: bytes | None = None, kind: str = FORM) -> str:
        """Return what the server answers, in one attempt, as text.

        Parameters
        ----------
        url : str
        body : bytes, optional
            Is posted.
        kind : str
            What it is, such as ``application/json``.

        Raises
        ------
        WebError
            If the server refuses.
        TemporaryError
            If it may not the next time.
        """
        with self._answer(url, {} if body is None else {"Content-Type": kind}, body) as answer:
            return answer.content.decode("utf-8-sig", errors="replace")

    def download(self, url: str, path: Path, published: Published) -> None:
        """Download a file, resuming what an earlier attempt left, verify it, and move it into place.

        It is compared with its size, with the checksum if one is published, and with those that the server sends.

        Parameters
        ----------
        url : str
        path : Path
            No other process may download it at the same time. What there is of it so far is beside it, in
            ``.<name>.part``.
        published : Published

        Raises
        ------
        WebError
            If the file cannot be had, or is not what the server publishes. There is nothing at `path` then.
        """
        part = path.with_name(f".{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(path.parent, published.size)
        try:
            sent: dict[str, str] = {}
            self.attempt(path.name, lambda: self._complete(url, part, published, sent))
            os.replace(part, path)
        except OSError as error:  # of our disk; those of the network have become others
            raise WebError(f"{error.filename or path.parent}: {error.strerror}") from None

    def _complete(self, url: str, part: Path, published: Published, sent: dict[str, str]) -> None:
        """Download what a partial file lacks, and verify the whole, also by the checksums that were sent so far."""
        have = part.stat().st_size if part.exists() else 0
        if have > published.size:
            part.unlink()
            have = 0
        if have < published.size or have == 0:
            try:
                self._receive(url, part, have, sent)
            except NothingToResume:
                part.unlink(missing_ok=True)
                raise
        if reason := published.difference(part):
            # Something cut short is gone on with; anything else begins anew.
            if part.stat().st_size < published.size:
                raise TemporaryError(f"{reason}; the connection was cut")
            part.unlink()
            raise TemporaryError(reason)
        for algorithm, checksum in sent.items():
            if wrong := _wrong_checksum(part, algorithm, checksum):
                part.unlink()
                sent.clear()
                raise TemporaryError(wrong)

    def _receive(self, url: str, part: Path, have: int, sent: dict[str, str]) -> None:
        """Write what a server sends into a partial file, after the bytes that it has if the server goes on there."""
        # The bytes of the file, whose size is known, not those of a compressed answer.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with self._answer(url, headers) as answer:
            resumed = have > 0 and answer.status_code == 206
            if not resumed:
                sent.clear()
            sent |= _checksums(answer.headers, whole=not resumed)
            if resumed:
                log.info("resumed at %d bytes", have)
            # That the connection is cut is seen by the size.
            with part.open("ab" if resumed else "wb") as file, suppress(ProtocolError):
                for chunk in answer.raw.stream(CHUNK, decode_content=False):
                    file.write(chunk)

    @contextmanager
    def _answer(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Iterator[requests.Response]:
        """Yield the answer to a request; sort what fails, also while it is read, by whether it may pass."""
        method = "GET" if body is None else "POST"
        try:
            with self._session.request(
                method, url, data=body, headers=headers, timeout=self.timeout, stream=True
            ) as answer:
                self._check_status(answer)
                yield answer
        except (requests.exceptions.InvalidURL, LocationParseError) as error:
            raise WebError(f"{url!r} is no URL: {error}") from None
        except (requests.RequestException, HTTPError) as error:
            raise TemporaryError(self._reason(error)) from None

    def _check_status(self, answer: requests.Response) -> None:
        if answer.ok:
            return
        told = f"the {self.called} answers {answer.status_code} {answer.reason}"
        if answer.status_code == 416:
            raise NothingToResume(told)
        if answer.status_code >= 500 or answer.status_code in TEMPORARY_STATUS:
            raise TemporaryError(told, _pause_asked_for(answer))
        raise Refused(answer.url, told, answer.status_code)

    def _reason(self, error: BaseException) -> str:
        """Say why there is no answer, or no whole one."""
        chain = [error]
        while cause := chain[-1].__cause__ or chain[-1].__context__:
            chain.append(cause)
        first = chain[-1]
        if isinstance(first, TimeoutError):
            return f"no answer within {self.timeout:g} s"
        if isinstance(first, socket.gaierror):
            return f"there is no network, or no such server: {first.strerror}"
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return f"the answer is incomplete: {first!r}"
        return f"no connection to the {self.called}: {getattr(first, 'strerror', None) or first}"


class _SystemCertificates(HTTPAdapter):
    """Trusts what this machine trusts, as the proxy of an institute; requests alone knows what it brings itself."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=ssl.create_default_context())

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=ssl.create_default_context())


def _checksums(headers: Mapping[str, str], whole: bool) -> dict[str, str]:
    """Return the checksums of a file that a server sends with it, in hexadecimal, by their names in hashlib.

    Parameters
    ----------
    headers : mapping of str to str
        Of the answer. ETag is not looked at: it may be an MD5, or anything else.
    whole : bool
        Whether all of the file is sent.
    """
    told = [
        (_DIGESTS.get(name.strip().lower()), value)
        for header in _OF_THE_WHOLE
        for name, _, value in (item.partition("=") for item in headers.get(header, "").split(","))
    ]
    if whole:
        told += [(algorithm, headers.get(header, "")) for header, algorithm in _OF_WHAT_IS_SENT.items()]
    found: dict[str, str] = {}
    for algorithm, value in told:
        with suppress(binascii.Error, ValueError):
            digest = base64.b64decode(value.strip().strip(":"), validate=True)
            if algorithm and len(digest) == hashlib.new(algorithm).digest_size:
                found.setdefault(algorithm, digest.hex())
    return found


def _pause_asked_for(answer: requests.Response) -> float:
    """Return the seconds after which a server wants to be asked again; 0 if it does not say, or not how long."""
    try:
        return Retry().get_retry_after(answer.raw) or 0.0
    except InvalidHeader:
        return 0.0


def _check_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise WebError(f"{folder}: {free // 10**6} MB are free, {size // 10**6} MB are needed")
