"""Image files decoded into one array, whatever order they come in."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from jackpot.errors import JackpotError

# No others: PIL would hand an EPS file to Ghostscript, which runs what is in it.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def is_image(name: str) -> bool:
    """Whether the name ends like that of an image in a format we read."""
    return Path(name).suffix.lower() in _SUFFIXES


@dataclass
class Images:
    """Images of every split and class, decoded as they are added.

    Attributes:
        source: the archive or directory, for messages.
        size: side in pixels to which every image is resized (bilinear, aspect ratio not kept);
            None: all must already have one size.
        channels: 1 (grey) or 3 (RGB); other images are converted. None: 1 if every image is
            stored as grey, else 3.
    """

    source: Path
    size: int | None = None
    channels: int | None = None
    _pixels: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = field(default_factory=dict)
    _first: tuple[str, tuple[int, ...]] | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, None):
            raise JackpotError(f"{self.source}: channels is 1 or 3, not {self.channels!r}.")
        if self.size is not None and (not isinstance(self.size, int) or self.size < 1):
            raise JackpotError(f"{self.source}: size is a side in pixels, not {self.size!r}.")

    def add(self, split: str, class_name: str, name: str, file: Path) -> None:
        """Decode one image, called ``name`` in its source.

        Raises:
            JackpotError: it is no image, cut short, or of another size than the first.
        """
        pixels = self._decode(name, file)
        shape = pixels.shape[:2]
        if self._first is None:
            self._first = (name, shape)
        if shape != self._first[1]:
            raise JackpotError(
                f"{self.source}: {name} has {_size(shape)} pixels and {self._first[0]} has "
                f"{_size(self._first[1])}. Give the dataset a `size`, the side to which all are "
                "resized."
            )
        self._pixels.setdefault((split, class_name), []).append((name, pixels))

    def classes(self, split: str) -> list[str]:
        """The split's class names, sorted."""
        return sorted(name for part, name in self._pixels if part == split)

    def stack(self, split: str, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The split's images, by class and then by file name.

        Returns:
            uint8 ``(N, C, H, W)``, and int64 ``(N,)``: positions in ``classes``.
        """
        ordered: list[np.ndarray] = []
        labels: list[int] = []
        for label, class_name in enumerate(classes):
            found = sorted(self._pixels.get((split, class_name), []), key=lambda pair: pair[0])
            ordered += [pixels for _, pixels in found]
            labels += [label] * len(found)
        height, width, _ = ordered[0].shape
        images = np.empty((len(ordered), self._stored_channels(), height, width), dtype=np.uint8)
        for image, pixels in zip(images, ordered, strict=True):
            image[:] = pixels.transpose(2, 0, 1)  # one channel fills all three
        return images, np.array(labels, dtype=np.int64)

    def _stored_channels(self) -> int:
        """1 or 3, the same for every split."""
        return self.channels or max(
            pixels.shape[2] for found in self._pixels.values() for _, pixels in found
        )

    def _decode(self, name: str, file: Path) -> np.ndarray:
        """uint8 ``(H, W, 1 or 3)``."""
        # PIL raises many kinds of error on a broken file, from SyntaxError to struct.error.
        try:
            with Image.open(file, formats=_FORMATS) as image:
                deep = image.mode in _DEEP
                pixels = None if deep else self._converted(image)
        except Exception as error:
            raise JackpotError(
                f"{self.source}: {name} cannot be decoded as an image ({error}). "
                "Replace or remove this file."
            ) from error
        if pixels is None:
            raise JackpotError(f"{self.source}: {name} has more than 8 bits a channel.")
        return pixels

    def _converted(self, image: Image.Image) -> np.ndarray:
        grey = self.channels == 1 or (self.channels is None and image.mode in _GREY)
        image = image.convert("L" if grey else "RGB")
        if self.size is not None:
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        return pixels.reshape(*pixels.shape[:2], 1 if grey else 3)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
