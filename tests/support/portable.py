"""Digests of what portable arithmetic promises to be the same, by name; a line of JSON each.

    python tests/support/portable.py native|portable [vgg5 resnet8 ...]

A program of its own, because instructions are chosen before torch is loaded.
"""

import hashlib
import json
import sys

from jackpot.machine import restrict

restrict(sys.argv[1])

import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from jackpot.models import build_model  # noqa: E402
from jackpot.models.initial import initial_state  # noqa: E402
from jackpot.pruning.scores import SCORES  # noqa: E402
from jackpot.randomness import generator  # noqa: E402
from jackpot.settings import Training  # noqa: E402
from jackpot.training.batches import DeviceImages  # noqa: E402
from jackpot.training.device import prepare_device, versions  # noqa: E402
from jackpot.training.engine import train  # noqa: E402

# Name, options, side of the images, images: small ones for whole epochs, the papers' for a step.
NETWORKS = {
    "vgg5": ({"width": 16}, 8, 192),
    "resnet8": ({"width": 8}, 8, 192),
    "resnet32": ({"width": 32}, 32, 8),
    "vgg19": ({}, 32, 8),
}


def digest(tensors):
    """SHA-256 of the bytes of tensors, in their order."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def drawn(name, *shape):
    return torch.randn(shape, generator=generator(0, name))


def network(name):
    options, side, count = NETWORKS[name]
    channels = 1 if side == 8 else 3
    model = build_model(name, 10, channels, **options)
    model.load_state_dict(initial_state(model.state_dict(), generator(0, "initialise")))
    return model, channels, side, count


def trained(name):
    """Final state after an epoch in batches of 64, and its losses."""
    model, channels, side, count = network(name)
    images = torch.randint(
        0, 256, (count, side, side, channels), generator=generator(0, "images"), dtype=torch.uint8
    )
    labels = torch.arange(count) % 10
    data = DeviceImages(images, labels, torch.full((channels,), 0.5), torch.full((channels,), 0.25))
    model = model.to(memory_format=torch.channels_last)
    done = train(model, data, data, Training(epochs=1), seed=0, epochs=1)
    losses = [torch.tensor([done.history[0][key] for key in ("train_loss", "test_loss")])]
    return digest([*model.state_dict().values(), *losses])


def scored(name, score):
    model, channels, side, _ = network(name)
    batch = drawn("batch", 20, channels, side, side), torch.arange(20) % 10
    return digest(SCORES[score](model, batch, generator(0, "score")).values())


def operations():
    """Those that the networks are made of, one by one, to see which one differs."""
    x, weight = drawn("x", 64, 512), drawn("weight", 256, 512)
    yield "initial normal draws", [drawn("normal", 4096)]
    yield "linear", [F.linear(x, weight)]
    yield "product of narrow matrices", [drawn("a", 64, 7) @ drawn("b", 7, 10)]
    yield "log-softmax", [F.log_softmax(x, 1)]
    yield "exponential", [x.exp()]
    yield "sum", [x.sum(), x.sum(0), x.mean(1), x.var(0)]
    image = drawn("image", 8, 32, 16, 16).contiguous(memory_format=torch.channels_last)
    yield "batch normalisation", [F.batch_norm(image, None, None, training=True)]
    for channels, out, size, stride in ((1, 16, 3, 1), (32, 64, 3, 2), (64, 64, 1, 1)):
        kernel = drawn("kernel", out, channels, size, size).requires_grad_()
        image = drawn("image", 8, channels, 16, 16).contiguous(memory_format=torch.channels_last)
        image.requires_grad_()
        y = F.conv2d(image, kernel, stride=stride, padding=size // 2)
        gradients = torch.autograd.grad(y, (image, kernel), drawn("gradient", *y.shape))
        yield f"convolution {channels}-{out}, {size}x{size}/{stride}", [y, *gradients]


def everything():
    """Names and digests, the quick ones first."""
    for name, tensors in operations():
        yield name, digest(tensors)
    for score in ("snip", "grasp", "synflow"):
        yield f"{score} of vgg5", scored("vgg5", score)
    for name in sys.argv[2:] or NETWORKS:
        yield f"{name} trained", trained(name)


def main():
    prepare_device("cpu", 1)
    print(json.dumps(versions()), flush=True)
    for name, value in everything():
        print(json.dumps({name: value}), flush=True)


main()
