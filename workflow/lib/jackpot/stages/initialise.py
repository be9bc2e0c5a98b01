"""Initial weights of a seed, which all its tickets share."""

from pathlib import Path
from typing import Any

import torch

from jackpot.data.files import load_data
from jackpot.files.tensors import save_tensors
from jackpot.models import build_model
from jackpot.models.initial import initial_state
from jackpot.randomness import generator


def initialise(
    out: str | Path,
    *,
    data: str | Path,
    architecture: str,
    seed: int,
    fingerprint: str = "",
    **options: Any,
) -> None:
    """Draw initial weights for a model that fits a dataset, and save them.

    All tickets of a seed start from this file or from a training of it, so comparisons are paired.

    Args:
        options: those of ``build_model``; None is an option that is not given.
    """
    images = load_data(data)
    description = {
        "name": architecture,
        "num_classes": len(images.classes),
        "in_channels": images.train_images.shape[1],
        **{name: value for name, value in options.items() if value is not None},
    }
    with torch.device("meta"):
        model = build_model(**description)
    state = initial_state(model.state_dict(), generator(seed, "initialise"), model.initial)
    save_tensors(out, state, {"model": description, "seed": seed, "fingerprint": fingerprint})
