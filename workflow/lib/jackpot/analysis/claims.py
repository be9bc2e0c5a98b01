"""The papers' claims as tests over the runs of a study.

Each claim is a set of cells (dataset, model, sparsity, ticket, and check, other ticket or
reported value) with one paired test each, and a rule for what bears the claim out. A claim holds
if it holds in every cell, so each cell is tested at alpha (intersection-union); that it fails in
any is corrected by Holm over its planned cells. ``docs/statistics.md`` states the rules.

The claims are su2020's ("Random Tickets can Win the Jackpot", arXiv 2009.11094; its abstract
numbers findings 1 and 2), which mlrc2020 set out to reproduce, and those of frankle2021 ("Pruning
Neural Networks at Initialization: Why Are We Missing the Mark?", arXiv 2009.08576).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from jackpot.analysis.design import Design
from jackpot.analysis.frames import CELL, prepare_runs
from jackpot.analysis.reported import load_reported
from jackpot.analysis.sequential import words_of
from jackpot.analysis.statistics import check_table, judge, measure, open_cells, ticket_table
from jackpot.vocabulary import counted

DATA_CHECKS = ("random_labels", "random_pixels", "corrupted_data")
INITIAL = ("snip", "grasp")
AT_INITIALIZATION = ("snip", "grasp", "synflow", "magnitude_initial")
PARTIALLY_TRAINED = ("weight_rewinding", "lr_rewinding")
SMALL_EFFECT = "with an effect beyond doubt, but smaller than the margin"

Table = Callable[[pd.DataFrame, Design], pd.DataFrame]
Outcome = Callable[[pd.Series, float], str]


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, who says it where, and the method by which it is tested.

    ``table(runs, design)`` gives one row a cell; ``outcome(row, alpha)`` one of
    ``vocabulary.OUTCOMES`` for such a row. ``names`` are tickets and checks that the claim is
    about: a study that lacks one tests a part of it.
    """

    id: str
    sentence: str
    source: str
    method: str
    table: Table
    outcome: Outcome
    names: tuple[str, ...] = ()

    @property
    def compares_tickets(self) -> bool:
        """Whether its cells are pairs of tickets, not checks of one."""
        return isinstance(self.table, TicketPairs)


@dataclass(frozen=True)
class ClaimResult:
    """A claim, its verdict (of ``OUTCOMES``), the numbers in one sentence, and a row a cell.

    ``rows`` has the columns of ``verdicts`` or ``compare``, ``outcome``, and ``small_effect``: the
    cell speaks against a claim of an effect, which is there beyond doubt (after Holm), because it
    is smaller than the margin.
    """

    claim: Claim
    verdict: str
    sentence: str
    rows: pd.DataFrame

    @property
    def lacking(self) -> list[str]:
        """Tickets and checks that the claim is about and none of its tested cells has."""
        tested = self.rows[self.rows["outcome"] != "not_tested"]
        found = {name for key in ("ticket", "check", "reference") for name in tested.get(key, ())}
        return [name for name in self.claim.names if name not in found]


def evaluate_claims(runs: pd.DataFrame, design: Design) -> list[ClaimResult]:
    """Evaluate every claim of ``CLAIMS``, in their order; a claim without runs is not tested.

    Raises:
        JackpotError: as for ``jackpot.analysis.statistics.verdicts``.
    """
    runs = prepare_runs(runs)
    design = _of_the_study(runs, design)
    return [_evaluate(claim, runs, design) for claim in CLAIMS]


def going_on(runs: pd.DataFrame, design: Design) -> set[tuple[str, str, str, str, float]]:
    """The cells whose seeds up to the next look are to be run: tuples in the order of ``CELL``.

    Two kinds of table ask for more seeds, each with its own Holm family over the planned cells:

    - the checks (``check_table``): each of its ``open_cells``, with the same ticket's ``none``;
    - every claim that compares tickets: a pair that is neither held nor failed, or held by a
      difference smaller than the margin (for the reason that ``open_cells`` gives), asks for the
      ``none`` of both tickets.

    Claims about checks ask for nothing of their own: their cells are among the checks. Nor does
    the claim about reported values, which more runs of ours hardly narrow down. A pair at its last
    look asks for nothing, so the set is empty after the last look, and where no looks are
    declared and all runs are there.

    Args:
        design: with its planned cells, as none but those can be asked for.

    Raises:
        JackpotError: as for ``jackpot.analysis.statistics.verdicts``.
    """
    runs = prepare_runs(runs)
    design = _of_the_study(runs, design)
    checks = open_cells(check_table(runs, design))[CELL]
    wanted = [checks, checks.assign(check="none")]
    for result in (_evaluate(claim, runs, design) for claim in CLAIMS if claim.compares_tickets):
        pairs = result.rows[_is_open(result)].assign(check="none")
        wanted += [pairs[CELL], pairs.assign(ticket=pairs["reference"])[CELL]]
    cells = pd.concat(wanted).astype({"sparsity": float})
    return set(cells.itertuples(index=False, name=None))


