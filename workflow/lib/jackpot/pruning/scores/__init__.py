"""Scores: which weights matter. One function per file; ``SCORES["snip"]`` imports ``snip.py``.

Every score is ``score(model, data, generator, **options) -> dict[str, Tensor]``: one value per
prunable weight, higher = keep, in ``named_parameters()`` order. ``data`` is an ``(images, labels)``
pair, already chosen and normalised. The caller's model is untouched. Each file says in a literal
``USES_DATA`` whether its values depend on the data; a file that says nothing is taken to use it,
and one that says that they do not gets images of zeros, all of class 0, in the shapes of the batch.

In rounds a score is asked again for the network with the pruned weights at 0. One that has an
argument ``alive`` gets the dense network and the mask of what earlier rounds left (None at first).
``REVIVES = True`` says that pruned weights are ranked too, and may come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jackpot.errors import JackpotError
from jackpot.registry import Registry

if TYPE_CHECKING:
    import torch

SCORES = Registry(
    __name__,
    Path(__file__).parent,
    "score",
    takes=("model", "data", "generator"),
    offered=("inplace", "alive"),
    page="docs/extending/score.md",
)


def uses_data(score: str) -> bool:
    """Whether a score's values depend on the data; its file is parsed, never imported."""
    return bool(SCORES.says(score, "USES_DATA", True))


def revives(score: str) -> bool:
    """Whether weights that a round pruned may come back in a later one.

    Raises:
        ValueError: the score's file says so, and the score could not tell which were pruned.
    """
    said = bool(SCORES.says(score, "REVIVES", False))
    if said and not SCORES.offered(score, alive=None):
        raise ValueError(
            f"score {score!r} says REVIVES and has no parameter `alive`, so that a pruned weight "
            "is 0 in what it is given"
        )
    return said


def checked_scores(
    name: str, returned: Any, weights: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What a score returned, in the order and on the device of ``weights``, if it fits them.

    Raises:
        JackpotError: it is no mapping from their names to tensors of their shapes, or has NaN.
    """
    import torch

    form = f"score {name} must return a dictionary from the names of the prunable weights to "
    form += "tensors of their shapes"
    if not isinstance(returned, Mapping):
        raise JackpotError(f"{form}, and returned {_told(returned)}")
    for key in (*weights, *returned):
        expected = tuple(weights[key].shape) if key in weights else None
        value = returned.get(key)
        if expected is None:
            raise JackpotError(f"{form}; {key} is none of them. They are {', '.join(weights)}")
        if not isinstance(value, torch.Tensor):
            raise JackpotError(f"{form}; for {key} {expected} there is {_told(value)}")
        if tuple(value.shape) != expected:
            raise JackpotError(f"{form}; for {key} {expected} there is one of {tuple(value.shape)}")
        if value.isnan().any():
            raise JackpotError(
                f"score {name}: {key} has NaN in it, so its weights cannot be ranked. "
                "Look at the score's inputs: diverged weights and log(0) are the usual causes."
            )
    values = {key: returned[key].detach().to(weight.device) for key, weight in weights.items()}
    # Whole-number scores cannot hold the minus infinity that marks a pruned weight.
    return {
        n: value if value.is_floating_point() else value.double() for n, value in values.items()
    }


def _told(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
