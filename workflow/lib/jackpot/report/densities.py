"""Density of the layers: how much of each a mask keeps."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from jackpot.analysis.frames import (
    mask_densities,
    percent,
)
from jackpot.report.panels import (
    LETTER,
    at_bottom,
    lay_out,
    nothing_yet,
    owns_y,
    panel_inches,
    panel_rows,
    ticket_blocks,
)
from jackpot.report.style import ON_WHITE, by_ingredient, handle, line, styles_of
from jackpot.vocabulary import Style

_COLLAPSED = Line2D([], [], color="#444444", marker="x", ls="", ms=6, label="collapsed layer")
_MOST_MARKERS = 20
# Inches: how far from a line its sparsity is, and how high.
_NAME_GAP, _NAME_HEIGHT = 0.16, 0.125


def density_figure(layers: pd.DataFrame) -> Figure:
    # A dense network has no mask, and its line says nothing.
    means = mask_densities(layers[layers["ticket"] != "dense"]) if len(layers) else layers
    if means.empty:
        return nothing_yet("no mask has been made")
    # Given to all checks, so that those that are drawn look as they do in the other figures.
    given = styles_of(layers[layers["ticket"] != "dense"], "check")
    check_styles = {name: given[name] for name in by_ingredient(means["check"])}
    # Markers at every layer, or, where they would be a string of beads, at none.
    beads = means["position"].max() - means["position"].min() >= _MOST_MARKERS
    changes = {"linewidth": 1.0, **({"marker": ""} if beads else {"markersize": 4})}
    handles = [handle(style, **changes) for style in check_styles.values()]
    handles += [_COLLAPSED] if (means["min"] == 0).any() else []
    figure, axes = lay_out(
        ticket_blocks(means, "ticket"),
        handles,
        "layer, from first to classifier",
        "density (% kept)",
    )
    longest = means["sparsity"].map(percent).str.len().max()
    for key, ax in axes.items():
        positions, beside = panel_rows(means, key)["position"], panel_rows(means, key[:2])
        _layer_axis(ax, positions, beside["mean"], _NAME_GAP + LETTER * longest)
    for key, ax in axes.items():
        rows = panel_rows(means, key)
        for name, style in check_styles.items():
            for _, profile in rows[rows["check"] == name].groupby("sparsity"):
                kept = (100 * profile["mean"]).where(profile["mean"] > 0)
                ax.plot(profile["position"], kept, **line(style, **changes))
                gone = profile.loc[profile["min"] == 0, "position"]
                ax.plot(gone, np.full(len(gone), 0.04), **at_bottom(ax, style.colour))
        _name_lines(ax, rows, check_styles)
    return figure


def _name_lines(ax: Axes, rows: pd.DataFrame, known: Mapping[str, Style]) -> None:
    """The sparsities in the margin, each beside the end of its first line and in its colour.

    Where there are several, so has every other line that ends elsewhere.
    """
    low, high = np.log(ax.get_ylim())
    height = (high - low) * _NAME_HEIGHT / panel_inches(ax)[1]
    ends = _ends(rows[rows["mean"] > 0], list(known), height)
    if ends.empty:
        return
    wanted = np.log(100 * ends["mean"].to_numpy())
    places = np.exp(_moved_apart(wanted, height, low + height, high - height / 2))
    start, inch = rows["position"].max(), np.ptp(ax.get_xlim()) / panel_inches(ax)[0]
    for end, want, place in zip(ends.itertuples(), wanted, places, strict=True):
        name = start + _NAME_GAP * inch
        if end.x < start or abs(np.log(place) - want) > height / 4:
            joined = (end.x, name - 0.03 * inch), (100 * end.mean, place)
            ax.plot(*joined, color="#999999", lw=0.6, zorder=1.5, marker="")
        look = {"fontsize": 7.5, "va": "center", "bbox": ON_WHITE, "c": known[end.check].colour}
        ax.text(name, place, percent(end.sparsity), **look)


def _ends(kept: pd.DataFrame, checks: list[str], height: float) -> pd.DataFrame:
    """The ends of lines that are named: a sparsity's first, and others that are well off those.

    Of others that end together it is the last, which lies on top.
    """
    lines = kept.groupby(["sparsity", "check"])["position"]
    ends = kept[kept["position"] == lines.transform("max")].rename(columns={"position": "x"})
    ends = ends.sort_values("check", key=lambda names: -names.map(checks.index) % len(checks))
    several = ends["sparsity"].nunique() > 1
    named: dict[float, list[float]] = {}
    chosen = []
    for end in ends.itertuples():
        there = named.setdefault(end.sparsity, [])
        place = np.log(end.mean)
        if not there or (several and min(abs(place - other) for other in there) > height):
            there.append(place)
            chosen.append(end.Index)
    return ends.loc[chosen].sort_values(["sparsity", "mean"], ascending=[True, False])


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


def _layer_axis(ax: Axes, positions: pd.Series, densities: pd.Series, margin: float) -> None:
    """The layers, with ``margin`` inches right of the last one for the sparsities."""
    first, last = positions.min(), positions.max()
    per_inch = (last - first + 0.5) / (panel_inches(ax)[0] - margin)
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
