"""Allocations: how many weights stay in each layer. One function per file, reached by name.

Every allocation is ``allocate(layer_sizes, density, *, shapes, family, **options) -> list[int]``:
counts that sum to ``round(density * total)`` and fit their layers. ``global`` has no file and no
counts of its own, but takes the top scores over all layers (``jackpot.pruning.masks.keep_top``).
The name of a built-in score stands for its counts: as many in each layer as it leaves under
``global``. Nothing here imports torch.
"""

from collections.abc import Sequence
from pathlib import Path

from jackpot.pruning.counts import density_of
from jackpot.pruning.scores import SCORES
from jackpot.registry import Registry

GLOBAL = "global"
ALLOCATIONS = Registry(
    __name__, Path(__file__).parent, "allocation", without_file=(GLOBAL, *SCORES.names())
)


def allocation_names() -> list[str]:
    """Names of the built-in allocations, ``global`` included, sorted."""
    return sorted([GLOBAL, *ALLOCATIONS.names()])


def check_allocation(name: str) -> None:
    """Refuse a name that is no allocation.

    Raises:
        ValueError: naming the allowed values.
    """
    if name != GLOBAL and name not in SCORES:
        ALLOCATIONS.check(name)


def code_of_allocation(name: str) -> str:
    """Fingerprint of what decides the counts."""
    if name == GLOBAL:
        return GLOBAL
    return (SCORES if name in SCORES else ALLOCATIONS).code(name)


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
