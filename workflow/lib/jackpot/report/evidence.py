"""The tables of the report page, as plain values that its template can set out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jackpot.analysis.forecast import smallest_p
from jackpot.analysis.frames import CELL, RUN, mask_densities, percent, sort_cells
from jackpot.analysis.statistics import explain
from jackpot.analysis.tables import DASH, ROW, p_text, table_cells, wide_table
from jackpot.report.answer import more_seeds, word_for
from jackpot.vocabulary import families, family_of, words


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by and saved as where that differs."""

    text: str
    value: Any = None
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """A column's head; ``kind`` is ``text``, ``number`` or ``code``."""

    label: str
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """A table of the page; ``headers`` counts the leading columns that name a row."""

    id: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    headers: int = 1
    note: str = ""


def _number(value: Any, form: str = "{:.2f}") -> Cell:
    if pd.isna(value):
        return Cell(DASH, "")
    value = float(value)
    return Cell(form.format(value), int(value) if value.is_integer() else value)


def _sparsity(value: float) -> Cell:
    return Cell(percent(value), float(value))


def _name(value: Any) -> Cell:
    return Cell(words(value), value)


# Ticket and check first: on a narrow screen they are what is in view.
_KEY_COLUMNS = [Column(name) for name in ("ticket", "check", "dataset", "model")]


def _key(row: Mapping) -> list[Cell]:
    names = [_name(row["ticket"]), _name(row["check"])]
    return [*names, Cell(str(row["dataset"])), Cell(str(row["model"]))]


def family_tables(runs: pd.DataFrame, reported: pd.DataFrame | None) -> list[Table]:
    """A table per family of tickets: mean ± sd (n), with theirs and the difference if given."""
    cells = table_cells(runs, reported)
    family = cells["ticket"].map(family_of)
    tables = []
    for name in families(cells["ticket"]):
        wide = wide_table(cells[family == name])
        sparsities = [column for column in wide if column not in ROW]
        title = (
            "Dense networks"
            if name == "dense"
            else f"{name.replace('_', '-')} tickets".capitalize()
        )
        tables.append(
            Table(
                id=f"family-{name.replace('_', '-')}",
                caption=f"{title}: test accuracy (%) by sparsity",
                columns=[*_KEY_COLUMNS, *(Column(label, "number") for label in sparsities)],
                rows=[
                    [*_key(row), *(Cell(row[label]) for label in sparsities)]
                    for row in wide.to_dict("records")
                ],
                headers=4,
            )
        )
    return tables


def verdict_numbers(verdicts: pd.DataFrame) -> Table:
    """Every comparison with its interval, both p-values and verdict."""
    rows = []
    for row in sort_cells(verdicts).to_dict("records"):
        intervals = [
            Cell(DASH, "")
            if pd.isna(row[f"ci{level}_low"])
            else Cell(f"{row[f'ci{level}_low']:+.2f} to {row[f'ci{level}_high']:+.2f}")
            for level in (95, 90)
        ]
        p_values = [
            Cell(p_text(row[name]), "" if pd.isna(row[name]) else float(row[name]))
            for name in ("p_difference_holm", "p_equivalence_holm")
        ]
        word = word_for(row["verdict"])
        rows.append(
            [
                *_key(row),
                _sparsity(row["sparsity"]),
                _number(row["n"], "{:.0f}"),
                Cell(f"{word.symbol} {word.word}", row["verdict"], f"verdict {row['verdict']}"),
                _number(row["mean_difference"], "{:+.2f}"),
                *intervals,
                *p_values,
                Cell(more_seeds(row) or DASH),
                Cell(explain(row)),
            ]
        )
    fewest = int(verdicts["n"].min())
    labels = ["difference (points)", "95 % interval", "90 % interval", "p of a difference"]
    labels += ["p of equivalence", "to decide"]
    numbers = [Column("sparsity", "number"), Column("n", "number"), Column("verdict")]
    return Table(
        id="verdict-numbers",
        caption="Every comparison of a check with the unspoiled ticket, paired by seed",
        columns=[
            *_KEY_COLUMNS,
            *numbers,
            *(Column(label, "number") for label in labels),
            Column("in words"),
        ],
        rows=rows,
        headers=4,
        note=(
            "Both p-values are corrected by Holm's method over the whole table. They take "
            "differences to be normal; without that, the least p that a cell's seeds can give "
            f"before correction is {p_text(smallest_p(fewest))} ({fewest} seeds)."
        ),
    )


