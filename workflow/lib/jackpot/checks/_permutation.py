"""Random orders, where the values that are permuted are."""

import torch


def permutation(length: int, generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
    """A random order of ``length`` things, int64, on the device of ``like``."""
    return torch.randperm(length, generator=generator).to(like.device)
