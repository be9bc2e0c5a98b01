"""VGG with BatchNorm and one linear classifier, for small images.

Simonyan & Zisserman 2015, in the CIFAR form that GraSP, su2020 and mlrc2020 train: convolutions
without bias, BatchNorm after each, no hidden linear layers. VGG5 and VGG7 are smaller members
for 8x8 images, with fewer poolings.
"""

import torch
from torch import nn

from jackpot.architectures import VGG_LAYOUTS
from jackpot.models.convolution import Conv2d


class VGG(nn.Module):
    """``forward``: float (N, C, H, W) -> logits (N, num_classes)."""

    family = "vgg"

    def __init__(self, depth: int, num_classes: int, in_channels: int, width: int = 64):
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for item in VGG_LAYOUTS[depth]:
            if item == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            out = item * width
            layers += [
                Conv2d(channels, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
            channels = out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A mean, not adaptive pooling: the latter has no deterministic backward pass on CUDA.
        return self.classifier(self.features(x).mean((2, 3)))
