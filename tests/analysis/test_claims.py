"""The papers' claims on made-up runs whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from jackpot.analysis.claims import evaluate_claims, overall
from jackpot.analysis.design import Design
from jackpot.analysis.papers import CLAIMS
from jackpot.analysis.reported import load_reported
from jackpot.analysis.statistics import CELL, COLUMNS, ticket_table, verdicts
from jackpot.report.claims import covers_a_part, guesses_in, numbers_of
from jackpot.vocabulary import OUTCOMES

BY_ID = {claim.id: claim for claim in CLAIMS}
SPARSITIES = (0.9, 0.98)
NEED_WEIGHTS = "partially_trained_tickets_need_weights"
HYBRID, LOTTERY = "hybrid_tickets_improve_on_random", "lottery_does_not_need_data"


def evaluate(claim, runs, design):
    return next(r for r in evaluate_claims(runs, design) if r.claim is claim)


def make_runs(effects, seeds=8, sd=0.1, dataset="digits", model="vgg11", sparsities=SPARSITIES):
    """Runs from {(ticket, check): points above 90}, every cell paired by seed."""
    rng = np.random.default_rng(11)
    rows = []
    for sparsity in sparsities:
        base = rng.normal(90, 2, seeds)
        for (ticket, check), effect in effects.items():
            for seed in range(seeds):
                accuracy = base[seed] + effect + rng.normal(0, sd)
                rows.append((dataset, model, ticket, check, sparsity, seed, accuracy))
    return pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"])


AS_THE_PAPERS_SAY = {
    **{(t, c): 0.0 for t in ("snip", "grasp", "lottery") for c in ("none", "rearranged")},
    **{(t, "corrupted_data"): 0.0 for t in ("snip", "grasp", "lottery")},
    ("random", "none"): 0.1,
    ("hybrid", "none"): 3.5,
    **{(t, "none"): 2.0 for t in ("weight_rewinding", "lr_rewinding")},
    **{
        (t, c): -1.0
        for t in ("weight_rewinding", "lr_rewinding")
        for c in ("shuffled_weights", "random_labels", "half_dataset")
    },
    ("snip", "reinitialized"): 0.0,
    **{("lr_rewinding", c): 1.0 for c in ("rearranged", "reinitialized")},
}


def test_all_claims_hold_where_they_are_true():
    results = {r.claim.id: r for r in evaluate_claims(make_runs(AS_THE_PAPERS_SAY), Design())}
    assert list(results) == list(BY_ID)
    reported = results.pop("ours_agree_with_reported")
    assert (reported.verdict, len(reported.rows)) == ("not_tested", 0)
    assert {r.verdict for r in results.values()} == {"held"}
    cells = {"random_tickets_keep_up": 4, "hybrid_tickets_improve_on_random": 2}
    for name, count in cells.items():
        assert len(results[name].rows) == count
        said = numbers_of(results[name])
        assert f"Held in {count} of {count} cells. Mean difference from" in said


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("initial_tickets_do_not_need_data", {("grasp", "corrupted_data"): -2.0}),
        ("initial_tickets_do_not_need_positions", {("snip", "rearranged"): -2.0}),
        ("lottery_does_not_need_data", {("lottery", "corrupted_data"): -2.0}),
        ("lottery_does_not_need_positions", {("lottery", "rearranged"): -2.0}),
        ("random_tickets_keep_up", {("grasp", "none"): 2.0, ("grasp", "rearranged"): 2.0}),
        ("partially_trained_tickets_need_weights", {("lr_rewinding", "shuffled_weights"): 2.0}),
        ("partially_trained_tickets_need_data", {("weight_rewinding", "random_labels"): 2.0}),
        ("partially_trained_tickets_need_all_data", {("weight_rewinding", "half_dataset"): 4.0}),
        ("hybrid_tickets_improve_on_lr_rewinding", {("lr_rewinding", "none"): 3.4}),
        ("hybrid_tickets_improve_on_random", {("hybrid", "none"): 0.2}),
        (
            "pruning_at_initialization_needs_only_layer_counts",
            {("snip", "reinitialized"): -2.0},
        ),
        (
            "pruning_after_training_needs_more_than_layer_counts",
            {("lr_rewinding", "rearranged"): 2.0},
        ),
    ],
)
def test_each_claim_fails_where_it_is_false(claim, change):
    runs = make_runs({**AS_THE_PAPERS_SAY, **change})
    result = evaluate(BY_ID[claim], runs, Design())
    assert result.verdict == "did_not_hold"
    assert numbers_of(result).startswith("Did not hold")
    failed = result.rows[result.rows.outcome == "did_not_hold"]
    assert len(failed) == 2
    spoiled_ticket = next(iter(change))[0]
    against = failed["reference"] if "reference" in failed else failed["ticket"]
    assert ((failed["ticket"] == spoiled_ticket) | (against == spoiled_ticket)).all()


def test_few_noisy_seeds_are_undecided():
    runs = make_runs(AS_THE_PAPERS_SAY, seeds=3, sd=4.0)
    results = {r.claim.id: r for r in evaluate_claims(runs, Design())}
    for name in ("initial_tickets_do_not_need_data", "random_tickets_keep_up"):
        assert results[name].verdict == "undecided"
        assert "held in 0 of 4 cells, undecided in 4" in numbers_of(results[name])


@pytest.mark.parametrize("seeds", [0, 1])
def test_without_seeds_nothing_is_tested(seeds):
    runs = make_runs(AS_THE_PAPERS_SAY, seeds=seeds)
    results = evaluate_claims(runs, Design())
    assert {r.verdict for r in results} == {"not_tested"}
    assert all(numbers_of(r).startswith("Not tested") for r in results)
    if seeds:
        assert "4 cells with too few seeds" in numbers_of(results[0])


def test_a_ticket_that_lacks_one_of_a_claims_checks_is_told():
    """Each check and each ticket is there, and half of what the claim is about is not."""
    effects = {(t, "none"): 0.0 for t in ("snip", "grasp", "synflow", "magnitude_initial")}
    effects |= {(t, "rearranged"): 0.0 for t in ("snip", "synflow")}
    effects |= {(t, "reinitialized"): 0.0 for t in ("grasp", "magnitude_initial")}
    claim = BY_ID["pruning_at_initialization_needs_only_layer_counts"]
    result = evaluate(claim, make_runs(effects), Design())
    assert result.verdict == "held" and len(result.lacking) == 4
    assert covers_a_part(result, ())
    assert "not run: SNIP: reinitialized, GraSP: rearranged," in numbers_of(result)


def test_holm_counts_the_claims_own_cells_alone():
    runs = make_runs(AS_THE_PAPERS_SAY, sd=0.5)
    rows = evaluate(BY_ID["initial_tickets_do_not_need_positions"], runs, Design()).rows
    wanted = runs.ticket.isin(["snip", "grasp"]) & runs.check.isin(["none", "rearranged"])
    names = COLUMNS[: COLUMNS.index("at_chance")]
    pd.testing.assert_frame_equal(rows[names], verdicts(runs[wanted])[names])
    assert len(rows) == 4


def test_an_improvement_is_no_need():
    runs = make_runs({("snip", "none"): 0.0, ("snip", "random_labels"): 3.0})
    assert evaluate(BY_ID["initial_tickets_do_not_need_data"], runs, Design()).verdict == "held"
    runs = make_runs({("lr_rewinding", "none"): 0.0, ("lr_rewinding", "random_labels"): 3.0})
    claim = BY_ID["partially_trained_tickets_need_data"]
    assert evaluate(claim, runs, Design()).verdict == "did_not_hold"


@pytest.mark.parametrize(
    ("claim", "runs", "effect"),
    [
        # Harm, or a gain, beyond doubt and smaller than a margin of 3 points beyond doubt.
        (NEED_WEIGHTS, {("lr_rewinding", "shuffled_weights"): -1.0}, "a loss"),
        (HYBRID, {("hybrid", "none"): 1.0, ("random", "none"): 0.0}, "a gain"),
        (LOTTERY, {("lottery", "none"): 0.0, ("lottery", "random_labels"): -1.0}, "a loss"),
        # An effect in the other direction, and none at all.
        (NEED_WEIGHTS, {("lr_rewinding", "shuffled_weights"): 1.0}, ""),
        (NEED_WEIGHTS, {("lr_rewinding", "shuffled_weights"): 0.0}, ""),
        (LOTTERY, {("lottery", "none"): 0.0, ("lottery", "random_labels"): 1.0}, ""),
    ],
)
def test_a_small_effect_speaks_for_no_claim_of_one_and_is_said_to_be_there(claim, runs, effect):
    runs = make_runs({("lr_rewinding", "none"): 0.0, **runs})
    result = evaluate(BY_ID[claim], runs, Design(3.0))
    assert result.verdict == ("held" if result.claim.denies_harm else "did_not_hold")
    assert result.rows["effect"].tolist() == 2 * [bool(effect)]
    said = f"(all with {effect} beyond doubt, but smaller than the margin)"
    assert (said in numbers_of(result)) == bool(effect)
    assert ("beyond doubt" in numbers_of(result)) == bool(effect)


def test_a_loss_beyond_doubt_is_told_of_an_undecided_cell():
    runs = make_runs({("snip", "none"): 0.0, ("snip", "rearranged"): -0.5}, sd=0.5, seeds=20)
    result = evaluate(BY_ID["initial_tickets_do_not_need_positions"], runs, Design(0.5))
    assert result.rows["outcome"].tolist() == ["undecided"] * 2
    assert "undecided in 2 (all with a loss beyond doubt); not run: GraSP." in numbers_of(result)


def test_what_ran_without_a_verdict_was_run():
    """With too few seeds of its own, or where every run of it diverged."""
    effects = {(t, c): 0.0 for t in ("snip", "grasp") for c in ("none", "rearranged")}
    runs = make_runs(effects)
    one = runs[(runs.ticket != "grasp") | (runs.seed < 1)]
    lost = runs.assign(
        test_accuracy=runs.test_accuracy.where((runs.ticket == "snip") | (runs.check == "none"))
    )
    for table in (one, lost):
        result = evaluate(BY_ID["initial_tickets_do_not_need_positions"], table, Design(3.0))
        assert result.rows.loc[result.rows.ticket == "grasp", "outcome"].eq("not_tested").all()
        assert result.lacking == [] and "not run" not in numbers_of(result)
    without = runs[(runs.ticket != "grasp") | (runs.check == "none")]
    result = evaluate(BY_ID["initial_tickets_do_not_need_positions"], without, Design(3.0))
    assert result.lacking == [("grasp",)] and "not run: GraSP" in numbers_of(result)


def test_cells_of_a_ticket_that_guesses_are_counted():
    runs = make_runs({(t, c): 0.0 for t in ("snip", "grasp") for c in ("none", "rearranged")})
    result = evaluate(BY_ID["initial_tickets_do_not_need_positions"], runs, Design(1.0))
    guessing = {("digits", "vgg11", "grasp", SPARSITIES[0]), ("digits", "vgg11", "other", 0.98)}
    assert guesses_in(result, guessing) == 1 and not guesses_in(result, {})
    said = "Held in 4 of 4 cells; 1 of these of tickets that cannot be told from guessing. Mean"
    assert said in numbers_of(result, guessing)
    pairs = evaluate(BY_ID["random_tickets_keep_up"], make_runs(AS_THE_PAPERS_SAY), Design())
    assert guesses_in(pairs, guessing) == 1


def test_keeping_up_is_one_sided():
    """Better by any amount keeps up; so does worse by clearly less than the margin."""
    for effect, margin, verdict in (
        (3.0, 0.5, "held"),
        (-0.3, 0.8, "held"),
        (-0.8, 0.5, "did_not_hold"),
    ):
        runs = make_runs({("random", "none"): effect, ("snip", "none"): 0.0})
        assert evaluate(BY_ID["random_tickets_keep_up"], runs, Design(margin)).verdict == verdict


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([], "not_tested"),
        (["not_tested"], "not_tested"),
        (["held", "not_tested"], "held"),
        (["held", "undecided"], "undecided"),
        (["held", "undecided", "did_not_hold"], "did_not_hold"),
    ],
)
def test_overall(outcomes, verdict):
    assert overall(outcomes) == verdict
    assert set(outcomes) <= set(OUTCOMES)


def cifar_runs(offsets, shape=(0.1, -0.1, 0.06, -0.06, 0.0)):
    """Random tickets of VGG19 on CIFAR-10, ``offsets`` points from mlrc2020's values."""
    reported = load_reported()
    chosen = reported[
        (reported.source == "mlrc2020")
        & (reported.ticket == "random")
        & (reported.dataset == "cifar10")
        & (reported.model == "vgg19")
    ]
    rows = [
        (*row[CELL], seed, row.accuracy + offset + noise)
        for (_, row), offset in zip(chosen.iterrows(), offsets, strict=True)
        for seed, noise in enumerate(shape)
    ]
    return pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"])


