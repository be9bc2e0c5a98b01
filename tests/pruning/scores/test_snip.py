"""SNIP against finite differences of the loss."""

import torch

from jackpot.models import prunable
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import flat
from tests.support.scores import batch, close, differences, loss_of, tiny


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
