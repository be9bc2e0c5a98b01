"""The verdict of every check, from the table of runs."""

from pathlib import Path

from jackpot.analysis.statistics import verdicts
from jackpot.files.tables import read_table, write_table


def judge(runs: str | Path, out: str | Path, margin: float, alpha: float) -> None:
    """Write ``verdicts.csv`` from ``runs.csv`` and say how many of each there are."""
    table = verdicts(read_table(runs), margin, alpha)
    write_table(out, table)
    print(f"verdicts: {', '.join(f'{n} {v}' for v, n in table.verdict.value_counts().items())}")
