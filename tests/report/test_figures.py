"""All figures: the files, the same bytes from the same numbers, orders and styles."""

import pytest

from jackpot.analysis.frames import own_ingredients
from jackpot.report import figures
from jackpot.report.style import by_ingredient, draw_and_save
from tests.support.pictures import OWN, drawn, legend_of, texts_of, with_checks
from tests.support.synthetic import make_study

SMALL = {"tickets": ("snip", "lottery", "random", "mine"), "epochs": 6, "layers": 5}
FIGURES = ("verdicts", "sanity_checks", "tickets", "layer_densities", "learning_curves")


@pytest.fixture(scope="module")
def made():
    return make_study(**SMALL, diverged=0.05)


def _table(made, name):
    tables = {"layer_densities": made.layers, "learning_curves": made.histories}
    return {**tables, "verdicts": made.verdicts}.get(name, made.runs)


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
    table = with_checks(_table(make_study(tickets=("snip",), epochs=3), name), OWN)
    if name == "layer_densities":
        table.loc[table.check.isin(OWN), "kept"] -= 1  # or its lines would be left out
    with own_ingredients(OWN):
        legend = legend_of(drawn(name, table))
    kinds = ("corrupted data", "z data check", "b mask check", "a weights check")
    assert [label for label in legend if label in kinds] == list(kinds)


def test_a_check_looks_the_same_in_every_figure():
    made = make_study(tickets=("snip",), epochs=3)
    layers = with_checks(made.layers, OWN)
    layers.loc[layers.check == "a_weights_check", "kept"] -= 1  # the only one that has a line
    with own_ingredients(OWN):
        figures = (
            drawn("layer_densities", layers),
            drawn("learning_curves", with_checks(made.histories, OWN)),
        )
    colours = [
        line.get_color()
        for figure in figures
        for line, label in zip(figure.legends[0].get_lines(), legend_of(figure), strict=True)
        if label == "a weights check"
    ]
    assert len(colours) == 2 and len(set(colours)) == 1


def test_a_users_own_pruner_comes_first():
    made = make_study(tickets=("snip", "grasp", "mine"))
    rows = [t.get_text() for t in drawn("verdicts", made.verdicts).axes[0].texts]
    assert rows.index("mine") < rows.index("SNIP") < rows.index("GraSP")
    titles = [ax.get_title("left") for ax in drawn("sanity_checks", made.runs).axes]
    assert titles == ["mine", "SNIP", "GraSP"]
    assert legend_of(drawn("tickets", made.runs))[:3] == titles
