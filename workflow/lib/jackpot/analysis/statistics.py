"""Does a ticket need an ingredient: yes, no, or can these seeds not tell?

A check is compared with the same ticket left alone (``none``), seed by seed. Two questions are
asked of the differences in test accuracy (in points): are they different from zero (paired
t-test), and do they lie within a margin that was declared beforehand (two one-sided t-tests,
TOST; Schuirmann 1987)? A study may look at its results several times, at numbers of seeds that it
declares beforehand, and stop where it has an answer: every look spends a declared share of alpha
(Bonferroni). Each question's p-values are corrected by Holm's method (Holm 1979) over all planned
cells. ``docs/statistics.md`` says the same for readers who do not read code.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jackpot.analysis.chance import at_chance_column
from jackpot.analysis.design import Design
from jackpot.analysis.forecast import seeds_to_decide
from jackpot.analysis.frames import CELL, NETWORK, prepare_runs
from jackpot.analysis.sequential import QUESTIONS, holm, sequential_tests, words_of
from jackpot.errors import JackpotError
from jackpot.settings import ALPHA, MARGIN
from jackpot.vocabulary import DECIDED

COLUMNS = [
    *CELL,
    *("n", "mean_difference", "ci95_low", "ci95_high", "ci90_low", "ci90_high"),
    *("p_difference", "p_equivalence", "p_difference_holm", "p_equivalence_holm"),
    *("margin", "verdict", "look", "looks", "ci_repeated_low", "ci_repeated_high"),
    "at_chance",
    *("decided_look", "decided_mean_difference"),
]
COLUMNS_OF_TICKETS = ["reference" if name == "check" else name for name in COLUMNS]
COLUMNS_OF_TICKETS.remove("at_chance")
BY_TICKET = ["dataset", "model", "ticket", "reference", "sparsity"]


def verdicts(
    runs: pd.DataFrame,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    looks: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    **declared: Any,
) -> pd.DataFrame:
    """One row per dataset, model, ticket, check and sparsity, with a verdict each.

    Args:
        runs: rows of ``runs.csv``; needs the five columns of ``CELL``, ``seed`` and
            ``test_accuracy`` (percent). Row order and further columns change nothing.
        margin, alpha, looks, shares, declared: the fields of ``Design``.

    Returns:
        The columns of ``COLUMNS``, sorted by cell. ``look`` is the last look that the cell has
        reached (0: none) of ``looks``; ``n``, the mean and the intervals are those of that look.
        Where there is none yet, ``n`` and the mean are of the pairs so far. ``ci95`` and ``ci90``
        are ordinary 95 % and 90 % t-intervals whatever ``alpha`` is, not corrected for looks;
        ``ci_repeated`` allows for them. ``p_*`` are over all looks reached, and ``p_*_holm`` over
        all cells as well. ``at_chance`` is True where the ticket itself cannot be told from
        guessing, and empty where ``runs`` have no ``chance_accuracy``. ``decided_look`` is the look
        that gave the p-value of the word, and ``decided_mean_difference`` the mean there: a word is
        never withdrawn, whatever the numbers of a later look. What cannot be computed is NaN, and
        counts as 1 in Holm's correction.

    Raises:
        JackpotError: columns are missing, values unusable, or a run is there twice.
    """
    return verdict_table(runs, Design(margin, alpha, looks, shares, **declared))


def verdict_table(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
    """``verdicts`` of a study with this design."""
    table = check_table(runs, design)
    return table.assign(at_chance=at_chance_column(table, prepare_runs(runs)))[COLUMNS]


def check_table(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
    """``verdicts`` with all that ``judge`` and ``measure`` add, but without ``at_chance``."""
    runs, planned = prepare_runs(runs), design.cells()
    if planned is not None:
        is_none = planned["check"] == "none"
        none = planned[is_none].drop(columns="check")
        planned = planned[~is_none].merge(none, "left", NETWORK, suffixes=("", "_reference"))
    return judge(measure(pair_with_none(runs), CELL, design.resolved(runs), planned), design)


def compare(
    runs: pd.DataFrame,
    ticket: str,
    references: Sequence[str] | str,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    looks: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    **declared: Any,
) -> pd.DataFrame:
    """Compare a ticket with others at the same dataset, model and sparsity, nothing spoiled.

    Args:
        runs, margin, alpha, looks, shares, declared: as for ``verdicts``.
        ticket: its mean minus a reference's is the difference.
        references: the tickets to compare it with, all one Holm family; or one of them.

    Returns:
        The columns of ``verdicts`` with ``reference`` in place of ``check``.

    Raises:
        JackpotError: as for ``verdicts``; or the table has no such ticket.
    """
    known = sorted(set(map(str, prepare_runs(runs)["ticket"])))
    references = [references] if isinstance(references, str) else list(references)
    for name in (ticket, *references):
        if known and name not in known:
            raise JackpotError(
                f"the table of runs has no ticket {name!r}; it has {', '.join(known)}."
            )
    if ticket in references:
        raise JackpotError(f"{ticket} cannot be compared with itself.")
    design = Design(margin, alpha, looks, shares, **declared)
    return ticket_table(runs, [ticket], references, design)[COLUMNS_OF_TICKETS]


def ticket_table(
    runs: pd.DataFrame, tickets: Sequence[str], references: Sequence[str], design: Design
) -> pd.DataFrame:
    """``compare`` of several tickets, all one family, with all that ``judge`` and ``measure`` add.

    No ticket is compared with itself.
    """
    runs, planned = prepare_runs(runs), design.cells()
    if planned is not None:
        plain = planned[planned["check"] == "none"].drop(columns="check")
        second = plain[plain["ticket"].isin(references)].rename(columns={"ticket": "reference"})
        first = plain[plain["ticket"].isin(tickets)]
        same = ["dataset", "model", "sparsity"]
        planned = first.merge(second, on=same, suffixes=("", "_reference"))
        planned = planned[planned["ticket"] != planned["reference"]]
    pairs = pair_tickets(runs, tickets, references)
    return judge(measure(pairs, BY_TICKET, design.resolved(runs), planned), design)


def open_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``verdicts`` or ``compare`` that go on to their next look.

    A cell stops when it is ``unaffected``, when it is different and its mean at its last look is
    at least the margin, or at the last look. One that is different by less goes on: it may turn
    out to be ``unaffected``, and which of the two tests fires first must not choose the word.
    """
    different = table["verdict"].isin(["degraded", "improved"])
    large = table["mean_difference"].abs() >= table["margin"]
    stopped = (table["verdict"] == "unaffected") | (different & large)
    return table[~stopped & (table["look"] < table["looks"])]


