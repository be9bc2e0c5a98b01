"""Networks, masks and batches for tests of pruners."""

import torch

from jackpot.models import build_model
from jackpot.models.initial import initial_state
from jackpot.pruning.make_masks import make_masks
from jackpot.randomness import generator

SPARSITIES = [0.0, 0.5, 0.9, 0.98]


def network(name="resnet8", **options):
    model = build_model(name, **{"width": 4, "in_channels": 1, **options})
    model.load_state_dict(initial_state(model.state_dict(), generator(0, "init")))
    return model


def batch():
    g = generator(0, "batch")
    return torch.randn(20, 1, 8, 8, generator=g), torch.arange(20) % 10


def masks_of(model, score="magnitude", allocation="global", sparsities=SPARSITIES, **options):
    options.setdefault("generator", generator(0, "prune"))
    return make_masks(
        model, batch(), score=score, allocation=allocation, sparsities=sparsities, **options
    )


def flat(tensors):
    return torch.cat([t.reshape(-1) for t in tensors.values()])


def same(left, right):
    return list(left) == list(right) and all(torch.equal(left[k], right[k]) for k in left)


def negative(scores):
    return {name: -score for name, score in scores.items()}
