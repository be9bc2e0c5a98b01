"""SynFlow (Tanaka, Kunin, Yamins & Ganguli 2020, "Pruning neural networks without any data")."""

from itertools import chain

import torch
from torch import nn

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.pruning.scores._copy import Batch, named, plain_arithmetic, scoring_copy

# Only the shape of the images is read.
USES_DATA = False


def synflow(
    model: nn.Module,
    data: Batch | None,
    generator: torch.Generator,
    *,
    input_shape: tuple[int, int, int] | None = None,
    inplace: bool = False,
) -> dict[str, torch.Tensor]:
    """|w * dR/dw|, R the sum of outputs for an all-ones input (their eq. 1 and algorithm 1).

    Computed on a float64 copy in eval mode whose parameters and buffers are all replaced by their
    absolute values; float32 over- or underflows in deep networks. One call is one round.

    Args:
        model: network to score; untouched unless ``inplace``.
        data: ``(images (N, C, H, W), labels)``; only (C, H, W) is read.
        generator: unused; SynFlow draws nothing.
        input_shape: (C, H, W), for a caller without data.
        inplace: bring the model itself, not a copy, into that form, which is then there already
            in the next round. For a caller whose own copy it is.

    Returns:
        float64 scores, each shaped like its weight.
    """
    if input_shape is None:
        if data is None:
            raise JackpotError("synflow needs the images' shape: pass data or input_shape=(C,H,W)")
        input_shape = data[0].shape[1:]
    network = scoring_copy(model, torch.float64, train=False, inplace=inplace)
    for tensor in chain(network.parameters(), network.buffers()):
        if tensor.dtype != torch.bool:
            tensor.data.abs_()
    weights = list(prunable(network).values())
    with plain_arithmetic(network):
        ones = torch.ones((1, *input_shape), dtype=torch.float64, device=weights[0].device)
        gradients = list(torch.autograd.grad(network(ones).sum(), weights))
    # A gradient taken off the list frees its memory for the next product.
    scores = [(w.detach() * gradients.pop(0)).abs_() for w in weights]
    return named(network, scores)
