"""Scores against calculations that share no code with them."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.models.initial import initial_state
from jackpot.pruning.masks import keep_top
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator


class Tiny(nn.Module):
    """Convolution, BatchNorm, tanh (smooth, so that differences work), linear: 54 weights."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.bn = nn.BatchNorm2d(2)
        self.classifier = nn.Linear(6, 3)

    def forward(self, x):
        y = torch.tanh(self.bn(self.conv(x)))
        return self.classifier(F.adaptive_avg_pool2d(y, (3, 1)).flatten(1))


def tiny(seed=0):
    model, g = Tiny(), generator(seed, "tiny")
    for tensor in model.parameters():
        tensor.data = torch.randn(tensor.shape, generator=g)
    return model


def batch(count=12, seed=0, shape=(2, 5, 4), classes=3):
    g = generator(seed, "batch")
    return torch.randn(count, *shape, generator=g), torch.randint(classes, (count,), generator=g)


def loss_of(model, images, labels, temperature=1.0):
    """Loss as a function of the prunable weights as one float64 vector, BatchNorm in train mode."""
    model = copy.deepcopy(model).double().train()
    weights = prunable(model)
    shapes = [w.shape for w in weights.values()]

    def loss(vector):
        parts = vector.split([s.numel() for s in shapes])
        state = {n: p.reshape(s) for n, p, s in zip(weights, parts, shapes, strict=True)}
        return F.cross_entropy(
            functional_call(model, state, (images.double(),)) / temperature, labels
        )

    return loss, torch.cat([w.detach().reshape(-1) for w in weights.values()])


def flat(scores):
    return torch.cat([s.reshape(-1) for s in scores.values()])


def close(actual, expected, tolerance=1e-4):
    actual = actual.double()
    return float((actual - expected).abs().max() / expected.abs().max()) < tolerance


def differences(loss, vector, step=1e-5):
    """Central finite differences of a scalar function, one entry at a time."""
    slopes = torch.empty_like(vector)
    for i in range(len(vector)):
        nudge = torch.zeros_like(vector)
        nudge[i] = step
        slopes[i] = (loss(vector + nudge) - loss(vector - nudge)) / (2 * step)
    return slopes


def test_snip_is_weight_times_slope_of_the_loss():
    model, (images, labels) = tiny(), batch()
    with torch.no_grad():
        loss, vector = loss_of(model, images, labels)
        expected = (vector * differences(loss, vector)).abs()
    scores = SCORES["snip"](model, (images, labels), generator(0))
    assert close(flat(scores), expected)
    assert bool((flat(scores) >= 0).all())


def test_snip_sums_gradients_over_draws_before_taking_the_absolute_value():
    model, (images, labels) = tiny(), batch(12)
    expected = 0
    for part in range(3):
        chosen = slice(4 * part, 4 * part + 4)
        with torch.no_grad():
            loss, vector = loss_of(model, images[chosen], labels[chosen])
            expected = expected + differences(loss, vector)
    scores = SCORES["snip"](model, (images, labels), generator(0), draws=3)
    assert close(flat(scores), (vector * expected).abs())


def half_alive(model, seed=0):
    g = generator(seed, "alive")
    return {n: torch.rand(w.shape, generator=g) < 0.5 for n, w in prunable(model).items()}


def test_force_is_the_dense_weight_times_the_slope_in_the_pruned_network():
    model, (images, labels) = tiny(), batch()
    alive = half_alive(model)
    pruned = copy.deepcopy(model)
    for name, weight in prunable(pruned).items():
        weight.data *= alive[name]
    with torch.no_grad():
        loss, at = loss_of(pruned, images, labels)
        dense = loss_of(model, images, labels)[1]
        slopes = differences(loss, at)
    scores = SCORES["force"](model, (images, labels), generator(0), alive=alive)
    assert close(flat(scores), (dense * slopes).abs())
    gone = ~flat(alive)
    assert float(flat(scores)[gone].max()) > 0, "pruned weights have a rank as well"
    first = SCORES["force"](model, (images, labels), generator(0))
    assert torch.equal(flat(first), flat(SCORES["snip"](model, (images, labels), generator(0))))


