"""What a reader should doubt: cells at chance, and checks whose edits are not what they seem."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from jackpot.analysis.chance import guessing
from jackpot.analysis.declared import changed
from jackpot.analysis.frames import CELL, NETWORK, mask_densities, percent, spoils
from jackpot.report.words import join
from jackpot.vocabulary import counted, words

# A layer is starved where a spoiled mask leaves it less than this share of what the other leaves.
STARVED = 0.1


def doubts(
    runs: pd.DataFrame, about: Mapping[str, Any], layers: pd.DataFrame | None = None
) -> list[str]:
    """Sentences of all kinds below.

    Args:
        runs: prepared runs.
        about: what ``about.json`` says, as far as it is known.
        layers: kept and total weights of every layer of every run, if known.
    """
    # In portable arithmetic processors give the same bits; GPUs have none.
    versions = (about.get("provenance") or {}).get("versions") or {}
    mixed = [] if versions.get("arithmetic") == "portable" else mixed_devices(runs)
    statistics = (about.get("study") or {}).get("statistics") or {}
    return [
        *declared_anew(about.get("declared") or []),
        *at_chance(runs),
        *near_chance(runs, statistics.get("margin") or 0.0),
        *odd_edits(runs),
        *([] if layers is None else starved_layers(layers)),
        *same_tickets(runs),
        *mixed,
    ]


_OTHERS = {
    "seeds": "seeds",
    "cells": "cells or seeds",
    "settings": "settings of the runs",
    "own_code": "code of the study's own files",
}


def declared_anew(declared: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence if the statistics were declared otherwise once results were there.

    Args:
        declared: as ``jackpot.stages.collect.declare`` keeps it.
    """
    days: dict[str, list[str]] = {}
    for before, now in pairwise(declared):
        # Which cells, seeds and settings is said by digests alone.
        said = [
            f"other {_OTHERS[name]}"
            if name in _OTHERS
            else f"{name} {_said(before[name])} became {_said(now[name])}"
            for name in changed(before, now)
        ]
        days.setdefault(join(said), []).append(now["since"])
    if not days:
        return []
    # Whoever works on a pruner changes it many times.
    changes = [
        f"{what} ({when[0] if len(when) == 1 else f'{len(when)} times, last {when[-1]}'})"
        for what, when in days.items()
    ]
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
        chance, lost = part["chance_accuracy"].iloc[0], part["test_accuracy"].isna().sum()
        if ticket == "dense":
            who = f"The dense {model} on {dataset}"
            advice = "look at learning rate, epochs and initial weights first"
        else:
            who = f"The {words(ticket)} ticket of {model} on {dataset} at {percent(sparsity)}"
            advice = "“unaffected” says nothing there, nor do its cells of a claim"
        empty = ", with an empty layer in every run" if part["collapsed"].all() else ""
        if lost == len(part):
            found.append(f"{who} diverged in all of its {counted(len(part), 'run')}; {advice}.")
            continue
        # Those that diverged do not lie above a guess.
        middle = part["test_accuracy"].fillna(0.0).median()
        ends = f"half of {counted(len(part), 'run')} end at {middle:.1f} % or less"
        if 2 * lost >= len(part):
            ends = f"{lost} of {counted(len(part), 'run')} diverged"
        elif lost:
            ends += f", or diverged ({lost})"
        found.append(
            f"{who} cannot be told from guessing{empty}: {ends}, and a guess is right in "
            f"{chance:.1f} %. Verdicts on it compare chance with chance; {advice}."
        )
    return found


def near_chance(runs: pd.DataFrame, margin: float) -> list[str]:
    """A sentence on the tickets that could lose all that they learned within the margin."""
    chance = runs["chance_accuracy"]
    unchecked = runs[(runs["check"] == "none") & chance.notna()]
    means = unchecked.groupby(NETWORK, sort=False)[["test_accuracy", "chance_accuracy"]].mean()
    near = means["test_accuracy"] < means["chance_accuracy"] + margin
    told = guessing(runs)
    found = [key for key in means.index[near] if key not in told]
    if not found:
        return []
    several = len(runs[["dataset", "model"]].drop_duplicates()) > 1
    named = join(
        [
            f"{words(ticket)}{f' of {model} on {dataset}' if several else ''} at {percent(s)}"
            for dataset, model, ticket, s in found[:3]
        ]
    )
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return [
        f"{named}{more}: less than the margin of {margin:g} points above a guess, so that even the "
        "loss of all that was learned would be “unaffected”, and no harm, there."
    ]


