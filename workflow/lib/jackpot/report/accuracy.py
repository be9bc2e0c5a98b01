"""Accuracy against sparsity: a point a check or a ticket, with every seed beside it."""

from collections.abc import Sequence
from dataclasses import replace
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from jackpot.analysis.frames import CELL, percent
from jackpot.report.panels import (
    ACCURACY,
    COMPRESSED,
    LETTER,
    Block,
    Scale,
    at_bottom,
    lay_out,
    nothing_yet,
    panel_rows,
    scale_for,
    ticket_blocks,
)
from jackpot.report.style import handle, line, styles_of
from jackpot.vocabulary import BLACK, GREY, TICKETS, words

_SPARSITY = "sparsity (% of weights removed)"
_LOST = Line2D([], [], color="#444444", marker="x", ls="", ms=6, label="diverged run")
# Inches that a mean and its bar take, so that neighbours stay apart.
_POINT = 0.075
_SEEDS = {"ls": "", "marker": "o", "ms": 2.2, "mew": 0, "alpha": 0.8}
# Inches a ticket's row.
_ROW = 0.2
# The share of a common y axis that every panel needs.
_LEAST_SHARE = 0.25


def accuracy_figure(runs: pd.DataFrame, shown: pd.DataFrame, panel: str | None, series: str):
    if shown.empty:
        return nothing_yet("no pruned run has finished")
    series_styles = styles_of(shown, series)
    dense = runs[runs["ticket"] == "dense"]
    # Once for all: asked for a series at a time, they took longer than all that is drawn.
    drawn = pd.concat([shown, dense])
    bars = _bars(drawn)
    bars_of_dense = bars[bars["ticket"] == "dense"]
    blocks, scales = _scaled(ticket_blocks(shown, panel), drawn, bars)
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
        scales[key].apply(ax)
        _draw_dense(ax, panel_rows(bars_of_dense, key[:2]))
        rows, cells = panel_rows(shown, key), panel_rows(bars, key)
        ticks = sorted(panel_rows(shown, key[:2])["sparsity"].unique())
        present = [name for name in series_styles if (rows[series] == name).any()]
        step = min(0.84 / len(present), 0.2)
        for index, name in enumerate(present):
            shift = (index - (len(present) - 1) / 2) * step
            mine, means = rows[rows[series] == name], cells[cells[series] == name]
            places = {sparsity: i + shift for i, sparsity in enumerate(ticks)}
            look = line(series_styles[name], **changes)
            _draw_points(ax, mine, means, places, 0.3 * step, look)
            if series == "check" and name == "none":
                for cell in means.itertuples():
                    middle = ticks.index(cell.sparsity)
                    ends = middle - 0.46, middle + 0.46
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


def _scaled(
    blocks: Sequence[Block], runs: pd.DataFrame, bars: pd.DataFrame
) -> tuple[list[Block], dict[tuple, Scale]]:
    """The blocks, and the y axis of every panel: its own where a common one is far too wide."""
    scaled, scales = [], {}
    for block in blocks:
        own = {key: _scale(key, runs, bars) for key, _ in block.panels}
        if block.shared:
            common = _scale(block.panels[0][0][:2], runs, bars)
            least = min(scale.high - scale.low for scale in own.values())
            # In two parts it has room where most runs are.
            if common.knee is not None or least > _LEAST_SHARE * (common.high - common.low):
                own = dict.fromkeys(own, common)
            else:
                block = replace(block, shared=False)
        scaled.append(block)
        scales |= own
    return scaled, scales


def _scale(key: tuple, runs: pd.DataFrame, bars: pd.DataFrame) -> Scale:
    """An axis with room for every run and every bar of ``key`` and of its dense network."""
    drawn, ends = (
        pd.concat([panel_rows(rows, key), panel_rows(rows[rows["ticket"] == "dense"], key[:2])])
        for rows in (runs, bars)
    )
    values = pd.concat([drawn["test_accuracy"], ends["low"], ends["high"]])
    return scale_for(values, drawn.loc[drawn["ticket"] != "dense", "test_accuracy"].dropna())


def accuracy_rows(runs: pd.DataFrame, shown: pd.DataFrame) -> Figure:
    """Accuracy of tickets that have one sparsity: a row a ticket, the best above."""
    drawn = pd.concat([shown, runs[runs["ticket"] == "dense"]])
    bars = _bars(drawn)
    (block,) = ticket_blocks(shown, None)
    names = [_best_first(panel_rows(drawn, pair)) for pair, _ in block.panels]
    letters = max(len(name) for of_panel in names for name in of_panel.values())
    heights = [_ROW * len(of_panel) + 0.1 for of_panel in names]
    size = (5 + LETTER * letters, sum(heights) + 0.85 * len(heights))
    figure = Figure(size, layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    axes = figure.subplots(len(names), squeeze=False, height_ratios=heights)[:, 0]
    for ax, (pair, title), labels in zip(axes, block.panels, names, strict=True):
        rows, cells = panel_rows(drawn, pair), panel_rows(bars, pair)
        scale = _scale(pair, drawn, bars)
        scale.apply(ax, "x")
        places = {ticket: place for place, ticket in enumerate(labels)}
        ax.plot(rows["test_accuracy"], rows["ticket"].map(places) + 0.28, **_SEEDS, c=GREY)
        reach = (cells["mean"] - cells["low"], cells["high"] - cells["mean"])
        look = {"fmt": "o", "c": BLACK, "ms": 4.5, "elinewidth": 1.0, "zorder": 3}
        ax.errorbar(cells["mean"], cells["ticket"].map(places), xerr=reach, **look)
        for mean in cells.loc[cells["ticket"] == "dense", "mean"]:
            ax.axvline(mean, color=GREY, ls="--", lw=1.3, zorder=0.6)
        ax.set_yticks(range(len(places)), labels.values())
        ax.set_ylim(len(places) - 0.45, -0.55)
        ax.tick_params(axis="y", length=0)
        ax.set_title(fill(f"{title}, {percent(rows['sparsity'].max())}", 55))
        knee = "" if scale.knee is None else f"; compressed below {scale.knee:g}"
        ax.set_xlabel(ACCURACY + knee)
    return figure


def _best_first(runs: pd.DataFrame) -> dict[str, str]:
    """The tickets by their mean accuracy, and what each row says."""
    tickets = runs.groupby("ticket").agg({"test_accuracy": "mean", "diverged": "sum"})
    tickets = tickets.sort_values("test_accuracy", ascending=False, kind="stable")
    return {
        ticket: words(ticket) + (f" ({lost} diverged)" if lost else "")
        for ticket, lost in tickets["diverged"].items()
    }


def _draw_dense(ax: Axes, bars: pd.DataFrame) -> None:
    style = TICKETS["dense"]
    for bar in bars.itertuples():
        ax.axhspan(bar.low, bar.high, color=style.colour, alpha=0.18, lw=0, zorder=0.5)
        ax.axhline(bar.mean, color=style.colour, ls=style.dash, lw=1.3, zorder=0.6)


def _draw_points(
    ax: Axes, rows: pd.DataFrame, bars: pd.DataFrame, places: dict, aside: float, look: dict
) -> None:
    """Mean and standard deviation of one series, and its seeds ``aside``: bars would hide them."""
    x, colour = rows["sparsity"].map(places), look["color"]
    ax.plot(x - aside, rows["test_accuracy"], **_SEEDS, c=colour)
    where, mean = bars["sparsity"].map(places), bars["mean"]
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
