"""The networks: published weight counts, shapes, initial values."""

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.models.initial import initial_state
from jackpot.randomness import generator


def total(model):
    return sum(weight.numel() for weight in prunable(model).values())


@pytest.mark.parametrize(
    ("name", "classes", "options", "weights"),
    [
        ("vgg19", 10, {}, 20_024_000),
        ("vgg19", 100, {}, 20_070_080),
        ("resnet32", 10, {"width": 32}, 1_855_584),
        ("resnet32", 100, {"width": 32}, 1_867_104),
    ],
)
def test_published_weight_counts(name, classes, options, weights):
    with torch.device("meta"):
        model = build_model(name, num_classes=classes, **options)
    assert total(model) == weights


@pytest.mark.parametrize(
    ("name", "side", "options"),
    [
        ("vgg5", 8, {"width": 4}),
        ("vgg7", 8, {"width": 4}),
        ("vgg11", 32, {"width": 4}),
        ("vgg13", 32, {"width": 4}),
        ("vgg16", 32, {"width": 4}),
        ("vgg19", 64, {"width": 4}),
        ("resnet8", 8, {"width": 4}),
        ("resnet20", 32, {"width": 4}),
        ("resnet32", 64, {"width": 4}),
        ("resnet44", 8, {"width": 4}),
        ("resnet56", 8, {"width": 4}),
    ],
)
def test_logits_for_every_input_size(name, side, options):
    for channels, classes in ((1, 7), (3, 10)):
        model = build_model(name, num_classes=classes, in_channels=channels, **options)
        images = torch.randn(3, channels, side, side, generator=generator(0, name))
        assert model(images).shape == (3, classes)


@pytest.mark.parametrize("name", ["vgg19", "resnet20", "resnet56"])
def test_prunable_is_every_conv_and_linear_weight_and_nothing_else(name):
    model = build_model(name, width=4)
    weights = prunable(model)
    expected = [n for n, p in model.named_parameters() if p.dim() in (2, 4)]
    assert list(weights) == expected
    assert expected[-1] == "classifier.weight"
    depth = int(name.removeprefix("vgg").removeprefix("resnet"))
    # VGG's number counts two linear layers that this form lacks; ResNet's leaves out shortcuts.
    assert len(weights) == (depth - 2 if name.startswith("vgg") else depth + 2)


@pytest.mark.parametrize("name", ["vgg6", "resnet33", "alexnet", "vgg"])
def test_unknown_models_are_refused_by_name(name):
    with pytest.raises(JackpotError, match=name):
        build_model(name)


def test_unknown_options_are_refused():
    with pytest.raises(JackpotError, match="depth_multiplier"):
        build_model("vgg11", depth_multiplier=2)


def test_initial_values_have_the_stated_distribution():
    state = initial_state(build_model("vgg11").state_dict(), generator(1, "init"))
    for name, tensor in state.items():
        if tensor.dim() == 4:
            std = (2 / (tensor.shape[0] * 9)) ** 0.5
            assert abs(tensor.mean()) < 5 * std / tensor.numel() ** 0.5, name
            assert tensor.std() == pytest.approx(std, rel=5 / (2 * tensor.numel()) ** 0.5), name
            # Normal, not uniform: 31.7 % lies beyond one standard deviation.
            assert (tensor.abs() > std).float().mean() == pytest.approx(0.317, abs=0.05), name
        elif tensor.dim() == 2:
            assert tensor.std() == pytest.approx(0.01, rel=5 / (2 * tensor.numel()) ** 0.5)
        elif name.endswith((".weight", "running_var")):
            assert bool((tensor == 1).all()), name
        else:
            assert not tensor.any(), name


def test_initial_values_depend_on_the_generator_alone():
    state = build_model("resnet8", width=4).state_dict()
    torch.manual_seed(3)
    first = initial_state(state, generator(5, "init"))
    torch.manual_seed(4)
    again = initial_state(build_model("resnet8", width=4).state_dict(), generator(5, "init"))
    other = initial_state(state, generator(6, "init"))
    assert list(first) == list(state)
    assert all(torch.equal(first[name], again[name]) for name in state)
    assert not torch.equal(first["conv.weight"], other["conv.weight"])
    assert all(first[name].dtype == state[name].dtype for name in state)
    build_model("resnet8", width=4).load_state_dict(first)
