"""Figures: the files, the same bytes from the same numbers, and what is drawn where."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from jackpot.analysis.frames import mask_densities, prepare_runs
from jackpot.errors import JackpotError
from jackpot.report import figures, style
from jackpot.report.panels import Block, lay_out
from tests.support.synthetic import make_study

SMALL = {"tickets": ("snip", "lottery", "random", "mine"), "epochs": 6, "layers": 5}


@pytest.fixture(scope="module")
def made():
    return make_study(**SMALL, diverged=0.05)


def _table(made, name):
    return {"layer_densities": made.layers, "learning_curves": made.histories}.get(name, made.runs)


@pytest.mark.parametrize("name", ["sanity_checks", "tickets", "layer_densities", "learning_curves"])
def test_writes_three_files_with_the_same_bytes_whatever_the_row_order(made, tmp_path, name):
    draw, table = getattr(figures, name), _table(made, name)
    first = draw(table, tmp_path / "one" / name)
    again = draw(table.sample(frac=1, random_state=3), tmp_path / "two" / name)
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
    ],
)
def test_odd_studies_are_drawn(tmp_path, shape):
    made = make_study(**shape, epochs=3, layers=3)
    figures.sanity_checks(made.runs, tmp_path / "a")
    figures.tickets(made.runs, tmp_path / "b")
    figures.layer_densities(made.layers, tmp_path / "c")
    figures.learning_curves(made.histories, tmp_path / "d")
    assert len(list(tmp_path.glob("*.svg"))) == 4


def _accuracy_axes(runs, monkeypatch):
    """The axes of the sanity-check figure by panel key, without writing a file."""
    kept = {}

    def keep(draw, out_stem):
        with style.rc_context(style.RC):
            kept["figure"] = draw()

    monkeypatch.setattr(figures, "draw_and_save", keep)
    figures.sanity_checks(runs, "unused")
    return kept["figure"], {ax.get_title("left"): ax for ax in kept["figure"].axes}


def test_points_are_means_and_bars_standard_deviations_over_seeds(monkeypatch):
    made = make_study(tickets=("snip",), sparsities=(0.8, 0.95), seeds=range(4))
    _, axes = _accuracy_axes(made.runs, monkeypatch)
    chosen = made.runs[(made.runs.ticket == "snip") & (made.runs.check == "rearranged")]
    values = [
        chosen[chosen.sparsity == s].sort_values("seed").test_accuracy.to_numpy()
        for s in (0.8, 0.95)
    ]
    colour = to_rgb(style.CHECK_LOOKS["rearranged"].colour)
    bars = [c for c in axes["SNIP"].containers if to_rgb(c.lines[0].get_color()) == colour]
    (bar,) = bars
    np.testing.assert_allclose(bar.lines[0].get_ydata().astype(float), [v.mean() for v in values])
    ends = np.array([segment[:, 1] for segment in bar.lines[2][0].get_segments()])
    half = np.sqrt([((v - v.mean()) ** 2).sum() / 3 for v in values])
    np.testing.assert_allclose((ends[:, 1] - ends[:, 0]) / 2, half)


def test_collapsed_and_diverged_runs_stay_in_view(monkeypatch):
    runs = make_study(tickets=("snip",)).runs
    is_cell = (runs.ticket == "snip") & (runs.check == "none") & (runs.sparsity == 0.98)
    runs.loc[is_cell & (runs.seed == 0), ["test_accuracy", "collapsed"]] = [10.0, True]
    runs.loc[is_cell & (runs.seed == 1), "test_accuracy"] = np.nan
    figure, axes = _accuracy_axes(runs, monkeypatch)
    assert axes["SNIP"].get_ylim()[0] > 50
    edge = [line for line in axes["SNIP"].lines if line.get_markerfacecolor() == "none"]
    assert sorted((line.get_marker(), len(line.get_xdata())) for line in edge) == [
        ("v", 1),
        ("x", 1),
    ]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"diverged run", "run below the axis", "dense (nothing pruned)"} <= set(legend)


@pytest.mark.parametrize("counts", [[1], [2], [6, 6], [5, 2, 7], [9]])
def test_no_label_meets_another(counts):
    blocks = [
        Block(f"dataset{b} · model", [((b, i), f"ticket {i}") for i in range(n)])
        for b, n in enumerate(counts)
    ]
    handles = [look.handle() for look in style.CHECK_LOOKS.values()]
    with style.rc_context(style.RC):
        figure, axes = lay_out(blocks, handles, "sparsity (%)", "test accuracy (%)")
        for ax in axes.values():
            ax.set(xlim=(-0.6, 1.6), xticks=[0, 1], xticklabels=["90", "99.5"])
            ax.set_ylim(91.25, 93.75)
        renderer = figure.canvas.get_renderer()
        boxes = [ax.get_tightbbox(renderer) for ax in axes.values()]
        boxes += [text.get_window_extent(renderer) for text in figure.texts]
        boxes += [figure.legends[0].get_window_extent(renderer)]
    width, height = figure.get_size_inches() * figure.dpi
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def _lightness(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("known", [style.CHECK_LOOKS, style.TICKET_LOOKS])
def test_looks_can_be_told_apart_without_colour(known):
    names = [*known, *(f"own_{i}" for i in range(6))]
    chosen = style.looks(names, known)
    assert list(chosen) == names
    assert len({look.marker for look in chosen.values()}) == len(names)
    # 3:1 on white would lose sky blue and orange; they carry marker and dash as well.
    assert all(_lightness(look.colour) < 0.45 for look in chosen.values())


def test_a_mask_with_equal_counts_is_drawn_once():
    made = make_study(tickets=("snip",), layers=4)
    means = mask_densities(made.layers.sample(frac=1, random_state=1))
    assert set(means.check) == {"none", "random_labels", "random_pixels", "corrupted_data"}
    one = made.layers.query("check == 'corrupted_data' and sparsity == 0.98 and position == 2")
    got = means.query("check == 'corrupted_data' and sparsity == 0.98 and position == 2")
    assert got["mean"].item() == pytest.approx((one.kept / one.total).mean())
    assert (means.groupby(["check", "sparsity"]).position.diff().dropna() == 1).all()


def test_missing_columns_are_named():
    with pytest.raises(JackpotError, match="sparsity"):
        prepare_runs(pd.DataFrame({"dataset": ["d"], "model": ["m"], "seed": [0]}))


def test_collapsed_flags_are_read_whatever_their_spelling():
    runs = make_study(tickets=("snip",)).runs.head(6)
    spelled = ["True", "false", "", np.nan, 1, 0]
    flags = prepare_runs(runs.assign(collapsed=pd.Series(spelled, dtype=object))).collapsed
    assert sorted(flags) == [False] * 4 + [True] * 2
