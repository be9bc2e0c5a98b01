"""FORCE (de Jorge et al. 2021, "Progressive Skeletonization: Trimming more fat from a network at
initialization", section 4 and algorithm 1)."""

import torch
from torch import nn

from jackpot.files.tensors import Mask
from jackpot.models import prunable
from jackpot.pruning.masks import apply_mask
from jackpot.pruning.scores._copy import Batch, loss_gradients, named, scoring_copy

USES_DATA = True
# Weights pruned in one round may come back in the next.
REVIVES = True


def force(
    model: nn.Module,
    data: Batch,
    generator: torch.Generator,
    *,
    alive: Mask | None = None,
    draws: int = 1,
) -> dict[str, torch.Tensor]:
    """|w * dL/dw|: the dense weight times the slope in the pruned network.

    A pruned weight is 0 in the network that is derived, so its slope says what it would do there.
    The first round is SNIP. The released code draws a batch of its own in every round; here all
    rounds see one.

    Args:
        model: the dense network; untouched.
        data: ``(images float (N, C, H, W), labels int (N,))``.
        generator: unused.
        alive: what the round before kept; None before the first.
        draws: as for ``snip``.

    Returns:
        float32 scores of all weights, pruned ones too, each shaped like its weight.
    """
    network = scoring_copy(model, torch.float32, train=True)
    weights = prunable(network)
    dense = {name: weight.detach().clone() for name, weight in weights.items()}
    if alive is not None:
        for name, value in apply_mask(dense, alive).items():
            weights[name].data.copy_(value)
    gradients = loss_gradients(network, data, draws)
    scores = [(w * g).abs() for w, g in zip(dense.values(), gradients, strict=True)]
    return named(network, scores)
