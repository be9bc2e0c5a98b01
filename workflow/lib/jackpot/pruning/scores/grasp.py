"""GraSP (Wang, Zhang & Grosse 2020, "Picking winning tickets before training", algorithm 1)."""

import torch
from torch import nn
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.pruning.scores._copy import (
    Batch,
    named,
    plain_arithmetic,
    scoring_copy,
    split_draws,
    summed,
)

USES_DATA = True


def grasp(
    model: nn.Module,
    data: Batch,
    generator: torch.Generator,
    *,
    draws: int = 1,
    temperature: float = 200.0,
    reinit_classifier: bool = False,
) -> dict[str, torch.Tensor]:
    """w * Hg, keep the highest (the paper removes the largest -w * Hg, its eq. 8).

    L is the cross-entropy of logits / temperature. Every draw is cut into two halves in its given
    order; g is the sum of the halves' gradients, Hg the sum of their Hessians' products with g.

    Args:
        model: network to score; untouched.
        data: ``(images float (N, C, H, W), labels int (N,))``.
        generator: used only by ``reinit_classifier``.
        draws: the batch is this many equal consecutive parts (the released code sums over them).
        temperature: divides the logits; 200 in the released code.
        reinit_classifier: draw the classifier's weight anew (Xavier normal) in the scoring copy,
            as the released code does. The score then uses the new weight.

    Returns:
        float32 scores, each shaped like its weight.
    """
    network = scoring_copy(model, torch.float32, train=True)
    weights = list(prunable(network).values())
    if reinit_classifier:
        fresh = nn.init.xavier_normal_(torch.empty(weights[-1].shape), generator=generator)
        weights[-1].data.copy_(fresh)
    halves = [half for draw in split_draws(network, data, draws) for half in _halves(draw)]

    def gradient(half: Batch, create_graph: bool) -> tuple[torch.Tensor, ...]:
        images, labels = half
        loss = F.cross_entropy(network(images) / temperature, labels)
        return torch.autograd.grad(loss, weights, create_graph=create_graph)

    # One half's graph at a time: memory does not grow with the number of draws.
    with plain_arithmetic(network):
        g = None
        for half in halves:
            g = summed(g, gradient(half, create_graph=False))
        hg = None
        for half in halves:
            inner = sum((a * b).sum() for a, b in zip(gradient(half, True), g, strict=True))
            hg = summed(hg, torch.autograd.grad(inner, weights))
    return named(network, [w.detach() * h for w, h in zip(weights, hg, strict=True)])


def _halves(draw: Batch) -> tuple[Batch, Batch]:
    images, labels = draw
    middle = len(images) // 2
    if middle == 0:
        raise JackpotError("grasp cuts every draw into two halves: 2 images at least are needed")
    return (images[:middle], labels[:middle]), (images[middle:], labels[middle:])
