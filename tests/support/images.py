"""Images in folders and archives, for tests of datasets."""

import hashlib
import io
import os
import tarfile
import zipfile

import numpy as np
import torch
from PIL import Image

RNG = np.random.default_rng(3)
# An archive of CIFAR-10 as JPEG files, which few machines have.
REAL = os.environ.get("JACKPOT_CIFAR10_JPEG")


def encoded(pixels, suffix="png"):
    buffer = io.BytesIO()
    shown = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(shown).save(buffer, {"jpg": "jpeg"}.get(suffix, suffix))
    return buffer.getvalue()


def pixels(side=6, channels=3):
    return RNG.integers(0, 256, (side, side, channels), dtype=np.uint8)


def folder_files(top="", test="test", classes=("cat", "dog"), **shape):
    """File contents in an order that is not the sorted one, and the arrays by (split, class)."""
    files, arrays = {}, {}
    for split in (test, "train"):
        for name in reversed(classes):
            stack = [pixels(**shape) for _ in range(3 if split == "train" else 2)]
            arrays[split, name] = stack
            for i in reversed(range(len(stack))):
                files[f"{top}{split}/{name}/{i}.png"] = encoded(stack[i])
    return files, arrays


def written(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zip_of(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tar_of(path, files):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w:xz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(one, other):
    """Whether two ``ImageData`` are the same to the bit."""
    return all(
        torch.equal(a, b) if torch.is_tensor(a) else a == b
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )
