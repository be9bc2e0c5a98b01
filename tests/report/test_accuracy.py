"""Accuracy by sparsity: points, bars, seeds and axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from jackpot import vocabulary
from jackpot.report.panels import scale_for
from tests.support.pictures import drawn, panels_of
from tests.support.synthetic import make_study


def test_points_are_means_and_bars_standard_deviations_over_seeds():
    made = make_study(tickets=("snip",), sparsities=(0.8, 0.95), seeds=range(4))
    ax = panels_of(drawn("sanity_checks", made.runs))["SNIP"]
    chosen = made.runs[(made.runs.ticket == "snip") & (made.runs.check == "rearranged")]
    values = [
        chosen[chosen.sparsity == s].sort_values("seed").test_accuracy.to_numpy()
        for s in (0.8, 0.95)
    ]
    colour = to_rgb(vocabulary.CHECKS["rearranged"].colour)
    (bar,) = [c for c in ax.containers if to_rgb(c.lines[0].get_color()) == colour]
    np.testing.assert_allclose(bar.lines[0].get_ydata().astype(float), [v.mean() for v in values])
    ends = np.array([segment[:, 1] for segment in bar.lines[2][0].get_segments()])
    half = np.sqrt([((v - v.mean()) ** 2).sum() / 3 for v in values])
    np.testing.assert_allclose((ends[:, 1] - ends[:, 0]) / 2, half)


@pytest.mark.parametrize("name", ["sanity_checks", "tickets"])
def test_a_point_stands_by_its_own_sparsity_and_no_two_at_one_place(name):
    runs = make_study(sparsities=(0.5, 0.9, 0.95)).runs
    elsewhere = make_study(models=("vgg5",), sparsities=(0.98,)).runs
    for ax in drawn(name, pd.concat([runs, elsewhere])).axes:
        labels = [text.get_text() for text in ax.get_xticklabels()]
        assert labels in (["50", "90", "95"], ["98"])  # a panel has its own sparsities alone
        places = np.concatenate([bar.lines[0].get_xdata() for bar in ax.containers]).astype(float)
        assert len(places) == len(labels) * len(ax.containers)
        assert (np.abs(places - np.round(places)) < 0.45).all()
        assert (np.bincount(np.round(places).astype(int)) == len(ax.containers)).all()
        assert np.diff(np.sort(places)).min() > 0.05


def test_collapsed_and_diverged_runs_stay_in_view_and_squeeze_nothing():
    runs = make_study(tickets=("snip",)).runs
    is_cell = (runs.ticket == "snip") & (runs.check == "none") & (runs.sparsity == 0.98)
    runs.loc[is_cell & (runs.seed == 0), ["test_accuracy", "collapsed"]] = [10.0, True]
    runs.loc[is_cell & (runs.seed == 1), "test_accuracy"] = np.nan
    figure = drawn("sanity_checks", runs)
    ax = panels_of(figure)["SNIP"]
    low, high = ax.get_ylim()
    assert low < 10 and high < 101
    typical = runs[runs.test_accuracy > 10].test_accuracy
    place = ax.transData.transform([(0, y) for y in (low, typical.min(), typical.max(), high)])[
        :, 1
    ]
    assert (place[2] - place[1]) / (place[3] - place[0]) > 0.4
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert [len(line.get_xdata()) for line in crosses] == [1]
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"diverged run", "compressed part of the axis", "dense"} <= legend


def test_a_scale_in_two_parts_is_monotone_continuous_and_its_own_inverse():
    typical = pd.Series(np.linspace(88, 96, 50))
    scale = scale_for(pd.concat([typical, pd.Series([10.0, 97.0])]), typical)
    assert 60 < scale.knee <= 88 and scale.low < 10 and scale.high > 97
    values = np.linspace(scale.low, scale.high, 2001)
    places = scale._place_of(values)
    steps = np.diff(places)
    assert (steps > 0).all() and steps.max() < 0.01
    np.testing.assert_allclose(scale._value_at(places), values)
    assert scale_for(typical, typical).knee is None


@pytest.mark.parametrize("name", ["sanity_checks", "tickets"])
def test_every_bar_ends_inside_its_panel(name):
    runs = make_study(tickets=("snip", "random"), seeds=(0, 1)).runs
    # Two seeds far apart: their standard deviation is wider than they are.
    for ticket, seed, change in (("snip", 0, 3.0), ("random", 1, -3.0), ("dense", 0, 3.0)):
        runs.loc[(runs.ticket == ticket) & (runs.seed == seed), "test_accuracy"] += change
    for ax in drawn(name, runs).axes:
        low, high = ax.get_ylim()
        ends = [bar.lines[2][0].get_segments() for bar in ax.containers]
        ends = np.concatenate(ends)[:, :, 1]
        assert low < ends.min() and ends.max() < high
        (band,) = (patch for patch in ax.patches if patch.get_alpha() == 0.18)
        box = band.get_bbox()
        assert low < box.y0 and box.y1 < high


def test_a_bar_ends_where_accuracies_do():
    runs = make_study(tickets=("snip",), seeds=range(4)).runs
    is_cell = (runs.ticket == "snip") & (runs.check == "none") & (runs.sparsity == 0.98)
    runs.loc[is_cell, "test_accuracy"] = [97.0, 98.0, 99.0, 30.0]  # 81 ± 34
    (ax,) = drawn("tickets", runs).axes
    ends = np.concatenate([bar.lines[2][0].get_segments() for bar in ax.containers])[:, :, 1]
    assert ends.max() == pytest.approx(100)
    assert 100 < ax.get_ylim()[1] < 105


def test_seeds_stand_beside_their_bar():
    (ax,) = drawn("sanity_checks", make_study(tickets=("snip",)).runs).axes
    seeds = {line.get_color(): line.get_xdata() for line in ax.lines if line.get_markersize() < 3}
    for bar in ax.containers:
        gap = np.repeat(bar.lines[0].get_xdata(), 3) - np.sort(seeds[bar.lines[0].get_color()])
        assert (gap > 0.02).all() and (gap < 0.1).all()


@pytest.mark.parametrize(("far", "own"), [(6, False), (25, True)])
def test_a_panel_that_would_be_a_strip_of_the_common_axis_has_its_own(far, own):
    runs = make_study(tickets=("snip", "grasp"), sparsities=(0.9,), seeds=range(8)).runs
    runs.loc[runs.ticket == "grasp", "test_accuracy"] -= far * (0.4 + 0.6 * runs.seed / 7)
    one, other = (panels_of(drawn("sanity_checks", runs))[name] for name in ("SNIP", "GraSP"))
    assert (one.get_ylim() != other.get_ylim()) == own
    low, high = one.get_ylim()
    assert low < runs[runs.ticket == "snip"].test_accuracy.min()
    assert high > runs[runs.ticket == "dense"].test_accuracy.max()


def test_tickets_of_one_sparsity_are_rows_with_names_and_no_legend():
    runs = make_study(tickets=("snip", "mine", "random_uniform"), sparsities=(0.9,)).runs
    alone = (runs.check == "none") & (runs.seed == 1)
    runs.loc[alone & (runs.ticket == "mine"), "test_accuracy"] = np.nan
    runs.loc[alone & (runs.ticket == "snip"), ["test_accuracy", "collapsed"]] = [10.0, True]
    figure = drawn("tickets", runs)
    (ax,) = figure.axes
    assert ax.get_title("left") == "digits · resnet8, 90 %" and not figure.legends
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["dense", "mine (1 diverged)", "random uniform", "SNIP"]
    (bars,) = ax.containers
    means = runs[runs.check == "none"].groupby("ticket").test_accuracy.mean()
    for mean, row in zip(*bars.lines[0].get_data(), strict=True):
        assert mean == means[["dense", "mine", "random_uniform", "snip"][int(row)]]
    (seeds,) = (line for line in ax.lines if line.get_markersize() < 3)
    assert np.isfinite(seeds.get_xdata()).sum() == 11 and ax.get_xlim()[0] < 10
    assert ax.get_ylim()[0] > seeds.get_ydata().max() > 3
    assert "compressed below" in ax.get_xlabel()
