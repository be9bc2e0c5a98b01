"""The house: every import points down, and laying out a study never waits for torch."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter

from tests.support import PACKAGE, ROOT

# From the ground upwards; a floor imports its own rooms and those of the floors before it.
FLOORS = (
    {
        "environment",
        "errors",
        "settings",
        "vocabulary",
        "randomness",
        "files",
        "fingerprints",
        "machine",
        "registry",
    },
    {"architectures"},
    {"data"},
    {"models"},
    {"pruning"},
    {"checks"},
    {"cli"},
    {"training"},
    {"study"},
    {"analysis"},
    {"report"},
    {"stages"},
    {"running"},
)


def room_of(module):
    return module.split(".")[1]


def imports_of(path):
    package = ["jackpot", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            if module != "jackpot":
                yield module
                continue
            # ``from jackpot import data`` names a room, ``__version__`` none.
            rooms = (alias.name for alias in node.names if not alias.name.startswith("__"))
            yield from (f"jackpot.{room}" for room in rooms)


def test_no_import_points_up():
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for name in imports_of(path):
            if name.startswith("jackpot.") and floor_of[room_of(name)] > floor_of[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert not wrong, "\n".join(sorted(wrong))


def test_no_two_rooms_of_a_floor_import_each_other():
    below = {room: set() for floor in FLOORS for room in floor}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        names = [name for name in imports_of(path) if name.startswith("jackpot.")]
        below.get(room, set()).update(room_of(name) for name in names if room_of(name) != room)
    TopologicalSorter(below).prepare()


# Stages that follow the runs: they make tables, verdicts and the page of the whole study.
AFTERWARDS = {"collect", "draw", "look", "report", "tables", "verdicts"}


def test_what_trains_knows_nothing_of_jobs():
    for room in ("training", "stages", "pruning", "checks", "models", "data"):
        for path in (PACKAGE / room).rglob("*.py"):
            above = {"running"}
            if path.stem not in AFTERWARDS:
                above |= {"study", "analysis", "report"}
            names = [name for name in imports_of(path) if name.startswith("jackpot.")]
            assert not [name for name in names if room_of(name) in above], path


def test_what_the_snakefile_imports_never_imports_torch():
    imports = re.findall(r"^from jackpot.*$", (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert len(imports) > 9
    program = "\n".join([*imports, "import sys", "assert 'torch' not in sys.modules, 'torch'"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
