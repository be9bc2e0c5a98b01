"""The papers' claims as the page lists them."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from jackpot.analysis.claims import ClaimResult
from jackpot.analysis.frames import CELL, Network, percent, sort_cells
from jackpot.analysis.tables import points
from jackpot.report.words import earlier, join, word_for, word_of_cell
from jackpot.vocabulary import OUTCOMES, counted, words

_EFFECTS = {"degraded": "a loss", "improved": "a gain"}


def claim_entries(
    results: Iterable[ClaimResult],
    verdicts: pd.DataFrame | None,
    guessing: Container[Network] = (),
) -> list[dict]:
    """Every claim with its numbers, and a row a cell.

    Args:
        verdicts: rows of ``verdicts.csv``, to say what they call a claim's cells by themselves.
        guessing: the networks that cannot be told from guessing; see ``analysis.chance.guessing``.
    """
    words_of_cells = {} if verdicts is None else verdicts.set_index(CELL)["verdict"].to_dict()
    return [_claim(result, words_of_cells, guessing) for result in results]


def _claim(
    result: ClaimResult, words_of_cells: Mapping[tuple, str], guessing: Container[Network]
) -> dict[str, Any]:
    # Of a reported value the grid asks nothing: its cells are checks of one ticket.
    known = {} if "source" in result.rows else words_of_cells
    rows = [
        {**row, "by_itself": known.get(tuple(row.get(name) for name in CELL))}
        for row in sort_cells(result.rows).to_dict("records")
    ]
    numbers = numbers_of(result, guessing)
    short = f"{_in_short(result, rows)}{_of_chance(result, guessing)}{_not_run(result)}"
    word, part = word_for(result.verdict), covers_a_part(result, guessing)
    return {
        "id": result.claim.id,
        "sentence": result.claim.sentence,
        "source": result.claim.source,
        "method": result.claim.method,
        "verdict": result.verdict,
        "word": replace(word, word=f"{word.word} (a part)") if part else word,
        "part": part,
        "short": short if rows else numbers,
        "numbers": numbers,
        "rows": rows,
    }


def _in_short(result: ClaimResult, rows: list[dict]) -> str:
    """How many cells speak for a claim and against it."""
    outcomes = Counter(row["outcome"] for row in rows)
    parts = [
        f"{outcomes[name]} {word_of_cell(name).word}{_with_effect(result, name)}"
        for name in OUTCOMES
        if outcomes[name]
    ]
    return f"{counted(len(rows), 'cell')}: {join(parts)}{_by_itself(result, rows)}"


def _by_itself(result: ClaimResult, rows: list[dict]) -> str:
    """How many of the cells that speak for or against a claim seem to say otherwise in the grid."""
    decided = [row for row in rows if row["outcome"] in ("held", "did_not_hold")]
    left = sum(row["by_itself"] == "undecided" for row in decided)
    against = [row for row in decided if row["outcome"] == "did_not_hold"]
    # Of a claim that there is no harm the two say the same.
    harmed = 0 if result.claim.denies_harm else sum(r["by_itself"] == "degraded" for r in against)
    said = []
    if left:
        which = "all of these" if left == len(decided) > 1 else f"{left} of these"
        said.append(f"leaves {which} undecided")
    if harmed:
        said.append(f"calls {harmed} of those against it degraded")
    if not said:
        return ""
    return f"; the grid, where each must convince by itself, {join(said)}"


def _with_effect(result: ClaimResult, outcome: str) -> str:
    """In how many cells of an outcome that does not say so the claim's effect is there."""
    mine = result.rows[result.rows["outcome"] == outcome]
    count, denies = int(mine["effect"].sum()), result.claim.denies_harm
    if not count or outcome == ("did_not_hold" if denies else "held"):
        return ""
    which = "" if len(mine) == 1 else "all " if count == len(mine) else f"{count} "
    # A decision stands, whatever further seeds bring; the numbers shown are of all of them.
    within = (mine["mean_difference"].abs() < mine["margin"])[mine["effect"]].all()
    small = ", but smaller than the margin" if within and outcome != "undecided" else ""
    return f" ({which}with {_EFFECTS[result.claim.effect.verdict]} beyond doubt{small})"


def covers_a_part(result: ClaimResult, guessing: Container[Network]) -> bool:
    """Whether a claim's outcome leaves out tickets or checks, or counts some at chance."""
    if result.verdict == "not_tested":
        return False
    return bool(result.lacking or guesses_in(result, guessing))


def _not_run(result: ClaimResult) -> str:
    lacking = join([": ".join(map(words, names)) for names in result.lacking])
    return f"; not run: {lacking}" if lacking else ""


def guesses_in(result: ClaimResult, guessing: Container[Network]) -> int:
    """How many of a claim's tested cells have a network that cannot be told from guessing."""
    rows = result.tested.to_dict("records")
    sides = [[r["ticket"], *([r["reference"]] if "reference" in r else [])] for r in rows]
    return sum(
        any((row["dataset"], row["model"], name, row["sparsity"]) in guessing for name in names)
        for row, names in zip(rows, sides, strict=True)
    )


def _of_chance(result: ClaimResult, guessing: Container[Network]) -> str:
    count = guesses_in(result, guessing)
    return f"; {count} of these of tickets that cannot be told from guessing" if count else ""


def numbers_of(result: ClaimResult, guessing: Container[Network] = ()) -> str:
    """In how many cells a claim holds, and the smallest and the largest difference, in words."""
    verdict, tested = result.verdict, result.tested
    untested = len(result.rows) - len(tested)
    if tested.empty:
        where = (
            f"{counted(untested, 'cell')} with too few seeds"
            if untested
            else "this study has no such runs"
        )
        return f"Not tested: {where}."
    counts = tested["outcome"].value_counts()
    held = f"held in {counts.get('held', 0)} of {counted(len(tested), 'cell')}"
    parts = [held + _with_effect(result, "held")]
    for outcome in ("did_not_hold", "undecided"):
        if outcome in counts:
            said = f"{outcome.replace('_', ' ')} in {counts[outcome]}"
            parts.append(said + _with_effect(result, outcome))
    if untested:
        parts.append(f"{untested} more with too few seeds")
    if "inside_interval" in tested:
        inside = int(tested["inside_interval"].sum())
        parts.append(f"{inside} reported values lie inside our 95 % prediction interval")
    word = {"held": "", "undecided": "undecided: "}.get(verdict, "did not hold: ")
    if verdict == "did_not_hold" and "held" in counts:
        word = "did not hold everywhere: "
    text = f"{word}{', '.join(parts)}{_of_chance(result, guessing)}{_not_run(result)}"
    low, high = tested.loc[tested["mean_difference"].agg(["idxmin", "idxmax"])].to_dict("records")
    extremes = _numbers(low) if len(tested) == 1 else f"from {_numbers(low)} to {_numbers(high)}"
    return f"{text[0].upper()}{text[1:]}. Mean difference {extremes}."


def _numbers(row: dict) -> str:
    other = row.get("reference", row.get("source"))
    run = [f"{row['dataset']} {row['model']}", words(row["ticket"])]
    run += [words(row["check"])] if row.get("check", "none") != "none" else []
    run[-1] += f" against {words(other)}" if other else ""
    return (
        f"{points(row['mean_difference'])} points (95 % interval {points(row['ci95_low'])} to "
        f"{points(row['ci95_high'])}, n = {row['n']}; {', '.join(run)}, sparsity "
        f"{percent(row['sparsity'])}){earlier(row)}"
    )
