"""scikit-learn's bundled handwritten digits: 1,797 grey 8x8 images, no network needed."""

from pathlib import Path

import numpy as np
import torch

from jackpot.data.files import ImageData, clean_data
from jackpot.errors import JackpotError
from jackpot.randomness import generator

BUNDLED = True


def read(source: Path | None = None, *, test_fraction: float = 0.5) -> ImageData:
    """The digits, split at random but always alike, the same fraction of every class for testing.

    Values 0 to 16 become 0 to 255. Images keep their order within a split.

    Raises:
        JackpotError: ``test_fraction`` leaves a split without some class.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    in_test = _in_test(torch.from_numpy(labels), test_fraction)
    train, test = ((images[part], labels[part]) for part in (~in_test, in_test))
    return clean_data(train, test, tuple(str(name) for name in digits.target_names))


def _in_test(labels: torch.Tensor, fraction: float) -> np.ndarray:
    draws = generator(0, "digits split")
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = torch.nonzero(labels == label).flatten()
        count = int(fraction * len(members) + 0.5)
        if not 0 < count < len(members):
            raise JackpotError(
                f"digits: test_fraction {fraction} leaves a split without some digit; "
                "give a value between 0 and 1, such as 0.5."
            )
        chosen[members[torch.randperm(len(members), generator=draws)[:count]]] = True
    return chosen.numpy()
