"""Masks: dictionaries of bool tensors by parameter name, True = kept, with exact counts."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune

from jackpot.errors import JackpotError
from jackpot.files.tensors import Mask, Tensors
from jackpot.models import prunable
from jackpot.pruning.counts import kept_count


def keep_top(scores: Tensors, density: float) -> Mask:
    """Keep the ``round(density * total)`` highest scores over all layers together.

    Ties go to the lower index in the concatenation of the layers, in the order of ``scores``.

    Args:
        scores: name -> scores of one layer, any shape, higher = keep.
        density: fraction to keep, 0..1.

    Raises:
        JackpotError: a score is NaN, or the density is not within 0..1.
    """
    return keep_number(scores, kept_count(density, sum(s.numel() for s in scores.values())))


def keep_number(scores: Tensors, count: int) -> Mask:
    """Keep exactly the ``count`` highest scores over all the layers given."""
    refuse_nan(scores)
    flat = torch.cat([_rankable(layer).reshape(-1) for layer in scores.values()])
    total = len(flat)
    if not 0 <= count <= total:
        raise JackpotError(f"cannot keep {count} of {total} weights ({', '.join(scores)})")
    kept = torch.zeros(total, dtype=torch.bool, device=flat.device)
    if count:
        # Selection by threshold is far quicker than a stable sort, and as exact: all above the
        # threshold stay, and of those that equal it the first ones.
        threshold = _order_statistic(flat, total - count)
        kept = flat > threshold
        ties = (flat == threshold).nonzero().squeeze(1)
        kept[ties[: count - int(kept.count_nonzero())]] = True
    parts = kept.split([layer.numel() for layer in scores.values()])
    return {
        name: part.reshape(layer.shape).clone()
        for (name, layer), part in zip(scores.items(), parts, strict=True)
    }


def _order_statistic(values: torch.Tensor, index: int) -> float:
    """The value at ``index``, counted from 0, in ascending order."""
    if values.device.type == "cpu":
        # Several times as fast as torch.kthvalue.
        return float(np.partition(values.numpy(), index)[index])
    return float(torch.kthvalue(values, index + 1).values)


def refuse_nan(scores: Tensors) -> None:
    """Raise JackpotError if a score is NaN: it has no rank."""
    for name, layer in scores.items():
        if torch.isnan(layer).any():
            raise JackpotError(
                f"the score of {name} has NaN in it, so its weights cannot be ranked"
            )


def _rankable(scores: torch.Tensor) -> torch.Tensor:
    exact = scores.dtype in (torch.float32, torch.float64)
    return scores.detach() if exact else scores.detach().double()


def apply_mask(weights: Mapping[str, torch.Tensor], mask: Mask) -> Tensors:
    """A copy of a state in which every pruned weight is 0; entries without a mask are as given.

    Raises:
        JackpotError: a masked name is missing or has another shape.
    """
    validate(mask, {name: weights[name] for name in mask if name in weights})
    masked = dict(weights)
    for name, keep in mask.items():
        weight = weights[name]
        # Not a product: 0 * inf would be NaN, and a pruned weight is 0 whatever it was.
        masked[name] = torch.where(keep.to(weight.device), weight, torch.zeros_like(weight))
    return masked


def validate(mask: Mask, weights: Mapping[str, torch.Tensor]) -> None:
    """Check that ``mask`` names exactly ``weights``, with their shapes, in bool.

    Raises:
        JackpotError: says which name or shape differs.
    """
    missing, unknown = sorted(set(weights) - set(mask)), sorted(set(mask) - set(weights))
    if missing or unknown:
        raise JackpotError(
            "the mask and the model have different layers: "
            f"without a mask: {', '.join(missing) or 'none'}; "
            f"not in the model: {', '.join(unknown) or 'none'}. "
            "Was the mask made for another model?"
        )
    for name, keep in mask.items():
        if keep.dtype != torch.bool or keep.shape != weights[name].shape:
            raise JackpotError(
                f"the mask of {name} is {keep.dtype} {tuple(keep.shape)}, "
                f"but the weight needs torch.bool {tuple(weights[name].shape)}. "
                "Was the mask made for another model, width or number of classes?"
            )


def layer_counts(mask: Mask) -> list[tuple[str, int, int]]:
    """``(name, total, kept)`` of every layer, in the mask's order."""
    return [(name, keep.numel(), int(keep.sum())) for name, keep in mask.items()]


def attach(model: nn.Module, mask: Mask) -> nn.Module:
    """Put a mask on a model in the form of ``torch.nn.utils.prune``, in place; return the model.

    Every prunable layer then holds ``weight_orig`` (trained) and ``weight_mask`` (a buffer), and
    computes ``weight`` as their product, so neither momentum nor weight decay revives a weight.

    Raises:
        JackpotError: the mask is not this model's.
    """
    weights = prunable(model)
    validate(mask, weights)
    masks = {id(weights[name]): keep.to(weights[name].device) for name, keep in mask.items()}
    for module in list(model.modules()):
        # By what it is, not by name: several layers may share a weight.
        for name, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) in masks:
                prune.custom_from_mask(module, name, masks[id(parameter)])
    return model
