"""What was asked, and what came out, in a few sentences."""

from collections import Counter

import pandas as pd

from jackpot.analysis.frames import percent
from jackpot.report.words import SMALL, join, seeds_text, word_for
from jackpot.vocabulary import OUTCOMES, VERDICTS, counted, in_order, words


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
        verdicts: rows of ``verdicts.csv``, with ``small`` (``page``), or None.
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
    spoiled = pruned[pruned["check"] != "none"]
    tickets, checks = (
        counted(part.nunique(), name)
        for part, name in ((pruned["ticket"], "ticket"), (spoiled["check"], "check"))
    )
    if spoiled.empty:
        return f"{tickets} without a check, run {_where(pruned)}, with {seeds_text(pruned)}."
    checked = counted(spoiled["ticket"].nunique(), "ticket")
    text = f"{checks} of {checked}, run {_where(spoiled)}, with {seeds_text(spoiled)}."
    network = ["dataset", "model"]
    alone = pruned.merge(spoiled[network].drop_duplicates(), "left", network, indicator="side")
    alone = alone[alone["side"] == "left_only"]
    if len(alone):
        beside = counted(alone["ticket"].nunique(), "ticket")
        text += f" Beside them {beside} with nothing spoiled, {_where(alone)}."
    return text


def _where(runs: pd.DataFrame) -> str:
    datasets, models = (join(sorted(runs[name].unique())) for name in ("dataset", "model"))
    sparsities = join([percent(s) for s in sorted(runs["sparsity"].unique())])
    return f"on {datasets} with {models} at {sparsities} sparsity"


def _what_came_out(verdicts: pd.DataFrame, going_on: bool) -> str:
    counts = Counter(verdicts["verdict"])
    readings = {
        "unaffected": "accuracy did not need what was spoiled by as much as the margin, "
        "the method fails the check",
        "degraded": "the method does use it, it passes",
        "improved": "the method is better off without it, it fails",
        "undecided": "among all comparisons neither a change nor its absence is shown"
        + " yet" * going_on,
    }
    parts = []
    for verdict in in_order(counts, VERDICTS):
        reading = f" ({readings[verdict]})" if verdict in readings else ""
        parts.append(f"{counts[verdict]} {words(verdict)}{reading}")
    total = len(verdicts)
    return f"Of {counted(total, 'comparison')} with the unspoiled ticket: {join(parts)}."


def _small_changes(verdicts: pd.DataFrame) -> list[str]:
    """What ``unaffected`` does not say: a change can be real and smaller than the margin."""
    changes = verdicts.loc[verdicts["small"], "mean_difference"]
    if changes.empty:
        return []
    losses, gains = int((changes < 0).sum()), int((changes >= 0).sum())
    kind = "a loss" if not gains else "a gain" if not losses else "a change"
    text = (
        f"In {len(changes)} of the {int((verdicts['verdict'] == 'unaffected').sum())} unaffected "
        f"there is {kind} beyond doubt, smaller than the margin (marked {SMALL})"
    )
    if losses and gains:
        text += f", a loss in {losses} and a gain in {gains}"
    return [
        f"{text}. Who cares for less declares a smaller margin, in a new study with other seeds."
    ]
