"""A study's tables, made from results wherever they lie."""

from pathlib import Path

from jackpot.analysis.design import Design
from jackpot.stages.collect import write_results
from jackpot.stages.verdicts import judge
from jackpot.study import Run

NAMES = ("runs", "layers", "histories", "verdicts")


def write_tables(runs: list[Run], root: Path, out: Path, design: Design) -> dict[str, Path]:
    """Write the tables of runs whose results are below ``root`` into ``out``: name -> file.

    Raises:
        JackpotError: a result is missing, damaged, or is another run's.
    """
    tables = {name: out / f"{name}.csv" for name in NAMES}
    write_results(runs, root, out)
    judge(tables["runs"], tables["verdicts"], design)
    return tables
