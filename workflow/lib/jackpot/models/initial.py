"""Initial weights, drawn from a keyed generator and written over a model's state."""

import math

import torch

from jackpot.files.tensors import Tensors


def initial_state(state: Tensors, draws: torch.Generator) -> Tensors:
    """Fresh initial values for every entry of a ``state_dict``, in its order.

    Convolutions are Kaiming-normal by fan-out (He et al. 2015, eq. 14: std = sqrt(2 / (k*k*out))),
    linear weights N(0, 0.01), biases 0, BatchNorm weight and variance 1, the rest 0. Kinds are
    told by shape and name, so this also serves a bare dictionary of loaded weights.
    """
    fresh = {}
    for name, tensor in state.items():
        if tensor.dim() == 4:
            out, _, height, width = tensor.shape
            std = math.sqrt(2 / (out * height * width))
            value = torch.randn(tensor.shape, generator=draws) * std
        elif tensor.dim() == 2:
            value = torch.randn(tensor.shape, generator=draws) * 0.01
        elif name.endswith((".weight", ".running_var")):
            value = torch.ones(tensor.shape)
        else:
            value = torch.zeros(tensor.shape)
        fresh[name] = value.to(tensor.dtype)
    return fresh