def same_tickets(runs: pd.DataFrame) -> list[str]:
    """A sentence on tickets that ended alike in every run: they are one finding, not two."""
    unchecked = runs[(runs["check"] == "none") & (runs["ticket"] != "dense")]
    key = ["dataset", "model", "sparsity", "seed"]
    ends = {ticket: part.set_index(key) for ticket, part in unchecked.groupby("ticket", sort=False)}
    groups: list[list[str]] = []
    for ticket, mine in ends.items():
        group = next((names for names in groups if _alike(ends[names[0]], mine)), None)
        groups.append([ticket]) if group is None else group.append(ticket)
    alike = [names for names in groups if len(names) > 1]
    if not alike:
        return []
    named = "; ".join(join([words(name) for name in names]) for names in alike)
    return [
        f"The same networks to the last digit, seed for seed: {named}. What is said of one is said "
        "of the other; together they are one finding."
    ]


def _alike(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether all runs that both have ended alike, and some that neither diverged nor collapsed."""
    both = one.merge(other, left_index=True, right_index=True, suffixes=("", "_other"))
    pairs = [(both[name], both[f"{name}_other"]) for name in ("test_accuracy", "test_loss")]
    same = pd.concat([a.eq(b) | (a.isna() & b.isna()) for a, b in pairs]).all()
    return bool(same and (both["test_loss"].notna() & ~both["collapsed"]).any())


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


def starved_layers(layers: pd.DataFrame) -> list[str]:
    """A sentence on checks whose masks leave next to nothing of a layer that is there otherwise."""
    means = mask_densities(layers)
    plain = means[means["check"] == "none"].drop(columns="check")
    both = means.merge(plain, on=[*NETWORK, "position", "layer"], suffixes=("", "_none"))
    starved = both[both["mean"] < STARVED * both["mean_none"]]
    if starved.empty:
        return []
    worst = starved.loc[(starved["mean"] / starved["mean_none"]).idxmin()]
    cells = starved[CELL].drop_duplicates()
    return [
        f"In {_cells(cells, worst)} the spoiled mask leaves a layer less than {percent(STARVED)} "
        f"of what the unspoiled one leaves it ({worst.layer}: {100 * worst['mean']:.1f} % of its "
        f"weights in place of {100 * worst['mean_none']:.1f} %); what such a layer costs is part "
        "of the difference."
    ]


def mixed_devices(runs: pd.DataFrame) -> list[str]:
    """A sentence where a check and its reference, or two tickets, had different devices."""
    pairs = _pairs(runs)
    mixed = pairs[pairs["device"] != pairs["device_none"]]
    if len(mixed):
        names = sorted({*mixed["device"], *mixed["device_none"]})
        where = f"In {len(mixed)} of {counted(len(pairs), 'pair')} the two runs were trained on"
    else:
        alone = runs[runs["check"] == "none"]
        cells = alone.groupby(["dataset", "model", "sparsity", "seed"])["device"]
        several = alone[cells.transform("nunique") > 1]
        names = sorted(set(several["device"]))
        where = "Tickets that are compared with one another were trained on"
    if not names:
        return []
    return [
        f"{where} different devices ({join(names)}); what those round differently is part of the "
        "difference."
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
    return [f"In {_cells(cells, cells.iloc[0])} {what}."]


def _cells(cells: pd.DataFrame, one: pd.Series) -> str:
    """How many cells, with one of them as an example."""
    example = f"{words(one.ticket)}, {words(one.check)} at {percent(one.sparsity)}"
    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return f"{counted(len(cells), 'cell')} ({example}{more})"
