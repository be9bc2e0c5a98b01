"""GraSP against dense Hessians and finite differences."""

import copy

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.pruning.masks import keep_top
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import flat
from tests.support.scores import batch, close, differences, loss_of, tiny


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


def test_grasp_redraws_the_last_of_many_layers():
    sizes = [(4, 5), (5, 6), (6, 3)]
    layers = [torch.nn.Linear(*size) for size in sizes]
    model = torch.nn.Sequential(torch.nn.Flatten(), *layers)
    data = batch(shape=(1, 2, 2))
    redrawn = SCORES["grasp"](model, data, generator(0), reinit_classifier=True)
    model[-1].weight.data = torch.randn(3, 6, generator=generator(0)) * (2 / (6 + 3)) ** 0.5
    torch.testing.assert_close(redrawn, SCORES["grasp"](model, data, generator(0)))


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
