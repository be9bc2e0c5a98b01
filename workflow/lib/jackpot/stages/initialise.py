"""Initial weights of a seed, which all its tickets share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jackpot.data.files import load_data
from jackpot.files.tensors import save_tensors
from jackpot.models import build_model
from jackpot.models.initial import initial_weights
from jackpot.models.trial import try_out
from jackpot.randomness import generator


def initialise(
    out: str | Path,
    *,
    data: str | Path,
    architecture: str,
    seed: int,
    options: Mapping[str, Any] | None = None,
    fingerprint: str = "",
    **more: Any,
) -> None:
    """Draw initial weights for a model that fits a dataset, and save them.

    All tickets of a seed start from this file or from a training of it, so comparisons are paired.

    Args:
        options, more: those of ``build_model``; None is an option that is not given.

    Raises:
        JackpotError: the network cannot be trained on these images.
    """
    images = load_data(data)
    channels, height, width = images.train_images.shape[1:]
    description = {
        "name": architecture,
        "num_classes": len(images.classes),
        "in_channels": channels,
        "image_size": height if height == width else (height, width),
        **{name: value for name, value in more.items() if value is not None},
        **(options or {}),
    }
    model = build_model(**description)
    try_out(architecture, model, (channels, height, width), len(images.classes))
    state = initial_weights(description, generator(seed, "initialise"))
    save_tensors(out, state, {"model": description, "seed": seed, "fingerprint": fingerprint})
