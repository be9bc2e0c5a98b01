"""What was asked, and what came out, in a few sentences."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from jackpot.analysis.frames import CELL, percent
from jackpot.analysis.sequential import resolution_of
from jackpot.report.words import join, seeds_text, word_for
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
    tickets = counted(pruned["ticket"].nunique(), "ticket")
    checks = counted(pruned.loc[pruned["check"] != "none", "check"].nunique(), "check")
    return (
        f"{tickets} and {checks} were run on {datasets} with {models}, "
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
    return f"Of {counted(total, 'comparison')} with the unspoiled ticket: {join(parts)}."


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


def at_chance(runs: pd.DataFrame, classes: Mapping[str, int]) -> list[str]:
    """A sentence for every dense network, and every ticket, that ends no better than guessing.

    That is, none of its unchecked runs lies three standard errors above the accuracy of a guess,
    100 over the number of classes, on so many test images.

    Args:
        classes: of each dataset, as far as they are known.
    """
    step = runs.groupby("dataset")["test_accuracy"].agg(resolution_of)
    found = []
    unchecked = runs[(runs["check"] == "none") & runs["dataset"].isin(set(classes))]
    keys = ["dataset", "model", "ticket", "sparsity"]
    for (dataset, model, ticket, sparsity), part in unchecked.groupby(keys, sort=False):
        chance = 1 / classes[dataset]
        noise = (chance * (1 - chance) * step[dataset] / 100) ** 0.5
        best = part["test_accuracy"].max()
        if best > 100 * (chance + 3 * noise):
            continue
        if ticket == "dense":
            who = f"The dense {model} on {dataset}"
            advice = "look at learning rate, epochs and initial weights first"
        else:
            who = f"The {words(ticket)} ticket of {model} on {dataset} at {percent(sparsity)}"
            advice = "“unaffected” says nothing there, nor do its cells of a claim"
        empty = ", with an empty layer in every run" if part["collapsed"].all() else ""
        if pd.isna(best):
            found.append(f"{who} diverged in all of its {counted(len(part), 'run')}; {advice}.")
            continue
        found.append(
            f"{who} has learned nothing{empty}: its best of {len(part)} runs ends at {best:.1f} %, "
            f"and a guess is right in {100 * chance:.1f} %. Verdicts on it compare chance with "
            f"chance; {advice}."
        )
    return found


def edits_to_doubt(runs: pd.DataFrame) -> list[str]:
    """A sentence on checks that changed nothing, and one on checks that changed the sparsity.

    A mistake in a check of one's own would else pass for a finding.
    """
    by = [*CELL, "seed"]
    plain = runs[runs["check"] == "none"].drop(columns="check")
    numbers = ["test_accuracy", "test_loss", "density"]
    keys = [name for name in by if name != "check"]
    pairs = runs[runs["check"] != "none"].merge(
        plain[[*keys, *numbers]], on=keys, suffixes=("", "_none")
    )
    alike = (pairs["test_accuracy"] == pairs["test_accuracy_none"]) & (
        pairs["test_loss"] == pairs["test_loss_none"]
    )
    change = (pairs["density"] - pairs["density_none"]).abs()
    found = []
    for unlike, words_for in (
        (
            alike,
            "every pair of runs ended with the same loss to the last digit, so the check changed "
            "nothing that the network sees; “unaffected” says nothing there",
        ),
        (
            change > 0.01 * pairs["density_none"],
            "the check left another number of weights (by more than 1 %), and what it cost is not "
            "told from that",
        ),
    ):
        every = pairs.assign(found=unlike).groupby(CELL, sort=False)["found"].all()
        cells = list(every[every].index)
        if cells:
            _, _, ticket, check, sparsity = cells[0]
            example = f"{words(ticket)}, {words(check)} at {percent(sparsity)}"
            more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
            found.append(f"In {counted(len(cells), 'cell')} ({example}{more}) {words_for}.")
    return found
