"""FORCE against slopes in the pruned network."""

import copy

import torch

from jackpot.models import prunable
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import flat
from tests.support.scores import batch, close, differences, half_alive, loss_of, tiny


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
