"""Work that threads share."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from calflow.science.threads import in_threads

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("threads", [1, 2, 3, 50])
def test_results_are_in_the_order_of_the_items(threads):
    assert in_threads(lambda n: n**2, range(40), threads) == [n**2 for n in range(40)]


def test_items_are_worked_on_at_the_same_time_and_something_else_meanwhile():
    all_three = threading.Barrier(3, timeout=10)  # passes none before there are three
    places = in_threads(lambda _: all_three.wait(), range(2), 2, meanwhile=all_three.wait)
    assert len(set(places)) == 2


def test_one_thread_is_this_one():
    names = in_threads(lambda _: threading.current_thread(), range(3), 1, meanwhile=pytest.fail)
    assert set(names) == {threading.current_thread()}


@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_first_item_raises_is_raised_and_the_rest_left(threads):
    begun = []

    def work(n):
        begun.append(n)
        if n in (3, 4):
            raise ValueError(f"item {n}")

    with pytest.raises(ValueError, match="item 3"):
        in_threads(work, range(10_000), threads)
    assert len(begun) < 10_000


@pytest.mark.parametrize("script", ["combine"])
def test_libraries_of_a_job_with_threads_have_one(script):
    code = f"import {script}, os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    watch = "import sys, os; sys.addaudithook(lambda event, given: event == 'import' and given[0] == 'numpy'"
    watch += " and os.environ['OPENBLAS_NUM_THREADS'] != '1' and os._exit(7));"
    done = subprocess.run(
        [sys.executable, "-c", watch + code],
        cwd=SCRIPTS,
        env={"OPENBLAS_NUM_THREADS": "3", "PATH": "", "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
