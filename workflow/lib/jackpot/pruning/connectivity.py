"""Effective sparsity: weights that no path from input to output can use count as removed.

Vysogorets & Kempe 2023, "Connectivity Matters: Neural Network Pruning Through the Lens of Effective
Sparsity", section 2. Nearly as in their code's ``effective_masks_synflow``: every kept weight
becomes 1 (there the magnitude of a fresh draw), biases, normalisation and activations go, pooling
averages, and a weight is effective if the gradient of the outputs' sum for an image of ones is not
0. Theirs underflows in deep networks; here whatever passes a layer, forwards and backwards, is cut
down to 0 or 1.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

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
_IDENTITY_FUNCTIONS = {
    *("clamp", "clamp_min", "clamp_max", "clip", "hardtanh", "relu6"),
    *("alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d"),
    *("feature_alpha_dropout", "feature_dropout"),
}
# What takes one value and leaves others, or has a slope that tells nothing about paths.
_CHOICES = {
    *("amin", "aminmax", "argmax", "argmin", "argsort", "bernoulli", "cummax", "cummin", "fmax"),
    *("fmin", "kthvalue", "max", "maximum", "median", "min", "minimum", "mode", "msort"),
    *("nanmedian", "nanquantile", "quantile", "sort", "topk"),
    *("eq", "ge", "greater", "greater_equal", "gt", "le", "less", "less_equal", "lt", "ne"),
    *("not_equal", "hardshrink", "softshrink", "threshold"),
    *("softmax", "scaled_dot_product_attention", "multi_head_attention_forward"),
}


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
        cannot be counted, such as a difference of layers, a choice by value, or a normalisation
        that is no module, or if it does not run in float64.

    Raises:
        JackpotError: the mask is not this model's.
    """
    validate(mask, prunable(model))
    # A user's network may raise anything here, and must not lose its finished training by it.
    try:
        network = _of_paths(model)
        with torch.no_grad():
            if _output(network, torch.zeros((1, *image), dtype=torch.float64)).any():
                return None
        dense = _reached(network, {n: torch.ones_like(keep) for n, keep in mask.items()}, image)
        # Where the dense network has a layer without paths, they were lost, not cut.
        if not all(keep.any() for keep in dense.values()):
            return None
        return _reached(network, mask, image)
    except Exception:
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
    for name, child in module.named_children():
        setattr(module, name, _replaced(child))
    return module


def _output(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", enabled=False), _WithoutChoices():
        return network(images)


def _reached(network: nn.Module, mask: Mask, image: tuple[int, int, int]) -> Mask:
    weights = prunable(network)
    for name, weight in weights.items():
        weight.data.copy_(mask[name])
    ones = torch.ones((1, *image), dtype=torch.float64)
    with torch.enable_grad():
        output = _output(network, ones)
        slopes = torch.autograd.grad(output.sum(), list(weights.values()), allow_unused=True)
    return {
        name: mask[name].cpu() & (slope > 0 if slope is not None else torch.tensor(False))
        for name, slope in zip(weights, slopes, strict=True)
    }


class _NoPathsError(Exception):
    """The network is not made of sums of paths."""


class _WithoutChoices(TorchFunctionMode):
    """Means for maxima, since the largest may be any of them; nothing is clipped or dropped.

    Modules call functions, so that both are met here.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.__name__.strip("_")  # clamp_, __gt__
        if name in _IDENTITY_FUNCTIONS:
            return _identity(*args, **kwargs)
        if name in _MEANS:
            return _MEANS[name](*args, **kwargs)
        if name in _CHOICES or "max_pool" in name:
            raise _NoPathsError
        return func(*args, **kwargs)


def _identity(input, *options, **named):
    if any(map(torch.is_tensor, (*options, *named.values()))):
        raise _NoPathsError  # a bound is a path of its own
    return input


def _mean_pool(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    if dilation not in (1, (1, 1), [1, 1]) or return_indices:
        raise _NoPathsError
    return F.avg_pool2d(input, kernel_size, stride, padding, ceil_mode)


def _adaptive_mean_pool(input, output_size, return_indices=False):
    if return_indices:
        raise _NoPathsError
    return F.adaptive_avg_pool2d(input, output_size)


_MEANS = {
    "amax": torch.mean,
    "max_pool2d": _mean_pool,
    "adaptive_max_pool2d": _adaptive_mean_pool,
}


def _refuse_negative(values: torch.Tensor) -> None:
    # In NumPy, where a comparison is not taken for the network's.
    if not (values.numpy(force=True) >= 0).all():  # NaN, too
        raise _NoPathsError


class _Saturated(torch.autograd.Function):
    """Positive -> 1, both ways, so that nothing over- or underflows."""

    @staticmethod
    def forward(context, x):
        _refuse_negative(x)
        return x.sign()

    @staticmethod
    def backward(context, slope):
        _refuse_negative(slope)
        return slope.sign()
