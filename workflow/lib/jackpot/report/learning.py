"""Learning curves: test accuracy over the epochs, a few checks a panel."""

from collections.abc import Sequence
from itertools import chain, groupby

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jackpot.analysis.frames import (
    CELL,
    percent,
)
from jackpot.report.panels import (
    ACCURACY,
    COMPRESSED,
    Block,
    Scale,
    lay_out,
    nothing_yet,
    panel_rows,
    scale_for,
    ticket_blocks,
)
from jackpot.report.style import by_ingredient, handle, ingredient, line, styles_of
from jackpot.vocabulary import BLACK, TICKETS

_MOST_LINES = 4


def learning_figure(histories: pd.DataFrame) -> Figure:
    pruned = histories[histories["ticket"] != "dense"]
    if pruned.empty:
        return nothing_yet("no pruned run has a history")
    highest = pruned.groupby(["dataset", "model", "ticket"])["sparsity"].transform("max")
    shown = pruned[pruned["sparsity"] == highest]
    dense = histories[histories["ticket"] == "dense"]
    check_styles = styles_of(shown, "check")
    lines = pd.concat([shown, dense])
    by = [*CELL, "epoch"]
    lines = lines.groupby(by, sort=False)["test_accuracy"].agg(["mean", "min", "max"]).dropna()
    lines = lines.reset_index()
    scales = _learning_scales(lines)
    handles = [handle(style, marker="") for style in check_styles.values()]
    handles += [handle(TICKETS["dense"])] if len(dense) else []
    handles += [COMPRESSED] if any(scale.knee is not None for scale in scales.values()) else []
    figure, axes = lay_out(_learning_blocks(shown), handles, "epoch", ACCURACY)
    for key, ax in axes.items():
        scales[key[:2]].apply(ax)
        its_dense = panel_rows(lines[lines["ticket"] == "dense"], key[:2])
        ax.plot(its_dense["epoch"], its_dense["mean"], **line(TICKETS["dense"], linewidth=1.1))
        rows = panel_rows(lines[lines["ticket"] != "dense"], key)
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
    return figure


def _learning_blocks(shown: pd.DataFrame) -> list[Block]:
    """Panels of the original and at most ``_MOST_LINES`` checks, split by what they spoil."""
    blocks = []
    for block in ticket_blocks(shown, "ticket"):
        panels = []
        for key, title in block.panels:
            rows = panel_rows(shown, key)
            # A long title is broken before what is spoiled, not within a number.
            title += f", {percent(rows['sparsity'].iloc[0])}".replace(" %", "\xa0%")
            names = by_ingredient(rows["check"])
            original = [name for name in names if name == "none"]
            for part in _split([name for name in names if name != "none"]):
                told = ",\xa0".join(dict.fromkeys(map(ingredient, part)))
                panels.append(((*key, (*original, *part)), f"{title}: {told}" if told else title))
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
