"""NTK-SAP (Wang, Li & Sun 2023, "NTK-SAP: Improving neural network pruning by aligning training
dynamics", section 4 and algorithm 1; the released code at commit e23682b)."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.func import functional_call

from jackpot.files.tensors import Mask
from jackpot.models import prunable
from jackpot.models.initial import redrawn
from jackpot.pruning.scores._copy import Batch, named, plain_arithmetic, scoring_copy, summed

# Only the shape of the images is read.
USES_DATA = False


def ntk_sap(
    model: nn.Module,
    data: Batch,
    generator: torch.Generator,
    *,
    alive: Mask | None = None,
    repeats: int = 1,
    epsilon: float = 0.01,
) -> dict[str, torch.Tensor]:
    """|d/dm sum ||f(z; w*m) - f(z; (w + e)*m)||^2|: what a weight adds to the NTK's trace norm.

    z is Gaussian noise, w are initial weights drawn anew and e ~ N(0, epsilon^2), all of them once
    for every repeat. BatchNorm normalises both outputs by the statistics of z under w*m, as in
    evaluation. The weights' own values are not read. The released code draws w as Kaiming-normal
    by fan-in; here w has the distribution that the networks start from by default, by fan-out, and
    a user's network that of its layers' own ``reset_parameters``.

    Args:
        model: the dense network; untouched.
        data: ``(images (N, C, H, W), labels)``; only the shape is read.
        generator: draws weights, noise and perturbations.
        alive: what the round before kept; None before the first.
        repeats: draws that the score sums over (their R; 5 for CIFAR-10).
        epsilon: standard deviation of the perturbation.

    Returns:
        float32 scores, each shaped like its weight; 0 for pruned ones.
    """
    network = scoring_copy(model, torch.float32, train=False)
    names = list(prunable(network))
    state = network.state_dict()
    masks = {
        name: (torch.ones_like(state[name]) if alive is None else alive[name].to(state[name]))
        for name in names
    }
    for mask in masks.values():
        mask.requires_grad_(True)

    def drawn(shape: torch.Size) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(state[names[0]].device)

    def output(values: dict[str, torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
        masked = {name: values[name] * mask for name, mask in masks.items()}
        return functional_call(network, masked, (noise,))

    totals = None
    with plain_arithmetic(network):
        for _ in range(repeats):
            fresh = redrawn(network, generator)
            network.load_state_dict(fresh)
            noise = drawn(data[0].shape)
            moved = {name: fresh[name] + epsilon * drawn(fresh[name].shape) for name in names}
            with _of_one_batch(network), torch.no_grad():
                output(fresh, noise)
            distance = (output(fresh, noise) - output(moved, noise)).square().sum()
            totals = summed(totals, torch.autograd.grad(distance, list(masks.values())))
    scores = [(t * (m != 0)).abs() for t, m in zip(totals, masks.values(), strict=True)]
    return named(network, scores)


@contextlib.contextmanager
def _of_one_batch(network: nn.Module) -> Iterator[None]:
    """BatchNorm's running statistics become those of the batch that passes inside."""
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 1.0
    network.train()
    yield
    network.eval()
    for layer, momentum in zip(layers, before, strict=True):
        layer.momentum = momentum
