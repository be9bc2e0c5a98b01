"""Tiny-ImageNet-200: 64x64 RGB images of 200 classes, 500 for training and 50 for testing each."""

from pathlib import Path

from jackpot.data import archives
from jackpot.data.archives import Member
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

    Raises:
        JackpotError: a file is missing or broken, or the lists and the images disagree.
    """
    images = Images(source)
    lists: dict[str, str] = {}
    validation: list[Member] = []
    for member in archives.members(source):
        _, _, inside = member.name.partition("/")
        if inside in (_CLASSES, _VALIDATION):
            lists[inside] = member.read().decode(errors="replace")
        elif inside.startswith("train/") and is_image(inside):
            images.add("train", inside.split("/")[1], member)
        elif inside.startswith("val/images/") and is_image(inside):
            validation.append(_held(member))
    if missing := [name for name in (_CLASSES, _VALIDATION) if name not in lists]:
        raise JackpotError(f"{source}: not Tiny-ImageNet: {', '.join(missing)} missing.")
    _add_validation(source, images, validation, lists[_VALIDATION])
    classes = _agreed_classes(source, images, lists[_CLASSES])
    return clean_data(images.stack("train", classes), images.stack("test", classes), tuple(classes))


def _held(member: Member) -> Member:
    """``member`` with its bytes: its class is known only once the list has come by."""
    contents = member.read()
    return Member(member.name, member.size, lambda: contents)


def _add_validation(source: Path, images: Images, members: list[Member], listed: str) -> None:
    rows = (line.split("\t") for line in listed.splitlines())
    classes = {row[0]: row[1] for row in rows if len(row) > 1}
    found = {member.name.rpartition("/")[2]: member for member in members}
    if differing := sorted(set(classes) ^ set(found)):
        raise JackpotError(
            f"{source}: {_VALIDATION} and val/images/ disagree about {', '.join(differing[:10])}."
        )
    for file, member in found.items():
        images.add("test", classes[file], member)


def _agreed_classes(source: Path, images: Images, listed: str) -> list[str]:
    classes = sorted(set(listed.split()))
    for split in ("train", "test"):
        if differing := sorted(set(classes) ^ set(images.classes(split))):
            raise JackpotError(
                f"{source}: {_CLASSES} and the {split} images disagree about the classes "
                f"{', '.join(differing[:10])}."
            )
    return classes
