"""Allocations: how many weights stay in each layer. One function per file, reached by name.

Every allocation is ``allocate(layer_sizes, density, *, shapes, family, **options) -> list[int]``:
counts that sum to ``round(density * total)`` and fit their layers. ``global`` is the one valid
name without a file: it has no counts of its own, but takes the top scores over all layers
(``jackpot.pruning.masks.keep_top``). Nothing here imports torch.
"""

from collections.abc import Sequence
from pathlib import Path

from jackpot.pruning.counts import density_of
from jackpot.registry import Registry

GLOBAL = "global"
ALLOCATIONS = Registry(__name__, Path(__file__).parent, "allocation", without_file=(GLOBAL,))


def allocation_names() -> list[str]:
    """Names of the built-in allocations, ``global`` included, sorted."""
    return sorted([GLOBAL, *ALLOCATIONS.names()])


def smart_counts(
    layer_sizes: Sequence[int], sparsity: float, family: str = "vgg", variant: str = "su2020"
) -> list[int]:
    """Weights that stay in each layer under smart ratios; the classifier is the last layer.

    Args:
        layer_sizes: weights of every prunable layer, in order.
        sparsity: fraction removed over all layers.
        family: ``vgg`` or ``resnet``.
        variant: ``su2020`` or ``mlrc2020``.

    Raises:
        JackpotError: unknown family or variant, impossible sparsity, too many layers.
    """
    smart = ALLOCATIONS["smart"]
    return smart(layer_sizes, density_of(sparsity), family=family, variant=variant)
