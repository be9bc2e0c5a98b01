"""The stage that makes masks: read weights and data, score once, cut at every sparsity."""

from collections.abc import Sequence
from pathlib import Path

import torch

from jackpot.data.files import load_data
from jackpot.models import load_weights, model_with_state, prunable
from jackpot.pruning.batch import pruning_batch
from jackpot.pruning.masks import layer_counts
from jackpot.pruning.prune import make_masks
from jackpot.randomness import generator
from jackpot.settings import Pruner, PruningBatch
from jackpot.storage import save_mask
from jackpot.study.tickets import score_uses_data


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
    fingerprint: str = "",
) -> None:
    """Write ``sparsity<s>.safetensors`` for every sparsity into the folder ``out``.

    Args:
        data: what the pruner sees, clean or corrupted.
        weights: what the score looks at: initial or trained weights.
        seed: decides the pruning batch and the score's own draws.
    """
    state, metadata = load_weights(weights)
    model = model_with_state(metadata["model"], state).eval().to(device)
    about = {"seed": seed, "fingerprint": fingerprint}
    if metadata.get("diverged"):
        _no_masks(out, model, sparsities, about)
        return
    seen = load_data(data)
    chosen = pruning_batch(
        seen.train_images,
        seen.train_labels,
        seen.mean,
        seen.std,
        generator(seed, "pruning batch"),
        classes=len(seen.classes),
        **batch.model_dump(),
    )
    settings = pruner.model_dump(exclude={"weights"})
    if batch.kind == "per_class" and batch.draws > 1 and score_uses_data(pruner.score):
        # The score sums gradients over the draws, so it must know where one ends.
        settings["score_options"] = {**pruner.score_options, "draws": batch.draws}
    masks = make_masks(
        model,
        tuple(tensor.to(device) for tensor in chosen),
        sparsities=sparsities,
        generator=generator(seed, "score"),
        **settings,
    )
    for sparsity, mask in masks.items():
        path = Path(out) / f"sparsity{sparsity:g}.safetensors"
        save_mask(path, mask, {**about, "sparsity": sparsity})
        layers = layer_counts(mask)
        kept, total = sum(k for *_, k in layers), sum(t for _, t, _ in layers)
        empty = [name for name, _, k in layers if k == 0]
        collapse = f"; no weight left in {', '.join(empty)}" if empty else ""
        print(
            f"{pruner.score} x {pruner.allocation} at sparsity {sparsity:g}, seed {seed}: "
            f"keeps {kept:,} of {total:,} weights{collapse}"
        )


def _no_masks(out: str | Path, model, sparsities: Sequence[float], about: dict) -> None:
    """Masks that keep nothing and say that they came of a training that diverged.

    Broken weights have no ranking worth the name; the study goes on, and their tickets diverged.
    """
    mask = {name: torch.zeros(w.shape, dtype=torch.bool) for name, w in prunable(model).items()}
    for sparsity in sparsities:
        path = Path(out) / f"sparsity{sparsity:g}.safetensors"
        save_mask(path, mask, {**about, "sparsity": sparsity, "diverged": True})
    print("the weights are of a training that diverged; there is nothing to rank")
