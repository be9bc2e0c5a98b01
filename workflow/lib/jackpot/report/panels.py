"""Panels laid out in inches, so that no label ever meets another, whatever their number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.scale import FuncScale
from matplotlib.ticker import FixedLocator, MaxNLocator

from jackpot.vocabulary import own_first, words

ACCURACY = "test accuracy (%)"
# Inches of a letter of a small note, at most, and of a panel's title.
LETTER, _TITLE_LETTER = 0.068, 0.088
# How wide a panel is in inches, by the number of columns.
_PANEL_WIDTH = {1: 6.0, 2: 4.4, 3: 3.1, 4: 2.5}
_PANEL_HEIGHT = 2.0
_LEFT, _RIGHT, _GAP, _OWN_AXIS = 0.72, 0.14, 0.2, 0.3
_TITLE, _TITLE_LINE, _TICKS, _XLABEL, _BLOCK = 0.28, 0.155, 0.26, 0.22, 0.36


@dataclass(frozen=True)
class Block:
    """Panels that belong together, such as those of one dataset and model.

    ``panels`` holds each panel's key and its title; ``title`` may be empty. They share a y axis
    unless ``shared`` is false.
    """

    title: str
    panels: Sequence[tuple[object, str]]
    shared: bool = True


def lay_out(
    blocks: Sequence[Block],
    handles: Sequence[Artist],
    xlabel: str,
    ylabel: str,
    least_width: float = 0.0,
) -> tuple[Figure, dict[object, Axes]]:
    """A figure with the legend above, then every block with its panels wrapped into rows.

    Args:
        least_width: inches that a panel needs, if there is room for that.

    Returns:
        The figure and the axes of every panel by its key.
    """
    columns = _columns(blocks, least_width)
    panel = _PANEL_WIDTH[columns]
    gap = _GAP if all(block.shared for block in blocks) else _GAP + _OWN_AXIS
    width = _LEFT + columns * panel + (columns - 1) * gap + _RIGHT
    letters = int((panel + 0.1) / _TITLE_LETTER)
    blocks = [
        replace(block, panels=[(key, fill(title, letters)) for key, title in block.panels])
        for block in blocks
    ]
    figure = Figure(figsize=(width, 4))
    FigureCanvasAgg(figure)
    legend_height = add_legend(figure, handles, width)
    height = legend_height + sum(_height(block, columns) for block in blocks) + 0.08
    figure.set_size_inches(width, height)
    figure.legends[0].set_bbox_to_anchor((0.5, 1 - 0.05 / height), figure.transFigure)

    axes: dict[object, Axes] = {}
    top = legend_height
    for block in blocks:
        _draw_block(figure, block, columns, (panel, gap), top, axes, (xlabel, ylabel))
        top += _height(block, columns)
    return figure, axes


def _columns(blocks: Sequence[Block], least_width: float) -> int:
    """As few rows as fit, filled evenly: five panels go 3 + 2, not 4 + 1."""
    fitting = [columns for columns, width in _PANEL_WIDTH.items() if width >= least_width]
    most = max(len(block.panels) for block in blocks)
    return ceil(most / ceil(most / max(fitting, default=1)))


def _row_height(block: Block) -> float:
    lines = max(title.count("\n") for _, title in block.panels)
    return _TITLE + lines * _TITLE_LINE + _PANEL_HEIGHT + _TICKS


def _height(block: Block, columns: int) -> float:
    rows = ceil(len(block.panels) / columns)
    return (_BLOCK if block.title else 0.08) + rows * _row_height(block) + _XLABEL


def add_legend(figure: Figure, handles: Sequence[Artist], width: float) -> float:
    """Add a legend with as many columns as fit in ``width`` inches; its height in inches."""
    for columns in range(min(len(handles), 6), 0, -1):
        legend = figure.legend(
            handles=list(handles),
            loc="upper center",
            ncols=columns,
            handlelength=3.0,
            columnspacing=1.6,
            borderpad=0.2,
            borderaxespad=0,
        )
        box = legend.get_window_extent(figure.canvas.get_renderer())
        if box.width / figure.dpi <= width - 0.1 or columns == 1:
            return box.height / figure.dpi + 0.12
        legend.remove()
    raise AssertionError("a figure without a series has no legend to measure")


def _draw_block(figure, block, columns, sizes, top, axes, labels) -> None:
    width, height = figure.get_size_inches()
    (panel, gap), (xlabel, ylabel) = sizes, labels
    first = None
    if block.title:
        figure.text(
            0.1 / width,
            1 - (top + 0.16) / height,
            block.title,
            fontsize=11,
            fontweight="bold",
            va="center",
        )
        top += _BLOCK
    else:
        top += 0.08
    for index, (key, title) in enumerate(block.panels):
        row, column = divmod(index, columns)
        bottom = top + (row + 1) * _row_height(block) - _TICKS
        left = _LEFT + column * (panel + gap)
        box = (left / width, 1 - bottom / height, panel / width, _PANEL_HEIGHT / height)
        ax = figure.add_axes(box, sharey=first if block.shared else None)
        first = first or ax
        # At a place of its own: Matplotlib would measure every label to find the same one.
        ax.set_title(title, y=1.0)
        if column == 0:
            ax.set_ylabel(ylabel)
        elif block.shared:
            ax.tick_params(labelleft=False)
        if index + columns >= len(block.panels):
            ax.set_xlabel(xlabel)
        axes[key] = ax


def ticket_blocks(frame: pd.DataFrame, panel: str | None) -> list[Block]:
    """A block per dataset and model with a panel per ticket, or one block with them as panels."""
    pairs = list(dict.fromkeys(zip(frame["dataset"], frame["model"], strict=True)))
    if panel is None:
        return [Block("", [(pair, " · ".join(pair)) for pair in pairs], shared=False)]
    blocks = []
    for dataset, model in pairs:
        part = frame[(frame["dataset"] == dataset) & (frame["model"] == model)]
        names = own_first(part[panel])
        panels = [((dataset, model, name), words(name)) for name in names]
        blocks.append(Block(f"{dataset} · {model}", panels))
    return blocks


def panel_rows(frame: pd.DataFrame, key: tuple) -> pd.DataFrame:
    chosen = (frame["dataset"] == key[0]) & (frame["model"] == key[1])
    if len(key) > 2:
        chosen &= frame["ticket"] == key[2]
    return frame[chosen]


def nothing_yet(what: str) -> Figure:
    """A figure that says what is absent, so that a half-finished study still has its page."""
    figure = Figure(figsize=(5, 1))
    figure.text(0.5, 0.5, f"Nothing to draw yet: {what}.", ha="center", va="center")
    return figure


def panel_inches(ax: Axes) -> tuple[float, float]:
    box = ax.get_position()
    width, height = ax.figure.get_size_inches()
    return box.width * width, box.height * height


def at_bottom(ax: Axes, colour: str) -> dict:
    """Keyword arguments for crosses at a height that is a share of the axis."""
    cross = {"ls": "", "marker": "x", "ms": 4.5, "mec": colour, "mew": 1.1, "zorder": 7}
    return {**cross, "transform": ax.get_xaxis_transform()}


# -- an axis with room where the data are ---------------------------------------------------------


def owns_y(ax: Axes) -> bool:
    """Whether an axis is set up here: panels that share one have it of their first.

    Matplotlib sets up all of them at each, which takes the square of their number.
    """
    return ax.get_shared_y_axes().get_siblings(ax)[0] is ax


# The share of the axis that the lower part of a scale in two parts has.
_LOWER = 0.28
COMPRESSED = Patch(color="#f6eed9", label="compressed part of the axis")


@dataclass(frozen=True)
class Scale:
    """A y axis from ``low`` to ``high``; below ``knee``, on grey, it is compressed.

    Both parts are linear. Without a ``knee`` there is one part.
    """

    low: float
    high: float
    knee: float | None = None

    def apply(self, ax: Axes, along: str = "y") -> None:
        """Set the scale, ticks and limits of ``ax``, of its x axis if ``along`` is x."""
        if along == "x" or owns_y(ax):
            self._set_up(ax, getattr(ax, f"{along}axis"), along)
        if self.knee is not None:
            span, rule = (ax.axhspan, ax.axhline) if along == "y" else (ax.axvspan, ax.axvline)
            span(self.low, self.knee, color=COMPRESSED.get_facecolor(), lw=0, zorder=0)
            rule(self.knee, color="#b9a36a", lw=0.8, zorder=0.3)

    def _set_up(self, ax: Axes, axis: Axis, along: str) -> None:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        if self.knee is not None:
            ax.set(**{f"{along}scale": FuncScale(axis, (self._place_of, self._value_at))})
            axis.set_major_locator(FixedLocator(self._ticks()))
            axis.set_major_formatter("{x:g}")
        ax.set(**{f"{along}lim": (self.low, self.high)})

    def _ticks(self) -> list[float]:
        lower = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(self.low, self.knee)
        upper = _LOCATOR.tick_values(self.knee, self.high)
        # Nearer to the knee, which has its own, labels would meet.
        below = self.knee - 0.3 * (self.knee - self.low)
        above = self.knee + 0.1 * (self.high - self.knee)
        ticks = [tick for tick in lower if self.low <= tick <= below]
        return [*ticks, self.knee, *(tick for tick in upper if above <= tick <= self.high)]

    def _slopes(self) -> tuple[float, float]:
        return _LOWER / (self.knee - self.low), (1 - _LOWER) / (self.high - self.knee)

    def _place_of(self, value):
        below, above = self._slopes()
        value = np.asarray(value, float) - self.knee
        return np.where(value < 0, value * below, value * above)

    def _value_at(self, place):
        below, above = self._slopes()
        place = np.asarray(place, float)
        return self.knee + np.where(place < 0, place / below, place / above)


_LOCATOR = MaxNLocator(5, steps=[1, 2, 5, 10])


def scale_for(values: pd.Series, typical: pd.Series) -> Scale:
    """The scale that holds all ``values``, with most of its room where the ``typical`` are."""
    if typical.empty:
        return Scale(0.0, 100.0)
    low, high = values.min(), values.max()
    # Normal values lie within three times this, so spread alone does not split an axis.
    knee = typical.max() - 3 * max(typical.max() - typical.median(), 0.1)
    if knee - low > 2 * (high - knee):
        knee = _LOCATOR.tick_values(knee, high)[0]
        return Scale(low - 0.15 * (knee - low), high + 0.06 * (high - knee), knee)
    pad = max(0.06 * (high - low), 0.25)
    return Scale(low - pad, high + pad)
