"""The tables of the report page, as plain values that its template can set out."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from jackpot.analysis.design import Design
from jackpot.analysis.forecast import hidden_rate, smallest_p
from jackpot.analysis.frames import CELL, RUN, mask_densities, sort_cells
from jackpot.analysis.statistics import ticket_table
from jackpot.analysis.tables import DASH, ROW, p_text, table_cells, wide_table
from jackpot.report.page_table import (
    Column,
    Table,
    TableCell,
    difference_cell,
    interval_cell,
    name_cell,
    number_cell,
    p_cells,
    sparsity_cell,
)
from jackpot.report.words import explain, word_for, word_of_cell
from jackpot.vocabulary import VERDICTS, families, family_of, own_first, tickets_of, words

# Ticket and check first: on a narrow screen they are what is in view.
_KEY_COLUMNS = [Column(name) for name in ("ticket", "check", "dataset", "model")]
_DIFFERENCE, _P = "difference (points)", ("p of a difference", "p of equivalence")


def _key(row: Mapping) -> list[TableCell]:
    names = [name_cell(row["ticket"]), name_cell(row["check"])]
    return [*names, TableCell(str(row["dataset"])), TableCell(str(row["model"]))]


def family_tables(runs: pd.DataFrame, reported: pd.DataFrame | None) -> list[Table]:
    """A table per family of tickets: mean ± sd (n), with theirs and the difference if given."""
    cells = table_cells(runs, reported)
    family = cells["ticket"].map(family_of)
    tables = []
    for name in families(runs["ticket"]):
        wide = wide_table(cells[family == name])
        sparsities = [column for column in wide if column not in ROW]
        tables.append(
            Table(
                id=f"family-{name.replace('_', '-')}",
                caption=f"{tickets_of(name).capitalize()}: test accuracy (%) by sparsity",
                columns=[*_KEY_COLUMNS, *(Column(label, "number") for label in sparsities)],
                rows=[
                    [*_key(row), *(TableCell(row[label]) for label in sparsities)]
                    for row in wide.to_dict("records")
                ],
                headers=4,
            )
        )
    return tables


def verdict_numbers(verdicts: pd.DataFrame, design: Design) -> Table:
    """Every comparison with its intervals, both p-values and verdict."""
    several = len(design.shares) > 1
    intervals = {"95 % interval": "ci95", "90 % interval": "ci90"}
    if several:
        intervals["repeated 95 % interval"] = "ci_repeated"
    rows = []
    for row in sort_cells(verdicts).to_dict("records"):
        word = word_for(row["verdict"])
        rows.append(
            [
                *_key(row),
                sparsity_cell(row["sparsity"]),
                *([number_cell(row["look"], "{:.0f}")] if several else []),
                number_cell(row["n"], "{:.0f}"),
                TableCell(
                    f"{word.symbol} {word.word}", row["verdict"], f"verdict {row['verdict']}"
                ),
                difference_cell(row["mean_difference"]),
                *(interval_cell(row, name) for name in intervals.values()),
                *p_cells(row),
                TableCell(explain(row)),
            ]
        )
    before = ["sparsity", "look", "n"] if several else ["sparsity", "n"]
    after = [_DIFFERENCE, *intervals, *_P]
    return Table(
        id="verdict-numbers",
        caption="Every comparison of a check with the unspoiled ticket, paired by seed",
        columns=[
            *_KEY_COLUMNS,
            *(Column(label, "number") for label in before),
            Column("verdict"),
            *(Column(label, "number") for label in after),
            Column("in words"),
        ],
        rows=rows,
        headers=4,
        note=_without_normality(verdicts, design),
    )


# What verdicts are called where tickets, not checks, are compared.
_AGAINST = {"improved": "better", "degraded": "worse", "unaffected": "within the margin"}


def _against(verdict: str) -> TableCell:
    text = f"{VERDICTS[verdict].symbol} {_AGAINST.get(verdict, words(verdict))}"
    return TableCell(text, verdict, f"verdict {verdict}")


def against_random(runs: pd.DataFrame, design: Design) -> Table | None:
    """Every ticket beside random ones of its sparsity; None where there is nothing to compare."""
    plain = runs.loc[runs["check"] == "none", "ticket"]
    tickets = [name for name in own_first(plain) if family_of(name) not in ("random", "dense")]
    if not tickets or not (plain == "random").any():
        return None
    table = ticket_table(runs, tickets, ["random"], design)
    table = table[table["n"] > 0]
    if table.empty:
        return None
    rank = table["ticket"].map(tickets.index)
    table = table.assign(rank=rank).sort_values(["dataset", "model", "rank", "sparsity"])
    # What is the same in every row would push the answer out of sight.
    names = [name for name in ("dataset", "model") if table[name].nunique() > 1]
    rows = [
        [
            name_cell(row["ticket"]),
            *(TableCell(str(row[name])) for name in names),
            sparsity_cell(row["sparsity"]),
            _against(row["verdict"]),
            difference_cell(row["mean_difference"]),
            interval_cell(row, "ci95"),
            number_cell(row["n"], "{:.0f}"),
            *p_cells(row),
        ]
        for row in table.to_dict("records")
    ]
    return Table(
        id="against-random",
        caption="Every ticket against random ones of its sparsity, nothing spoiled, paired by seed",
        columns=[
            *map(Column, ("ticket", *names)),
            Column("sparsity", "number"),
            Column("against random"),
            *(Column(name, "number") for name in (_DIFFERENCE, "95 % interval", "n", *_P)),
        ],
        rows=rows,
        headers=1 + len(names),
        note="A family of its own for Holm’s method, beside the checks and the claims. No seeds "
        "are run for its sake: it has what the checks ask for.",
    )


def _without_normality(verdicts: pd.DataFrame, design: Design) -> str:
    """What the seeds could show if differences were not normal, corrected as the words are."""
    corrected = "Holm’s method over all comparisons of the study"
    if len(design.shares) > 1:
        corrected += ", and for its looks"
    text = f"Both p-values are corrected by {corrected}. They take differences to be normal"
    tested = verdicts.loc[verdicts["n"] >= 2, "n"]
    if tested.empty:
        return f"{text}."
    fewest = int(tested.min())
    least = smallest_p(fewest, len(verdicts), min(design.shares))
    text += f"; without that, {fewest} seeds alone could give no p of a difference below "
    text += f"{p_text(least)} here"
    return f"{text}, so that their words rest on it." if least > design.alpha else f"{text}."


def hidden_collapses(verdicts: pd.DataFrame) -> str:
    """Which rate of collapses the seeds of the comparisons called unaffected could still hide."""
    n = verdicts.loc[verdicts["verdict"] == "unaffected", "n"]
    if n.empty:
        return ""
    few, many = int(n.min()), int(n.max())
    rates = [f"{100 * hidden_rate(count):.0f} %" for count in (few, many)]
    text = f"{few} seeds without a collapse can still hide a rate of {rates[0]}"
    return f"{text}, {many} one of {rates[1]}." if few < many else f"{text}."


def claim_rows(claim: Mapping) -> Table | None:
    """The cells behind one claim."""
    if not claim["rows"]:
        return None
    second = next(
        (name for name in ("reference", "source", "check") if name in claim["rows"][0]), "check"
    )
    in_grid = any(row.get("by_itself") for row in claim["rows"])
    rows = []
    for row in claim["rows"]:
        word = word_of_cell(row["outcome"])
        rows.append(
            [
                _ticket_cell(row) if second == "source" else name_cell(row["ticket"]),
                name_cell(row.get(second, "")),
                *(TableCell(str(row[name])) for name in ("dataset", "model")),
                sparsity_cell(row["sparsity"]),
                number_cell(row.get("n"), "{:.0f}"),
                difference_cell(row.get("mean_difference")),
                interval_cell(row, "ci95"),
                TableCell(f"{word.symbol} {word.word}"),
                *([_word(row["by_itself"])] if in_grid else []),
            ]
        )
    heads = ["ticket", "check" if second == "check" else "against", "dataset", "model"]
    numbers = [Column(label, "number") for label in ("sparsity", "n", _DIFFERENCE)]
    return Table(
        id=f"claim-{claim['id']}",
        caption=f"Comparisons behind the claim “{claim['sentence']}”",
        columns=[
            *map(Column, heads),
            *numbers,
            Column(f"95 % {'prediction ' if second == 'source' else ''}interval", "number"),
            Column("in this claim"),
            *([Column("in the grid")] if in_grid else []),
        ],
        rows=rows,
        headers=4,
    )


def _ticket_cell(row: Mapping) -> TableCell:
    """A ticket, with the check where one was reported."""
    names = [row["ticket"], *([row["check"]] if row["check"] != "none" else [])]
    return TableCell(", ".join(map(words, names)))


def _word(verdict: str | None) -> TableCell:
    if verdict is None:
        return TableCell(DASH, "")
    word = word_for(verdict)
    return TableCell(f"{word.symbol} {word.word}", verdict)


def run_table(runs: pd.DataFrame, table_id: str, caption: str) -> Table:
    """Every run, one row each: what each seed gave."""
    rows = [
        [
            *_key(row),
            sparsity_cell(row["sparsity"]),
            number_cell(100 * (1 - row["effective_density"])),
            number_cell(row["seed"], "{:.0f}"),
            TableCell("diverged", "") if row["diverged"] else number_cell(row["test_accuracy"]),
            number_cell(row["best_test_accuracy"]),
            number_cell(row["test_loss"], "{:.3f}"),
            TableCell("yes" if row["collapsed"] else "no"),
            number_cell(row["epochs"], "{:.0f}"),
            number_cell(row["seconds"], "{:.0f}"),
            number_cell(row["images_per_second"], "{:.0f}"),
            TableCell(", ".join(filter(None, (str(row["device"]), str(row["precision"]))))),
        ]
        for row in runs.to_dict("records")
    ]
    labels = ["sparsity", "effective sparsity (%)", "seed", "test accuracy (%)", "best epoch's (%)"]
    numbers = [Column(label, "number") for label in (*labels, "test loss")]
    more = [Column(label, "number") for label in ("epochs", "seconds", "images/s")]
    columns = [*_KEY_COLUMNS, *numbers, Column("collapsed"), *more, Column("device")]
    return Table(table_id, caption, columns, rows, headers=4)


def layer_tables(layers: pd.DataFrame) -> list[Table]:
    """Density (%) of every layer of every mask, mean over seeds; a table per dataset and model."""
    densities = mask_densities(layers)
    tables = []
    pairs = densities.groupby(["dataset", "model"], sort=False)
    for index, ((dataset, model), part) in enumerate(pairs):
        names = part.drop_duplicates("position").sort_values("position")
        rows = []
        for (_, _, ticket, check, sparsity), mask in part.groupby(CELL, sort=False):
            cells = dict(
                zip(mask["position"], map(_density, mask["mean"], mask["min"]), strict=True)
            )
            values = [cells.get(position, TableCell(DASH, "")) for position in names["position"]]
            rows.append([name_cell(ticket), name_cell(check), sparsity_cell(sparsity), *values])
        heads = [Column("ticket"), Column("check"), Column("sparsity", "number")]
        layer_heads = [str(name).removesuffix(".weight") for name in names["layer"]]
        tables.append(
            Table(
                id=f"layers-{index}",
                caption=f"{dataset} · {model}: density of each layer (% of its weights kept)",
                columns=[*heads, *(Column(name, "number") for name in layer_heads)],
                rows=rows,
                headers=3,
                note="Means over seeds. A check that leaves every layer's count as it was has the "
                "densities of the unspoiled mask and no row of its own.",
            )
        )
    return tables


def _density(mean: float, lowest: float) -> TableCell:
    text, value = f"{100 * mean:.3g}", round(100 * float(mean), 6)
    if lowest > 0:
        return TableCell(text, value)
    return TableCell("0 (collapsed)" if mean == 0 else f"{text} (some collapsed)", value, "lost")


def missing_runs(runs: pd.DataFrame, expected: Sequence[Mapping] | None) -> list[dict]:
    """The runs of the study that ``runs`` does not have, each with its ``path``."""

    def key(run: Mapping) -> tuple:
        return (*(str(run[n]) for n in ROW), round(float(run["sparsity"]), 9), int(run["seed"]))

    done = {key(run) for run in runs[RUN].to_dict("records")}
    return [dict(run) for run in expected or [] if key(run) not in done]


def coverage_table(missing: Sequence[Mapping], command: str) -> Table:
    """Missing runs, and the command that makes each: ``command`` and the run's path."""
    rows = [
        [
            *_key(run),
            sparsity_cell(float(run["sparsity"])),
            number_cell(run["seed"], "{:.0f}"),
            TableCell(f"{command} {shlex.quote(run['path'])}", kind="code"),
        ]
        for run in missing
    ]
    numbers = [Column("sparsity", "number"), Column("seed", "number")]
    columns = [*_KEY_COLUMNS, *numbers, Column("command")]
    return Table("coverage", "Runs that have not finished", columns, rows, headers=4)


