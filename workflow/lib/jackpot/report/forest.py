"""The forest plot: the difference and the verdict of every cell in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from jackpot.analysis.frames import flag, percent, sort_cells
from jackpot.report.panels import add_legend
from jackpot.report.style import ON_WHITE, by_ingredient, handle, ingredient, line
from jackpot.report.words import AT_CHANCE
from jackpot.vocabulary import VERDICTS, in_order, own_first, styles, words

# Inches: a row, the axis, the space around columns, the axis' own numbers and label.
_ROW, _AXIS, _EDGE, _BELOW = 0.17, 3.3, 0.16, 0.46
# Where the numbers of a row stand, in inches left of the axis, and how wide a letter is at most.
_SPARSITY, _N, _LETTER = 0.52, 0.18, 0.064
_TEXT, _MUTED, _BAND = 7.5, "#555555", "#e2e2e2"
# As many lines as stand in one column before a second one is begun.
_ONE_COLUMN = 36
# Letters on one line: longer names go on below, or the axis would be the smaller part of a column.
_HEADING_LETTERS, _CHECK_LETTERS, _INGREDIENT_LETTERS = 60, 22, 12


@dataclass(frozen=True)
class _Line:
    """A line of the picture: a heading, or a cell with the words that its row shows.

    A long name has lines of its own where its cells are fewer than its lines.
    """

    heading: str = ""
    cell: dict | None = None
    ingredient: str = ""
    check: str = ""
    rule: bool = False


def forest(verdicts: pd.DataFrame) -> Figure:
    """One row a cell of ``verdicts.csv``: mean paired difference, intervals, margin, verdict."""
    # A table of before lacks the last column.
    rows = _sorted(verdicts.reindex(columns=verdicts.columns.union(["at_chance"], sort=False)))
    # Where the wider of a cell's two intervals ends; a cell without one ends at its mean.
    ends = ["mean_difference", "ci95_low", "ci95_high", "ci_repeated_low", "ci_repeated_high"]
    rows["low"], rows["high"] = rows[ends].min(axis=1), rows[ends].max(axis=1)
    columns = _columns(_groups(rows))
    check = _SPARSITY + 0.45 + _LETTER * max(len(text.check) for text in chain(*columns))
    wide = check + 0.1 + _LETTER * max(len(text.ingredient) for text in chain(*columns))
    column = wide + _AXIS + _EDGE
    width = len(columns) * column + _EDGE
    figure = Figure(figsize=(width, 4))
    FigureCanvasAgg(figure)
    looks_matter = bool((rows["ci_repeated_low"] < rows["ci95_low"] - 1e-9).any())
    legend = add_legend(figure, _handles(rows, looks_matter), width)
    height = legend + max(map(len, columns)) * _ROW + _BELOW
    figure.set_size_inches(width, height)
    figure.legends[0].set_bbox_to_anchor((0.5, 1 - 0.05 / height), figure.transFigure)
    limits = _limits(rows)
    change = "change in test accuracy (points)"
    if (looks := rows["looks"].max()) > 1:
        change += f" after look {rows['look'].max()} of {looks}"
    for index, lines in enumerate(columns):
        left, tall = index * column + _EDGE + wide, len(lines) * _ROW
        box = (left / width, 1 - (legend + tall) / height, _AXIS / width, tall / height)
        ax = figure.add_axes(box)
        _set_up(ax, len(lines), limits, rows["margin"].max())
        ax.set_xlabel(change)
        for y, text in enumerate(lines):
            _write(ax, y, text, check, wide)
            if text.cell:
                _draw_cell(ax, y, text.cell, limits)
    return figure


def _sorted(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Rows by dataset, model, ticket (own first), what is spoiled, check and sparsity."""
    rows = sort_cells(verdicts)
    rows["ingredient"] = rows["check"].map(ingredient)
    orders = {"ticket": own_first(rows["ticket"]), "check": by_ingredient(rows["check"])}

    def position(column: pd.Series) -> pd.Series:
        return column.map(orders[column.name].index) if column.name in orders else column

    by = ["dataset", "model", "ticket", "check"]
    return rows.sort_values(by, key=position, kind="stable")


def _groups(rows: pd.DataFrame) -> list[list[_Line]]:
    """The lines of every ticket: a heading and its cells; what repeats is written once."""
    several = len(rows[["dataset", "model"]].drop_duplicates()) > 1
    groups = []
    for (dataset, model, ticket), part in rows.groupby(["dataset", "model", "ticket"], sort=False):
        title = f"{dataset} · {model} · {words(ticket)}" if several else words(ticket)
        headings = wrap(title, _HEADING_LETTERS)
        lines = [_Line(heading, rule=not i) for i, heading in enumerate(headings)]
        for name, spoiled in part.groupby("ingredient", sort=False):
            checked = []
            for check, cells in spoiled.groupby("check", sort=False):
                names = wrap(words(check), _CHECK_LETTERS, subsequent_indent="  ")
                checked += zip_longest(names, cells.to_dict("records"))
            for text, row in zip_longest(
                wrap(name, _INGREDIENT_LETTERS, subsequent_indent="  "), checked
            ):
                check, cell = row or ("", None)
                lines.append(_Line("", cell, text or "", check or ""))
        groups.append(lines)
    return groups


