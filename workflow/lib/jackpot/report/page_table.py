"""What a table of the page is made of: its cells, as text and as what they are sorted by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jackpot.analysis.frames import percent
from jackpot.analysis.tables import DASH, p_text, points
from jackpot.vocabulary import words


@dataclass(frozen=True)
class TableCell:
    """What a cell shows, and what it is sorted by and saved as where that differs."""

    text: str
    value: Any = None
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """A column's head; ``kind`` is ``text`` or ``number``."""

    label: str
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """A table of the page; ``headers`` counts the leading columns that name a row."""

    id: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[TableCell]]
    headers: int = 1
    note: str = ""


def number_cell(value: Any, form: str = "{:.2f}") -> TableCell:
    if pd.isna(value):
        return TableCell(DASH, "")
    value = float(value)
    return TableCell(form.format(value), int(value) if value.is_integer() else value)


def difference_cell(value: Any) -> TableCell:
    return TableCell(points(value), number_cell(value).value)


def sparsity_cell(value: float) -> TableCell:
    return TableCell(percent(value), float(value))


def name_cell(value: Any) -> TableCell:
    return TableCell(words(value), value)


def p_cells(row: Mapping) -> list[TableCell]:
    return [
        TableCell(p_text(row[name]), "" if pd.isna(row[name]) else float(row[name]))
        for name in ("p_difference_holm", "p_equivalence_holm")
    ]


def interval_cell(row: Mapping, name: str) -> TableCell:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return (
        TableCell(DASH, "")
        if pd.isna(low) or pd.isna(high)
        else TableCell(f"{points(low)} to {points(high)}")
    )
