"""CIFAR-100 (Krizhevsky 2009), from its authors' Python archive."""

from pathlib import Path

from jackpot.data import cifar
from jackpot.data.files import ImageData
from jackpot.data.kinds import Published


def published() -> Published:
    """The authors' archive."""
    return Published(
        ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
        "md5:eb9058c3a382ffc7106e4002c42a8d85",
    )


def read(source: Path) -> ImageData:
    """50,000 training and 10,000 test images, 3x32x32, of 100 (fine) classes."""
    return cifar.read(
        source,
        "cifar-100-python",
        train=["train"],
        test=["test"],
        meta="meta",
        names="fine_label_names",
    )
