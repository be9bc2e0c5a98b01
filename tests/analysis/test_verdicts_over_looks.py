"""Verdicts over looks, over seeds that are still to come, and where runs diverged."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from jackpot.analysis.design import Design
from jackpot.analysis.forecast import seeds_to_decide
from jackpot.analysis.sequential import resolution_of
from jackpot.analysis.statistics import (
    CELL,
    compare,
    details,
    open_cells,
    verdicts,
)
from tests.support.verdicts import make_runs, noisy_runs, one_check, only_row


def by_hand(differences, looks, shares, margin, g):
    """q of both questions for one cell, written out; 1 where no look is reached."""
    q = [1.0, 1.0]
    for n, share in zip(looks, shares, strict=True):
        x = differences[:n]
        if len(x) < n or np.isnan(x).any():
            break
        se = max(np.std(x, ddof=1), g / 2) / n**0.5
        p_d = 2 * (1 - stats.t.cdf(abs(x.mean()) / se, n - 1))
        p_n = 1 - stats.t.cdf((x.mean() + margin) / se, n - 1)
        p_e = max(p_n, stats.t.cdf((x.mean() - margin) / se, n - 1))
        q = [min(q[0], p_d / share), min(q[1], p_e / share)]
    return q


def test_looks_are_those_of_an_independent_calculation(rng):
    looks, shares, seeds = (4, 6, 9), (0.5, 0.3, 0.2), 9
    runs = pd.concat(
        noisy_runs(rng, seeds, sd, sparsity=s) for s, sd in ((0.5, 0.1), (0.8, 0.4), (0.9, 2.0))
    )
    # One cell stopped at its first look, another lacks a seed in the middle.
    runs = runs[~((runs.sparsity == 0.5) & (runs.check == "rearranged") & (runs.seed >= 4))]
    runs = runs[~((runs.sparsity == 0.8) & (runs.check == "rearranged") & (runs.seed == 5))]
    table = verdicts(runs, 0.5, 0.05, looks, shares)
    q = []
    for row in table.itertuples():
        mine = runs[runs.sparsity == row.sparsity]
        wide = mine.pivot(index="seed", columns="check", values="test_accuracy")
        x = (wide[row.check] - wide["none"]).reindex(range(seeds)).to_numpy()
        q.append(by_hand(x, looks, shares, 0.5, 0.001))
    for i, name in enumerate(("difference", "equivalence")):
        expected = multipletests(np.minimum(1, np.array(q)[:, i]), method="holm")[1]
        np.testing.assert_allclose(table[f"p_{name}_holm"], expected, atol=1e-9)
    stopped = table[table.check == "rearranged"]
    assert stopped.look.tolist() == [1, 1, 3]
    assert stopped.n.tolist() == [4, 4, 9]


def test_the_family_is_fixed_while_cells_are_missing(study):
    planned = study[CELL].drop_duplicates()
    whole = verdicts(study, planned=planned)
    part = verdicts(study[study.model == "vgg19"], planned=planned)
    assert len(part) == len(whole) == 16
    assert (part[part.model == "resnet32"].n == 0).all()
    mine = whole[whole.model == "vgg19"]
    # What has not run counts as p = 1, so nothing is rejected that the whole study would not.
    held = part[part.model == "vgg19"]
    assert (held.p_difference_holm >= mine.p_difference_holm - 1e-12).all()


def test_a_plain_list_of_seeds_is_one_look(study):
    """No verdict before all planned pairs have run, and then the one that all of them give."""
    lists = study.groupby(CELL).agg(seeds=("seed", list)).reset_index()
    planned = lists.to_dict("records")
    whole = verdicts(study, planned=planned)
    pd.testing.assert_frame_equal(whole, verdicts(study))
    some = study[(study.seed < 2) | (study.check == "none") | (study.check == "random_pixels")]
    part = verdicts(some, planned=planned).set_index(CELL)
    waiting = part.index.get_level_values("check") != "random_pixels"
    assert (part.verdict[waiting] == "too_few_seeds").all() and (part.look[waiting] == 0).all()
    assert (part.n[waiting] == 2).all() and part.p_difference[waiting].isna().all()
    there = part[~waiting].p_difference.to_numpy()
    assert np.allclose(there, whole[whole.check == "random_pixels"].p_difference)


def test_pairs_to_come_are_those_of_seeds_that_both_have(rng):
    runs = pd.concat([noisy_runs(rng), noisy_runs(rng, ticket="random_tickets")])
    early = (runs.ticket == "snip") & (runs.seed < 3)
    late = (runs.ticket == "random_tickets") & (runs.seed > 0)
    runs = runs[early | late]
    planned = runs.groupby(CELL).agg(seeds=("seed", list)).reset_index()
    row = only_row(compare(runs, "snip", ["random_tickets"], planned=planned))
    assert (row["n"], row["look"]) == (2, 1) and np.isfinite(row["p_difference"])


def test_which_cells_go_on():
    table = pd.DataFrame(
        [
            ("unaffected", 0.1, 1),
            ("degraded", -0.6, 1),
            ("degraded", -0.4, 1),
            ("undecided", -0.4, 1),
            ("undecided", -0.4, 2),
            ("too_few_seeds", np.nan, 0),
        ],
        columns=["verdict", "mean_difference", "look"],
    ).assign(margin=0.5, looks=2)
    assert open_cells(table).index.tolist() == [2, 3, 5]


def test_diverged_pairs_bar_unaffected():
    none = np.array([90.01, 91.02, 90.33, 89.74, 90.15, 91.16])
    assert one_check(none, none).verdict == "unaffected"
    assert one_check(none, [*none[:5], np.nan]).verdict == "undecided"


@pytest.mark.parametrize("shift", [-3.0, -0.3, 0.0, 0.3, 3.0])
@pytest.mark.parametrize("lost", ["check", "none", "both"])
def test_a_diverged_run_counts_as_the_worst_that_there_is(shift, lost):
    """What the others say of a loss or a gain stays only where it would say so too."""
    none = np.array([90.01, 91.02, 90.33, 89.74, 90.15, 91.16, 90.4, 90.9])
    check = none + shift + 0.01 * np.array([1, -2, 3, -1, 2, -3, 1, -1])
    whole = one_check(none, check)
    assert whole.verdict == {-3.0: "degraded", 3.0: "improved"}.get(shift, "unaffected")
    for side in (check, none):
        if lost in ("both", "check" if side is check else "none"):
            side[3] = np.nan
    says = ("improved", 1) if lost == "none" else ("degraded", -1)
    expected = says[0] if np.sign(shift) == says[1] else "undecided"
    assert one_check(none, check).verdict == expected


def test_a_cell_of_which_all_pairs_diverged_has_been_looked_at():
    runs = make_runs({"none": [90, 91], "rearranged": [np.nan, np.nan]})
    one, looks = verdicts(runs), verdicts(runs, looks=[2])
    assert one.look.tolist() == looks.look.tolist() == [1]
    assert one.verdict.tolist() == looks.verdict.tolist() == ["too_few_seeds"]
    assert not len(open_cells(one)) and not len(open_cells(looks))


def test_seeds_that_nobody_declared_decide_nothing():
    place = {"dataset": "digits", "model": "vgg19", "sparsity": 0.9}
    planned = [
        {**place, "ticket": ticket, "check": check, "seeds": seeds}
        for ticket, seeds in (("snip", [0, 1, 2]), ("random", [*range(6)]))
        for check in ("none", "rearranged")
    ]
    settings = {"margin": 1, "planned": planned, "seeds": range(6)}

    def snip(runs):
        return verdicts(runs, **settings).set_index("ticket").loc["snip"]

    right = make_runs({"none": [90.0, 90.1, 90.2], "rearranged": [90.1, 90.1, 90.3]})
    moved = right.assign(seed=right["seed"] + 3)
    assert (snip(moved)["look"], snip(moved)["verdict"]) == (0, "too_few_seeds")
    for runs in (right, pd.concat([right, moved.assign(test_accuracy=range(6))])):
        assert tuple(snip(runs)[["look", "n", "verdict"]]) == (1, 3, "unaffected")


def test_the_likely_look_is_the_first_with_seeds_enough(rng):
    looks, shares = (5, 10, 20), (0.25, 0.05, 0.7)
    sds = {0.5: 0.3, 0.8: 0.6, 0.9: 0.8, 0.95: 3.0, 0.98: 0.01}
    runs = pd.concat(
        noisy_runs(rng, 5, sd, effects={"rearranged": 0.0}, sparsity=s) for s, sd in sds.items()
    )
    design = Design(0.5, 0.05, looks, shares)
    found = details(runs, design).set_index("sparsity")
    step = resolution_of(runs["test_accuracy"])
    for sparsity in sds:
        mine = runs[runs.sparsity == sparsity]
        wide = mine.pivot(index="seed", columns="check", values="test_accuracy")
        x = (wide["rearranged"] - wide["none"]).to_numpy()
        # The level of the cell with the smallest p, at the share of the look to come.
        needed = {
            k: seeds_to_decide(x, 0.5, 0.05 * shares[k - 1] / len(sds), resolution=step)
            for k in (2, 3)
        }
        expected = [k for k, n in needed.items() if n and looks[k - 1] >= n][:1]
        if sparsity == 0.98:
            expected = []  # it is decided already
        assert found.likely_look[[sparsity]].dropna().tolist() == expected
    assert found.likely_look.notna().sum() >= 2
    assert details(runs, Design(0.5)).likely_look.isna().all()
