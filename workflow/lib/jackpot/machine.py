"""What this machine is and may use, told without torch.

PyTorch, oneDNN and MKL each choose code by the processor, and another choice rounds otherwise.
Portable arithmetic leaves them one choice, which every x86-64 processor with AVX2 has; it must be
made before torch is loaded. docs/provenance.md says where the same bits were found.
"""

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

from jackpot.errors import JackpotError

PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
}
# oneDNN multiplies bfloat16 with instructions from here on (the values of ONEDNN_MAX_CPU_ISA).
BFLOAT16_LEVELS = ("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX", "AVX10", "DEFAULT")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last is Arm's
FIRST_BFLOAT16_GPU = 8.0


def restrict(arithmetic: str) -> None:
    """Leave the libraries the choice that ``arithmetic`` (of a study) says; before torch is loaded.

    Raises:
        JackpotError: it is too late for that.
    """
    if arithmetic == "native":
        return
    if "torch" in sys.modules and not is_restricted():
        raise JackpotError(
            "arithmetic: portable must be chosen before torch is imported. Set "
            + _words(PORTABLE)
            + " in the environment."
        )
    os.environ.update(PORTABLE)


def restricted(arithmetic: str) -> str:
    """What a shell command that may load torch begins with, for the same purpose."""
    return "" if arithmetic == "native" else _words(PORTABLE)


def is_restricted() -> bool:
    """Whether the environment says what portable arithmetic needs."""
    return all(os.environ.get(name) == value for name, value in PORTABLE.items())


def restrictions() -> str:
    """The variables of this kind that are set, as a shell would write them."""
    # oneDNN listens to its old name too.
    names = (*PORTABLE, "DNNL_MAX_CPU_ISA")
    return _words({name: os.environ[name] for name in names if name in os.environ})


def _words(variables: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in variables.items())


@cache
def _described() -> dict[str, str]:
    """The first processor's lines in /proc/cpuinfo; empty where there is none."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def processor_name() -> str:
    """The processor's name, as its maker gives it."""
    return _described().get("model name") or platform.processor() or platform.machine()


def multiplies_bfloat16() -> bool:
    """Whether products of bfloat16 are instructions here, which oneDNN may use."""
    flags = _described()
    flags = {*flags.get("flags", "").split(), *flags.get("Features", "").split()}
    level = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "DEFAULT"
    return bool(flags & BFLOAT16_FLAGS) and level.upper().startswith(BFLOAT16_LEVELS)


def require_bfloat16(device: str, where: str = "") -> None:
    """Refuse bfloat16 where it would be emulated.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``; a GPU that nvidia-smi does not know is left to the
            job.
        where: what asks for it, for the message.

    Raises:
        JackpotError: the processor or a GPU has no such instructions, or may not use them.
    """
    gpus = _compute_capabilities() if device != "cpu" else []
    if any(capability < FIRST_BFLOAT16_GPU for capability in gpus):
        refuse_bfloat16(
            f"a GPU of compute capability {min(gpus)} ({FIRST_BFLOAT16_GPU} is the first)", where
        )
    if device == "cuda" or gpus or multiplies_bfloat16():
        return
    limit = restrictions()
    name = f"{processor_name()}, avx512_bf16 or amx_bf16 would be{limit and f'; under {limit}'}"
    refuse_bfloat16(f"this processor ({name})", where)


def refuse_bfloat16(device: str, where: str = "") -> NoReturn:
    """Raise what ``require_bfloat16`` raises."""
    raise JackpotError(
        f"{where and f'{where}: '}precision: bfloat16 is no instruction of {device}. Emulated, a "
        "training takes some 17 times as long as in float32. Set precision: float32, or use "
        "another machine. Nothing was trained."
    )


def _compute_capabilities() -> list[float]:
    """Of the GPUs that nvidia-smi lists and CUDA_VISIBLE_DEVICES leaves visible."""
    command = ["nvidia-smi", "--query-gpu=index,uuid,compute_cap", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        gpus = [line.split(", ") for line in found.stdout.splitlines()]
        capabilities = {(index, uuid): float(capability) for index, uuid, capability in gpus}
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(capabilities.values())
    # Numbers, or the beginnings of UUIDs. Parts of a GPU (MIG) have UUIDs of their own, which
    # nvidia-smi does not list here: then all are asked.
    asked = [name for name in visible.replace(" ", "").split(",") if name not in ("", "-1")]
    chosen = [
        capability
        for (index, uuid), capability in capabilities.items()
        if any(name == index or uuid.startswith(name) for name in asked)
    ]
    return chosen if chosen or not asked else list(capabilities.values())
