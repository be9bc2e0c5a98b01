"""SNIP (Lee, Ajanthan & Torr 2019, "SNIP: Single-shot network pruning", eqs. 4 and 6)."""

import torch
from torch import nn

from jackpot.models import prunable
from jackpot.pruning.scores._copy import Batch, loss_gradients, named, scoring_copy

USES_DATA = True


def snip(
    model: nn.Module,
    data: Batch,
    generator: torch.Generator,
    *,
    draws: int = 1,
    reinit: bool = False,
) -> dict[str, torch.Tensor]:
    """|w * dL/dw|, L the cross-entropy, BatchNorm in train mode.

    In ``rounds`` it is the iterative SNIP of de Jorge et al. 2021 (see ``force``).

    Args:
        model: network to score; untouched.
        data: ``(images float (N, C, H, W), labels int (N,))``.
        generator: used only by ``reinit``.
        draws: the batch is this many equal consecutive parts, whose gradients are summed before
            they are multiplied by the weights (as su2020's and GraSP's released code do).
        reinit: draw every weight anew (Xavier normal) in the scoring copy, as mlrc2020's code
            does; the score then says nothing of the network's own weights.

    Returns:
        float32 scores, each shaped like its weight.
    """
    network = scoring_copy(model, torch.float32, train=True)
    weights = list(prunable(network).values())
    if reinit:
        for weight in weights:
            fresh = nn.init.xavier_normal_(torch.empty(weight.shape), generator=generator)
            weight.data.copy_(fresh)
    gradients = loss_gradients(network, data, draws)
    scores = [(w.detach() * g).abs() for w, g in zip(weights, gradients, strict=True)]
    return named(network, scores)
