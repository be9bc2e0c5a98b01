"""Balanced ratios (Gadhikar, Mukherjee & Burkholz 2023, "Why Random Pruning Is All We Need to Start
Sparse", section 4)."""

from collections.abc import Sequence

from jackpot.pruning.allocation._shares import allocate_exactly, filled


def balanced(
    layer_sizes: Sequence[int],
    density: float,
    *,
    classifier_density: float | None = None,
) -> list[int]:
    """The same number of weights in every layer; what a small layer cannot hold, the others share.

    The released code (RelationalML/sparse_to_sparse) leaves that surplus out, so it keeps fewer
    weights in all than asked for.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        classifier_density: None, as published, treats the classifier like every other layer;
            otherwise as for ``smart``.
    """
    return allocate_exactly(
        layer_sizes,
        density,
        classifier_density,
        lambda sizes, budget: filled(sizes, [1] * len(sizes), budget),
    )
