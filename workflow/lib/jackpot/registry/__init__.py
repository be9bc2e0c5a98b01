"""One registry for scores, allocations, kinds of dataset, models and checks: one file each.

A built-in method is a file in its folder, a user's is ``file.py:function`` (or
``package.module:function``) in a study; no other file changes. Laying out a study parses these
files and never imports them, so that it need not wait for torch: whether a method exists, what
arguments and options it has, what it says of itself in literals (``USES_DATA = False``) and in its
docstring, and the fingerprint of its code.
"""

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from jackpot.errors import JackpotError, did_you_mean
from jackpot.fingerprints import assigned, code_of, code_of_file
from jackpot.registry.own import import_file, import_module, own_traceback
from jackpot.registry.source import (
    Signature,
    definition,
    first_line,
    first_paragraph,
    functions,
    is_literal,
    literal,
    mismatch,
    parsed,
)

__all__ = ["Registry", "Signature", "first_line", "is_own", "literal", "own_traceback", "parsed"]


class Registry(Mapping[str, Any]):
    """Name -> function of that name, in the file of that name, imported when first used.

    Args:
        package: where the built-in methods are.
        folder: that package's folder; files that start with ``_`` are helpers.
        kind: what a method is called in messages.
        takes: the arguments that every method is given by position.
        offered: keywords that it is given if it has them, which are no options.
        defaults: keywords that it is given if it has them and no option of this name is.
        function: what the function is called in built-in files; by default as the file.
        without_file: names that are allowed where a method is named, and have no file.
        page: the page of the documentation that shows one.

    Raises:
        JackpotError: no such name, file, module or function.
    """

    def __init__(
        self,
        package: str,
        folder: Path,
        kind: str,
        *,
        takes: tuple[str, ...],
        offered: tuple[str, ...] = (),
        defaults: tuple[str, ...] = (),
        function: str | None = None,
        without_file: tuple[str, ...] = (),
        page: str,
    ):
        self._package, self._folder, self._kind = package, folder, kind
        self._takes, self._offered, self._defaults = takes, offered, defaults
        self._function = function
        self._without_file, self._page = without_file, page

    def __getitem__(self, name: str) -> Callable:
        try:
            path, function = self.source(name)
        except ValueError as error:
            raise JackpotError(str(error)) from None
        found = getattr(self._module(name), function, None)
        if not callable(found):
            raise JackpotError(
                f"{self._what(name)}: {path} has no function {function!r}"
                f"{self._instead(name, function)}"
            )
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> list[str]:
        """Names of the built-in methods, sorted; imports none of them."""
        return list(self._built_in)

    # Laying out a study asks for a few names thousands of times.
    @cached_property
    def _built_in(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("[!._]*.py"))

    def source(self, name: str) -> tuple[Path, str]:
        """The file and the function behind a name.

        Raises:
            ValueError: there is none (pydantic adds the study's file and key).
        """
        if ":" not in name:
            if name not in self.names():
                raise ValueError(f"{self._what(name)} does not exist. {self._allowed(name)}")
            return self._folder / f"{name}.py", self._function or name
        # From the right: a Windows path has a colon of its own.
        where, _, function = name.rpartition(":")
        return self._file(name, where), function

    def signature(self, name: str) -> Signature | None:
        """What a method's function takes; None where only an import could tell.

        Raises:
            ValueError: its file, or the function in it, does not exist.
        """
        path, function = self.source(name)
        node = definition(self._parsed(name), function)
        if node is None:
            raise ValueError(
                f"{self._what(name)}: {path} defines no function {function!r}"
                f"{self._instead(name, function)}"
            )
        if isinstance(node, ast.FunctionDef):
            return Signature.of(node)
        if function in assigned(node):
            if isinstance(node.value, ast.Lambda):
                return Signature.of(node.value)
            if is_literal(node.value):
                raise ValueError(f"{self._what(name)}: {function} in {path} is no function")
        if isinstance(node, ast.ClassDef):
            init = definition(node, "__init__")
            return Signature.of(init, bound=1) if isinstance(init, ast.FunctionDef) else None
        return None

    def check(self, name: str, options: Collection[str] = ()) -> None:
        """Refuse a name, or options of it, before anything runs.

        Args:
            options: names, or a mapping of names to values, which are then looked at as well.

        Raises:
            ValueError: says what is missing or wrong, and what is allowed.
        """
        signature = self.signature(name)
        if signature is None:
            return
        takes, what = len(self._takes), self._what(name)
        form = f"{name.rpartition(':')[2]}({', '.join(self._takes)}, ...)"
        if len(signature.positional) < takes and not signature.any_positional:
            raise ValueError(
                f"{what} takes {len(signature.positional)} arguments by position, and is called as "
                f"{form}; see {self._page}"
            )
        for option in options:
            if option in self._offered_to(name) or not signature.accepts(option, takes):
                known = self.options(name)
                raise ValueError(
                    f"{what} has no option {option}.{did_you_mean(option, known)} "
                    f"It has: {', '.join(known) or 'none'}"
                )
        for option, value in options.items() if isinstance(options, Mapping) else ():
            if allowed := mismatch(signature.kinds.get(option, ()), value):
                raise ValueError(f"{what}: {option} is {allowed}, not {value!r}")
        given = {*signature.positional[:takes], *self._offered_to(name), *self._defaults, *options}
        if lacking := [option for option in signature.required if option not in given]:
            raise ValueError(
                f"{what} needs the option {', '.join(lacking)}, which has no default (it is called "
                f"as {form})"
            )

    def require(self, name: str, options: Collection[str] = ()) -> None:
        """As ``check``, for callers that are at work already.

        Raises:
            JackpotError: what ``check`` would say.
        """
        try:
            self.check(name, options)
        except ValueError as error:
            raise JackpotError(str(error)) from None

    def options(self, name: str) -> list[str]:
        """Names of a method's options, in the order of its signature."""
        signature = self.signature(name)
        found = signature.options(len(self._takes)) if signature else ()
        return [option for option in found if option not in self._offered_to(name)]

    def defaults(self, name: str) -> Mapping[str, Any]:
        """Defaults of a method's options that are written as constants."""
        signature = self.signature(name)
        return signature.defaults if signature else {}

    def offered(self, name: str, **values: Any) -> dict[str, Any]:
        """Those of the keywords that a method has by name; imports it where only that can tell.

        One with ``**options`` gets none of them: what it does not name, it does not know.
        """
        signature = self.signature(name)
        if signature is None:
            known = tuple(inspect.signature(self[name]).parameters)
        else:
            known = signature.options(len(self._takes))
        return {key: value for key, value in values.items() if key in known}

    def says(self, name: str, key: str, default: Any) -> Any:
        """The value of a literal ``KEY = ...`` in a method's file; ``default`` without one."""
        try:
            return literal(self._parsed(name), key, default)
        except ValueError as error:
            raise ValueError(f"{self._what(name)}: {error}") from None

    def defines(self, name: str, function: str) -> bool:
        """Whether a method's file has a function of this name beside the method's own."""
        return definition(self._parsed(name), function) is not None

    def summary(self, name: str) -> str:
        """What a method's file, and then its function, say of themselves at first."""
        tree, (_, function) = self._parsed(name), self.source(name)
        said = [first_paragraph(tree), first_paragraph(definition(tree, function))]
        return " ".join(filter(None, said))

    def code(self, name: str) -> str:
        """Fingerprint of a method: its file, and what that imports of jackpot or beside itself."""
        path, function = self.source(name)
        if is_own(name):
            return f"{function} {code_of_file(str(path))}"
        return code_of(f"{self._package}.{path.stem}")

    def _offered_to(self, name: str) -> tuple[str, ...]:
        """Keywords that are no options of this method."""
        return self._offered

    def _what(self, name: str) -> str:
        return f"{self._kind} {name!r}"

    def _allowed(self, name: str) -> str:
        allowed = [*self._without_file, *self.names()]
        return (
            f"{did_you_mean(name, allowed)} Allowed: {', '.join(allowed)}, "
            f'or your own function as "path/to/file.py:function" ({self._page})'
        ).lstrip()

    def _instead(self, name: str, function: str) -> str:
        """The functions that a method's file has in place of the one that is named."""
        known = functions(self._parsed(name))
        return f".{did_you_mean(function, known)} It defines: {', '.join(known) or 'none'}"

    def _file(self, name: str, where: str) -> Path:
        if where.endswith(".py"):
            if not Path(where).is_file():
                raise ValueError(
                    f"{self._what(name)}: there is no file {where} (looked from {Path.cwd()}). "
                    "Give a path relative to the directory that Snakemake runs in."
                )
            return Path(where)
        try:
            # Runs the packages that the module is in, if not itself.
            spec, why = importlib.util.find_spec(where), ""
        except Exception as error:
            spec, why = None, f" ({type(error).__name__}: {error})"
        # Some of Python's own modules are in no file.
        if spec is None or not Path(spec.origin or "").is_file():
            raise ValueError(f"{self._what(name)}: there is no module {where!r} in a file{why}")
        return Path(spec.origin)

    def _parsed(self, name: str) -> ast.Module:
        path, _ = self.source(name)
        return parsed(path, path.stat().st_mtime_ns, self._what(name))

    def _module(self, name: str) -> ModuleType:
        path, _ = self.source(name)
        if not is_own(name):
            return importlib.import_module(f"{self._package}.{path.stem}")
        where = name.rpartition(":")[0] or name
        return (
            import_file(path, self._kind)
            if where.endswith(".py")
            else import_module(where, self._kind)
        )


def is_own(name: str) -> bool:
    """Whether a name is that of a user's file or function, not of a built-in one."""
    return ":" in name or name.endswith(".py")
