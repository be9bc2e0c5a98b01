"""What was asked, and what came out, in a few sentences."""

from collections import Counter

import pandas as pd

from jackpot.analysis.frames import percent
from jackpot.report.words import join, seeds_text, word_for
from jackpot.settings import ALPHA
from jackpot.vocabulary import OUTCOMES, VERDICTS, counted, in_order, words


def summary(
    runs: pd.DataFrame,
    verdicts: pd.DataFrame | None,
    claims: list,
    missing: int,
    going_on: bool = False,
    alpha: float = ALPHA,
) -> list:
    """The answer in a few plain sentences.

    Args:
        runs: prepared runs.
        verdicts: rows of ``verdicts.csv``, or None.
        claims: entries of ``claim_entries``.
        missing: how many runs of the study have not finished.
        going_on: whether a later look of the study is still to come.
        alpha: what the study declared.
    """
    sentences = [_what_ran(runs)]
    if verdicts is None or verdicts.empty:
        sentences.append("There is no verdict yet: no check has been compared with its original.")
    else:
        sentences += [_what_came_out(verdicts, going_on), *_small_changes(verdicts, alpha)]
    counts = Counter(claim["verdict"] for claim in claims)
    of_a_part = Counter(claim["verdict"] for claim in claims if claim["part"])
    del counts["not_tested"]
    if counts:
        parts = [
            f"{counts[name]} {word_for(name).word}"
            + f" ({of_a_part[name]} of them in part)" * (of_a_part[name] > 0)
            for name in in_order(counts, OUTCOMES)
        ]
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
    tickets = counted(pruned["ticket"].nunique(), "ticket")
    checks = counted(pruned.loc[pruned["check"] != "none", "check"].nunique(), "check")
    return (
        f"{tickets} and {checks} were run on {datasets} with {models}, "
        f"at {sparsities} sparsity, with {seeds_text(pruned)}."
    )


def _what_came_out(verdicts: pd.DataFrame, going_on: bool) -> str:
    counts = Counter(verdicts["verdict"])
    readings = {
        "unaffected": "accuracy did not need what was spoiled by as much as the margin, "
        "the method fails the check",
        "degraded": "the method does use it, it passes",
        "improved": "the method is better off without it, it fails",
        "undecided": "nothing is shown yet" if going_on else "nothing is shown with these seeds",
    }
    parts = []
    for verdict in in_order(counts, VERDICTS):
        reading = f" ({readings[verdict]})" if verdict in readings else ""
        parts.append(f"{counts[verdict]} {words(verdict)}{reading}")
    total = len(verdicts)
    return f"Of {counted(total, 'comparison')} with the unspoiled ticket: {join(parts)}."


def _small_changes(verdicts: pd.DataFrame, alpha: float) -> list[str]:
    """What ``unaffected`` does not say: a change can be real and smaller than the margin."""
    within = verdicts[verdicts["verdict"] == "unaffected"]
    real = int((within["p_difference_holm"] <= alpha).sum())
    if not real:
        return []
    return [
        f"In {real} of the {len(within)} unaffected there is a change beyond doubt, smaller than "
        "the margin. Who cares for less declares a smaller one, in a new study with other seeds."
    ]
