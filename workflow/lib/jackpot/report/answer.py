"""The first screen of the report page: what was asked, and what came out, in words.

A verdict is about a method, not about a run: ``unaffected`` means that accuracy did not need what
was spoiled, so the method fails the check; ``degraded`` means that it does use it, so it passes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jackpot.analysis.frames import CELL, INGREDIENTS, percent, sort_cells
from jackpot.vocabulary import CHECKS, TICKETS, in_order, words


@dataclass(frozen=True)
class Word:
    """A verdict as readers see it: symbol, word, and what it means."""

    symbol: str
    word: str
    meaning: str


VERDICTS = {
    "unaffected": Word(
        "≈",
        "unaffected",
        "Accuracy stayed within the margin although the ingredient was spoiled. "
        "The method does not use it: it fails the check.",
    ),
    "degraded": Word(
        "▼",
        "degraded",
        "Accuracy fell beyond doubt. The method does use the ingredient: it passes the check.",
    ),
    "improved": Word(
        "▲",
        "improved",
        "Accuracy rose beyond doubt. The method is better off without the ingredient: "
        "it fails the check.",
    ),
    "undecided": Word(
        "?", "undecided", "These seeds cannot tell. More seeds would; the table says how many."
    ),
    "too_few_seeds": Word(
        "…", "too few seeds", "Too few pairs of runs have finished to form a p-value."
    ),
}
OUTCOMES = {
    "held": Word("✓", "held", ""),
    "did_not_hold": Word("✗", "did not hold", ""),
    "undecided": Word("?", "undecided", ""),
    "not_tested": Word("–", "not tested", ""),
}
ASKED = {
    "data": "its data",
    "scores": "its scores",
    "mask": "the mask's positions",
    "weights": "its weights",
}
OTHER = "another part"


def word_for(verdict: str) -> Word:
    """The word for a verdict or a claim's outcome; an unknown one is shown as it is."""
    known = {**OUTCOMES, **VERDICTS}
    return known.get(verdict) or Word("·", str(verdict).replace("_", " "), "")


def claim_entries(claims: Iterable[Any] | None) -> list[dict]:
    """Claims as the page lists them.

    Args:
        claims: mappings with ``sentence`` and ``verdict``, and where known ``id``, ``source``,
            ``method``, ``numbers`` (a sentence, or numbers by name) and ``rows``; or the
            ``ClaimResult`` objects of ``jackpot.analysis.claims``.
    """
    return [_claim(claim) for claim in claims or []]


def _claim(claim: Any) -> dict:
    if not isinstance(claim, Mapping):
        parts = {
            name: getattr(claim.claim, name) for name in ("id", "sentence", "source", "method")
        }
        rows = claim.rows.to_dict("records")
        claim = {**parts, "verdict": claim.verdict, "numbers": claim.sentence, "rows": rows}
    numbers = claim.get("numbers") or ""
    if isinstance(numbers, Mapping):
        numbers = ", ".join(f"{name} {value}" for name, value in numbers.items())
    rows = list(claim.get("rows") or [])
    outcomes = Counter(row["outcome"] for row in rows if "outcome" in row)
    short = [f"{outcomes[name]} {OUTCOMES[name].word}" for name in OUTCOMES if outcomes[name]]
    return {
        "id": str(claim.get("id", "")),
        "sentence": claim["sentence"],
        "source": claim.get("source") or "",
        "method": claim.get("method") or "",
        "verdict": claim["verdict"],
        "word": word_for(claim["verdict"]),
        "short": f"{len(rows)} compared: {_and(short)}" if short else numbers,
        "numbers": numbers,
        "rows": rows,
    }


def needs(verdicts: pd.DataFrame) -> dict:
    """Does each ticket need its data, the mask's positions, its weights? Over all its cells.

    Returns:
        ``columns``: the ingredients that were checked; ``rows``: ``(ticket, answers)`` with an
        answer ``{kind, word, counts}`` per column, ``kind`` one of ``yes``, ``no``, ``depends``,
        ``open``, ``none``.
    """
    kind = verdicts["check"].map(lambda check: INGREDIENTS.get(check, OTHER))
    columns = [name for name in [*ASKED, OTHER] if (kind == name).any()]
    rows = []
    for ticket in in_order(verdicts["ticket"], TICKETS):
        mine = verdicts["ticket"] == ticket
        answers = [_answer(verdicts.loc[mine & (kind == name), "verdict"]) for name in columns]
        rows.append((words(ticket), answers))
    return {"columns": [ASKED.get(name, name) for name in columns], "rows": rows}


def _answer(found: pd.Series) -> dict:
    counts = Counter(found)
    used, unused = counts["degraded"], counts["unaffected"] + counts["improved"]
    text = ", ".join(f"{counts[v]} {VERDICTS[v].word}" for v in VERDICTS if counts[v])
    if found.empty:
        return {"kind": "none", "word": "not checked", "counts": ""}
    if used and unused:
        kind, word = "depends", "depends"
    elif used or unused:
        kind, word = ("yes", "yes") if used else ("no", "no")
        if used + unused < len(found):
            word += ", where these seeds can tell"
    else:
        kind, word = "open", "these seeds cannot tell"
    return {"kind": kind, "word": word, "counts": text}