def _is_open(result: ClaimResult) -> pd.Series:
    rows = result.rows
    undecided = ~rows["outcome"].isin(["held", "did_not_hold"])
    if result.claim.outcome == _GAIN:
        undecided |= (rows["outcome"] == "held") & (rows["mean_difference"] < rows["margin"])
    return undecided & (rows["look"] < rows["looks"])


def _of_the_study(runs: pd.DataFrame, design: Design) -> Design:
    """Resolution and order of seeds of the whole study, not of those runs that a claim has."""
    seeds = sorted(set(runs["seed"])) if design.seeds is None else design.seeds
    return replace(design.resolved(runs), seeds=seeds)


def _evaluate(claim: Claim, runs: pd.DataFrame, design: Design) -> ClaimResult:
    rows = claim.table(runs, design)
    outcomes = [
        "not_tested" if row["verdict"] == "too_few_seeds" else claim.outcome(row, design.alpha)
        for _, row in rows.iterrows()
    ]
    rows = rows.assign(outcome=pd.Series(outcomes, index=rows.index, dtype=object))
    rows["small_effect"] = False
    if isinstance(claim.outcome, _Effect):
        there = claim.outcome.is_there(rows, design.alpha)
        rows["small_effect"] = (rows["outcome"] == "did_not_hold") & there
    verdict = overall(outcomes)
    if verdict == "held" and design.planned is not None and "not_tested" in outcomes:
        verdict = "undecided"  # "in every cell" waits for the cells that are still to come
    return ClaimResult(claim, verdict, _sentence(verdict, rows), rows)


def overall(outcomes: list[str]) -> str:
    """The claim's verdict from its cells': claims are about every cell, so one failure is one.

    Holm keeps the chance that luck alone makes any cell of the claim fail under ``alpha``. Cells
    that are not tested do not count.
    """
    tested = set(outcomes) - {"not_tested"}
    if not tested:
        return "not_tested"
    if "did_not_hold" in tested:
        return "did_not_hold"
    return "held" if tested == {"held"} else "undecided"


def _sentence(verdict: str, rows: pd.DataFrame) -> str:
    tested = rows[rows["outcome"] != "not_tested"]
    untested = len(rows) - len(tested)
    if tested.empty:
        where = (
            f"{counted(untested, 'cell')} with too few seeds"
            if untested
            else "this study has no such runs"
        )
        return f"Not tested: {where}."
    counts = tested["outcome"].value_counts()
    parts = [f"held in {counts.get('held', 0)} of {counted(len(tested), 'cell')}"]
    for outcome in ("did_not_hold", "undecided"):
        if outcome in counts:
            parts.append(f"{outcome.replace('_', ' ')} in {counts[outcome]}")
    if small := int(tested["small_effect"].sum()):
        which = "all" if small == counts["did_not_hold"] else str(small)
        against = parts.index(f"did not hold in {counts['did_not_hold']}")
        parts[against] += f" ({which} {SMALL_EFFECT})"
    if untested:
        parts.append(f"{untested} more with too few seeds")
    if "inside_interval" in tested:
        inside = int(tested["inside_interval"].sum())
        parts.append(f"{inside} reported values lie inside our 95 % prediction interval")
    word = {"held": "", "undecided": "undecided: "}.get(verdict, "did not hold: ")
    if verdict == "did_not_hold" and "held" in counts:
        word = "did not hold everywhere: "
    text = f"{word}{', '.join(parts)}"
    low, high = tested.loc[tested["mean_difference"].agg(["idxmin", "idxmax"])].to_dict("records")
    extremes = _numbers(low) if len(tested) == 1 else f"from {_numbers(low)} to {_numbers(high)}"
    return f"{text[0].upper()}{text[1:]}. Mean difference {extremes}."


def _numbers(row: dict) -> str:
    other = row.get("reference", row.get("source"))
    run = [row["dataset"], row["model"], row["ticket"]]
    run += [row["check"]] if row.get("check", "none") != "none" else []
    run += [f"against {other}"] if other else []
    return (
        f"{row['mean_difference']:+.2f} points (95 % interval {row['ci95_low']:+.2f} to "
        f"{row['ci95_high']:+.2f}, n = {row['n']}; {' '.join(run)}, sparsity {row['sparsity']:g})"
    )


