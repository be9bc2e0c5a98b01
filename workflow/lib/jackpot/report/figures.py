"""The figures of a study, drawn from its tidy tables alone; nothing here trains or loads a model.

Each function takes the table and a path without suffix, writes ``.svg``, ``.pdf`` and ``.png``
there, and returns the three paths. The same numbers always give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from jackpot.analysis.frames import mask_densities, percent, prepare_runs, sort_cells
from jackpot.report.panels import Block, lay_out
from jackpot.report.style import CHECK_LOOKS, DENSE, TICKET_LOOKS, Look, draw_and_save, looks
from jackpot.vocabulary import TICKETS, in_order, words

_ACCURACY = "test accuracy (%)"
_SPARSITY = "sparsity (% of weights removed)"
_LOST = Line2D([], [], color="#444444", marker="x", ls="", ms=6, label="diverged run")
_BELOW = Line2D(
    [], [], color="#444444", marker="v", mfc="none", ls="", ms=6, label="run below the axis"
)
_COLLAPSED = Line2D([], [], color="#444444", marker="x", ls="", ms=6, label="collapsed layer")


def sanity_checks(runs: pd.DataFrame, out_stem: str | Path) -> list[Path]:
    """Accuracy against sparsity, a panel per model and ticket, a line per check.

    Points are means over seeds, bars one standard deviation, small dots the single seeds; the grey
    line and band are the dense network. Tickets that no check was run on are left out, unless
    there is no other. The figure of Su et al. 2020 (figures 2 and 3) and of its reproduction.
    """
    runs = prepare_runs(runs)
    pruned = runs[runs["ticket"] != "dense"]
    panel = [pruned[name] for name in ("dataset", "model", "ticket")]
    checked = (pruned["check"] != "none").groupby(panel).transform("any")
    shown = pruned[checked] if checked.any() else pruned
    return draw_and_save(lambda: _accuracy_figure(runs, shown, "ticket", "check"), out_stem)


def tickets(runs: pd.DataFrame, out_stem: str | Path) -> list[Path]:
    """Accuracy against sparsity of every unspoiled ticket, a panel per dataset and model."""
    runs = prepare_runs(runs)
    shown = runs[(runs["ticket"] != "dense") & (runs["check"] == "none")]
    return draw_and_save(lambda: _accuracy_figure(runs, shown, None, "ticket"), out_stem)


def learning_curves(histories: pd.DataFrame, out_stem: str | Path) -> list[Path]:
    """Test accuracy over the epochs at each ticket's highest sparsity, a line per check.

    Lines are means over seeds, bands run from the lowest seed to the highest.
    """
    return draw_and_save(lambda: _learning_figure(sort_cells(histories)), out_stem)


def layer_densities(layers: pd.DataFrame, out_stem: str | Path) -> list[Path]:
    """Density of every layer of every mask, a panel per model and ticket, layers in order.

    Lines are means over seeds; the sparsity stands at the end of its line. A check that leaves
    every layer's count as it was would draw the same line again, and is left out.
    """
    return draw_and_save(lambda: _density_figure(sort_cells(layers)), out_stem)


def _blocks(frame: pd.DataFrame, panel: str | None) -> list[Block]:
    """A block per dataset and model with a panel per ticket, or one block with them as panels."""
    pairs = list(dict.fromkeys(zip(frame["dataset"], frame["model"], strict=True)))
    if panel is None:
        return [Block("", [(pair, " · ".join(pair)) for pair in pairs])]
    blocks = []
    for dataset, model in pairs:
        part = frame[(frame["dataset"] == dataset) & (frame["model"] == model)]
        names = in_order(part[panel], TICKETS)
        panels = [((dataset, model, name), words(name)) for name in names]
        blocks.append(Block(f"{dataset} · {model}", panels))
    return blocks


def _panel_rows(frame: pd.DataFrame, key: tuple) -> pd.DataFrame:
    chosen = (frame["dataset"] == key[0]) & (frame["model"] == key[1])
    if len(key) > 2:
        chosen &= frame["ticket"] == key[2]
    return frame[chosen]


def _nothing(what: str) -> Figure:
    """A figure that says what is absent, so that a half-finished study still has its page."""
    figure = Figure(figsize=(5, 1))
    figure.text(0.5, 0.5, f"Nothing to draw yet: {what}.", ha="center", va="center")
    return figure


# -- accuracy against sparsity --------------------------------------------------------------------


def _accuracy_figure(runs: pd.DataFrame, shown: pd.DataFrame, panel: str | None, series: str):
    if shown.empty:
        return _nothing("no pruned run has finished")
    known = CHECK_LOOKS if series == "check" else TICKET_LOOKS
    series_looks = looks(shown[series], known)
    dense = runs[runs["ticket"] == "dense"]
    blocks = _blocks(shown, panel)
    limits = _limits(blocks, shown, dense)
    handles = [look.handle() for look in series_looks.values()]
    handles += [DENSE.handle()] if len(dense) else []
    handles += [_LOST] if shown["diverged"].any() else []
    lowest = _lowest(shown, limits)
    handles += [_BELOW] if (shown["test_accuracy"] < lowest).any() else []
    figure, axes = lay_out(blocks, handles, _SPARSITY, _ACCURACY)
    ticks = sorted(shown["sparsity"].unique())
    for key, ax in axes.items():
        _draw_dense(ax, _panel_rows(dense, key[:2]))
        _draw_accuracy(ax, _panel_rows(shown, key), series, series_looks, ticks, limits[key[:2]])
        ax.set_ylim(limits[key[:2]])
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        _sparsity_axis(ax, ticks)
    return figure


def _limits(blocks, shown, dense) -> dict[tuple, tuple[float, float]]:
    """The y range of every dataset and model; panels of one block share theirs.

    Collapsed runs near chance would squeeze all else into a line, so they may fall below the axis,
    where a marker stands for each.
    """
    limits = {}
    for pair in {key[:2] for block in blocks for key, _ in block.panels}:
        rows = pd.concat([_panel_rows(shown, pair), _panel_rows(dense, pair)])
        rows = rows[~rows["diverged"]]
        steady = rows[~rows["collapsed"]]["test_accuracy"]
        every = rows["test_accuracy"]
        values = steady if len(steady) else every
        low, high = (values.min(), values.max()) if len(values) else (0.0, 100.0)
        if every.min() >= low - 0.6 * (high - low):
            low = every.min()
        pad = max(0.09 * (high - low), 0.25)
        limits[pair] = (low - pad, high + pad)
    if len(blocks) == 1 and len({key[:2] for key, _ in blocks[0].panels}) > 1:
        # The panels share their axis, so the range has to hold them all.
        whole = (min(low for low, _ in limits.values()), max(high for _, high in limits.values()))
        limits = dict.fromkeys(limits, whole)
    return limits


def _lowest(shown: pd.DataFrame, limits: dict) -> pd.Series:
    pairs = zip(shown["dataset"], shown["model"], strict=True)
    return pd.Series([limits[pair][0] for pair in pairs], index=shown.index)


def _draw_dense(ax: Axes, dense: pd.DataFrame) -> None:
    accuracy = dense["test_accuracy"].dropna()
    if accuracy.empty:
        return
    mean, sd = accuracy.mean(), accuracy.std(ddof=1) if len(accuracy) > 1 else 0.0
    ax.axhspan(mean - sd, mean + sd, color=DENSE.colour, alpha=0.18, lw=0, zorder=0.5)
    ax.axhline(mean, color=DENSE.colour, ls=DENSE.dash, lw=1.3, zorder=0.6)


def _draw_accuracy(ax, rows, series, series_looks: dict[str, Look], ticks, limits) -> None:
    present = {name: look for name, look in series_looks.items() if (rows[series] == name).any()}
    step = min(0.07, 0.45 / len(present))
    place = {sparsity: index for index, sparsity in enumerate(ticks)}
    for index, (name, look) in enumerate(present.items()):
        mine = rows[rows[series] == name]
        shift = (index - (len(present) - 1) / 2) * step
        x = mine["sparsity"].map(place) + shift
        cells = mine.groupby("sparsity")["test_accuracy"].agg(["mean", "std", "min"])
        cells = cells.dropna(subset="mean")
        # With one seed near chance a bar would cross the whole panel and say nothing.
        spread = cells["std"].where(cells["min"] >= limits[0], 0.0).fillna(0.0)
        ax.plot(
            x, mine["test_accuracy"], ls="", marker="o", ms=2.2, mew=0, alpha=0.55, c=look.colour
        )
        ax.errorbar(
            [place[sparsity] + shift for sparsity in cells.index],
            cells["mean"],
            yerr=spread,
            elinewidth=1.0,
            zorder=3 + (name == "none"),
            **look.line(),
        )
        _mark_lost(ax, x, mine, look, limits[0])


def _mark_lost(ax: Axes, x: pd.Series, rows: pd.DataFrame, look: Look, bottom: float) -> None:
    """A cross for every diverged run and a triangle for every run below the axis."""
    at_edge = ax.get_xaxis_transform()
    marks = ((rows["diverged"], "x", 0.10), (rows["test_accuracy"] < bottom, "v", 0.035))
    for chosen, marker, height in marks:
        if chosen.any():
            ax.plot(
                x[chosen],
                np.full(int(chosen.sum()), height),
                ls="",
                marker=marker,
                ms=4.5,
                mfc="none",
                mec=look.colour,
                mew=1.1,
                transform=at_edge,
                zorder=5,
            )


def _sparsity_axis(ax: Axes, ticks: Sequence[float]) -> None:
    """Equal steps from one sparsity to the next: 98 and 99.5 are further apart than they look."""
    every = -(-len(ticks) // 8)
    ax.set_xticks(range(0, len(ticks), every), [f"{100 * s:g}" for s in ticks[::every]])
    ax.set_xlim(-0.6, len(ticks) - 0.4)
    ax.grid(visible=False, axis="x")


# -- learning curves ------------------------------------------------------------------------------


def _learning_figure(histories: pd.DataFrame) -> Figure:
    pruned = histories[histories["ticket"] != "dense"]
    if pruned.empty:
        return _nothing("no pruned run has a history")
    highest = pruned.groupby(["dataset", "model", "ticket"])["sparsity"].transform("max")
    shown = pruned[pruned["sparsity"] == highest]
    dense = histories[histories["ticket"] == "dense"]
    check_looks = looks(shown["check"], CHECK_LOOKS)
    handles = [look.handle() for look in check_looks.values()]
    handles += [DENSE.handle()] if len(dense) else []
    blocks = [
        Block(block.title, [(key, _with_sparsity(shown, key)) for key, _ in block.panels])
        for block in _blocks(shown, "ticket")
    ]
    figure, axes = lay_out(blocks, handles, "epoch", _ACCURACY)
    for key, ax in axes.items():
        _draw_curve(ax, _panel_rows(dense, key[:2]), DENSE, 0)
        rows = _panel_rows(shown, key)
        for index, (name, look) in enumerate(check_looks.items()):
            _draw_curve(ax, rows[rows["check"] == name], look, index)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


def _with_sparsity(shown: pd.DataFrame, key: tuple) -> str:
    return f"{words(key[2])}, {percent(_panel_rows(shown, key)['sparsity'].iloc[0])} sparse"


def _draw_curve(ax: Axes, rows: pd.DataFrame, look: Look, index: int) -> None:
    if rows.empty:
        return
    curve = rows.groupby("epoch")["test_accuracy"].agg(["mean", "min", "max"]).dropna()
    ax.fill_between(curve.index, curve["min"], curve["max"], color=look.colour, alpha=0.10, lw=0)
    ax.plot(curve.index, curve["mean"], markevery=_apart(len(curve), index), **look.line())


def _apart(points: int, index: int) -> tuple[int, int]:
    """Where line number ``index`` has its markers: apart from those of the other lines."""
    gap = max(points // 5, 1)
    return index * gap // 5 % gap, gap


# -- density of the layers ------------------------------------------------------------------------


def _density_figure(layers: pd.DataFrame) -> Figure:
    if layers.empty:
        return _nothing("no mask has been made")
    # A dense network has no mask, and its line says nothing.
    means = mask_densities(layers[layers["ticket"] != "dense"])
    check_looks = looks(means["check"], CHECK_LOOKS)
    handles = [look.handle() for look in check_looks.values()]
    handles += [_COLLAPSED] if (means["min"] == 0).any() else []
    figure, axes = lay_out(
        _blocks(means, "ticket"), handles, "layer, from first to classifier", "density (% kept)"
    )
    for key, ax in axes.items():
        rows = _panel_rows(means, key)
        for index, (name, look) in enumerate(check_looks.items()):
            for _, line in rows[rows["check"] == name].groupby("sparsity"):
                _draw_profile(ax, line, look, index)
        _label_ends(ax, rows[(rows["check"] == "none") & (rows["mean"] > 0)])
        _layer_axis(ax, rows["position"], _panel_rows(means, key[:2])["mean"])
    return figure


def _draw_profile(ax: Axes, line: pd.DataFrame, look: Look, index: int) -> None:
    ax.plot(
        line["position"],
        (100 * line["mean"]).where(line["mean"] > 0),
        markevery=_apart(len(line), index),
        **look.line(linewidth=1.0),
    )
    gone = line[line["min"] == 0]["position"]
    if len(gone):
        ax.plot(
            gone,
            np.full(len(gone), 0.04),
            ls="",
            marker="x",
            ms=5,
            mec=look.colour,
            transform=ax.get_xaxis_transform(),
            zorder=5,
        )


def _label_ends(ax: Axes, rows: pd.DataFrame) -> None:
    """The sparsity at the end of each line, once where several lines end together."""
    ends = rows.sort_values("position").groupby("sparsity").last().sort_values("mean")
    together = (ends["mean"] > 1.4 * ends["mean"].shift()).cumsum()
    for _, group in ends.groupby(together):
        sparsities = ", ".join(f"{100 * sparsity:g}" for sparsity in sorted(group.index))
        ax.annotate(
            f"{sparsities} %",
            (group["position"].iloc[-1], 100 * group["mean"].mean()),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
        )


def _layer_axis(ax: Axes, positions: pd.Series, densities: pd.Series) -> None:
    first, last = positions.min(), positions.max()
    ax.set_xlim(first - 0.5, last + 0.5 + 0.2 * max(last - first, 1))
    ticks = MaxNLocator(6, integer=True).tick_values(first, last)
    ax.set_xticks([tick for tick in ticks if first <= tick <= last])
    ax.xaxis.set_major_formatter("{x:.0f}")
    ax.set_yscale("log")
    above = 100 * densities[densities > 0]
    if len(above):
        ax.set_ylim(above.min() / 2.2, max(above.max() * 1.4, 120))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
