"""What a user's own function returns, as a dataset, or what is wrong with it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from jackpot.data.files import ImageData, clean_data
from jackpot.errors import JackpotError

_FORM = "(train_images, train_labels), (test_images, test_labels)[, classes]"


def image_data(name: str, returned: Any) -> ImageData:
    """The dataset in a function's arrays.

    Args:
        name: the function, for messages.
        returned: ``((train_images, train_labels), (test_images, test_labels))`` or those and the
            names of the classes. Images are uint8, (N, C, H, W) with 1 or 3 channels or
            (N, H, W) for grey ones; labels are whole numbers from 0, one an image. NumPy arrays,
            tensors and nested lists will do. Classes are called by their numbers if they have no
            names.

    Raises:
        JackpotError: saying which array is wrong, what it is and what it should be.
    """
    parts = list(returned) if isinstance(returned, Sequence) else []
    if len(parts) not in (2, 3) or any(
        not isinstance(part, Sequence) or len(part) != 2 for part in parts[:2]
    ):
        told = "None" if returned is None else f"a {type(returned).__name__}"
        told += f" of {len(parts)}" if parts else ""
        raise JackpotError(f"dataset {name} must return {_FORM}, and returned {told}")
    splits = []
    for split, (images, labels) in zip(("train", "test"), parts[:2], strict=True):
        images = _images(f"dataset {name}: {split}_images", images)
        splits.append((images, _labels(f"dataset {name}: {split}_labels", labels, len(images))))
    (train, train_labels), (test, test_labels) = splits
    if train.shape[1:] != test.shape[1:]:
        raise JackpotError(
            f"dataset {name}: train images have shape {train.shape[1:]} and test images "
            f"{test.shape[1:]}; they must have one"
        )
    count = 1 + int(max(train_labels.max(), test_labels.max()))
    classes = [str(c) for c in parts[2]] if len(parts) == 3 else [str(i) for i in range(count)]
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise JackpotError(
            f"dataset {name}: two or more classes of different names are needed, and it has "
            f"{classes[:10]}"
        )
    if count > len(classes):
        raise JackpotError(
            f"dataset {name}: labels run to {count - 1}, and there are {len(classes)} classes"
        )
    for split, labels in (("train", train_labels), ("test", test_labels)):
        if lacking := sorted(set(range(len(classes))) - set(labels.tolist())):
            shown = ", ".join(classes[label] for label in lacking[:10])
            raise JackpotError(f"dataset {name}: no {split} image is of class {shown}")
    return clean_data((train, train_labels), (test, test_labels), tuple(classes))


def _images(what: str, values: Any) -> np.ndarray:
    array = _array(what, values)
    told = f"{array.dtype} {array.shape}"
    if array.dtype != np.uint8:
        raise JackpotError(
            f"{what} must be uint8, 0 to 255, and are {told}. Values from 0 to 1 are "
            "(255 * images).round().astype('uint8')."
        )
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or not array.size:
        raise JackpotError(f"{what} must be (N, C, H, W), or (N, H, W) if grey, and are {told}")
    if array.shape[1] not in (1, 3):
        hint = ""
        if array.shape[3] in (1, 3):
            hint = " They look like (N, H, W, C): return images.transpose(0, 3, 1, 2)."
        raise JackpotError(f"{what} must have 1 or 3 channels, (N, C, H, W), and are {told}.{hint}")
    return array


def _labels(what: str, values: Any, count: int) -> np.ndarray:
    array = _array(what, values)
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise JackpotError(
            f"{what} must be whole numbers, one for each of {count} images, and are "
            f"{array.dtype} {array.shape}"
        )
    if array.min() < 0:
        raise JackpotError(f"{what} must be 0 or more, and one is {array.min()}")
    return array.astype(np.int64)


def _array(what: str, values: Any) -> np.ndarray:
    try:
        plain = values.numpy(force=True) if isinstance(values, torch.Tensor) else values
        # A copy: both splits may be views of one array.
        return np.array(plain)
    except Exception as error:
        raise JackpotError(f"{what} cannot be made an array ({error})") from error
