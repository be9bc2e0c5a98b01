"""The figures of a study, drawn from its tidy tables alone; nothing here trains or loads a model.

Each function takes the table; ``style.draw_and_save`` writes the files. The same numbers always
give the same bytes.
"""

from collections.abc import Sequence
from itertools import chain, groupby
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from jackpot.analysis.frames import (
    CELL,
    mask_densities,
    percent,
    prepare_runs,
    sort_cells,
)
from jackpot.report.forest import forest
from jackpot.report.panels import COMPRESSED, Block, Scale, lay_out, owns_y, scale_for
from jackpot.report.style import ON_WHITE, by_ingredient, handle, ingredient, line
from jackpot.vocabulary import BLACK, CHECKS, TICKETS, Style, own_first, styles, words

_ACCURACY = "test accuracy (%)"
_SPARSITY = "sparsity (% of weights removed)"
_LOST = Line2D([], [], color="#444444", marker="x", ls="", ms=6, label="diverged run")
_COLLAPSED = Line2D([], [], color="#444444", marker="x", ls="", ms=6, label="collapsed layer")
# Inches that a mean and its bar take, so that neighbours stay apart.
_POINT = 0.075
_MOST_LINES, _MOST_MARKERS = 4, 20
# Inches: a letter of a small note at most; how far from a line its sparsity is, and how high.
_LETTER, _NAME_GAP, _NAME_HEIGHT = 0.068, 0.16, 0.125


def sanity_checks(runs: pd.DataFrame) -> Figure:
    """Accuracy against sparsity, a panel per model and ticket, a point per check.

    Points are means over seeds, bars one standard deviation, small dots the single seeds; the grey
    line and band are the dense network. Tickets that no check was run on are left out, unless
    there is no other. The figure of Su et al. 2020 (figures 2 and 3) and of its reproduction.
    """
    runs = prepare_runs(runs)
    pruned = runs[runs["ticket"] != "dense"]
    panel = [pruned[name] for name in ("dataset", "model", "ticket")]
    checked = (pruned["check"] != "none").groupby(panel).transform("any")
    shown = pruned[checked] if checked.any() else pruned
    return _accuracy_figure(runs, shown, "ticket", "check")


def tickets(runs: pd.DataFrame) -> Figure:
    """Accuracy against sparsity of every unspoiled ticket, a panel per dataset and model."""
    runs = prepare_runs(runs)
    shown = runs[(runs["ticket"] != "dense") & (runs["check"] == "none")]
    return _accuracy_figure(runs, shown, None, "ticket")


def learning_curves(histories: pd.DataFrame) -> Figure:
    """Test accuracy over the epochs at each ticket's highest sparsity, a line per check.

    Lines are means over seeds; the band of the original runs from the lowest seed to the highest.
    A ticket with many checks has several panels, by what they spoil.
    """
    histories = sort_cells(histories.sort_values("epoch"))
    return _learning_figure(histories)


def layer_densities(layers: pd.DataFrame) -> Figure:
    """Density of every layer of every mask, a panel per model and ticket, layers in order.

    Lines are means over seeds; the sparsity stands where its lines end. A check that leaves
    every layer's count as it was would draw the same line again, and is left out.
    """
    return _density_figure(sort_cells(layers))


def verdicts(judged: pd.DataFrame) -> Figure:
    """A forest plot: the difference, its intervals and the verdict of every cell, a row a cell.

    ``judged`` has the columns of ``verdicts.csv``.
    """
    if judged.empty:
        return _nothing("no check has been compared")
    return forest(judged)


def _blocks(frame: pd.DataFrame, panel: str | None) -> list[Block]:
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


