"""Tiny-ImageNet-200: 64x64 RGB images of 200 classes, 500 for training and 50 for testing each."""

from pathlib import Path

from jackpot.data import archives
from jackpot.data.files import ImageData, clean_data
from jackpot.data.images import Images, is_image
from jackpot.data.kinds import Published
from jackpot.errors import JackpotError

_CLASSES = "wnids.txt"
_VALIDATION = "val/val_annotations.txt"


def published() -> Published:
    """The archive of Stanford's course CS231n."""
    return Published(
        ("http://cs231n.stanford.edu/tiny-imagenet-200.zip",),
        "md5:90528d7ca1a48142e341f4ef8d21d0de",
    )


def read(source: Path) -> ImageData:
    """The labelled images: ``val/`` is the test split, since the labels of ``test/`` are secret.

    Classes are the WordNet identifiers of ``wnids.txt``, sorted. Grey images become RGB.

    Args:
        source: the archive; or the folder that it holds, or one with that folder in it.

    Returns:
        Images uint8 ``(N, 3, H, W)``, by class and then by file name.

    Raises:
        JackpotError: a file is missing or broken, or the lists and the images disagree.
    """
    images = Images(source, channels=3)
    validation: dict[str, Path] = {}
    with archives.unpacked(source) as root:
        top = _top(root)
        listed_classes, listed_validation = _lists(source, top)
        for name, file in archives.files(top):
            if name.startswith("train/") and is_image(name):
                images.add("train", name.split("/")[1], name, file)
            elif name.startswith("val/images/") and is_image(name):
                validation[name.rpartition("/")[2]] = file
        _add_validation(source, images, validation, listed_validation)
    classes = _agreed_classes(source, images, listed_classes)
    return clean_data(images.stack("train", classes), images.stack("test", classes), tuple(classes))


def _top(root: Path) -> Path:
    """``root`` or the folder in it that has the lists."""
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        if (folder / _CLASSES).is_file() or (folder / _VALIDATION).is_file():
            return folder
    return root


def _lists(source: Path, top: Path) -> list[str]:
    """What ``wnids.txt`` and ``val_annotations.txt`` say."""
    names = (_CLASSES, _VALIDATION)
    if missing := [name for name in names if not (top / name).is_file()]:
        raise JackpotError(f"{source}: not Tiny-ImageNet: {', '.join(missing)} missing.")
    return [(top / name).read_text(encoding="utf-8", errors="replace") for name in names]


def _add_validation(source: Path, images: Images, found: dict[str, Path], listed: str) -> None:
    rows = (line.split("\t") for line in listed.splitlines())
    classes = {row[0]: row[1] for row in rows if len(row) > 1}
    if differing := sorted(set(classes) ^ set(found)):
        raise JackpotError(
            f"{source}: {_VALIDATION} and val/images/ disagree about {', '.join(differing[:10])}."
        )
    for name, file in found.items():
        images.add("test", classes[name], f"val/images/{name}", file)


def _agreed_classes(source: Path, images: Images, listed: str) -> list[str]:
    classes = sorted(set(listed.split()))
    for split in ("train", "test"):
        if differing := sorted(set(classes) ^ set(images.classes(split))):
            raise JackpotError(
                f"{source}: {_CLASSES} and the {split} images disagree about the classes "
                f"{', '.join(differing[:10])}."
            )
    return classes
