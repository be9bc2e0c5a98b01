"""Erdős-Rényi-Kernel (Evci et al. 2020, "Rigging the lottery", section 3 and appendix A)."""

from collections.abc import Sequence

from jackpot.pruning.allocation._shares import allocate_exactly, filled


def erk(
    layer_sizes: Sequence[int],
    density: float,
    *,
    shapes: Sequence[Sequence[int]],
    classifier_density: float | None = None,
) -> list[int]:
    """Density of a layer in proportion to (in + out + width + height) / (in*out*width*height).

    A layer whose density would exceed 1 stays whole and the others' scale is solved again.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        shapes: shape of every weight: (out, in, height, width) or (out, in).
        classifier_density: None, as published, treats the classifier like every other layer;
            1.0 is ERK+ (Liu et al. 2022, "The Unreasonable Effectiveness of Random Pruning",
            section 3.2); otherwise as for ``smart``.
    """

    return allocate_exactly(
        layer_sizes,
        density,
        classifier_density,
        lambda sizes, budget: filled(sizes, [sum(shape) for shape in shapes[: len(sizes)]], budget),
    )
