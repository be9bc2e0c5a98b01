"""Initial weights, drawn from a keyed generator and written over a model's state."""

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import nn

from jackpot.architectures import initial_by_default
from jackpot.errors import JackpotError
from jackpot.files.tensors import Tensors
from jackpot.models import build_model, construct_own, is_users
from jackpot.randomness import seeded
from jackpot.registry import is_own

INITIAL = ("fan_out", "fan_in")


def initial_state(state: Tensors, draws: torch.Generator, initial: str = "fan_out") -> Tensors:
    """Fresh initial values for every entry of a ``state_dict``, in its order.

    Convolutions are Kaiming-normal (He et al. 2015), linear weights N(0, 0.01), biases 0,
    normalisations' weights and variances 1, means and counts 0; what is none of these stays as it
    is. Kinds are told by shape and name, so this also serves a bare dictionary of loaded weights,
    of networks that have such layers alone.

    Args:
        initial: ``fan_out``: std = sqrt(2 / (k*k*out)), their eq. 14; ``fan_in``: std =
            sqrt(2 / (k*k*in)), their eq. 10, as su2020's VGG has it.
    """
    if initial not in INITIAL:
        raise JackpotError(f"initial {initial!r} does not exist. Allowed: {', '.join(INITIAL)}")
    fresh = {}
    for name, tensor in state.items():
        if tensor.dim() == 4:
            out, channels, height, width = tensor.shape
            fan = (out if initial == "fan_out" else channels) * height * width
            std = math.sqrt(2 / fan)
            value = torch.randn(tensor.shape, generator=draws) * std
        elif tensor.dim() == 2:
            value = torch.randn(tensor.shape, generator=draws) * 0.01
        elif name.endswith((".weight", ".running_var")):
            value = torch.ones(tensor.shape)
        elif name.endswith((".bias", ".running_mean", ".num_batches_tracked")):
            value = torch.zeros(tensor.shape)
        else:
            value = tensor.detach().clone()
        fresh[name] = value.to(tensor.dtype)
    return fresh


def redrawn(model: nn.Module, draws: torch.Generator) -> Tensors:
    """Fresh initial values for a network of which nothing is known but itself, on its device.

    A built-in network's are those of ``initial_state``. Of a user's, every layer that has
    ``reset_parameters`` draws anew, and what is in no such layer stays. ``model`` is changed.
    """
    device = next(model.parameters()).device
    if not is_users(model):
        return {n: t.to(device) for n, t in initial_state(model.state_dict(), draws).items()}
    # On the CPU, whose generator draws the same everywhere.
    model.cpu()
    with seeded(int(torch.randint(2**62, (), generator=draws))):
        for layer in model.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    model.to(device)
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def initial_weights(description: Mapping[str, Any], draws: torch.Generator) -> Tensors:
    """Fresh initial weights, a whole ``state_dict``, of the model that ``description`` builds.

    ``initial`` says how: ``fan_out`` or ``fan_in`` as in ``initial_state``, or ``own``, the
    module's own initialisation: what its constructor and its layers' ``reset_parameters`` draw,
    with the global generators seeded from ``draws``. A user's model has its own by default.
    Of layers that ``initial_state`` does not know everything stays as the constructor makes it.

    Args:
        description: keyword arguments of ``build_model``, as stored beside weights.
    """
    initial = description.get("initial") or initial_by_default(description["name"])
    if not is_own(description["name"]):
        if initial == "own":
            raise JackpotError(f"{description['name']}: initial: own is for models of your own")
        with torch.device("meta"):
            shapes = build_model(**description).state_dict()
        return initial_state(shapes, draws, initial)
    if initial != "own":
        model = build_model(**description)
        state, known = model.state_dict(), _of_known_layers(model)
        drawn = initial_state({n: t for n, t in state.items() if n in known}, draws, initial)
        return {**state, **drawn}
    arguments = {key: value for key, value in description.items() if key != "initial"}
    with seeded(int(torch.randint(2**62, (), generator=draws))):
        model = construct_own(**arguments)
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _of_known_layers(model: nn.Module) -> set[str]:
    """Names in the ``state_dict`` of what belongs to the layers that ``initial_state`` knows."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
        for name, _ in chain(
            layer.named_parameters(recurse=False), layer.named_buffers(recurse=False)
        )
    }
