"""Scores: which weights matter. One function per file; ``SCORES["snip"]`` imports ``snip.py``.

Every score is ``score(model, data, generator, **options) -> dict[str, Tensor]``: one value per
prunable weight, higher = keep, in ``named_parameters()`` order. ``data`` is an ``(images, labels)``
pair, already chosen and normalised. The caller's model is untouched. Each file says in a literal
``USES_DATA`` whether its values depend on the data; a file that says nothing is taken to use it.

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


def checked_scores(
    name: str, returned: Any, weights: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What a score returned, in the order of ``weights``, if there is one value for each.

    Raises:
        JackpotError: it is no mapping from their names to tensors of their shapes.
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
    # Whole-number scores cannot hold the minus infinity that marks a pruned weight.
    return {
        key: value.detach() if value.is_floating_point() else value.detach().double()
        for key, value in ((key, returned[key]) for key in weights)
    }


def _told(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
