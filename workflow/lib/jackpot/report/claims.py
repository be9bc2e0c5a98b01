"""The papers' claims as the page lists them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from jackpot.analysis.claims import SMALL_EFFECT, ClaimResult
from jackpot.analysis.frames import CELL
from jackpot.report.words import join, word_for, word_of_cell
from jackpot.vocabulary import OUTCOMES, counted


def claim_entries(results: Iterable[ClaimResult], verdicts: pd.DataFrame | None) -> list[dict]:
    """Every claim with its numbers, and a row a cell.

    Args:
        verdicts: rows of ``verdicts.csv``, to say what they call a claim's cells by themselves.
    """
    words_of_cells = {} if verdicts is None else verdicts.set_index(CELL)["verdict"].to_dict()
    return [_claim(result, words_of_cells) for result in results]


def _claim(result: ClaimResult, words_of_cells: Mapping[tuple, str]) -> dict[str, Any]:
    rows = [
        {**row, "by_itself": words_of_cells.get(tuple(row.get(name) for name in CELL))}
        for row in result.rows.to_dict("records")
    ]
    return {
        "id": result.claim.id,
        "sentence": result.claim.sentence,
        "source": result.claim.source,
        "method": result.claim.method,
        "verdict": result.verdict,
        "word": word_for(result.verdict),
        "short": _in_short(rows) if rows else result.sentence,
        "numbers": result.sentence,
        "rows": rows,
    }


def _in_short(rows: list[dict]) -> str:
    """How many cells speak for a claim and against it."""
    outcomes = Counter(row["outcome"] for row in rows)
    small = sum(row["small_effect"] for row in rows)
    aside = f" ({small} {SMALL_EFFECT})" if small else ""
    parts = [
        f"{outcomes[name]} {word_of_cell(name).word}{aside if name == 'did_not_hold' else ''}"
        for name in OUTCOMES
        if outcomes[name]
    ]
    return f"{counted(len(rows), 'cell')}: {join(parts)}{_by_itself(rows)}"


def _by_itself(rows: list[dict]) -> str:
    """How many of the cells that speak for or against a claim the grid leaves undecided."""
    decided = [row for row in rows if row["outcome"] in ("held", "did_not_hold")]
    left = sum(row["by_itself"] == "undecided" for row in decided)
    if not left:
        return ""
    which = "all of these" if left == len(decided) > 1 else f"{left} of these"
    return f"; the grid, where each must convince by itself, leaves {which} undecided"
