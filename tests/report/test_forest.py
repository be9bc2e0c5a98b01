"""The forest plot: a row a cell, its mean, intervals and verdict, and no words that meet."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_hex

from jackpot import vocabulary
from jackpot.report.forest import forest
from jackpot.report.style import RC
from tests.support.pictures import legend_of, texts_of
from tests.support.synthetic import make_study


def forest_of(judged):
    with rc_context(RC):
        return forest(judged)


def _marker_of(ax, row):
    """The symbol and colour on a line of the forest plot, and where it stands."""
    marks = {style.marker for style in vocabulary.VERDICTS.values()}
    (found,) = [
        line
        for line in ax.lines
        if line.get_marker() in marks and np.allclose(line.get_ydata(), row + 0.5)
    ]
    return found.get_marker(), to_hex(found.get_color()), float(found.get_xdata()[0])


def _cells_of(figure):
    """``(axes, line, words left of the axis)`` of every cell, from top to bottom, by column."""
    for ax in figure.axes:
        words = {}
        for text in ax.texts:
            if text.get_transform() is not ax.transData:
                words.setdefault(int(text.get_position()[1]), []).append(text.get_text())
        yield from ((ax, line, found) for line, found in sorted(words.items()) if "%" in str(found))


@pytest.mark.parametrize("tickets", [("snip",), ("lr_rewinding", "hybrid", "synflow"), None])
def test_every_cell_has_a_row_with_its_mean_and_verdict(tickets):
    made = make_study(**({"tickets": tickets} if tickets else {}), seeds=range(5), diverged=0.02)
    judged = made.verdicts
    figure = forest_of(judged)
    rows = list(_cells_of(figure))
    assert len(rows) == len(judged)
    found = sorted((*_marker_of(ax, line), words[-1]) for ax, line, words in rows)
    style = vocabulary.VERDICTS
    low, high = figure.axes[0].get_xlim()
    expected = sorted(
        (
            style[row.verdict].marker,
            style[row.verdict].colour.lower(),
            row.mean_difference,
            f"{row.n}",
        )
        for row in judged.itertuples()
    )
    for got, wanted in zip(found, expected, strict=True):
        assert got[:2] == wanted[:2] and got[3] == wanted[3]
        assert got[2] == pytest.approx(np.clip(wanted[2], low, high), abs=0.05 * (high - low))


def test_the_forest_plot_names_verdicts_in_one_order():
    judged = make_study(tickets=("snip",)).verdicts
    judged["verdict"] = [list(vocabulary.VERDICTS)[-1 - i % 5] for i in range(len(judged))]
    labels = [style.label for style in vocabulary.VERDICTS.values()]
    assert legend_of(forest_of(judged))[:5] == labels


def test_a_cell_far_out_is_clipped_and_says_so_and_squeezes_nothing():
    judged = make_study(tickets=("snip",), seeds=range(5)).verdicts
    judged.loc[3, ["mean_difference", "ci95_low", "ci95_high"]] = [-60.0, -64.0, -56.0]
    figure = forest_of(judged)
    (ax,) = figure.axes
    low, high = ax.get_xlim()
    assert high - low < 20 * judged.margin[0] and low < -2 * judged.margin[0]
    arrows = [line for line in ax.lines if line.get_marker() == "<"]
    assert [float(line.get_xdata()[0]) for line in arrows] == [low]
    assert "−60.0" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("interval", ["ci95", "ci_repeated"])
def test_few_cells_are_whole_and_an_arrow_tells_where_the_wider_interval_is_cut(interval):
    judged = make_study(tickets=("snip",), seeds=range(5)).verdicts.head(4)
    judged.loc[2, f"{interval}_high"] = 4.0
    (ax,) = forest_of(judged).axes
    assert ax.get_xlim()[1] > 4 and not [line for line in ax.lines if line.get_marker() == ">"]
    judged.loc[2, f"{interval}_high"] = 30.0
    (ax,) = forest_of(judged).axes
    arrows = [line for line in ax.lines if line.get_marker() == ">"]
    assert [float(line.get_xdata()[0]) for line in arrows] == [ax.get_xlim()[1]]


def test_rows_stand_by_ticket_and_by_what_is_spoiled():
    judged = make_study(tickets=("hybrid", "lr_rewinding"), seeds=range(3)).verdicts
    judged = pd.concat([judged, judged[judged.check == "rearranged"].assign(check="own_one")])
    (ax,) = forest_of(judged).axes
    left = [text for text in ax.texts if text.get_transform() is not ax.transData]
    left = sorted(left, key=lambda text: text.get_position()[1])
    words = [text.get_text() for text in left if text.get_text()]
    expected = [
        *("learning-rate rewinding", "data", "mask", "rearranged", "weights", "other", "own one"),
        *("hybrid", "data", "mask", "rearranged", "other", "own one"),
    ]
    assert [word for word in words if word in expected] == expected


def test_the_wider_interval_over_looks_is_drawn_where_there_is_one():
    judged = make_study(tickets=("snip",), seeds=range(5)).verdicts
    wider = judged.assign(
        ci_repeated_low=judged.ci95_low - 0.1, ci_repeated_high=judged.ci95_high + 0.1
    )
    for table, times in ((judged, 0), (wider, 1)):
        figure = forest_of(table)
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert sum("looks" in text for text in legend) == times


LONG = "an_own_check_with_a_name_that_goes_on_and_on_until_nobody_reads_it"


@pytest.mark.parametrize("size", [{"tickets": ("snip",)}, {}, {"tickets": (LONG, "snip")}])
def test_no_words_of_the_forest_plot_meet(size):
    judged = make_study(**size, seeds=range(4), collapsed=0.2).verdicts
    judged.loc[0, "check"] = "random_labels+rearranged+shuffled_weights"
    judged.loc[1, "check"] = LONG
    figure = forest_of(judged)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    texts = texts_of(figure)
    boxes = [text.get_window_extent(renderer).padded(-0.5) for text in texts]
    width, height = figure.get_size_inches() * figure.dpi
    for (one, box), (other, another) in combinations(zip(texts, boxes, strict=True), 2):
        assert not box.overlaps(another), (one.get_text(), other.get_text())
    assert all(
        box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes
    )
    assert min(text.get_fontsize() for text in texts) >= 7


def test_long_names_leave_most_of_the_forest_plot_to_the_axes():
    judged = make_study(seeds=range(4)).verdicts
    judged.loc[judged.check == "half_dataset", "check"] = LONG
    judged.loc[judged.check == "corrupted_data", "check"] = "random_labels+reinitialized"
    figure = forest_of(judged)
    assert len(figure.axes) == 2
    assert sum(ax.get_position().width for ax in figure.axes) > 0.5
    words = " ".join(text.get_text().strip() for ax in figure.axes for text in _read_down(ax))
    assert LONG.replace("_", " ") in words


def _read_down(ax):
    """The names of the checks from top to bottom."""
    columns: dict[float, list] = {}
    for text in ax.texts:
        if text.get_text() and text.get_transform() is not ax.transData:
            columns.setdefault(round(text.get_position()[0], 6), []).append(text)
    second = columns[sorted(columns)[1]]
    return sorted(second, key=lambda text: text.get_position()[1])


def test_a_cell_without_a_pair_says_so_on_white():
    judged = make_study(tickets=("snip",)).verdicts
    numbers = [name for name in judged if name.startswith(("mean", "ci"))]
    judged.loc[2, numbers] = np.nan
    (ax,) = forest_of(judged).axes
    (text,) = (text for text in ax.texts if text.get_text() == "no pair with an accuracy")
    assert to_hex(text.get_bbox_patch().get_facecolor()) == "#ffffff"
    (zero,) = (line for line in ax.lines if list(line.get_xdata()) == [0, 0])
    assert text.zorder > zero.zorder
