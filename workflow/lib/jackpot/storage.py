"""Files that are whole or absent, and that cannot run code when they are read.

Weights and masks are safetensors: a JSON header and raw bytes, no pickle. Every file carries the
SHA-256 of its tensors and metadata, so a flipped byte is noticed at the first read; the same
contents are the same bytes.
"""

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from jackpot.errors import JackpotError

Tensors = dict[str, torch.Tensor]
Mask = dict[str, torch.Tensor]


def write_atomically(path: str | Path, write: Callable[[Path], None]) -> None:
    """Call ``write(temporary_path)``, flush it to disk, and move it to ``path`` in one step."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise JackpotError(
            f"{path}: could not be written ({_reason(error)}). "
            "Free space or mend the permissions, then start again; nothing finished is lost."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove what writers of ``path`` left behind when they were killed."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        # A writer on another machine cannot be seen; Snakemake lets one job at a time write a file.
        if not is_running(part.name.split(".")[-2]):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def is_running(process: str) -> bool:
    """Whether a process of this number lives on this machine."""
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN and infinities, which JSON lacks, are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON, or say which file is missing or damaged and how to make it again."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JackpotError(f"{path}: no such file. Ask Snakemake for it by this path.") from None
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error


def write_sealed(path: str | Path, value: dict[str, Any]) -> None:
    """Write a JSON object with the SHA-256 of what it says as its last key, ``sha256``."""
    write_json(path, {**value, "sha256": _seal(value)})


def read_sealed(path: str | Path) -> dict[str, Any]:
    """Read what ``write_sealed`` wrote, or say that it was altered."""
    value = read_json(path)
    seal = value.pop("sha256", None) if isinstance(value, dict) else None
    if seal is None or seal != _seal(value):
        raise damaged(path, "it was altered: its contents do not match its SHA-256")
    return value


def _seal(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def damaged(path: str | Path, why: str) -> JackpotError:
    """The one message for every file that exists but cannot be used."""
    return JackpotError(
        f"{path}: damaged or not what it should be ({why}). "
        "Delete this file, ask Snakemake for it by this path, and start Snakemake again: then "
        "only this file is made anew."
    )


def sha256_of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in sorted order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        # .numpy() has no bfloat16; the raw bytes are the same whatever the dtype is called.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def sha256_of_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise JackpotError(f"{path}: no such file. Ask Snakemake for it by this path.") from None
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from error


def save_tensors(
    path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any] | None = None
) -> str:
    """Save named tensors and JSON metadata atomically; return the tensors' SHA-256."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    digest = sha256_of_tensors(plain)
    about = json.loads(json.dumps(metadata or {}, allow_nan=False))
    # One key only: safetensors writes several in an order that differs from call to call.
    header = {"metadata": json.dumps({**about, "sha256": _seal([digest, about])})}
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
        raise JackpotError(f"{path}: no such file. Ask Snakemake for it by this path.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = json.loads(header["metadata"])
        seal = metadata.pop("sha256")
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise damaged(path, str(error)) from error
    if _seal([sha256_of_tensors(tensors), metadata]) != seal:
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
