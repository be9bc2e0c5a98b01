"""What a reader should doubt: cells at chance, and checks whose edits are not what they seem."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from jackpot.analysis.chance import guessing
from jackpot.analysis.frames import CELL, NETWORK, percent, spoils
from jackpot.report.words import join
from jackpot.vocabulary import counted, words


def doubts(runs: pd.DataFrame, about: Mapping[str, Any]) -> list[str]:
    """Sentences of all kinds below.

    Args:
        runs: prepared runs.
        about: what ``about.json`` says, as far as it is known.
    """
    # In portable arithmetic processors give the same bits.
    portable = (about.get("study") or {}).get("arithmetic") == "portable"
    mixed = [] if portable else mixed_devices(runs)
    redeclared = declared_anew(about.get("declared") or [])
    return [*redeclared, *at_chance(runs), *odd_edits(runs), *mixed]


def declared_anew(declared: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence if the statistics were declared otherwise once results were there.

    Args:
        declared: as ``jackpot.stages.collect.declare`` keeps it.
    """
    changes = []
    for before, now in pairwise(declared):
        both = [name for name in now if name in before and name != "since"]
        changed = [name for name in both if now[name] != before[name]]
        # The digest says something where the numbers do not.
        if changed != ["cells"]:
            changed = [name for name in changed if name != "cells"]
        said = [
            f"other {'cells or seeds' if name == 'cells' else name}"
            if name in ("seeds", "cells")
            else f"{name} {_said(before[name])} became {_said(now[name])}"
            for name in changed
        ]
        changes.append(f"{join(said)} ({now['since']})")
    if not changes:
        return []
    return [
        f"The study was declared anew when results were there: {join(changes)}. What alpha "
        "promises holds for what is declared beforehand; words that this change has brought are "
        "not covered by it. (declared.json beside this page keeps the record.)"
    ]


def _said(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(_said, value)) if isinstance(value, list) else f"{value:g}"


def at_chance(runs: pd.DataFrame) -> list[str]:
    """A sentence for each of ``guessing``."""
    found = []
    for (dataset, model, ticket, sparsity), part in guessing(runs).items():
        chance, best = part["chance_accuracy"].iloc[0], part["test_accuracy"].max()
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
            f"{who} cannot be told from guessing{empty}: the best of {counted(len(part), 'run')} "
            f"ends at {best:.1f} %, and a guess is right in {chance:.1f} %. Verdicts on it "
            f"compare chance with chance; {advice}."
        )
    return found


def odd_edits(runs: pd.DataFrame) -> list[str]:
    """A sentence on checks that changed nothing, and one on checks that changed the sparsity.

    A mistake in a check of one's own would else pass for a finding.
    """
    pairs = _pairs(runs)
    same = pairs["test_accuracy"].eq(pairs["test_accuracy_none"])
    same &= pairs["test_loss"].eq(pairs["test_loss_none"])
    # What a pruner sees is spoiled; the ticket is trained on clean data.
    of_data = pairs["check"].map(spoils).eq("data")
    resized = pairs["density"].sub(pairs["density_none"]).abs() > 0.01 * pairs["density_none"]
    return [
        *_in_all_pairs(
            pairs,
            same & ~of_data,
            "every pair of runs ended with the same loss to the last digit, so the check changed "
            "nothing that the network sees; “unaffected” says nothing there",
        ),
        *_in_all_pairs(
            pairs,
            same & of_data,
            "every pair of runs ended with the same loss to the last digit, so the mask came out "
            "the same: it does not depend on this part of the data at all, or the check changed "
            "nothing of it",
        ),
        *_in_all_pairs(
            pairs,
            resized,
            "the check left another number of weights (by more than 1 %), and what that cost is "
            "not told from what the check is to show",
        ),
    ]


def mixed_devices(runs: pd.DataFrame) -> list[str]:
    """A sentence where a check and its reference were trained on different devices."""
    pairs = _pairs(runs)
    mixed = pairs[pairs["device"] != pairs["device_none"]]
    if mixed.empty:
        return []
    names = sorted({*mixed["device"], *mixed["device_none"]})
    return [
        f"In {len(mixed)} of {counted(len(pairs), 'pair')} the two runs were trained on different "
        f"devices ({join(names)}); what those round differently is part of the difference."
    ]


def _pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """Every run of a check beside the run that it is compared with, whose columns end in _none."""
    by = [*NETWORK, "seed"]
    plain = runs[runs["check"] == "none"].drop(columns="check")
    return runs[runs["check"] != "none"].merge(plain, on=by, suffixes=("", "_none"))


def _in_all_pairs(pairs: pd.DataFrame, found: pd.Series, what: str) -> list[str]:
    """A sentence on the cells where it was found in every pair; none if there is no such cell."""
    everywhere = found.groupby([pairs[name] for name in CELL]).transform("all")
    cells = pairs.loc[everywhere, CELL].drop_duplicates()
    if cells.empty:
        return []
    first = cells.iloc[0]
    example = f"{words(first.ticket)}, {words(first.check)} at {percent(first.sparsity)}"
    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return [f"In {counted(len(cells), 'cell')} ({example}{more}) {what}."]
