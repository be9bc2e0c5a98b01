"""Training batches made on the device: shuffle, crop, flip and normalise in a few tensor ops."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from jackpot.data.files import ImageData
from jackpot.randomness import generator
from jackpot.settings import Training


@dataclass
class DeviceImages:
    """A split in device memory, once, as uint8.

    Attributes:
        images: uint8 (N, H, W, C); channels last, so that gathers move whole pixels.
        labels: int64 (N,).
        mean, std: float32 (C,), of the clean training images in [0, 1].
    """

    images: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def normalise(self, images: torch.Tensor, channels_last: bool) -> torch.Tensor:
        """uint8 (B, H, W, C) -> float32 (B, C, H, W), zero mean and unit variance per channel."""
        scaled = torch.addcmul(-self.mean / self.std, images, 1 / (255 * self.std))
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return scaled.permute(0, 3, 1, 2).contiguous(memory_format=layout)


def to_device(data: ImageData, split: str, device: torch.device) -> DeviceImages:
    """Move the ``train`` or ``test`` split to the device."""
    images, labels = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
    return DeviceImages(
        images.permute(0, 2, 3, 1).contiguous().to(device),
        labels.to(device),
        data.mean.to(device),
        data.std.to(device),
    )


def training_batches(
    data: DeviceImages, settings: Training, seed: int, epoch: int, first_step: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of one epoch; order and augmentation depend on ``(seed, epoch)`` alone.

    Args:
        first_step: steps to leave out, when an interrupted epoch goes on.

    Yields:
        float32 (B, C, H, W) and int64 (B,); the last batch may be smaller.
    """
    draws, device = generator(seed, "epoch", epoch), data.labels.device
    count, (height, width) = len(data), data.images.shape[1:3]
    order = torch.randperm(count, generator=draws).to(device)
    shifts = torch.randint(0, 2 * settings.crop_padding + 1, (2, count), generator=draws).to(device)
    flips = (torch.rand(count, generator=draws) < 0.5).to(device)
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    padding = settings.crop_padding
    for start in range(first_step * settings.batch_size, count, settings.batch_size):
        chosen = order[start : start + settings.batch_size]
        images = data.images[chosen]
        here = slice(start, start + len(chosen))
        row, column = rows.expand(len(chosen), -1), columns.expand(len(chosen), -1)
        if settings.flip:
            column = torch.where(flips[here, None], width - 1 - column, column)
        if padding:
            # Black borders before normalisation, as torchvision's RandomCrop gives the papers.
            images = F.pad(images, (0, 0, padding, padding, padding, padding))
            row, column = row + shifts[0, here, None], column + shifts[1, here, None]
        if padding or settings.flip:
            item = torch.arange(len(chosen), device=device)[:, None, None]
            images = images[item, row[:, :, None], column[:, None, :]]
        yield data.normalise(images, settings.channels_last), data.labels[chosen]
