"""Image files decoded into one array, whatever order they come in."""

import io
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from jackpot.data.archives import Member
from jackpot.errors import JackpotError

# No others: PIL would hand an EPS file to Ghostscript, which runs what is in it.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
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
        channels: 1 (grey) or 3 (RGB); other images are converted.
    """

    source: Path
    size: int | None = None
    channels: int = 3
    _pixels: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = field(default_factory=dict)
    _first: tuple[str, tuple[int, ...]] | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise JackpotError(f"{self.source}: channels is 1 or 3, not {self.channels!r}.")
        if self.size is not None and (not isinstance(self.size, int) or self.size < 1):
            raise JackpotError(f"{self.source}: size is a side in pixels, not {self.size!r}.")

    def add(self, split: str, class_name: str, member: Member) -> None:
        """Decode one image.

        Raises:
            JackpotError: it is no image, cut short, or of another size than the first.
        """
        pixels = self._decode(member)
        if self._first is None:
            self._first = (member.name, pixels.shape)
        name, shape = self._first
        if pixels.shape != shape:
            raise JackpotError(
                f"{self.source}: {member.name} has {_size(pixels.shape)} pixels and {name} has "
                f"{_size(shape)}. Give the dataset a `size`, the side to which all are resized."
            )
        self._pixels.setdefault((split, class_name), []).append((member.name, pixels))

    def classes(self, split: str) -> list[str]:
        """The split's class names, sorted."""
        return sorted(name for part, name in self._pixels if part == split)

    def stack(self, split: str, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The split's images, by class and then by file name.

        Returns:
            uint8 ``(N, C, H, W)``, and int64 ``(N,)``: positions in ``classes``.
        """
        ordered = []
        labels = []
        for label, class_name in enumerate(classes):
            found = sorted(self._pixels.get((split, class_name), []), key=lambda pair: pair[0])
            self._refuse_repeats([name for name, _ in found])
            ordered += [pixels for _, pixels in found]
            labels += [label] * len(found)
        height, width, channels = ordered[0].shape
        images = np.empty((len(ordered), channels, height, width), dtype=np.uint8)
        for image, pixels in zip(images, ordered, strict=True):
            image[:] = pixels.transpose(2, 0, 1)
        return images, np.array(labels, dtype=np.int64)

    def _refuse_repeats(self, names: list[str]) -> None:
        for name, following in itertools.pairwise(names):
            if name == following:
                raise JackpotError(f"{self.source}: holds {name} twice. Pack it again.")

    def _decode(self, member: Member) -> np.ndarray:
        """uint8 ``(H, W, C)``."""
        contents = member.read()
        # PIL raises many kinds of error on a broken file, from SyntaxError to struct.error.
        try:
            with Image.open(io.BytesIO(contents), formats=_FORMATS) as image:
                deep = image.mode in _DEEP
                pixels = None if deep else self._converted(image)
        except Exception as error:
            raise JackpotError(
                f"{self.source}: {member.name} cannot be decoded as an image ({error}). "
                "Replace or remove this file."
            ) from error
        if pixels is None:
            raise JackpotError(f"{self.source}: {member.name} has more than 8 bits a channel.")
        return pixels

    def _converted(self, image: Image.Image) -> np.ndarray:
        image = image.convert("L" if self.channels == 1 else "RGB")
        if self.size is not None:
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        return pixels.reshape(*pixels.shape[:2], self.channels)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
