"""The names of the networks, without torch, so that a study can be checked quickly."""

import re

from jackpot.errors import JackpotError

# Channels as multiples of the width (64 in the papers); M halves height and width.
VGG_LAYOUTS: dict[int, tuple[int | str, ...]] = {
    5: (1, "M", 2, "M", 4, 4),
    7: (1, 1, "M", 2, 2, "M", 4, 4),
    11: (1, "M", 2, "M", 4, 4, "M", 8, 8, "M", 8, 8),
    13: (1, 1, "M", 2, 2, "M", 4, 4, "M", 8, 8, "M", 8, 8),
    16: (1, 1, "M", 2, 2, "M", 4, 4, 4, "M", 8, 8, 8, "M", 8, 8, 8),
    19: (1, 1, "M", 2, 2, "M", 4, 4, 4, 4, "M", 8, 8, 8, 8, "M", 8, 8, 8, 8),
}
RESNET_DEPTHS = (8, 14, 20, 32, 44, 56, 110)
# Options that only one family has.
FAMILY_OPTIONS = {"vgg": ("affine", "bias"), "resnet": ("bottleneck",)}


def architecture_names() -> list[str]:
    """Every name that ``build_model`` takes."""
    return [*(f"vgg{depth}" for depth in VGG_LAYOUTS), *(f"resnet{d}" for d in RESNET_DEPTHS)]


def split_name(name: str) -> tuple[str, int]:
    """``"vgg19"`` -> ``("vgg", 19)``."""
    if name not in architecture_names():
        raise JackpotError(
            f"architecture {name!r} does not exist. Allowed: {', '.join(architecture_names())}"
        )
    family, depth = re.fullmatch(r"([a-z]+)(\d+)", name).groups()
    return family, int(depth)
