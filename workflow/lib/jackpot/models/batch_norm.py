"""Batch normalisation, a shortcut's addition and ReLU, as one layer.

Ioffe & Szegedy 2015, "Batch Normalization". For training in bfloat16 on a CPU there is a compiled
form (batch_norm.c), built when the project is installed where a C compiler is at hand. Everywhere
else, and for float32, it is PyTorch's three operations. docs/performance.md has the figures.
"""

import ctypes
import re
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LANES, MOST_CHUNKS = 16, 64  # as in batch_norm.c


class BatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` that adds a shortcut and applies ReLU on the way out.

    Args:
        relu: whether the output goes through ReLU.
    """

    def __init__(self, channels: int, relu: bool = False):
        super().__init__(channels)
        self.relu = relu

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor | None = None) -> torch.Tensor:
        """(N, C, H, W), and the same of ``shortcut``, -> (N, C, H, W)."""
        if self._can_be_compiled(x, shortcut):
            self.num_batches_tracked += 1
            return _Compiled.apply(x, shortcut, self.weight, self.bias, self)
        y = super().forward(x)
        if shortcut is not None:
            y = y + shortcut
        return F.relu(y, inplace=True) if self.relu else y

    def _can_be_compiled(self, x: torch.Tensor, shortcut: torch.Tensor | None) -> bool:
        return (
            self.training
            and x.device.type == "cpu"
            and x.dim() == 4
            and x.shape[1] % LANES == 0
            and x.numel() > x.shape[1]
            and all(
                t.dtype == torch.bfloat16
                and t.shape == x.shape
                and t.is_contiguous(memory_format=torch.channels_last)
                for t in (x, shortcut)
                if t is not None
            )
            and self.weight.dtype == torch.float32
            and compiled() is not None
        )


# What the way back needs of the way there.
_SAVED = ("x", "y", "weight", "mean", "inverse_std")


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, shortcut, weight, bias, layer):
        y, mean, inverse_std = (torch.empty_like(like) for like in (x, weight, weight))
        saved = (x, y, weight, mean, inverse_std)
        rates = {"momentum": layer.momentum, "eps": layer.eps, "relu": layer.relu}
        running = {"running_mean": layer.running_mean, "running_var": layer.running_var}
        values = dict(zip(_SAVED, saved, strict=True)) | rates | running
        _run("forward", shortcut=shortcut, bias=bias, **values)
        ctx.save_for_backward(*saved)
        ctx.relu, ctx.adds = layer.relu, shortcut is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, _, weight, *_ = ctx.saved_tensors
        made = {"to_x": torch.empty_like(x), "to_shortcut": None}
        if ctx.adds:
            made["to_shortcut"] = torch.empty_like(x)
        made |= {name: torch.empty_like(weight) for name in ("to_weight", "to_bias")}
        values = dict(zip(_SAVED, ctx.saved_tensors, strict=True)) | made
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        _run("backward", gradient=gradient, relu=ctx.relu, **values)
        return *made.values(), None


# In the order of `task` in batch_norm.c.
_TENSORS = (
    *("x", "shortcut", "gradient", "y", "to_x", "to_shortcut", "weight", "bias"),
    *("running_mean", "running_var", "mean", "inverse_std", "to_weight", "to_bias", "scratch"),
)


class _Task(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in _TENSORS),
        ("rows", ctypes.c_ssize_t),
        ("channels", ctypes.c_ssize_t),
        ("momentum", ctypes.c_float),
        ("eps", ctypes.c_float),
        ("relu", ctypes.c_int),
        ("threads", ctypes.c_uint),
        ("parallel", ctypes.c_void_p),
        ("number", ctypes.c_void_p),
    )


def _run(direction: str, **values) -> None:
    library, parallel, number = compiled()
    channels = values["x"].shape[1]
    values["scratch"] = torch.empty(3 * (1 + MOST_CHUNKS), channels)
    task = _Task(
        rows=values["x"].numel() // channels,
        channels=channels,
        threads=torch.get_num_threads() if parallel else 1,
        parallel=parallel,
        number=number,
        **{k: v.data_ptr() if isinstance(v, torch.Tensor) else v for k, v in values.items()},
    )
    getattr(library, f"batch_norm_{direction}")(ctypes.byref(task))


@cache
def compiled() -> tuple[ctypes.CDLL, int | None, int | None] | None:
    """The compiled library and two functions of PyTorch's OpenMP; None if it was not built."""
    path = Path(__file__).with_name("_batch_norm" + EXTENSION_SUFFIXES[0])
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    try:
        openmp = ctypes.CDLL(_openmp_of_pytorch())
        calls = (openmp.GOMP_parallel, openmp.omp_get_thread_num)
    except (OSError, AttributeError):
        return library, None, None
    return library, *(ctypes.cast(call, ctypes.c_void_p).value for call in calls)


def _openmp_of_pytorch() -> str:
    """Path of the OpenMP library that this process has loaded, PyTorch's own if there are several.

    Raises:
        OSError: there is none.
    """
    found = re.findall(r"/\S*/lib[gi]?omp\S*", Path("/proc/self/maps").read_text())
    if not found:
        raise OSError("no OpenMP library is loaded")
    return min(found, key=lambda path: "torch" not in Path(path).parts)
