"""CIFAR-10 (Krizhevsky 2009), from its authors' Python archive."""

from pathlib import Path

from jackpot.data import cifar
from jackpot.data.files import ImageData
from jackpot.data.kinds import Published


def published() -> Published:
    """The authors' archive."""
    return Published(
        ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
        "md5:c58f30108f718f92721af3b95e74349a",
    )


def read(source: Path) -> ImageData:
    """50,000 training and 10,000 test images, 3x32x32, of 10 classes."""
    return cifar.read(
        source,
        "cifar-10-batches-py",
        train=[f"data_batch_{i}" for i in range(1, 6)],
        test=["test_batch"],
        meta="batches.meta",
        names="label_names",
    )