def ntk_sap_by_differences(model, images, draws, alive, epsilon):
    """Wang et al. 2023, eq. 10, for one draw: central differences over the mask, BatchNorm by hand.

    Signed: the score is the absolute value of the sum over the draws.
    """
    fresh = initial_state(model.state_dict(), draws)
    noise = torch.randn(images.shape, generator=draws).double()
    moved = {
        n: (fresh[n] + epsilon * torch.randn(w.shape, generator=draws)).double()
        for n, w in prunable(model).items()
    }
    fresh = {name: value.double() for name, value in fresh.items()}

    def before(mask, weights):
        bias = fresh["conv.bias"]
        return F.conv2d(noise, weights["conv.weight"] * mask["conv.weight"], bias, padding=1)

    statistics = before({n: m.double() for n, m in alive.items()}, fresh)
    mean = statistics.mean((0, 2, 3), keepdim=True)
    # The running variance is the unbiased one.
    variance = statistics.transpose(0, 1).flatten(1).var(1).reshape(1, -1, 1, 1)

    def output(mask, weights):
        y = torch.tanh((before(mask, weights) - mean) / (variance + 1e-5).sqrt())
        y = F.adaptive_avg_pool2d(y, (3, 1)).flatten(1)
        return F.linear(y, weights["classifier.weight"] * mask["classifier.weight"])

    def distance(vector):
        parts = vector.split([m.numel() for m in alive.values()])
        mask = {n: p.reshape(m.shape) for (n, m), p in zip(alive.items(), parts, strict=True)}
        return (output(mask, fresh) - output(mask, moved)).square().sum()

    return differences(distance, flat(alive).double()) * flat(alive)


@pytest.mark.parametrize(("repeats", "epsilon"), [(1, 0.01), (3, 0.5)])
def test_ntk_sap_is_the_slope_of_the_squared_change_of_the_outputs(repeats, epsilon):
    model, (images, labels) = tiny(), batch()
    alive = half_alive(model)
    scores = SCORES["ntk_sap"](
        model, (images, labels), generator(5), alive=alive, repeats=repeats, epsilon=epsilon
    )
    draws = generator(5)
    slopes = [ntk_sap_by_differences(model, images, draws, alive, epsilon) for _ in range(repeats)]
    assert close(flat(scores), sum(slopes).abs(), 2e-3)
    assert not flat(scores)[~flat(alive)].any()


def test_ntk_sap_reads_neither_weights_nor_images():
    model, (images, labels) = tiny(), batch()
    other = tiny(1)
    scores = SCORES["ntk_sap"](model, (images, labels), generator(0))
    assert torch.equal(
        flat(scores), flat(SCORES["ntk_sap"](other, (images * 3 - 1, labels), generator(0)))
    )
    assert not torch.equal(
        flat(scores), flat(SCORES["ntk_sap"](model, (images, labels), generator(1)))
    )


@pytest.mark.parametrize(("draws", "temperature"), [(1, 200.0), (1, 1.5), (3, 2.0)])
def test_grasp_is_weight_times_dense_hessian_times_gradient(draws, temperature):
    model, (images, labels) = tiny(), batch(12)
    size = 12 // draws // 2
    pieces = [slice(size * i, size * (i + 1)) for i in range(2 * draws)]
    losses = [loss_of(model, images[p], labels[p], temperature) for p in pieces]
    vector = losses[0][1]
    g = sum(torch.autograd.functional.jacobian(loss, vector) for loss, _ in losses)
    hessian = sum(torch.autograd.functional.hessian(loss, vector) for loss, _ in losses)
    scores = SCORES["grasp"](
        model, (images, labels), generator(0), draws=draws, temperature=temperature
    )
    assert close(flat(scores), vector * (hessian @ g), 1e-3)


