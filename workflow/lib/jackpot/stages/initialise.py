"""Initial weights of a seed, which all its tickets share."""

from pathlib import Path

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
    width: int | None,
    seed: int,
    fingerprint: str = "",
) -> None:
    """Draw initial weights for a model that fits a dataset, and save them.

    All tickets of a seed start from this file or from a training of it, so comparisons are paired.
    """
    images = load_data(data)
    description = {
        "name": architecture,
        "num_classes": len(images.classes),
        "in_channels": images.train_images.shape[1],
        **({"width": width} if width else {}),
    }
    with torch.device("meta"):
        shapes = build_model(**description).state_dict()
    state = initial_state(shapes, generator(seed, "initialise"))
    save_tensors(out, state, {"model": description, "seed": seed, "fingerprint": fingerprint})
