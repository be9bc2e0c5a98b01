"""The networks: VGG with BatchNorm and CIFAR-style ResNets.

``build_model`` is the one way to make a model. Its weights are then drawn by
``jackpot.models.initial.initialise``, from a keyed generator, never by PyTorch's global one.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from jackpot.architectures import split_name
from jackpot.errors import JackpotError
from jackpot.files.atomic import damaged
from jackpot.files.tensors import Tensors, load_tensors
from jackpot.models.convolution import protect
from jackpot.models.resnet import ResNet
from jackpot.models.vgg import VGG


def build_model(
    name: str, num_classes: int = 10, in_channels: int = 3, initial: str = "fan_out", **options
) -> nn.Module:
    """Build a network by name, e.g. ``vgg19`` or ``resnet32``.

    Args:
        name: ``vgg<depth>`` or ``resnet<depth>``; ``jackpot.architectures`` lists them.
        num_classes: outputs of the one linear classifier.
        in_channels: channels of the input images.
        initial: how ``initial_state`` is to draw its convolutions; kept as ``model.initial``.
        **options: ``width``, the channels of the first stage (VGG 64, ResNet 16), and those of
            ``VGG`` and ``ResNet``. VGG averages whatever map is left before the classifier: 2x2
            of CIFAR's images, 4x4 of Tiny-ImageNet's, as the released codes do.

    Raises:
        JackpotError: unknown name or option.
    """
    family, depth = split_name(name)
    try:
        if family == "vgg":
            model: nn.Module = VGG(depth, num_classes, in_channels, **options)
        else:
            model = ResNet(depth, num_classes, in_channels, **options)
    except TypeError as error:
        raise JackpotError(f"model {name}: {error}") from error
    model.initial = initial
    return protect(model)


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Prunable weights by parameter name: every Conv2d and Linear weight."""
    chosen = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    return {name: p for name, p in model.named_parameters() if id(p) in chosen}


def model_with_state(description: dict[str, Any], state: Tensors) -> nn.Module:
    """A model that holds ``state``'s tensors; nothing is drawn at random on the way.

    Args:
        description: keyword arguments of ``build_model``, as stored beside weights.
    """
    with torch.device("meta"):
        model = build_model(**description)
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise JackpotError(f"the weights do not fit {description['name']}: {error}") from None
    return model


def load_weights(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """A weights file: state and metadata, whose ``model`` are ``build_model``'s arguments.

    Raises:
        JackpotError: the file is missing, damaged, or holds no weights.
    """
    state, metadata = load_tensors(path)
    if "model" not in metadata:
        raise damaged(path, "it holds no model's weights")
    return state, metadata


def load_model(path: str | Path) -> nn.Module:
    """Load any weights file of a study into a plain PyTorch model, on the CPU, in eval mode.

    Raises:
        JackpotError: as ``load_weights``.
    """
    state, metadata = load_weights(path)
    return model_with_state(metadata["model"], state).eval()
