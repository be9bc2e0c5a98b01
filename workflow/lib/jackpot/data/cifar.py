"""CIFAR-10 and CIFAR-100 in the archives of their authors, read without running their pickles."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from jackpot.data import archives
from jackpot.data.files import ImageData, clean_data
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


def read(
    source: Path, folder: str, *, train: list[str], test: list[str], meta: str, names: str
) -> ImageData:
    """Read the pickled batches of an archive, or of its unpacked folder.

    Args:
        source: the archive, the folder in it, or a folder that has that folder.
        folder: the one folder in the archive.
        train, test: the batches in it, in order.
        meta, names: the file that names the classes, and under which key.

    Returns:
        Images uint8 ``(N, 3, 32, 32)``, in the order of the batches.

    Raises:
        JackpotError: a file is missing, is not a CIFAR batch, or asks for code to be run.
    """
    files = _read_files(source, folder, [*train, *test, meta])
    classes = _unpickled(source, meta, files).get(names)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise JackpotError(f"{source}: {meta} names no classes.")
    return clean_data(_split(source, train, files), _split(source, test, files), tuple(classes))


def _read_files(source: Path, folder: str, names: list[str]) -> dict[str, bytes]:
    with archives.unpacked(source) as root:
        within = root if source.is_dir() and not (root / folder).is_dir() else root / folder
        if missing := [f"{folder}/{name}" for name in names if not (within / name).is_file()]:
            raise JackpotError(f"{source}: not the archive expected: {', '.join(missing)} missing.")
        return {name: (within / name).read_bytes() for name in names}


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
