"""Effective weights against broken paths made by hand, and against a search of every path."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.pruning.connectivity import effective_counts, effective_mask
from jackpot.pruning.masks import keep_top
from jackpot.randomness import generator
from tests.support.pruning import same


def dense(*sizes):
    layers = [nn.Flatten()]
    for one, other in itertools.pairwise(sizes):
        layers += [nn.Linear(one, other), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def every(model, value=True):
    return {n: torch.full(w.shape, value, dtype=torch.bool) for n, w in prunable(model).items()}


def on_paths(masks):
    """Kept weights of a chain of matrices (out, in) that some path uses: every path, one by one."""
    used = [torch.zeros_like(mask) for mask in masks]
    units = [masks[0].shape[1], *(mask.shape[0] for mask in masks)]
    for path in itertools.product(*map(range, units)):
        steps = [(i, path[i + 1], path[i]) for i in range(len(masks))]
        if all(masks[i][out, unit] for i, out, unit in steps):
            for i, out, unit in steps:
                used[i][out, unit] = True
    return used


@settings(max_examples=40, deadline=None)
@given(
    units=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    density=st.sampled_from([0.2, 0.4, 0.7, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_a_chain_of_layers_against_every_path(units, density, seed):
    model, draws = dense(*units), generator(seed, "mask")
    mask = {n: torch.rand(w.shape, generator=draws) < density for n, w in prunable(model).items()}
    found = effective_mask(model, mask, (1, 1, units[0]))
    assert same(found, dict(zip(mask, on_paths(list(mask.values())), strict=True)))


def test_a_dead_end_and_a_source_without_input_are_no_paths():
    model = dense(2, 3, 2)
    mask = every(model)
    # Unit 0 has no way on, unit 1 nothing to come from.
    mask["3.weight"][:, 0] = False
    mask["1.weight"][1] = False
    found = effective_mask(model, mask, (1, 1, 2))
    assert found["1.weight"].tolist() == [[False] * 2, [False] * 2, [True] * 2]
    assert found["3.weight"].tolist() == [[False, False, True]] * 2
    assert effective_counts(model, mask, (1, 1, 2)) == [2, 2]


def test_a_network_that_is_cut_has_no_effective_weight():
    model = build_model("vgg5", width=2, in_channels=1)
    mask = every(model)
    mask["features.4.weight"][:] = False
    assert effective_counts(model, mask, (1, 8, 8)) == [0] * 5


def test_a_shortcut_keeps_a_block_alive_and_a_block_its_shortcut():
    model = build_model("resnet8", width=2, in_channels=1)
    mask = every(model)
    # Block 0 has an identity to go round it; block 1 only a convolution.
    mask["blocks.0.conv1.weight"][:] = False
    mask["blocks.1.shortcut.0.weight"][:] = False
    found = effective_mask(model, mask, (1, 8, 8))
    gone = {"blocks.0.conv1.weight", "blocks.0.conv2.weight", "blocks.1.shortcut.0.weight"}
    for name, keep in found.items():
        assert bool(keep.any()) == (name not in gone) and bool(keep.all()) == (name not in gone)
    mask["blocks.1.conv2.weight"][:] = False
    assert effective_counts(model, mask, (1, 8, 8)) == [0] * len(mask)


def test_a_weight_that_only_sees_padding_is_on_no_path():
    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)
            self.classifier = nn.Linear(1, 2)

        def forward(self, x):
            return self.classifier(self.conv(x).mean((2, 3)))

    model = Corner()
    found = effective_mask(model, every(model), (1, 1, 1))
    assert found["conv.weight"].flatten().tolist() == [False] * 4 + [True] + [False] * 4
    assert bool(effective_mask(model, every(model), (1, 2, 2))["conv.weight"].all())


def test_any_pixel_of_a_window_may_be_the_largest():
    """A kernel of which one corner is kept reaches the last pixel of a pooling window alone."""
    model = nn.Sequential(
        nn.Conv2d(1, 1, 2, bias=False),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1, 1, bias=False),
    )
    assert all(keep.all() for keep in effective_mask(model, every(model), (1, 3, 3)).values())
    shifted = nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), model)
    mask = every(shifted, False)
    mask["1.0.weight"][0, 0, 0, 0] = True
    mask["1.3.weight"][:] = True
    assert effective_counts(shifted, mask, (1, 2, 2)) == [1, 1]


@pytest.mark.parametrize("name", ["vgg5", "resnet8", "resnet20"])
@pytest.mark.parametrize("density", [0.3, 0.05])
def test_it_is_where_a_float64_product_along_paths_is_not_zero(name, density):
    """The published way: weights |w|, no normalisation, the gradient of the outputs' sum."""
    model = build_model(name, width=4, in_channels=1)
    draws = generator(0, name)
    scores = {n: torch.rand(w.shape, generator=draws) for n, w in prunable(model).items()}
    mask = keep_top(scores, density)
    linear = build_model(name, width=4, in_channels=1).double().eval()
    for norm in [m for m in linear.modules() if isinstance(m, nn.BatchNorm2d)]:
        norm.weight.data.fill_(1)
    torch.nn.init.zeros_(linear.classifier.bias)
    weights = prunable(linear)
    for key, weight in weights.items():
        weight.data = mask[key] * (0.5 + scores[key].double())
    linear = nn.Sequential(*_without_max(linear)) if name == "vgg5" else linear
    linear(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().backward()
    expected = {key: mask[key] & (weight.grad != 0) for key, weight in weights.items()}
    found = effective_mask(model, mask, (1, 8, 8))
    assert same(found, expected)
    cut = any(bool((mask[key] & ~found[key]).any()) for key in mask)
    assert cut or density == 0.3


def _without_max(vgg):
    layers = [nn.AvgPool2d(2) if isinstance(m, nn.MaxPool2d) else m for m in vgg.features]
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), vgg.classifier]


