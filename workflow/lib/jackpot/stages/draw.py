"""One figure from a table of results."""

from collections.abc import Mapping
from pathlib import Path

from jackpot.analysis.frames import own_ingredients
from jackpot.files.tables import read_table
from jackpot.report import figures
from jackpot.report.style import draw_and_save


def draw(
    figure: str, table: str | Path, out: str | Path, ingredients: Mapping[str, str] | None = None
) -> list[Path]:
    """Draw ``figure`` from a CSV file as ``<out>.svg``, ``.pdf`` and ``.png``.

    Args:
        ingredients: what each of the study's own checks spoils.

    Returns:
        The paths written.
    """
    with own_ingredients(ingredients or {}):
        return draw_and_save(getattr(figures, figure), read_table(table), out)
