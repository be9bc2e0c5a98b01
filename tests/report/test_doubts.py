"""What the page warns of."""

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.frames import CELL, prepare_runs
from jackpot.analysis.statistics import verdicts
from jackpot.report.doubts import (
    at_chance,
    declared_anew,
    doubts,
    mixed_devices,
    near_chance,
    odd_edits,
    same_tickets,
    starved_layers,
)
from jackpot.report.evidence import hardware_table
from jackpot.report.page import write_report
from tests.support.synthetic import make_study


def study(dense, images=10_000):
    """Made-up runs whose dense networks end at these accuracies, in whole test images."""
    runs = make_study(tickets=("snip",), seeds=tuple(range(len(dense)))).runs
    runs["test_accuracy"] = np.rint(runs["test_accuracy"] * images / 100) * 100 / images
    of_dense = runs["ticket"] == "dense"
    runs.loc[of_dense, "test_accuracy"] = np.resize(dense, of_dense.sum())
    return runs


@pytest.mark.parametrize(
    ("dense", "classes", "warned"),
    [
        ([10.0, 10.0, 9.8], 10, True),
        # Three standard errors of 10,000 guesses at ten classes are 0.9 points.
        ([10.0, 10.0, 10.89], 10, True),
        ([10.0, 10.91, 10.91], 10, False),
        # One lucky seed of three.
        ([10.0, 10.0, 90.0], 10, True),
        ([50.2, 49.9, 50.0], 2, True),
        ([50.2, 49.9, 50.0], 10, False),
    ],
)
def test_a_dense_network_at_chance_is_warned_of(tmp_path, dense, classes, warned):
    runs = study(dense)
    assert not at_chance(prepare_runs(runs)), "unknown numbers of classes say nothing"
    runs["chance_accuracy"] = 100 / classes
    assert len(at_chance(prepare_runs(runs))) == warned
    about = {"provenance": {"trained": ["2026-11-28"] * 2}}
    page = write_report(tmp_path / "report.html", runs=runs, about=about).read_text()
    assert ("cannot be told from guessing" in page) == warned
    assert "2026-11-28" in page and "2026-11-28 to" not in page


def test_statistics_that_were_declared_anew_are_told():
    first = {"margin": 3.0, "alpha": 0.05, "looks": [3, 5], "shares": None, "seeds": [0, 1]}
    first["since"] = "2026-11-01"
    second = {**first, "margin": 9.0, "looks": [3, 5, 8], "since": "2026-11-02"}
    third = {**second, "looks": None, "seeds": [0, 1, 2], "since": "2026-11-03"}
    assert declared_anew([]) == declared_anew([first]) == []
    (said,) = declared_anew([first, second, third])
    assert (
        "margin 3 became 9 and looks 3, 5 became 3, 5, 8 (2026-11-02) and looks 3, 5, 8 became "
        "none and other seeds (2026-11-03)." in said
    )
    runs = prepare_runs(make_study(tickets=("snip",)).runs)
    told = doubts(runs, {"declared": [first, second]})[0]
    assert "margin 3 became 9 and looks 3, 5 became 3, 5, 8 (2026-11-02)." in told


def test_a_data_check_that_changes_no_mask_is_an_answer():
    runs = prepare_runs(make_study(tickets=("snip",), seeds=(0, 1, 2)).runs)
    by = ["dataset", "model", "ticket", "sparsity", "seed"]
    numbers = ["test_accuracy", "test_loss", "density"]
    mine = runs["check"] == "random_labels"
    plain = runs[runs["check"] == "none"][[*by, *numbers]]
    runs.loc[mine, numbers] = runs.loc[mine, by].merge(plain, on=by)[numbers].values
    (found,) = odd_edits(runs)
    assert "SNIP, random labels" in found and "does not depend on this part of the data" in found
    assert "says nothing there" not in found


