"""Image files in folders, labels by sorted class name: a directory, a tar or a zip."""

from pathlib import Path
from typing import NamedTuple

from jackpot.data import archives
from jackpot.data.files import ImageData, clean_data
from jackpot.data.images import Images, is_image
from jackpot.errors import JackpotError

_TEST = ("test", "val")
_LAYOUT = "train/<class>/<image> and test/<class>/<image> (or val/), if need be in one top folder"


class _Place(NamedTuple):
    top: str
    split: str
    class_name: str


def read(source: Path, *, size: int | None = None, channels: int | None = None) -> ImageData:
    """Read ``train/<class>/*`` and ``test/<class>/*``, or ``val/`` where there is no ``test/``.

    Where there are both, ``val/`` is left aside, and so are files that are not named like images.

    Args:
        source: a directory or an archive.
        size: side in pixels to which images are resized; None: all must have one size.
        channels: 1 (grey) or 3 (RGB); None: 1 if every image is stored as grey, else 3.

    Returns:
        Images uint8 ``(N, channels, H, W)``, by class and then by file name.

    Raises:
        JackpotError: naming the file that is no image or of another size, the classes that only
            one split has, or what the layout lacks.
    """
    images = Images(source, size, channels)
    with archives.unpacked(source) as root:
        found = [
            (place, name, file) for name, file in archives.files(root) if (place := _place(name))
        ]
        test = _test_split(source, [place for place, _, _ in found])
        for place, name, file in found:
            if place.split in ("train", test):
                images.add(place.split, place.class_name, name, file)
    classes = _agreed_classes(source, images.classes("train"), images.classes(test))
    return clean_data(images.stack("train", classes), images.stack(test, classes), tuple(classes))


def _place(name: str) -> _Place | None:
    """Where an image belongs, or None for a file that is not one of the dataset's images."""
    parts = name.split("/")
    if "__MACOSX" in parts or not is_image(name):
        return None
    for depth in (0, 1):
        if len(parts) >= depth + 3 and parts[depth] in ("train", *_TEST):
            return _Place("/".join(parts[:depth]), parts[depth], parts[depth + 1])
    return None


def _test_split(source: Path, places: list[_Place]) -> str:
    """Which split is the test split, of a layout that can be meant."""
    tops = {place.top for place in places}
    if len(tops) > 1:
        raise JackpotError(f"{source}: more than one top folder: {', '.join(sorted(tops))}.")
    splits = {place.split for place in places}
    test = next((split for split in _TEST if split in splits), None)
    if test is None or "train" not in splits:
        lacking, expected = ("test", "test") if "train" in splits else ("training", "train")
        raise JackpotError(
            f"{source}: no {lacking} images found: expected {expected}/<class>/*. "
            f"The layout is {_LAYOUT}."
        )
    return test


def _agreed_classes(source: Path, train: list[str], test: list[str]) -> list[str]:
    only = {
        "only in training": sorted(set(train) - set(test)),
        "only in test": sorted(set(test) - set(train)),
    }
    if any(only.values()):
        lists = "; ".join(f"{where}: {', '.join(names)}" for where, names in only.items() if names)
        raise JackpotError(f"{source}: the splits have different classes: {lists}.")
    if len(train) < 2:
        raise JackpotError(f"{source}: one class only ({train[0]}); two or more are needed.")
    return train