def test_deep_networks_neither_over_nor_underflow():
    model = build_model("resnet110", width=4)
    assert all(keep.all() for keep in effective_mask(model, every(model), (3, 16, 16)).values())
    # 16^300 paths are more than a float64 can count; a unit near each end has none.
    model = dense(*[16] * 301)
    mask, expected = every(model), every(model)
    for unit, layer in ((3, 5), (4, 295)):
        before, after = list(mask)[layer : layer + 2]
        mask[before][unit] = expected[before][unit] = expected[after][:, unit] = False
    assert same(effective_mask(model, mask, (1, 1, 16)), expected)


def test_neither_weights_nor_model_matter():
    model = build_model("resnet8", width=2, in_channels=1).train()
    for parameter in model.parameters():
        parameter.data.fill_(-3.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(keep.all() for keep in effective_mask(model, every(model), (1, 8, 8)).values())
    assert same(before, model.state_dict()) and model.training
    assert isinstance(model.bn, nn.BatchNorm2d)


class Own(nn.Module):
    """Two convolutions and what a user may put between them."""

    def __init__(self, between):
        super().__init__()
        self.one, self.other = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.between = between if isinstance(between, nn.Module) else nn.Identity()
        self.function = None if isinstance(between, nn.Module) else between
        self.classifier = nn.Linear(4, 3)

    def forward(self, x):
        y = self.between(self.one(x))
        y = self.function(y) if self.function else y
        return self.classifier(self.other(y).mean((2, 3)))


@pytest.mark.parametrize(
    "between", [nn.GroupNorm(2, 4), nn.LayerNorm([4, 6, 6]), nn.GELU(), F.relu, F.gelu]
)
def test_networks_of_users_are_counted(between):
    model = Own(between)
    assert all(keep.all() for keep in effective_mask(model, every(model), (1, 8, 8)).values())


@pytest.mark.parametrize(
    "between",
    [
        lambda y: F.layer_norm(y, y.shape[1:]),
        lambda y: y - y.mean(1, keepdim=True),
        lambda y: y + 1,
        lambda y: -y,
    ],
)
def test_what_is_no_sum_of_paths_is_not_counted(between):
    model = Own(between)
    assert effective_mask(model, every(model), (1, 8, 8)) is None
    assert effective_counts(model, every(model), (1, 8, 8)) == [None] * 3


@pytest.mark.parametrize(
    "pool",
    [
        lambda y: F.max_pool2d(y, 2),
        lambda y: F.max_pool2d(y, kernel_size=2, stride=2, ceil_mode=True),
        lambda y: torch.max_pool2d(y, 2),
        lambda y: F.adaptive_max_pool2d(y, 1),
        nn.AdaptiveMaxPool2d(1),
        lambda y: y.amax((2, 3), keepdim=True),
        lambda y: torch.amax(y, dim=(2, 3), keepdim=True),
    ],
)
def test_any_pixel_may_be_the_largest_for_a_function_as_for_a_module(pool):
    """On four pixels each weight of a padded kernel sees some pixel, and no pixel sees all."""
    module, model = Pooled(nn.MaxPool2d(2)), Pooled(pool)
    assert effective_counts(module, every(module), (1, 4, 4)) == [36, 144, 12]
    assert effective_counts(model, every(model), (1, 4, 4)) == [36, 144, 12]


class Pooled(Own):
    """Two convolutions, of which the second pads, and pooling between them and the classifier."""

    def __init__(self, pool):
        super().__init__(pool)
        self.other = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        y = self.other(self.one(x))
        y = self.function(y) if self.function else self.between(y)
        return self.classifier(y.mean((2, 3)))


@pytest.mark.parametrize(
    "between",
    [
        lambda y: F.relu6(y + 9 * y),
        lambda y: (y + y).clamp(0, 1),
        lambda y: (2 * y).clamp_(max=1),
        nn.Hardtanh(0, 0.5),
        lambda y: F.dropout(y, 0.99),
        lambda y: F.dropout2d(y, 0.99),
    ],
)
def test_functions_that_clip_and_drop_cut_no_path(between):
    model = Own(between)
    assert all(keep.all() for keep in effective_mask(model, every(model), (1, 8, 8)).values())


@pytest.mark.parametrize(
    "between",
    [
        nn.MaxPool2d(2, 2, dilation=3),
        lambda y: nn.MaxPool2d(2, return_indices=True)(y)[0],
        lambda y: F.max_pool2d(y, 3, 1, 1, 2),
        lambda y: F.max_pool2d_with_indices(y, 3, 1)[0],
        lambda y: F.adaptive_max_pool2d(y, 3, return_indices=True)[0],
        lambda y: F.max_pool3d(y, (1, 3, 3), 1),
        lambda y: y.max(1, keepdim=True).values.expand(-1, 4, -1, -1),
        lambda y: y / y.max(),
        lambda y: torch.maximum(y, 2 * y),
        lambda y: torch.clamp(y, max=2 * y),
        lambda y: y.topk(4, dim=1).values,
        lambda y: y * (y > 0.5),
        lambda y: y * torch.full_like(y, 0.5).bernoulli(),
        lambda y: F.scaled_dot_product_attention(y, y, y),
        lambda y: F.softmax(y, 1) * y,
        lambda y: y.float(),
    ],
)
def test_a_choice_or_a_failure_is_not_counted(between):
    """What runs and trains has its counts as unknown, neither wrong nor lost."""
    model = Own(between)
    model(torch.ones(1, 1, 12, 12)).sum().backward()
    assert effective_counts(model, every(model), (1, 12, 12)) == [None] * 3


def test_a_network_that_cannot_be_copied_or_run_backwards_is_not_counted():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, slope):
            raise ValueError("once")

    fixed = Own(nn.Identity())
    fixed.kept = torch.ones(1, requires_grad=True) * 2  # no leaf: deepcopy refuses it
    for model in (Own(Once.apply), fixed):
        assert effective_mask(model, every(model), (1, 8, 8)) is None


def test_another_models_mask_is_refused():
    with pytest.raises(JackpotError, match="different layers"):
        effective_mask(dense(2, 2), {}, (1, 1, 2))
