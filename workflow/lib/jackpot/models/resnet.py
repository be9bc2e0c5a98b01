"""CIFAR-style ResNets: three stages of basic or bottleneck blocks, 1x1-convolution shortcuts.

He et al. 2016, section 4.2, with projection shortcuts (option B) where the shape changes, as in
GraSP's code. su2020 builds depths from 54 on of bottleneck blocks (He et al., figure 5), as many
as there are basic ones at that depth.
"""

import torch
from torch import nn
from torch.nn import functional as F

from jackpot.models.convolution import Conv2d

DEPTHS = (8, 14, 20, 32, 44, 56, 110)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, C, H, W) -> (N, out, H/stride, W/stride)."""

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        self.conv1 = Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = _shortcut(channels, out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y)) + self.shortcut(x)
        return F.relu(y, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut: (N, C, H, W) -> (N, out, H/stride, W/stride).

    The 3x3 convolution works on a quarter of the ``out`` channels and has the stride.
    """

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        narrow = out // 4
        self.conv1 = nn.Conv2d(channels, narrow, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = Conv2d(narrow, narrow, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3 = nn.Conv2d(narrow, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.shortcut = _shortcut(channels, out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y)) + self.shortcut(x)
        return F.relu(y, inplace=True)


def _shortcut(channels: int, out: int, stride: int) -> nn.Module:
    if stride == 1 and channels == out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class ResNet(nn.Module):
    """``forward``: float (N, C, H, W) -> logits (N, num_classes). Depth is 6n + 2.

    Args:
        width: channels of the first stage: 16 in He et al., 32 in su2020 and GraSP. A bottleneck's
            output has four times as many.
        bottleneck: bottleneck blocks, 3n of them, where a basic ResNet of this depth has 3n
            basic ones; there are 9n + 2 layers then.
    """

    family = "resnet"

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        image_size: object = None,
        *,
        depth: int,
        width: int = 16,
        bottleneck: bool = False,
    ):
        super().__init__()
        self.conv = Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        kind, expansion = (Bottleneck, 4) if bottleneck else (BasicBlock, 1)
        channels = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                out = width * 2**stage * expansion
                blocks.append(kind(channels, out, 2 if stage and not block else 1))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.blocks(F.relu(self.bn(self.conv(x)), inplace=True))
        # A mean, not adaptive pooling: the latter has no deterministic backward pass on CUDA.
        return self.classifier(y.mean((2, 3)))
