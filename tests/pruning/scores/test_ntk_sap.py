"""NTK-SAP against finite differences."""

import pytest
import torch
from torch.nn import functional as F

from jackpot.models import prunable
from jackpot.models.initial import initial_state
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import flat
from tests.support.scores import batch, close, differences, half_alive, tiny


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


def test_ntk_sap_draws_once_with_a_deviation_of_a_hundredth_by_default():
    default = SCORES["ntk_sap"](tiny(), batch(), generator(0))
    explicit = SCORES["ntk_sap"](tiny(), batch(), generator(0), repeats=1, epsilon=0.01)
    assert torch.equal(flat(default), flat(explicit))


class Scaled(torch.nn.Module):
    """A user's network with a parameter that belongs to no layer."""

    image_shape = (1, 3, 3)

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((2,), 3.0))
        self.head = torch.nn.Linear(9, 2)

    def forward(self, x):
        return self.scale * self.head(x.flatten(1))


def test_a_users_network_is_drawn_as_its_layers_draw():
    model, data = Scaled(), (torch.zeros(4, 1, 3, 3), torch.zeros(4, dtype=torch.long))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scores = SCORES["ntk_sap"](model, data, generator(0))
    assert scores["head.weight"].min() > 0
    # Not by the weights' values, and not by PyTorch's global generator.
    torch.manual_seed(9)
    model.head.reset_parameters()
    assert torch.equal(
        scores["head.weight"], SCORES["ntk_sap"](model, data, generator(0))["head.weight"]
    )
    assert torch.equal(model.scale, before["scale"])


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
