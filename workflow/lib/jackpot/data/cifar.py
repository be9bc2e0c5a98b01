"""CIFAR-10 and CIFAR-100 in the archives of their authors, read without running their pickles."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jackpot.data import archives
from jackpot.data.files import ImageData, clean_data
from jackpot.data.kinds import Published
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


@dataclass(frozen=True)
class Layout:
    """Where one of the two datasets is published, and how its archive is laid out.

    Attributes:
        url, md5: of the archive, as its authors publish it.
        folder: the one folder in it.
        train, test: names of the pickled batches, in order.
        meta: name of the file that names the classes, under the key ``classes``.
    """

    url: str
    md5: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    classes: str

    @property
    def published(self) -> Published:
        """Where the archive is to be had."""
        return Published((self.url,), f"md5:{self.md5}")


CIFAR10 = Layout(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test=("test_batch",),
    meta="batches.meta",
    classes="label_names",
)
CIFAR100 = Layout(
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    folder="cifar-100-python",
    train=("train",),
    test=("test",),
    meta="meta",
    classes="fine_label_names",
)


def read(source: Path, layout: Layout) -> ImageData:
    """Read the archive (or its unpacked folder) of CIFAR-10, or of CIFAR-100 with fine labels.

    Returns:
        Images uint8 ``(N, 3, 32, 32)``, in the order of the batches.

    Raises:
        JackpotError: a file is missing, is not a CIFAR batch, or asks for code to be run.
    """
    files = _read_files(source, layout)
    classes = _unpickled(source, layout.meta, files).get(layout.classes)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise JackpotError(f"{source}: {layout.meta} names no classes.")
    train, test = (_split(source, names, files) for names in (layout.train, layout.test))
    return clean_data(train, test, tuple(classes))


def _read_files(source: Path, layout: Layout) -> dict[str, bytes]:
    names = [*layout.train, *layout.test, layout.meta]
    with archives.unpacked(source) as root:
        folder = root / layout.folder
        if source.is_dir() and not folder.is_dir():
            folder = root  # the folder itself
        if missing := [name for name in names if not (folder / name).is_file()]:
            paths = ", ".join(f"{layout.folder}/{name}" for name in missing)
            raise JackpotError(f"{source}: not the archive expected: {paths} missing.")
        return {name: (folder / name).read_bytes() for name in names}


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


def _split(source: Path, names: tuple[str, ...], files: dict[str, bytes]) -> tuple[np.ndarray, ...]:
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
