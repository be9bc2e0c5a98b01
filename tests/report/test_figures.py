"""Figures: the files, the same bytes from the same numbers, and what is drawn where."""

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_rgb

from jackpot import vocabulary
from jackpot.analysis.frames import mask_densities, own_ingredients, prepare_runs
from jackpot.errors import JackpotError
from jackpot.report import figures
from jackpot.report.panels import scale_for
from jackpot.report.style import RC, by_ingredient, draw_and_save
from tests.support.pictures import legend_of, texts_of
from tests.support.synthetic import make_study

SMALL = {"tickets": ("snip", "lottery", "random", "mine"), "epochs": 6, "layers": 5}
# A user's own checks, and what they spoil.
OWN = {"a_weights_check": "weights", "b_mask_check": "mask", "z_data_check": "data"}
FIGURES = ("verdicts", "sanity_checks", "tickets", "layer_densities", "learning_curves")


@pytest.fixture(scope="module")
def made():
    return make_study(**SMALL, diverged=0.05)


def _table(made, name):
    tables = {"layer_densities": made.layers, "learning_curves": made.histories}
    return {**tables, "verdicts": made.verdicts}.get(name, made.runs)


def drawn(name, table):
    with rc_context(RC):
        return getattr(figures, name)(table)


def _panels(figure):
    return {ax.get_title("left"): ax for ax in figure.axes}


def _with_checks(table, names):
    """``table`` with the rows of the ticket left alone again under every one of ``names``."""
    alone = table[(table.check == "none") & (table.ticket != "dense")]
    return pd.concat([table, *(alone.assign(check=name) for name in names)])


def _boxes(figure, texts):
    figure.draw_without_rendering()
    return [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]


@pytest.mark.parametrize("name", FIGURES)
def test_writes_three_files_with_the_same_bytes_whatever_the_row_order(made, tmp_path, name):
    draw, table = getattr(figures, name), _table(made, name)
    first = draw_and_save(draw, table, tmp_path / "one" / name)
    shuffled = table.sample(frac=1, random_state=3)
    again = draw_and_save(draw, shuffled, tmp_path / "two" / name)
    assert [path.suffix for path in first] == [".svg", ".pdf", ".png"]
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert first[0].read_bytes().startswith(b"<?xml") and first[1].read_bytes()[:4] == b"%PDF"


@pytest.mark.parametrize(
    "shape",
    [
        {"tickets": ("snip",), "sparsities": (0.9,), "seeds": (0,)},
        {"tickets": ("random",)},
        {"tickets": ()},
        {"tickets": ("snip", "my_own", "random_global"), "diverged": 1.0},
        {"tickets": ("snip",), "collapsed": 1.0, "missing": 0.5},
        {"datasets": ("a", "b", "c"), "tickets": ("snip",), "sparsities": (0.5, 0.9, 0.99)},
    ],
)
@pytest.mark.parametrize("name", FIGURES)
def test_odd_studies_are_drawn(shape, name):
    made = make_study(**shape, epochs=3, layers=3)
    figure = drawn(name, _table(made, name))
    figure.draw_without_rendering()
    sizes = [text.get_fontsize() for text in texts_of(figure)]
    assert sizes and min(sizes) >= 7


def test_points_are_means_and_bars_standard_deviations_over_seeds():
    made = make_study(tickets=("snip",), sparsities=(0.8, 0.95), seeds=range(4))
    ax = _panels(drawn("sanity_checks", made.runs))["SNIP"]
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
    ax = _panels(figure)["SNIP"]
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
    one, other = (_panels(drawn("sanity_checks", runs))[name] for name in ("SNIP", "GraSP"))
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


def test_checks_stand_in_the_order_of_what_they_spoil():
    built_in = ["none", "random_labels", "inverted", "rearranged", "reinitialized"]
    both = ["a_weights_check+z_data_check", "random_labels+rearranged"]
    with own_ingredients(OWN):
        ordered = by_ingredient([*sorted([*OWN, *both, *built_in, "mystery"])])
    assert ordered == [
        *("none", "random_labels", "z_data_check", "inverted", "rearranged", "b_mask_check"),
        *("reinitialized", "a_weights_check", "mystery", "random_labels+rearranged"),
        "a_weights_check+z_data_check",
    ]


@pytest.mark.parametrize("name", ["sanity_checks", "layer_densities", "learning_curves"])
def test_a_legend_has_own_checks_beside_those_that_spoil_the_same(name):
    table = _with_checks(_table(make_study(tickets=("snip",), epochs=3), name), OWN)
    if name == "layer_densities":
        table.loc[table.check.isin(OWN), "kept"] -= 1  # or its lines would be left out
    with own_ingredients(OWN):
        legend = legend_of(drawn(name, table))
    kinds = ("corrupted data", "z data check", "b mask check", "a weights check")
    assert [label for label in legend if label in kinds] == list(kinds)


