"""Tables: the numbers against a direct calculation, the words, and three readable formats."""

import csv
import re
import statistics

import pandas as pd
import pytest

from jackpot.analysis import tables
from jackpot.analysis.frames import CELL, prepare_runs
from jackpot.vocabulary import families, family_of
from tests.support.synthetic import make_study


@pytest.fixture(scope="module")
def made():
    return make_study(tickets=("snip", "lottery", "random_uniform", "lr_rewinding", "mine_a&b"))


def _row(*values, **more):
    key = dict(zip(CELL, values, strict=True))
    return {**key, "source": "paper", "accuracy": 80.0, "note": "", **more}


def test_families_cover_every_ticket_once():
    names = ["dense", "snip", "random_global", "random", "hybrid", "lr_rewinding", "mine"]
    assert [family_of(name) for name in names] == [
        "dense",
        "initial",
        "random",
        "random",
        "hybrid",
        "partially_trained",
        "others",
    ]
    expected = ["initial", "random", "partially_trained", "hybrid", "dense", "others"]
    assert families(names) == expected


def test_csv_holds_mean_sd_and_n(made, tmp_path):
    tables.write_tables(made.runs, tmp_path)
    rows = list(csv.DictReader((tmp_path / "initial.csv").open()))
    assert len(rows) == 2 * (6 + 5)
    for row in rows:
        same = made.runs
        for name in CELL[:-1]:
            same = same[same[name] == row[name]]
        values = same[same.sparsity == float(row["sparsity"])].test_accuracy.tolist()
        assert int(row["n"]) == len(values) == 3
        assert float(row["mean"]) == pytest.approx(statistics.mean(values))
        assert float(row["sd"]) == pytest.approx(statistics.stdev(values))


@pytest.mark.parametrize(
    ("accuracies", "collapsed", "text"),
    [
        ([10, 10, 10], [1, 1, 1], "10.00 ± 0.00 (n=3, 3 collapsed)"),
        ([91, None, 93], [0, 0, 0], "92.00 ± 1.41 (n=2, 1 diverged)"),
        ([None, None], [0, 1], "diverged (all 2)"),
        ([90.456], [0], "90.46 (n=1)"),
    ],
)
def test_what_a_cell_says(accuracies, collapsed, text):
    runs = pd.DataFrame(
        {
            **dict(zip(CELL, ("d", "m", "snip", "none", 0.9), strict=True)),
            "seed": range(len(accuracies)),
            "test_accuracy": accuracies,
            "collapsed": collapsed,
        }
    )
    assert tables.wide_table(tables.table_cells(runs))["90 %"].item() == text


def test_reported_values_stand_beside_ours(made):
    runs = made.runs
    ours = runs[(runs.ticket == "snip") & (runs.check == "none") & (runs.sparsity == 0.9)]
    mean = ours.test_accuracy.mean()
    reported = pd.DataFrame(
        [
            _row("digits", "resnet8", "snip", "none", 0.9, accuracy=round(mean, 2) + 0.12),
            _row("digits", "resnet8", "snip", "none", 0.9, accuracy=70.0, source="other"),
            _row("digits", "resnet8", "snip", "none", 0.995),
            _row("elsewhere", "resnet8", "snip", "none", 0.9),
        ]
    )
    cells = tables.table_cells(runs, reported)
    assert "elsewhere" not in set(cells.dataset)
    mine = cells[(cells.ticket == "snip") & (cells.check == "none")]
    wide = tables.wide_table(mine)
    assert f"[paper {mean + 0.12:.2f} (-0.12)]" in wide["90 %"].item()
    assert f"[other 70.00 ({mean - 70:+.2f})]" in wide["90 %"].item()
    assert wide["99.5 %"].item() == "– [paper 80.00]"
    assert mine.dropna(subset="reported").difference.iloc[1] == pytest.approx(mean - 70)


def test_there_are_tables_of_the_studys_families_and_no_others(made, tmp_path):
    runs = made.runs[made.runs.ticket == "snip"]
    theirs = [_row("digits", "resnet8", name, "none", 0.9) for name in ("random", "lr_rewinding")]
    reported = pd.DataFrame(theirs)
    written = tables.write_tables(runs, tmp_path / "1", reported=reported)
    assert {path.stem for path in written} == {"initial"}
    # Of an unfinished study, a family that has no runs yet.
    planned = ["snip", "lr_rewinding"]
    written = tables.write_tables(runs, tmp_path / "2", tickets=planned)
    assert {path.name for path in written} == {
        f"{name}.{kind}"
        for name in ("initial", "partially_trained")
        for kind in ("csv", "md", "tex")
    }
    assert pd.read_csv(tmp_path / "2" / "partially_trained.csv").empty