def _styles(frame: pd.DataFrame, series: str) -> dict[str, Style]:
    """The styles of the tickets or checks of ``frame``, in the order of every figure."""
    if series == "ticket":
        return styles(own_first(frame[series]), TICKETS)
    return styles(by_ingredient(frame[series]), CHECKS)


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
    series_styles = _styles(shown, series)
    dense = runs[runs["ticket"] == "dense"]
    blocks = _blocks(shown, panel)
    scales = _scales(shown, dense)
    # Checks stand beside the original, which has a line of its own; tickets have a trend.
    changes = {"linewidth": 0.9} if series == "ticket" else {"linestyle": ""}
    handles = [handle(style, **changes) for style in series_styles.values()]
    handles += [handle(TICKETS["dense"])] if len(dense) else []
    handles += [_LOST] if shown["diverged"].any() else []
    handles += [COMPRESSED] if any(scale.knee is not None for scale in scales.values()) else []
    sparsities = shown.groupby(["dataset", "model"])["sparsity"].nunique().max()
    room = _POINT * sparsities * len(series_styles)
    figure, axes = lay_out(blocks, handles, _SPARSITY, _ACCURACY, room)
    for key, ax in axes.items():
        scales[key[:2]].apply(ax)
        _draw_dense(ax, _panel_rows(dense, key[:2]))
        rows = _panel_rows(shown, key)
        ticks = sorted(_panel_rows(shown, key[:2])["sparsity"].unique())
        present = [name for name in series_styles if (rows[series] == name).any()]
        step = min(0.84 / len(present), 0.2)
        for index, name in enumerate(present):
            shift = (index - (len(present) - 1) / 2) * step
            mine = rows[rows[series] == name]
            places = {sparsity: i for i, sparsity in enumerate(ticks)}
            _draw_points(ax, mine, places, shift, line(series_styles[name], **changes))
            if series == "check" and name == "none":
                for cell in _bars(mine).itertuples():
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


def _scales(shown: pd.DataFrame, dense: pd.DataFrame) -> dict[tuple, Scale]:
    """The y axis of every dataset and model, with room for every run and every bar."""
    scales = {}
    for pair, rows in shown.groupby(["dataset", "model"]):
        drawn = pd.concat([rows, _panel_rows(dense, pair)])
        bars = _bars(drawn)
        values = pd.concat([drawn["test_accuracy"].dropna(), bars["low"], bars["high"]])
        scales[pair] = scale_for(values, rows["test_accuracy"].dropna())
    return scales


def _draw_dense(ax: Axes, dense: pd.DataFrame) -> None:
    style = TICKETS["dense"]
    for bar in _bars(dense).itertuples():
        ax.axhspan(bar.low, bar.high, color=style.colour, alpha=0.18, lw=0, zorder=0.5)
        ax.axhline(bar.mean, color=style.colour, ls=style.dash, lw=1.3, zorder=0.6)


def _draw_points(ax: Axes, rows: pd.DataFrame, places: dict, shift: float, look: dict) -> None:
    """Mean, standard deviation and single seeds of one series, ``shift`` from its sparsities."""
    x, colour, bars = rows["sparsity"].map(places) + shift, look["color"], _bars(rows)
    ax.plot(x, rows["test_accuracy"], ls="", marker="o", ms=2.2, mew=0, alpha=0.5, c=colour)
    where, mean = bars["sparsity"].map(places) + shift, bars["mean"]
    reach = (mean - bars["low"], bars["high"] - mean)
    ax.errorbar(where, mean, reach, elinewidth=1.0, zorder=3, **look)
    lost = x[rows["diverged"]]
    if len(lost):
        ax.plot(lost, np.full(len(lost), 0.04), **_at_bottom(ax, colour))


def _at_bottom(ax: Axes, colour: str) -> dict:
    """Keyword arguments for crosses at a height that is a share of the axis."""
    cross = {"ls": "", "marker": "x", "ms": 4.5, "mec": colour, "mew": 1.1, "zorder": 7}
    return {**cross, "transform": ax.get_xaxis_transform()}


def _sparsity_axis(ax: Axes, ticks: Sequence[float]) -> None:
    """Sparsities as categories: 98 and 99.5 are further apart than they look."""
    ax.set_xticks(range(len(ticks)), [f"{100 * sparsity:g}" for sparsity in ticks])
    ax.set_xlim(-0.55, len(ticks) - 0.45)
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False, axis="x")
    for place in range(1, len(ticks)):
        ax.axvline(place - 0.5, color="#d0d0d0", lw=0.7, zorder=0.4)


# -- learning curves ------------------------------------------------------------------------------


