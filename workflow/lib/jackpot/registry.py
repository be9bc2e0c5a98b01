"""One registry for scores, allocations and checks: a folder of methods, one file each.

A built-in method is a file in its folder, a user's is ``file.py:function`` (or
``package.module:function``) in a study; no other file changes. Laying out a study parses these
files and never imports them, so that it need not wait for torch: whether a method exists, what it
says of itself in literals (``USES_DATA = False``), and the fingerprint of its code.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from jackpot.errors import JackpotError
from jackpot.fingerprints import code_of, code_of_file


class Registry(Mapping[str, Any]):
    """Name -> function of that name, in the file of that name, imported when first used.

    Args:
        package: where the built-in methods are.
        folder: that package's folder; files that start with ``_`` are helpers.
        kind: what a method is called in messages.
        without_file: names that are allowed where a method is named, and have no file.

    Raises:
        JackpotError: no such name, file, module or function.
    """

    def __init__(self, package: str, folder: Path, kind: str, without_file: tuple = ()):
        self._package, self._folder, self._kind = package, folder, kind
        self._without_file = without_file

    def __getitem__(self, name: str) -> Callable:
        try:
            _, function = self.source(name)
        except ValueError as error:
            raise JackpotError(str(error)) from None
        where, own, _ = name.rpartition(":")
        module = self._import(where) if own else importlib.import_module(f"{self._package}.{name}")
        found = getattr(module, function, None)
        if not callable(found):
            raise JackpotError(f"{self._kind} {name!r}: {where} has no function {function!r}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> list[str]:
        """Names of the built-in methods, sorted; imports none of them."""
        return sorted(p.stem for p in self._folder.glob("*.py") if not p.stem.startswith("_"))

    def source(self, name: str) -> tuple[Path, str]:
        """The file and the function behind a name.

        Raises:
            ValueError: there is none (pydantic adds the study's file and key).
        """
        if ":" not in name:
            if name not in self.names():
                allowed = [*self._without_file, *self.names()]
                raise ValueError(
                    f"{self._kind} {name!r} does not exist. Allowed: {', '.join(allowed)}, "
                    'or your own function as "path/to/file.py:function"'
                )
            return self._folder / f"{name}.py", name
        # From the right: a Windows path has a colon of its own.
        where, _, function = name.rpartition(":")
        if where.endswith(".py"):
            if not Path(where).is_file():
                raise ValueError(
                    f"{self._kind} {name!r}: there is no file {where} (looked from {Path.cwd()}). "
                    "Give a path relative to the directory that Snakemake runs in."
                )
            return Path(where), function
        try:
            spec = importlib.util.find_spec(where)
        except (ImportError, ValueError):
            spec = None
        if spec is None or spec.origin is None:
            raise ValueError(f"{self._kind} {name!r}: there is no module {where!r} to import")
        return Path(spec.origin), function

    def check(self, name: str) -> None:
        """Refuse a name whose file, or function in it, does not exist.

        Raises:
            ValueError: says what is missing, and what is allowed.
        """
        path, function = self.source(name)
        if ":" in name and not any(
            isinstance(node, ast.FunctionDef) and node.name == function
            for node in _parsed(path, f"{self._kind} {name!r}").body
        ):
            raise ValueError(f"{self._kind} {name!r}: {path} defines no function {function!r}")

    def says(self, name: str, key: str, default: Any) -> Any:
        """The value of a literal ``KEY = ...`` in a method's file; ``default`` without one."""
        path, _ = self.source(name)
        return literal(_parsed(path, f"{self._kind} {name!r}"), key, default)

    def code(self, name: str) -> str:
        """Fingerprint of a method: its file, and what that imports of jackpot or beside itself."""
        path, function = self.source(name)
        if ":" not in name:
            return code_of(f"{self._package}.{name}")
        return f"{function} {code_of_file(str(path))}"

    def _import(self, where: str) -> ModuleType:
        if where.endswith(".py"):
            return _import_file(Path(where), self._kind)
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise JackpotError(
                f"{self._kind}: module {where!r} could not be imported ({error}). "
                "Install it, or give the path of its .py file."
            ) from error


@cache
def _parsed(path: Path, what: str) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{what}: {path} cannot be read: {error}") from None


def literal(tree: ast.Module, key: str, default: Any) -> Any:
    """The value of ``KEY = <literal>`` at the top of a parsed file."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == key for target in node.targets
        ):
            return ast.literal_eval(node.value)
    return default


def _import_file(path: Path, kind: str) -> ModuleType:
    folder = path.resolve().parent
    # The name carries the path, so that two users' files with one stem stay apart.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"jackpot_user_{path.stem}_{digest}", path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while they are being made.
    sys.modules[spec.name] = module
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise JackpotError(
            f"{kind}: {path} could not be imported "
            f"({type(error).__name__}: {error}). Fix it and start again."
        ) from error
    finally:
        sys.path.remove(str(folder))
        # Another user's file may have a helper of the same name beside it.
        for name in set(sys.modules) - before:
            beside = getattr(sys.modules[name], "__file__", None)
            if beside and Path(beside).resolve().is_relative_to(folder):
                del sys.modules[name]
    return module
