"""Which files of a study do not hold what was written: every digest read, every table made again.

Snakemake looks at time stamps and ``jackpot.study.stale`` at fingerprints; neither sees a flipped
byte. A damaged input is refused by the job that reads it, but of a finished study none is read.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from jackpot.analysis.design import Design
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_sealed, sha256_of_file
from jackpot.files.tensors import load_tensors
from jackpot.running.tables import write_tables
from jackpot.stages.collect import DECLARED, read_record
from jackpot.stages.tables import tabulate
from jackpot.study import Plan
from jackpot.study.stale import Finding


def damage(plan: Plan) -> Iterator[Finding]:
    """Every damaged file of the study that is there. Those of other code or settings are read too.

    Tables are compared once every result of the study's present look is there and sound.
    """
    sound, root = True, Path(plan.root)
    records = [root / "about.json", root / DECLARED, *sorted(root.glob("looks/*.json"))]
    for path in [*map(Path, sorted(plan.files())), *records]:
        if path.exists() and (why := _damage_of(path)):
            sound = False
            yield Finding(str(path), why)
    if not sound:
        return
    if not all(file.is_current() for file in plan.results()):
        print("tables are not compared: results are missing, or not today's")
        return
    with tempfile.TemporaryDirectory() as scratch:
        runs, out = plan.progress.runs, Path(scratch)
        made = write_tables(plan, runs, root, out, root / "about.json")
        families = tabulate(made["runs"], out / "tables", Design(**plan.design()))
        for again in [*made.values(), *families]:
            table = root / again.relative_to(out)
            if table.exists() and table.read_bytes() != again.read_bytes():
                yield Finding(str(table), "it is not what the results give; delete it")


def _damage_of(path: Path) -> str | None:
    """What is wrong with weights, a mask, data, a result or a record; None if nothing is."""
    try:
        if path.suffix == ".safetensors":
            load_tensors(path)
        elif path.name == "metrics.json":
            history = path.with_name("history.csv")
            if sha256_of_file(history) != read_sealed(path)["fingerprints"]["history"]:
                return f"{history.name} beside it was altered; delete both"
        elif path.name == DECLARED:
            read_record(path)
        else:
            read_sealed(path)
    except JackpotError as error:
        return str(error).removeprefix(f"{path}: ")
    return None
