"""Files that are never half-written: they get another name until they are whole."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

# What `replacing` calls a file until it is whole: the process on which host writes it
PARTIAL = re.compile(r"\..+\.partial-(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]+)(\.[^.]*)?")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the folder of `path`; move it into place if the block succeeds.

    Whatever stops the block, `path` holds either what it held before or the whole new file.

    Parameters
    ----------
    path : Path
        The file that is to be written. Its folder is made.
    """
    with temporary(path) as partial:
        yield partial
        os.replace(partial, path)


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the folder of `path`; what has that name is gone when the block is left.

    Parameters
    ----------
    path : Path
        Its folder is made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of this process alone: no other moves this file into place before it is whole. What a killed job leaves
    # is removed by the next run, by this name (calflow/engine/leftovers.py).
    partial = path.with_name(f".{path.stem}.partial-{this_host()}-{os.getpid()}{path.suffix}")
    partial.unlink(missing_ok=True)
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder`; put it in place of that if the block succeeds.

    Parameters
    ----------
    folder : Path
        All that it held is gone afterwards.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def replace_text(path: Path, text: str) -> None:
    """Write a text file, in UTF-8, by way of `replacing`.

    Parameters
    ----------
    path : Path
    text : str
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def this_host() -> str:
    """Return the name of this host as eight hexadecimal digits."""
    return f"{crc32(os.uname().nodename.encode()):08x}"