def test_ours_against_reported():
    result = evaluate(BY_ID["ours_agree_with_reported"], cifar_runs([0.05, -3.0, 0.2]), Design())
    rows = result.rows[result.rows.source == "mlrc2020"]
    assert rows.outcome.tolist() == ["held", "did_not_hold", "held"]
    assert rows.inside_interval.tolist() == [True, False, True]
    assert rows.mean_difference.tolist() == pytest.approx([0.05, -3.0, 0.2])
    assert len(result.rows) == 6
    assert result.verdict == "did_not_hold"
    assert "reported values lie inside our 95 % prediction interval" in numbers_of(result)
    assert "cifar10 vgg19, random against mlrc2020" in numbers_of(result)


def test_a_reported_run_has_a_spread_too():
    """0.6 points off five runs with a spread of 0.3: far from their mean, not from a run."""
    shape = 0.3 * np.array([1.0, -1.0, 1.0, -1.0, 0.0])
    result = evaluate(BY_ID["ours_agree_with_reported"], cifar_runs([0.6] * 3, shape), Design())
    rows = result.rows[result.rows.source == "mlrc2020"]
    accuracies = shape + 0.6
    se = accuracies.std(ddof=1) * np.sqrt(1 + 1 / 5)
    expected = 2 * stats.t.sf(accuracies.mean() / se, 4)
    assert stats.ttest_1samp(accuracies, 0).pvalue < 0.02
    assert rows.p_difference.tolist() == pytest.approx([expected] * 3)
    assert set(rows.outcome) == {"undecided"}


