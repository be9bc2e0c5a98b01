"""What a Python file says of its methods, told from its syntax: the file is never run."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jackpot.fingerprints import assigned


@dataclass(frozen=True)
class Signature:
    """A function's parameters, as they are written.

    Attributes:
        positional: names of those that can be given by position.
        keywords: names of those that are keywords only.
        required: names of all that have no default.
        any_positional, any_keyword: whether it has ``*args`` and ``**kwargs``.
        defaults: name -> default, of those whose default is a constant.
        kinds: name -> types that the annotation allows, of those that name plain ones only.
    """

    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    required: tuple[str, ...]
    any_positional: bool
    any_keyword: bool
    defaults: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, node: ast.FunctionDef | ast.Lambda, bound: int = 0) -> "Signature":
        """Of a parsed function, less its ``bound`` first parameters."""
        a = node.args
        positional = [arg.arg for arg in (*a.posonlyargs, *a.args)]
        required = positional[: len(positional) - len(a.defaults)]
        keywords = [arg.arg for arg in a.kwonlyargs]
        last = positional[len(required) :]
        written = dict(zip(last, a.defaults, strict=True))
        written |= dict(zip(keywords, a.kw_defaults, strict=True))
        required = required[bound:] + [
            name for name, default in zip(keywords, a.kw_defaults, strict=True) if default is None
        ]
        return cls(
            tuple(positional[bound:]),
            tuple(keywords),
            tuple(required),
            a.vararg is not None,
            a.kwarg is not None,
            {name: node.value for name, node in written.items() if isinstance(node, ast.Constant)},
            {
                arg.arg: kinds
                for arg in (*a.args, *a.kwonlyargs)
                if (kinds := _kinds(arg.annotation))
            },
        )

    def options(self, takes: int) -> tuple[str, ...]:
        """Names of what is left to choose once ``takes`` arguments are given by position."""
        return (*self.positional[takes:], *self.keywords)

    def accepts(self, name: str, takes: int) -> bool:
        """Whether ``name`` can be given as a keyword beside ``takes`` arguments."""
        return self.any_keyword or name in self.options(takes)


# Types of what YAML can give, by their names in an annotation, and in words.
_PLAIN = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "a name"),
    "None": (type(None), "null"),
}


def _kinds(annotation: ast.expr | None) -> tuple[str, ...]:
    """The types of ``float | None`` and the like; none where one of them is not plain."""
    if annotation is None:
        return ()
    kinds = tuple(part.strip() for part in ast.unparse(annotation).split("|"))
    return kinds if all(kind in _PLAIN for kind in kinds) else ()


def mismatch(kinds: tuple[str, ...], value: Any) -> str:
    """Says what a value should be, where it is of none of these kinds; empty where it is of one.

    A whole number is a number; true is neither.
    """
    if isinstance(value, bool):
        fits = "bool" in kinds
    else:
        fits = any(isinstance(value, _PLAIN[kind][0]) for kind in kinds)
    return "" if fits else " or ".join(_PLAIN[kind][1] for kind in kinds)


@cache
def parsed(path: Path, changed: int, what: str) -> ast.Module:
    """A file's syntax tree; ``changed``, its time stamp, tells it from an older version.

    Raises:
        ValueError: it cannot be read, or is no Python.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{what}: {path} cannot be read: {error}") from None


def literal(tree: ast.Module | ast.ClassDef, key: str, default: Any) -> Any:
    """The value of ``KEY = <literal>`` at the top of a parsed file or class.

    Raises:
        ValueError: it is there, and its value cannot be read without running the file.
    """
    node = definition(tree, key)
    if node is None:
        return default
    if key not in assigned(node) or not is_literal(node.value):
        raise ValueError(f"{key} is read without running the file: write its value out")
    return ast.literal_eval(node.value)


def is_literal(node: ast.expr) -> bool:
    """Whether an expression is a value that is written out."""
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def first_line(node: ast.AST | None) -> str:
    """The first line of a docstring."""
    return _docstring(node).partition("\n")[0]


def first_paragraph(node: ast.AST | None) -> str:
    """What a docstring says before its first empty line, in one line."""
    return " ".join(_docstring(node).partition("\n\n")[0].split())


def _docstring(node: ast.AST | None) -> str:
    has_docstring = isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
    return (ast.get_docstring(node) if has_docstring else None) or ""


def definition(tree: ast.Module | ast.ClassDef, name: str) -> ast.AST | None:
    """What binds ``name`` at the top of a parsed file or class, the last such statement."""
    return next((node for node in reversed(tree.body) if name in _bound(node)), None)


def functions(tree: ast.Module) -> list[str]:
    """Names of the functions and classes at the top of a parsed file, save those with a _."""
    found = [
        name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        or (assigned(node) and isinstance(node.value, ast.Lambda))
        for name in _bound(node)
        if not name.startswith("_")
    ]
    return list(dict.fromkeys(found))


def _bound(node: ast.AST) -> list[str]:
    """The names that a statement binds where it stands, also those of the blocks in it."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return []
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    # What only runs by hand, or for a type checker, binds nothing here.
    if isinstance(node, ast.If) and _NEVER.intersection(_names_in(node.test)):
        return [name for part in node.orelse for name in _bound(part)]
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, ast.Lambda | ast.comprehension):
        return []
    return [name for part in ast.iter_child_nodes(node) for name in _bound(part)]


_NEVER = {"__name__", "TYPE_CHECKING"}


def _names_in(node: ast.expr) -> set[str]:
    parts = ast.walk(node)
    return {getattr(part, "id", None) or getattr(part, "attr", "") for part in parts}
