"""The one place that imports torchvision.

PyTorch's CPU build beside a torchvision whose native operators were built for CUDA fails at
``import torchvision`` with ``operator torchvision::nms does not exist``. Datasets and transforms
need no native operator, so declaring the two missing names is enough (seen with torch 2.13.0 and
torchvision 0.28.0).
"""

import importlib
import sys
from types import ModuleType

import torch

_SYMPTOM = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """``torchvision``, also where its native operators are missing."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", _SCHEMA)
    # The failed import leaves submodules behind that belong to a package that is gone.
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    return importlib.import_module("torchvision")
