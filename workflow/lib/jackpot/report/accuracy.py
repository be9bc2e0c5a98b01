"""Accuracy against sparsity: a point a check or a ticket, with every seed beside it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from jackpot.analysis.frames import (
    CELL,
)
from jackpot.report.panels import (
    ACCURACY,
    COMPRESSED,
    Scale,
    at_bottom,
    lay_out,
    nothing_yet,
    panel_rows,
    scale_for,
    ticket_blocks,
)
from jackpot.report.style import handle, line, styles_of
from jackpot.vocabulary import BLACK, TICKETS

_SPARSITY = "sparsity (% of weights removed)"
_LOST = Line2D([], [], color="#444444", marker="x", ls="", ms=6, label="diverged run")
# Inches that a mean and its bar take, so that neighbours stay apart.
_POINT = 0.075


def accuracy_figure(runs: pd.DataFrame, shown: pd.DataFrame, panel: str | None, series: str):
    if shown.empty:
        return nothing_yet("no pruned run has finished")
    series_styles = styles_of(shown, series)
    dense = runs[runs["ticket"] == "dense"]
    blocks = ticket_blocks(shown, panel)
    # Once for all: asked for a series at a time, they took longer than all that is drawn.
    bars, bars_of_dense = _bars(shown), _bars(dense)
    scales = _scales(shown, dense, pd.concat([bars, bars_of_dense]))
    # Checks stand beside the original, which has a line of its own; tickets have a trend.
    changes = {"linewidth": 0.9} if series == "ticket" else {"linestyle": ""}
    handles = [handle(style, **changes) for style in series_styles.values()]
    handles += [handle(TICKETS["dense"])] if len(dense) else []
    handles += [_LOST] if shown["diverged"].any() else []
    handles += [COMPRESSED] if any(scale.knee is not None for scale in scales.values()) else []
    sparsities = shown.groupby(["dataset", "model"])["sparsity"].nunique().max()
    room = _POINT * sparsities * len(series_styles)
    figure, axes = lay_out(blocks, handles, _SPARSITY, ACCURACY, room)
    for key, ax in axes.items():
        scales[key[:2]].apply(ax)
        _draw_dense(ax, panel_rows(bars_of_dense, key[:2]))
        rows, cells = panel_rows(shown, key), panel_rows(bars, key)
        ticks = sorted(panel_rows(shown, key[:2])["sparsity"].unique())
        present = [name for name in series_styles if (rows[series] == name).any()]
        step = min(0.84 / len(present), 0.2)
        for index, name in enumerate(present):
            shift = (index - (len(present) - 1) / 2) * step
            mine, means = rows[rows[series] == name], cells[cells[series] == name]
            places = {sparsity: i for i, sparsity in enumerate(ticks)}
            _draw_points(ax, mine, means, places, shift, line(series_styles[name], **changes))
            if series == "check" and name == "none":
                for cell in means.itertuples():
                    ends = places[cell.sparsity] - 0.46, places[cell.sparsity] + 0.46
                    ax.hlines(cell.mean, *ends, color=BLACK, lw=0.8, zorder=1.5)
        _sparsity_axis(ax, ticks)
    return figure


def _bars(runs: pd.DataFrame) -> pd.DataFrame:
    """``mean`` of every cell that has an accuracy, and its bar from ``low`` to ``high``."""
    cells = runs.groupby(CELL, sort=False).agg(
        mean=("test_accuracy", "mean"), sd=("test_accuracy", "std"), collapsed=("collapsed", "any")
    )
    # Where a run collapsed to chance, a bar would cross the whole panel and say nothing.
    sd = cells["sd"].where(~cells["collapsed"], 0.0).fillna(0.0)
    # No accuracy is beyond these, and room for a bar that is would be taken from all others.
    cells["low"] = (cells["mean"] - sd).clip(lower=0)
    cells["high"] = (cells["mean"] + sd).clip(upper=100)
    return cells.dropna(subset="mean").reset_index()


def _scales(shown: pd.DataFrame, dense: pd.DataFrame, bars: pd.DataFrame) -> dict[tuple, Scale]:
    """The y axis of every dataset and model, with room for every run and every bar."""
    scales = {}
    for pair, rows in shown.groupby(["dataset", "model"]):
        drawn = pd.concat([rows, panel_rows(dense, pair)])
        ends = panel_rows(bars, pair)
        values = pd.concat([drawn["test_accuracy"].dropna(), ends["low"], ends["high"]])
        scales[pair] = scale_for(values, rows["test_accuracy"].dropna())
    return scales


def _draw_dense(ax: Axes, bars: pd.DataFrame) -> None:
    style = TICKETS["dense"]
    for bar in bars.itertuples():
        ax.axhspan(bar.low, bar.high, color=style.colour, alpha=0.18, lw=0, zorder=0.5)
        ax.axhline(bar.mean, color=style.colour, ls=style.dash, lw=1.3, zorder=0.6)


def _draw_points(
    ax: Axes, rows: pd.DataFrame, bars: pd.DataFrame, places: dict, shift: float, look: dict
) -> None:
    """Mean, standard deviation and single seeds of one series, ``shift`` from its sparsities."""
    x, colour = rows["sparsity"].map(places) + shift, look["color"]
    ax.plot(x, rows["test_accuracy"], ls="", marker="o", ms=2.2, mew=0, alpha=0.5, c=colour)
    where, mean = bars["sparsity"].map(places) + shift, bars["mean"]
    reach = (mean - bars["low"], bars["high"] - mean)
    ax.errorbar(where, mean, reach, elinewidth=1.0, zorder=3, **look)
    lost = x[rows["diverged"]]
    if len(lost):
        ax.plot(lost, np.full(len(lost), 0.04), **at_bottom(ax, colour))


def _sparsity_axis(ax: Axes, ticks: Sequence[float]) -> None:
    """Sparsities as categories: 98 and 99.5 are further apart than they look."""
    ax.set_xticks(range(len(ticks)), [f"{100 * sparsity:g}" for sparsity in ticks])
    ax.set_xlim(-0.55, len(ticks) - 0.45)
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False, axis="x")
    for place in range(1, len(ticks)):
        ax.axvline(place - 0.5, color="#d0d0d0", lw=0.7, zorder=0.4)