def _learning_figure(histories: pd.DataFrame) -> Figure:
    pruned = histories[histories["ticket"] != "dense"]
    if pruned.empty:
        return _nothing("no pruned run has a history")
    highest = pruned.groupby(["dataset", "model", "ticket"])["sparsity"].transform("max")
    shown = pruned[pruned["sparsity"] == highest]
    dense = histories[histories["ticket"] == "dense"]
    check_styles = _styles(shown, "check")
    lines = pd.concat([shown, dense])
    by = [*CELL, "epoch"]
    lines = lines.groupby(by, sort=False)["test_accuracy"].agg(["mean", "min", "max"]).dropna()
    lines = lines.reset_index()
    scales = _learning_scales(lines)
    handles = [handle(style, marker="") for style in check_styles.values()]
    handles += [handle(TICKETS["dense"])] if len(dense) else []
    handles += [COMPRESSED] if any(scale.knee is not None for scale in scales.values()) else []
    figure, axes = lay_out(_learning_blocks(shown), handles, "epoch", _ACCURACY)
    for key, ax in axes.items():
        scales[key[:2]].apply(ax)
        its_dense = _panel_rows(lines[lines["ticket"] == "dense"], key[:2])
        ax.plot(its_dense["epoch"], its_dense["mean"], **line(TICKETS["dense"], linewidth=1.1))
        rows = _panel_rows(lines[lines["ticket"] != "dense"], key)
        for name in key[3]:
            curve = rows[rows["check"] == name]
            if name == "none":
                bounds = (curve["epoch"], curve["min"], curve["max"])
                ax.fill_between(*bounds, color=BLACK, alpha=0.15, lw=0)
            # A single epoch is a point.
            marker = "" if len(curve) > 1 else "o"
            changes = {"marker": marker, "linewidth": 2.0 if name == "none" else 1.2}
            ax.plot(curve["epoch"], curve["mean"], **line(check_styles[name], **changes))
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if spoiled := list(dict.fromkeys(ingredient(name) for name in key[3] if name != "none")):
            letters = int(0.94 * _panel_inches(ax)[0] / _LETTER)
            text = fill(f"spoiled: {', '.join(spoiled)}", letters)
            look = {"ha": "right", "fontsize": 8, "color": "#444444", "transform": ax.transAxes}
            ax.text(0.97, 0.05, text, **look)
    return figure


def _learning_blocks(shown: pd.DataFrame) -> list[Block]:
    """Panels of the original and at most ``_MOST_LINES`` checks, split by what they spoil."""
    blocks = []
    for block in _blocks(shown, "ticket"):
        panels = []
        for key, title in block.panels:
            rows = _panel_rows(shown, key)
            title = f"{title}, {percent(rows['sparsity'].iloc[0])}"
            names = by_ingredient(rows["check"])
            original = [name for name in names if name == "none"]
            for part in _split([name for name in names if name != "none"]):
                panels.append(((*key, (*original, *part)), title))
        blocks.append(Block(block.title, panels))
    return blocks


