"""Random scores."""

import torch

from jackpot.models import build_model
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import flat


def test_random_is_uniform_and_keyed():
    model = build_model("vgg5", width=8)
    scores = flat(SCORES["random"](model, None, generator(0, "r")))
    assert torch.equal(scores, flat(SCORES["random"](model, None, generator(0, "r"))))
    assert not torch.equal(scores, flat(SCORES["random"](model, None, generator(1, "r"))))
    quantiles = scores.sort().values[:: len(scores) // 10][:10]
    assert torch.allclose(quantiles, torch.arange(10) / 10, atol=0.03)


def test_random_per_filter_draws_one_uniform_number_a_filter():
    model = build_model("vgg5", width=32)
    scores = SCORES["random"](model, None, generator(0), per_filter=True)
    sums = torch.cat([s.flatten(1).sum(1) for s in scores.values()])
    assert all(bool((s.flatten(1).std(1) < 1e-9).all()) for s in scores.values())
    assert torch.allclose(sums.sort().values[:: len(sums) // 5][:5], torch.arange(5) / 5, atol=0.1)
    again, other = (SCORES["random"](model, None, generator(s), per_filter=True) for s in (0, 1))
    assert torch.equal(flat(scores), flat(again))
    assert not torch.equal(flat(scores), flat(other))
