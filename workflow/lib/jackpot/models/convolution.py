"""Convolutions that take another way on the CPU: small images, and 1x1 kernels with a stride."""

from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional as F

from jackpot.errors import JackpotError


class Conv2d(nn.Conv2d):
    """``nn.Conv2d``; on the CPU the same sums in another order for small images.

    On a 2x2 image (1x1, with a kernel of 3) every output pixel sees every input pixel, so the
    layer is one dense product over channels and pixels, of 16 blocks of the weight where a direct
    convolution multiplies 36, most of them with padding. docs/performance.md has the figures.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, O, H', W')."""
        if x.device.type == "cpu" and self._is_simple(x) and self._sees_everything(x.shape):
            return self._dense(x)
        return super().forward(x)

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        taps, (height, width) = _taps(x.shape[2:], self.kernel_size, self.padding)
        # By channels_last, which is how the weights lie: whole rows of input channels are moved.
        blocks = self.weight.permute(0, 2, 3, 1).flatten(1, 2).index_select(1, taps)
        dense = blocks.reshape(self.out_channels * height * width, -1)
        bias = None if self.bias is None else self.bias.repeat_interleave(height * width)
        y = F.linear(x.permute(0, 2, 3, 1).flatten(1), dense, bias)
        y = y.view(len(x), self.out_channels, height, width)
        last = x.is_contiguous(memory_format=torch.channels_last)
        return y.contiguous(memory_format=torch.channels_last) if last else y

    def _is_simple(self, x: torch.Tensor) -> bool:
        return (
            x.dim() == 4
            and self.stride == self.dilation == (1, 1)
            and self.groups == 1
            and self.padding_mode == "zeros"
            and not isinstance(self.padding, str)
        )

    def _sees_everything(self, shape: torch.Size) -> bool:
        return all(
            size + padding <= kernel <= size + 2 * padding
            for size, kernel, padding in zip(shape[2:], self.kernel_size, self.padding, strict=True)
        )


class SparsePixels(nn.Conv2d):
    """A 1x1 convolution with a stride: on the CPU it takes every n-th pixel, then convolves.

    The product is the same. oneDNN (PyTorch 2.13), on processors with AVX2 and no AVX-512, writes
    past its workspace in the weight's gradient of the strided form, where the input is float32,
    channels_last and of fewer than 8 channels: a crash, or with several threads wrong gradients.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, O, ceil(H / stride), ceil(W / stride)), of the padded image."""
        if x.device.type != "cpu":
            return super().forward(x)
        if any(self._reversed_padding_repeated_twice):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            x = F.pad(x, self._reversed_padding_repeated_twice, mode)
        rows, columns = self.stride
        x = x[..., ::rows, ::columns]
        return F.conv2d(x, self.weight, self.bias, groups=self.groups)


# Input channels from which on oneDNN's strided 1x1 convolution was never seen to fail.
SAFE_CHANNELS = 8


def protect(model: nn.Module) -> nn.Module:
    """``model`` itself, whose strided 1x1 convolutions are now ``SparsePixels``.

    Names, weights and hooks stay.

    Raises:
        JackpotError: one is of a subclass of ``nn.Conv2d``, whose forward we do not know, and has
            so few channels that oneDNN may fail.
    """
    for name, layer in model.named_modules():
        if (
            not isinstance(layer, nn.Conv2d)
            or isinstance(layer, SparsePixels)
            or layer.kernel_size != (1, 1)
            or layer.stride == (1, 1)
        ):
            continue
        if type(layer) in (nn.Conv2d, Conv2d):
            layer.__class__ = SparsePixels
        elif layer.in_channels // layer.groups < SAFE_CHANNELS:
            raise JackpotError(
                f"{name or 'the network'} is a strided 1x1 convolution of class "
                f"{type(layer).__name__}, with {layer.in_channels // layer.groups} input channels: "
                "PyTorch's may crash or give wrong gradients on some processors. Use nn.Conv2d, "
                "which is replaced by a safe one, or take every n-th pixel before a stride of 1."
            )
    return model


@lru_cache(maxsize=64)
def _taps(image, kernel, padding) -> tuple[torch.Tensor, tuple[int, int]]:
    """Which of the kernel's taps joins each output pixel to each input pixel, and the output size.

    Returns:
        int64 (H' * W' * H * W,), outputs first; and (H', W').
    """
    # It is kept for whoever comes next, so it is of no caller's mode or default device.
    with torch.inference_mode(False), torch.device("cpu"):
        rows, columns = (
            torch.arange(size) - torch.arange(size + 2 * pad - reach + 1)[:, None] + pad
            for size, reach, pad in zip(image, kernel, padding, strict=True)
        )
        taps = rows[:, None, :, None] * kernel[1] + columns[None, :, None, :]
        return taps.flatten(), (len(rows), len(columns))
