"""Scores: which weights matter. One function per file; ``SCORES["snip"]`` imports ``snip.py``.

Every score is ``score(model, data, generator, **options) -> dict[str, Tensor]``: one value per
prunable weight, higher = keep, in ``named_parameters()`` order. ``data`` is an ``(images, labels)``
pair, already chosen and normalised. The caller's model is untouched. Each file says in a literal
``USES_DATA`` whether its values depend on the data.
"""

from pathlib import Path

from jackpot.pruning.folder import FunctionFolder, names_in

SCORES = FunctionFolder(__name__, Path(__file__).parent, "score")


def score_names() -> list[str]:
    """Names of the built-in scores, sorted; imports none of them."""
    return names_in(Path(__file__).parent)
