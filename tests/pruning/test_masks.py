"""Masks: exact counts, stable ties, and a form that PyTorch's own pruning understands."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.pruning import masks
from jackpot.pruning.masks import (
    apply_mask,
    attach,
    keep_number,
    keep_top,
    layer_counts,
    validate,
)
from jackpot.randomness import generator
from tests.support.pruning import flat

quick = settings(max_examples=80, deadline=None)


def model_and_scores(seed=0):
    model = build_model("resnet8", width=4)
    g = generator(seed, "masks")
    scores = {n: torch.rand(w.shape, generator=g) for n, w in prunable(model).items()}
    return model, scores


# Few distinct values: nearly every threshold falls on a tie.
tied = st.lists(st.lists(st.integers(-2, 2), min_size=1, max_size=15), min_size=1, max_size=4)


@quick
@given(layers=tied, density=st.floats(0, 1))
def test_keep_top_is_a_stable_sort(layers, density):
    scores = {f"l{i}": torch.tensor(v, dtype=torch.float32) for i, v in enumerate(layers)}
    values = [value for layer in layers for value in layer]
    count = round(density * len(values))
    best = sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]
    mask = keep_top(scores, density)
    assert flat(mask).nonzero().squeeze(1).tolist() == sorted(best)
    assert all(mask[n].shape == scores[n].shape and mask[n].dtype == torch.bool for n in scores)


@quick
@given(layers=tied, data=st.data())
def test_keep_number_is_a_stable_sort_in_a_layer(layers, data):
    for layer in layers:
        count = data.draw(st.integers(0, len(layer)))
        keep = keep_number({"l": torch.tensor(layer, dtype=torch.float64)}, count)["l"]
        best = sorted(range(len(layer)), key=lambda i: (-layer[i], i))[:count]
        assert keep.nonzero().squeeze(1).tolist() == sorted(best)


class Elsewhere(torch.Tensor):
    """Says that it is on a GPU, where NumPy cannot be asked."""

    device = torch.device("cuda")


def test_the_threshold_is_the_same_number_on_every_device():
    values = torch.randint(50, (301,), generator=generator(0)).double()
    for index in (0, 1, 150, 299, 300):
        here, there = map(
            masks._order_statistic, (values, values.as_subclass(Elsewhere)), [index] * 2
        )
        assert here == there == sorted(values.tolist())[index]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_ties_go_to_the_lower_index_in_every_dtype(dtype):
    scores = {"a": torch.tensor([[3, 1], [1, 1]]).to(dtype), "b": torch.tensor([1, 2]).to(dtype)}
    mask = keep_top(scores, 4 / 6)
    assert mask["a"].tolist() == [[True, True], [True, False]]
    assert mask["b"].tolist() == [False, True]


def test_infinities_and_signed_zeros_have_a_rank():
    scores = {"a": torch.tensor([-torch.inf, 0.0, -0.0, torch.inf, 0.0])}
    assert keep_top(scores, 0.4)["a"].tolist() == [False, True, False, True, False]
    assert keep_top(scores, 0.6)["a"].tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("keep", [lambda s: keep_top(s, 0.5), lambda s: keep_number(s, 2)])
def test_nan_is_refused_by_layer(keep):
    with pytest.raises(JackpotError, match="score of worse has NaN"):
        keep({"fine": torch.rand(3), "worse": torch.tensor([1.0, float("nan")])})


def test_impossible_counts_and_densities_are_refused():
    scores = {"a": torch.rand(3, generator=generator(0))}
    with pytest.raises(JackpotError, match=r"density 1\.01"):
        keep_top(scores, 1.01)
    with pytest.raises(JackpotError, match=r"density -0\.01"):
        keep_top(scores, -0.01)
    with pytest.raises(JackpotError, match="cannot keep 4 of 3"):
        keep_number(scores, 4)
    with pytest.raises(JackpotError, match="cannot keep -1 of 3"):
        keep_number(scores, -1)


@pytest.mark.parametrize("sparsity", [0.0, 0.4, 0.95, 0.98])
def test_count_of_a_whole_model_is_exact(sparsity):
    _, scores = model_and_scores()
    total = len(flat(scores))
    mask = keep_top(scores, 1 - sparsity)
    assert int(flat(mask).sum()) == round((1 - sparsity) * total)
    worst_kept = flat(scores)[flat(mask)].min()
    assert sparsity == 0 or worst_kept > flat(scores)[~flat(mask)].max()
    assert list(mask) == list(scores)


def test_higher_sparsity_keeps_a_subset():
    _, scores = model_and_scores()
    sparse, dense = flat(keep_top(scores, 0.1)), flat(keep_top(scores, 0.3))
    assert bool((dense | ~sparse).all())


def test_apply_mask_zeroes_what_is_pruned_and_nothing_else():
    model, scores = model_and_scores()
    mask = keep_top(scores, 0.3)
    weights = {
        n: torch.randn(t.shape, generator=generator(1, n)) if t.is_floating_point() else t
        for n, t in model.state_dict().items()
    }
    weights["conv.weight"][~mask["conv.weight"]] = torch.inf
    before = copy.deepcopy(weights)
    masked = apply_mask(weights, mask)
    for name, tensor in weights.items():
        assert torch.equal(tensor, before[name])
        if name in mask:
            assert torch.equal(masked[name][mask[name]], tensor[mask[name]])
            assert not masked[name][~mask[name]].any()
        else:
            assert torch.equal(masked[name], tensor)


def test_layer_counts():
    mask = {"a": torch.tensor([[True, False], [True, True]]), "b": torch.tensor([True, False])}
    assert layer_counts(mask) == [("a", 4, 3), ("b", 2, 1)]


def test_attach_masks_a_shared_weight_wherever_it_is():
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    model = attach(nn.Sequential(first, second), {"0.weight": torch.eye(4, dtype=torch.bool)})
    x, kept = torch.randn(3, 4), first.weight_orig * torch.eye(4)
    torch.testing.assert_close(model(x), x @ kept.T @ kept.T)


def test_attach_takes_the_form_of_torch_prune():
    model, scores = model_and_scores()
    dense = copy.deepcopy(model)
    mask = keep_top(scores, 0.3)
    assert attach(model, mask) is model
    assert prune.is_pruned(model)
    state = model.state_dict()
    for name, keep in mask.items():
        assert torch.equal(state[f"{name}_mask"].bool(), keep)
        assert torch.equal(state[f"{name}_orig"], dense.state_dict()[name])
        assert name not in state
    # Both state and model survive a round trip through a fresh copy.
    other = attach(copy.deepcopy(dense), keep_top(model_and_scores(1)[1], 0.5))
    other.load_state_dict(state)
    images = torch.randn(2, 3, 8, 8, generator=generator(2))
    assert torch.equal(other.eval()(images), model.eval()(images))
    # The output is that of the dense network with zeros in it.
    zeroed = copy.deepcopy(dense)
    zeroed.load_state_dict(apply_mask(dense.state_dict(), mask))
    assert torch.allclose(zeroed.eval()(images), model(images))
    for name in mask:
        prune.remove(model.get_submodule(name.rpartition(".")[0]), "weight")
    assert not prune.is_pruned(model)
    assert set(model.state_dict()) == set(dense.state_dict())
    assert torch.equal(model.state_dict()["conv.weight"], zeroed.state_dict()["conv.weight"])


def test_momentum_and_weight_decay_revive_nothing():
    model, scores = model_and_scores()
    mask = keep_top(scores, 0.2)
    attach(model, mask)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    g = generator(3)
    for _ in range(3):
        images = torch.randn(4, 3, 8, 8, generator=g)
        loss = nn.functional.cross_entropy(model(images), torch.arange(4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model(images)
    for name, keep in mask.items():
        weight = model.get_submodule(name.rpartition(".")[0]).weight
        assert not weight[~keep].any()
        assert bool((weight[keep] != 0).all())


def test_a_kept_weight_that_is_zero_stays_kept():
    """The mask is never inferred from weight != 0."""
    model, scores = model_and_scores()
    mask = keep_top(scores, 0.5)
    model.conv.weight.data.zero_()
    attach(model, mask)
    assert torch.equal(model.conv.weight_mask.bool(), mask["conv.weight"])


def test_masks_of_another_model_are_refused():
    model, scores = model_and_scores()
    mask = keep_top(scores, 0.5)
    attempts = {
        "without a mask: conv.weight": {n: m for n, m in mask.items() if n != "conv.weight"},
        "not in the model: other.weight": mask | {"other.weight": torch.ones(2).bool()},
        r"mask of conv.weight is torch.bool \(4, 1, 3, 3\)": mask
        | {"conv.weight": mask["conv.weight"][:, :1]},
        "mask of conv.weight is torch.float32": mask | {"conv.weight": mask["conv.weight"].float()},
    }
    for message, wrong in attempts.items():
        with pytest.raises(JackpotError, match=message):
            attach(copy.deepcopy(model), wrong)
        with pytest.raises(JackpotError, match=message):
            validate(wrong, prunable(model))
    with pytest.raises(JackpotError, match=r"not in the model: conv\.weight"):
        apply_mask({n: w for n, w in model.state_dict().items() if n != "conv.weight"}, mask)
