"""The first screen of the report page: what was asked, and what came out, in words.

A verdict is about a method, not about a run: ``unaffected`` means that accuracy did not need what
was spoiled, so the method fails the check; ``degraded`` means that it does use it, so it passes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jackpot.analysis.forecast import hidden_rate
from jackpot.analysis.frames import CELL, percent, sort_cells, spoils
from jackpot.vocabulary import CHECKS, VERDICTS, in_order, own_first, words


@dataclass(frozen=True)
class Word:
    """A verdict as readers see it: symbol, word, and what it means."""

    symbol: str
    word: str
    meaning: str


MEANINGS = {
    "unaffected": "Accuracy stayed within the margin although the ingredient was spoiled. "
    "The method does not use it: it fails the check.",
    "degraded": "Accuracy fell beyond doubt. The method does use the ingredient: it passes the "
    "check.",
    "improved": "Accuracy rose beyond doubt. The method is better off without the ingredient: it "
    "fails the check.",
    "undecided": "Neither is shown with these seeds, among all comparisons of the study.",
    "too_few_seeds": "Too few pairs of runs have finished to form a p-value.",
}
OUTCOMES = {
    "held": Word("✓", "held", ""),
    "did_not_hold": Word("✗", "did not hold", ""),
    "undecided": Word("?", "undecided", ""),
    "not_tested": Word("–", "not tested", ""),
}
# One cell of a claim has no verdict of its own there: it speaks for the claim, against it, or not.
COUNTS = {
    "held": Word("✓", "for it", ""),
    "did_not_hold": Word("✗", "against it", ""),
    "undecided": Word("?", "open", ""),
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
    if verdict in VERDICTS:
        return Word(VERDICTS[verdict].symbol, words(verdict), MEANINGS[verdict])
    return OUTCOMES.get(verdict) or Word("·", words(verdict), "")


def claim_entries(claims: Iterable[Any] | None, verdicts: pd.DataFrame | None = None) -> list[dict]:
    """Claims as the page lists them.

    Args:
        claims: mappings with ``sentence`` and ``verdict``, and where known ``id``, ``source``,
            ``method``, ``numbers`` (a sentence) and ``rows``; or the ``ClaimResult`` objects of
            ``jackpot.analysis.claims``.
        verdicts: rows of ``verdicts.csv``, to say what they call a claim's cells by themselves.
    """
    words_of_cells = {} if verdicts is None else verdicts.set_index(CELL)["verdict"].to_dict()
    return [_claim(claim, words_of_cells) for claim in claims or []]


def _claim(claim: Any, words_of_cells: Mapping[tuple, str]) -> dict:
    if not isinstance(claim, Mapping):
        parts = {
            name: getattr(claim.claim, name) for name in ("id", "sentence", "source", "method")
        }
        rows = claim.rows.to_dict("records")
        claim = {**parts, "verdict": claim.verdict, "numbers": claim.sentence, "rows": rows}
    rows = [
        {**row, "by_itself": words_of_cells.get(tuple(row.get(name) for name in CELL))}
        for row in claim.get("rows") or []
    ]
    outcomes = Counter(row["outcome"] for row in rows if "outcome" in row)
    small = sum(bool(row.get("small_effect")) for row in rows)
    aside = f" ({small} with an effect beyond doubt, but smaller than the margin)" if small else ""
    short = [
        f"{outcomes[name]} {COUNTS[name].word}{aside if name == 'did_not_hold' else ''}"
        for name in COUNTS
        if outcomes[name]
    ]
    numbers = claim.get("numbers") or ""
    return {
        "id": str(claim.get("id", "")),
        "sentence": claim["sentence"],
        "source": claim.get("source") or "",
        "method": claim.get("method") or "",
        "verdict": claim["verdict"],
        "word": word_for(claim["verdict"]),
        "short": f"{_cells(len(rows))}: {join(short)}{_by_itself(rows)}" if short else numbers,
        "numbers": numbers,
        "rows": rows,
    }


def _by_itself(rows: list[dict]) -> str:
    """How many of the cells that speak for or against a claim the grid leaves undecided."""
    decided = [row for row in rows if row.get("outcome") in ("held", "did_not_hold")]
    left = sum(row["by_itself"] == "undecided" for row in decided)
    if not left:
        return ""
    which = "all of these" if left == len(decided) > 1 else f"{left} of these"
    return f"; the grid, where each must convince by itself, leaves {which} undecided"


def _cells(count: int) -> str:
    return f"{count} cell{'s' * (count != 1)}"


def needs(verdicts: pd.DataFrame, applicable: Mapping[str, Sequence[str]] | None = None) -> dict:
    """Does each ticket need its data, the mask's positions, its weights? Over all its cells.

    Args:
        verdicts: rows of ``verdicts.csv``.
        applicable: the checks that apply to each ticket, where that is known.

    Returns:
        ``columns``: the ingredients that were checked; ``rows``: ``(ticket, answers)`` with an
        answer ``{kind, word, counts}`` per column, ``kind`` one of ``yes``, ``no``, ``depends``,
        ``open``, ``none``.
    """
    kind = verdicts["check"].map(lambda check: spoils(check, OTHER))
    columns = [name for name in [*ASKED, OTHER] if (kind == name).any()]
    rows = []
    for ticket in own_first(verdicts["ticket"]):
        mine = verdicts["ticket"] == ticket
        answers = [
            _answer(verdicts.loc[mine & (kind == name), "verdict"])
            or {"kind": "none", "word": _absent(ticket, name, applicable), "counts": ""}
            for name in columns
        ]
        rows.append((words(ticket), answers))
    return {"columns": [ASKED.get(name, name) for name in columns], "rows": rows}


def _answer(found: pd.Series) -> dict:
    counts = Counter(found)
    used, unused = counts["degraded"], counts["unaffected"] + counts["improved"]
    text = ", ".join(f"{counts[v]} {words(v)}" for v in in_order(counts, VERDICTS))
    if found.empty:
        return {}
    if used and unused:
        kind, word = "depends", "depends"
    elif used or unused:
        kind, word = ("yes", "yes") if used else ("no", "no")
        if used + unused < len(found):
            word += ", where decided"
    else:
        kind, word = "open", "undecided"
    return {"kind": kind, "word": word, "counts": text}


def _absent(ticket: str, ingredient: str, applicable: Mapping[str, Sequence[str]] | None) -> str:
    """Why a ticket has no comparison for an ingredient."""
    if applicable is None or ticket not in applicable:
        return "not run"
    applies = any(spoils(check) == ingredient for check in applicable[ticket])
    return "not run" if applies else f"does not apply: sees no {ingredient}"


def grids(
    verdicts: pd.DataFrame, applicable: Mapping[str, Sequence[str]] | None = None
) -> list[dict]:
    """A grid of verdicts for every dataset and model: a row per ticket and sparsity.

    Args:
        verdicts: rows of ``verdicts.csv``.
        applicable: the checks that apply to each ticket, where that is known.

    Returns:
        Dictionaries with ``title``, ``checks`` (column heads), ``wordy`` (whether there is room for
        words), ``notes`` and ``rows``: ``(ticket, lines)``, a line ``(sparsity, cells)``. A cell
        has ``{verdict, word, difference}`` or is a text: ``not run`` or ``does not apply``.
    """
    found = []
    for (dataset, model), part in sort_cells(verdicts).groupby(["dataset", "model"], sort=False):
        checks = in_order(part["check"], CHECKS)
        tickets = own_first(part["ticket"])
        heads = [(words(check), spoils(check, OTHER)) for check in checks]
        found.append(
            {
                "title": f"{dataset} · {model}",
                "checks": heads,
                "wordy": len(checks) <= _WORDY,
                "rows": [(words(t), _lines(part, t, checks, applicable)) for t in tickets],
                "notes": _notes(tickets, checks, applicable or {}),
            }
        )
    return found


# With more checks than this, words would push the last of them off a laptop's screen.
_WORDY = 6


def _lines(part, ticket, checks, applicable) -> list[tuple[str, list]]:
    mine = part[part["ticket"] == ticket]
    applies = None if applicable is None else applicable.get(ticket)
    lines = []
    for sparsity, rows in mine.groupby("sparsity"):
        by_check = {row["check"]: row for row in rows.to_dict("records")}
        cells = []
        for check in checks:
            if check in by_check:
                cells.append(_grid_cell(by_check[check]))
            else:
                there = applies is None or check in applies
                cells.append("not run" if there else "does not apply")
        lines.append((percent(sparsity), cells))
    return lines


def _grid_cell(row: Mapping) -> dict:
    difference = row["mean_difference"]
    return {
        "verdict": row["verdict"],
        "word": word_for(row["verdict"]),
        "difference": "" if pd.isna(difference) else f"{difference:+.2f}",
    }


def _notes(tickets, checks, applicable) -> list[str]:
    """Why checks do not apply: a sentence for the tickets that lack the same."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for ticket in tickets:
        applies = applicable.get(ticket, checks)
        out = [check for check in checks if check not in applies]
        if out:
            kinds = {spoils(check, OTHER) for check in out}
            none_left = not any(spoils(check) in kinds for check in applies)
            why = f"without {join(sorted(kinds))}" if none_left else "without pretraining"
            named = join([words(check) for check in out])
            lacking.setdefault((named, why), []).append(words(ticket))
    return [
        f"Does not apply: {named} to {join(names)}, made {why}."
        for (named, why), names in lacking.items()
    ]


