"""The networks: VGG with BatchNorm, CIFAR-style ResNets, and users' own.

``build_model`` is the one way to make a model. Its weights are then drawn by
``jackpot.models.initial``, from a keyed generator, never by PyTorch's global one.
"""

import contextlib
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jackpot.architectures import MODELS
from jackpot.errors import JackpotError
from jackpot.files.atomic import damaged
from jackpot.files.tensors import Tensors, load_tensors
from jackpot.models.convolution import protect
from jackpot.randomness import seeded
from jackpot.registry import is_own

# The height and width of images; one number where they are equal.
ImageSize = int | tuple[int, int] | None


def build_model(
    name: str,
    num_classes: int = 10,
    in_channels: int = 3,
    image_size: ImageSize = None,
    *,
    initial: str | None = None,
    **options,
) -> nn.Module:
    """Build a network by name, e.g. ``vgg19``, ``resnet32`` or ``net.py:mixer``.

    Args:
        name: ``vgg<depth>``, ``resnet<depth>``, or a user's ``file.py:function``, which is called
            as ``function(num_classes, in_channels, image_size, **options)`` and returns an
            ``nn.Module`` from float (N, C, H, W) to logits (N, num_classes).
        num_classes: outputs of the one linear classifier.
        in_channels: channels of the input images.
        image_size: side of the images, or (height, width); None where a network takes any.
        initial: how ``jackpot.models.initial`` draws its weights; nothing here depends on it.
        **options: those of ``VGG``, ``ResNet`` or the function, e.g. ``width``. VGG averages
            whatever map is left before the classifier: 2x2 of CIFAR's images, 4x4 of
            Tiny-ImageNet's, as the released codes do.

    Returns:
        The network. What the constructor of a user's draws at random is always the same, and
        the global generators are left as they were; it has an attribute ``image_shape``,
        (C, H, W), which tells it from the built-in ones.

    Raises:
        JackpotError: unknown name or option, or a function that returns no usable module.
    """
    MODELS.require(name, options)
    options |= MODELS.depth(name)
    if not is_own(name):
        return protect(MODELS[name](num_classes, in_channels, image_size, **options))
    with seeded(0):
        model = construct_own(name, num_classes, in_channels, image_size, **options)
    size = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
    model.image_shape = (in_channels, *size)
    return model


def construct_own(
    name: str, num_classes: int, in_channels: int, image_size: ImageSize, **options
) -> nn.Module:
    """A user's network as its function makes it, drawing from the global generators.

    Raises:
        JackpotError: it is no ``nn.Module``, has no prunable weights, weights that are not there
            yet or are computed from others, or a layer that cannot be made safe.
    """
    # A tuple comes back from a file as a list.
    size = tuple(image_size) if isinstance(image_size, list) else image_size
    model = MODELS[name](num_classes, in_channels, size, **options)
    if not isinstance(model, nn.Module):
        raise JackpotError(f"model {name} must return an nn.Module, not {type(model).__name__}")
    for parameter, value in model.named_parameters():
        if isinstance(value, nn.parameter.UninitializedParameter):
            raise JackpotError(
                f"model {name}: {parameter} is of a lazy layer; give the layer its sizes"
            )
    parameters = {id(parameter) for parameter in model.parameters()}
    for layer, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and id(module.weight) not in parameters:
            raise JackpotError(
                f"model {name}: the weight of {layer or 'the network'} is no parameter of its own "
                "(weight_norm, spectral_norm or the like compute it, or it is a buffer), so it "
                "could not be pruned; use the plain layer, or F.conv2d with a fixed filter"
            )
    if not prunable(model):
        raise JackpotError(
            f"model {name} has nothing to prune: weights of Conv2d and Linear layers are pruned"
        )
    return _named_once(protect(model))


def _named_once(model: nn.Module) -> nn.Module:
    """Leave each tensor one name in the model's ``state_dict``, the first of those it has.

    A module that is registered twice, or a weight of two layers, would be there under both names:
    a check would edit one, and loading would write the other over it.
    """
    first: dict[int, str] = {}
    tensors = chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )
    others = {name: first.setdefault(id(tensor), name) for name, tensor in tensors}
    others = {name: known for name, known in others.items() if name != known}

    def drop(module: nn.Module, state: Tensors, prefix: str, _: Any) -> None:
        for name in others:
            state.pop(prefix + name, None)

    def fill(module: nn.Module, state: Tensors, prefix: str, *_: Any) -> None:
        for name, known in others.items():
            if prefix + known in state:
                state.setdefault(prefix + name, state[prefix + known])

    if others:
        model.register_state_dict_post_hook(drop)
        model.register_load_state_dict_pre_hook(fill)
    return model


def is_users(model: nn.Module) -> bool:
    """Whether a network that ``build_model`` made is a user's."""
    return hasattr(model, "image_shape")


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
    own = is_own(description["name"])
    # A user's network may have tensors that are no part of its state, so it is built in earnest.
    with contextlib.nullcontext() if own else torch.device("meta"):
        model = build_model(**description)
    try:
        model.load_state_dict(state, assign=not own)
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

    A file of a network of your own names the function that makes it, which is imported and called:
    load such files only from those you trust.

    Raises:
        JackpotError: as ``load_weights``.
    """
    state, metadata = load_weights(path)
    return model_with_state(metadata["model"], state).eval()