def test_grasp_is_the_directional_change_of_the_gradient():
    """H g by differences of finite-difference slopes: no automatic differentiation at all."""
    model, (images, labels) = tiny(1), batch(8, 1)
    with torch.no_grad():
        losses = [loss_of(model, images[p], labels[p], 3.0) for p in (slice(0, 4), slice(4, 8))]
        vector = losses[0][1]

        def slope(at):
            return sum(differences(loss, at) for loss, _ in losses)

        g = slope(vector)
        step = 1e-4 / float(g.norm())
        hg = (slope(vector + step * g) - slope(vector - step * g)) / (2 * step)
    scores = SCORES["grasp"](model, (images, labels), generator(0), temperature=3.0)
    assert close(flat(scores), vector * hg, 1e-3)


def test_grasp_temperature_defaults_to_200():
    model, data = tiny(), batch()
    default = SCORES["grasp"](model, data, generator(0))
    explicit = SCORES["grasp"](model, data, generator(0), temperature=200)
    assert torch.equal(flat(default), flat(explicit))
    assert not torch.equal(flat(default), flat(SCORES["grasp"](model, data, None, temperature=1)))


def test_grasp_can_redraw_the_classifier_in_its_copy_only():
    model, data = tiny(), batch()
    plain = SCORES["grasp"](model, data, generator(0, "g"))
    redrawn = SCORES["grasp"](model, data, generator(0, "g"), reinit_classifier=True)
    again = SCORES["grasp"](model, data, generator(0, "g"), reinit_classifier=True)
    assert torch.equal(flat(redrawn), flat(again))
    assert not torch.equal(flat(plain), flat(redrawn))
    # Xavier normal by hand: std = sqrt(2 / (in + out)), from the same generator.
    by_hand = copy.deepcopy(model)
    draws = torch.randn(3, 6, generator=generator(0, "g")) * (2 / (6 + 3)) ** 0.5
    by_hand.classifier.weight.data = draws
    assert close(flat(redrawn), flat(SCORES["grasp"](by_hand, data, generator(0))).double())


def test_grasp_of_the_same_draw_twice_is_four_times_that_of_one():
    """mlrc2020's second draw of corrupted data is its first: twice the gradient, twice H."""
    model, (images, labels) = tiny(), batch(12)
    once = SCORES["grasp"](model, (images, labels), generator(0))
    twice = (images.repeat(2, 1, 1, 1), labels.repeat(2))
    scores = SCORES["grasp"](model, twice, generator(0), draws=2)
    torch.testing.assert_close(flat(scores), 4 * flat(once))
    assert all(torch.equal(a, b) for a, b in zip(*map(halved, (scores, once)), strict=True))


def halved(scores):
    return keep_top(scores, 0.5).values()


def test_grasp_needs_two_images_a_draw():
    with pytest.raises(JackpotError, match="halves"):
        SCORES["grasp"](tiny(), batch(3), generator(0), draws=3)


def test_synflow_is_the_product_of_absolute_weights_along_paths():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False))
    first, second = (w.detach().double().abs() for w in prunable(model).values())
    scores = list(SCORES["synflow"](model, None, generator(0), input_shape=(1, 2, 2)).values())
    for i in range(3):
        for j in range(4):
            assert scores[0][i, j] == pytest.approx(float(first[i, j] * second[:, i].sum()))
        for k in range(2):
            assert scores[1][k, i] == pytest.approx(float(second[k, i] * first[i].sum()))


