"""The verdicts by ticket: a grid of all of them, and what each ticket needs."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

import pandas as pd

from jackpot.analysis.frames import NETWORK, Network, percent, sort_cells, spoils
from jackpot.analysis.tables import points
from jackpot.checks import CHECKS as BUILT_IN
from jackpot.checks import JOIN
from jackpot.report.style import by_ingredient
from jackpot.report.words import AT_CHANCE, SMALL, SMALL_MEANS, join, word_for
from jackpot.settings import Pruner, TicketRecipe
from jackpot.study.tickets import PRUNERS, TICKETS
from jackpot.vocabulary import CHECKS, VERDICTS, in_order, own_first, words

ASKED = {
    "data": "its data",
    "scores": "its scores",
    "mask": "the mask's positions",
    "weights": "its weights",
}
OTHER = "another part"
# A question of its own, as among the papers' claims: a ticket can need data, and half of it do.
HALF, ALL_DATA = "half_dataset", "all of its data"
# What a ticket lacks to which no check of an ingredient applies. Several trainings between the cuts
# leave no one ranking to spoil.
_LACKED = {"scores": "one ranking"}
# With more checks than this, words would push the last of them off a laptop's screen.
_WORDY = 6


def needs(
    verdicts: pd.DataFrame,
    applicable: Mapping[str, Sequence[str]] | None = None,
    guessing: Container[Network] = (),
) -> dict:
    """Does each ticket need its data, the mask's positions, its weights? Over all its cells.

    Args:
        verdicts: rows of ``verdicts.csv``.
        applicable: the checks that apply to each ticket, where that is known.
        guessing: the networks that cannot be told from guessing; their cells say nothing.

    Returns:
        ``columns``: the ingredients that were checked; ``note``: what a mark in ``counts`` means;
        ``rows``: ``(ticket, answers)`` with an answer ``{kind, word, counts}`` per column, ``kind``
        one of ``yes``, ``no``, ``depends``, ``open``, ``none``.
    """
    kind = verdicts["check"].map(lambda check: ALL_DATA if check == HALF else spoils(check, OTHER))
    first, *others = ASKED
    # A combination of checks can spoil several ingredients at once.
    several = sorted(set(kind) - {*ASKED, ALL_DATA, OTHER})
    order = [first, ALL_DATA, *others, *several, OTHER]
    columns = [name for name in order if (kind == name).any()]
    networks = verdicts[NETWORK].itertuples(index=False, name=None)
    learned = pd.Series([network not in guessing for network in networks], verdicts.index, bool)
    rows = []
    for ticket in own_first(verdicts["ticket"]):
        mine = verdicts["ticket"] == ticket
        answers = []
        for name in columns:
            cells = mine & (kind == name)
            word = "cannot be told from guessing" if cells.any() else None
            word = word or _absent(ticket, name, applicable)
            empty = {"kind": "none", "word": word, "counts": ""}
            answers.append(_answer(verdicts[cells & learned]) or empty)
        rows.append((words(ticket), answers))
    return {
        "columns": [ASKED.get(name, name) for name in columns],
        "rows": rows,
        "note": SMALL_MEANS if verdicts.loc[learned, "small"].any() else "",
    }


def _answer(found: pd.DataFrame) -> dict:
    counts = Counter(found["verdict"])
    used, unused = counts["degraded"], counts["unaffected"] + counts["improved"]
    if found.empty:
        return {}
    texts = {name: f"{counts[name]} {words(name)}" for name in in_order(counts, VERDICTS)}
    if small := int(found["small"].sum()):
        every = small == counts["unaffected"]
        texts["unaffected"] += SMALL if every else f" ({small} of them {SMALL})"
    text = ", ".join(texts.values())
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
    there = applicable[ticket]
    asked = {"data"} if ingredient == ALL_DATA else _ingredients(ingredient)
    missing = asked - _spoiled_by(there)
    if ingredient == ALL_DATA and not missing and HALF not in there:
        missing = {"pretraining"}
    return f"does not apply: made without {_lacked(missing)}" if missing else "not run"


def _lacked(ingredients: set[str]) -> str:
    return join(sorted(_LACKED.get(name, name) for name in ingredients))


def _ingredients(spoiled: str) -> set[str]:
    return set(spoiled.split(" and "))


def _spoiled_by(checks: Iterable[str]) -> set[str]:
    """Every ingredient that one of the checks spoils, alone or with others."""
    return set().union(*(_ingredients(spoils(check, OTHER)) for check in checks))


def grids(
    verdicts: pd.DataFrame,
    applicable: Mapping[str, Sequence[str]] | None = None,
    guessing: Container[Network] = (),
) -> list[dict]:
    """A grid of verdicts for every dataset and model: a row per ticket and sparsity.

    Args:
        verdicts: rows of ``verdicts.csv``.
        applicable: the checks that apply to each ticket, where that is known.
        guessing: the networks that cannot be told from guessing, which are marked.

    Returns:
        Dictionaries with ``title``, ``checks`` (column heads), ``wordy`` (whether there is room for
        words), ``notes`` and ``rows``: ``(ticket, lines)``, a line ``(sparsity, cells)``. A cell
        has ``{verdict, word, difference}`` or is a text: ``not run`` or ``does not apply``.
    """
    found = []
    for (dataset, model), part in sort_cells(verdicts).groupby(["dataset", "model"], sort=False):
        checks = by_ingredient(part["check"])
        tickets = own_first(part["ticket"])
        heads = [(words(check), spoils(check, OTHER)) for check in checks]
        rows = [(words(t), _lines(part, t, checks, applicable, guessing)) for t in tickets]
        notes = _notes(tickets, checks, applicable or {})
        if any(AT_CHANCE in sparsity for _, lines in rows for sparsity, _ in lines):
            notes.append(
                f"{AT_CHANCE} Cannot be told from guessing: words compare chance with chance."
            )
        if part["small"].any():
            notes.append(f"{SMALL_MEANS}.")
        found.append(
            {
                "title": f"{dataset} · {model}",
                "checks": heads,
                "wordy": len(checks) <= _WORDY,
                "rows": rows,
                "notes": notes,
            }
        )
    return found


def questions(
    verdicts: pd.DataFrame, own: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """What each check of a study asks, a combination by its parts: ``(check, question)``.

    Args:
        verdicts: rows of ``verdicts.csv``.
        own: the questions of the study's own checks.
    """
    known = {name: check.question for name, check in BUILT_IN.items()} | (own or {})
    names = dict.fromkeys(part for check in verdicts["check"] for part in check.split(JOIN))
    return [(words(name), known.get(name, "")) for name in in_order(names, CHECKS)]


def recipes(runs: pd.DataFrame, study: Mapping | None = None) -> list[tuple[str, str]]:
    """How each ticket of a study is made: ``(ticket, recipe)``.

    Args:
        study: as ``about.json`` has it, for tickets and pruners of its own.
    """
    own = study or {}
    tickets = TICKETS | {n: TicketRecipe(**t) for n, t in (own.get("tickets") or {}).items()}
    pruners = PRUNERS | {n: Pruner(**p) for n, p in (own.get("pruners") or {}).items()}
    return [
        (words(name), _recipe(tickets[name], pruners))
        for name in own_first(runs["ticket"])
        if name in tickets and tickets[name].pruner in pruners
    ]


_STARTS = {
    "initial": "its initial weights",
    "rewound": "an early epoch’s weights",
    "trained": "the trained weights",
}


def _recipe(ticket: TicketRecipe, pruners: Mapping[str, Pruner]) -> str:
    pruner = pruners[ticket.pruner]
    when = "before" if pruner.weights == "initial" else "after"
    options = pruner.score_options | pruner.allocation_options
    parts = [
        f"pruned {when} training",
        f"in {pruner.rounds} rounds" if pruner.rounds > 1 else "",
        f"{pruner.iterations} times, each time restarted" if pruner.iterations > 1 else "",
        "whole filters" if pruner.structured else "",
        f"by the score {words(pruner.score)} and the allocation {words(pruner.allocation)}",
        *(f"{words(name)} {value}" for name, value in options.items()),
        "the classifier left whole" if pruner.keep_classifier else "",
    ]
    start = f"trained from {_STARTS[ticket.weights]}"
    if ticket.schedule == "rewound":
        start += ", with the learning rate of an early epoch on"
    return f"{', '.join(filter(None, parts))}; {start}"


def _lines(part, ticket, checks, applicable, guessing) -> list[tuple[str, list]]:
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
        network = tuple(rows[NETWORK].iloc[0])
        lines.append((percent(sparsity) + f" {AT_CHANCE}" * (network in guessing), cells))
    return lines


def _grid_cell(row: Mapping) -> dict:
    difference = row["mean_difference"]
    return {
        "verdict": row["verdict"],
        "word": word_for(row["verdict"]),
        "difference": "" if pd.isna(difference) else points(difference) + SMALL * row["small"],
    }


def _notes(tickets, checks, applicable) -> list[str]:
    """Why checks do not apply: a sentence for the tickets that lack the same."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for ticket in tickets:
        applies = applicable.get(ticket, checks)
        out = [check for check in checks if check not in applies]
        if out:
            missing = _spoiled_by(out) - _spoiled_by(applies)
            why = f"without {_lacked(missing) or 'pretraining'}"
            named = join([words(check) for check in out])
            lacking.setdefault((named, why), []).append(words(ticket))
    return [
        f"Does not apply: {named} to {join(names)}, made {why}."
        for (named, why), names in lacking.items()
    ]
