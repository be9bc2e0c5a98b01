"""Scores: which weights matter. One function per file; ``SCORES["snip"]`` imports ``snip.py``.

Every score is ``score(model, data, generator, **options) -> dict[str, Tensor]``: one value per
prunable weight, higher = keep, in ``named_parameters()`` order. ``data`` is an ``(images, labels)``
pair, already chosen and normalised. The caller's model is untouched. Each file says in a literal
``USES_DATA`` whether its values depend on the data; a file that says nothing is taken to use it.

In rounds a score is asked again for the network with the pruned weights at 0. One that has an
argument ``alive`` gets the dense network and the mask of what earlier rounds left (None at first).
``REVIVES = True`` says that pruned weights are ranked too, and may come back.
"""

from pathlib import Path

from jackpot.registry import Registry

SCORES = Registry(__name__, Path(__file__).parent, "score")


def uses_data(score: str) -> bool:
    """Whether a score's values depend on the data; its file is parsed, never imported."""
    return bool(SCORES.says(score, "USES_DATA", True))
