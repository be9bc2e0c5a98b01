"""Tables of a study for people and papers: tidy CSV, Markdown and LaTeX, one per family of tickets.

A cell reads ``91.20 ± 0.31 (n=3)``: mean and standard deviation (n - 1) of the test accuracy in
percent over the n seeds that have one. Collapsed runs are in the mean and counted beside it;
diverged runs have no accuracy and are counted too. Effective sparsity, which counts weights without
a path from input to output as removed, is named where it is noticeably above the sparsity. A cell
that was not run is a dash.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from jackpot.analysis.frames import CELL, percent, sort_cells, summarise
from jackpot.files.atomic import write_text
from jackpot.vocabulary import families, family_of, tickets_of

DASH = "–"
ROW = ["dataset", "model", "ticket", "check"]

_TIDY = [*CELL, "n", "n_collapsed", "n_diverged", "mean", "sd"]
_THEIRS = ["source", "reported", "difference", "note"]
_LAST = ["effective_sparsity"]
# Points of sparsity from which weights without a path are worth a word.
_NOTICEABLE = 0.1
_VERDICT_NUMBERS = ["mean_difference", "ci95_low", "ci95_high", "ci90_low", "ci90_high"]


def table_cells(runs: pd.DataFrame, reported: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a cell with its numbers, and with ``reported`` a row for every value of theirs.

    Args:
        runs: rows of ``runs.csv``.
        reported: ``source, dataset, model, ticket, check, sparsity, accuracy, note``; only the
            datasets and models of ``runs`` are taken from it.

    Returns:
        ``dataset, model, ticket, check, sparsity, n, n_collapsed, n_diverged, mean, sd,
        effective_sparsity, values`` and, with ``reported``, ``source, reported, difference,
        note`` (ours minus theirs, points).
    """
    cells = summarise(runs)
    if reported is None:
        return cells
    ours = set(zip(cells["dataset"], cells["model"], strict=True))
    here = [pair in ours for pair in zip(reported["dataset"], reported["model"], strict=True)]
    theirs = reported[here].rename(columns={"accuracy": "reported"})
    theirs = theirs.assign(sparsity=theirs["sparsity"].astype(float).round(9))
    cells = cells.merge(theirs[[*CELL, "source", "reported", "note"]], on=CELL, how="outer")
    counts = ["n", "n_collapsed", "n_diverged"]
    cells[counts] = cells[counts].fillna(0).astype(int)
    cells["difference"] = cells["mean"] - cells["reported"]
    return sort_cells(cells)


def cell_text(rows: pd.DataFrame) -> str:
    """One cell of a table in words, from its row of ``table_cells`` (several where several
    reported values stand beside it)."""
    row = rows.iloc[0]
    parts = [_ours(row)]
    if "reported" in rows:
        parts += [_theirs(theirs) for _, theirs in rows.dropna(subset="reported").iterrows()]
    return " ".join(parts)


def _ours(row: pd.Series) -> str:
    if row["n"] + row["n_diverged"] == 0:
        return DASH
    if row["n"] == 0:
        return f"diverged (all {row['n_diverged']})"
    spread = f" ± {row['sd']:.2f}" if row["n"] > 1 else ""
    notes = [f"n={row['n']}"]
    notes += [f"{row['n_collapsed']} collapsed"] if row["n_collapsed"] else []
    notes += [f"{row['n_diverged']} diverged"] if row["n_diverged"] else []
    if 100 * (row["effective_sparsity"] - row["sparsity"]) >= _NOTICEABLE:
        notes.append(f"{100 * row['effective_sparsity']:.1f} % effective sparsity")
    return f"{row['mean']:.2f}{spread} ({', '.join(notes)})"


def _theirs(row: pd.Series) -> str:
    if pd.isna(row["mean"]):
        return f"[{row['source']} {row['reported']:.2f}]"
    # The difference of the two numbers as shown.
    difference = points(round(row["mean"], 2) - round(row["reported"], 2))
    return f"[{row['source']} {row['reported']:.2f} ({difference})]"


