"""What a network does with images, tried out before anything is trained."""

import copy
import sys

import torch
from torch import nn
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.randomness import seeded
from jackpot.registry import own_traceback

_BATCH = 4
# A layer that is left out at random gets no gradient in some draws.
_DRAWS = 8


def try_out(name: str, model: nn.Module, shape: tuple[int, int, int], classes: int) -> None:
    """Refuse a network that cannot be trained on images of ``shape`` (C, H, W).

    Raises:
        JackpotError: its forward fails, its logits are not (N, classes), or some parameter gets
            no gradient.
    """
    model, order = copy.deepcopy(model), []
    for layer, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda *_, weight=f"{layer}.weight": order.append(weight))
    images = _images(shape)

    def logits_of(seed: int) -> torch.Tensor:
        with seeded(seed):
            return model.train()(images)

    try:
        logits = logits_of(0)
    except Exception as error:
        why = own_traceback(error) or f"{type(error).__name__}: {error}"
        raise JackpotError(
            f"model {name} cannot take images of shape {tuple(images.shape)}: {why}"
        ) from error
    if not isinstance(logits, torch.Tensor) or logits.shape != (len(images), classes):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise JackpotError(
            f"model {name} must give logits of shape {(len(images), classes)}, one a class, and "
            f"gives {got}"
        )
    used_last = order[-1] if order else None
    labels = torch.arange(len(images)) % classes
    for seed in range(_DRAWS):
        F.cross_entropy(logits_of(seed).float(), labels).backward()
        idle = [key for key, value in model.named_parameters() if value.grad is None]
        if not idle:
            break
    else:
        raise JackpotError(
            f"model {name} has parameters that get no gradient: {', '.join(idle[:5])}. Leave them "
            "out, or register what stays fixed as a buffer."
        )
    classifier = list(prunable(model))[-1]
    if used_last and used_last != classifier:
        print(
            f"warning: {name} uses {used_last} last, and {classifier} is defined last; the latter "
            "is taken for the classifier. Define the classifier after all other layers.",
            file=sys.stderr,
        )


def lay_out(model: nn.Module, shape: tuple[int, int, int]) -> torch.memory_format:
    """channels_last, if a user's network can take it; else it is made to get contiguous images.

    A ``view`` of images or activations fails on channels_last, which no built-in network minds.
    """
    trial = copy.deepcopy(model).to(memory_format=torch.channels_last).eval()
    images = _images(shape).contiguous(memory_format=torch.channels_last)
    try:
        with torch.no_grad(), seeded(0):
            trial(images)
    except RuntimeError:
        model.register_forward_pre_hook(lambda _, given: tuple(x.contiguous() for x in given))
        return torch.contiguous_format
    return torch.channels_last


def _images(shape: tuple[int, int, int]) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.randn(_BATCH, *shape, generator=draws)
