"""The looks of a study as the report page tells them: how far it is, and what that cost."""

import pandas as pd

from jackpot.analysis.claims import going_on
from jackpot.analysis.design import Design
from jackpot.analysis.forecast import fixed_seeds
from jackpot.analysis.frames import CELL
from jackpot.analysis.statistics import open_cells
from jackpot.report.page_table import Column, Table, TableCell
from jackpot.report.words import join
from jackpot.vocabulary import DECIDED, counted, words


def looks_section(
    runs: pd.DataFrame, verdicts: pd.DataFrame, design: Design, beforehand: bool = True
) -> dict:
    """What the page says of a study's looks.

    Args:
        runs: prepared runs.
        verdicts: rows of ``verdicts.csv`` with the columns of ``details``.
        design: with its planned cells, where they are known.
        beforehand: whether all was declared before there were results.

    Returns:
        ``sentences``, ``table`` (a row a look; None in a study of one look), ``now`` (one sentence
        on the look that the page shows; empty in a study of one look), and ``going_on``
        (whether a later look is still to come).
    """
    if len(design.shares) == 1:
        return {
            "sentences": [_one_look(verdicts)],
            "table": None,
            "now": "",
            "going_on": False,
        }
    still_open = open_cells(verdicts)
    asked = going_on(runs, design) if design.planned is not None else set()
    last = max(int(verdicts["look"].max()), 0)
    now = _now(verdicts, still_open, asked, last, design)
    sentences = [_declared(design, beforehand), now]
    if len(still_open):
        sentences.append(_likely(still_open, len(design.looks)))
    # Only where runs are missing (`partial`) is a cell that goes on behind another one.
    behind = int((still_open["look"] < last).sum())
    if behind:
        sentences.append(
            f"{counted(behind, 'comparison')} {'has' if behind == 1 else 'have'} not reached look "
            f"{last} yet, as runs are missing."
        )
    elif asked and 0 < last < len(design.looks):
        most = len(asked) * (design.looks[-1] - design.looks[last - 1])
        sentences.append(
            f"For look {last + 1}, {len(asked)} cells get seeds up to {design.looks[last]}; until "
            f"the last look that is {most} more runs at most."
        )
    final = not len(still_open) and not asked
    sentences += _cost(runs, verdicts, design, final)
    return {
        "sentences": sentences,
        "table": _table(verdicts, still_open, design),
        "now": now,
        "going_on": not final,
    }


def _one_look(verdicts: pd.DataFrame) -> str:
    low, high = int(verdicts["n"].min()), int(verdicts["n"].max())
    pairs = f"{low} to {high} pairs" if low < high else counted(high, "pair")
    text = f"This study looks once, at {pairs} of runs a comparison."
    if (verdicts["verdict"] == "undecided").any():
        text += (
            " All of its error rate is spent on that: adding seeds to what is undecided and "
            "testing again would exceed it. A study that declares several looks beforehand "
            "(statistics: looks) goes on by itself, where and only where something is undecided."
        )
    return text


def _declared(design: Design, beforehand: bool) -> str:
    seeds = join([str(n) for n in design.looks])
    if len(set(design.shares)) == 1:
        share = f"an equal part (1/{len(design.looks)})"
    else:
        share = f"a declared part ({join([f'{100 * share:g} %' for share in design.shares])})"
    return (
        f"This study looks {len(design.looks)} times{', as declared beforehand' * beforehand}: "
        f"at {seeds} seeds. "
        f"Each look spends {share} of the error rate. A comparison stops when it is unaffected, "
        f"or different with a mean of at least {design.margin:g} points and no claim about it is "
        "open; the others go on."
    )