def claim_rows(claim: Mapping) -> Table | None:
    """The cells behind one claim."""
    if not claim["rows"]:
        return None
    second = next(
        (name for name in ("reference", "source", "check") if name in claim["rows"][0]), "check"
    )
    rows = []
    for row in claim["rows"]:
        interval = Cell(DASH, "")
        if not pd.isna(row.get("ci95_low")):
            interval = Cell(f"{row['ci95_low']:+.2f} to {row['ci95_high']:+.2f}")
        word = word_for(row.get("outcome", row.get("verdict", "")))
        rows.append(
            [
                _name(row["ticket"]),
                _name(row.get(second, "")),
                *(Cell(str(row[name])) for name in ("dataset", "model")),
                _sparsity(row["sparsity"]),
                _number(row.get("n"), "{:.0f}"),
                _number(row.get("mean_difference"), "{:+.2f}"),
                interval,
                Cell(f"{word.symbol} {word.word}"),
            ]
        )
    heads = ["ticket", "check" if second == "check" else "against", "dataset", "model"]
    numbers = [Column(label, "number") for label in ("sparsity", "n", "difference (points)")]
    return Table(
        id=f"claim-{claim['id']}",
        caption=f"Comparisons behind the claim “{claim['sentence']}”",
        columns=[
            *map(Column, heads),
            *numbers,
            Column("95 % interval", "number"),
            Column("outcome"),
        ],
        rows=rows,
        headers=4,
    )


def run_table(runs: pd.DataFrame, table_id: str, caption: str) -> Table:
    """Every run, one row each: what each seed gave."""
    rows = [
        [
            *_key(row),
            _sparsity(row["sparsity"]),
            _number(row["seed"], "{:.0f}"),
            Cell("diverged", "") if row["diverged"] else _number(row["test_accuracy"]),
            _number(row["best_test_accuracy"]),
            _number(row["test_loss"], "{:.3f}"),
            Cell("yes" if row["collapsed"] else "no"),
            _number(row["epochs"], "{:.0f}"),
            _number(row["seconds"], "{:.0f}"),
            _number(row["images_per_second"], "{:.0f}"),
            Cell(" ".join(filter(None, (str(row["device"]), str(row["precision"]))))),
        ]
        for row in runs.to_dict("records")
    ]
    labels = ["sparsity", "seed", "test accuracy (%)", "best epoch's (%)", "test loss"]
    numbers = [Column(label, "number") for label in labels]
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
            values = [cells.get(position, Cell(DASH, "")) for position in names["position"]]
            rows.append([_name(ticket), _name(check), _sparsity(sparsity), *values])
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


def _density(mean: float, lowest: float) -> Cell:
    text, value = f"{100 * mean:.3g}", round(100 * float(mean), 6)
    if lowest > 0:
        return Cell(text, value)
    return Cell("0 (collapsed)" if mean == 0 else f"{text} (some collapsed)", value, "lost")


def missing_runs(runs: pd.DataFrame, expected: Sequence[Mapping] | None) -> list[dict]:
    """The runs of the study that ``runs`` does not have, each with its ``path``."""

    def key(run: Mapping) -> tuple:
        return (*(str(run[n]) for n in ROW), round(float(run["sparsity"]), 9), int(run["seed"]))

    done = {key(run) for run in runs[RUN].to_dict("records")}
    return [dict(run) for run in expected or [] if key(run) not in done]


def coverage_table(missing: Sequence[Mapping]) -> Table:
    """Missing runs, and the command that makes each."""
    rows = [
        [
            *_key(run),
            _sparsity(float(run["sparsity"])),
            _number(run["seed"], "{:.0f}"),
            Cell(f"snakemake --cores 1 {run['path']}", kind="code"),
        ]
        for run in missing
    ]
    numbers = [Column("sparsity", "number"), Column("seed", "number")]
    columns = [*_KEY_COLUMNS, *numbers, Column("command", "code")]
    return Table("coverage", "Runs that have not finished", columns, rows, headers=4)


def hardware_table(runs: pd.DataFrame) -> Table:
    """Which devices and precisions the runs used, and how fast they were."""
    rows = []
    for (device, precision), part in runs.groupby(["device", "precision"], sort=True):
        rows.append(
            [
                Cell(str(device) or DASH),
                Cell(str(precision) or DASH),
                _number(len(part), "{:.0f}"),
                _number(part["seconds"].sum() / 3600, "{:.2f}"),
                _number(part["images_per_second"].median(), "{:.0f}"),
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
