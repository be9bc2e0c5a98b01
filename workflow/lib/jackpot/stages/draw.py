"""One figure from a table of results."""

from pathlib import Path

from jackpot.files.tables import read_table
from jackpot.report import figures


def draw(figure: str, table: str | Path, out: str | Path) -> None:
    """Draw ``figure`` from a CSV file as ``<out>.svg``, ``.pdf`` and ``.png``."""
    getattr(figures, figure)(read_table(table), out)
