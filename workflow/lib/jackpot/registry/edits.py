"""Checks in files: a file has several functions, each the edit of one ingredient of a ticket."""

import ast
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from jackpot.errors import JackpotError
from jackpot.registry import Registry, Signature, first_line, is_own, literal
from jackpot.registry.source import definition

# Bases that have nothing to inherit.
_BARE = ("object", "ABC", "abc.ABC")


class EditFiles(Registry):
    """The functions of a check by the ingredient that they edit, in the order of ``arguments``.

    Args:
        arguments: ingredient -> how many arguments its edit is called with by position.
        first: the first parameter of a user's one function -> the ingredient that it edits.
        others: as ``Registry``'s.
    """

    def __init__(
        self, *args: Any, arguments: Mapping[str, int], first: Mapping[str, str], **others: Any
    ):
        super().__init__(*args, **others)
        self._arguments, self._first = arguments, first

    def source(self, name: str) -> tuple[Path, str]:
        """The file and, in a user's, the class or function behind a name; none for a whole file."""
        if not is_own(name):
            return self._folder / f"{name}.py", ""
        if name.endswith(".py"):
            return self._file(name, name), ""
        return super().source(name)

    def edits(self, source: str) -> dict[str, Signature]:
        """What a check edits, and the signatures of the functions that do.

        Raises:
            ValueError: there is no such file, nothing in it edits an ingredient, or an edit could
                not be called.
        """
        edits = {part: Signature.of(node) for part, node in self._edits(source).items()}
        place = self._place(source)
        if isinstance(place, ast.ClassDef) and any(
            ast.unparse(base) not in _BARE for base in place.bases
        ):
            raise ValueError(
                f"{self._what(source)}: its edits are read without running the file, so what it "
                f"inherits would be left out: write them into the class itself; see {self._page}"
            )
        if not isinstance(place, ast.FunctionDef):
            for part in self._arguments:
                if part not in edits and definition(place, part) is not None:
                    raise ValueError(
                        f"{self._what(source)}: {part} is no function that is written out there, "
                        f"and would be left out: use `def {part}(...)`, or another name for what "
                        f"is no edit; see {self._page}"
                    )
        if not edits and is_own(source):
            raise ValueError(
                f"{self._what(source)} edits nothing: it needs a function {_any(self._arguments)}, "
                f"or one whose first parameter is {_any(self._first)}; see {self._page}"
            )
        scopes = self.says(source, "SCOPES", ())
        if not isinstance(scopes, tuple | list) or not all(
            scope and isinstance(scope, str) for scope in scopes
        ):
            raise ValueError(
                f"{self._what(source)}: SCOPES is {scopes!r}: name the values of scope in a tuple, "
                f'("a", "b"), the default first; see {self._page}'
            )
        for part, signature in edits.items():
            takes = self._arguments[part]
            if (first := next(iter(signature.positional), "")) in ("self", "cls"):
                raise ValueError(
                    f"{self._what(source)}: its edit of the {part} is called on the class itself: "
                    f"leave `{first}` out; see {self._page}"
                )
            if len(signature.positional) < takes and not signature.any_positional:
                raise ValueError(
                    f"{self._what(source)}: its edit of the {part} takes "
                    f"{len(signature.positional)} arguments by position, and is given {takes}; "
                    f"see {self._page}"
                )
            if "scope" in signature.required and not scopes:
                raise ValueError(
                    f"{self._what(source)}: its option scope has no default, and no SCOPES name "
                    f"its values; see {self._page}"
                )
        return edits

    def edit(self, source: str, part: str) -> tuple[Callable, Signature]:
        """A check's function for one ingredient, and its signature."""
        node = self._edits(source)[part]
        place, module = self._place(source), self._module(source)
        if isinstance(place, ast.ClassDef):
            module = getattr(module, place.name)
        return getattr(module, node.name), Signature.of(node)

    def says(self, name: str, key: str, default: Any) -> Any:
        """The value of a literal ``KEY = ...`` in a check's file or class; else ``default``.

        Of one function it is the file's; ``SCOPES`` is of those that have the option ``scope``.
        """
        place = self._place(name)
        if isinstance(place, ast.FunctionDef):
            signature = Signature.of(place)
            if key == "SCOPES" and "scope" not in signature.positional + signature.keywords:
                return default
            place = self._parsed(name)
        try:
            return literal(place, key, default)
        except ValueError as error:
            raise ValueError(f"{self._what(name)}: {error}") from None

    def question(self, source: str) -> str:
        """What a check asks: its ``QUESTION``, its file's, or the first line of its docstring.

        That line comes before the file's question where the check is one function of it.
        """
        place, tree = self._place(source), self._parsed(source)
        said = first_line(place)
        own = said if isinstance(place, ast.FunctionDef) else self.says(source, "QUESTION", "")
        return own or literal(tree, "QUESTION", "") or said

    def _place(self, source: str) -> ast.Module | ast.ClassDef | ast.FunctionDef:
        """What holds the edits of a check: a whole file, a class, or the one function."""
        path, name = self.source(source)
        tree = self._parsed(source)
        if not name:
            return tree
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                return node
        raise ValueError(
            f"{self._what(source)}: {path} defines no function {name!r}"
            f"{self._instead(source, name)}"
        )

    def _edits(self, source: str) -> dict[str, ast.FunctionDef]:
        place = self._place(source)
        if isinstance(place, ast.FunctionDef):
            first = next(iter(Signature.of(place).positional), "")
            return {self._first[first]: place} if first in self._first else {}
        found = {node.name: node for node in place.body if isinstance(node, ast.FunctionDef)}
        return {part: found[part] for part in self._arguments if part in found}


def _any(names: Collection[str]) -> str:
    """``data, scores, mask or weights``."""
    *others, last = names
    return f"{', '.join(others)} or {last}"


def require_alike(who: str, part: str, before: Any, after: Any) -> None:
    """Refuse what a user's edit returned, if it is not of the form of what it was given.

    Args:
        who: the check, as messages name it.

    Raises:
        JackpotError: says what it must return.
    """
    import torch

    what = f"{who}: its edit of the {part} must return"
    told = type(after).__name__
    told = "None" if after is None else f"a {told}"
    if part == "data":
        if not isinstance(after, tuple | list) or len(after) != 2:
            raise JackpotError(f"{what} (images, labels), and returned {told}")
        images, labels = after
        if not all(isinstance(value, torch.Tensor) for value in after) or (
            (images.dtype, images.shape[1:]) != (before[0].dtype, before[0].shape[1:])
            or (labels.dtype, len(labels)) != (before[1].dtype, len(images))
        ):
            raise JackpotError(f"{what} images and labels of the types and shapes it was given")
        return
    if not isinstance(after, Mapping):
        raise JackpotError(f"{what} a dictionary, and returned {told}")
    # Files and networks name their weights in different orders, and neither is asked for.
    names, order = (set, "") if part == "weights" else (list, ", in their order")
    if names(after) != names(before):
        raise JackpotError(f"{what} the names that it was given{order}")
    for name, value in after.items():
        if not isinstance(value, torch.Tensor) or (
            (value.shape, value.dtype) != (before[name].shape, before[name].dtype)
        ):
            raise JackpotError(f"{what} tensors as it was given; {name} is another")
        if part == "scores" and value.isnan().any():
            raise JackpotError(f"{what} no NaN, which has no rank; {name} has some")
