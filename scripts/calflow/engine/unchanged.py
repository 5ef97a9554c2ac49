"""Jobs that would make what is there: their parameters, their set of inputs and the bytes of each are those on record.

Snakemake decides before the first job what runs, so all that lies behind a job runs with it. Whether a job changes
anything is known when it has run: this is asked again just before each job is started.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any

Stamp = tuple[int, int, int]
Checksum = Future[str | None]

# The flag of an input of which a job reads one item alone
PART = "calflow_part"
# Bytes read at a time: for each, a thread that reads has to wait for the others of Python.
READ_BYTES = 2**21


class Checksums:
    """
    SHA-256 of files, each read once as long as it stays the same file.

    Parameters
    ----------
    is_product : callable
        Tells of a path whether it is made by calflow. Of other files the time alone counts: they may be large, and are
        not ours to tell changed from unchanged.
    """

    def __init__(self, is_product: Callable[[str], bool]) -> None:
        self._is_product = is_product
        self._known: dict[str, tuple[Stamp, Checksum]] = {}
        self._parts: dict[str, tuple[Stamp, dict[str, str]]] = {}
        self._to_read: SimpleQueue[tuple[Checksum, str]] = SimpleQueue()
        self._reads = False

    def of(self, path: str) -> str | None:
        """Return the checksum of a product as Snakemake records it; None if the file is no product, or not there.

        Parameters
        ----------
        path : str
            As rules have it.
        """
        asked = self._ask(path)
        if asked is None:
            return None
        checksum, is_new = asked
        if is_new:
            _fill(checksum, path)
        return checksum.result()

    def of_input(self, path: Any) -> str | None:
        """Return the checksum of what a job reads of an input: that of a product, or of one item of it.

        Parameters
        ----------
        path : Snakemake's file
            Marked by `mark_part`, or not.
        """
        name = path.flags.get(PART)
        return self.of(str(path)) if name is None else self.of_part(str(path), name)

    def of_part(self, path: str, name: str) -> str | None:
        """Return the checksum of one item of a product that is a JSON object; None if it is no product or has no such.

        Parameters
        ----------
        path : str
            As rules have it.
        name : str
            Of the item.
        """
        stamp = self._stamp_of_product(path)
        if stamp is None:
            return None
        if self._parts.get(path, (None,))[0] != stamp:
            self._parts[path] = stamp, _checksums_of_items(path)
        return self._parts[path][1].get(name)

    def read_ahead(self, paths: Iterable[str]) -> None:
        """Have a thread read files whose checksums will be asked for, so that nobody has to wait for them then.

        Parameters
        ----------
        paths : iterable of str
            As rules have them.
        """
        for path in paths:
            asked = self._ask(path)
            if asked is not None and asked[1]:
                self._to_read.put((asked[0], path))
        if not (self._reads or self._to_read.empty()):
            self._reads = True
            Thread(target=self._read, daemon=True).start()  # the end of a run does not wait for it

    def _ask(self, path: str) -> tuple[Checksum, bool] | None:
        """Return the checksum of a file as it is now, and whether it is left to the caller to compute it."""
        stamp = self._stamp_of_product(path)
        if stamp is None:
            return None
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1], False
        checksum: Checksum = Future()
        self._known[path] = stamp, checksum
        return checksum, True

    def _stamp_of_product(self, path: str) -> Stamp | None:
        return stamp_of(path) if self._is_product(path) else None

    def _read(self) -> None:
        while True:
            _fill(*self._to_read.get())


def mark_part(path: str, name: str) -> Any:
    """Mark an input, a JSON object, as one of which a job reads one item alone: what else is there does not count.

    Parameters
    ----------
    path : str
        As rules have it.
    name : str
        Of the item.
    """
    from snakemake.io import flag

    return flag(path, PART, name)


def _checksums_of_items(path: str) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            items = json.load(file).items()
    except (OSError, ValueError, AttributeError):  # not what its job writes
        return {}
    # As JSON it is told from what differs in type alone.
    texts = {name: json.dumps(item, sort_keys=True) for name, item in items}
    return {name: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for name, text in texts.items()}


def _fill(checksum: Checksum, path: str) -> None:
    """Compute a checksum that others may wait for; None if the file cannot be read."""
    digest, buffer = hashlib.sha256(), bytearray(READ_BYTES)
    try:
        with open(path, "rb", buffering=0) as file:
            while n := file.readinto(buffer):
                digest.update(memoryview(buffer)[:n])
        checksum.set_result(f"sha256:{digest.hexdigest()}")
    except OSError:
        checksum.set_result(None)
    except BaseException as error:
        checksum.set_exception(error)


def stamp_of(path: str) -> Stamp | None:
    """Return what tells a file from the one that was there before it; None if it is not there.

    Parameters
    ----------
    path : str
        As rules have it.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def time_of(path: str) -> float | None:
    """Return when a file was last written; None if it is not there.

    Parameters
    ----------
    path : str
        As rules have it.
    """
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