def _now(verdicts, still_open, asked, last, design) -> str:
    total, count = len(verdicts), len(design.looks)
    if last == 0:
        return "No comparison has reached the first look yet."
    shown = f"This page shows look {last} of {count} ({design.looks[last - 1]} seeds)"
    if len(still_open):
        verb = "goes" if len(still_open) == 1 else "go"
        return f"{shown}: {len(still_open)} of {total} comparisons {verb} on, so it is not final."
    if asked:
        return (
            f"{shown}: every comparison with the unspoiled ticket has a verdict that stands, but "
            "claims about some of them, or about pairs of tickets, are open and go on, so it is "
            "not final."
        )
    undecided = int((~verdicts["verdict"].isin(DECIDED)).sum())
    if undecided:
        verb = "stays" if undecided == 1 else "stay"
        return f"{shown}, the last: {undecided} of {total} comparisons {verb} undecided."
    if last < count:
        return f"{shown}: it is final, as nothing is left open and no further look is needed."
    return f"{shown}, the last: nothing is left open."


def _likely(still_open: pd.DataFrame, count: int) -> str:
    has_word = still_open["verdict"].isin(DECIDED)
    likely = still_open.loc[~has_word, "likely_look"]
    found = likely.dropna().value_counts().sort_index()
    parts = [
        f"{n} {'is' if n == 1 else 'are'} likely to be decided at look {look}"
        for look, n in found.items()
    ]
    later, decided = int(likely.isna().sum()), int(has_word.sum())
    if later:
        parts.append(f"{later} perhaps not by look {count}, the last")
    if decided:
        parts.append(
            f"{decided} {'has' if decided == 1 else 'have'} a word already and may yet turn out to "
            "be unaffected"
        )
    return (
        f"Of those that go on, if means and spreads stay as they are, {join(parts)}. "
        "A spread known from a few seeds is rough, and so are these forecasts."
    )


def _table(verdicts: pd.DataFrame, still_open: pd.DataFrame, design: Design) -> Table:
    stopped = verdicts.drop(still_open.index)
    rows, left = [], len(verdicts)
    for look, (seeds, share) in enumerate(zip(design.looks, design.shares, strict=True), 1):
        here = stopped[stopped["look"] == look]
        counts = here["verdict"].value_counts()
        decided = [int(counts.get(word, 0)) for word in DECIDED]
        left -= sum(decided)
        reached = look <= verdicts["look"].max()
        numbers = [*decided, left] if reached else [None] * 4
        rows.append(
            [
                TableCell(str(look), look),
                TableCell(str(seeds), seeds),
                TableCell(f"{100 * share:.3g} %", share),
                *(TableCell("–", "") if n is None else TableCell(str(n), n) for n in numbers),
            ]
        )
    heads = [f"{words(word)} here" for word in DECIDED]
    labels = ["look", "seeds", "share of the error rate", *heads, "left open"]
    return Table(
        id="looks-table",
        caption="How far the comparisons went that have stopped",
        columns=[Column(label, "number") for label in labels],
        rows=rows,
    )


def _cost(runs: pd.DataFrame, verdicts: pd.DataFrame, design: Design, final: bool) -> list[str]:
    """Runs spent on comparisons, and what studies of one look would have taken."""
    cells = pd.concat([verdicts[CELL], verdicts[CELL].assign(check="none")]).drop_duplicates()
    spent = len(runs.merge(cells, on=CELL))
    everywhere = len(cells) * design.looks[-1]
    so_far = "" if final else " so far"
    text = (
        f"The comparisons and their unspoiled tickets took {spent} runs{so_far}; "
        f"{design.looks[-1]} seeds in every cell would be {everywhere}."
    )
    decided = int(verdicts["verdict"].isin(DECIDED).sum())
    n = None
    if decided and final:
        moments = verdicts["mean_difference"], verdicts["sd_difference"]
        known = design.resolved(runs)
        steps = verdicts["dataset"].map(known.resolution_of).to_numpy(float)
        n = fixed_seeds(*moments, decided, design.margin, design.alpha, resolution=steps)
    if n is None:
        return [text]
    return [
        text,
        f"One look that decides as many comparisons ({decided}) would need about {n} seeds in "
        f"every cell, {n * len(cells)} runs. (Simulated with the means and spreads measured here, "
        "the same tests, and all of the error rate spent on one look. Means are a little too "
        "large where a comparison stopped early, so the number is rather too small.)",
    ]
