"""What decides a result, as hashes: the stage's own code, its options, and what it is made from.

A fingerprint contains those of its inputs, so today's fingerprint of a run can be told from the
study and the source alone (``jackpot.study.jobs``). It is stored in the file that the stage makes;
where the stored one differs, other options or other code made that file.
"""

import ast
import hashlib
import json
import os
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jackpot
from jackpot.errors import JackpotError

PACKAGE = Path(jackpot.__file__).parent
# Plumbing that moves, names or checks values; what it carries is in the fingerprint itself.
PLUMBING = (
    "environment",
    "errors",
    "settings",
    "files",
    "fingerprints",
    "registry",
    "study",
)

# What these make is words for people: there a sentence is a result. Elsewhere it is for the log.
WRITERS = ("analysis", "report", "stages", "vocabulary")

# Files beside modules that decide something too; an editor's and Python's own do not.
DATA_FILES = (".csv", ".css", ".j2", ".js", ".rst")

# Where packages are installed: one may be beside a user's module that has nothing to do with it.
SITE = ("site-packages", "dist-packages")

# A fingerprint is three hashes, so that where two differ, they say what of.
KINDS = ("code", "settings", "inputs")


def fingerprint(code: Iterable[str], options: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """One fingerprint: hashes of code, of options and of the fingerprints of inputs."""
    return "-".join(digest(part)[:12] for part in (list(code), options, inputs))


def differences(one: str, other: str) -> list[str]:
    """Which of ``KINDS`` tell two fingerprints apart; all of them where that cannot be told."""
    parts = [one.split("-"), other.split("-")]
    if any(len(part) != len(KINDS) for part in parts):
        return [] if one == other else list(KINDS)
    return [kind for kind, a, b in zip(KINDS, *parts, strict=True) if a != b]


def digest(value: Any) -> str:
    """Short SHA-256 of a JSON value; keys are sorted."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def code_of(*modules: str) -> str:
    """Fingerprint of modules of jackpot and all that they import of it.

    Comments, docstrings, messages and layout do not count: rewording one must not retrain a study.
    Files beside a module that are no Python (templates, tables) do.
    """
    return digest(_reached(list(modules), None))


@cache
def code_of_file(path: str) -> str:
    """Fingerprint of a user's file, of what it imports from beside it, and from jackpot.

    Raises:
        JackpotError: one of them cannot be read, or is no Python.
    """
    own = Path(path).resolve()
    name, beside = own.stem, own.parent
    # In a package, what it imports is named from beside the package.
    while (beside / "__init__.py").exists():
        name, beside = f"{beside.name}.{name}", beside.parent
    return digest(_reached([name], own, beside))


def _reached(queue: list[str], own: Path | None, beside: Path | None = None) -> dict[str, str]:
    """The code of modules and of all that they import, by name.

    Args:
        own: a user's file, if it is one.
        beside: the folder that its package is in, or itself.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in seen or _is_plumbing(name):
            continue
        seen.add(name)
        for number, path in enumerate(_paths_of(name, own, beside)):
            is_package = path.name == "__init__.py"
            try:
                imports, code = _source(path.read_text(encoding="utf-8"), name, is_package)
            except (OSError, SyntaxError, ValueError) as error:
                is_syntax = isinstance(error, SyntaxError)
                why = f"line {error.lineno}: {error.msg}" if is_syntax else error
                raise JackpotError(f"{path}: cannot be read: {why}") from None
            found[f"{name} {number}" if number else name] = code
            queue += imports
            if path.is_relative_to(PACKAGE) and path.parent != PACKAGE:
                found |= _not_python(path.parent)
    return found


@cache
def _source(text: str, name: str, is_package: bool) -> tuple[list[str], str]:
    """The modules that a module imports, and its code without what changes no result."""
    own = not _is_ours(name)
    reader = Reader(sentences=own or name.split(".")[1] in WRITERS, calls=own)
    code = reader.dump(ast.parse(text))
    return _names(reader.imports, name if is_package else name.rpartition(".")[0]), code


def _is_ours(name: str) -> bool:
    return name.startswith("jackpot.")


def _is_plumbing(name: str) -> bool:
    return _is_ours(name) and name.split(".")[1] in PLUMBING


@cache
def _not_python(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(PACKAGE)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.suffix in DATA_FILES and not p.name.startswith(".")
    }


def _paths_of(name: str, own: Path | None, beside: Path | None) -> list[Path]:
    """The files that a name may stand for; which one of a user's, their ``sys.path`` decides."""
    first, *rest = name.split(".")
    if first == "jackpot":
        targets = [PACKAGE.joinpath(*rest)] if rest else []
    elif own is None:
        targets = []
    else:
        # Its own folder, where its package is, and where a folder of this name is that it is in.
        holding = [folder for folder in own.parents if folder / first in own.parents]
        folders = dict.fromkeys([own.parent, beside, *holding])
        targets = [f.joinpath(first, *rest) for f in folders if not _is_installed(f, first, own)]
    both = ((target.with_name(target.name + ".py"), target / "__init__.py") for target in targets)
    found = (next((path for path in paths if path.is_file()), None) for paths in both)
    return [path for path in found if path is not None]


def _is_installed(folder: Path, first: str, own: Path) -> bool:
    """Whether a name there is another's package, such as torch, and not what ``own`` belongs to."""
    in_folder = own.relative_to(folder).parts[0]
    return folder.name in SITE and first not in (in_folder, in_folder.removesuffix(".py"))


def _names(imports: list[ast.Import | ast.ImportFrom], package: str) -> list[str]:
    """The modules that import statements in ``package`` may name."""
    names = []
    for node in imports:
        if isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            relative = ".".join(filter(None, [*parents, node.module]))
            module = relative if node.level else node.module
            names += [".".join(filter(None, [module, alias.name])) for alias in node.names]
            names.append(module)
        else:
            names += [alias.name for alias in node.names]
    # Importing a.b runs a as well.
    parts = [name.split(".") for name in names if name]
    return sorted({".".join(p[:n]) for p in parts for n in range(1, len(p) + 1)} - {"jackpot"})


class Reader:
    """Reads a module once: what it imports, and its source without what changes no result.

    That is comments, layout, docstrings, and words for people. Every call of Snakemake reads all
    of jackpot's modules, so their trees are walked once for both.

    Args:
        sentences: strings of four words or more count too, as in a user's file, of which nobody
            can know what they decide.
        calls: what errors and lines that are printed are made of counts too, as in a user's file,
            where ``MeanSquaredError(delta=0.1)`` may be a loss.
    """

    def __init__(self, sentences: bool = False, calls: bool = False) -> None:
        self._sentences, self._calls = sentences, calls
        self.imports: list[ast.Import | ast.ImportFrom] = []

    def dump(self, node: ast.AST | list | object) -> str:
        """What Python 3.11's ``ast.dump`` says of what counts, on every version of Python.

        Later ones leave empty lists out (3.13), name the type parameters of each function, or end
        a format with an empty string (3.12): their results would pass for those of other code.
        """
        if isinstance(node, list):
            return f"[{', '.join(map(self.dump, node))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        kind, parts = type(node), []
        self.strip(node)
        for name, start, may_be_absent in _fields(kind):
            value = getattr(node, name, None)
            if kind is ast.JoinedStr:
                value = [part for part in value if getattr(part, "value", None) != ""]
            if not (may_be_absent and value is None) and (name != "type_params" or value):
                parts.append(start + self.dump(value))
        return f"{kind.__name__}({', '.join(parts)})"

    def strip(self, node: ast.AST) -> None:
        """Take note of an import; take out of ``node`` what changes no result."""
        kind = type(node)
        if kind in _IMPORTS:
            self.imports.append(node)
        elif kind in _DOCUMENTED:
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
        elif kind is ast.Call:
            if not self._calls and _speaks(node.func):
                node.args, node.keywords = [], []
        elif kind in ASSIGNMENTS:
            if "QUESTION" in assigned(node):
                node.value = ast.Constant("")
        elif kind is ast.JoinedStr:
            if not self._sentences and _is_sentence(node):
                node.values = []
        elif kind is ast.Constant and not self._sentences and _is_sentence(node):
            node.value = ""


def assigned(node: ast.AST) -> list[str]:
    """The names to which a statement, one of ``ASSIGNMENTS``, assigns its whole value."""
    if not isinstance(node, ASSIGNMENTS) or node.value is None:
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


@cache
def _fields(kind: type[ast.AST]) -> list[tuple[str, str, bool]]:
    """Of each field its name, how its dump starts, and whether it may be absent."""
    # A field that may be absent is None in the class as well.
    return [(name, f"{name}=", getattr(kind, name, ...) is None) for name in kind._fields]


def _speaks(function: ast.expr) -> bool:
    """Whether a call only has words for people: an error that is made, a line that is printed."""
    name = getattr(function, "id", None) or getattr(function, "attr", "")
    return name.endswith("Error") or name in ("print", "damaged")


def _is_sentence(text: ast.JoinedStr | ast.Constant) -> bool:
    """Whether a string is for people: it has four words or more; names and paths have fewer."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    said = [part.value for part in parts if isinstance(part, ast.Constant)]
    return sum(len(part.split()) for part in said if isinstance(part, str)) >= 4


_IMPORTS = (ast.Import, ast.ImportFrom)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign)
_DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@cache
def recorded(path: str, name: str = "run") -> str | None:
    """The fingerprint stored in a weights, mask, data or metrics file; None if there is none.

    Args:
        name: which of those that a JSON file has.
    """
    try:
        if path.endswith(".json"):
            with open(path, encoding="utf-8") as file:
                found = json.load(file)["fingerprints"][name]
        else:
            with open(path, "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                if length > os.path.getsize(path):
                    return None
                header = json.loads(file.read(length))
            found = json.loads(header["__metadata__"]["metadata"])["fingerprint"]
        return found if isinstance(found, str) else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError, struct.error):
        return None
