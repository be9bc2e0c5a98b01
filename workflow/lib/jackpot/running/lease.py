"""GPUs shared fairly on one machine: every job leases a device through a lock file.

Snakemake counts GPUs and never says which one a job has. Here each device has as many lock files
as jobs may use it at once, and a job holds one of them until its process ends. The locks are the
kernel's, so those of a crashed or killed job are free at once.
"""

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.running.private_folder import make_private, private_folder

if TYPE_CHECKING:
    import torch

# Held until the process ends: a lock that is garbage-collected is released.
_HELD: list[FileLock] = []


def lease_device(device: "torch.device") -> "torch.device":
    """Wait for a place on a GPU and make it this process's device; a CPU needs no place.

    Args:
        device: as ``prepare_device`` chose it.
    """
    if device.type == "cpu":
        return device

    import torch

    names = device_names()
    name = take(names, Environment.read().jobs_per_device, lease_folder())
    chosen = torch.device(device.type, names.index(name))
    torch.cuda.set_device(chosen)
    return chosen


def device_names() -> list[str]:
    """What the visible GPUs are called on this machine.

    An existing CUDA_VISIBLE_DEVICES is honoured: only its devices are leased, by its names.
    """
    import torch

    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    count = torch.cuda.device_count()
    return visible[:count] if visible[0] else [str(i) for i in range(count)]


def lease_folder() -> Path:
    """Where lock files are: local to the machine, one folder for each user.

    A Slurm job has its GPUs for itself and may see them under the same names as its neighbour,
    so its leases are its own.

    Raises:
        JackpotError: someone else has made the folder or can use it.
    """
    job = os.environ.get("SLURM_JOB_ID")
    return make_private(private_folder() / (f"leases-slurm{job}" if job else "leases"))


def take(names: Sequence[str], places: int, folder: str | Path) -> str:
    """Wait for a free place on one of the devices and hold it until this process ends.

    Returns:
        The device's name. Devices fill evenly: no second job anywhere while one stands empty.
    """
    if places < 1:
        raise JackpotError(f"jobs_per_device: {places} is less than 1")
    while True:
        for place in range(places):
            for name in random.sample(names, len(names)):
                lock = FileLock(Path(folder) / f"{name.replace('/', '_')}.{place}.lock")
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                _HELD.append(lock)
                return name
        # Waiting jobs must not all ask at the same moments.
        time.sleep(random.uniform(0.02, 0.1))