def test_row_order_changes_nothing(made, tmp_path):
    one = tables.write_tables(made.runs, tmp_path / "1", verdicts=made.verdicts)
    two = tables.write_tables(
        made.runs.sample(frac=1, random_state=5),
        tmp_path / "2",
        verdicts=made.verdicts.sample(frac=1, random_state=5),
    )
    assert [path.name for path in one] == [path.name for path in two]
    assert {path.suffix for path in one} == {".csv", ".md", ".tex"}
    for a, b in zip(one, two, strict=True):
        # Sums of floats may differ in their last digit with their order.
        assert _rounded(a.read_text()) == _rounded(b.read_text())


def _rounded(text):
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.8f}", text)


@pytest.mark.parametrize("rows", [0, 1000])
def test_latex_is_escaped_and_square(made, tmp_path, monkeypatch, rows):
    """A table of more rows than a page holds goes on over pages, with its head on each."""
    monkeypatch.setattr(tables, "_ONE_PAGE", rows)
    tables.write_tables(made.runs, tmp_path, verdicts=made.verdicts)
    for path in tmp_path.glob("*.tex"):
        text = path.read_text()
        if rows:
            body = text.split("\\midrule\n")[1].split("\\bottomrule")[0].strip().splitlines()
        else:
            head, rest = text.split("\\endhead\n")
            assert "\\begin{longtable}" in head and "\\toprule" in head
            assert rest.startswith("\\bottomrule\n\\endfoot\n")
            body = rest.split("\\endfoot\n")[1].split("\\end{longtable}")[0].strip().splitlines()
        columns = len(re.search(r"(?:tabular|longtable)}{(l+)}", text)[1])
        for line in body:
            assert line.endswith("\\\\")
            assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
            assert not re.search(r"(?<!\\)[%_#]", line)
            assert not re.search(r"(?<!\w)-\d", line)
    assert "mine\\_a\\&b" in (tmp_path / "others.tex").read_text()
    assert "$-$" in (tmp_path / "verdicts.tex").read_text()
    assert "$\\pm$" in (tmp_path / "initial.tex").read_text()


def test_markdown_has_a_row_per_cell(made, tmp_path):
    tables.write_tables(made.runs, tmp_path, verdicts=made.verdicts)
    lines = (tmp_path / "verdicts.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(made.verdicts)
    assert len({line.count("|") for line in rows}) == 1
    assert "look" not in rows[0]
    several = made.verdicts.assign(look=2, looks=3)
    assert set(tables.verdict_table(several)["look"]) == {"2 of 3"}


@pytest.mark.parametrize(
    ("p", "text"), [(float("nan"), "–"), (0.0004, "< 0.001"), (0.0123, "0.012"), (1.0, "1")]
)
def test_p_values(p, text):
    assert tables.p_text(p) == text


def test_effective_sparsity_is_named_where_it_is_noticeable(tmp_path):
    runs = pd.DataFrame(
        {
            "dataset": "d",
            "model": "m",
            "ticket": "snip",
            "check": ["none"] * 2 + ["rearranged"] * 2,
            "sparsity": 0.98,
            "seed": [0, 1, 0, 1],
            "test_accuracy": [90.0, 91.0, 80.0, 82.0],
            "effective_density": [0.02, 0.0199, 0.011, 0.009],
        }
    )
    texts = tables.wide_table(tables.table_cells(prepare_runs(runs)))["98 %"].tolist()
    assert texts == [
        "90.50 ± 0.71 (n=2)",
        "81.00 ± 1.41 (n=2, 99.0 % effective sparsity)",
    ]
    tables.write_tables(runs, tmp_path)
    table = pd.read_csv(tmp_path / "initial.csv")
    assert table.columns[-1] == "effective_sparsity"
    assert table["effective_sparsity"].tolist() == pytest.approx([0.98005, 0.99])
    # A study without the column has the same tables as before.
    older = tables.wide_table(
        tables.table_cells(prepare_runs(runs.drop(columns="effective_density")))
    )
    assert older["98 %"].tolist() == ["90.50 ± 0.71 (n=2)", "81.00 ± 1.41 (n=2)"]
