"""Weights and masks on disk: safetensors, that is a JSON header and raw bytes, no pickle.

Every file carries the SHA-256 of its tensors and metadata, so a flipped byte is noticed at the
first read; the same contents are the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from jackpot.files.atomic import NO_JSON, damaged, missing, seal_of, write_atomically

Tensors = dict[str, torch.Tensor]
Mask = dict[str, torch.Tensor]


def sha256_of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in sorted order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        # .numpy() has no bfloat16; the raw bytes are the same whatever the dtype is called.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_tensors(
    path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any] | None = None
) -> str:
    """Save named tensors and JSON metadata atomically; return the tensors' SHA-256."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    digest = sha256_of_tensors(plain)
    about = json.loads(json.dumps(metadata or {}, allow_nan=False))
    # One key only: safetensors writes several in an order that differs from call to call.
    header = {"metadata": json.dumps({**about, "sha256": seal_of([digest, about])})}
    # Not save_file: it writes to a temporary file of its own naming, which a kill would leave.
    content = save(plain, metadata=header)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return digest


def load_tensors(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Load ``(tensors, metadata)``, checking the digest that was stored when they were saved.

    Raises:
        JackpotError: the file is missing, cut short, altered, or not one of ours.
    """
    if not Path(path).exists():
        raise missing(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = json.loads(header["metadata"])
        seal = metadata.pop("sha256")
        found = seal_of([sha256_of_tensors(tensors), metadata])
    except (SafetensorError, OSError, KeyError, *NO_JSON, AttributeError, TypeError) as error:
        raise damaged(path, str(error)) from error
    if found != seal:
        raise damaged(path, "its contents do not match the SHA-256 in its header")
    return tensors, metadata


def save_mask(path: str | Path, mask: Mask, metadata: Mapping[str, Any] | None = None) -> str:
    """Save a mask bit-packed, eight weights a byte, with shapes and order in the header."""
    import numpy as np

    packed = {
        name: torch.from_numpy(np.packbits(keep.cpu().numpy().reshape(-1)))
        for name, keep in mask.items()
    }
    shapes = {name: list(keep.shape) for name, keep in mask.items()}
    return save_tensors(path, packed, {**(metadata or {}), "shapes": shapes})


def load_mask(path: str | Path) -> tuple[Mask, dict[str, Any]]:
    """Load ``(mask, metadata)``: name -> bool tensor (True = kept), in the saved order."""
    import numpy as np

    packed, metadata = load_tensors(path)
    shapes = metadata.pop("shapes", None)
    if not isinstance(shapes, dict) or set(shapes) != set(packed):
        raise damaged(path, "it is not a mask")
    mask = {}
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        if packed[name].numel() != (count + 7) // 8:
            raise damaged(path, f"{name} does not have {count} bits")
        bits = np.unpackbits(packed[name].numpy(), count=count)
        mask[name] = torch.from_numpy(bits.astype(bool)).reshape(shape)
    return mask, metadata
