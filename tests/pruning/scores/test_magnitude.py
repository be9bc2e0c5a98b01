"""Magnitude scores."""

from jackpot.models import prunable
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.scores import close, tiny


def test_magnitude_is_the_absolute_weight():
    model = tiny()
    scores = SCORES["magnitude"](model, None, generator(0))
    for name, weight in prunable(model).items():
        assert close(scores[name], weight.detach().double().square().sqrt(), 1e-6)
    assert min(float(score.min()) for score in scores.values()) > 0
