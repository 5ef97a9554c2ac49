import numpy as np
import pytest

from calflow.science.stars.chance import FittedPairs, accepted_together, log_poisson_tail

ONE = FittedPairs(
    number=1, needed=1, spare=0, radius=1e-9, farthest=0.2, density=1 / 400, expected=0.0, within=1, searched=1
)


def test_poisson_tail_is_an_upper_bound():
    # P(k >= 3 | 0.1) = 1 - e^-0.1 (1 + 0.1 + 0.005) = 1.547e-4
    assert np.exp(log_poisson_tail(3, 0.1)) == pytest.approx(0.1**3 / 27 * np.exp(2.9))
    assert np.exp(log_poisson_tail(3, 0.1)) > 1.547e-4
    assert log_poisson_tail(3, 5.0) == 0


def test_one_pair_is_as_likely_as_the_disk_it_lies_in():
    """One pair in 400 square arcsec, 0.2 arcsec apart: pi 0.04 / 400."""
    assert np.exp(ONE.log_chance()) == pytest.approx(np.pi * 0.04 / 400)


def test_chance_is_that_of_random_fields():
    """How often two lists of stars that have nothing in common have a pair as near as 0.3 arcsec."""
    rng = np.random.default_rng(1)
    near = [np.hypot(*(a - b).T).min() < 0.3 for a, b in rng.uniform(-5, 5, (20_000, 2, 1, 2))]
    pairs = FittedPairs(1, 1, 0, 1e-9, 0.3, 1 / 100, 0.0, 1, 1)
    assert np.mean(near) == pytest.approx(np.exp(pairs.log_chance()), rel=0.25)


def test_two_pairs_that_keep_their_length():
    """How often two pairs within 0.3 arcsec miss each other's length by less than twice 0.01 arcsec."""
    rng = np.random.default_rng(2)
    first, second = (
        0.3 * np.sqrt(rng.uniform(size=100_000)) * np.cos(2 * np.pi * rng.uniform(size=100_000)) for _ in "ab"
    )
    agree = np.mean(np.abs(first - second) < 0.02)
    pairs = FittedPairs(2, 2, 1, 0.01, 0.29, 1e-3, 0.0, 9, 9)
    both = (1e-3 * np.pi * 0.3**2) ** 2 / 2
    assert np.exp(pairs.log_chance()) / both == pytest.approx(agree, rel=0.05)


def test_several_doubtful_matches_confirm_each_other():
    """Of three that were tried, two of 1e-3 are together 3e-6; two of 1e-2 are each too likely chance."""
    assert accepted_together(np.log([1e-3, 1e-3]), 3, confirmed=False) == 2
    assert accepted_together(np.log([3e-5, 1e-2]), 3, confirmed=False) == 1
    assert accepted_together(np.log([1e-3]), 3, confirmed=False) == 0
    assert accepted_together(np.log([1e-2, 1e-2]), 3, confirmed=False) == 0
    assert accepted_together(np.log([1e-3, 1e-2]), 3, confirmed=True) == 1
    # C(100, 2) = 4950 pairs could have been these.
    assert accepted_together(np.log([1e-3, 1e-3]), 100, confirmed=False) == 0
