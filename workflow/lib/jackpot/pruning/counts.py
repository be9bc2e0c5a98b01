"""Whole numbers of weights: the one place where fractions become counts.

Nothing here imports torch. Densities are rounded to 12 decimals first, because ``1 - 0.98`` is
0.020000000000000018 in binary; products are rounded half to even, as Python's ``round`` does.
"""

from collections.abc import Sequence
from fractions import Fraction

from jackpot.errors import JackpotError

DECIMALS = 12


def density_of(sparsity: float) -> float:
    """Fraction kept at a sparsity (fraction removed), e.g. 0.98 -> 0.02 without float noise.

    Raises:
        JackpotError: the sparsity is not within 0 <= s < 1.
    """
    if not 0 <= sparsity < 1:
        raise JackpotError(
            f"sparsity {sparsity} is not at least 0 and below 1. "
            "It is the fraction removed: 0.98 keeps 2 %."
        )
    return round(1 - sparsity, DECIMALS)


def kept_count(density: float, total: int) -> int:
    """``round(density * total)``: how many of ``total`` weights stay.

    Raises:
        JackpotError: the density is not within 0..1.
    """
    if not 0 <= density <= 1:
        raise JackpotError(f"density {density} is not within 0 and 1")
    return round(round(density, DECIMALS) * total)


def whole_counts(ideal: Sequence[Fraction], budget: int) -> list[int]:
    """Round exact shares to whole counts that sum to ``budget`` (largest remainders first).

    Each count is its share rounded down or up, so never more than the size of a layer that its
    share fits; equal remainders go to the lower index. The shares must sum to ``budget``.
    """
    counts = [share.numerator // share.denominator for share in ideal]
    order = sorted(range(len(ideal)), key=lambda i: counts[i] - ideal[i])
    # A layer at its size has remainder 0 and comes last; there are fewer spare weights than
    # positive remainders, so it is never reached.
    for i in order[: budget - sum(counts)]:
        counts[i] += 1
    return counts