def _split(checks: Sequence[str]) -> list[list[str]]:
    """Checks in order, in as few parts as hold them, of about one size.

    What spoils one ingredient stays together, unless that alone is too many.
    """
    groups: list[list[str]] = []
    for _, same in groupby(checks, ingredient):
        names = list(same)
        groups += [part.tolist() for part in np.array_split(names, -(-len(names) // _MOST_LINES))]
    # The best parts of the first groups, by how many groups.
    best: list[list[list[str]]] = [[]]
    for end in range(1, len(groups) + 1):
        last = [(start, list(chain(*groups[start:end]))) for start in range(end)]
        ways = [[*best[start], part] for start, part in last if len(part) <= _MOST_LINES]
        best.append(min(ways, key=lambda parts: (len(parts), sum(len(p) ** 2 for p in parts))))
    return best[-1] or [[]]


def _learning_scales(lines: pd.DataFrame) -> dict[tuple, Scale]:
    """Most of the room to where the curves are once they have risen."""
    scales = {}
    for pair, rows in lines.groupby(["dataset", "model"]):
        late = rows["epoch"] >= rows["epoch"].max() / 2
        values = pd.concat(
            [rows["mean"], rows.loc[rows["check"] == "none", ["min", "max"]].stack()]
        )
        scales[pair] = scale_for(values, rows.loc[late, "mean"])
    return scales


# -- density of the layers ------------------------------------------------------------------------


def _density_figure(layers: pd.DataFrame) -> Figure:
    # A dense network has no mask, and its line says nothing.
    means = mask_densities(layers[layers["ticket"] != "dense"]) if len(layers) else layers
    if means.empty:
        return _nothing("no mask has been made")
    # Given to all checks, so that those that are drawn look as they do in the other figures.
    given = _styles(layers[layers["ticket"] != "dense"], "check")
    check_styles = {name: given[name] for name in by_ingredient(means["check"])}
    # Markers at every layer, or, where they would be a string of beads, at none.
    beads = means["position"].max() - means["position"].min() >= _MOST_MARKERS
    changes = {"linewidth": 1.0, **({"marker": ""} if beads else {"markersize": 4})}
    handles = [handle(style, **changes) for style in check_styles.values()]
    handles += [_COLLAPSED] if (means["min"] == 0).any() else []
    figure, axes = lay_out(
        _blocks(means, "ticket"), handles, "layer, from first to classifier", "density (% kept)"
    )
    longest = means["sparsity"].map(percent).str.len().max()
    for key, ax in axes.items():
        positions, beside = _panel_rows(means, key)["position"], _panel_rows(means, key[:2])
        _layer_axis(ax, positions, beside["mean"], _NAME_GAP + _LETTER * longest)
    for key, ax in axes.items():
        rows = _panel_rows(means, key)
        for name, style in check_styles.items():
            for _, profile in rows[rows["check"] == name].groupby("sparsity"):
                kept = (100 * profile["mean"]).where(profile["mean"] > 0)
                ax.plot(profile["position"], kept, **line(style, **changes))
                gone = profile.loc[profile["min"] == 0, "position"]
                ax.plot(gone, np.full(len(gone), 0.04), **_at_bottom(ax, style.colour))
        _name_lines(ax, rows)
    return figure


def _name_lines(ax: Axes, rows: pd.DataFrame) -> None:
    """The sparsities in the margin, each beside the end of its first line or joined to it."""
    kept = rows[rows["mean"] > 0]
    last = kept["position"] == kept.groupby("sparsity")["position"].transform("max")
    ends = kept[last].groupby("sparsity").agg(x=("position", "max"), mean=("mean", "first"))
    if ends.empty:
        return
    low, high = np.log(ax.get_ylim())
    height = (high - low) * _NAME_HEIGHT / _panel_inches(ax)[1]
    wanted = np.log(100 * ends["mean"].to_numpy())
    places = np.exp(_moved_apart(wanted, height, low + height, high - height / 2))
    start, inch = rows["position"].max(), np.ptp(ax.get_xlim()) / _panel_inches(ax)[0]
    for end, want, place in zip(ends.itertuples(), wanted, places, strict=True):
        name = start + _NAME_GAP * inch
        if end.x < start or abs(np.log(place) - want) > height / 4:
            joined = (end.x, name - 0.03 * inch), (100 * end.mean, place)
            ax.plot(*joined, color="#999999", lw=0.6, zorder=1.5, marker="")
        ax.text(name, place, percent(end.Index), fontsize=7.5, va="center", bbox=ON_WHITE)


def _moved_apart(wanted: np.ndarray, height: float, low: float, high: float) -> np.ndarray:
    """Heights near those ``wanted``, from ``low`` to ``high`` and at least ``height`` apart.

    Of equal ones the first comes to stand highest. Where there is no room, they are closer.
    """
    height = min(height, (high - low) / max(len(wanted) - 1, 1))
    order = np.argsort(-wanted, kind="stable")
    steps = height * np.arange(len(wanted))
    # Downwards until the one above is out of the way, and back up where the panel ends.
    places = np.minimum.accumulate(np.minimum(wanted[order], high) + steps) - steps
    moved = np.empty_like(places)
    moved[order] = np.maximum(places, (low + steps)[::-1])
    return moved


def _panel_inches(ax: Axes) -> tuple[float, float]:
    box = ax.get_position()
    width, height = ax.figure.get_size_inches()
    return box.width * width, box.height * height


def _layer_axis(ax: Axes, positions: pd.Series, densities: pd.Series, margin: float) -> None:
    """The layers, with ``margin`` inches right of the last one for the sparsities."""
    first, last = positions.min(), positions.max()
    per_inch = (last - first + 0.5) / (_panel_inches(ax)[0] - margin)
    ax.set_xlim(first - 0.5, last + margin * per_inch)
    ticks = MaxNLocator(6, integer=True).tick_values(first, last)
    ax.set_xticks([tick for tick in ticks if first <= tick <= last])
    ax.xaxis.set_major_formatter("{x:.0f}")
    if owns_y(ax):
        kept = 100 * densities[densities > 0]
        low, high = (kept.min() if len(kept) else 1.0) / 2, 160
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        # Where there are few powers of ten, they alone would be too few numbers.
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 50 else (1,)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