def test_within_their_spread_is_agreement():
    """mlrc2020 reports two dense VGG19 on CIFAR-100, 0.66 points apart (spread 0.47).

    A mean within it is not enough: so few runs that differ so much could be of any.
    """
    quiet, loud = (sd * np.array([1.0, -1.0, 0.5, -0.5]) for sd in (0.02, 0.9))
    cases = ((0.4, quiet, "held"), (0.4, loud, "undecided"), (0.6, quiet, "did_not_hold"))
    for offset, noise, outcome in cases:
        accuracy = 71.70 + offset + noise
        runs = pd.DataFrame({"test_accuracy": accuracy, "seed": range(4)}).assign(
            dataset="cifar100", model="vgg19", ticket="dense", check="none", sparsity=0
        )
        rows = evaluate(BY_ID["ours_agree_with_reported"], runs, Design(margin=0.3)).rows
        row = rows.set_index("accuracy").loc[71.70]
        assert row.outcome == outcome and row.margin == pytest.approx(0.4667, abs=1e-3)


def test_claims_over_looks_are_tested_over_their_own_planned_cells():
    """q of the one-sided test and Holm over planned cells, written out for every cell."""
    looks, shares = (4, 8), (0.4, 0.6)
    runs = make_runs(AS_THE_PAPERS_SAY, sd=0.4)
    planned = runs[CELL].drop_duplicates()
    first = runs[~((runs.sparsity == 0.98) & (runs.seed >= 4))]
    claim = BY_ID["initial_tickets_do_not_need_positions"]
    rows = evaluate(claim, first, Design(0.5, 0.05, looks, shares, planned)).rows
    assert rows.look.tolist() == [2, 1, 2, 1]
    q = {"noninferiority": [], "inferiority": []}
    for row in rows.itertuples():
        mine = first[(first.ticket == row.ticket) & (first.sparsity == row.sparsity)]
        wide = mine.pivot(index="seed", columns="check", values="test_accuracy")
        x = (wide["rearranged"] - wide["none"]).to_numpy()
        for name, side in (("noninferiority", "greater"), ("inferiority", "less")):
            p = [
                stats.ttest_1samp(x[:n], -0.5, alternative=side).pvalue / share
                for n, share in zip(looks, shares, strict=True)
                if len(x) >= n
            ]
            q[name].append(min(1, *p))
    np.testing.assert_allclose(rows.p_noninferiority, q["noninferiority"], atol=1e-9)
    adjusted = multipletests(q["inferiority"], method="holm")[1]
    np.testing.assert_allclose(rows.p_inferiority_holm, adjusted, atol=1e-9)
    outcomes = [
        "held" if held <= 0.05 else "did_not_hold" if failed <= 0.05 else "undecided"
        for held, failed in zip(q["noninferiority"], adjusted, strict=True)
    ]
    assert rows.outcome.tolist() == outcomes


