"""A network small enough for exact scores, and derivatives by finite differences."""

import copy

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from jackpot.models import prunable
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


def close(actual, expected, tolerance=1e-4):
    actual = actual.double()
    return float((actual - expected).abs().max() / expected.abs().max()) < tolerance


def differences(loss, vector):
    """Central finite differences of a scalar function, one entry at a time."""
    slopes, step = torch.empty_like(vector), 1e-5
    for i in range(len(vector)):
        nudge = torch.zeros_like(vector)
        nudge[i] = step
        slopes[i] = (loss(vector + nudge) - loss(vector - nudge)) / (2 * step)
    return slopes


def half_alive(model):
    g = generator(0, "alive")
    return {n: torch.rand(w.shape, generator=g) < 0.5 for n, w in prunable(model).items()}
