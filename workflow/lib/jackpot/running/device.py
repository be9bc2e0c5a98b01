"""The device that a job computes on."""

import os

import torch

from jackpot.environment import portable_device
from jackpot.machine import is_restricted
from jackpot.running.lease import lease_device
from jackpot.training.device import prepare_device


def job_device(device: str = "auto", threads: int = 1, precision: str = "float32") -> torch.device:
    """Choose, set up and wait for the device of this process.

    Args:
        device, threads, precision: as of ``prepare_device``.

    Raises:
        JackpotError: there is no such device, or it has no such precision or arithmetic.
    """
    chosen = chosen_device(device, threads, precision)
    if chosen.type == "cpu":
        # PyTorch asks every GPU it sees when it tells cuDNN's version, and fails at some old ones.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    return lease_device(chosen)


def chosen_device(
    device: str = "auto", threads: int = 1, precision: str = "float32"
) -> torch.device:
    """``job_device`` without a lease."""
    if is_restricted():
        device = portable_device(device)
    return prepare_device(device, threads, precision)
