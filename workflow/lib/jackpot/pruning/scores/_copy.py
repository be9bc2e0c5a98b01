"""What the gradient-based scores share: a private copy, plain arithmetic, batches per draw."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.pruning.batch import Batch


def scoring_copy(
    model: nn.Module, dtype: torch.dtype, train: bool, inplace: bool = False
) -> nn.Module:
    """A copy that may be changed at will: gradients on, one dtype, train or eval mode.

    With ``inplace`` no copy: the model itself in that form, for a caller that made one already.
    """
    duplicate = model if inplace else copy.deepcopy(model)
    return duplicate.to(dtype).requires_grad_(True).train(train)


@contextlib.contextmanager
def plain_arithmetic(model: nn.Module) -> Iterator[None]:
    """Gradients on; no autocast, TF32 or autotuned convolutions, so scores repeat exactly.

    Attention is written out, as its fused form has no second derivative.
    """
    device = next(model.parameters()).device.type
    with (
        torch.enable_grad(),
        torch.autocast(device, enabled=False),
        sdpa_kernel(SDPBackend.MATH),
        # It switches cuDNN off where `enabled` is not said.
        torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ),
    ):
        yield


def split_draws(model: nn.Module, data: Batch, draws: int) -> list[Batch]:
    """Cut the batch into ``draws`` equal consecutive parts, on the model's device.

    Raises:
        JackpotError: there is no batch, or it does not divide by ``draws``.
    """
    if data is None:
        raise JackpotError("this score needs a pruning batch: pass data=(images, labels)")
    device = next(model.parameters()).device
    images, labels = (part.to(device) for part in data)
    if draws < 1 or len(images) % draws or len(images) != len(labels):
        raise JackpotError(
            f"a pruning batch of {len(images)} images and {len(labels)} labels "
            f"cannot be cut into {draws} equal draws"
        )
    size = len(images) // draws
    return list(zip(images.float().split(size), labels.split(size), strict=True))


def summed(totals: list[torch.Tensor] | None, more: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Add detached gradients onto running totals (None at the start)."""
    more = [gradient.detach() for gradient in more]
    return more if totals is None else [a + b for a, b in zip(totals, more, strict=True)]


def loss_gradients(network: nn.Module, data: Batch, draws: int) -> list[torch.Tensor]:
    """dL/dw of the prunable weights, L the cross-entropy, summed over the draws.

    Args:
        network: a ``scoring_copy`` in train mode.
    """
    weights = list(prunable(network).values())
    totals = None
    with plain_arithmetic(network):
        for images, labels in split_draws(network, data, draws):
            loss = F.cross_entropy(network(images), labels)
            totals = summed(totals, torch.autograd.grad(loss, weights))
    return totals


def named(model: nn.Module, values: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Values of the prunable weights by name, in ``named_parameters()`` order."""
    return dict(zip(prunable(model), values, strict=True))
