"""Erdős-Rényi-Kernel (Evci et al. 2020, "Rigging the lottery", section 3 and appendix A)."""

from collections.abc import Sequence
from fractions import Fraction

from jackpot.pruning.allocation._shares import allocate_exactly


def erk(
    layer_sizes: Sequence[int],
    density: float,
    *,
    shapes: Sequence[Sequence[int]],
    family: object = None,
    classifier_density: float | None = None,
) -> list[int]:
    """Density of a layer in proportion to (in + out + width + height) / (in*out*width*height).

    A layer whose density would exceed 1 stays whole and the others' scale is solved again.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        shapes: shape of every weight: (out, in, height, width) or (out, in).
        family: unused.
        classifier_density: None, as published, treats the classifier like every other layer;
            otherwise as for ``smart``.
    """

    def share(sizes: Sequence[int], budget: int) -> list[Fraction]:
        return _solve(sizes, [sum(shape) for shape in shapes[: len(sizes)]], budget)

    return allocate_exactly(layer_sizes, density, classifier_density, share)


def _solve(sizes: Sequence[int], dimensions: Sequence[int], budget: int) -> list[Fraction]:
    """Shares ``min(size, scale * dimensions)`` that sum to ``budget``."""
    whole: set[int] = set()
    while True:
        open_layers = [i for i in range(len(sizes)) if i not in whole]
        left = budget - sum(sizes[i] for i in whole)
        total = sum(dimensions[i] for i in open_layers)
        scale = Fraction(left, total) if open_layers else Fraction(0)
        # Making a layer whole only raises the scale, so none ever has to be reopened.
        full = {i for i in open_layers if scale * dimensions[i] > sizes[i]}
        if not full:
            return [
                Fraction(sizes[i]) if i in whole else scale * dimensions[i]
                for i in range(len(sizes))
            ]
        whole |= full