def test_synflow_takes_absolute_values_of_every_parameter_and_buffer_in_eval_mode():
    model = tiny()
    model.bn.running_mean.copy_(torch.tensor([-0.7, 0.4]))
    model.bn.running_var.copy_(torch.tensor([2.0, 0.3]))
    images, labels = batch()
    positive = copy.deepcopy(model).double().eval()
    for name, tensor in positive.state_dict().items():
        if name != "bn.num_batches_tracked":
            tensor.copy_(tensor.abs())
    weights = prunable(positive)
    ones = torch.ones(1, 2, 5, 4, dtype=torch.float64)

    def output(vector):
        parts = vector.split([w.numel() for w in weights.values()])
        state = {n: p.reshape(w.shape) for (n, w), p in zip(weights.items(), parts, strict=True)}
        return functional_call(positive, state, (ones,)).sum()

    vector = torch.cat([w.detach().reshape(-1) for w in weights.values()])
    with torch.no_grad():
        expected = vector * differences(output, vector)
    scores = SCORES["synflow"](model, (images, labels), generator(0))
    assert flat(scores).dtype == torch.float64
    assert close(flat(scores), expected, 1e-6)
    # Only the shape of the images is read.
    other = SCORES["synflow"](model, (images * 5 + 1, labels), generator(0))
    assert torch.equal(flat(scores), flat(other))


def test_synflow_conserves_flow_from_layer_to_layer():
    """Tanaka et al. 2020, theorem 1: without biases every layer's scores sum to the output."""
    model = build_model("vgg5", width=3, in_channels=1)
    scores = SCORES["synflow"](model, None, generator(0), input_shape=(1, 8, 8))
    assert len(scores) == 5
    convolutions = [float(s.sum()) for name, s in scores.items()]
    # The classifier's bias does not pass through weights, so R minus it is conserved.
    assert convolutions == pytest.approx([convolutions[0]] * 5, rel=1e-9)


def test_synflow_without_a_shape_says_so():
    with pytest.raises(JackpotError, match="input_shape"):
        SCORES["synflow"](tiny(), None, generator(0))


def test_magnitude_is_the_absolute_weight():
    model = tiny()
    scores = SCORES["magnitude"](model, None, generator(0))
    for name, weight in prunable(model).items():
        assert close(scores[name], weight.detach().double().square().sqrt(), 1e-6)
    assert min(float(score.min()) for score in scores.values()) > 0


