"""CIFAR-10 (Krizhevsky 2009), from its authors' Python archive."""

from pathlib import Path

from jackpot.data import cifar
from jackpot.data.files import ImageData
from jackpot.data.kinds import Published


def published() -> Published:
    """The authors' archive."""
    return cifar.CIFAR10.published


def read(source: Path) -> ImageData:
    """50,000 training and 10,000 test images, 3x32x32, of 10 classes."""
    return cifar.read(source, cifar.CIFAR10)
