"""Ascending ratios: su2020's ablation that turns the smart ratios round."""

from collections.abc import Sequence

from jackpot.pruning.allocation._shares import CLASSIFIER_DENSITY, by_ratio


def ascending(
    layer_sizes: Sequence[int],
    density: float,
    *,
    classifier_density: float | None = CLASSIFIER_DENSITY,
) -> list[int]:
    """Density of layer l in proportion to l^2 + l: later layers keep more.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        classifier_density: as for ``smart``.
    """
    # Not divided by l^2 for VGG: 1 + 1/l would descend.
    ratios = [layer * layer + layer for layer in range(1, len(layer_sizes) + 1)]
    return by_ratio(layer_sizes, density, classifier_density, ratios)
