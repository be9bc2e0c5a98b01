"""One claim of a paper: its cells, and what bears it out in one of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from jackpot.analysis.design import Design
from jackpot.analysis.frames import CELL
from jackpot.analysis.reported import load_reported
from jackpot.analysis.sequential import words_of
from jackpot.analysis.statistics import asked_by, check_table, judge, measure, ticket_table
from jackpot.vocabulary import DECIDED

Table = Callable[[pd.DataFrame, Design], pd.DataFrame]
Outcome = Callable[[pd.Series, float], str]


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, who says it where, and the method by which it is tested.

    ``table(runs, design)`` gives one row a cell; ``outcome(row, alpha)`` one of
    ``vocabulary.OUTCOMES`` for such a row.
    """

    id: str
    sentence: str
    source: str
    method: str
    table: Table
    outcome: Outcome

    @property
    def effect(self) -> "Effect | None":
        """The harm or gain that it says is there, or is not; None for another kind of claim."""
        if self.denies_harm:
            return HARM
        return self.outcome if isinstance(self.outcome, Effect) else None

    def questions(self, rows: pd.DataFrame) -> np.ndarray:
        """Which of the tests' questions gave the outcome of each row, where it has one."""
        if self.outcome not in _ASKED:
            return asked_by(rows["verdict"])
        for_it, against_it = _ASKED[self.outcome]
        return np.where(rows["outcome"] == "held", for_it, against_it)

    @property
    def denies_harm(self) -> bool:
        """Whether it says that there is none as large as the margin."""
        return self.outcome is not_worse

    @property
    def compares_tickets(self) -> bool:
        """Whether its cells are pairs of tickets, not checks of one."""
        return isinstance(self.table, TicketPairs)

    def cells_of(self, rows: pd.DataFrame) -> list[pd.DataFrame]:
        """The cells that rows of its table compare; none where it is with reported values."""
        if isinstance(self.table, Checks):
            return [rows[CELL], rows.assign(check="none")[CELL]]
        if self.compares_tickets:
            both = (rows["ticket"], rows["reference"])
            return [rows.assign(ticket=ticket, check="none")[CELL] for ticket in both]
        return []


@dataclass(frozen=True)
class Checks:
    """The table of a claim about each of ``tickets`` under ``checks``.

    One of the checks will do where they are ways to spoil the same (``alike``).
    """

    tickets: tuple[str, ...]
    checks: tuple[str, ...]
    alike: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What a study must have to test all of the claim."""
        return self.tickets if self.alike else (*self.tickets, *self.checks)

    def __call__(self, runs: pd.DataFrame, design: Design) -> pd.DataFrame:
        planned = design.cells()
        if planned is not None:
            design = replace(design, planned=self._wanted(planned))
        return check_table(self._wanted(runs), design)

    def _wanted(self, cells: pd.DataFrame) -> pd.DataFrame:
        checks = ["none", *self.checks]
        return cells[cells["ticket"].isin(self.tickets) & cells["check"].isin(checks)]


@dataclass(frozen=True)
class TicketPairs:
    """The table of a claim that compares ``ticket`` with each of ``references``."""

    ticket: str
    references: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What a study must have to test all of the claim."""
        return self.references

    def __call__(self, runs: pd.DataFrame, design: Design) -> pd.DataFrame:
        return ticket_table(runs, [self.ticket], self.references, design)


def against_reported(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Our runs of every cell that has a reported value, tested against that value.

    Nearly all reported values are one run, so they are set against what one further run like ours
    would give (standard error sd * sqrt(1 + 1/n), a prediction interval's), not against our mean.
    Where the source tells of a spread larger than the margin, that is the margin.
    """
    by = ["source", *CELL, "accuracy"]
    reported = load_reported().drop_duplicates(by)
    planned = design.cells()
    if planned is not None:
        planned = planned.merge(reported, on=CELL)
    pairs = runs.merge(reported, on=CELL)
    pairs = pairs.assign(difference=pairs["test_accuracy"] - pairs["accuracy"])
    parts = []
    for margin, cells in reported.groupby(reported["spread"].fillna(0).clip(lower=design.margin)):
        mine = [None if t is None else t.merge(cells[by], on=by) for t in (pairs, planned)]
        settings = replace(design, margin=margin)
        part = measure(mine[0], by, settings, mine[1], against_one_run=True)
        parts.append(part.assign(margin=margin))
    table = pd.concat(parts, ignore_index=True).sort_values(by, ignore_index=True)
    margins = table["margin"]
    table = judge(table, design).assign(margin=margins)
    inside = (table["ci95_low"] <= 0) & (table["ci95_high"] >= 0)
    return table.assign(inside_interval=inside)


def _word(row: pd.Series, alpha: float) -> str:
    """The cell's verdict at ``alpha`` by itself, without Holm's correction."""
    numbers = [[row[name]] for name in ("p_difference", "p_equivalence", "sign")]
    return str(words_of(*numbers, alpha)[0])


def not_worse(row: pd.Series, alpha: float) -> str:
    """The outcome of a cell where there should be no harm as large as the margin."""
    if row["p_noninferiority"] <= alpha:
        return "held"
    return "did_not_hold" if row["p_inferiority_holm"] <= alpha else "undecided"


@dataclass(frozen=True)
class Effect:
    """The outcome of a cell where there should be this verdict, ``degraded`` or ``improved``."""

    verdict: str

    def __call__(self, row: pd.Series, alpha: float) -> str:
        if row["verdict"] in {*DECIDED} - {self.verdict}:
            return "did_not_hold"
        return "held" if _word(row, alpha) == self.verdict else "undecided"

    def is_there(self, rows: pd.DataFrame, alpha: float) -> Any:
        """Which cells have the effect beyond doubt, however small it is."""
        return words_of(rows["p_difference_holm"], 1.0, rows["sign"], alpha) == self.verdict


def agrees(row: pd.Series, alpha: float) -> str:
    """The outcome of a cell whose mean should be the reported value."""
    if row["p_equivalence"] <= alpha:
        return "held"
    return "did_not_hold" if row["p_beyond_holm"] <= alpha else "undecided"


# What answers for a claim, and what against it.
_ASKED = {not_worse: ("noninferiority", "inferiority"), agrees: ("equivalence", "beyond")}
HARM, GAIN = Effect("degraded"), Effect("improved")
