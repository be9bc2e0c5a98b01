"""Allocations: how many weights stay in each layer. One function per file, reached by name.

Every allocation is ``allocate(layer_sizes, density, *, shapes, family, **options) -> list[int]``:
counts that sum to ``round(density * total)`` and fit their layers; ``shapes`` and ``family`` are
given to one that has them. ``global`` has no file and no counts of its own, but takes the top
scores over all layers (``jackpot.pruning.masks.keep_top``). The name of a built-in score stands for
its counts: as many in each layer as it leaves under ``global``. Nothing here imports torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jackpot.errors import JackpotError
from jackpot.pruning.counts import density_of
from jackpot.pruning.scores import SCORES
from jackpot.registry import Registry

GLOBAL = "global"
ALLOCATIONS = Registry(
    __name__,
    Path(__file__).parent,
    "allocation",
    takes=("layer_sizes", "density"),
    offered=("shapes",),
    defaults=("family",),
    without_file=(GLOBAL, *SCORES.names()),
    page="docs/extending/allocation.md",
)


def allocation_names() -> list[str]:
    """Names of the built-in allocations, ``global`` included, sorted."""
    return sorted([GLOBAL, *ALLOCATIONS.names()])


def check_allocation(name: str, options: Sequence[str] = ()) -> None:
    """Refuse an allocation, or options of it, before anything runs.

    Raises:
        ValueError: says what is missing or wrong, and what is allowed.
    """
    if name != GLOBAL:
        (SCORES if name in SCORES else ALLOCATIONS).check(name, options)
    elif options:
        raise ValueError(f"allocation global has no option {', '.join(sorted(options))}")


def code_of_allocation(name: str) -> str:
    """Fingerprint of what decides the counts."""
    if name == GLOBAL:
        return GLOBAL
    return (SCORES if name in SCORES else ALLOCATIONS).code(name)


def allocate(
    name: str,
    sizes: Sequence[int],
    density: float,
    *,
    budget: int,
    shapes: Sequence[Sequence[int]],
    family: str,
    options: Mapping[str, Any],
) -> list[int]:
    """Counts of an allocation, checked.

    Args:
        sizes, shapes: of every prunable layer, in order.
        budget: weights that stay in all, ``round(density * total)``.
        family: of the model; an option of this name overrides it.

    Raises:
        JackpotError: unknown option, or counts that are not whole, do not fit, or are not
            ``budget`` in all.
    """
    ALLOCATIONS.require(name, options)
    given = ALLOCATIONS.offered(name, shapes=list(shapes), family=family)
    counts = ALLOCATIONS[name](list(sizes), density, **{**given, **options})
    form = f"allocation {name} must return {len(sizes)} whole numbers, one a layer, "
    form += f"that sum to {budget}"
    if not isinstance(counts, Sequence) or isinstance(counts, str):
        told = "None" if counts is None else f"a {type(counts).__name__}"
        raise JackpotError(f"{form}, and returned {told}")
    wrong = [count for count in counts if not isinstance(count, int) or isinstance(count, bool)]
    if wrong:
        raise JackpotError(f"{form}; {wrong[0]!r} is a {type(wrong[0]).__name__}")
    if len(counts) != len(sizes) or sum(counts) != budget:
        raise JackpotError(f"{form}, and returned {len(counts)} that sum to {sum(counts)}")
    for layer, (count, size) in enumerate(zip(counts, sizes, strict=True), 1):
        if not 0 <= count <= size:
            raise JackpotError(f"{form}; layer {layer} has {size} weights and cannot keep {count}")
    return list(counts)


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
