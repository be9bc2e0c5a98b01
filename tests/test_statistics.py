"""Verdicts against scipy and statsmodels called directly, at the edges, and over many studies."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from jackpot.analysis.statistics import (
    CELL,
    COLUMNS,
    compare,
    details,
    explain,
    holm,
    judge,
    measure,
    paired_test,
    seeds_to_decide,
    smallest_p,
    verdicts,
)
from jackpot.errors import JackpotError

CHECKS = {"rearranged": 0.0, "random_labels": -0.4, "random_pixels": 0.9, "corrupted_data": -3.0}


def make_runs(accuracies, ticket="snip", sparsity=0.9, model="vgg19"):
    """Runs from {check: [accuracy of seed 0, 1, ...]}; None leaves the run out."""
    return pd.DataFrame(
        [
            ("digits", model, ticket, check, sparsity, seed, accuracy)
            for check, values in accuracies.items()
            for seed, accuracy in enumerate(values)
            if accuracy is not None
        ],
        columns=[*CELL, "seed", "test_accuracy"],
    )


def noisy_runs(rng, seeds=5, sd=0.3, ticket="snip", effects=CHECKS, **cell):
    base = rng.normal(90, 2, seeds)
    spoiled = {c: base + effect + rng.normal(0, sd, seeds) for c, effect in effects.items()}
    return make_runs({"none": base, **spoiled}, ticket, **cell)


def only_row(frame):
    assert len(frame) == 1
    return frame.iloc[0]


def one_check(none, spoiled, **levels):
    return only_row(verdicts(make_runs({"none": none, "rearranged": spoiled}), **levels))


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def study(rng):
    frames = [
        noisy_runs(rng, seeds=seeds, sparsity=sparsity, model=model)
        for model, seeds in (("vgg19", 5), ("resnet32", 3))
        for sparsity in (0.9, 0.98)
    ]
    return pd.concat(frames, ignore_index=True)


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
        ([90.0, 91.0], [90.0, 91.0], 2, "unaffected"),
        ([90.1, 91.2, 90.3], [90.1, 91.2, 90.3], 3, "unaffected"),
        ([90.1, 91.2], [90.4, 91.5], 2, "too_few_seeds"),
        ([90.1, 91.2, 90.3], [90.4, 91.5, 90.6], 3, "unaffected"),
        ([90.1, 91.2, 90.3], [90.6, 91.7, 90.8], 3, "improved"),
        ([90.1, 91.2, 90.3], [85.1, 86.2, 85.3], 3, "degraded"),
        ([10.0, 10.0, 10.0], [10.0, 10.0, 10.0], 3, "unaffected"),
        ([90.0, np.nan], [90.0, 91.0], 1, "too_few_seeds"),
        ([90.0, 91.0, 92.0], [90.0, np.inf, 92.0], 2, "unaffected"),
        ([None, 91.0, 92.0], [90.0, 91.0, None], 1, "too_few_seeds"),
        ([np.nan, np.nan], [np.nan, np.nan], 0, "too_few_seeds"),
    ],
)
def test_edges(none, spoiled, n, verdict):
    row = one_check(none, spoiled)
    assert (row.n, row.verdict) == (n, verdict)
    if verdict == "too_few_seeds":
        assert np.isnan([row.p_difference, row.p_equivalence, row.ci95_low]).all()


@pytest.mark.parametrize(
    ("difference", "p_difference", "p_equivalence", "p_noninferiority"),
    [(0.0, 1, 0, 0), (0.3, 0, 0, 0), (-0.5, 0, 1, 1), (0.5, 0, 1, 0), (-4.0, 0, 1, 1)],
)
def test_equal_differences_take_the_limit(
    difference, p_difference, p_equivalence, p_noninferiority
):
    # The sums of floats below differ in their last digits.
    values = (np.array([90.1, 91.7, 88.3, 93.9]) + difference) - np.array([90.1, 91.7, 88.3, 93.9])
    result = paired_test(values, 0.5)
    found = result["p_difference"], result["p_equivalence"], result["p_noninferiority"]
    assert found == (p_difference, p_equivalence, p_noninferiority)
    assert result["ci95_low"] == result["ci95_high"] == pytest.approx(difference, abs=1e-9)


def test_rounding_is_not_a_difference():
    assert paired_test(np.full(3, 0.5 - 1e-12), 0.5)["p_equivalence"] == 1
    assert paired_test(np.array([1e-13, 0.0, -1e-13]), 0.5)["p_difference"] == 1
    runs = make_runs({"none": [90.0, 91.0], "rearranged": [90.0, 91.0]}, sparsity=0.1)
    runs.loc[runs.check == "none", "sparsity"] = 1 - 0.9
    assert only_row(verdicts(runs)).n == 2


def test_what_has_no_p_does_not_enlarge_the_family(study):
    lonely = make_runs({"none": [90.0], "rearranged": [80.0]}, sparsity=0.5)
    table = verdicts(pd.concat([study, lonely]))
    alone = verdicts(study)
    kept = table[table.sparsity != 0.5].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, alone)
    assert holm(pd.Series([np.nan, np.nan])).isna().all()


def test_empty_input_gives_the_columns():
    empty = make_runs({})
    for runs in (empty, pd.DataFrame()):
        assert list(verdicts(runs).columns) == COLUMNS
        assert len(verdicts(runs)) == len(details(runs)) == len(compare(runs, "a", ["b"])) == 0
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
        with pytest.raises(JackpotError, match="must"):
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
    row, verdict = only_row(details(runs)), only_row(verdicts(runs))
    assert row.seeds == (0, 3, 4)
    assert row.differences == pytest.approx((0.7, -3.1, 0.2))
    assert row.sd_difference == pytest.approx(np.std([0.7, -3.1, 0.2], ddof=1))
    assert (row.unpaired, row.diverged) == ((2, 5), (1,))
    assert (row.collapsed, row.collapsed_none) == ((3,), (0, 4))
    assert row.smallest_p == 0.25
    assert (verdict.n, verdict.verdict) == (3, "undecided")
    assert verdict.mean_difference == pytest.approx(np.mean([0.7, -3.1, 0.2]))


def test_details_are_in_the_order_of_verdicts_and_share_alpha(study):
    table, more = verdicts(study), details(study)
    pd.testing.assert_frame_equal(table[CELL], more[CELL])
    undecided = table.verdict == "undecided"
    assert more.seeds_to_decide[~undecided].isna().all()
    expected = [seeds_to_decide(d, 0.5, 0.05 / len(table)) for d in more.differences[undecided]]
    assert more.seeds_to_decide[undecided].tolist() == expected
    assert (more.seeds_to_decide[undecided] > table.n[undecided]).all()


@pytest.mark.parametrize("mean", [0.0, 0.3, -0.45, 1.2])
def test_seeds_to_decide_decide(mean, rng):
    """At the number found a verdict comes in 80 % of made-up studies, and not with half of it."""
    shape = rng.normal(0, 1, 6)
    sample = mean + 0.6 * (shape - shape.mean()) / shape.std(ddof=1)
    needed = seeds_to_decide(sample, margin=0.5, alpha=0.05)
    rate = {}
    for n in (needed, max(2, needed // 2)):
        draws = rng.normal(mean, 0.6, (20_000, n))
        se = draws.std(1, ddof=1) / np.sqrt(n)
        p_less = stats.t.cdf((draws.mean(1) - 0.5) / se, n - 1)
        p_more = stats.t.sf((draws.mean(1) + 0.5) / se, n - 1)
        p = 2 * stats.t.sf(np.abs(draws.mean(1)) / se, n - 1)
        rate[n] = max((np.maximum(p_less, p_more) <= 0.05).mean(), (p <= 0.05).mean())
    assert 0.79 < rate[needed] < 0.92
    assert rate[max(2, needed // 2)] < 0.75


def test_seeds_to_decide_edges(rng):
    assert seeds_to_decide([0.1]) is None
    assert seeds_to_decide([np.nan, 0.1]) is None
    assert seeds_to_decide([-50.0, 20.0, 30.5]) is None
    assert seeds_to_decide([0.0, 0.0]) == 2
    assert seeds_to_decide([0.3, 0.3]) == 3
    assert seeds_to_decide([5.0, 5.01]) == 2


def test_smallest_p_is_that_of_the_sign_flip_test(rng):
    for n in (2, 3, 5):
        all_positive = rng.uniform(1, 2, n)
        assert smallest_p(n) == pytest.approx(stats.wilcoxon(all_positive, method="exact").pvalue)
    assert smallest_p(1) == smallest_p(0) == 1.0


def test_compare_is_the_paired_test_between_tickets(rng):
    tickets = {"random": 0.3, "snip": 0.0, "grasp": 0.1}
    base = rng.normal(90, 2, 6)
    accuracy = {t: base + effect + rng.normal(0, 0.2, 6) for t, effect in tickets.items()}
    runs = pd.concat([make_runs({"none": a}, ticket) for ticket, a in accuracy.items()])
    spoiled = make_runs({"rearranged": rng.normal(50, 1, 6)}, "random")
    table = compare(pd.concat([runs, spoiled]), "random", ["snip", "grasp"], margin=0.4)
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
    runs = make_runs({"none": [90.0, 91.0]}, "snip")
    row = only_row(compare(runs, "random", ["snip", "grasp"]))
    assert (row.reference, row.n, row.verdict) == ("snip", 0, "too_few_seeds")


def test_explain_gives_the_numbers(study):
    table = verdicts(study).merge(details(study), on=CELL)
    lonely = only_row(verdicts(make_runs({"none": [90.0], "rearranged": [80.0]})))
    for row in [*table.to_dict("records"), lonely]:
        sentence = explain(row)
        assert sentence.startswith(row["verdict"].replace("_", " ").capitalize())
        if row["verdict"] == "undecided":
            assert f"{row['seeds_to_decide'] - row['n']} more seeds" in sentence
    far = {**table[table.verdict == "undecided"].iloc[0], "seeds_to_decide": pd.NA}
    assert "more than 1000 seeds" in explain(far)


STUDIES = 2000
ALPHA = 0.05


def one_check_studies(rng, seeds, sd, effect, step=0.0):
    """Many studies of one check each, as cells of one call: read the p before Holm, which for a
    family of one is the p after it."""
    none = rng.normal(90, 1, (STUDIES, seeds))
    spoiled = none + effect + rng.normal(0, sd, (STUDIES, seeds))
    if step:
        none, spoiled = (np.round(a / step) * step for a in (none, spoiled))
    frame = pd.DataFrame({"difference": (spoiled - none).ravel()})
    return measure(
        frame.assign(cell=np.repeat(np.arange(STUDIES), seeds), sparsity=0.9),
        ["cell", "sparsity"],
        0.5,
    )


def bound(rate, tail=0.999):
    return stats.binom.ppf(tail, STUDIES, rate)


@pytest.mark.parametrize(("seeds", "sd", "effect"), [(2, 0.05, 0.5), (3, 0.1, -0.5), (5, 0.3, 0.5)])
def test_error_rates_of_single_checks(seeds, sd, effect, rng):
    wrong = (one_check_studies(rng, seeds, sd, effect).p_equivalence <= ALPHA).sum()
    assert wrong <= bound(ALPHA)
    table = one_check_studies(rng, seeds, sd, 0.0)
    wrong = (table.p_difference <= ALPHA).sum()
    # The t-test is exact here: a rate far below alpha would be an error too.
    assert bound(ALPHA, 0.001) <= wrong <= bound(ALPHA)
    degraded = (table.p_difference <= ALPHA) & (table.mean_difference < 0)
    assert degraded.sum() <= bound(ALPHA / 2)


def test_error_rates_of_whole_studies(rng):
    """Four checks a study, two at the margin and two without effect: any wrong word is an error."""
    effects = np.array([0.5, -0.5, 0.0, 0.0])
    differences = rng.normal(effects[None, :, None], 0.15, (STUDIES, 4, 4))
    frame = pd.DataFrame({"difference": differences.ravel()})
    frame["study"] = np.repeat(np.arange(STUDIES), 16)
    frame["check"] = np.tile(np.repeat(np.arange(4), 4), STUDIES)
    table = measure(frame.assign(sparsity=0.9), ["study", "check", "sparsity"], 0.5)
    unaffected = different = 0
    for _, one in table.groupby("study"):
        words = judge(one, 0.5, ALPHA)["verdict"].to_numpy()
        unaffected += "unaffected" in words[:2]
        different += bool({"degraded", "improved"} & set(words[2:]))
    assert unaffected <= bound(ALPHA)
    assert different <= bound(ALPHA)


def test_coarse_accuracies_stay_near_the_rate(rng):
    """With 360 test images one image is 0.28 points; docs/statistics.md states the limit."""
    for seeds in (2, 6):
        table = one_check_studies(rng, seeds, 0.25, 0.5, step=100 / 360)
        assert (table.p_equivalence <= ALPHA).sum() <= bound(0.07)
        table = one_check_studies(rng, seeds, 0.5, 0.0, step=100 / 360)
        unaffected = table.p_equivalence <= ALPHA
        assert ((table.p_difference <= ALPHA) & ~unaffected).sum() <= bound(ALPHA)
