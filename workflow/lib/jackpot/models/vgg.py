"""VGG with BatchNorm and one linear classifier, for small images.

Simonyan & Zisserman 2015, in the CIFAR form that GraSP, su2020 and mlrc2020 train: BatchNorm after
each convolution, no hidden linear layers. GraSP's has affine BatchNorm and no biases. su2020 gives
the convolutions biases (which BatchNorm cancels), mlrc2020's SNIP and partially-trained code takes
BatchNorm's weight and bias away. VGG5 and VGG7 are smaller members for 8x8 images, with fewer
poolings.
"""

import torch
from torch import nn

from jackpot.models.convolution import Conv2d

DEPTHS = (5, 7, 11, 13, 16, 19)
# Channels as multiples of the width (64 in the papers); M halves height and width.
LAYOUTS: dict[int, tuple[int | str, ...]] = {
    5: (1, "M", 2, "M", 4, 4),
    7: (1, 1, "M", 2, 2, "M", 4, 4),
    11: (1, "M", 2, "M", 4, 4, "M", 8, 8, "M", 8, 8),
    13: (1, 1, "M", 2, 2, "M", 4, 4, "M", 8, 8, "M", 8, 8),
    16: (1, 1, "M", 2, 2, "M", 4, 4, 4, "M", 8, 8, 8, "M", 8, 8, 8),
    19: (1, 1, "M", 2, 2, "M", 4, 4, 4, 4, "M", 8, 8, 8, 8, "M", 8, 8, 8, 8),
}


class VGG(nn.Module):
    """``forward``: float (N, C, H, W) -> logits (N, num_classes).

    Args:
        width: channels of the first stage.
        affine: whether BatchNorm has a weight and a bias.
        bias: whether convolutions have biases.
    """

    family = "vgg"

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        image_size: object = None,
        *,
        depth: int,
        width: int = 64,
        affine: bool = True,
        bias: bool = False,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for item in LAYOUTS[depth]:
            if item == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            out = item * width
            layers += [
                Conv2d(channels, out, 3, padding=1, bias=bias),
                nn.BatchNorm2d(out, affine=affine),
                nn.ReLU(inplace=True),
            ]
            channels = out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # A mean, not adaptive pooling: the latter has no deterministic backward pass on CUDA.
        return self.classifier(self.features(x).mean((2, 3)))