def grids(verdicts: pd.DataFrame) -> list[dict]:
    """A grid ticket × check for every dataset and model; each cell lists its sparsities.

    Returns:
        Dictionaries with ``title``, ``checks`` (column heads) and ``rows``: ``(ticket, cells)``,
        where a cell is a list of ``{sparsity, verdict, word, difference, more}``.
    """
    found = []
    for (dataset, model), part in sort_cells(verdicts).groupby(["dataset", "model"], sort=False):
        checks = in_order(part["check"], CHECKS)
        rows = [
            (words(ticket), [_grid_cell(part, ticket, check) for check in checks])
            for ticket in in_order(part["ticket"], TICKETS)
        ]
        heads = [(words(check), INGREDIENTS.get(check, OTHER)) for check in checks]
        found.append({"title": f"{dataset} · {model}", "checks": heads, "rows": rows})
    return found


def _grid_cell(part: pd.DataFrame, ticket: str, check: str) -> list[dict]:
    cells = part[(part["ticket"] == ticket) & (part["check"] == check)]
    return [
        {
            "sparsity": percent(row["sparsity"]),
            "verdict": row["verdict"],
            "word": word_for(row["verdict"]),
            "difference": ""
            if pd.isna(row["mean_difference"])
            else f"{row['mean_difference']:+.2f}",
            "more": more_seeds(row),
        }
        for row in cells.to_dict("records")
    ]


def more_seeds(row: Mapping) -> str:
    """How many more seeds would decide: ``"+7 seeds"``, or nothing where that is not known."""
    needed = row.get("seeds_to_decide")
    if pd.isna(needed) or row["verdict"] not in ("undecided", "too_few_seeds"):
        return ""
    more = max(int(needed) - int(row["n"]), 1)
    return f"+{more} seed{'s' * (more > 1)}"


def summary(runs: pd.DataFrame, verdicts: pd.DataFrame | None, claims: list, missing: int) -> list:
    """The answer in a few plain sentences.

    Args:
        runs: prepared runs.
        verdicts: rows of ``verdicts.csv``, or None.
        claims: entries of ``claim_entries``.
        missing: how many runs of the study have not finished.
    """
    sentences = [_what_ran(runs)]
    if verdicts is None or verdicts.empty:
        sentences.append("There is no verdict yet: no check has been compared with its original.")
    else:
        sentences.append(_what_came_out(verdicts))
    if claims:
        counts = Counter(claim["verdict"] for claim in claims)
        parts = [f"{n} {word_for(verdict).word}" for verdict, n in counts.most_common()]
        sentences.append(f"Of the papers' {len(claims)} claims: {_and(parts)}.")
    if missing:
        verb = "run has" if missing == 1 else "runs have"
        sentences.append(
            f"{missing} {verb} not finished, so this is not the study's last word; "
            "the commands for them are under Coverage."
        )
    lost = []
    if runs["collapsed"].any():
        lost.append(f"{int(runs['collapsed'].sum())} collapsed (a layer kept no weight)")
    if runs["diverged"].any():
        lost.append(f"{int(runs['diverged'].sum())} diverged (no accuracy)")
    if lost:
        sentences.append(f"Of {len(runs)} runs, {_and(lost)}; they are listed below.")
    return sentences


def _what_ran(runs: pd.DataFrame) -> str:
    pruned = runs[runs["ticket"] != "dense"]
    if pruned.empty:
        return "No pruned run has finished yet."
    sparsities = _and([percent(s) for s in sorted(pruned["sparsity"].unique())])
    datasets, models = (_and(sorted(runs[name].unique())) for name in ("dataset", "model"))
    checks = _count(pruned.loc[pruned["check"] != "none", "check"], "check")
    return (
        f"{_count(pruned['ticket'], 'ticket')} and {checks} were run on {datasets} with {models}, "
        f"at {sparsities} sparsity, with {seeds_text(pruned)}."
    )


def _what_came_out(verdicts: pd.DataFrame) -> str:
    counts = Counter(verdicts["verdict"])
    readings = {
        "unaffected": "accuracy did not need what was spoiled, the method fails the check",
        "degraded": "the method does use it, it passes",
        "undecided": "these seeds cannot tell",
    }
    parts = []
    for verdict in [*VERDICTS, *sorted(set(counts) - set(VERDICTS))]:
        if counts[verdict]:
            reading = f" ({readings[verdict]})" if verdict in readings else ""
            parts.append(f"{counts[verdict]} {word_for(verdict).word}{reading}")
    total = len(verdicts)
    return f"Of {total} comparison{'s' * (total != 1)} with the unspoiled ticket: {_and(parts)}."


def seeds_text(runs: pd.DataFrame) -> str:
    """``"3 seeds a cell"``, ``"1 seed a cell"`` or ``"2 to 5 seeds a cell"``."""
    n = runs.groupby(CELL)["seed"].nunique()
    low, high = int(n.min()), int(n.max())
    return (
        f"{low} to {high} seeds a cell" if low < high else f"{high} seed{'s' * (high != 1)} a cell"
    )


def _count(column: pd.Series, noun: str) -> str:
    n = column.nunique()
    return f"{n} {noun}{'s' * (n != 1)}"


def _and(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
