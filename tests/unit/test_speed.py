"""The guard against slower kernels tells a loss, and no chance one."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import speed


def test_only_a_kernel_that_is_slower_in_each_round_is_told():
    """One is as it was, one was disturbed twice, one lost 26 per cent, one 24."""
    ratios = {"same": [1.0], "disturbed": [3.0, 1.6, 1.1], "lost": [2.52, 2.6, 2.54], "less": [2.48]}
    assert speed.slower(
        {"same": 1.0, "disturbed": 1.0, "lost": 2.0, "less": 2.0}, lambda name: ratios[name].pop(0)
    ) == {"lost": 2.52}


def test_ratio_is_of_the_least_times(monkeypatch):
    """Three turns: the work takes 4, 3, 5 and the reference 2, 9, 2.5."""
    clock = iter([0, 4, 4, 6, 6, 9, 9, 18, 18, 23, 23, 25.5])
    monkeypatch.setattr(speed.time, "process_time", lambda: next(clock))
    assert speed.ratio(lambda: None, lambda: None, repeat=3) == 1.5


@pytest.mark.parametrize("name", json.loads(speed.STORED.read_text()))
def test_each_stored_kernel_works(name):
    pytest.importorskip("numba")
    for run in speed.kernels()[name]:
        run()


def test_all_kernels_are_stored():
    assert list(json.loads(speed.STORED.read_text())) == list(speed.kernels())