def _checks(tickets: tuple[str, ...], checks: tuple[str, ...]) -> Table:
    def table(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
        def wanted(cells: pd.DataFrame) -> pd.DataFrame:
            return cells[cells["ticket"].isin(tickets) & cells["check"].isin(["none", *checks])]

        planned = design.cells()
        if planned is not None:
            design = replace(design, planned=wanted(planned))
        return check_table(wanted(runs), design)

    return table


@dataclass(frozen=True)
class TicketPairs:
    """The table of a claim that compares ``ticket`` with each of ``references``."""

    ticket: str
    references: tuple[str, ...]

    def __call__(self, runs: pd.DataFrame, design: Design) -> pd.DataFrame:
        return ticket_table(runs, self.ticket, self.references, design)


def _against_reported(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Our runs of every cell that has a reported value, tested against that value.

    Nearly all reported values are one run, so they are set against what one further run like ours
    would give (standard error sd * sqrt(1 + 1/n), a prediction interval's), not against our mean.
    """
    by = ["source", *CELL, "accuracy"]
    reported = load_reported().drop_duplicates(by)
    planned = design.cells()
    if planned is not None:
        planned = planned.merge(reported, on=CELL)
    pairs = runs.merge(reported, on=CELL)
    pairs = pairs.assign(difference=pairs["test_accuracy"] - pairs["accuracy"])
    table = measure(pairs, by, design, planned, against_one_run=True)
    table = judge(table, design)
    inside = (table["ci95_low"] <= 0) & (table["ci95_high"] >= 0)
    return table.assign(inside_interval=inside).merge(reported[[*by, "spread"]], on=by)


def _word(row: pd.Series, alpha: float) -> str:
    """The cell's verdict at ``alpha`` by itself, without Holm's correction."""
    numbers = [[row[name]] for name in ("p_difference", "p_equivalence", "sign")]
    return str(words_of(*numbers, alpha)[0])


def _not_worse(row: pd.Series, alpha: float) -> str:
    if row["p_noninferiority"] <= alpha:
        return "held"
    return "did_not_hold" if row["p_inferiority_holm"] <= alpha else "undecided"


@dataclass(frozen=True)
class _Effect:
    """The outcome of a cell where there should be this verdict, ``degraded`` or ``improved``."""

    verdict: str

    def __call__(self, row: pd.Series, alpha: float) -> str:
        if row["verdict"] in {"unaffected", "degraded", "improved"} - {self.verdict}:
            return "did_not_hold"
        return "held" if _word(row, alpha) == self.verdict else "undecided"

    def is_there(self, rows: pd.DataFrame, alpha: float) -> Any:
        """Which cells have the effect beyond doubt, however small it is."""
        return words_of(rows["p_difference_holm"], 1.0, rows["sign"], alpha) == self.verdict


def _agrees(row: pd.Series, alpha: float) -> str:
    if row["p_equivalence"] <= alpha or abs(row["mean_difference"]) <= row["spread"]:
        return "held"
    return "did_not_hold" if row["p_beyond_holm"] <= alpha else "undecided"


_HARM, _GAIN = _Effect("degraded"), _Effect("improved")
_HELD_IF_SAFE = (
    "Held in a cell that is not worse by the margin or more (one-sided test, every cell at alpha); "
    "worse by more than the margin (after Holm) is a failure."
)
_HELD_IF_HARMED = (
    "Held in a cell that is degraded (every cell at alpha); unaffected or improved (after Holm) is "
    "a failure, and so is harm beyond doubt that is smaller than the margin beyond doubt."
)

CLAIMS = (
    Claim(
        "initial_tickets_do_not_need_data",
        "SNIP and GraSP do not need the data: spoiling what they see does no harm.",
        "su2020, abstract, finding 1",
        _HELD_IF_SAFE,
        _checks(INITIAL, DATA_CHECKS),
        _not_worse,
        INITIAL,
    ),
    Claim(
        "initial_tickets_do_not_need_positions",
        "SNIP and GraSP do not need the positions: rearranging the mask in each layer does no "
        "harm.",
        "su2020, abstract, finding 2",
        _HELD_IF_SAFE,
        _checks(INITIAL, ("rearranged",)),
        _not_worse,
        INITIAL,
    ),
    Claim(
        "lottery_does_not_need_data",
        "Lottery tickets restarted at initial weights do not need the data.",
        "su2020, abstract, finding 1 (lottery tickets are among its initial tickets)",
        _HELD_IF_SAFE,
        _checks(("lottery",), DATA_CHECKS),
        _not_worse,
    ),
    Claim(
        "lottery_does_not_need_positions",
        "Lottery tickets restarted at initial weights do not need the positions.",
        "su2020, abstract, finding 2 (lottery tickets are among its initial tickets)",
        _HELD_IF_SAFE,
        _checks(("lottery",), ("rearranged",)),
        _not_worse,
    ),
    Claim(
        "random_tickets_keep_up",
        "Random tickets keep up with SNIP and GraSP.",
        "su2020, abstract; mlrc2020, README, Random Tickets",
        "Random against SNIP and GraSP, paired by seed. Held in a cell where random is not worse "
        "by the margin or more (one-sided test, every cell at alpha); worse by more than the "
        "margin (after Holm) is a failure.",
        TicketPairs("random", INITIAL),
        _not_worse,
        INITIAL,
    ),
    Claim(
        "partially_trained_tickets_need_weights",
        "Partially-trained tickets need the weights: shuffling them in each layer does harm.",
        "su2020, abstract (the method that passes); mlrc2020, README, Partially-trained Tickets",
        _HELD_IF_HARMED,
        _checks(PARTIALLY_TRAINED, ("shuffled_weights",)),
        _HARM,
        PARTIALLY_TRAINED,
    ),
    Claim(
        "partially_trained_tickets_need_data",
        "Partially-trained tickets need the data: spoiled labels or pixels do harm.",
        "su2020, abstract (the method that passes)",
        _HELD_IF_HARMED,
        _checks(PARTIALLY_TRAINED, DATA_CHECKS),
        _HARM,
        PARTIALLY_TRAINED,
    ),
    Claim(
        "partially_trained_tickets_need_all_data",
        "Partially-trained tickets need all of the data: pretraining on half of it does harm.",
        "su2020, abstract (the method that passes); mlrc2020, README, Partially-trained Tickets",
        _HELD_IF_HARMED,
        _checks(PARTIALLY_TRAINED, ("half_dataset",)),
        _HARM,
        PARTIALLY_TRAINED,
    ),
    Claim(
        "hybrid_tickets_improve_on_lr_rewinding",
        "Hybrid tickets improve on the learning-rate rewinding tickets that they are made of.",
        'su2020, abstract ("achieves further improvement")',
        "Hybrid against learning-rate rewinding, paired by seed. Held in a cell whose verdict is "
        "improved (every cell at alpha); degraded, or a difference within the margin (after Holm), "
        "is a failure, even if there is a gain beyond doubt.",
        TicketPairs("hybrid", ("lr_rewinding",)),
        _GAIN,
    ),
    Claim(
        "hybrid_tickets_improve_on_random",
        "Hybrid tickets improve on random tickets.",
        "su2020 and mlrc2020, by their tables of both",
        "Hybrid against random, paired by seed. Held in a cell whose verdict is improved (every "
        "cell at alpha); degraded, or a difference within the margin (after Holm), is a failure, "
        "even if there is a gain beyond doubt.",
        TicketPairs("hybrid", ("random",)),
        _GAIN,
    ),
    Claim(
        "pruning_at_initialization_needs_only_layer_counts",
        "SNIP, GraSP, SynFlow and magnitude at initialization need neither the positions in a "
        "layer nor the initial weights: rearranging the mask or drawing new weights does no harm.",
        "frankle2021, abstract",
        _HELD_IF_SAFE,
        _checks(AT_INITIALIZATION, ("rearranged", "reinitialized")),
        _not_worse,
        (*AT_INITIALIZATION, "rearranged", "reinitialized"),
    ),
    Claim(
        "pruning_after_training_needs_more_than_layer_counts",
        "Pruning after training (by magnitude, trained weights kept) needs both: rearranging the "
        "mask or drawing new weights does harm.",
        'frankle2021, abstract ("unlike pruning after training")',
        _HELD_IF_HARMED,
        # Their magnitude pruning after training rewinds the learning rate (Renda et al. 2020).
        _checks(("lr_rewinding",), ("rearranged", "reinitialized")),
        _HARM,
        ("rearranged", "reinitialized"),
    ),
    Claim(
        "ours_agree_with_reported",
        "Our accuracies are those that su2020 and mlrc2020 reported.",
        "su2020 and mlrc2020, as listed in reported.csv",
        "Our runs against each reported value, by what one more run of ours would give. Held in a "
        "cell where the difference is within the margin beyond doubt, or no larger than the "
        "reported spread where there is one; beyond the margin (after Holm) is a failure.",
        _against_reported,
        _agrees,
    ),
)
