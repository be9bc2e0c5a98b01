"""What the allocations share: a classifier apart from the rest, and exact whole counts.

Shares are ``Fraction``s, so whether a layer is full and which remainder is larger never hang on
floating-point noise.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from jackpot.errors import JackpotError
from jackpot.pruning.counts import kept_count, whole_counts

# su2020 keeps this fraction of the classifier at every sparsity (their section 4).
CLASSIFIER_DENSITY = 0.3


def allocate_exactly(
    layer_sizes: Sequence[int],
    density: float,
    classifier_density: float | None,
    share: Callable[[Sequence[int], int], list[Fraction]],
) -> list[int]:
    """Set the classifier (last layer), share the rest of the budget out, round to whole counts.

    The classifier keeps ``classifier_density`` of its weights. If that would leave fewer weights
    than there are other layers, as on small networks at extreme sparsity, it keeps the network's
    own density instead. If the other layers cannot hold the rest, it keeps more.

    Args:
        layer_sizes: weights of every prunable layer, in order.
        density: fraction kept over all layers.
        classifier_density: fraction of the classifier; None shares it out like any other layer.
        share: ``share(sizes, budget)`` -> exact shares that sum to ``budget`` and fit ``sizes``.

    Raises:
        JackpotError: a layer size that is not a positive whole number.
    """
    if not layer_sizes or any(size < 1 or size != int(size) for size in layer_sizes):
        raise JackpotError(f"layer sizes must be positive whole numbers, not {list(layer_sizes)}")
    sizes = [int(size) for size in layer_sizes]
    budget = kept_count(density, sum(sizes))
    if classifier_density is None:
        return whole_counts(share(sizes, budget), budget)
    others, classifier = sizes[:-1], sizes[-1]
    kept = kept_count(classifier_density, classifier)
    if budget - kept < len(others):
        kept = min(kept, kept_count(density, classifier))
    kept = max(kept, budget - sum(others))
    return [*whole_counts(share(others, budget - kept), budget - kept), kept]


def proportional(
    sizes: Sequence[int], budget: int, ratios: Sequence[int | Fraction]
) -> list[Fraction]:
    """Shares ``scale * ratio * size`` that sum to ``budget``; no layer holds more than its size.

    A full layer's surplus moves to the next layers in order; what runs off the end moves to the
    earlier layers, the last of them first.
    """
    weighted = [Fraction(ratio) * size for ratio, size in zip(ratios, sizes, strict=False)]
    scale = Fraction(budget) / sum(weighted) if weighted else Fraction(0)
    shares, surplus = [], Fraction(0)
    for size, weight in zip(sizes, weighted, strict=True):
        wanted = scale * weight + surplus
        shares.append(min(wanted, Fraction(size)))
        surplus = wanted - shares[-1]
    for i in reversed(range(len(sizes))):
        moved = min(surplus, sizes[i] - shares[i])
        shares[i] += moved
        surplus -= moved
    return shares


def filled(sizes: Sequence[int], weights: Sequence[int], budget: int) -> list[Fraction]:
    """Shares ``min(size, scale * weight)`` that sum to ``budget``."""
    whole: set[int] = set()
    while True:
        open_layers = [i for i in range(len(sizes)) if i not in whole]
        left = budget - sum(sizes[i] for i in whole)
        total = sum(weights[i] for i in open_layers)
        scale = Fraction(left, total) if open_layers else Fraction(0)
        # Making a layer whole only raises the scale, so none ever has to be reopened.
        full = {i for i in open_layers if scale * weights[i] > sizes[i]}
        if not full:
            return [
                Fraction(sizes[i]) if i in whole else scale * weights[i] for i in range(len(sizes))
            ]
        whole |= full


def by_ratio(
    layer_sizes: Sequence[int],
    density: float,
    classifier_density: float | None,
    ratios: Sequence[int | Fraction],
) -> list[int]:
    """Counts in proportion to ``ratios`` (one per layer), the classifier set apart.

    Raises:
        JackpotError: a ratio that is used is not positive.
    """
    used = ratios if classifier_density is None else ratios[:-1]
    if any(ratio <= 0 for ratio in used):
        raise JackpotError(
            f"these ratios are made for fewer than {len(layer_sizes)} layers: "
            "some layer would keep nothing. Use another variant or allocation."
        )
    return allocate_exactly(
        layer_sizes,
        density,
        classifier_density,
        lambda sizes, budget: proportional(sizes, budget, ratios),
    )


def divided_for_vgg(ratios: Sequence[int], family: str) -> list[Fraction]:
    """``r_l / l**2`` for VGG, ``r_l`` for ResNet (su2020, section 4).

    Raises:
        JackpotError: unknown family.
    """
    if family not in ("vgg", "resnet"):
        raise JackpotError(
            f"unknown model family {family!r}; known: vgg, resnet. Smart ratios are defined for "
            "these two: set allocation_options: {family: resnet} for the plain ones."
        )
    power = 2 if family == "vgg" else 0
    return [Fraction(ratio, layer**power) for layer, ratio in enumerate(ratios, start=1)]
