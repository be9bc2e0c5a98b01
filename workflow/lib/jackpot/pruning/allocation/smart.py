"""Smart ratios (su2020, section 4) in the paper's and in mlrc2020's form."""

from collections.abc import Sequence

from jackpot.errors import JackpotError
from jackpot.pruning.allocation._shares import CLASSIFIER_DENSITY, by_ratio, divided_for_vgg

# mlrc2020 counts the layers in the models' names, whatever the network has.
MLRC2020_DEPTH = {"vgg": 19, "resnet": 33}


def smart(
    layer_sizes: Sequence[int],
    density: float,
    *,
    family: str,
    variant: str = "su2020",
    classifier_density: float | None = CLASSIFIER_DENSITY,
) -> list[int]:
    """Density of layer l in proportion to (n-l+1)^2 + (n-l+1), over l^2 for VGG; l = 1..n.

    n counts the classifier; ``variant="mlrc2020"`` puts 19 (VGG) or 33 (ResNet) in its place.

    Args:
        layer_sizes: weights of every prunable layer, the classifier last.
        density: fraction kept over all layers.
        family: ``vgg`` or ``resnet``.
        variant: ``su2020`` or ``mlrc2020``.
        classifier_density: fraction of the classifier that stays; 1.0 leaves it whole, None
            treats it like every other layer.

    Raises:
        JackpotError: unknown family or variant, or more layers than mlrc2020's form covers.
    """
    if variant not in ("su2020", "mlrc2020"):
        raise JackpotError(f"unknown variant {variant!r} of smart; known: su2020, mlrc2020")
    n = len(layer_sizes)
    top = n if variant == "su2020" else MLRC2020_DEPTH.get(family, n)
    descending = [max(top - layer + 1, 0) for layer in range(1, n + 1)]
    ratios = divided_for_vgg([k * k + k for k in descending], family)
    return by_ratio(layer_sizes, density, classifier_density, ratios)