def explain(row: Mapping[str, Any]) -> str:
    """One sentence for a row of ``verdicts`` or ``compare``, with the numbers behind the word.

    A row of several looks that also has ``likely_look`` (from ``details``) says at which look a
    verdict is likely. It promises no number of seeds: who then looks again spends alpha twice.
    """
    n, verdict = int(row["n"]), str(row["verdict"])
    word = word_for(verdict).word.capitalize()
    if verdict == "too_few_seeds":
        return f"{word}: {n} pair{'s' * (n != 1)} of runs, from which no p-value can be formed."
    numbers = (
        f"{row['mean_difference']:+.2f} points, 95 % interval "
        f"{row['ci95_low']:+.2f} to {row['ci95_high']:+.2f}, n = {n}"
    )
    if verdict == "unaffected":
        reason = f"within ±{row['margin']:g} points, p = {row['p_equivalence_holm']:.2g} after Holm"
        if not len(row.get("collapsed", ())):
            rate = f"{100 * hidden_rate(n):.0f} %"
            reason += f"; collapses in fewer than {rate} of runs could still be hidden"
    elif verdict == "undecided":
        reason = f"neither is shown{forecast(row)}"
    else:
        reason = f"different from zero, p = {row['p_difference_holm']:.2g} after Holm"
    return f"{word}: {numbers}; {reason}."


