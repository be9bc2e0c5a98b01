"""One dataset as plain tensors, and the safetensors file that holds it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jackpot.errors import JackpotError
from jackpot.files.atomic import damaged
from jackpot.files.tensors import load_tensors, save_tensors


@dataclass(frozen=True)
class ImageData:
    """A dataset for image classification.

    Attributes:
        train_images: uint8 ``(N, C, H, W)``.
        train_labels: int64 ``(N,)``, each in ``range(len(classes))``.
        test_images, test_labels: as above; None in a corrupted variant, which has no test split
            of its own.
        mean, std: float32 ``(C,)``, of the *clean* training images scaled to [0, 1]; a corrupted
            variant carries the clean ones, so that every run normalises alike.
        classes: names, by label.
    """

    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor | None
    test_labels: torch.Tensor | None
    mean: torch.Tensor
    std: torch.Tensor
    classes: tuple[str, ...]


def clean_data(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: tuple[str, ...],
) -> ImageData:
    """``ImageData`` from ``(images, labels)`` arrays of clean splits; mean and std are computed."""
    train_images, train_labels, test_images, test_labels = (
        torch.from_numpy(np.ascontiguousarray(array)) for array in (*train, *test)
    )
    mean, std = channel_statistics(train_images)
    return ImageData(train_images, train_labels, test_images, test_labels, mean, std, classes)


def channel_statistics(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Per-channel mean and (population) standard deviation of uint8 images scaled to [0, 1].

    Exact until the last rounding: pixels are counted by value, and the moments follow from the
    counts in integers, so neither chunking nor the number of threads changes a bit.

    Args:
        images: uint8 ``(N, C, H, W)``.

    Returns:
        Two float32 tensors ``(C,)``. A constant channel gets a standard deviation of 1, so that
        normalising makes it 0 and not NaN.
    """
    count, channels, height, width = images.shape
    step = max(1, 2**24 // (height * width))
    histograms = torch.zeros(channels, 256, dtype=torch.int64)
    for start in range(0, count, step):
        for channel in range(channels):
            pixels = images[start : start + step, channel].reshape(-1)
            histograms[channel] += torch.bincount(pixels, minlength=256)
    moments = [_moments(histogram) for histogram in histograms.tolist()]
    means, deviations = zip(*moments, strict=True)
    return torch.tensor(means), torch.tensor(deviations)


def _moments(histogram: list[int]) -> tuple[float, float]:
    total = sum(histogram)
    first = sum(value * n for value, n in enumerate(histogram))
    second = sum(value * value * n for value, n in enumerate(histogram))
    variance = (total * second - first * first) / (total * total)
    return first / total / 255, math.sqrt(variance) / 255 or 1.0


def save_data(path: str | Path, data: ImageData, metadata: Mapping[str, Any] | None = None) -> None:
    """Save ``data`` and its metadata (readable by ``load_tensors``), whole or not at all.

    Raises:
        JackpotError: ``data`` is not what ``ImageData`` promises, or the disk refuses.
    """
    if why := _problem(data):
        raise JackpotError(f"{path}: not written, because {why}.")
    tensors = {name: value for name, value in vars(data).items() if torch.is_tensor(value)}
    save_tensors(path, tensors, {**(metadata or {}), "classes": list(data.classes)})


def load_data(path: str | Path) -> ImageData:
    """Load what ``save_data`` wrote.

    Raises:
        JackpotError: the file is missing, damaged, or holds something else.
    """
    tensors, metadata = load_tensors(path)
    try:
        data = ImageData(
            train_images=tensors["train_images"],
            train_labels=tensors["train_labels"],
            test_images=tensors.get("test_images"),
            test_labels=tensors.get("test_labels"),
            mean=tensors["mean"],
            std=tensors["std"],
            classes=tuple(metadata["classes"]),
        )
    except KeyError as error:
        raise damaged(path, f"it is not a dataset: {error} is missing") from error
    if why := _problem(data):
        raise damaged(path, why)
    return data


def _problem(data: ImageData) -> str | None:
    """Why ``data`` cannot be used, or None."""
    classes = len(data.classes)
    if classes < 2 or len(set(data.classes)) != classes:
        return f"a dataset needs two or more distinct classes and this has {list(data.classes)}"
    if why := _split_problem("train", data.train_images, data.train_labels, classes):
        return why
    if (data.test_images is None) != (data.test_labels is None):
        return "it has test images or test labels without the other"
    if data.test_images is not None:
        if why := _split_problem("test", data.test_images, data.test_labels, classes):
            return why
        if data.test_images.shape[1:] != data.train_images.shape[1:]:
            train, test = tuple(data.train_images.shape[1:]), tuple(data.test_images.shape[1:])
            return f"train images have shape {train} and test images {test}"
    return _statistics_problem(data)


def _split_problem(
    split: str, images: torch.Tensor, labels: torch.Tensor, classes: int
) -> str | None:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.numel() == 0:
        shape = tuple(images.shape)
        return f"{split}_images must be uint8 (N, C, H, W), and are {images.dtype} {shape}"
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        return (
            f"{split}_labels must be int64 ({len(images)},), one an image, "
            f"and are {labels.dtype} {tuple(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        return f"{split}_labels run from {low} to {high}, outside 0 to {classes - 1}"
    return None


def _statistics_problem(data: ImageData) -> str | None:
    channels = data.train_images.shape[1]
    for name, value in (("mean", data.mean), ("std", data.std)):
        if value.dtype != torch.float32 or value.shape != (channels,):
            shape = tuple(value.shape)
            return f"{name} must be float32 ({channels},), and is {value.dtype} {shape}"
        if not bool(torch.isfinite(value).all()):
            return f"{name} is not finite: {value.tolist()}"
    if bool((data.std <= 0).any()):
        return f"std must be above 0, and is {data.std.tolist()}"
    return None