def test_checks_that_change_nothing_or_the_sparsity_are_told_of():
    runs = prepare_runs(make_study(tickets=("snip",), seeds=(0, 1, 2)).runs)
    assert odd_edits(runs) == []
    by = ["dataset", "model", "ticket", "sparsity", "seed"]
    plain = runs[runs["check"] == "none"]
    same = runs.copy()
    numbers = ["test_accuracy", "test_loss", "density"]
    mine = runs["check"] == "rearranged"
    same.loc[mine, numbers] = (
        runs.loc[mine, by].merge(plain[[*by, *numbers]], on=by)[numbers].values
    )
    (found,) = odd_edits(same)
    cells = len(runs.loc[mine, by[:-1]].drop_duplicates())
    assert f"In {cells} cells (SNIP, rearranged at " in found and "changed nothing" in found
    full = runs.copy()
    full.loc[mine, "density"] = 1.0
    (found,) = odd_edits(full)
    assert "rearranged" in found and "another number of weights" in found


@pytest.mark.parametrize(("share", "told"), [(0.2, False), (0.02, True)])
def test_a_layer_that_a_spoiled_mask_starves_is_told_of(tmp_path, share, told):
    made = make_study(tickets=("snip", "grasp"), sparsities=(0.8,), layers=4)
    layers = made.layers
    plain = layers[layers["check"] == "none"].set_index(["ticket", "seed", "position"])["kept"]
    mine = (layers["check"] == "random_labels") & (layers["position"] == 3)
    key = pd.MultiIndex.from_frame(layers.loc[mine, ["ticket", "seed", "position"]])
    layers.loc[mine, "kept"] = (share * plain.reindex(key)).round().astype(int).to_numpy()
    found = starved_layers(layers)
    page = write_report(tmp_path / "report.html", runs=made.runs, layers=layers).read_text()
    assert bool(found) == told == ("the spoiled mask leaves a layer" in page)
    if told:
        name = layers.loc[mine, "layer"].iloc[0]
        assert "In 2 cells (" in found[0] and "random labels at 80 % and 1 more)" in found[0]
        assert f"({name}: " in found[0]


def test_pairs_of_two_devices_are_told_of_where_devices_differ_in_bits():
    runs = prepare_runs(make_study(tickets=("snip",), seeds=(0, 1, 2)).runs)
    assert mixed_devices(runs) == []
    checked = runs["check"] == "rearranged"
    runs.loc[checked, "device"] = "A GPU"
    (found,) = mixed_devices(runs)
    pairs = (~runs["check"].eq("none")).sum()
    assert f"In {checked.sum()} of {pairs} pairs" in found and "A GPU and " in found
    assert found in doubts(runs, {})
    assert doubts(runs, {"provenance": {"versions": {"arithmetic": "portable"}}}) == []


def test_a_ticket_whose_runs_all_diverged_is_said_to_have_diverged():
    cell = ("digits", "vgg5", "snip", "none", 0.8)
    rows = [(*cell, seed, float("nan")) for seed in range(2)]
    runs = pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"]).assign(chance_accuracy=10)
    (found,) = at_chance(prepare_runs(runs))
    assert "SNIP ticket of vgg5 on digits at 80 % diverged in all of its 2 runs" in found
    assert "nan" not in found


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ([None, None, None, 90.0], "guessing: 3 of 4 runs diverged, and a guess"),
        ([None, 9.0, 10.0, 11.0], "guessing: half of 4 runs end at 9.5 % or less, or diverged (1)"),
        ([8.0, 9.0, 10.0, 11.0], "guessing: half of 4 runs end at 9.5 % or less, and a guess"),
    ],
)
def test_runs_that_diverged_count_as_no_better_than_guessing(accuracies, said):
    cell = ("digits", "vgg5", "snip", "none", 0.8)
    rows = [(*cell, seed, accuracy) for seed, accuracy in enumerate(accuracies)]
    runs = pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"]).assign(chance_accuracy=10)
    (found,) = at_chance(prepare_runs(runs))
    assert said in found


