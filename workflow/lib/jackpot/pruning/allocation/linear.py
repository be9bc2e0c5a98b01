"""Linear ratios: su2020's ablation of the smart ratios."""

from collections.abc import Sequence

from jackpot.pruning.allocation._shares import CLASSIFIER_DENSITY, by_ratio, divided_for_vgg


def linear(
    layer_sizes: Sequence[int],
    density: float,
    *,
    family: str,
    classifier_density: float | None = CLASSIFIER_DENSITY,
) -> list[int]:
    """Density of layer l in proportion to n-l+1, over l^2 for VGG.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        family: ``vgg`` (divided by l^2, as su2020 does for every descending form) or ``resnet``.
        classifier_density: as for ``smart``.
    """
    n = len(layer_sizes)
    ratios = divided_for_vgg([n - layer + 1 for layer in range(1, n + 1)], family)
    return by_ratio(layer_sizes, density, classifier_density, ratios)