def hardware_table(runs: pd.DataFrame) -> Table:
    """Which devices and precisions the runs used, and how fast they were."""
    rows = []
    for (device, precision), part in runs.groupby(["device", "precision"], sort=True):
        rows.append(
            [
                TableCell(str(device) or DASH),
                TableCell(str(precision) or DASH),
                number_cell(len(part), "{:.0f}"),
                number_cell(part["seconds"].sum() / 3600, "{:.2f}"),
                number_cell(part["images_per_second"].median(), "{:.0f}"),
            ]
        )
    labels = ("runs", "training time (h)", "images/s (median)")
    columns = [
        Column("device"),
        Column("precision"),
        *(Column(label, "number") for label in labels),
    ]
    return Table("hardware", "Where the runs were trained", columns, rows, headers=2)


def named_values(values: Any) -> list[tuple[str, str]]:
    """Nested JSON as ``(name, value)`` lines: ``{"a": {"b": 1}}`` becomes ``("a · b", "1")``."""
    if isinstance(values, Mapping):
        pairs = values.items()
    elif isinstance(values, list | tuple):
        pairs = [("", value) for value in values]
    else:
        return [("", str(values))]
    lines = []
    for name, value in pairs:
        for inner, text in named_values(value):
            lines.append((" · ".join(filter(None, (str(name), inner))), text))
    return lines
