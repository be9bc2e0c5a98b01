"""Whole filters: structured pruning."""

import pytest
import torch

from jackpot.models import prunable
from jackpot.pruning.masks import layer_counts
from jackpot.randomness import generator
from tests.support.pruning import flat, masks_of, negative, network


def test_inverted_filters_are_those_of_smallest_l1_norm():
    model = network(width=8)
    options = {"sparsities": [0.5], "structured": True}
    plain = masks_of(model, "magnitude", "uniform", **options)[0.5]
    mask = masks_of(model, "magnitude", "uniform", edit=negative, **options)[0.5]
    assert layer_counts(mask) == layer_counts(plain)
    for name, weight in prunable(model).items():
        norms, kept = weight.detach().abs().flatten(1).sum(1), mask[name].flatten(1).all(1)
        assert kept.all() or norms[kept].max() < norms[~kept].min()


@pytest.mark.parametrize("allocation", ["global", "smart", "uniform"])
@pytest.mark.parametrize("score", ["magnitude", "random", "snip"])
def test_structured_pruning_keeps_whole_filters(score, allocation):
    model = network(width=8)
    mask = masks_of(model, score, allocation, [0.5], structured=True)[0.5]
    assert bool(mask["classifier.weight"].all())
    for keep in mask.values():
        assert torch.equal(keep.flatten(1).any(1), keep.flatten(1).all(1))
    largest = max(w[0].numel() for w in prunable(model).values())
    allowed = largest if allocation == "global" else largest * len(mask)
    assert abs(int(flat(mask).sum()) - round(0.5 * len(flat(mask)))) <= allowed / 2


def test_structured_magnitude_keeps_the_filters_of_largest_l1_norm():
    model = network(width=8)
    mask = masks_of(model, "magnitude", "uniform", [0.5], structured=True)[0.5]
    for name, weight in prunable(model).items():
        norms, kept = weight.detach().abs().flatten(1).sum(1), mask[name].flatten(1).all(1)
        assert kept.all() or norms[kept].min() > norms[~kept].max()


def test_structured_random_does_not_favour_large_filters():
    model = network(width=16)
    kept = 0.0
    for seed in range(30):
        g = generator(seed, "structured")
        mask = masks_of(model, "random", "global", [0.5], structured=True, generator=g)[0.5]
        kept = kept + torch.stack([m.flatten(1).all(1).float().mean() for m in mask.values()]) / 30
    assert bool(((kept[:-1] - kept[:-1].mean()).abs() < 0.15).all())