def forecast(row: Mapping[str, Any]) -> str:
    """When an undecided row is likely to be decided; empty in a study of one look."""
    look, looks = int(row["look"]), int(row["looks"])
    if looks < 2:
        return ""
    if look >= looks:
        return ", and this was the last look"
    if "likely_look" not in row:
        return f" at look {look} of {looks}"
    likely = row["likely_look"]
    if pd.isna(likely):
        return f" at look {look} of {looks}, and perhaps not by the last one"
    return f" at look {look} of {looks}; look {max(int(likely), look + 1)} is likely to"


def summary(
    runs: pd.DataFrame,
    verdicts: pd.DataFrame | None,
    claims: list,
    missing: int,
    going_on: bool = False,
) -> list:
    """The answer in a few plain sentences.

    Args:
        runs: prepared runs.
        verdicts: rows of ``verdicts.csv``, or None.
        claims: entries of ``claim_entries``.
        missing: how many runs of the study have not finished.
        going_on: whether a later look of the study is still to come.
    """
    sentences = [_what_ran(runs)]
    if verdicts is None or verdicts.empty:
        sentences.append("There is no verdict yet: no check has been compared with its original.")
    else:
        sentences += [_what_came_out(verdicts, going_on), *_small_changes(verdicts)]
    counts = Counter(claim["verdict"] for claim in claims)
    del counts["not_tested"]
    if counts:
        parts = [f"{counts[name]} {word_for(name).word}" for name in in_order(counts, OUTCOMES)]
        total = counts.total()
        which = f"Of the papers’ {total} claims that this study can test, each a question by itself"
        if total == 1:
            which = "The papers’ one claim that this study can test"
        sentences.append(f"{which}: {join(parts)}.")
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
        sentences.append(f"Of {len(runs)} runs, {join(lost)}; they are listed below.")
    return sentences


def _what_ran(runs: pd.DataFrame) -> str:
    pruned = runs[runs["ticket"] != "dense"]
    if pruned.empty:
        return "No pruned run has finished yet."
    sparsities = join([percent(s) for s in sorted(pruned["sparsity"].unique())])
    datasets, models = (join(sorted(runs[name].unique())) for name in ("dataset", "model"))
    checks = _count(pruned.loc[pruned["check"] != "none", "check"], "check")
    return (
        f"{_count(pruned['ticket'], 'ticket')} and {checks} were run on {datasets} with {models}, "
        f"at {sparsities} sparsity, with {seeds_text(pruned)}."
    )


def _what_came_out(verdicts: pd.DataFrame, going_on: bool) -> str:
    counts = Counter(verdicts["verdict"])
    readings = {
        "unaffected": "accuracy did not need what was spoiled, the method fails the check",
        "degraded": "the method does use it, it passes",
        "improved": "the method is better off without it, it fails",
        "undecided": "neither is shown yet" if going_on else "neither is shown with these seeds",
    }
    parts = []
    for verdict in in_order(counts, VERDICTS):
        reading = f" ({readings[verdict]})" if verdict in readings else ""
        parts.append(f"{counts[verdict]} {words(verdict)}{reading}")
    total = len(verdicts)
    return f"Of {total} comparison{'s' * (total != 1)} with the unspoiled ticket: {join(parts)}."


def _small_changes(verdicts: pd.DataFrame) -> list[str]:
    """What ``unaffected`` does not say: a change can be real and smaller than the margin."""
    within = verdicts[verdicts["verdict"] == "unaffected"]
    real = int(((within["ci95_low"] > 0) | (within["ci95_high"] < 0)).sum())
    if not real:
        return []
    return [
        f"In {real} of the {len(within)} unaffected the 95 % interval leaves out zero: a change "
        "that is likely real, and smaller than the margin. To care for less, declare a smaller one."
    ]


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


def join(parts: list[str]) -> str:
    """``"a, b and c"``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
