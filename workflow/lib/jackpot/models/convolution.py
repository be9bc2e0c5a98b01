"""A convolution that takes another way on the CPU where the images are small."""

from functools import lru_cache

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

FEW_PIXELS = 16


class Conv2d(nn.Conv2d):
    """``nn.Conv2d``; on the CPU the same sums in another order for small images.

    On a 2x2 image (1x1, with a kernel of 3) every output pixel sees every input pixel, so the
    layer is one dense product over channels and pixels, of 16 blocks of the weight where a direct
    convolution multiplies 36, most of them with padding. On images of up to 16 pixels, in
    bfloat16, the weight's gradient is one product. docs/performance.md has the figures.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, O, H', W')."""
        if x.device.type == "cpu" and self._is_simple(x):
            if self._sees_everything(x.shape):
                return self._dense(x)
            if (
                x.dtype == torch.bfloat16
                and torch.is_autocast_enabled("cpu")
                and self.bias is None
                and x.shape[2] * x.shape[3] <= FEW_PIXELS
            ):
                return _FewPixels.apply(x, self.weight.to(x.dtype), self.padding)
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


class _FewPixels(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, padding):
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return F.conv2d(x, weight, padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        rows, columns = ctx.padding
        to_x, _, _ = torch.ops.aten.convolution_backward(
            *(gradient, x, weight, None, (1, 1), ctx.padding, (1, 1), False, (0, 0), 1),
            (ctx.needs_input_grad[0], False, False),
        )
        # What each output pixel sees, as a row: (N * H' * W', taps * channels).
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, columns, columns, rows, rows))
        seen = padded.unfold(1, weight.shape[2], 1).unfold(2, weight.shape[3], 1)
        seen = seen.permute(0, 1, 2, 4, 5, 3).flatten(0, 2).flatten(1)
        to_weight = gradient.permute(0, 2, 3, 1).flatten(0, 2).t() @ seen
        by_tap = to_weight.view(len(weight), *weight.shape[2:], -1)
        return to_x, by_tap.permute(0, 3, 1, 2), None


@lru_cache(maxsize=64)
def _taps(image, kernel, padding) -> tuple[torch.Tensor, tuple[int, int]]:
    """Which of the kernel's taps joins each output pixel to each input pixel, and the output size.

    Returns:
        int64 (H' * W' * H * W,), outputs first; and (H', W').
    """
    rows, columns = (
        torch.arange(size) - torch.arange(size + 2 * pad - reach + 1)[:, None] + pad
        for size, reach, pad in zip(image, kernel, padding, strict=True)
    )
    taps = rows[:, None, :, None] * kernel[1] + columns[None, :, None, :]
    return taps.flatten(), (len(rows), len(columns))