def test_a_claim_waits_for_the_cells_that_are_planned():
    runs = make_runs(AS_THE_PAPERS_SAY)
    design = Design(planned=runs[CELL].drop_duplicates())
    claim = BY_ID["initial_tickets_do_not_need_positions"]
    assert evaluate(claim, runs, design).verdict == "held"
    part = runs[~((runs.ticket == "grasp") & (runs.check == "rearranged"))]
    result = evaluate(claim, part, design)
    assert (result.verdict, len(result.rows)) == ("undecided", 4)
    assert result.rows.outcome.tolist() == ["not_tested", "not_tested", "held", "held"]
    # Of other tickets, and of pairs that were never planned, a claim knows nothing.
    pairs = BY_ID["random_tickets_keep_up"]
    without = runs[runs.ticket != "grasp"]
    few = Design(planned=without[CELL].drop_duplicates())
    assert set(evaluate(pairs, runs, few).rows.reference) == {"snip"}


def test_pairs_of_tickets_over_looks():
    looks = (4, 8)
    runs = make_runs({("random", "none"): 0.1, ("snip", "none"): 0.0, ("grasp", "none"): 0.2})
    planned = runs[CELL].drop_duplicates()
    design = Design(0.5, 0.05, looks, planned=planned)
    early = runs[(runs.seed < 4) | (runs.ticket != "grasp")]
    rows = ticket_table(early, ["random"], ["snip", "grasp"], design)
    assert rows[["reference", "look", "n"]].to_numpy().tolist() == [
        *[["grasp", 1, 4]] * 2,
        *[["snip", 2, 8]] * 2,
    ]
    for row in rows.itertuples():
        mine = early[early.sparsity == row.sparsity]
        wide = mine.pivot(index="seed", columns="ticket", values="test_accuracy")
        x = (wide["random"] - wide[row.reference]).dropna().to_numpy()
        p = [2 * stats.ttest_1samp(x[:n], 0).pvalue for n in looks if len(x) >= n]
        assert row.p_difference == pytest.approx(min(1, *p), abs=1e-9)


