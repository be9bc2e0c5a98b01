"""Which cells go on to the next look, on made-up studies whose answers are known."""

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.claims import going_on
from jackpot.analysis.design import Design
from jackpot.analysis.frames import CELL
from jackpot.analysis.statistics import check_table, open_cells

LOOKS = (5, 10, 20)


def cell(ticket, check, sparsity=0.9):
    return ("digits", "vgg11", ticket, check, sparsity)


def make_runs(effects, seeds, rng, sparsity=0.9):
    """Runs from {(ticket, check): (points above 90, sd)}."""
    base = rng.normal(90, 2, seeds)
    rows = [
        (*cell(*key, sparsity), seed, base[seed] + mean + sd * noise)
        for key, (mean, sd) in effects.items()
        for seed, noise in enumerate(rng.normal(size=seeds))
    ]
    return pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"])


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def design_of(runs, **more):
    return Design(0.5, 0.05, LOOKS, planned=runs[CELL].drop_duplicates(), **more)


def test_only_what_is_open_goes_on_and_its_original_with_it(rng):
    effects = {
        ("snip", "none"): (0.0, 0.0),
        ("snip", "rearranged"): (0.0, 0.01),  # unaffected
        ("snip", "random_labels"): (0.0, 1.0),  # nobody knows
        ("synflow", "none"): (0.0, 0.0),
        ("synflow", "rearranged"): (-3.0, 0.01),  # degraded by more than the margin
        ("grasp", "none"): (0.0, 0.01),
        ("grasp", "rearranged"): (-0.45, 0.035),  # different, but by less than the margin
        ("random", "none"): (3.0, 0.01),  # keeps up with both
        ("lottery", "none"): (0.0, 2.0),  # has no question
        ("dense", "none"): (4.0, 0.1),
    }
    runs = make_runs(effects, 5, rng)
    table = check_table(runs, design_of(runs)).set_index(["ticket", "check"])
    assert table.verdict["grasp", "rearranged"] == "degraded"
    wanted = {("snip", "random_labels"), ("snip", "none"), ("grasp", "rearranged")}
    assert going_on(runs, design_of(runs)) == {cell(*key) for key in wanted | {("grasp", "none")}}


@pytest.mark.parametrize(
    ("verdict", "mean", "look", "goes_on"),
    [
        ("unaffected", 0.6, 1, False),
        ("degraded", -0.5, 1, False),  # a mean of exactly the margin is enough
        ("degraded", -0.49, 1, True),
        ("improved", 0.49, 2, True),
        ("improved", 0.5, 2, False),
        ("degraded", -0.49, 3, False),  # there is no other look
        ("undecided", 0.6, 2, True),
        ("undecided", 0.6, 3, False),
        ("too_few_seeds", np.nan, 0, True),
    ],
)
def test_which_words_stop_a_cell(verdict, mean, look, goes_on):
    row = {"verdict": verdict, "mean_difference": mean, "margin": 0.5, "look": look, "looks": 3}
    assert len(open_cells(pd.DataFrame([row]))) == goes_on


def test_a_check_that_stops_while_a_claim_about_it_is_open_goes_on():
    """SNIP needs its data a little; whether as much as the margin, five seeds cannot tell."""
    keys = (("snip", "none"), ("snip", "corrupted_data"))
    for mean, goes_on in ((-0.7, True), (-2.0, False)):
        rows = [
            (*cell(*key), seed, 90 + (mean + 0.2 * noise) * (key is keys[1]))
            for key in keys
            for seed, noise in enumerate((-1, -0.5, 0, 0.5, 1))
        ]
        runs = pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"])
        design = design_of(runs)
        table = check_table(runs, design)
        assert list(table.verdict) == ["degraded"] and open_cells(table).empty
        assert going_on(runs, design) == ({cell(*key) for key in keys} if goes_on else set())


def test_pairs_of_tickets_that_claims_leave_open_go_on(rng):
    effects = {
        ("random", "none"): (0.0, 0.01),
        ("snip", "none"): (0.0, 2.0),  # does random keep up?
        ("grasp", "none"): (2.0, 0.01),  # it does not with this one
        ("hybrid", "none"): (0.45, 0.1),  # better, but by less than the margin
    }
    runs = make_runs(effects, 5, rng)
    wanted = {("random", "none"), ("snip", "none"), ("hybrid", "none")}
    assert going_on(runs, design_of(runs)) == {cell(*key) for key in wanted}
    better = runs.copy()
    better.loc[better.ticket == "hybrid", "test_accuracy"] += 1
    found = going_on(better, design_of(better))
    assert found == {cell("random", "none"), cell("snip", "none")}


def test_a_planned_cell_that_has_not_run_goes_on_and_unplanned_pairs_do_not(rng):
    effects = {("snip", "none"): (0.0, 0.01), ("snip", "rearranged"): (0.0, 0.01)}
    runs = make_runs(effects, 5, rng)
    planned = [*map(cell, ["snip"] * 3, ["none", "rearranged", "random_labels"])]
    planned = pd.DataFrame(planned, columns=CELL)
    design = Design(0.5, 0.05, LOOKS, planned=planned)
    assert going_on(runs, design) == {cell("snip", "none"), cell("snip", "random_labels")}


@pytest.mark.parametrize("order", [list(range(20)), list(range(100, 80, -1))])
def test_a_study_that_follows_it_ends_and_leaves_nothing_open_that_could_go_on(rng, order):
    effects = {
        ("snip", "none"): (0.0, 0.1),
        ("snip", "rearranged"): (0.0, 0.2),
        ("snip", "random_labels"): (0.3, 0.6),
        ("snip", "corrupted_data"): (-1.5, 0.5),
        ("random", "none"): (-0.1, 0.3),
    }
    everything = pd.concat(make_runs(effects, 20, rng, s) for s in (0.9, 0.95, 0.98))
    everything = everything.assign(seed=everything.seed.map(dict(enumerate(order))))
    place = everything.seed.map({seed: i for i, seed in enumerate(order)})
    keys = [tuple(key) for key in everything[CELL].itertuples(index=False)]
    design = design_of(everything, seeds=order)
    done, before = place < LOOKS[0], set(keys)
    counts = []
    for look, n in enumerate(LOOKS, 1):
        open_now = going_on(everything[done], design)
        assert open_now <= before
        table = check_table(everything[done], design)
        assert set(table.look) <= set(range(1, look + 1))
        counts.append(len(open_now))
        if look < len(LOOKS):
            more = np.array([key in open_now for key in keys])
            done |= more & (place >= n) & (place < LOOKS[look])
            before = open_now
    assert counts[0] > counts[-1] == 0
    assert done.sum() < len(done)
    stopped = table[table.look < len(LOOKS)]
    large = stopped.mean_difference.abs() >= 0.5
    assert ((stopped.verdict == "unaffected") | large).all() and len(stopped)