def _columns(groups: Sequence[list[_Line]]) -> list[list[_Line]]:
    """The groups one below another, in two columns of about one height where they are many."""
    heights = np.cumsum([len(group) for group in groups])
    parts = [groups]
    if heights[-1] > _ONE_COLUMN and len(groups) > 1:
        cut = 1 + int(np.argmin(np.maximum(heights, heights[-1] - heights)[:-1]))
        parts = [groups[:cut], groups[cut:]]
    # The first line of a column is for the heads of what stands beside the axis.
    return [[_Line(), *chain.from_iterable(part)] for part in parts]


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """The x axis: room for the margin and for most cells; one far out of many is clipped."""
    margin = rows["margin"].max()

    def reach(ends: pd.Series) -> float:
        ends = ends.fillna(0.0)
        most = max(10 * margin, ends.median())
        if len(ends) > 10:
            most = min(2 * ends.quantile(0.9, interpolation="lower"), most)
        return 1.06 * max(min(most, ends.max()), 2 * margin)

    return -reach(-rows["low"]), reach(rows["high"])


def _handles(rows: pd.DataFrame, looks_matter: bool) -> list[Artist]:
    known = styles(in_order(rows["verdict"], VERDICTS), VERDICTS)
    handles: list[Artist] = [handle(style, linestyle="") for style in known.values()]
    handles.append(Line2D([], [], color=_MUTED, lw=2, label="95 % interval"))
    if looks_matter:
        label = "95 % interval that allows for all looks"
        handles.append(Line2D([], [], color=_MUTED, lw=0.8, alpha=0.7, label=label))
    margin = f"within the margin of ±{rows['margin'].max():g} points"
    handles.append(Patch(color=_BAND, label=margin))
    if rows["at_chance"].map(flag).any():
        marker = {"marker": f"${AT_CHANCE}$", "color": _MUTED, "linestyle": ""}
        handles.append(Line2D([], [], label="ticket no better than guessing", **marker))
    return handles


def _set_up(ax: Axes, lines: int, limits: tuple[float, float], margin: float) -> None:
    ax.set(xlim=limits, ylim=(lines, 0), yticks=[])
    ax.axvspan(-margin, margin, color=_BAND, lw=0, zorder=0)
    ax.axvline(0, color="#333333", lw=0.8, zorder=1)
    ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(lambda value, _: _signed(value, "+g") if value else "0")
    ax.spines["left"].set_visible(False)
    for left, text in ((_SPARSITY, "sparsity"), (_N, "n")):
        _text(ax, left, 0, text, ha="right", color=_MUTED)


def _write(ax: Axes, y: int, row: _Line, check: float, wide: float) -> None:
    _text(ax, wide, y, row.heading, weight="bold", fontsize=8.5)
    if row.rule and y > 1:
        look = {"color": "#bbbbbb", "lw": 0.6, "transform": ax.get_yaxis_transform()}
        ax.plot((-wide / _AXIS, 1), (y - 0.02, y - 0.02), clip_on=False, **look)
    _text(ax, wide, y, row.ingredient, color=_MUTED)
    _text(ax, check, y, row.check)
    if row.cell:
        mark = f"{AT_CHANCE} " * flag(row.cell["at_chance"])
        _text(ax, _SPARSITY, y, mark + percent(row.cell["sparsity"]), ha="right")
        _text(ax, _N, y, f"{row.cell['n']:.0f}", ha="right")


def _text(ax: Axes, left: float, y: int, text: str, **changes) -> None:
    """``text`` on line ``y``, ``left`` inches left of the axis."""
    look = {"va": "center", "fontsize": _TEXT, "transform": ax.get_yaxis_transform(), **changes}
    ax.text(-left / _AXIS, y + 0.55, text, **look)


def _draw_cell(ax: Axes, y: int, cell: dict, limits: tuple[float, float]) -> None:
    style = styles([cell["verdict"]], VERDICTS)[cell["verdict"]]
    mean, y = cell["mean_difference"], y + 0.5
    if pd.isna(mean):
        look = {"ha": "center", "va": "center", "fontsize": 7, "color": _MUTED, "bbox": ON_WHITE}
        ax.text(0.5, y, "no pair with an accuracy", transform=ax.get_yaxis_transform(), **look)
        return
    for name, look in (("ci_repeated", {"lw": 0.8, "alpha": 0.7}), ("ci95", {"lw": 2.0})):
        ends = (cell[f"{name}_low"], cell[f"{name}_high"])
        ax.plot(np.clip(ends, *limits), (y, y), c=style.colour, solid_capstyle="butt", **look)
    inset = 0.045 * (limits[1] - limits[0])
    for limit, beyond, marker, side in (
        (limits[0], cell["low"] < limits[0], "<", 1),
        (limits[1], cell["high"] > limits[1], ">", -1),
    ):
        if beyond:
            ax.plot(limit, y, marker, c=style.colour, ms=4.5, mew=0, clip_on=False, zorder=4)
        if (mean - limit) * side < 0:
            # The whole cell lies outside: its symbol and its number stand at the edge.
            at = {"ha": "left" if side > 0 else "right", "va": "center_baseline", "fontsize": 7}
            number = _signed(mean, "+.1f")
            ax.text(limit + 2 * inset * side, y, number, zorder=6, bbox=ON_WHITE, **at)
            mean = limit + inset * side
    ax.plot(mean, y, zorder=5, **line(style, linestyle="", markersize=6))


def _signed(value: float, form: str) -> str:
    return format(value, form).replace("-", "−")
