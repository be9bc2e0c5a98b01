"""Random scores: with an allocation's counts they make random tickets (su2020, section 4)."""

import torch
from torch import nn

from jackpot.models import prunable

USES_DATA = False


def random(
    model: nn.Module, data: object, generator: torch.Generator, *, per_filter: bool = False
) -> dict[str, torch.Tensor]:
    """Uniform draws on [0, 1), float32; reads neither weights nor ``data``.

    Args:
        per_filter: one draw per output filter, spread evenly over its weights, so that the
            filter's sum is the draw (for structured pruning).
    """
    scores = {}
    for name, weight in prunable(model).items():
        if per_filter:
            draws = torch.rand(len(weight), generator=generator) / weight[0].numel()
            draws = draws.reshape(-1, *(1,) * (weight.dim() - 1)).expand(weight.shape)
        else:
            draws = torch.rand(weight.shape, generator=generator)
        scores[name] = draws.to(weight.device)
    return scores
