"""Chance: how many fits like one that was found are to be expected of stars that have nothing in common.

Stars are spread evenly and independently, in each field anew. Of k pairs of stars that agree with
a motion, m are needed to determine it: chance makes such a fit if there are m pairs to start from,
and k - m further ones within the radius in which stars match. The starts are counted in two ways,
and the smaller number is taken:

- the pairs that are there, within the search radius: the motion may be any one;
- the pairs that chance makes whose stars are as near to each other, before any motion, as those of
  the fit. Pointings are nearly right, so that pairs which are close to each other anyway are no
  likely coincidence: a fit that nothing but its m pairs confirms can be more than chance, and one
  star can be enough in a field that has few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, lgamma, log, pi

# A fit is accepted if fewer than this number are expected of a field without a common star.
MAX_CHANCE = 1e-4
# The same of a fit that is one of several to the same reference, which together keep MAX_CHANCE.
MAX_CHANCE_AMONG_SEVERAL = 2e-3
# Two pairs with all distances up to D fit a rotation, which leaves the difference of their lengths, within r with this
# probability in units of r / D: both stars of the fit miss by half of it, and the difference of two coordinates of
# points in a disk has the density 16 / (3 pi^2 D) at 0.
SPARE_LENGTH = 4 * 16 / (3 * pi**2)


@dataclass(frozen=True)
class FittedPairs:
    """What the chance of a fit depends on; lengths in arcsec.

    Attributes
    ----------
    number : int
        Pairs that agree with the motion.
    needed : int
        Of them, those that determine it.
    spare : int
        Coordinates of these that are left over: one for two pairs, a shift and a rotation.
    radius : float
        Within which they agree.
    farthest : float
        Largest distance of the stars of a pair before the motion.
    density : float
        Pairs by chance per square arcsec around a motion.
    expected : float
        Pairs by chance within the radius.
    within : int
        Pairs that agree within the tolerance.
    searched : int
        Pairs within the search radius.
    """

    number: int
    needed: int
    spare: int
    radius: float
    farthest: float
    density: float
    expected: float
    within: int
    searched: int

    def log_chance(self) -> float:
        """Return the log of an upper bound of the expected number of such fits by chance."""
        starts = min(self._log_starts_searched(), self._log_starts_as_near())
        return starts + log_poisson_tail(self.number - self.needed, self.expected)

    def _log_starts_searched(self) -> float:
        return log(max(self.searched, 1)) + (self.needed - 1) * log(max(self.within, 1))

    def _log_starts_as_near(self) -> float:
        reach = self.farthest + self.radius
        pairs = self.density * pi * reach**2
        if not pairs > 0:
            return 0.0
        agree = min(1.0, SPARE_LENGTH * self.radius / reach)
        return self.needed * log(pairs) - lgamma(self.needed + 1) + self.spare * log(agree)


def log_poisson_tail(k: int, expected: float) -> float:
    """Return an upper bound of the log of the probability of k or more (Chernoff 1952).

    Parameters
    ----------
    k : int
        Number of events.
    expected : float
        How many are expected.
    """
    if k <= expected:
        return 0.0
    return float(k - expected - k * log(k / expected))


def accepted_together(log_chances: Sequence[float], trials: int, confirmed: bool) -> int:
    """Return how many of several doubtful fits to the same reference are accepted, the least doubtful first.

    Parameters
    ----------
    log_chances : sequence of float
        Of fits that are not accepted by themselves, in rising order.
    trials : int
        How many fits are tried in all: any of them could have been these.
    confirmed : bool
        Whether others were accepted, so that the reference is known to show what they show.

    Notes
    -----
    In a field without a common star the fits are independent, and the expected number of sets of
    them is the product of their chances. No fit may by itself be more likely chance than
    `MAX_CHANCE_AMONG_SEVERAL`: that is how often an exposure without a common star joins others
    that have one.
    """
    eligible = [each for each in log_chances if each <= log(MAX_CHANCE_AMONG_SEVERAL)]
    if confirmed:
        return len(eligible)
    for number in range(len(eligible), 0, -1):
        if sum(eligible[:number]) + log(comb(trials, number)) <= log(MAX_CHANCE):
            return number
    return 0