def test_random_is_uniform_and_keyed():
    model = build_model("vgg5", width=8)
    scores = flat(SCORES["random"](model, None, generator(0, "r")))
    assert torch.equal(scores, flat(SCORES["random"](model, None, generator(0, "r"))))
    assert not torch.equal(scores, flat(SCORES["random"](model, None, generator(1, "r"))))
    quantiles = scores.sort().values[:: len(scores) // 10][:10]
    assert torch.allclose(quantiles, torch.arange(10) / 10, atol=0.03)


def test_random_per_filter_draws_one_uniform_number_a_filter():
    scores = SCORES["random"](build_model("vgg5", width=32), None, generator(0), per_filter=True)
    sums = torch.cat([s.flatten(1).sum(1) for s in scores.values()])
    assert all(bool((s.flatten(1).std(1) < 1e-9).all()) for s in scores.values())
    assert torch.allclose(sums.sort().values[:: len(sums) // 5][:5], torch.arange(5) / 5, atol=0.1)


@pytest.mark.parametrize("name", SCORES.names())
@pytest.mark.parametrize("training", [True, False])
def test_the_callers_model_is_untouched(name, training):
    model = tiny().train(training)
    model.conv.eval()  # a mixed mode must survive, too
    model.conv.bias.requires_grad_(False)
    model(torch.randn(4, 2, 5, 4, generator=generator(7))).sum().backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    gradients = {
        key: p.grad if p.grad is None else p.grad.clone() for key, p in model.named_parameters()
    }
    modes = [module.training for module in model.modules()]
    with torch.no_grad():  # gradients switched off outside must not matter
        scores = SCORES[name](model, batch(), generator(0))
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    for key, parameter in model.named_parameters():
        kept = gradients[key]
        assert parameter.grad is kept if kept is None else torch.equal(parameter.grad, kept)
        assert parameter.requires_grad == (key != "conv.bias")
    assert [module.training for module in model.modules()] == modes
    assert list(scores) == ["conv.weight", "classifier.weight"]
    assert all(scores[key].shape == w.shape for key, w in prunable(model).items())
    assert not any(score.requires_grad for score in scores.values())
    expected = torch.float64 if name == "synflow" else torch.float32
    assert all(score.dtype == expected for score in scores.values())


@pytest.mark.parametrize("name", SCORES.names())
def test_scores_repeat_exactly_whatever_the_global_state(name):
    model = tiny()
    torch.manual_seed(0)
    first = SCORES[name](model, batch(), generator(2, "s"))
    torch.manual_seed(9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        second = SCORES[name](model.eval(), batch(), generator(2, "s"))
    assert torch.equal(flat(first), flat(second))


@pytest.mark.parametrize("name", ["snip", "grasp"])
def test_batches_that_do_not_divide_are_refused(name):
    with pytest.raises(JackpotError, match="5 equal draws"):
        SCORES[name](tiny(), batch(12), generator(0), draws=5)
    with pytest.raises(JackpotError, match="pruning batch"):
        SCORES[name](tiny(), None, generator(0))


@pytest.mark.parametrize("name", SCORES.names())
def test_every_score_says_whether_it_uses_data(name):
    import ast
    import importlib
    from pathlib import Path

    module = importlib.import_module(f"jackpot.pruning.scores.{name}")
    tree = ast.parse(Path(module.__file__).read_text())
    literal = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "USES_DATA"
    }
    model = tiny()
    (images, labels), other = batch(12, 0), batch(12, 1)
    first = SCORES[name](model, (images, labels), generator(0))
    second = SCORES[name](model, other, generator(0))
    assert literal["USES_DATA"] == (not torch.equal(flat(first), flat(second)))


def test_a_users_score_is_found_by_file_and_by_module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Settings:\n"
        "    power: float = 2.0\n"
        "def largest(model, data, generator):\n"
        "    return 'found'\n"
    )
    assert SCORES[f"{tmp_path}/mine.py:largest"](None, None, None) == "found"
    monkeypatch.syspath_prepend(tmp_path)
    assert SCORES["mine:largest"](None, None, None) == "found"
    with pytest.raises(JackpotError, match="smallest"):
        SCORES[f"{tmp_path}/mine.py:smallest"]
    with pytest.raises(JackpotError, match="there is no file"):
        SCORES[f"{tmp_path}/yours.py:largest"]
    with pytest.raises(JackpotError, match="no_such_module"):
        SCORES["no_such_module:largest"]
    (tmp_path / "broken.py").write_text("import no_such_thing\n")
    with pytest.raises(JackpotError, match="no_such_thing"):
        SCORES[f"{tmp_path}/broken.py:largest"]


def test_the_folder_is_the_registry():
    names = ["force", "grasp", "magnitude", "ntk_sap", "random", "snip", "synflow"]
    assert SCORES.names() == names
    assert set(SCORES) == set(names) and len(SCORES) == 7
    assert "snip" in SCORES and "_copy" not in SCORES
    with pytest.raises(JackpotError, match="Allowed: force, grasp, magnitude"):
        SCORES["snipp"]


def test_listing_names_does_not_import_torch():
    import subprocess
    import sys

    code = (
        "import sys; from jackpot.pruning.scores import SCORES; "
        "from jackpot.pruning.allocation import allocation_names, smart_counts; "
        "from jackpot.checks import CHECKS; SCORES.names(); allocation_names(); "
        "smart_counts([90, 90, 20], 0.5); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_snip_can_redraw_every_weight_in_its_copy_only():
    """mlrc2020's code scores Xavier-normal weights in the place of the network's own."""
    model, data = tiny(), batch()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    scores = SCORES["snip"](model, data, generator(4), reinit=True)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    draws = generator(4)
    for weight in prunable(model).values():
        weight.data = torch.nn.init.xavier_normal_(torch.empty(weight.shape), generator=draws)
    assert close(flat(scores), flat(SCORES["snip"](model, data, None)).double())
    other = SCORES["snip"](model, data, generator(5), reinit=True)
    assert not torch.equal(flat(scores), flat(other))
