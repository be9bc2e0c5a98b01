"""CIFAR-10 and CIFAR-100 in the archives of their authors, read without running their pickles."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from jackpot.data import archives
from jackpot.data.files import ImageData, clean_data
from jackpot.data.kinds import Published
from jackpot.data.torchvision_compat import import_torchvision
from jackpot.errors import JackpotError

# NumPy has moved this function between modules; asking an array for it finds it in any version.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _BatchUnpickler(pickle.Unpickler):
    """Builds arrays, lists, numbers and text; a pickle that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which no CIFAR file needs: do not trust this archive"
            ) from None


def published(dataset: str) -> Published:
    """Where torchvision's class ``CIFAR10`` or ``CIFAR100`` says the archive is, and its MD5."""
    described = _description(dataset)
    return Published((described.url,), f"md5:{described.tgz_md5}")


def read(source: Path, dataset: str) -> ImageData:
    """Read the archive of ``dataset``, ``CIFAR10`` or ``CIFAR100`` (fine labels).

    Raises:
        JackpotError: a file is missing, is not a CIFAR batch, or asks for code to be run.
    """
    described = _description(dataset)
    names = {
        "train": [name for name, _ in described.train_list],
        "test": [name for name, _ in described.test_list],
        "meta": [described.meta["filename"]],
    }
    files = _read_files(
        source, described.base_folder, [*names["train"], *names["test"], *names["meta"]]
    )
    meta = _unpickled(source, described.meta["filename"], files)
    classes = meta.get(described.meta["key"])
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise JackpotError(f"{source}: {described.meta['filename']} names no classes.")
    train, test = (_split(source, names[part], files) for part in ("train", "test"))
    return clean_data(train, test, tuple(classes))


def _description(dataset: str) -> Any:
    import_torchvision()
    from torchvision import datasets

    return getattr(datasets, dataset)


def _read_files(source: Path, folder: str, names: list[str]) -> dict[str, bytes]:
    wanted = {f"{folder}/{name}": name for name in names}
    files = {
        wanted[member.name]: member.read()
        for member in archives.members(source)
        if member.name in wanted
    }
    if missing := [path for path, name in wanted.items() if name not in files]:
        raise JackpotError(f"{source}: not the archive expected: {', '.join(missing)} missing.")
    return files


def _unpickled(source: Path, name: str, files: dict[str, bytes]) -> dict[str, Any]:
    # Python 2 wrote them: latin1 gives text keys and keeps the arrays' bytes. A broken pickle
    # raises nearly anything.
    try:
        value = _BatchUnpickler(io.BytesIO(files[name]), encoding="latin1").load()
    except Exception as error:
        raise JackpotError(f"{source}: {name} refused: {error}.") from error
    if not isinstance(value, dict):
        raise JackpotError(f"{source}: {name} is not a CIFAR file: it holds no dictionary.")
    return value


def _split(source: Path, names: list[str], files: dict[str, bytes]) -> tuple[np.ndarray, ...]:
    """uint8 ``(N, 3, 32, 32)`` and int64 ``(N,)`` of several batches, in order."""
    parts = [_batch(source, name, _unpickled(source, name, files)) for name in names]
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _batch(source: Path, name: str, batch: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    pixels = batch.get("data")
    labels = batch.get("labels", batch.get("fine_labels"))
    good_pixels = (
        isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[1:] == (3072,)
    )
    if not good_pixels or not _are_labels(labels, len(pixels)):
        raise JackpotError(
            f"{source}: {name} is not a CIFAR batch: it needs uint8 data of 3072 columns and "
            "as many labels as rows."
        )
    return pixels.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


def _are_labels(labels: Any, count: int) -> bool:
    return (
        isinstance(labels, list)
        and len(labels) == count
        and all(isinstance(label, int) for label in labels)
    )
