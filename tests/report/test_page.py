"""The report page as a file: what it says, what it leaves out, and that it needs nothing else."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis import tables
from jackpot.analysis.claim import Checks
from jackpot.analysis.design import Design
from jackpot.errors import JackpotError
from jackpot.report import evidence, figures
from jackpot.report import page as page_module
from jackpot.report.page import TEMPLATES, write_report
from jackpot.report.style import draw_and_save
from tests.support.synthetic import claimed, make_study


class _Text(HTMLParser):
    """The text of a page, without style and script, and its elements' attributes."""

    def __init__(self):
        super().__init__()
        self.words, self.elements, self.hidden = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.hidden += tag in ("style", "script")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)


def _read(path):
    parser = _Text()
    parser.feed(path.read_text(encoding="utf-8"))
    return " ".join(" ".join(parser.words).split()), parser.elements


@pytest.fixture(scope="module")
def made():
    return make_study(tickets=("snip", "lr_rewinding"), missing=0.1, diverged=0.05, layers=4)


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    drawn = draw_and_save(figures.tickets, made.runs, folder / "figures" / "tickets")
    written = tables.write_tables(made.runs, folder / "tables", verdicts=made.verdicts)
    return write_report(
        folder / "report.html",
        runs=made.runs,
        verdicts=made.verdicts,
        claims=[claimed()],
        layers=made.layers,
        about=made.about,
        figures=drawn,
        tables=written,
    )


def test_everything_is_inside_the_file(page):
    _, elements = _read(page)
    targets = [value for _, a in elements for name, value in a.items() if name in ("src", "href")]
    assert targets and all(value.startswith(("data:", "#")) for value in targets)
    assert not re.search(r"@import|url\(\s*[\"']?http", page.read_text())
    assert sum(tag == "img" for tag, _ in elements) == 1
    names = [a["download"] for tag, a in elements if "download" in a]
    assert {"initial.csv", "initial.tex", "verdicts.md"} <= set(names)


def test_it_opens_on_the_answer_and_shows_every_value(page, made):
    text, _ = _read(page)
    assert text.index("The answer") < text.index("Figures", text.index("The answer"))
    assert "Initial tickets do not need the data" in text and "✓ held" in text
    for accuracy in made.runs.test_accuracy.dropna():
        assert f" {accuracy:.2f} " in text
    assert "Made-Up Processor 3000" in text and "2.13.0" in text and "9f2c9f2c" in text
    assert "scope rows, as mlrc2020's SNIP code does" in text


def test_missing_cells_come_with_their_command(page, made):
    text, _ = _read(page)
    command = "snakemake --cores all --config study=studies/made_up.yaml"
    done = {tuple(row) for row in made.runs[evidence.RUN].itertuples(index=False)}
    expected = made.about["expected_runs"]
    missing = [run for run in expected if tuple(run[n] for n in evidence.RUN) not in done]
    assert missing and f"{len(missing)} of {len(expected)} runs" in text
    for run in expected:
        assert (f"{command} -- {run['path']} " in text) == (run in missing)


def test_it_works_with_runs_alone(made, tmp_path):
    for runs in (made.runs, made.runs.head(1), made.runs.head(0)):
        text, _ = _read(write_report(tmp_path / "report.html", runs=runs))
        for word in ("No verdicts", "No figures", "No masks"):
            assert word in text


def test_names_from_outside_are_escaped(made, tmp_path):
    runs = made.runs.assign(model="<script>alert(1)</script>")
    page = write_report(tmp_path / "report.html", runs=runs, about={"study": {"name": "<b>x"}})
    assert "<script>alert" not in page.read_text() and "<b>x" not in page.read_text()


def test_the_same_inputs_give_the_same_bytes(made, tmp_path):
    one = write_report(tmp_path / "1.html", runs=made.runs, verdicts=made.verdicts)
    shuffled = made.runs.sample(frac=1, random_state=2)
    two = write_report(tmp_path / "2.html", runs=shuffled, verdicts=made.verdicts)
    assert one.read_bytes() == two.read_bytes()


def test_a_figure_that_is_not_there_is_named(made, tmp_path):
    with pytest.raises(JackpotError, match=r"tickets\.svg"):
        write_report(tmp_path / "r.html", runs=made.runs, figures=[tmp_path / "tickets.svg"])


def test_claims_that_cannot_be_tested_are_folded_away(made, tmp_path):
    untested = [claimed("Nothing of the kind", "not_tested")]
    page = write_report(tmp_path / "r.html", runs=made.runs, claims=[claimed(), *untested])
    html = page.read_text()
    folded = re.search(r"<details>\s*<summary>1 further claim.*?</details>", html, re.S)[0]
    assert "Nothing of the kind" in folded and html.count("Nothing of the kind") == 1
    assert "Initial tickets do not need the data" not in folded
    assert "The papers’ one claim that this study can test: 1 held." in _read(page)[0]


def test_claims_whose_runs_are_to_come_are_not_untestable(made, tmp_path):
    cell = {"ticket": "snip", "check": "rearranged", "dataset": "d", "model": "m", "sparsity": 0.9}
    to_come = claimed("Some day", "not_tested", [cell])
    never = claimed("Never", "not_tested")
    page = write_report(tmp_path / "r.html", runs=made.runs, claims=[to_come, never])
    folded = re.findall(r"<details>\s*<summary>(.*?)</summary>(.*?)</ul>", page.read_text(), re.S)
    said = {summary: text for summary, text in folded if "claim" in summary}
    assert "Some day" in said["1 claim of the papers that this study has not tested yet"]
    assert "Never" in said["1 claim of the papers that this study cannot test"]


