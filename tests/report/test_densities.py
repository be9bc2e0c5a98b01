"""Densities of layers: lines, and the sparsities that name them."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.frames import mask_densities
from tests.support.pictures import drawn
from tests.support.synthetic import make_study


def _boxes(figure, texts):
    figure.draw_without_rendering()
    return [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]


def test_every_line_of_the_densities_has_its_sparsity_and_markers_everywhere_or_nowhere():
    for layers in (5, 33):
        made = make_study(tickets=("snip", "random"), sparsities=(0.8, 0.9, 0.98), layers=layers)
        for ax in drawn("layer_densities", made.layers).axes:
            names = [text.get_text() for text in ax.texts]
            assert names == ["80 %", "90 %", "98 %"]
            markers = {line.get_marker() for line in ax.lines if len(line.get_xdata())}
            assert all(line.get_markevery() is None for line in ax.lines)
            assert (markers == {""}) == (layers == 33)


def test_lines_that_end_elsewhere_than_the_first_are_named_too():
    layers = make_study(tickets=("lottery",), sparsities=(0.8, 0.9)).layers
    spoiled = layers[layers.check == "none"].assign(check="random_labels")
    last = spoiled.position == spoiled.position.max()
    spoiled.loc[last, "kept"] = (spoiled.loc[last, "kept"] * 0.1).astype(int)
    both = pd.concat([layers[layers.check == "none"], spoiled])
    (ax,) = drawn("layer_densities", both).axes
    ends = {}
    for line in ax.lines:
        x, y = line.get_data()
        if len(x) > 2:
            ends.setdefault(round(y[-1], 6), len(ends))
    assert len(ends) == 4 and [t.get_text() for t in ax.texts] == 2 * ["80 %"] + 2 * ["90 %"]
    near = [min(ends, key=lambda end: abs(np.log(end / t.get_position()[1]))) for t in ax.texts]
    assert set(near) == set(ends), "each beside an end of its own"
    colours = {
        round(line.get_ydata()[-1], 6): line.get_color()
        for line in ax.lines
        if line.get_xdata().size > 2
    }
    assert [text.get_color() for text in ax.texts] == [colours[end] for end in near]
    assert len(set(colours.values())) == 2
    # With one sparsity there is nothing to tell apart.
    (ax,) = drawn("layer_densities", both[both.sparsity == 0.8]).axes
    assert [t.get_text() for t in ax.texts] == ["80 %"]


def test_a_sparsity_stands_right_of_its_lines_and_meets_no_other():
    sparsities = (0.2, 0.3, 0.4, 0.5, 0.9, 0.995)
    layers = make_study(tickets=("snip", "random"), sparsities=sparsities).layers
    # All end in the same place.
    layers.loc[layers.position == 8, "kept"] = layers.total
    figure = drawn("layer_densities", layers)
    for ax in figure.axes:
        last = ax.transData.transform((8, 1))[0]
        panel = ax.get_window_extent().padded(0.5)
        boxes = _boxes(figure, ax.texts)
        assert [text.get_text() for text in ax.texts] == [f"{100 * s:g} %" for s in sparsities]
        assert all(box.x0 > last + 4 and box.x1 <= panel.x1 for box in boxes)
        assert all(box.y0 >= panel.y0 and box.y1 <= panel.y1 for box in boxes)
        # The denser mask above.
        assert all(one.y0 >= below.y1 for one, below in pairwise(boxes))


def test_a_cross_lies_above_everything():
    layers = make_study(tickets=("snip",), collapsed=0.5).layers
    (ax,) = drawn("layer_densities", layers).axes
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    others = [artist.zorder for artist in (*ax.lines, *ax.texts) if artist not in crosses]
    assert any(len(line.get_xdata()) for line in crosses)
    assert min(line.zorder for line in crosses) > max(others)


@pytest.mark.parametrize("sparsities", [(0.2, 0.3), (0.2, 0.9), (0.5, 0.9999)])
def test_densities_are_plain_numbers_left_of_the_first_column(sparsities):
    made = make_study(tickets=("random_uniform", "snip"), sparsities=sparsities, layers=5)
    first, second = drawn("layer_densities", made.layers).axes
    first.figure.draw_without_rendering()

    def numbers(ax, which):
        low, high = ax.get_ylim()
        ticks = ax.yaxis.get_major_ticks() if which == "major" else ax.yaxis.get_minor_ticks()
        shown = [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
        return [label.get_text() for label in shown if label.get_visible() and label.get_text()]

    told = numbers(first, "major")
    assert len(told) >= 2 and all(float(text) > 0 for text in told)
    assert not numbers(first, "minor")
    assert not numbers(second, "major") and not numbers(second, "minor")


def test_layers_that_all_collapsed_are_drawn():
    layers = make_study(tickets=("snip",), sparsities=(0.9999,), layers=4).layers.assign(kept=0)
    (ax,) = drawn("layer_densities", layers).axes
    crosses = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert crosses and all(list(line.get_xdata()) == [0, 1, 2, 3] for line in crosses)
    assert ax.get_yscale() == "log"


def test_a_mask_with_equal_counts_is_drawn_once():
    made = make_study(tickets=("snip",), layers=4)
    means = mask_densities(made.layers.sample(frac=1, random_state=1))
    assert set(means.check) == {"none", "random_labels", "random_pixels", "corrupted_data"}
    one = made.layers.query("check == 'corrupted_data' and sparsity == 0.98 and position == 2")
    got = means.query("check == 'corrupted_data' and sparsity == 0.98 and position == 2")
    assert got["mean"].item() == pytest.approx((one.kept / one.total).mean())
    assert (means.groupby(["check", "sparsity"]).position.diff().dropna() == 1).all()
    # Where a check stopped at an earlier look, its seeds are some of the unspoiled mask's.
    fewer = made.layers[(made.layers.check == "none") | (made.layers.seed == 0)]
    assert set(mask_densities(fewer).check) == set(means.check)
    alone = made.layers[made.layers.check == "rearranged"]
    assert set(mask_densities(alone).check) == {"rearranged"}
