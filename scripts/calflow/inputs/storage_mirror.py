"""What planning sees of inputs in S3: a folder of stand-ins, each with the size and the headers of its object.

With ``--default-storage-provider s3`` Snakemake takes every relative path below the prefix in the bucket, brings the
files to the jobs and takes the results back. Planning looks at paths in the working folder, so these are put there:
small files and tables whole, of large FITS images the headers alone, with holes (sparse) in place of pixels.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from calflow.configuration.problems import InputError, Problem
from calflow.inputs.fits_headers import HeaderError, read_hdus
from calflow.whole_files import replacing

WHOLE_BYTES = 4 * 1024**2
REQUESTS = 10  # at once: as many connections as boto3 keeps
_CHUNK = 64 * 1024  # one request reads most headers


def mirror_storage(provider: str | None, prefix: str, client: Callable[[], Any], output: str, record: Path) -> None:
    """Put stand-ins of the objects below the default storage prefix into the working folder.

    Parameters
    ----------
    provider : str or None
        The default storage provider of the run.
    prefix : str
        Its prefix, such as ``s3://bucket/program``.
    client : callable
        Returns a boto3 client of S3.
    output : str
        Folder of the products, which planning does not look at.
    record : Path
        File that names the stand-ins, so that they are never taken for data, and go with their objects.

    Raises
    ------
    InputError
        If the bucket cannot be listed, if a file of the user is in the way, or if there are stand-ins from
        an earlier run and this one does not use S3.
    """
    known = _read_record(record)
    if provider != "s3":
        if known:
            wrong = "holds stand-ins for objects in S3, from a run with --default-storage-provider s3"
            raise InputError([Problem(str(Path.cwd()), "", wrong, f"run with it, or delete them: see {record}")])
        return
    prefix = prefix.rstrip("/") + "/"
    bucket, _, start = prefix.removeprefix("s3://").partition("/")
    objects = {}
    s3 = client()
    try:
        for item in objects_below(s3, bucket, start):
            name = os.path.normpath(item["Key"].removeprefix(start))
            if not item["Key"].endswith("/") and not name.startswith((f"{output}/", ".snakemake/", "../", "/")):
                objects[name] = item
        if blocked := [name for name in objects if name not in known and os.path.lexists(name)]:
            right = "in a run with S3 the inputs are there: run in an empty folder"
            raise InputError(Problem(name, "", "is in the way of an object in S3", right) for name in blocked)
        # Written before the stand-ins, so that a run that is killed leaves none that is not named.
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(sorted({*known, *objects})))
        with ThreadPoolExecutor(REQUESTS) as pool:
            for _ in pool.map(lambda name: _stand_in(s3, bucket, objects[name], Path(name)), objects):
                pass
    except InputError:
        raise
    except Exception as error:
        # boto3 has many, of packages that are not there without S3.
        wrong = f"cannot be read: {str(error).splitlines()[0]}"
        right = "see the bucket's name, the endpoint and the credentials"
        raise InputError([Problem(prefix, "", wrong, right)]) from None
    for name in known - objects.keys():
        Path(name).unlink(missing_ok=True)


def _read_record(record: Path) -> set[str]:
    try:
        names = json.loads(record.read_text())
    except (OSError, ValueError, RecursionError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def objects_below(client: Any, bucket: str, start: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a bucket as S3 lists them, a thousand for each request.

    Parameters
    ----------
    client : boto3 client of S3
    bucket : str
    start : str
        Of their keys.
    """
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start):
        yield from page.get("Contents", ())


def _stand_in(client: Any, bucket: str, item: dict, path: Path) -> None:
    """Write the stand-in of an object, unless it is there and the object is as it was."""
    # S3 tells whole seconds; the fraction is made of the ETag, so that other content is another time.
    time = int(item["LastModified"].timestamp()) * 10**9 + zlib.crc32(item["ETag"].encode()) % 10**9
    if path.is_file() and (path.stat().st_size, path.stat().st_mtime_ns) == (item["Size"], time):
        return
    with replacing(path) as partial:
        with partial.open("w+b") as file:
            file.truncate(item["Size"])
            source = _Ranges(client, bucket, item, file)
            if item["Size"] <= WHOLE_BYTES or path.suffix.lower() != ".fits":
                source.read()
            else:
                with suppress(HeaderError):  # told by planning, with the rest
                    hdus = read_hdus(source, None)  # type: ignore[arg-type]
                    if not any(shape.kind == "IMAGE" and shape.shape for _, shape in hdus):
                        source.seek(0)  # a table, as a catalogue, is looked into
                        source.read()
        os.utime(partial, ns=(time, time))


class _Ranges:
    """An object in S3 as a file that is read; what is read is copied to the same place of `copy`."""

    def __init__(self, client: Any, bucket: str, item: dict, copy: Any):
        self._get = lambda first, last: client.get_object(
            Bucket=bucket, Key=item["Key"], IfMatch=item["ETag"], Range=f"bytes={first}-{last}"
        )["Body"].read()
        self._size, self._copy, self._at, self._have = item["Size"], copy, 0, range(0)

    def read(self, size: int = -1) -> bytes:
        """Return bytes from the current place on."""
        end = self._size if size < 0 else min(self._at + size, self._size)
        if end > self._at and not (self._at in self._have and end <= self._have.stop):
            self._have = range(self._at, min(max(end, self._at + _CHUNK), self._size))
            self._copy.seek(self._at)
            self._copy.write(self._get(self._have.start, self._have.stop - 1))
        self._copy.seek(self._at)
        self._at = max(end, self._at)
        return self._copy.read(max(0, end - self._copy.tell()))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def fileno(self) -> int:
        """Return the descriptor of the copy, which has the object's size."""
        return self._copy.fileno()

    def tell(self) -> int:
        """Return the current place."""
        return self._at