class Unchanged:
    """
    Which jobs of a run may be left out.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        With its graph.
    checksums : Checksums

    Attributes
    ----------
    left_out : set of Job
        Those that were.
    """

    def __init__(self, workflow: Any, checksums: Checksums) -> None:
        self._workflow, self._checksums = workflow, checksums
        self.left_out: set[Any] = set()
        self._started: set[Any] = set()
        self._before: dict[str, Stamp | None] = {}  # files of jobs that were started, as they were then
        self._written: dict[str, float] = {}  # files of jobs that are left out, before they got another time
        self._same: set[Any] = set()  # for good: all that comes before these jobs has been decided
        self._answers: dict[Any, bool] = {}  # of now: what comes before them may still run
        self._awaited: dict[Any, bool] = {}

    def among(self, jobs: Iterable[Any]) -> list[Any]:
        """
        Return the jobs that may be left out; a group of jobs if all of it may be.

        Parameters
        ----------
        jobs : iterable of Job or GroupJob
            That could start now.
        """
        self._answers, self._awaited = {}, {}
        return [job for job in jobs if all(self._is_same(one) and not self._is_awaited(one) for one in members(job))]

    def leave_out(self, job: Any) -> None:
        """Note that a job is left out. Its files get the time of now, so that later plans need not read them.

        Parameters
        ----------
        job : Snakemake's job
            Or a group of jobs.
        """
        for one in members(job):
            self.left_out.add(one)
            for path in map(str, [*one.output, *([one.benchmark] if one.benchmark else [])]):
                with suppress(OSError):  # a temporary file that is gone; or another's, of which the content tells again
                    self._written[path] = os.stat(path).st_mtime
                    os.utime(path)

    def expect(self, job: Any) -> None:
        """Note that a job is going to run.

        Parameters
        ----------
        job : Snakemake's job
            Or a group of jobs.
        """
        self._started.update(members(job))
        for one in members(job):
            self._before |= {str(path): stamp_of(str(path)) for path in one.output}

    def _is_same(self, job: Any) -> bool:
        if job in self._started:  # its files may be half written
            return False
        if job in self._same:
            return True
        if job not in self._answers:
            self._answers[job] = False  # while it is looked for
            self._answers[job] = self._looks_the_same(job)
            if self._answers[job] and all(self._is_decided(maker) for maker in self._makers(job)):
                self._same.add(job)
        return self._answers[job]

    def _looks_the_same(self, job: Any) -> bool:
        dag, persistence = self._workflow.dag, self._workflow.persistence
        reason = dag.reason(job)
        if not job.output or self._is_forced(job) or reason.code_changed or reason.software_stack_changed:
            return False
        records = [persistence.metadata(path) for path in job.output]
        if None in records or persistence.has_outdated_metadata(job):
            return False
        if self._workflow.async_run(persistence.incomplete(job)):
            return False
        if persistence.params_changed(job) or any(persistence.input_changed(job)):
            return False
        times = []
        for path, record in zip(job.output, records, strict=True):
            written = time_of(str(path))
            if written is None and not path.is_temp:
                return False
            times.append(record.endtime if written is None else written)
        if job.benchmark and (written := time_of(str(job.benchmark))) is not None:
            times.append(written)
        makers = {str(path): maker for maker, paths in dag.dependencies[job].items() for path in paths}
        return all(self._has_same(path, makers.get(str(path)), records, min(times)) for path in job.input)

    def _has_same(self, file: Any, maker: Any, records: Sequence[Any], written: float) -> bool:
        """Tell whether an input is the one on record, of a job whose oldest file was written at some time."""
        path = str(file)
        stamp = stamp_of(path)
        if maker is not None and self._has_run(maker):
            # A file that looks as before its job ran is one that a network file system has not yet renewed.
            return stamp is not None and stamp != self._before.get(path) and self._is_recorded(file, records)
        if maker is not None and not self._is_decided(maker) and not self._is_same(maker):
            return False
        if stamp is None:
            return maker is not None and self._is_same(maker) and self._was_read(file, written)
        return self._written.get(path, stamp[2] / 1e9) <= written or self._is_recorded(file, records)

    def _is_recorded(self, file: Any, records: Sequence[Any]) -> bool:
        recorded = {(record.input_checksums or {}).get(str(file)) for record in records}
        return None not in recorded and recorded == {self._checksums.of_input(file)}

    def _was_read(self, file: Any, written: float) -> bool:
        """Tell whether a temporary file that is gone is not younger than what was made of it."""
        record = self._workflow.persistence.metadata(file)
        return record is not None and record.endtime <= written

    def _is_awaited(self, job: Any) -> bool:
        """Tell whether temporary files of a job that are gone are read, now or later in this run."""
        if job not in self._awaited:
            gone = {path for path in job.output if stamp_of(str(path)) is None}
            dag = self._workflow.dag
            self._awaited[job] = bool(gone) and (
                not gone.isdisjoint(dag.targetfiles)
                or any(
                    not self._is_same(reader) or self._is_awaited(reader)
                    for reader, paths in dag.depending[job].items()
                    if not gone.isdisjoint(paths) and dag.needrun(reader) and not dag.finished(reader)
                )
            )
        return self._awaited[job]

    def _is_forced(self, job: Any) -> bool:
        """Tell whether the command line asks for a job. Of one behind another, no reason says so."""
        dag = self._workflow.dag
        return dag.reason(job).forced or job.rule in dag.forcerules or not dag.forcefiles.isdisjoint(job.output)

    def _makers(self, job: Any) -> Iterable[Any]:
        return self._workflow.dag.dependencies[job]

    def _is_decided(self, job: Any) -> bool:
        return self._workflow.dag.finished(job) or not self._workflow.dag.needrun(job)

    def _has_run(self, job: Any) -> bool:
        return self._workflow.dag.finished(job) and job not in self.left_out


def members(job: Any) -> list[Any]:
    """Return the jobs of a group; of a single job, a list of it.

    Parameters
    ----------
    job : Snakemake's job
        Or a group of jobs.
    """
    return list(job) if job.is_group() else [job]
