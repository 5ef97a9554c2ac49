"""One run at a time in a folder and for an output: others are refused, and after a killed one the next just goes on.

Snakemake's own locks are files. They stay when a run is killed, and then the user has to unlock the folder by hand. The
lock here is held by the kernel, which gives it back when the process ends, however it ends.
"""

import fcntl
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from calflow.engine.execution import Execution, Layer
from calflow.engine.inside import has_locks, remove_locks
from calflow.engine.lock_holder import LOCK, SILENCE, holder_of, in_words, seconds_since_change, this_host
from calflow.engine.processes import is_alive

OUTPUT_LOCK = ".run.lock"  # in the output folder, to which runs in several folders may want to write
SIGN_OF_LIFE = 60  # seconds between two


class FolderInUse(Exception):
    """Another run works in this folder, or may do so."""


class RunLock:
    """
    The lock of a folder, taken when this is made.

    Parameters
    ----------
    path : Path
        The file of the lock. It says who holds it: ``host``, ``pid`` and ``started``; when nobody does, it is empty.
    what : str
        What the run that holds it does, in words: "works in this folder".

    Attributes
    ----------
    killed : dict
        The run that held the lock and ended without giving it back; empty if there was none.

    Raises
    ------
    FolderInUse
        With who holds it, and what to do.
    OSError
        Without space for the file.
    """

    def __init__(self, path: Path = LOCK, what: str = "works in this folder") -> None:
        self.path, self._what = path, what
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._ended = threading.Event()
        try:
            held_by_kernel = self._ask_the_kernel()
            self.killed = holder_of(path)
            self._refuse_if_alive(held_by_kernel)
            self._sign()
        except BaseException:
            os.close(self._file)
            raise
        threading.Thread(target=self._show_life, daemon=True).start()

    def release(self, signed: bool = False) -> None:
        """Give the lock back.

        Parameters
        ----------
        signed : bool
            Leave who held it in the file: for the next run, this one was killed.
        """
        self._ended.set()
        if not signed:
            os.ftruncate(self._file, 0)
        os.close(self._file)

    def _ask_the_kernel(self) -> bool:
        """Take the kernel's lock; return False where files have none."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(
                f"{in_words(holder_of(self.path))} {self._what}. Wait for its end, or stop it, or run in another "
                "folder with another output. Nothing was done."
            ) from None
        except OSError:
            return False
        return True

    def _refuse_if_alive(self, held_by_kernel: bool) -> None:
        other = self.killed
        if not other:
            return
        if other.get("host") == this_host():
            if not held_by_kernel and is_alive(other["pid"], self.path.stat().st_mtime):
                raise FolderInUse(f"{in_words(other)} {self._what}. Wait for its end, or stop it. Nothing was done.")
            return
        silent = seconds_since_change(self.path)
        if silent < SILENCE:
            raise FolderInUse(
                f"{in_words(other)} {self._what}, or did {silent:.0f} s ago: whether it still does cannot be seen "
                f"from here ({this_host()}). Wait for its end. If you know that it is dead, delete {self.path} and run "
                f"again; without a sign of life for {SILENCE // 60} minutes a run counts as dead. Nothing was done."
            )

    def _sign(self) -> None:
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        text = json.dumps({"host": this_host(), "pid": os.getpid(), "started": started}).encode() + b"\n"
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))
        os.utime(self._file)

    def _show_life(self) -> None:
        while not self._ended.wait(SIGN_OF_LIFE):
            try:
                os.utime(self._file)
            except OSError:  # the file was closed meanwhile
                return


def lock_runs(output: Path, after: Callable[[], None]) -> Layer:
    """
    Return what lets Snakemake execute only while it holds the locks of the working folder and of the output folder.

    Dry runs, ``--unlock`` and the like, and ``--nolock``, need no lock.

    Parameters
    ----------
    output : Path
        The output folder. With a default storage provider it is elsewhere, and not locked.
    after : callable
        Called when the locks are held, before anything else.
    """

    def execute_with_lock(execution: Execution, execute: Callable[[], Any]) -> Any:
        if not execution.takes_locks:
            return execute()
        with ExitStack() as held:
            lock = _taken(LOCK, "works in this folder")
            # Interrupted at a bad moment, such as before it deleted the locks of a run that was killed, a run leaves
            # those of Snakemake: the next has to know whose they are.
            held.push(lambda kind, *_: lock.release(signed=kind is not None and has_locks(LOCK.parents[1])))
            if not execution.is_stored_elsewhere:
                held.callback(_taken(output / OUTPUT_LOCK, f"writes to {output}").release)
            try:
                if lock.killed:
                    _forget_locks(execution, lock.killed)
                after()
                return execute()
            except Exception as error:
                # Snakemake cannot go on without its records, and tells of it as of a lack of permissions.
                if not any(os.strerror(number) in str(error) for number in (ENOSPC, EDQUOT)):
                    raise
                sys.exit(
                    f"There is no space left for the records of the run in {LOCK.parents[1].absolute()}, or its quota "
                    "is reached. Make space and run again: it goes on from here."
                )

    return execute_with_lock


def _taken(path: Path, what: str) -> RunLock:
    """Return a lock, or end this process with why there is none."""
    try:
        return RunLock(path, what)
    except FolderInUse as error:
        sys.exit(str(error))
    except OSError as error:
        folder = path.parent
        lost = folder.is_symlink() and not folder.exists()
        why = f"{folder} is a link to {os.readlink(folder)!r}, which is not there" if lost else error.strerror
        sys.exit(f"Cannot write {path.absolute()}: {why}. Nothing was done.")


def _forget_locks(execution: Execution, killed: dict[str, Any]) -> None:
    """Have Snakemake's locks deleted, which are those of a run that was killed."""
    logger.warning(
        f"The last run in this folder (host {killed.get('host')}, process {killed.get('pid')}, since "
        f"{killed.get('started')}) was killed. Its locks are removed; what it was writing is made again."
    )
    remove_locks(execution.workflow)