def test_a_claim_of_which_a_part_was_run_says_so_at_once(made, tmp_path):
    cell = {"ticket": "snip", "check": "rearranged", "dataset": "d", "model": "m", "sparsity": 0.9}
    result = claimed("Both", "held", [cell])
    claim = dataclasses.replace(result.claim, table=Checks(("snip", "grasp"), ("rearranged",)))
    result = dataclasses.replace(result, claim=claim)
    text = _read(write_report(tmp_path / "r.html", runs=made.runs, claims=[result]))[0]
    assert "held (a part)" in text and "1 for it; not run: GraSP" in text
    assert "1 held (1 of them in part)." in text


def test_it_opens_on_the_picture_of_the_verdicts(made, tmp_path):
    drawn = draw_and_save(figures.tickets, made.runs, tmp_path / "tickets")
    drawn += draw_and_save(figures.verdicts, made.verdicts, tmp_path / "verdicts")
    page = write_report(tmp_path / "r.html", runs=made.runs, verdicts=made.verdicts, figures=drawn)
    _, elements = _read(page)
    ids = [a["id"] for _, a in elements if "id" in a]
    order = [ids.index(name) for name in ("answer", "figure-verdicts", "looks", "figure-tickets")]
    assert order == sorted(order)
    first = next(tag for tag, a in elements if tag == "img" or "lead" in a.get("class", ""))
    assert first == "img"


def test_a_picture_of_very_many_rows_comes_after_the_grid(made, tmp_path, monkeypatch):
    drawn = draw_and_save(figures.verdicts, made.verdicts, tmp_path / "verdicts")
    monkeypatch.setattr(page_module, "_READABLE_ROWS", len(made.verdicts) - 1)
    page = write_report(tmp_path / "r.html", runs=made.runs, verdicts=made.verdicts, figures=drawn)
    text, elements = _read(page)
    tags = [tag for tag, _ in elements]
    assert tags.index("table") < tags.index("img")
    assert "Which method passes which check" in text and "Verdict of every check" not in text


def test_every_run_has_its_effective_sparsity(made, tmp_path):
    runs = made.runs.assign(effective_density=0.01234)
    text, _ = _read(write_report(tmp_path / "r.html", runs=runs))
    assert text.count(" 98.77 ") >= len(runs) and "no path from input to output" in text


def test_a_collapsed_layer_is_said_so():
    made = make_study(tickets=("snip",), collapsed=1.0, layers=4, seeds=(0, 1))
    (table,) = evidence.layer_tables(made.layers)
    cells = [cell for row in table.rows for cell in row if cell.kind == "lost"]
    assert cells and all(cell.text == "0 (collapsed)" for cell in cells)


@pytest.mark.parametrize(
    "stem", ["verdicts", "sanity_checks", "tickets", "layer_densities", "learning_curves"]
)
def test_every_figure_has_a_caption_file_of_two_paragraphs(stem):
    text = (TEMPLATES / f"{stem}.rst").read_text(encoding="utf-8").strip()
    assert len(text.split("\n\n")) == 2 and "{" not in text


def test_verdicts_of_nan_are_dashes(made):
    verdicts = made.verdicts.assign(**dict.fromkeys(("ci95_low", "p_difference_holm"), np.nan))
    table = evidence.verdict_numbers(verdicts, Design())
    assert all(row[8].text == "–" and row[10].text == "–" for row in table.rows)


def test_what_holds_without_normality_pays_for_cells_and_looks(made):
    cells = len(made.verdicts)
    seeds = int(made.verdicts.n.max())
    verdicts = made.verdicts.assign(n=seeds, look=1)
    looks = evidence.verdict_numbers(verdicts, Design(looks=(3, 6, 9))).note
    least = "seeds alone could give no p of a difference below"
    assert f"{seeds} {least} 1 here" in looks and "looks" in looks
    many = evidence.verdict_numbers(verdicts.assign(n=20), Design()).note
    assert f"20 {least} {tables.p_text(cells * 2 / 2**20)} here." in many


def test_the_scale_of_the_networks_is_said_as_far_as_it_is_known(made, tmp_path):
    runs = made.runs.assign(epochs=4)
    other = runs.assign(dataset="b", epochs=160)
    layers = pd.concat([made.layers, made.layers.assign(dataset="b")])
    weights = made.layers.drop_duplicates("layer")["total"].sum()
    for table, said in (
        (pd.concat([runs, other]), ", trained for 4 to 160 epochs: larger"),
        (runs.drop(columns="epochs"), ": larger"),
    ):
        page = write_report(tmp_path / "r.html", runs=table, layers=layers, claims=[claimed()])
        assert f"networks of {weights:,} prunable weights{said}" in _read(page)[0]


def test_a_caption_counts_the_seeds_that_its_figure_shows(made, tmp_path):
    runs = made.runs[(made.runs.check == "none") | (made.runs.seed < 2)]
    drawn = draw_and_save(figures.tickets, runs, tmp_path / "tickets")
    drawn += draw_and_save(figures.verdicts, made.verdicts, tmp_path / "verdicts")
    html = write_report(tmp_path / "r.html", runs=runs, figures=drawn).read_text()
    captions = re.findall(r"<figcaption>.*?It shows (.*?) a cell", html, re.S)
    assert captions == ["1 to 2 seeds", "2 to 3 seeds"]