def details(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
    """What stands behind each row of ``verdicts`` with the same design, in the same order.

    Returns:
        The columns of ``CELL``; of the declared seeds so far ``sd_difference`` (points) and
        ``collapsed`` (tuple of those with a layer without weights under the check); and
        ``likely_look``, the first look to come with as many seeds as the cell is likely to need at
        that look's share of alpha, divided by the size of the family (missing where the cell is
        decided, where that is no look, or none were declared).
    """
    runs = prepare_runs(runs)
    design = design.resolved(runs)
    pairs, table = pair_with_none(runs), check_table(runs, design)
    pairs = pairs[pairs["seed"].isin(design.seeds)]
    groups = dict(list(pairs.groupby(CELL)))
    rows = []
    for row in table.to_dict("records"):
        group = groups.get(tuple(row[name] for name in CELL), pairs.head(0))
        counted = group[group["difference"].notna()]
        differences = counted["difference"].to_numpy()
        look = None
        if row["verdict"] in ("undecided", "too_few_seeds"):
            look = _likely_look(differences, row, len(table), design)
        rows.append(
            {
                **{name: row[name] for name in CELL},
                "sd_difference": differences.std(ddof=1) if len(differences) > 1 else np.nan,
                "collapsed": tuple(group["seed"][group["collapsed"]].tolist()),
                "likely_look": look,
            }
        )
    frame = pd.DataFrame(rows, columns=[*CELL, "sd_difference", "collapsed", "likely_look"])
    return frame.astype({"likely_look": "Int64"})


def _likely_look(
    differences: np.ndarray, row: Mapping[str, Any], family: int, design: Design
) -> int | None:
    needed: dict[float, int | None] = {}
    for look, (seeds, share) in enumerate(zip(design.looks or (), design.shares, strict=False), 1):
        if look <= row["look"]:
            continue
        if share not in needed:
            needed[share] = seeds_to_decide(
                differences,
                design.margin,
                design.alpha * share / family,
                resolution=design.resolution_of(row["dataset"]),
            )
        if needed[share] and needed[share] <= seeds:
            return look
    return None


def pair_with_none(runs: pd.DataFrame) -> pd.DataFrame:
    """Each spoiled run beside the run of its seed with nothing spoiled; see ``measure``."""
    spoiled = runs[runs["check"] != "none"]
    plain = runs[runs["check"] == "none"].drop(columns="check")
    plain = spoiled[CELL].drop_duplicates().merge(plain, on=NETWORK)
    return _pair(spoiled, plain, CELL)


def pair_tickets(
    runs: pd.DataFrame, tickets: Sequence[str], references: Sequence[str]
) -> pd.DataFrame:
    """Each run of a ticket beside the run of its seed of each reference; see ``measure``."""
    plain = runs[runs["check"] == "none"].drop(columns="check")
    pairs = [(one, other) for one in tickets for other in references if one != other]
    pairs = pd.DataFrame(pairs, columns=["ticket", "reference"], dtype=object)
    second = plain.rename(columns={"ticket": "reference"}).merge(pairs, on="reference")
    return _pair(plain.merge(pairs, on="ticket"), second, BY_TICKET)


def _to_come(planned: pd.DataFrame, order: Sequence[int]) -> np.ndarray:
    """Cells × seeds: which pairs of runs a cell will have; all, where no seeds were declared."""
    if "seeds" not in planned:
        return np.ones((len(planned), len(order)), dtype=bool)
    seeds, others = planned["seeds"], planned.get("seeds_reference", planned["seeds"])
    others = others.where(others.notna(), seeds)
    both = [{*a} & {*b} for a, b in zip(seeds, others, strict=True)]
    found = [[seed in mine for seed in order] for mine in both]
    return np.array(found, dtype=bool).reshape(len(planned), len(order))


def measure(
    pairs: pd.DataFrame,
    by: Sequence[str],
    design: Design,
    planned: pd.DataFrame | None = None,
    against_one_run: bool = False,
) -> pd.DataFrame:
    """Test the differences of every cell; no correction for the number of cells yet.

    Args:
        pairs: the columns ``by``, ``seed``, ``difference`` (points; NaN where there is no pair or
            it diverged), ``diverged``, and ``ran``, ``ran_reference`` and ``diverged_reference``
            where both sides are runs.
        design: with its resolution and seeds; see ``Design.resolved``.
        planned: the cells to measure, with the columns ``by``; those of ``pairs`` if None. Lists
            of seeds in ``seeds``, and in ``seeds_reference`` for those of what a cell is compared
            with, say which pairs are to come where there are no looks.
        against_one_run: see ``sequential_tests``.

    Returns:
        ``by``, ``n``, ``look``, ``looks``, ``sign`` and the numbers of ``sequential_tests``,
        sorted by ``by``.
    """
    by = list(by)
    cells = (pairs[by] if planned is None else planned).drop_duplicates(by)
    cells = cells.sort_values(by, ignore_index=True)
    order = list(design.seeds)
    to_come, declared = _to_come(cells, order), "seeds" in cells
    cells = cells[by]
    columns = {seed: i for i, seed in enumerate(order)}
    pairs = pairs[pairs["seed"].isin(order)].merge(cells.assign(_cell=cells.index), on=by)
    at = pairs["_cell"].to_numpy(int), pairs["seed"].map(columns).to_numpy(int)
    differences = np.full((len(cells), len(order)), np.nan)
    differences[at] = _with_lost(pairs)
    ran = np.zeros(differences.shape, dtype=bool)
    ran[at] = pairs["ran"] & pairs["ran_reference"] if "ran" in pairs else True
    if design.looks is None:
        # Seeds that nobody declared are no part of a plain list of seeds.
        ran, differences = ran & to_come, np.where(to_come, differences, np.nan)
    resolution = cells["dataset"].map(design.resolution_of).to_numpy(float)
    settings = design.margin, design.looks, design.shares, resolution
    seeds = to_come.sum(-1) if declared else 1
    found = sequential_tests(
        differences, ran, *settings, planned=seeds, against_one_run=against_one_run
    )
    return cells.assign(**found, looks=len(design.shares)).astype({"sparsity": float})


def _with_lost(pairs: pd.DataFrame) -> pd.Series:
    """The differences; infinite where a run diverged, see ``sequential_tests``."""
    lost, of_reference = pairs["diverged"], pairs.get("diverged_reference", False)
    return pairs["difference"].mask(of_reference & ~lost, np.inf).mask(lost, -np.inf)


def judge(table: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Add Holm's correction over the rows of ``table``, ``margin`` and ``verdict``.

    Equivalence is looked at first: a difference that is real yet within the margin was declared
    beforehand to be none. ``decided_look`` and ``decided_mean_difference`` are of the look that
    gave the p-value of the word; they are missing where there is no such word.
    """
    adjusted = {f"p_{question}_holm": holm(table[f"p_{question}"]) for question in QUESTIONS}
    table = table.assign(**adjusted, margin=float(design.margin))
    words = words_of(
        table["p_difference_holm"], table["p_equivalence_holm"], table["sign"], design.alpha
    )
    return decided_at(table.assign(verdict=words), asked_by(words), np.isin(words, DECIDED))


def asked_by(words: Any) -> np.ndarray:
    """Which of ``QUESTIONS`` each verdict answers."""
    return np.where(np.asarray(words) == "unaffected", "equivalence", "difference")


def decided_at(table: pd.DataFrame, question: np.ndarray, decided: np.ndarray) -> pd.DataFrame:
    """Add ``decided_look`` and ``decided_mean_difference``: where each row's question was answered.

    Args:
        question: of ``QUESTIONS``, one a row.
        decided: rows that have an answer.
    """
    found = {}
    for name, of in (("decided_look", "look_of"), ("decided_mean_difference", "mean_of")):
        values = [table[f"{of}_{each}"].to_numpy(float) for each in QUESTIONS]
        found[name] = np.select([question == each for each in QUESTIONS], values, np.nan)
        found[name] = np.where(decided, found[name], np.nan)
    return table.assign(**found).astype({"decided_look": "Int64"})


def _pair(first: pd.DataFrame, second: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    on = [*by, "seed"]
    values = ["test_accuracy", "collapsed", "diverged"]
    first, second = (side[[*on, *values]].assign(ran=True) for side in (first, second))
    pairs = first.merge(second, on=on, how="outer", suffixes=("", "_reference"))
    for flag in ("ran", "collapsed", "diverged"):
        for column in (flag, f"{flag}_reference"):
            pairs[column] = pairs[column].eq(True)
    difference = pairs["test_accuracy"] - pairs["test_accuracy_reference"]
    # An outer merge sorts by its keys, so sums of floats do not depend on the order of the runs.
    return pairs.assign(difference=difference)
