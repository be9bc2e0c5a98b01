"""SGD with momentum and a mask, in a handful of passes over the weights.

The update is that of ``torch.optim.SGD`` (PyTorch's documentation gives the algorithm; dampening
0), bit for bit. It is written out because importing ``torch.optim`` for use costs every job 1.3 s
(it loads the compiler), and because the mask belongs into the step.
"""

import torch

from jackpot.files.tensors import Mask


class SGD:
    """Updates parameters in place; pruned weights are exactly zero after every step."""

    def __init__(
        self,
        parameters: dict[str, torch.nn.Parameter],
        *,
        momentum: float,
        weight_decay: float,
        nesterov: bool = False,
        mask: Mask | None = None,
    ):
        self.parameters = list(parameters.values())
        self.weights = [parameter.data for parameter in self.parameters]
        self.momenta = {
            name: torch.zeros_like(parameter.data) for name, parameter in parameters.items()
        }
        self.momentum, self.weight_decay, self.nesterov = momentum, weight_decay, nesterov
        self.masked = [parameters[name].data for name in mask or ()]
        self.kept = [
            # The layout of the weight, so that the product is one pass over both.
            torch.empty_like(weight).copy_(keep)
            for keep, weight in zip((mask or {}).values(), self.masked, strict=True)
        ]
        self.apply_mask()

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update from the gradients, which are dropped."""
        gradients = [parameter.grad for parameter in self.parameters]
        weights, momenta = self.weights, list(self.momenta.values())
        if any(gradient is None for gradient in gradients):
            # What took no part in a step stays as it is, as torch.optim.SGD has it.
            took_part = [i for i, gradient in enumerate(gradients) if gradient is not None]
            gradients, weights, momenta = (
                [part[i] for i in took_part] for part in (gradients, weights, momenta)
            )
        if self.weight_decay:
            torch._foreach_add_(gradients, weights, alpha=self.weight_decay)
        torch._foreach_mul_(momenta, self.momentum)
        torch._foreach_add_(momenta, gradients)
        if self.nesterov:
            torch._foreach_add_(gradients, momenta, alpha=self.momentum)
        torch._foreach_add_(weights, gradients if self.nesterov else momenta, alpha=-lr)
        self.apply_mask()
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def apply_mask(self) -> None:
        """Set pruned weights to zero: neither momentum nor weight decay brings them back."""
        if self.masked:
            torch._foreach_mul_(self.masked, self.kept)
