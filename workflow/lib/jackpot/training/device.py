"""Choosing the device and making it give the same bits every time."""

import ctypes
import os
import platform
import re

import torch

from jackpot import __version__
from jackpot.errors import JackpotError
from jackpot.machine import (
    is_restricted,
    processor_name,
    refuse_bfloat16,
    require_bfloat16,
    restrictions,
)


def prepare_device(
    device: str = "auto", threads: int = 1, precision: str = "float32"
) -> torch.device:
    """Choose a device and fix every setting that bits depend on.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.
        threads: CPU threads; sums are split by thread, so they are part of what makes bits equal.
        precision: of the training to come; bfloat16 is refused where it would be emulated.

    Raises:
        JackpotError: there is no such device, it has no such precision, or this PyTorch has no
            code for it.
    """
    # Read when CUDA starts; without it cuBLAS may choose another algorithm from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # As use_deterministic_algorithms(True), without importing the compiler, which costs 1.3 s.
    torch.set_deterministic_debug_mode("error")
    # Filling fresh memory with NaN finds bugs, and costs a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    # float32 is what it says. By default PyTorch cuts the factors of a convolution to ten bits
    # (TF32) on the GPUs that can.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    _keep_freed_memory()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise JackpotError("device cuda: no GPU is visible here. Set device: cpu in config.yaml.")
    if device == "cuda":
        _require_code()
    if precision == "bfloat16":
        if device == "cpu":
            require_bfloat16(device)
        elif not torch.cuda.is_bf16_supported(including_emulation=False):
            refuse_bfloat16(torch.cuda.get_device_name())
    return torch.device(device)


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


def _keep_freed_memory() -> None:
    """Have the C library keep what is freed, for the next step's activations.

    By default glibc gives large blocks back to the kernel, which then clears every page of them
    again, in every step. Other C libraries have no such call, and are left as they are.
    """
    trim_threshold, mmap_threshold = -1, -3  # <malloc.h>
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(mmap_threshold, 2**30)
        mallopt(trim_threshold, 2**31 - 1)


def device_name(device: torch.device) -> str:
    """What results record: the GPU's name, or the processor's and its thread count."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    count = torch.get_num_threads()
    return f"{processor_name()}, {count} thread{'s' if count > 1 else ''}"


def arithmetic() -> str:
    """What results record: ``portable`` where it is in force, else the instructions in use.

    Other processors than x86-64 with AVX2 have no portable arithmetic; there a study that asks
    for it is trained all the same, and this says so.
    """
    in_use = torch.backends.cpu.get_cpu_capability()
    if is_restricted() and in_use == "AVX2":
        return "portable"
    return f"native ({in_use}{restrictions() and f' {restrictions()}'})"


def versions() -> dict[str, str]:
    """Versions of what bits depend on."""
    return {
        "jackpot": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        # Not asked where it is no use: a foreign cuDNN in the library path would be an error.
        "cudnn": str(torch.backends.cudnn.version()) if torch.cuda.is_available() else "none",
        # Not the kernel, which computes nothing: a training goes on after it was updated.
        "platform": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]),
        "arithmetic": arithmetic(),
    }