def test_a_cell_with_too_few_seeds_keeps_a_claim_from_holding():
    runs = make_runs({("snip", c): 0.0 for c in ("none", "rearranged")})
    claim = BY_ID["initial_tickets_do_not_need_positions"]
    few = runs[(runs["sparsity"] == SPARSITIES[0]) | (runs["seed"] == 0)]
    assert evaluate(claim, runs, Design(1.0)).verdict == "held"
    assert evaluate(claim, few, Design(1.0)).verdict == "undecided"
    # A cell that nobody planned, and of which nothing was run, is none.
    gone = few[(few["sparsity"] == SPARSITIES[0]) | (few["check"] == "none")]
    assert evaluate(claim, gone, Design(1.0)).verdict == "held"


def test_checks_and_claims_take_the_seeds_in_one_order():
    runs = make_runs({("snip", c): 0.0 for c in ("none", "rearranged")}, seeds=6)
    dense = make_runs({("dense", "none"): 0.0}, seeds=3)
    runs = pd.concat([dense, runs[runs["seed"] >= 3]])
    claim = BY_ID["initial_tickets_do_not_need_positions"]
    for looks in ([3], [6]):
        design = Design(1.0, looks=looks)
        rows = evaluate(claim, runs, design).rows
        table = verdicts(runs, 1.0, looks=looks)
        assert rows["look"].tolist() == table["look"].tolist()
        assert rows["verdict"].tolist() == table["verdict"].tolist()
