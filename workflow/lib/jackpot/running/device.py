"""The device that a job computes on."""

import re

import torch

from jackpot.environment import portable_device
from jackpot.errors import JackpotError
from jackpot.machine import is_restricted
from jackpot.running.lease import lease_device
from jackpot.training.device import prepare_device


def job_device(device: str = "auto", threads: int = 1, precision: str = "float32") -> torch.device:
    """Choose, set up and wait for the device of this process.

    Args:
        device, threads, precision: as of ``prepare_device``.

    Raises:
        JackpotError: there is no such device, it has no such precision or arithmetic, or this
            PyTorch has no code for it.
    """
    return lease_device(chosen_device(device, threads, precision))


def chosen_device(
    device: str = "auto", threads: int = 1, precision: str = "float32"
) -> torch.device:
    """``job_device`` without a lease."""
    if is_restricted():
        device = portable_device(device)
    chosen = prepare_device(device, threads, precision)
    if chosen.type == "cuda":
        _require_code()
        # float32 is what it says. By default PyTorch cuts the factors of a convolution to ten bits
        # (TF32) on the GPUs that can.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return chosen


def _require_code() -> None:
    """Refuse GPUs that are older than what this build of PyTorch was compiled for."""
    built = [
        int(number) for arch in torch.cuda.get_arch_list() for number in re.findall(r"\d+", arch)
    ]
    oldest = min(built, default=0)
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        if 10 * major + minor < oldest:
            raise JackpotError(
                f"{torch.cuda.get_device_name(index)} has compute capability {major}.{minor}, and "
                f"torch {torch.__version__} is built for {oldest / 10} and newer. Hide it "
                "(CUDA_VISIBLE_DEVICES), set device: cpu in config.yaml, or install an older build."
            )