def test_what_could_lose_all_within_the_margin_is_told():
    runs = study([90.0, 90.2, 90.1]).assign(chance_accuracy=50.0)
    unchecked = (runs["ticket"] == "snip") & (runs["check"] == "none")
    lowest = runs["sparsity"] == runs.loc[unchecked, "sparsity"].min()
    runs.loc[unchecked, "test_accuracy"] = 90.0
    runs.loc[unchecked & lowest, "test_accuracy"] = 54.0
    assert near_chance(prepare_runs(runs), 3.0) == []
    (found,) = near_chance(prepare_runs(runs), 5.0)
    assert found.startswith("SNIP at ") and "the margin of 5 points above a guess" in found
    runs.loc[unchecked & lowest, "test_accuracy"] = 50.0
    assert near_chance(prepare_runs(runs), 5.0) == [], "that is told as guessing"


def test_tickets_that_are_one_are_told():
    runs = study([90.0, 90.2, 90.1])
    assert same_tickets(prepare_runs(runs)) == []
    twin = runs[runs["ticket"] == "snip"].assign(ticket="twin")
    (found,) = same_tickets(prepare_runs(pd.concat([runs, twin])))
    assert "seed for seed: SNIP and twin." in found
    twin.iloc[0, twin.columns.get_loc("test_loss")] += 1e-6
    # At the other sparsities they are still alike.
    assert twin["sparsity"].nunique() > 1
    assert same_tickets(prepare_runs(pd.concat([runs, twin]))) == []
    # What one of them alone has says nothing of the other.
    twin = runs[(runs["ticket"] == "snip") & (runs["seed"] > 0)].assign(ticket="twin")
    more = twin[twin["seed"] == twin["seed"].max()].assign(seed=99, test_accuracy=1.0)
    (found,) = same_tickets(prepare_runs(pd.concat([runs, twin, more])))
    assert "seed for seed: SNIP and twin." in found
    dead = twin.assign(test_accuracy=10.0, test_loss=2.3, collapsed=True)
    both = pd.concat([runs, dead, dead.assign(ticket="other")])
    assert same_tickets(prepare_runs(both)) == [], "of a network that is cut in two"


def test_tickets_of_several_devices_are_told():
    runs = study([90.0, 90.2, 90.1])
    twin = runs[(runs["ticket"] == "snip") & (runs["check"] == "none")].assign(ticket="twin")
    both = pd.concat([runs, twin.assign(device="A GPU")])
    (found,) = mixed_devices(prepare_runs(both))
    assert found.startswith("Tickets that are compared with one another were trained on different")


def test_what_a_table_says_nothing_of_is_blank():
    """All of a column's fields are empty, or some."""
    runs = study([90.0, 90.2, 90.1])
    for there in (runs["seed"] < 0, runs["seed"] == 0):
        blank = {"device": runs["device"].where(there), "precision": None, "study": np.nan}
        found = prepare_runs(runs.assign(**blank, collapsed=there.where(there)))
        assert {*found["device"]} == {"", *runs["device"][there]}
        assert found["collapsed"].tolist() == (found["device"] != "").tolist()
        assert mixed_devices(found) == []
        assert sum(int(row[2].text) for row in hardware_table(found).rows) == len(runs)


def test_a_ticket_at_chance_is_warned_of_at_its_sparsity_alone():
    runs = study([90.0, 90.2, 90.1]).assign(chance_accuracy=10.0)
    dead = (runs["ticket"] == "snip") & (runs["sparsity"] == runs["sparsity"].max())
    runs.loc[dead & (runs["check"] == "none"), "test_accuracy"] = 10.0
    (found,) = at_chance(prepare_runs(runs))
    assert "SNIP" in found and f"{100 * runs['sparsity'].max():g} %" in found
    marked = verdicts(runs)
    assert (marked["at_chance"] == (marked["sparsity"] == runs["sparsity"].max())).all()
    # What a check does to it is another matter: it may be what brings it to chance.
    runs.loc[dead & (runs["check"] == "none"), "test_accuracy"] = 80.0
    runs.loc[dead & (runs["check"] != "none"), "test_accuracy"] = 10.0
    assert not at_chance(prepare_runs(runs)) and not verdicts(runs)["at_chance"].any()
    assert verdicts(runs.drop(columns="chance_accuracy"))["at_chance"].isna().all()
