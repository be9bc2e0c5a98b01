"""The stage that makes masks: read weights and data, score once, cut at every sparsity."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jackpot.checks import Check, find_check
from jackpot.data.files import ImageData, load_data
from jackpot.files.tensors import Mask, Tensors, save_mask
from jackpot.models import load_weights, model_with_state, prunable
from jackpot.pruning.batch import blank_batch, pruning_batch
from jackpot.pruning.make_masks import make_masks
from jackpot.pruning.masks import layer_counts
from jackpot.pruning.scores import SCORES, uses_data
from jackpot.randomness import generator
from jackpot.settings import Pruner, PruningBatch


def prune(
    out: str | Path,
    *,
    data: str | Path,
    weights: str | Path,
    pruner: Pruner,
    batch: PruningBatch,
    sparsities: Sequence[float],
    seed: int,
    device: torch.device,
    check: str = "none",
    own_checks: Mapping[str, str] | None = None,
    check_options: Mapping[str, Any] | None = None,
    fingerprint: str = "",
) -> None:
    """Write ``sparsity<s>.safetensors`` for every sparsity into the folder ``out``.

    Args:
        data: what the pruner sees, clean or corrupted.
        weights: what the score looks at: initial or trained weights.
        seed: decides the pruning batch and the score's own draws.
        check: edits the scores; one that does not is the identity here.
        own_checks: a user's checks: name -> ``file.py:function``.
        check_options: options of the check.
    """
    state, metadata = load_weights(weights)
    model = model_with_state(metadata["model"], state).eval().to(device)
    about = {"seed": seed, "fingerprint": fingerprint}
    if metadata.get("diverged"):
        no_masks(out, model, sparsities, about)
    else:
        edit = _edit(find_check(check, own_checks), seed, check_options or {})
        masks = cut(model, load_data(data), pruner, batch, sparsities, seed, edit=edit)
        write_masks(out, masks, pruner, about)


def cut(
    model: nn.Module,
    seen: ImageData,
    pruner: Pruner,
    batch: PruningBatch,
    sparsities: Sequence[float],
    seed: int,
    **more,
) -> dict[float, Mask]:
    """Masks of a model by sparsity, on its device.

    Args:
        seen: what the pruner sees; the pruning batch is drawn from its training split.
        more: ``edit`` of ``make_masks``, or ``progress`` and ``alive`` for one round of several.
    """
    device = next(model.parameters()).device
    how = {**batch.model_dump(), "classes": len(seen.classes)}
    settings = pruner.model_dump(exclude={"weights", "iterations"})
    scores = {"score_options": pruner.score}
    if pruner.allocation in SCORES:
        scores["allocation_options"] = pruner.allocation
    readers = [options for options, score in scores.items() if uses_data(score)]
    if readers:
        draws = generator(seed, "pruning batch")
        images, labels = seen.train_images, seen.train_labels
        chosen = pruning_batch(images, labels, seen.mean, seen.std, draws, **how)
    else:
        chosen = blank_batch(seen.train_images, **how)
    if batch.kind == "per_class" and batch.draws > 1:
        # A score that sums gradients over the draws must know where one ends.
        for options in readers:
            settings[options] = {**settings[options], "draws": batch.draws}
    return make_masks(
        model,
        tuple(tensor.to(device) for tensor in chosen),
        sparsities=sparsities,
        generator=generator(seed, "score"),
        **settings,
        **more,
    )


def _edit(
    check: Check, seed: int, options: Mapping[str, Any]
) -> Callable[[Tensors], Tensors] | None:
    """What a check makes of scores; None where it leaves them alone."""
    if "scores" not in check.edits:
        return None

    def edit(scores: Tensors) -> Tensors:
        # The same draws at every call, so that no mask depends on what else is cut.
        return check.scores(scores, generator(seed, "check", check.name, "scores"), **options)

    return edit


def write_masks(
    out: str | Path, masks: dict[float, Mask], pruner: Pruner, about: dict[str, Any]
) -> None:
    """Save masks by sparsity into the folder ``out`` and say what each keeps.

    Args:
        about: ``seed`` and ``fingerprint``, for the files' metadata.
    """
    for sparsity, mask in masks.items():
        path = Path(out) / f"sparsity{sparsity:g}.safetensors"
        save_mask(path, mask, {**about, "sparsity": sparsity})
        layers = layer_counts(mask)
        kept, total = sum(k for *_, k in layers), sum(t for _, t, _ in layers)
        empty = [name for name, _, k in layers if k == 0]
        print(
            f"{pruner.score} x {pruner.allocation} at sparsity {sparsity:g}, seed {about['seed']}: "
            f"keeps {kept:,} of {total:,} weights"
            + (f"; no weight left in {', '.join(empty)}" if empty else "")
        )


def no_masks(
    out: str | Path, model: nn.Module, sparsities: Sequence[float], about: dict[str, Any]
) -> None:
    """Masks that keep nothing and say that they came of a training that diverged.

    Broken weights have no ranking worth the name; the study goes on, and their tickets diverged.
    """
    mask = {name: torch.zeros(w.shape, dtype=torch.bool) for name, w in prunable(model).items()}
    for sparsity in sparsities:
        path = Path(out) / f"sparsity{sparsity:g}.safetensors"
        save_mask(path, mask, {**about, "sparsity": sparsity, "diverged": True})
    print("the weights are of a training that diverged; there is nothing to rank")
