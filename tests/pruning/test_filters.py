"""Whole filters: structured pruning."""

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.pruning.filters import keep_filters
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


def kept_by_hand(scores, count):
    """Filters by (layer, index): as many of the best as come nearest to ``count`` weights."""
    filters = [
        (-float(row.double().sum()), layer, index, row.numel())
        for layer, rows in enumerate(scores.values())
        for index, row in enumerate(rows.flatten(1))
    ]
    best = sorted(filters)
    reached = [sum(size for *_, size in best[:taken]) for taken in range(len(best) + 1)]
    nearest = min(range(len(reached)), key=lambda taken: (abs(reached[taken] - count), taken))
    chosen = best[: max(nearest, count > 0)]
    return {(layer, index) for score, layer, index, _ in chosen if score < float("inf")}


@pytest.mark.parametrize("seed", range(60))
def test_the_best_filters_are_kept_that_come_nearest_to_the_number(seed):
    """With ties, filters that are pruned already, and all numbers of weights from none to all."""
    g = generator(seed, "filters")
    shapes = [(3, 2, 3, 3), (4, 3, 1, 1), (5, 4)]
    scores = {str(i): torch.randint(-2, 3, s, generator=g).float() for i, s in enumerate(shapes)}
    for layer in scores.values():
        layer[torch.rand(len(layer), generator=g) < 0.2] = float("-inf")
    total = sum(layer.numel() for layer in scores.values())
    for count in (0, 1, int(torch.randint(2, total, (1,), generator=g)), total):
        mask = keep_filters(scores, count)
        found = {
            (layer, index)
            for layer, rows in enumerate(mask.values())
            for index, row in enumerate(rows)
            if row.all()
        }
        assert found == kept_by_hand(scores, count)
        assert all(torch.equal(k.flatten(1).any(1), k.flatten(1).all(1)) for k in mask.values())


def test_filters_stay_whole_and_the_best_ones_stay():
    scores = {
        "a": torch.tensor([[1.0, 5.0], [0.5, 0.5], [4.0, 0.0]]),  # sums 6, 1, 4
        "b": torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.5]]),  # sums 3, 2.5
    }
    kept = {n: m.all(1).tolist() for n, m in keep_filters(scores, 7).items()}
    assert kept == {"a": [True, False, True], "b": [True, False]}
    # 5 lies between 4 and 7 weights and is nearer to 4; 1 lies half-way: the smaller, not none.
    assert int(flat(keep_filters(scores, 5)).sum()) == 4
    assert int(flat(keep_filters(scores, 1)).sum()) == 2
    assert int(flat(keep_filters(scores, 0)).sum()) == 0
    for mask in keep_filters(scores, 6).values():
        assert torch.equal(mask.any(1), mask.all(1))


def test_a_filter_with_a_weight_of_lowest_score_is_the_last_and_not_gone():
    scores = {"a": torch.tensor([[9.0, -torch.inf], [1.0, 1.0]])}
    assert keep_filters(scores, 2)["a"].all(1).tolist() == [False, True]
    assert keep_filters(scores, 4)["a"].all(1).tolist() == [True, True]


def test_nan_of_an_edited_filter_is_refused():
    scores = {"a": torch.ones(3, 2)}
    with pytest.raises(JackpotError, match="score of a has NaN"):
        keep_filters(scores, 2, edit=lambda filters: {"a": filters["a"] * torch.nan})
