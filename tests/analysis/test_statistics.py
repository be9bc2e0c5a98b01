"""Verdicts against scipy and statsmodels called directly, and at the edges."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from jackpot.analysis.design import Design
from jackpot.analysis.sequential import holm
from jackpot.analysis.statistics import (
    CELL,
    COLUMNS,
    compare,
    details,
    ticket_table,
    verdicts,
)
from jackpot.errors import JackpotError
from tests.support.verdicts import make_runs, noisy_runs, one_check, only_row


def test_numbers_are_scipys_and_statsmodels(study):
    margin = 0.7
    table = verdicts(study, margin=margin)
    assert list(table.columns) == COLUMNS
    assert len(table) == 16
    expected = []
    for _, row in table.iterrows():
        mine = study[(study.model == row.model) & (study.sparsity == row.sparsity)]
        check = mine[mine.check == row.check].test_accuracy.to_numpy()
        none = mine[mine.check == "none"].test_accuracy.to_numpy()
        low95, high95 = stats.ttest_rel(check, none).confidence_interval(0.95)
        low90, high90 = stats.ttest_rel(check, none).confidence_interval(0.90)
        p_equivalence = ttost_paired(check, none, -margin, margin)[0]
        p = stats.ttest_rel(check, none).pvalue
        mean = (check - none).mean()
        expected.append((len(check), mean, low95, high95, low90, high90, p, p_equivalence))
    expected = np.array(expected)
    names = COLUMNS[5:13]
    np.testing.assert_allclose(table[names].to_numpy(float), expected, rtol=0, atol=1e-9)
    for column, p in (("p_difference_holm", 6), ("p_equivalence_holm", 7)):
        adjusted = multipletests(expected[:, p], method="holm")[1]
        np.testing.assert_allclose(table[column], adjusted, rtol=0, atol=1e-9)
    assert set(table.margin) == {margin}
    assert {"degraded", "improved", "undecided"} <= set(table.verdict)


def test_verdicts_follow_the_adjusted_p(study):
    table = verdicts(study)
    for _, row in table.iterrows():
        if row.p_equivalence_holm <= 0.05:
            assert row.verdict == "unaffected"
        elif row.p_difference_holm <= 0.05:
            assert row.verdict == ("improved" if row.mean_difference > 0 else "degraded")
        else:
            assert row.verdict == "undecided"
    # Holm must matter somewhere, or the test says nothing about it.
    assert ((table.p_difference <= 0.05) & (table.p_difference_holm > 0.05)).any()


def test_row_order_and_further_columns_change_nothing(study, rng):
    table = verdicts(study)
    shuffled = study.iloc[rng.permutation(len(study))].assign(test_loss=rng.normal(size=len(study)))
    pd.testing.assert_frame_equal(verdicts(shuffled[shuffled.columns[::-1]]), table)
    pd.testing.assert_frame_equal(table, table.sort_values(CELL, ignore_index=True))


def test_pairs_are_of_one_seed_and_one_cell(rng):
    runs = noisy_runs(rng, effects={"rearranged": 0.0}, sd=0.1)
    other = noisy_runs(rng, ticket="grasp", effects={"rearranged": 0.0}, sd=0.1)
    together = verdicts(pd.concat([runs, other.assign(seed=other.seed + 3)]))
    for ticket, alone in (("snip", runs), ("grasp", other)):
        row, expected = only_row(together[together.ticket == ticket]), only_row(verdicts(alone))
        assert row.n == 5
        assert row.p_difference == pytest.approx(expected.p_difference, abs=1e-12)


def test_real_but_negligible_is_unaffected():
    differences = np.array([0.2, 0.21, 0.19, 0.2, 0.205])
    row = one_check([90.0] * 5, 90 + differences)
    assert row.p_difference_holm < 0.001
    assert row.verdict == "unaffected"


@pytest.mark.parametrize("spoiled", ["up", "down"])
def test_sign_decides_between_improved_and_degraded(spoiled, rng):
    sign = 1 if spoiled == "up" else -1
    row = one_check([90.0] * 4, 90 + sign * rng.normal(5, 0.2, 4))
    assert row.verdict == ("improved" if sign > 0 else "degraded")


@pytest.mark.parametrize(
    ("none", "spoiled", "n", "verdict"),
    [
        ([], [90.0], 0, "too_few_seeds"),
        ([90.0], [91.0], 1, "too_few_seeds"),
        ([90.0, 91.0], [89.0, 91.5], 2, "undecided"),
        ([90.0, 91.0, 90.3], [89.0, 91.5, 90.1], 3, "undecided"),
        ([90.0, 91.0], [90.0, 91.0], 2, "undecided"),
        ([90.1, 91.2, 90.3], [90.1, 91.2, 90.3], 3, "unaffected"),
        ([90.1, 91.2], [90.4, 91.5], 2, "undecided"),
        ([90.1, 91.2, 90.3], [90.4, 91.5, 90.6], 3, "unaffected"),
        ([90.1, 91.2, 90.3], [90.6, 91.7, 90.8], 3, "improved"),
        ([90.1, 91.2, 90.3], [85.1, 86.2, 85.3], 3, "degraded"),
        ([10.0, 10.0, 10.0], [10.0, 10.0, 10.0], 3, "undecided"),
        ([90.0, np.nan], [90.0, 91.0], 1, "too_few_seeds"),
        ([90.0, 91.0, 92.0], [90.0, np.inf, 92.0], 2, "undecided"),
        ([None, 91.0, 92.0], [90.0, 91.0, None], 1, "too_few_seeds"),
        ([np.nan, np.nan], [np.nan, np.nan], 0, "too_few_seeds"),
    ],
)
def test_edges(none, spoiled, n, verdict):
    row = one_check(none, spoiled)
    assert (row.n, row.verdict) == (n, verdict)
    if verdict == "too_few_seeds":
        assert np.isnan([row.p_difference, row.p_equivalence, row.ci95_low]).all()


def test_sparsities_that_differ_by_rounding_are_one():
    runs = make_runs({"none": [90.0, 91.0], "rearranged": [90.0, 91.0]}, sparsity=0.1)
    runs.loc[runs.check == "none", "sparsity"] = 1 - 0.9
    assert only_row(verdicts(runs)).n == 2


def test_what_has_no_p_counts_as_one_in_the_family(study):
    lonely = make_runs({"none": [90.0], "rearranged": [80.0]}, sparsity=0.5)
    table = verdicts(pd.concat([study, lonely]))
    expected = multipletests(table.p_difference.fillna(1), method="holm")[1]
    there = table.sparsity != 0.5
    np.testing.assert_allclose(table.p_difference_holm[there], expected[there])
    assert holm(pd.Series([np.nan, np.nan])).isna().all()


def test_empty_input_gives_the_columns():
    empty = make_runs({})
    for runs in (empty, pd.DataFrame()):
        assert list(verdicts(runs).columns) == COLUMNS
        assert (
            len(verdicts(runs))
            == len(details(runs, Design()))
            == len(compare(runs, "a", ["b"]))
            == 0
        )
    dense_alone = make_runs({"none": [93.0, 94.0]}, ticket="dense", sparsity=0)
    assert verdicts(dense_alone).empty


def test_unusable_input_is_refused(study):
    with pytest.raises(JackpotError, match=r"lacks the column.*seed"):
        verdicts(study.drop(columns="seed"))
    with pytest.raises(JackpotError, match=r"twice: digits vgg19 snip none 0\.9 0"):
        verdicts(pd.concat([study, study.head(1)]))
    with pytest.raises(JackpotError, match="empty fields in check"):
        verdicts(study.assign(check=None))
    with pytest.raises(JackpotError, match="not a number"):
        verdicts(study.assign(test_accuracy="high"))
    for levels in ({"margin": 0}, {"margin": np.nan}, {"alpha": 0.5}, {"alpha": 0}):
        with pytest.raises(JackpotError, match=f"^{next(iter(levels))}: Input should be"):
            verdicts(study, **levels)


def test_details_keep_flagged_runs_in_view(rng):
    none = rng.normal(90, 1, 6)
    runs = make_runs(
        {
            "none": [*none[:5], None],
            "rearranged": [none[0] + 0.7, np.nan, None, none[3] - 3.1, none[4] + 0.2, none[5]],
        }
    )
    runs["collapsed"] = runs.seed.isin([3]) & (runs.check == "rearranged") | (
        runs.seed.isin([0, 4]) & (runs.check == "none")
    )
    row, verdict = only_row(details(runs, Design())), only_row(verdicts(runs))
    assert row.sd_difference == pytest.approx(np.std([0.7, -3.1, 0.2], ddof=1))
    assert row.collapsed == (3,)
    assert (verdict.n, verdict.verdict) == (3, "undecided")
    assert verdict.mean_difference == pytest.approx(np.mean([0.7, -3.1, 0.2]))


def test_details_are_of_declared_seeds():
    none = [90.0] * 5
    runs = make_runs({"none": none, "rearranged": [90.5, 90.1, 90.3, 90.2, 40.0]})
    row = only_row(details(runs, Design(looks=[4], seeds=range(4))))
    assert row.sd_difference == pytest.approx(np.std([0.5, 0.1, 0.3, 0.2], ddof=1))


def test_a_planned_seed_that_has_no_run_at_all_is_waited_for():
    runs = make_runs({"none": [93.1, 92.8, 93.4], "rearranged": [93.2, 92.7, 93.4]})
    cells = runs[CELL].drop_duplicates()
    assert only_row(verdicts(runs, 2.0, planned=cells)).verdict == "unaffected"
    planned = [{**cell, "seeds": range(5)} for cell in cells.to_dict("records")]
    row = only_row(verdicts(runs, 2.0, planned=planned))
    assert (row.verdict, row.look, row.n) == ("too_few_seeds", 0, 3)
    assert row.mean_difference == pytest.approx(0) and np.isnan(row.ci95_low)


def test_details_are_in_the_order_of_verdicts(study):
    pd.testing.assert_frame_equal(verdicts(study)[CELL], details(study, Design())[CELL])


def test_compare_is_the_paired_test_between_tickets(rng):
    tickets = {"random": 0.3, "snip": 0.0, "grasp": 0.1}
    base = rng.normal(90, 2, 6)
    accuracy = {t: base + effect + rng.normal(0, 0.2, 6) for t, effect in tickets.items()}
    runs = pd.concat([make_runs({"none": a}, ticket) for ticket, a in accuracy.items()])
    spoiled = make_runs({"rearranged": rng.normal(50, 1, 6)}, "random")
    runs = pd.concat([runs, spoiled])
    table = ticket_table(runs, ["random"], ["snip", "grasp"], Design(margin=0.4))
    public = compare(runs, "random", ["snip", "grasp"], margin=0.4)
    pd.testing.assert_frame_equal(public, table[public.columns])
    assert table.reference.tolist() == ["grasp", "snip"]
    p = []
    for _, row in table.iterrows():
        a, b = accuracy["random"], accuracy[row.reference]
        assert row.mean_difference == pytest.approx((a - b).mean(), abs=1e-9)
        assert row.p_difference == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=1e-9)
        p.append(stats.ttest_rel(a + 0.4, b, alternative="greater").pvalue)
        assert row.p_noninferiority == pytest.approx(p[-1], abs=1e-9)
    np.testing.assert_allclose(table.p_noninferiority_holm, multipletests(p, method="holm")[1])


def test_compare_shows_cells_where_one_ticket_is_missing():
    snip, random = (make_runs({"none": [90.0, 91.0]}, name) for name in ("snip", "random"))
    runs = pd.concat([snip, random.assign(sparsity=0.5)])
    rows = compare(runs, "random", "snip")
    assert set(rows.reference) == {"snip"} and set(rows.n) == {0}
    assert set(rows.verdict) == {"too_few_seeds"} and len(rows) == 2
    with pytest.raises(JackpotError, match="no ticket 'grasp'; it has random, snip"):
        compare(runs, "random", ["snip", "grasp"])
    with pytest.raises(JackpotError, match="random cannot be compared with itself"):
        compare(runs, "random", ["random"])


def test_sparsities_are_shares():
    runs = make_runs({"none": [90.0, 91.0], "rearranged": [80.0, 81.0]}, "snip")
    for sparsity in (90, 1, -0.1, np.inf):
        with pytest.raises(JackpotError, match=f"sparsity from {sparsity:g} to .* below 1"):
            verdicts(runs.assign(sparsity=sparsity))


def test_accuracies_are_percent():
    runs = make_runs({"none": [90.0, 91.0], "rearranged": [80.0, 81.0]}, "snip")
    with pytest.raises(JackpotError, match="from 800 to 910; percent go from 0 to 100"):
        verdicts(runs.assign(test_accuracy=runs["test_accuracy"] * 10))
    with pytest.warns(UserWarning, match="they are read as percent"):
        verdicts(runs.assign(test_accuracy=runs["test_accuracy"] / 100))
