"""One figure from a table of results."""

from collections.abc import Mapping
from pathlib import Path

from jackpot.analysis.frames import own_ingredients
from jackpot.errors import JackpotError
from jackpot.files.tables import read_table
from jackpot.report import figures
from jackpot.report.style import draw_and_save
from jackpot.vocabulary import SOURCE_OF_FIGURE


def draw(
    figure: str, table: str | Path, out: str | Path, ingredients: Mapping[str, str] | None = None
) -> list[Path]:
    """Draw ``figure`` from a CSV file as ``<out>.svg``, ``.pdf`` and ``.png``.

    Args:
        ingredients: what each of the study's own checks spoils.

    Returns:
        The paths written.

    Raises:
        JackpotError: the table is missing, damaged, or not the one that the figure is drawn from.
    """
    with own_ingredients(ingredients or {}):
        rows = read_table(table)
        try:
            return draw_and_save(getattr(figures, figure), rows, out)
        except KeyError as error:
            raise JackpotError(
                f"{table}: lacks columns of {SOURCE_OF_FIGURE[figure]}.csv, which the figure "
                f"{figure} is drawn from: {error}"
            ) from error
