"""Effective sparsity: weights that no path from input to output can use count as removed.

Vysogorets & Kempe 2023, "Connectivity Matters: Neural Network Pruning Through the Lens of Effective
Sparsity", section 2. As in their code's ``effective_masks_synflow``, every kept weight becomes 1,
biases, normalisation and activations go, pooling sums, and a weight is effective if the gradient of
the outputs' sum for an image of ones is not 0. Theirs underflows in deep networks; here whatever
passes a layer, forwards and backwards, is cut down to 0 or 1.
"""

import copy

import torch
from torch import nn

from jackpot.files.tensors import Mask
from jackpot.models import prunable
from jackpot.pruning.masks import validate

_IDENTITIES = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softmax,
)


def effective_mask(model: nn.Module, mask: Mask, image: tuple[int, int, int]) -> Mask | None:
    """The weights of ``mask`` that lie on a path from input to output.

    Weights of a kernel that only ever see padding lie on none. A layer normalisation is taken to
    join nothing, like every other normalisation. The model's device makes no difference.

    Args:
        model: any network; untouched.
        mask: what it keeps, name -> bool.
        image: (C, H, W) of its input.

    Returns:
        name -> bool, a part of ``mask``; None if the network does something through which paths
        cannot be counted, such as a difference of layers, or a normalisation that is no module.

    Raises:
        JackpotError: the mask is not this model's.
    """
    validate(mask, prunable(model))
    network = _of_paths(model)
    try:
        with torch.no_grad():
            if network(torch.zeros((1, *image), dtype=torch.float64)).any():
                return None
        dense = _reached(network, {n: torch.ones_like(keep) for n, keep in mask.items()}, image)
        # Where the dense network has a layer without paths, they were lost, not cut.
        if not all(keep.any() for keep in dense.values()):
            return None
        return _reached(network, mask, image)
    except _NoPathsError:
        return None


def effective_counts(model: nn.Module, mask: Mask, image: tuple[int, int, int]) -> list[int | None]:
    """Effective weights of every layer, in the mask's order; None where they cannot be told."""
    found = effective_mask(model, mask, image)
    return [None if found is None else int(found[name].sum()) for name in mask]


def _of_paths(model: nn.Module) -> nn.Module:
    """A copy without anything but the prunable layers, sums and means."""
    # In float64 on the CPU sums of zeros and ones are exact, whatever a device's algorithms are.
    network = copy.deepcopy(model).to(device="cpu", dtype=torch.float64)
    network = _replaced(network.requires_grad_(False)).eval()
    kept = prunable(network)
    for name, parameter in network.named_parameters():
        if name in kept:
            parameter.requires_grad_(True)
        else:
            parameter.data.fill_(0 if name.endswith("bias") else 1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: _refuse_negative(inputs[0]))
            module.register_forward_hook(lambda _, __, output: _Saturated.apply(output))
    return network


def _replaced(module: nn.Module) -> nn.Module:
    if isinstance(module, _IDENTITIES):
        return nn.Identity()
    if isinstance(module, nn.MaxPool2d):
        # The largest of a window may be any of them.
        sizes = (module.kernel_size, module.stride, module.padding)
        return nn.AvgPool2d(*sizes, ceil_mode=module.ceil_mode)
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return nn.AdaptiveAvgPool2d(module.output_size)
    for name, child in module.named_children():
        setattr(module, name, _replaced(child))
    return module


def _reached(network: nn.Module, mask: Mask, image: tuple[int, int, int]) -> Mask:
    weights = prunable(network)
    for name, weight in weights.items():
        weight.data.copy_(mask[name])
    ones = torch.ones((1, *image), dtype=torch.float64)
    with torch.enable_grad(), torch.autocast("cpu", enabled=False):
        output = network(ones)
        slopes = torch.autograd.grad(output.sum(), list(weights.values()), allow_unused=True)
    return {
        name: mask[name].cpu() & (slope > 0 if slope is not None else torch.tensor(False))
        for name, slope in zip(weights, slopes, strict=True)
    }


class _NoPathsError(Exception):
    """The network is not made of sums of paths."""


def _refuse_negative(values: torch.Tensor) -> None:
    if not bool((values >= 0).all()):  # NaN, too
        raise _NoPathsError


class _Saturated(torch.autograd.Function):
    """Positive -> 1, both ways, so that nothing over- or underflows."""

    @staticmethod
    def forward(context, x):
        _refuse_negative(x)
        return (x > 0).to(x)

    @staticmethod
    def backward(context, slope):
        _refuse_negative(slope)
        return (slope > 0).to(slope)
