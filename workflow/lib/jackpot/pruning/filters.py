"""Structured pruning: whole convolution filters instead of single weights."""

from collections.abc import Callable

import torch

from jackpot.files.tensors import Mask, Tensors
from jackpot.pruning.masks import refuse_nan


def keep_filters(
    scores: Tensors, count: int, edit: Callable[[Tensors], Tensors] | None = None
) -> Mask:
    """Keep the best output filters, as near to ``count`` weights as whole filters allow.

    A filter's score is the sum of its weights' (of magnitudes, that is Li et al. 2017, "Pruning
    filters for efficient ConvNets"). Filters are taken from the best downwards,
    over all the layers given; of two equally near numbers the smaller is taken, but never no
    filter where ``count`` is positive. Ties go to the lower index. A filter whose scores are all
    minus infinity is pruned already and stays so.

    Args:
        scores: name -> (out, ...) scores.
        count: weights to keep in all.
        edit: what a check makes of the filters' scores, name -> (out,) float64.
    """
    by_layer = {name: _filter_scores(layer) for name, layer in scores.items()}
    gone = torch.cat([layer.flatten(1).isneginf().all(1) for layer in scores.values()])
    ranked = edit(by_layer) if edit else by_layer
    refuse_nan(ranked)
    filters = torch.cat(list(ranked.values()))
    sizes = torch.cat(
        [torch.full((len(s),), s.shape[1:].numel(), device=filters.device) for s in scores.values()]
    )
    order = torch.sort(filters, descending=True, stable=True).indices
    reached = torch.cat([sizes.new_zeros(1), sizes[order].cumsum(0)])
    taken = int((reached - count).abs().argmin())
    if count > 0:
        taken = max(taken, 1)
    kept = torch.zeros_like(filters, dtype=torch.bool)
    kept[order[:taken]] = True
    kept &= ~gone
    parts = kept.split([len(layer) for layer in scores.values()])
    return {
        name: part.reshape(-1, *(1,) * (layer.dim() - 1)).expand(layer.shape).clone()
        for (name, layer), part in zip(scores.items(), parts, strict=True)
    }


def _filter_scores(layer: torch.Tensor) -> torch.Tensor:
    return layer.detach().double().flatten(1).sum(dim=1)
