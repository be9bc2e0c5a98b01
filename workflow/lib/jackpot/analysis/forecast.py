"""What more seeds would bring, and what these can still hide."""

import bisect
from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2
from statsmodels.stats.power import TTestPower

from jackpot.analysis.sequential import FINEST, holm_array, p_values
from jackpot.settings import ALPHA, MARGIN

MAX_SEEDS = 1000


def hidden_rate(n: int) -> float:
    """The rate of collapses (0 to 1) that ``n`` seeds without one can still hide.

    At a higher rate, ``n`` seeds would have shown one with a probability of 95 %.
    """
    return 1.0 if n < 1 else 1 - 0.05 ** (1 / n)


def smallest_p(n: int, family: int = 1, share: float = 1.0) -> float:
    """Smallest p of a difference that ``n`` pairs can give without assuming a normal distribution.

    It is that of the sign-flip permutation test, ``2 / 2**n``, after Holm's correction (times the
    ``family``'s cells, for the smallest of them) and at a look that spends ``share`` of alpha. A p
    of equivalence is one-sided, and can be half of it. The t-test may go lower, but what it gains
    below this rests on the assumption.
    """
    return min(1.0, 2.0 / 2.0**n * family / share)


def seeds_to_decide(
    differences: Sequence[float],
    margin: float = MARGIN,
    alpha: float = ALPHA,
    power: float = 0.8,
    resolution: float = FINEST,
) -> int | None:
    """How many seeds in all would bring a verdict, if mean and spread stay as they are now.

    The smallest n at which either test of ``verdicts`` succeeds with probability ``power``. TOST's
    power is P(lower) + P(upper) - 1, from the noncentral t-distribution.

    Args:
        resolution: points of accuracy per test image, half of which is the least spread.

    Returns:
        The number, or None if it is above ``MAX_SEEDS`` or there are fewer than two differences.
    """
    values = np.asarray(differences, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    mean, sd = values.mean(), max(values.std(ddof=1), resolution / 2)

    def chance(distance: float, n: int, level: float) -> float:
        if distance <= 0:
            return 0.0
        found = TTestPower().power(distance / sd, n, level, alternative="larger")
        # The noncentral t is undefined numerically only where the power is 1 to all digits.
        return 1.0 if np.isnan(found) else float(found)

    def decides(n: int) -> bool:
        lower, upper = (chance(margin + sign * mean, n, alpha) for sign in (1, -1))
        return max(chance(abs(mean), n, alpha / 2), lower + upper - 1) >= power

    found = bisect.bisect_left(range(2, MAX_SEEDS + 1), True, key=decides) + 2
    return found if found <= MAX_SEEDS else None


def fixed_seeds(
    means: Sequence[float],
    sds: Sequence[float],
    decided: float,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    studies: int = 400,
    resolution: float | Sequence[float] = FINEST,
) -> int | None:
    """How many seeds in every cell of a study of one look would decide as many cells.

    Studies are simulated whose differences are normal with these means and standard deviations
    (one a cell; a cell with one that is not finite is never decided), judged by the tests of
    ``verdicts`` with all of ``alpha`` spent on one look and Holm over all cells. Means measured
    where a cell stopped are a little too large, so the number is a little too small.

    Args:
        resolution: points of accuracy per test image, one number or one a cell.

    Returns:
        The smallest number at which the cells that have a verdict, on average and rounded, are
        ``decided``; None if it is above ``MAX_SEEDS``. (Without rounding, a study that has decided
        all of its cells would be set beside one that never fails to.)
    """
    means, sds = np.asarray(means, dtype=float), np.asarray(sds, dtype=float)
    rng = np.random.default_rng(0)
    shape = (studies, len(means))
    noise, uniform = rng.normal(size=shape), rng.uniform(size=shape)

    def decides(n: int) -> bool:
        spread = sds * np.sqrt(chi2.ppf(uniform, n - 1) / (n - 1))
        se = np.maximum(spread, np.asarray(resolution) / 2) / np.sqrt(n)
        p = p_values(means + noise * sds / np.sqrt(n), se, n - 1, margin)
        there = np.isfinite(means) & np.isfinite(sds)
        holm = [holm_array(np.where(there, p[q], 1.0)) for q in ("difference", "equivalence")]
        return (np.minimum(*holm) <= alpha).sum(-1).mean() >= decided - 0.5

    found = bisect.bisect_left(range(2, MAX_SEEDS + 1), True, key=decides) + 2
    return found if found <= MAX_SEEDS else None
