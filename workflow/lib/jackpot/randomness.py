"""Random generators keyed by what they are for.

Every draw in the project comes from ``generator(seed, purpose, ...)``, so a stage gives the same
result whatever ran before it, and two tickets of one seed see the same data order.
"""

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np
import torch


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator that depends on ``seed`` and ``purpose`` alone.

    Draws are made on the CPU and moved, so they are the same on every device.
    """
    key = "/".join(str(part) for part in (seed, *purpose))
    digest = hashlib.sha256(key.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators of PyTorch, NumPy and Python with this seed; afterwards as they were.

    For what draws without being handed a generator: a module's own initialisation, dropout, a
    user's code. Of a GPU's generator nothing is kept.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
