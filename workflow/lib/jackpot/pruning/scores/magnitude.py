"""Magnitude (Han et al. 2015; Frankle & Carbin 2019 for lottery tickets)."""

import torch
from torch import nn

from jackpot.models import prunable

USES_DATA = False


def magnitude(
    model: nn.Module, data: object, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """|w| as float32; reads neither ``data`` nor ``generator``."""
    return {name: weight.detach().float().abs() for name, weight in prunable(model).items()}
