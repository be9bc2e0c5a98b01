"""Learning curves: panels by what is spoiled."""

from itertools import combinations

import pandas as pd

from jackpot.analysis.frames import own_ingredients
from tests.support.pictures import OWN, drawn, with_checks
from tests.support.synthetic import make_study


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
    most = with_checks(three, added)
    assert _learning_panels(drawn("learning_curves", most)) == [
        ("data", 4),
        ("scores, mask", 3),
        ("weights", 5),
    ]
    more = with_checks(histories, [*OWN, *(f"own_{i}" for i in range(5))])
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
    figure = drawn("learning_curves", with_checks(made.histories, pairs))
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
