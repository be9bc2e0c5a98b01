"""The report's words: for a verdict, for a claim's outcome, for the numbers behind them.

A verdict is about a method, not about a run: ``unaffected`` means that accuracy did not need what
was spoiled by as much as the margin, so the method fails the check; ``degraded`` means that it
does use it, so it passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jackpot.analysis.forecast import hidden_rate
from jackpot.analysis.frames import CELL
from jackpot.analysis.tables import points
from jackpot.vocabulary import OUTCOMES, VERDICTS, counted, words

# Behind the sparsity of a ticket that cannot be told from guessing.
AT_CHANCE = "†"
# Behind a difference that is beyond doubt, and within the margin.
SMALL = "*"
SMALL_MEANS = f"{SMALL} a loss or a gain beyond doubt, smaller than the margin"


@dataclass(frozen=True)
class Word:
    """A verdict as readers see it: symbol, word, and what it means."""

    symbol: str
    word: str
    meaning: str = ""


MEANINGS = {
    "unaffected": "Accuracy stayed within the margin although the ingredient was spoiled. "
    "The method does not use it by as much as that: it fails the check.",
    "degraded": "Accuracy fell beyond doubt. The method does use the ingredient: it passes the "
    "check.",
    "improved": "Accuracy rose beyond doubt. The method is better off without the ingredient: it "
    "fails the check.",
    "undecided": "Neither a difference, nor that it is within the margin, is shown with these "
    "seeds, among all comparisons of the study.",
    "too_few_seeds": "Too few pairs of runs with an accuracy: they have not finished, or diverged.",
}
# One cell of a claim has no verdict of its own there: it speaks for the claim, against it, or not.
_OF_A_CLAIMS_CELL = {"held": "for it", "did_not_hold": "against it", "undecided": "open"}


def word_for(verdict: str) -> Word:
    """The word for a verdict or a claim's outcome; an unknown one is shown as it is."""
    if verdict in VERDICTS:
        return Word(VERDICTS[verdict].symbol, words(verdict), MEANINGS[verdict])
    return Word(OUTCOMES.get(verdict, "·"), words(verdict))


def word_of_cell(outcome: str) -> Word:
    """The word for what one cell says of a claim."""
    return Word(OUTCOMES[outcome], _OF_A_CLAIMS_CELL.get(outcome, words(outcome)))


def explain(row: Mapping[str, Any]) -> str:
    """One sentence for a row of ``verdicts`` or ``compare``, with the numbers behind the word.

    A row of several looks that also has ``likely_look`` (from ``details``) says at which look a
    verdict is likely. It promises no number of seeds: who then looks again spends alpha twice.
    """
    n, verdict = int(row["n"]), str(row["verdict"])
    word = word_for(verdict).word.capitalize()
    if verdict == "too_few_seeds":
        pairs = f"{counted(n, 'pair')} with an accuracy"
        if n > 1 and not row["look"]:
            return f"{word}: {pairs}, and no verdict before all declared seeds of a look have run."
        return f"{word}: {pairs}, too few to form a p-value."
    numbers = (
        f"{points(row['mean_difference'])} points, 95 % interval "
        f"{points(row['ci95_low'])} to {points(row['ci95_high'])}, n = {n}"
    )
    if verdict == "unaffected":
        reason = f"within ±{row['margin']:g} points, p = {row['p_equivalence_holm']:.2g} after Holm"
        if not len(row.get("collapsed", ())):
            rate = f"{100 * hidden_rate(n):.0f} %"
            reason += f"; collapses in fewer than {rate} of runs could still be hidden"
    elif verdict == "undecided":
        reason = f"neither a difference nor its absence is shown{forecast(row)}"
    else:
        reason = f"different from zero, p = {row['p_difference_holm']:.2g} after Holm"
    return f"{word}: {numbers}; {reason}{earlier(row)}."


def earlier(row: Mapping[str, Any]) -> str:
    """Where a word was decided, if not at the look whose numbers are shown."""
    look = row.get("decided_look")
    if look is None or pd.isna(look) or look >= row["look"]:
        return ""
    return (
        f" (decided at look {int(look)} of {int(row['looks'])}, where it was "
        f"{points(row['decided_mean_difference'])})"
    )


def forecast(row: Mapping[str, Any]) -> str:
    """When an undecided row is likely to be decided; empty in a study of one look."""
    look, looks = int(row["look"]), int(row["looks"])
    if looks < 2:
        return ""
    if look >= looks:
        return ", and this was the last look (a new study, with other seeds, could tell)"
    if "likely_look" not in row:
        return f" at look {look} of {looks}"
    likely = row["likely_look"]
    if pd.isna(likely):
        return f" at look {look} of {looks}, and perhaps not by the last one"
    return f" at look {look} of {looks}; look {int(likely)} is likely to"


def seeds_text(runs: pd.DataFrame) -> str:
    """``"3 seeds a cell"``, ``"1 seed a cell"`` or ``"2 to 5 seeds a cell"``."""
    n = runs.groupby(CELL)["seed"].nunique()
    low, high = int(n.min()), int(n.max())
    return f"{low} to {high} seeds a cell" if low < high else f"{counted(high, 'seed')} a cell"


def join(parts: list[str]) -> str:
    """``"a, b and c"``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
