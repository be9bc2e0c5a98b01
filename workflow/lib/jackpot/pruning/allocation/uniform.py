"""Uniform ratios: su2020's ablation ("balanced")."""

from collections.abc import Sequence

from jackpot.pruning.allocation._shares import CLASSIFIER_DENSITY, by_ratio


def uniform(
    layer_sizes: Sequence[int],
    density: float,
    *,
    classifier_density: float | None = CLASSIFIER_DENSITY,
) -> list[int]:
    """One density for every layer but the classifier.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        classifier_density: as for ``smart``.
    """
    ratios = [1] * len(layer_sizes)
    return by_ratio(layer_sizes, density, classifier_density, ratios)