def test_a_check_looks_the_same_in_every_figure():
    made = make_study(tickets=("snip",), epochs=3)
    layers = _with_checks(made.layers, OWN)
    layers.loc[layers.check == "a_weights_check", "kept"] -= 1  # the only one that has a line
    with own_ingredients(OWN):
        figures = (
            drawn("layer_densities", layers),
            drawn("learning_curves", _with_checks(made.histories, OWN)),
        )
    colours = [
        line.get_color()
        for figure in figures
        for line, label in zip(figure.legends[0].get_lines(), legend_of(figure), strict=True)
        if label == "a weights check"
    ]
    assert len(colours) == 2 and len(set(colours)) == 1


def _learning_panels(figure):
    """What every panel says is spoiled, and how many lines it has beside the dense network's."""
    return [
        (
            ax.get_title("left").split(": ")[1].replace("\xa0", " "),
            sum(len(line.get_xdata()) > 1 for line in ax.lines) - 1,
        )
        for ax in figure.axes
    ]


def test_learning_curves_are_split_by_what_is_spoiled():
    histories = make_study(tickets=("snip",), epochs=3, sparsities=(0.9,)).histories
    assert _learning_panels(drawn("learning_curves", histories)) == [
        ("data", 4),
        ("mask, weights", 3),
    ]
    three = histories[histories.check != "random_pixels"]
    added = ["half_dataset", "inverted", "shuffled_weights", "redrawn_magnitudes", "redrawn_signs"]
    most = _with_checks(three, added)
    assert _learning_panels(drawn("learning_curves", most)) == [
        ("data", 4),
        ("scores, mask", 3),
        ("weights", 5),
    ]
    more = _with_checks(histories, [*OWN, *(f"own_{i}" for i in range(5))])
    with own_ingredients({**OWN, **{f"own_{i}": "weights" for i in range(5)}}):
        panels = _learning_panels(drawn("learning_curves", more))
    # Seven that spoil weights are too many for one panel.
    assert panels == [
        ("data", 5),
        ("mask", 3),
        ("weights", 5),
        ("weights", 4),
    ]


def test_titles_that_say_what_is_spoiled_are_broken_and_meet_nothing():
    pairs = ["random_labels+rearranged", "random_labels+rearranged+reinitialized"]
    pairs += ["inverted+reinitialized", "inverted+random_pixels+reinitialized"]
    made = make_study(tickets=("random", "random_uniform", "mine", "own"), epochs=3)
    figure = drawn("learning_curves", _with_checks(made.histories, pairs))
    titles = [ax.get_title("left") for ax in figure.axes]
    assert len(set(titles)) == len(titles) > 4 and any("\n" in title for title in titles)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    for one, other in combinations(figure.axes, 2):
        assert not one.get_tightbbox(renderer).overlaps(other.get_tightbbox(renderer))


def test_a_panel_of_learning_curves_has_few_lines():
    made = make_study(tickets=("snip", "lr_rewinding", "random"), epochs=5, sparsities=(0.9,))
    more = made.histories[(made.histories.ticket == "snip") & (made.histories.check == "none")]
    own = [more.assign(check=f"own_{i}") for i in range(4)]
    histories = pd.concat([made.histories, *own])
    figure = drawn("learning_curves", histories)
    counts = [sum(len(line.get_xdata()) > 1 for line in ax.lines) for ax in figure.axes]
    assert max(counts) <= 6  # the dense network, the original and four checks
    lines = sum(counts) - 2 * len(counts)
    shown = histories[histories.ticket != "dense"].groupby("ticket").check.nunique()
    assert lines == (shown - 1).sum()


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


def test_a_users_own_pruner_comes_first():
    made = make_study(tickets=("snip", "grasp", "mine"))
    rows = [t.get_text() for t in drawn("verdicts", made.verdicts).axes[0].texts]
    assert rows.index("mine") < rows.index("SNIP") < rows.index("GraSP")
    titles = [ax.get_title("left") for ax in drawn("sanity_checks", made.runs).axes]
    assert titles == ["mine", "SNIP", "GraSP"]
    assert legend_of(drawn("tickets", made.runs))[:3] == titles


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


def test_missing_columns_are_named():
    with pytest.raises(JackpotError, match="sparsity"):
        prepare_runs(pd.DataFrame({"dataset": ["d"], "model": ["m"], "seed": [0]}))


def test_collapsed_flags_are_read_whatever_their_spelling():
    runs = make_study(tickets=("snip",)).runs.head(6)
    spelled = ["True", "false", "", np.nan, 1, 0]
    flags = prepare_runs(runs.assign(collapsed=pd.Series(spelled, dtype=object))).collapsed
    assert sorted(flags) == [False] * 4 + [True] * 2
