"""The networks: published weight counts, shapes, initial values."""

import pytest
import torch
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.models.initial import INITIAL, initial_state, initial_weights
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


def shapes(model):
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def test_options_change_what_they_name_and_nothing_else():
    plain = shapes(build_model("vgg11", width=4))
    norm = {n for n in plain if n.startswith("features") and len(plain[n]) == 1}
    assert len(norm) == 2 * 8
    for options, lost, gained in (
        ({"affine": True, "bias": False}, set(), 0),
        ({"affine": False}, norm, 0),
        ({"bias": True}, set(), 8),
    ):
        other = shapes(build_model("vgg11", width=4, **options))
        assert set(plain) - set(other) == lost, options
        more = set(other) - set(plain)
        assert len(more) == gained and all(name.endswith(".bias") for name in more), options
        assert all(other[name] == plain[name] for name in set(plain) & set(other))


def test_without_affine_every_filter_keeps_zero_mean_and_unit_variance():
    model = build_model("vgg5", width=4, affine=False).train()
    seen = []
    # The second one, after convolution, BatchNorm, ReLU, pooling, convolution. A copy: the ReLU
    # after it works in place.
    norm = model.features[5]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    norm.register_forward_hook(lambda *call: seen.append(call[2].clone()))
    model(torch.randn(16, 3, 8, 8, generator=generator(0, "x")))
    torch.testing.assert_close(seen[0].mean((0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0].std((0, 2, 3)), torch.ones(8), atol=0.01, rtol=0)


@pytest.mark.parametrize("affine", [True, False])
def test_a_filter_without_weights_gets_no_gradient_through_its_bias(affine):
    """A dead filter stays dead in both forms: BatchNorm's bias starts where ReLU has no slope."""
    model = build_model("vgg5", width=4, affine=affine).train()
    model.load_state_dict(initial_state(model.state_dict(), generator(0, "i")))
    model.features[4].weight.data[3] = 0
    images = torch.randn(16, 3, 8, 8, generator=generator(0, "x"))
    F.cross_entropy(model(images), torch.arange(16) % 10).backward()
    norm = model.features[5]
    if affine:
        assert norm.bias.grad[3] == norm.weight.grad[3] == 0
        assert (norm.bias.grad != 0).sum() == 7
    assert not model.features[4].weight.grad[3].any()
    assert not model.features[8].weight.grad[:, 3].any()


def test_batch_norm_cancels_the_biases_of_convolutions():
    draws = generator(0, "bias")
    model = build_model("vgg5", width=4, bias=True).train()
    images = torch.randn(16, 3, 8, 8, generator=draws)
    before = model(images)
    for layer in model.features:
        if isinstance(layer, torch.nn.Conv2d):
            layer.bias.data = torch.randn(layer.bias.shape, generator=draws)
    torch.testing.assert_close(model(images), before, atol=1e-4, rtol=1e-4)


def test_bottleneck_resnet56_is_the_one_of_su2020():
    """Counted from their text: 9 blocks of three layers a stage, 32, 64 and 128 channels, x 4."""
    expected, channels = 3 * 32 * 9, 32
    for planes in (32, 64, 128):
        for _ in range(9):
            expected += channels * planes + 9 * planes**2 + planes * 4 * planes
            if channels != 4 * planes:
                expected += channels * 4 * planes
            channels = 4 * planes
    expected += channels * 10
    with torch.device("meta"):
        model = build_model("resnet56", width=32, bottleneck=True)
        basic = build_model("resnet56", width=32)
    assert total(model) == expected
    # 1 + 27 * 3 + 3 shortcuts + 1; the basic one has 1 + 27 * 2 + 2 + 1.
    assert (len(prunable(model)), len(prunable(basic))) == (86, 58)
    assert total(basic) != expected
    strides = [m.stride for m in model.modules() if getattr(m, "kernel_size", 0) == (3, 3)]
    assert [n for n, stride in enumerate(strides) if stride == (2, 2)] == [10, 19]
    # Theirs lists a block's shortcut after its convolutions: the order that ratios go by.
    order = [n.removeprefix("blocks.0.") for n in prunable(model) if n.startswith("blocks.0.")]
    assert order == [f"conv{i}.weight" for i in (1, 2, 3)] + ["shortcut.0.weight"]
    small = build_model("resnet8", width=3, bottleneck=True)
    assert small(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def scrambled(name, **options):
    """A network in float64 whose BatchNorm has statistics and factors of every size."""
    model = build_model(name, in_channels=2, width=4, **options).double().eval()
    draws = generator(0, name)
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            low = 0.5 if key.endswith("running_var") else -1
            value.copy_(low + torch.rand(value.shape, generator=draws) * (1.5 - low))
    images = torch.randn(3, 2, 8, 8, generator=draws, dtype=torch.float64)
    return model, images, dict(model.state_dict())


def normed(x, state, name):
    """BatchNorm in evaluation, written out; takes its values out of the state."""
    mean, var, weight, bias, _ = (
        state.pop(f"{name}.{part}")
        for part in ("running_mean", "running_var", "weight", "bias", "num_batches_tracked")
    )
    column = (1, -1, 1, 1)
    scaled = (x - mean.view(column)) / (var.view(column) + 1e-5).sqrt()
    return scaled * weight.view(column) + bias.view(column)


def classified(x, state):
    weight, bias = state.pop("classifier.weight"), state.pop("classifier.bias")
    assert not state, "nothing else has parameters, no convolution a bias"
    return x.mean((2, 3)) @ weight.T + bias


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize(("name", "blocks"), [("resnet8", 1), ("resnet14", 2)])
def test_a_resnet_is_its_formula(name, blocks, bottleneck):
    """He et al. 2016, sections 3.3 and 4.2, with projections where the shape changes (option B)."""
    model, x, state = scrambled(name, bottleneck=bottleneck)
    expected = model(x)
    x = normed(F.conv2d(x, state.pop("conv.weight"), padding=1), state, "bn").relu()
    for number in range(3 * blocks):
        block, stride = f"blocks.{number}", 2 if number in (blocks, 2 * blocks) else 1
        paddings, strides = ([0, 1, 0], [1, stride, 1]) if bottleneck else ([1, 1], [stride, 1])
        y = x
        for part, (padding, step) in enumerate(zip(paddings, strides, strict=True), 1):
            y = F.conv2d(y, state.pop(f"{block}.conv{part}.weight"), stride=step, padding=padding)
            y = normed(y, state, f"{block}.bn{part}")
            y = y if part == len(paddings) else y.relu()
        if stride == 2 or x.shape != y.shape:
            x = F.conv2d(x, state.pop(f"{block}.shortcut.0.weight"), stride=stride)
            x = normed(x, state, f"{block}.shortcut.1")
        x = (y + x).relu()
    torch.testing.assert_close(classified(x, state), expected)


@pytest.mark.parametrize(("name", "convolutions"), [("vgg5", "1M2M44"), ("vgg7", "11M22M44")])
def test_a_vgg_is_its_formula(name, convolutions):
    model, x, state = scrambled(name)
    expected, layer = model(x), 0
    for item in convolutions:
        if item == "M":
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
            layer += 1
            continue
        weight = state.pop(f"features.{layer}.weight")
        assert weight.shape[0] == 4 * int(item)
        x = normed(F.conv2d(x, weight, padding=1), state, f"features.{layer + 1}").relu()
        layer += 3
    torch.testing.assert_close(classified(x, state), expected)


def test_fan_in_draws_by_the_input_channels():
    """su2020's VGG against ours: 4.6 times the standard deviation at the first layer of VGG19."""
    state = build_model("vgg19", width=16).state_dict()
    wide, narrow = (initial_state(state, generator(2, "i"), f) for f in ("fan_in", "fan_out"))
    ratios = {}
    for name, tensor in state.items():
        if tensor.dim() == 4:
            out, channels = tensor.shape[:2]
            std = (2 / (9 * channels)) ** 0.5
            assert wide[name].std() == pytest.approx(std, rel=5 / (2 * tensor.numel()) ** 0.5)
            ratios[name] = float(wide[name].std() / narrow[name].std())
            assert ratios[name] == pytest.approx((out / channels) ** 0.5, rel=1e-5)
        else:
            assert torch.equal(wide[name], narrow[name])
    # At width 16 the first ratio is sqrt(16 / 3); at 64 it is sqrt(64 / 3) = 4.62.
    changed = sorted((round(r, 2) for r in ratios.values() if r > 1.01), reverse=True)
    assert changed == [2.31, 1.41, 1.41, 1.41]


def test_initial_weights_are_drawn_as_a_description_says():
    plain = {"name": "vgg5", "width": 4}
    drawn = {
        initial: initial_weights({**plain, **given}, generator(0))["features.0.weight"]
        for initial, given in (("", {}), *((i, {"initial": i}) for i in INITIAL))
    }
    assert torch.equal(drawn[""], drawn["fan_out"])
    # 4 filters on 3 channels.
    torch.testing.assert_close(drawn["fan_in"], drawn["fan_out"] * (4 / 3) ** 0.5)
    with pytest.raises(JackpotError, match=r"fan_mid.*Allowed: fan_out, fan_in"):
        initial_weights({**plain, "initial": "fan_mid"}, generator(0))


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
