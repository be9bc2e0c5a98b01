"""The papers' claims as tests over the runs of a study.

Each claim is a set of cells (dataset, model, sparsity, ticket, and check, other ticket or
reported value) with one paired test each, and a rule for what bears the claim out. A claim holds
if it holds in every cell, so each cell is tested at alpha (intersection-union); that it fails in
any is corrected by Holm over its planned cells. ``docs/statistics.md`` states the rules.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from jackpot.analysis.claim import GAIN, Claim
from jackpot.analysis.design import Design
from jackpot.analysis.frames import CELL, prepare_runs
from jackpot.analysis.papers import CLAIMS
from jackpot.analysis.statistics import check_table, decided_at, open_cells


@dataclass(frozen=True)
class ClaimResult:
    """A claim, its verdict (of ``OUTCOMES``), and a row a cell.

    ``rows`` has the columns of ``verdicts`` or ``compare``, ``outcome``, ``ran``: whether it has
    runs, and ``effect``: whether the harm or the gain that the claim is about is there beyond doubt
    (after Holm), however small.
    """

    claim: Claim
    verdict: str
    rows: pd.DataFrame

    @property
    def tested(self) -> pd.DataFrame:
        """The cells with enough seeds."""
        return self.rows[self.rows["outcome"] != "not_tested"]

    @property
    def lacking(self) -> list[tuple[str, ...]]:
        """Tickets and checks that the claim is about and none of its cells with runs has.

        Of a claim about several checks also the pairs of a ticket and a check that are missing.
        """
        keys = [key for key in ("ticket", "check", "reference") if key in self.rows]
        there = self.rows.loc[self.rows["ran"], keys]
        found, table = set(there.to_numpy().flat), self.claim.table
        names = [(name,) for name in getattr(table, "names", ()) if name not in found]
        if getattr(table, "alike", True):
            return names
        pairs = set(there[["ticket", "check"]].itertuples(index=False, name=None))
        missing = [pair for pair in product(table.tickets, table.checks) if pair not in pairs]
        return names + [pair for pair in missing if found.issuperset(pair)]


def evaluate_claims(runs: pd.DataFrame, design: Design) -> list[ClaimResult]:
    """Evaluate every claim of ``CLAIMS``, in their order; a claim without runs is not tested.

    Raises:
        JackpotError: as for ``jackpot.analysis.statistics.verdicts``.
    """
    runs = prepare_runs(runs)
    # Of the whole study, not of those runs that a claim has.
    design = design.resolved(runs)
    return [_evaluate(claim, runs, design) for claim in CLAIMS]


def going_on(runs: pd.DataFrame, design: Design) -> set[tuple[str, str, str, str, float]]:
    """The cells whose seeds up to the next look are to be run: tuples in the order of ``CELL``.

    Two kinds of table ask for more seeds, each with its own Holm family over the planned cells:

    - the checks (``check_table``): each of its ``open_cells``, with the same ticket's ``none``;
    - every claim: a cell in which it has neither held nor failed, or has held by a gain smaller
      than the margin (for the reason that ``open_cells`` gives), asks for itself and the ``none``
      of its tickets. What stops among the checks as degraded can be such a cell: that there is
      harm is not yet that it is as large as the margin.

    The claim about reported values asks for nothing: more runs of ours hardly narrow it down. A
    cell at its last look asks for nothing, so the set is empty after the last look, and where no
    looks are declared and all runs are there.

    Args:
        design: with its planned cells, as none but those can be asked for.

    Raises:
        JackpotError: as for ``jackpot.analysis.statistics.verdicts``.
    """
    runs = prepare_runs(runs)
    design = design.resolved(runs)
    checks = open_cells(check_table(runs, design))[CELL]
    wanted = [checks, checks.assign(check="none")]
    for result in (_evaluate(claim, runs, design) for claim in CLAIMS):
        wanted += result.claim.cells_of(result.rows[_is_open(result)])
    cells = pd.concat(wanted).astype({"sparsity": float})
    return set(cells.itertuples(index=False, name=None))


def _is_open(result: ClaimResult) -> pd.Series:
    rows = result.rows
    undecided = ~rows["outcome"].isin(["held", "did_not_hold"])
    if result.claim.outcome == GAIN:
        undecided |= (rows["outcome"] == "held") & (rows["mean_difference"] < rows["margin"])
    return undecided & (rows["look"] < rows["looks"])


def _evaluate(claim: Claim, runs: pd.DataFrame, design: Design) -> ClaimResult:
    rows = claim.table(runs, design)
    outcomes = [
        "not_tested" if row["verdict"] == "too_few_seeds" else claim.outcome(row, design.alpha)
        for _, row in rows.iterrows()
    ]
    rows = rows.assign(outcome=pd.Series(outcomes, index=rows.index, dtype=object))
    decided = np.isin(outcomes, ("held", "did_not_hold"))
    rows = decided_at(rows, claim.questions(rows), decided)
    rows["ran"] = _ran(rows, runs)
    rows["effect"] = claim.effect.is_there(rows, design.alpha) if claim.effect else False
    verdict = overall(outcomes)
    # "In every cell" waits for those that are still to come, or have too few seeds.
    waits = (rows["outcome"] == "not_tested") & ((rows["n"] > 0) | (design.planned is not None))
    if verdict == "held" and waits.any():
        verdict = "undecided"
    return ClaimResult(claim, verdict, rows)


def _ran(rows: pd.DataFrame, runs: pd.DataFrame) -> list[bool]:
    """Which cells have runs, of both tickets where two are compared."""
    there = set(runs[CELL].itertuples(index=False, name=None))
    rows = rows.assign(check=rows.get("check", "none"))
    sides = [rows[CELL]]
    if "reference" in rows:
        sides.append(rows[CELL].assign(ticket=rows["reference"]))
    pairs = zip(*(side.itertuples(index=False, name=None) for side in sides), strict=True)
    return [there.issuperset(cells) for cells in pairs]


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
