"""The networks by name, without torch, so that a study can be checked quickly."""

import ast
from functools import cache
from pathlib import Path

from jackpot.registry import Registry, is_own, literal, parsed

_FOLDER = Path(__file__).parent / "models"


class _Models(Registry):
    """Files of ``models/`` that define a class or function of the file's name, in any case.

    One that has ``DEPTHS`` is a family: ``vgg.py`` gives ``vgg5`` to ``vgg19``, and its class
    takes the ``depth``.
    """

    def names(self) -> list[str]:
        """Every built-in network."""
        return [name for file in _networks() for name in _members(file)]

    def source(self, name: str) -> tuple[Path, str]:
        """The file and the class or function behind a name."""
        if is_own(name):
            return super().source(name)
        if name not in self.names():
            raise ValueError(f"{self._what(name)} does not exist. {self._allowed(name)}")
        file = _file_of(name)
        return self._folder / f"{file}.py", _networks()[file][0]

    def _offered_to(self, name: str) -> tuple[str, ...]:
        """A family's ``depth`` is in the name; to a user's function it is an option like others."""
        return () if is_own(name) else super()._offered_to(name)

    def depth(self, name: str) -> dict[str, int]:
        """``vgg19`` -> ``{"depth": 19}``; nothing for a network that is no family's."""
        if is_own(name):
            return {}
        depth = name.removeprefix(_file_of(name))
        return {"depth": int(depth)} if depth else {}


@cache
def _networks() -> dict[str, tuple[str, tuple[int, ...]]]:
    """File -> the class or function in it, and its depths."""
    found = {}
    for path in sorted(_FOLDER.glob("[!.]*.py")):
        tree = parsed(path, path.stat().st_mtime_ns, "model")
        for node in tree.body:
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and node.name.lower() == path.stem.lower()
            ):
                found[path.stem] = (node.name, tuple(literal(tree, "DEPTHS", ())))
    return found


def _members(file: str) -> list[str]:
    _, depths = _networks()[file]
    return [f"{file}{depth}" for depth in depths] or [file]


def _file_of(name: str) -> str:
    return next(file for file in _networks() if name in _members(file))


MODELS = _Models(
    "jackpot.models",
    _FOLDER,
    "architecture",
    takes=("num_classes", "in_channels", "image_size"),
    offered=("depth",),
    page="docs/extending/model.md",
)


def initial_by_default(name: str) -> str:
    """How a network's initial weights are drawn where nothing says how."""
    return "own" if is_own(name) else "fan_out"


def architecture_names() -> list[str]:
    """Every name that ``build_model`` takes."""
    return MODELS.names()
