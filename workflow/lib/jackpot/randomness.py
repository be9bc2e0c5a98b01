"""Random generators keyed by what they are for.

Every draw in the project comes from ``generator(seed, purpose, ...)``, so a stage gives the same
result whatever ran before it, and two tickets of one seed see the same data order.
"""

import hashlib

import torch


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator that depends on ``seed`` and ``purpose`` alone.

    Draws are made on the CPU and moved, so they are the same on every device.
    """
    key = "/".join(str(part) for part in (seed, *purpose))
    digest = hashlib.sha256(key.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
