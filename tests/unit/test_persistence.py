"""Pixels that were bright in earlier exposures of a detector are flagged for a while."""

from dataclasses import replace

import numpy as np
import pytest

from calflow.science.cleaning.persistence import persistence
from calflow.science.cleaning.persistence_parameters import Persistence
from calflow.science.cleaning.step import Facts
from calflow.science.dq_flags import FLAGS
from calflow.science.image import Image

DAY = 86400
NOW = Facts("now", "rate", start=1.0, exposure_time=100.0)
FLAGGED = FLAGS["DO_NOT_USE"] | FLAGS["PERSISTENCE"]


def planes(*shape, saturated=(), bright=()):
    image = Image(np.ones(shape, np.float32), np.ones(shape, np.float32), np.zeros(shape, np.uint32))
    for place in saturated:
        image.dq[place] |= FLAGS["SATURATED"]
    for place, value in bright:
        image.sci[place] = value
    return image


def earlier(seconds, **facts):
    """An exposure of 100 s that ended so many seconds before."""
    return replace(NOW, name="earlier", start=1.0 - (seconds + 100) / DAY, **facts)


def flagged(cleaned):
    return {(int(y), int(x)) for y, x in np.argwhere((cleaned.dq & FLAGGED) == FLAGGED)}


def test_the_time_counts_from_the_end_of_the_earlier_exposure():
    others = [
        (planes(6, 7, saturated=[(1, 1)]), earlier(2600)),
        (planes(6, 7, saturated=[(2, 3), (5, 6)]), earlier(2499)),
        (planes(6, 7), earlier(10)),
    ]
    cleaned = persistence(planes(6, 7), Persistence(), NOW, others=iter(others))
    assert flagged(cleaned) == {(2, 3), (5, 6)}
    assert cleaned.figures == {"pixels": 2, "usable before": 2, "exposures": 1}
    assert cleaned.sci is None


def test_flags_that_were_there_stay_and_the_exposure_is_not_changed():
    image = planes(4, 4)
    image.dq[0, 0] = FLAGS["HOT"] | FLAGS["DO_NOT_USE"]
    others = [(planes(4, 4, saturated=[(0, 0)]), earlier(1))]
    cleaned = persistence(image, Persistence(flags="PERSISTENCE"), NOW, others=others)
    assert cleaned.dq[0, 0] == FLAGS["HOT"] | FLAGS["DO_NOT_USE"] | FLAGS["PERSISTENCE"]
    assert cleaned.figures["usable before"] == 0
    assert image.dq[0, 0] == FLAGS["HOT"] | FLAGS["DO_NOT_USE"]


def test_a_level_is_the_signal_of_an_integration():
    """50 per second for 100 s are 5000; in two integrations 2500 each."""
    image = planes(4, 4, bright=[((1, 2), 50.0), ((3, 3), np.nan)])
    assert flagged(persistence(planes(4, 4), Persistence(level=5000), NOW, others=[(image, earlier(1))])) == {(1, 2)}
    assert not flagged(persistence(planes(4, 4), Persistence(level=5001), NOW, others=[(image, earlier(1))]))
    two = [(image, earlier(1, header={"NINTS": 2}))]
    assert not flagged(persistence(planes(4, 4), Persistence(level=2501), NOW, others=two))
    assert flagged(persistence(planes(4, 4), Persistence(level=2500), NOW, others=two)) == {(1, 2)}


def test_a_level_below_the_sky_is_refused():
    with pytest.raises(ValueError, match="level: most pixels of earlier are above 100, the sky is; give more"):
        persistence(planes(4, 4), Persistence(level=100), NOW, others=[(planes(4, 4), earlier(1))])


def test_each_integration_counts():
    cube = planes(3, 4, 4, saturated=[(0, 1, 1), (2, 3, 0)], bright=[((1, 2, 2), 30.1)])
    cleaned = persistence(planes(4, 4), Persistence(level=1000), NOW, others=[(cube, earlier(1))])
    assert flagged(cleaned) == {(1, 1), (3, 0), (2, 2)}  # 30.1 times a third of 100 s is 1003


def test_a_subarray_lies_where_it_is_on_the_detector():
    full = planes(10, 10, saturated=[(4, 6), (0, 0)])
    subarray = replace(NOW, first_pixel=(5, 3))
    assert flagged(persistence(planes(4, 4), Persistence(), subarray, others=[(full, earlier(1))])) == {(2, 2)}
    small = planes(4, 4, saturated=[(2, 2)])
    others = [(small, earlier(1, first_pixel=(5, 3)))]
    assert flagged(persistence(planes(10, 10), Persistence(), NOW, others=others)) == {(4, 6)}
    beside = replace(NOW, first_pixel=(50, 50))
    assert not flagged(persistence(planes(4, 4), Persistence(), beside, others=others))


def test_it_grows():
    others = [(planes(7, 7, saturated=[(3, 3)]), earlier(1))]
    cleaned = persistence(planes(7, 7), Persistence(grow=1), NOW, others=others)
    assert flagged(cleaned) == {(3, 3), (2, 3), (4, 3), (3, 2), (3, 4)}


def test_without_times_all_that_are_given_count():
    others = [(planes(3, 3, saturated=[(0, 0)]), Facts("a", "rate"))]
    assert flagged(persistence(planes(3, 3), Persistence(level=1e3), NOW, others=others)) == {(0, 0)}


@pytest.mark.parametrize("wrong", [{"time": 0}, {"level": 0.0}, {"grow": -1}, {"flags": "GHOST"}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Persistence(**wrong)
