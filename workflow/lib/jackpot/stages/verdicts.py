"""The verdict of every check, from the table of runs."""

from pathlib import Path

from jackpot.analysis.design import Design
from jackpot.analysis.statistics import verdict_table
from jackpot.files.tables import read_table, write_table


def judge(runs: str | Path, out: str | Path, design: Design) -> str:
    """Write ``verdicts.csv`` from ``runs.csv``; return a line that says how many of each."""
    table = verdict_table(read_table(runs), design)
    write_table(out, table)
    return f"verdicts: {', '.join(f'{n} {v}' for v, n in table.verdict.value_counts().items())}"
