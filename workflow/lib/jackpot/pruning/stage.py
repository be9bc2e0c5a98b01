"""The stage that makes masks: read weights and data, score once, cut at every sparsity."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from jackpot.data.files import ImageData, load_data
from jackpot.models import load_model
from jackpot.pruning.batch import pruning_batch
from jackpot.pruning.masks import layer_counts
from jackpot.pruning.prune import make_masks
from jackpot.randomness import generator
from jackpot.settings import Pruner, PruningBatch
from jackpot.storage import Mask, save_mask
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
    model = load_model(weights).to(device)
    masks = cut(model, load_data(data), pruner, batch, sparsities, seed)
    write_masks(out, masks, pruner, seed, fingerprint)


def cut(
    model: nn.Module,
    seen: ImageData,
    pruner: Pruner,
    batch: PruningBatch,
    sparsities: Sequence[float],
    seed: int,
    **round_,
) -> dict[float, Mask]:
    """Masks of a model by sparsity, on its device.

    Args:
        seen: what the pruner sees; the pruning batch is drawn from its training split.
        round_: ``progress`` and ``alive`` of ``make_masks``, for one round of several.
    """
    device = next(model.parameters()).device
    chosen = pruning_batch(
        seen.train_images,
        seen.train_labels,
        seen.mean,
        seen.std,
        generator(seed, "pruning batch"),
        classes=len(seen.classes),
        **batch.model_dump(),
    )
    settings = pruner.model_dump(exclude={"weights", "iterations"})
    if batch.kind == "per_class" and batch.draws > 1 and score_uses_data(pruner.score):
        # The score sums gradients over the draws, so it must know where one ends.
        settings["score_options"] = {**pruner.score_options, "draws": batch.draws}
    return make_masks(
        model,
        tuple(tensor.to(device) for tensor in chosen),
        sparsities=sparsities,
        generator=generator(seed, "score"),
        **settings,
        **round_,
    )


def write_masks(
    out: str | Path, masks: dict[float, Mask], pruner: Pruner, seed: int, fingerprint: str
) -> None:
    """Save masks by sparsity into the folder ``out`` and say what each keeps."""
    for sparsity, mask in masks.items():
        about = {"sparsity": sparsity, "seed": seed, "fingerprint": fingerprint}
        save_mask(Path(out) / f"sparsity{sparsity:g}.safetensors", mask, about)
        layers = layer_counts(mask)
        kept, total = sum(k for *_, k in layers), sum(t for _, t, _ in layers)
        empty = [name for name, _, k in layers if k == 0]
        collapse = f"; no weight left in {', '.join(empty)}" if empty else ""
        print(
            f"{pruner.score} x {pruner.allocation} at sparsity {sparsity:g}, seed {seed}: "
            f"keeps {kept:,} of {total:,} weights{collapse}"
        )
