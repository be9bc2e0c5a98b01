"""Pyramidal ratios (Gadhikar, Mukherjee & Burkholz 2023, "Why Random Pruning Is All We Need to
Start Sparse", section 4)."""

from collections.abc import Sequence
from fractions import Fraction

from jackpot.pruning.allocation._shares import allocate_exactly, proportional


def pyramidal(
    layer_sizes: Sequence[int],
    density: float,
    *,
    classifier_density: float | None = None,
) -> list[int]:
    """Density p^l in layer l = 1, 2, ...; p is such that the counts sum to the budget.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        classifier_density: None, as published, treats the classifier like every other layer;
            otherwise as for ``smart``.
    """

    def share(sizes: Sequence[int], budget: int) -> list[Fraction]:
        base = _base(sizes, budget)
        # What the base lacks of its last digits is spread in proportion.
        return proportional(sizes, budget, [base**layer for layer in range(1, len(sizes) + 1)])

    return allocate_exactly(layer_sizes, density, classifier_density, share)


def _base(sizes: Sequence[int], budget: int) -> Fraction:
    """The p within 0..1 for which the sizes times p, p^2, ... sum to the budget, by bisection."""
    low, high = Fraction(0), Fraction(1)
    for _ in range(64):
        middle = (low + high) / 2
        if sum(size * middle**layer for layer, size in enumerate(sizes, start=1)) < budget:
            low = middle
        else:
            high = middle
    return high
