"""A table for every family of tickets, and one of verdicts."""

from pathlib import Path

from jackpot.analysis.design import Design
from jackpot.analysis.reported import reported_for
from jackpot.analysis.statistics import check_table
from jackpot.analysis.tables import write_tables
from jackpot.files.tables import read_table


def tabulate(runs: str | Path, out: str | Path, design: Design) -> list[Path]:
    """Write the tables of ``runs.csv`` into the folder ``out`` as CSV, Markdown and LaTeX.

    Returns:
        The paths written.
    """
    table = read_table(runs)
    judged, planned = check_table(table, design), design.cells()
    tickets = (table if planned is None else planned)["ticket"]
    reported = reported_for(table)
    return write_tables(table, out, tickets=tickets, verdicts=judged, reported=reported)
