"""Kinds of dataset: one file each, found by name, or a user's ``file.py:function``.

A built-in kind has ``read(source, **options) -> ImageData``, whose keyword-only parameters are the
options that a study may set. It may have ``published() -> Published``, where its archive is to be
had, or ``BUNDLED = True``, when it needs no source. A user's function is called as
``load(path, **options)`` and returns arrays; ``path`` is None where the study gives none. To add a
kind, add a file; nothing else changes.
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from jackpot.errors import JackpotError
from jackpot.registry import Registry, is_own

KINDS = Registry(
    __name__,
    Path(__file__).parent,
    "kind of dataset",
    takes=("path",),
    function="read",
    page="docs/extending/dataset.md",
)


class Published(NamedTuple):
    """Where an archive is published, and its digest (``md5:...`` or ``sha256:...``)."""

    urls: tuple[str, ...]
    digest: str


def load_kind(name: str) -> ModuleType:
    """The module of a built-in kind; JackpotError if there is none."""
    if name not in KINDS:
        raise JackpotError(f"unknown kind of dataset {name!r}; known: {', '.join(KINDS)}.")
    return importlib.import_module(f"{__name__}.{name}")


def needs_source(name: str, placed: bool) -> bool:
    """Whether a kind reads a source; a user's does if the study gives it one.

    Args:
        placed: whether the study gives a path or a url.
    """
    return placed if is_own(name) else not KINDS.says(name, "BUNDLED", False)


def is_published(name: str, path: str | None, verify: bool | None) -> bool:
    """Whether a source must be a kind's published archive, without importing what reads it.

    A folder of its files has another digest, and so has a copy of the user's own packing.

    Args:
        path: where the study says that the source is; None for a download.
        verify: False for such a copy.
    """
    folder = path is not None and Path(path).expanduser().is_dir()
    known = not is_own(name) and KINDS.defines(name, "published")
    return known and not folder and verify is not False


def published(name: str) -> Published | None:
    """Where a kind's archive is to be had, if it is."""
    module = None if is_own(name) else load_kind(name)
    return module.published() if hasattr(module, "published") else None
