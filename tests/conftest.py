"""What tests share."""

import os

import pytest
import torch

torch.set_num_threads(1)


def need(condition: bool, reason: str) -> None:
    """Skip where a real component is missing; in CI it must be there."""
    if not condition:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; CI must have it")
        pytest.skip(reason)
