"""Panels laid out in inches, so that no label ever meets another, whatever their number."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

MAX_COLUMNS = 4
_PANEL_WIDTH = {1: 4.8, 2: 3.6, 3: 3.0, 4: 2.65}
_PANEL_HEIGHT = 2.0
_LEFT, _RIGHT, _GAP = 0.72, 0.14, 0.2
_TITLE, _TICKS, _XLABEL, _BLOCK = 0.28, 0.26, 0.22, 0.36


@dataclass(frozen=True)
class Block:
    """Panels that belong together and share a y axis, such as one dataset and model.

    ``panels`` holds each panel's key and its title; ``title`` may be empty.
    """

    title: str
    panels: Sequence[tuple[object, str]]


def lay_out(
    blocks: Sequence[Block], handles: Sequence[Line2D], xlabel: str, ylabel: str
) -> tuple[Figure, dict[object, Axes]]:
    """A figure with the legend above, then every block with its panels wrapped into rows.

    Returns:
        The figure and the axes of every panel by its key.
    """
    columns = _columns(blocks)
    panel = _PANEL_WIDTH[columns]
    width = _LEFT + columns * panel + (columns - 1) * _GAP + _RIGHT
    figure = Figure(figsize=(width, 4))
    FigureCanvasAgg(figure)
    legend, legend_height = _legend(figure, handles, width)
    height = legend_height + sum(_height(block, columns) for block in blocks) + 0.08
    figure.set_size_inches(width, height)
    legend.set_bbox_to_anchor((0.5, 1 - 0.05 / height), figure.transFigure)

    axes: dict[object, Axes] = {}
    top = legend_height
    for block in blocks:
        _draw_block(figure, block, columns, panel, top, axes, (xlabel, ylabel))
        top += _height(block, columns)
    return figure, axes


def _columns(blocks: Sequence[Block]) -> int:
    """As few rows as ``MAX_COLUMNS`` allows, filled evenly: five panels go 3 + 2, not 4 + 1."""
    most = max(len(block.panels) for block in blocks)
    return ceil(most / ceil(most / MAX_COLUMNS))


def _row_height() -> float:
    return _TITLE + _PANEL_HEIGHT + _TICKS


def _height(block: Block, columns: int) -> float:
    rows = ceil(len(block.panels) / columns)
    return (_BLOCK if block.title else 0.08) + rows * _row_height() + _XLABEL


def _legend(figure: Figure, handles: Sequence[Line2D], width: float) -> tuple[Legend, float]:
    """The legend with as many columns as fit in ``width`` inches, and its height in inches."""
    for columns in range(min(len(handles), 6), 0, -1):
        legend = figure.legend(
            handles=list(handles),
            loc="upper center",
            ncols=columns,
            handlelength=3.4,
            columnspacing=1.6,
            borderpad=0.2,
            borderaxespad=0,
        )
        box = legend.get_window_extent(figure.canvas.get_renderer())
        if box.width / figure.dpi <= width - 0.1 or columns == 1:
            return legend, box.height / figure.dpi + 0.12
        legend.remove()
    raise AssertionError("a figure without a series has no legend to measure")


def _draw_block(figure, block, columns, panel, top, axes, labels) -> None:
    width, height = figure.get_size_inches()
    xlabel, ylabel = labels
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
        bottom = top + row * _row_height() + _TITLE + _PANEL_HEIGHT
        left = _LEFT + column * (panel + _GAP)
        box = (left / width, 1 - bottom / height, panel / width, _PANEL_HEIGHT / height)
        ax = figure.add_axes(box, sharey=first)
        first = first or ax
        ax.set_title(title)
        if column == 0:
            ax.set_ylabel(ylabel)
        else:
            ax.tick_params(labelleft=False)
        if index + columns >= len(block.panels):
            ax.set_xlabel(xlabel)
        axes[key] = ax
