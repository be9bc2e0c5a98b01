"""A folder of functions, one per file, reached by name and imported when first used.

Adding a method means adding one file: the folder's listing is the registry. Listing names imports
nothing, so a program that only reads a study need not wait for torch.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from jackpot.errors import JackpotError


def names_in(folder: Path) -> list[str]:
    """Names of the methods in ``folder``, sorted; files that start with ``_`` are helpers."""
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


class FunctionFolder(Mapping[str, Callable]):
    """Name -> the function of that name in the file of that name.

    Besides the folder's own names, ``[...]`` takes a user's function, written
    ``"path/to/file.py:function"`` or ``"package.module:function"``.

    Raises:
        JackpotError: no such name, file, module or function.
    """

    def __init__(self, package: str, folder: Path, kind: str):
        self._package, self._folder, self._kind = package, folder, kind

    def __getitem__(self, name: str) -> Callable:
        if ":" in name:
            return self._users_own(name)
        if name not in names_in(self._folder):
            raise JackpotError(
                f"unknown {self._kind} {name!r}; known: {', '.join(names_in(self._folder))}, "
                'or a function of your own as "path/to/file.py:function"'
            )
        return getattr(importlib.import_module(f"{self._package}.{name}"), name)

    def __contains__(self, name: object) -> bool:
        return name in names_in(self._folder)

    def __iter__(self) -> Iterator[str]:
        return iter(names_in(self._folder))

    def __len__(self) -> int:
        return len(names_in(self._folder))

    def _users_own(self, name: str) -> Callable:
        # From the right: a Windows path has a colon of its own.
        where, _, function = name.rpartition(":")
        found = getattr(self._load(where), function, None)
        if not callable(found):
            raise JackpotError(f"{self._kind} {name!r}: {where} has no function {function!r}")
        return found

    def _load(self, where: str) -> ModuleType:
        if where.endswith(".py"):
            return self._load_file(Path(where))
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise JackpotError(
                f"{self._kind}: module {where!r} could not be imported ({error}). "
                "Install it, or give the path of its .py file."
            ) from error

    def _load_file(self, path: Path) -> ModuleType:
        if not path.is_file():
            raise JackpotError(
                f"{self._kind}: no such file {path} (looked from {Path.cwd()}). "
                "Give a path relative to the directory that Snakemake runs in."
            )
        # The name carries the path, so that two users' files with one stem stay apart.
        digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
        spec = importlib.util.spec_from_file_location(f"jackpot_user_{path.stem}_{digest}", path)
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up by name while they are being made.
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise JackpotError(
                f"{self._kind}: {path} could not be imported "
                f"({type(error).__name__}: {error}). Mend it and start again."
            ) from error
        return module
