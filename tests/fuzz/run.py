"""The long version: thousands of spoiled files for each reader, in processes with limits of memory and time.

``make fuzz`` tries all readers; ``PYTHONPATH=scripts python -m tests.fuzz.run --cases 10000 associations`` tries one.
A failure names its number; ``--first NUMBER --cases 1 --keep FILE READER`` tries it again and keeps the spoiled file.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzz.limits import Hang, limit_memory
from tests.fuzz.night import REAL, make_night
from tests.fuzz.readers import NAMES, REAL_NAMES, open_reader

SILENCE = 120  # seconds of the clock after which a process that says nothing is taken for hanging
KEPT = 8  # failures of each kind that are shown


def main() -> int:
    """Try what the command line names; return how many kinds of failures there were."""
    known = NAMES + (REAL_NAMES if REAL.is_dir() else ())
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("readers", nargs="*", metavar="reader", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--cases", type=int, default=10_000, help="for each reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--keep", type=Path, help="write the spoiled file of the first case here")
    given = parser.parse_args()
    if unknown := set(given.readers) - set(known):
        parser.error(f"no such reader: {', '.join(sorted(unknown))}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_night(Path())
        print(f"{'reader':22}{'cases':>7}{'accepted':>9}{'refused':>9}{'failed':>8}{'per s':>7}{'MB':>6}", flush=True)
        for name in given.readers or known:
            if given.keep:
                given.keep.write_bytes(open_reader(name).case(given.first)[1])
            failed += _report(name, given.first, given.cases)
    return min(failed, 1)


def _report(name: str, first: int, cases: int) -> int:
    if name in NAMES:
        open_reader(name).read_sound()  # what is imported late counts for nothing
    start, counts, memory = time.monotonic(), Counter[str](), 0
    kinds: dict[str, list[int]] = {}
    for number, outcome, used in _outcomes(name, first, first + cases):
        counts[outcome if outcome in ("accepted", "refused") else "failed"] += 1
        memory = max(memory, used)
        if outcome not in ("accepted", "refused"):
            kinds.setdefault(outcome, []).append(number)
    rate = cases / (time.monotonic() - start)
    row = f"{name:22}{cases:7}{counts['accepted']:9}{counts['refused']:9}{counts['failed']:8}{rate:7.0f}{memory:6}"
    print(row, flush=True)
    for kind, numbers in kinds.items():
        print(f"  {len(numbers)} times, cases {', '.join(map(str, numbers[:KEPT]))}: {kind}", flush=True)
    return len(kinds)


def _outcomes(name: str, first: int, stop: int) -> Iterator[tuple[int, str, int]]:
    """Yield number, outcome and MB of each case; a process that ends or hangs is followed by another."""
    number = first
    while number < stop:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.Process(target=_work, args=(theirs, name, number, stop), daemon=True)
        child.start()
        theirs.close()
        while number < stop:
            try:
                if not ours.poll(SILENCE):
                    raise TimeoutError
                outcome, used = ours.recv()
            except (EOFError, TimeoutError) as error:
                child.kill()
                child.join()
                outcome, used = f"{type(error).__name__}: the process ended with {child.exitcode}", 0
                yield number, outcome, used
                number += 1
                break
            yield number, outcome, used
            number += 1
        child.join()


def _work(tell: Connection, name: str, first: int, stop: int) -> None:
    reader = open_reader(name)
    limit_memory()
    for number in range(first, stop):
        try:
            outcome = "accepted" if reader.try_case(number) else "refused"
        except (Exception, Hang) as error:
            outcome = f"{type(error).__name__}: {_place(error)}: {str(error)[:200]!r}"
        tell.send((outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


def _place(error: Any) -> str:
    """Return the last line of calflow that an error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/scripts/" in frame.filename] or list(frames)
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}"


if __name__ == "__main__":
    sys.exit(main())