def wide_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Rows dataset, model, ticket and check; a column of texts for every sparsity."""
    cells = sort_cells(cells)
    sparsities = sorted(cells["sparsity"].unique())
    rows = []
    for key, group in cells.groupby(ROW, sort=False):
        texts = {s: cell_text(part) for s, part in group.groupby("sparsity")}
        columns = {percent(s): texts.get(s, DASH) for s in sparsities}
        rows.append({**dict(zip(ROW, key, strict=True)), **columns})
    return pd.DataFrame(rows, columns=[*ROW, *(percent(s) for s in sparsities)])


def write_tables(
    runs: pd.DataFrame,
    out_dir: str | Path,
    *,
    tickets: Iterable[str] | None = None,
    verdicts: pd.DataFrame | None = None,
    reported: pd.DataFrame | None = None,
) -> list[Path]:
    """Write ``<family>.csv``, ``.md`` and ``.tex`` for every family, and ``verdicts.md``/``.tex``.

    Args:
        runs: rows of ``runs.csv``.
        out_dir: directory, made if need be.
        tickets: those of the study, which decide what families there are; by default the runs'.
        verdicts: rows of ``verdicts.csv``; without them there is no table of verdicts.
        reported: accuracies of others to stand beside ours; see ``table_cells``.

    Returns:
        The paths written.

    Raises:
        JackpotError: a column is missing, or the directory cannot be written.
    """
    out_dir = Path(out_dir)
    cells = table_cells(runs, reported)
    family = cells["ticket"].map(family_of)
    columns = [name for name in [*_TIDY, *_THEIRS, *_LAST] if name in cells]
    written = []
    for name in families(runs["ticket"] if tickets is None else tickets):
        part = cells[family == name]
        write_text(out_dir / f"{name}.csv", part[columns].to_csv(index=False, lineterminator="\n"))
        written.append(out_dir / f"{name}.csv")
        caption = f"Test accuracy (%) of {tickets_of(name)}, by sparsity."
        written += _write_texts(out_dir / name, wide_table(part), caption)
    if verdicts is not None:
        caption = "Verdicts: difference of each check from the ticket left alone (points)."
        written += _write_texts(out_dir / "verdicts", verdict_table(verdicts), caption)
    return written


def verdict_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """``verdicts.csv`` for reading: intervals as one column, two decimals, words for verdicts."""
    rows = sort_cells(verdicts)
    numbers = {name: rows[name].map(points) for name in _VERDICT_NUMBERS}
    looks = [f"{row.look} of {row.looks}" for row in rows.itertuples()]
    several = (rows["looks"] > 1).any()
    return pd.DataFrame(
        {
            **{name: rows[name] for name in ROW},
            "sparsity": rows["sparsity"].map(percent),
            **({"look": looks} if several else {}),
            "n": rows["n"].astype(int),
            "difference": numbers["mean_difference"],
            "95 % interval": _interval(numbers["ci95_low"], numbers["ci95_high"]),
            "90 % interval": _interval(numbers["ci90_low"], numbers["ci90_high"]),
            "p difference (Holm)": rows["p_difference_holm"].map(p_text),
            "p equivalence (Holm)": rows["p_equivalence_holm"].map(p_text),
            "margin": rows["margin"].map("{:g}".format),
            "verdict": rows["verdict"].str.replace("_", " "),
        }
    )


def points(value: float) -> str:
    """A difference with its sign and two decimals, never ``-0.00``; a dash where there is none."""
    return DASH if pd.isna(value) else f"{value:+.2f}".replace("-0.00", "+0.00")


def _interval(low: pd.Series, high: pd.Series) -> list[str]:
    pairs = zip(low, high, strict=True)
    return [DASH if a == DASH else f"{a} to {b}" for a, b in pairs]


def p_text(p: float) -> str:
    """A p-value with two digits that matter: ``0.013``, ``< 0.001``, or a dash."""
    if pd.isna(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _write_texts(stem: Path, table: pd.DataFrame, caption: str) -> list[Path]:
    kinds: dict[str, Callable] = {"md": _markdown, "tex": _latex}
    paths = []
    for kind, make in kinds.items():
        path = stem.with_name(f"{stem.name}.{kind}")
        write_text(path, make(table, caption))
        paths.append(path)
    return paths


def _markdown(table: pd.DataFrame, caption: str) -> str:
    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    lines = [line(table.columns), line(["---"] * len(table.columns))]
    lines += [line(row) for row in table.itertuples(index=False)]
    return "\n".join([caption, "", *lines]) + "\n"


# As many rows as a page holds.
_ONE_PAGE = 40
_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "<": "$<$",
        "±": "$\\pm$",
        DASH: "--",
    }
)


def _latex(table: pd.DataFrame, caption: str) -> str:
    """A booktabs table, escaped, ready for ``\\input``; a long one goes on over pages.

    The widest, of verdicts, fits a landscape page so.
    """

    def line(cells: Sequence[object]) -> str:
        return " & ".join(map(escaped, cells)) + " \\\\"

    def escaped(cell: object) -> str:
        # A number's minus is longer than a name's hyphen.
        return re.sub(r"(?<!\w)-(?=\d)", "$-$", str(cell).translate(_LATEX))

    columns, caption = "l" * len(table.columns), f"\\caption{{{caption.translate(_LATEX)}}}"
    head = ["\\toprule", line(table.columns), "\\midrule"]
    rows = [line(row) for row in table.itertuples(index=False)]
    small = "\\scriptsize\\setlength{\\tabcolsep}{3pt}"
    if len(rows) > _ONE_PAGE:
        parts = [
            "% needs \\usepackage{booktabs,longtable}",
            f"{{{small}",
            f"\\begin{{longtable}}{{{columns}}}",
            f"{caption} \\\\",
            *[*head, "\\endhead"],
            *["\\bottomrule", "\\endfoot"],
            *rows,
            "\\end{longtable}}",
        ]
    else:
        parts = [
            "% needs \\usepackage{booktabs}",
            *["\\begin{table}", "\\centering", caption, small],
            f"\\begin{{tabular}}{{{columns}}}",
            *[*head, *rows, "\\bottomrule"],
            *["\\end{tabular}", "\\end{table}"],
        ]
    return "\n".join([*parts, ""])
