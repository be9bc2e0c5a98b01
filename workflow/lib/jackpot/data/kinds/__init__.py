"""Kinds of dataset: one module each, found by file name.

A kind has ``read(source, **options) -> ImageData``, whose keyword-only parameters are the options
that a study may set. It may have ``published() -> Published``, where its archive is to be had, or
``BUNDLED = True``, when it needs no source. To add a kind, add a file; nothing else changes.
"""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any, NamedTuple

from jackpot.errors import JackpotError


class Published(NamedTuple):
    """Where an archive is published, and its digest (``md5:...`` or ``sha256:...``)."""

    urls: tuple[str, ...]
    digest: str


def kind_names() -> list[str]:
    """Every kind, sorted, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_kind(name: str) -> ModuleType:
    """The module of a kind; JackpotError if there is none."""
    if name not in kind_names():
        raise JackpotError(f"unknown kind of dataset {name!r}; known: {', '.join(kind_names())}.")
    return importlib.import_module(f"{__name__}.{name}")


def check_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that ``name``'s ``read`` does not have."""
    parameters = inspect.signature(load_kind(name).read).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if unknown := sorted(set(options) - set(known)):
        raise JackpotError(
            f"kind {name} has no option {', '.join(unknown)}; it has: {', '.join(known) or 'none'}."
        )
