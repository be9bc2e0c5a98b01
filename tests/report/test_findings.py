"""The page of findings says what the published files say."""

import csv
import re
import statistics

import pytest
from scipy import stats

from jackpot.errors import JackpotError
from jackpot.files.atomic import write_sealed
from jackpot.report.findings import published, published_plan, write_findings
from jackpot.study import load_study
from jackpot.vocabulary import words
from tests.support import ROOT
from tests.support.studies import written

PUBLISHED = ROOT / "results" / "published"
PAGE = ROOT / "docs" / "findings.md"


def test_every_number_is_that_of_the_published_files(tmp_path):
    write_findings(PUBLISHED, tmp_path / "findings.md")
    hint = "run: python -m jackpot.report.findings results/published docs/findings.md"
    assert PAGE.read_text() == (tmp_path / "findings.md").read_text(), hint


def test_a_published_study_whose_own_file_is_gone_says_which(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def score(model, data, generator): ...\n")
    study = load_study(written(tmp_path, pruners={"mine": {"score": "mine.py:score"}}))
    write_sealed(tmp_path / "about.json", {"study": study.model_dump(mode="json")})
    assert published_plan(tmp_path).study == study
    (tmp_path / "mine.py").unlink()
    with pytest.raises(
        JackpotError, match=r"about.json: pruners: mine: .*there is no file mine.py"
    ):
        published_plan(tmp_path)


def section(name):
    """What the page says of one study."""
    return PAGE.read_text().split(f"## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("folder", published(PUBLISHED), ids=lambda folder: folder.name)
def test_counts_by_another_reading(folder):
    """Without the library: rows and verdicts counted in the CSV files."""
    part = section(folder.name)
    with open(folder / "runs.csv") as file:
        runs = list(csv.DictReader(file))
    with open(folder / "verdicts.csv") as file:
        verdicts = [row["verdict"] for row in csv.DictReader(file)]
    assert f"; {len(runs):,} runs" in part
    cells = "1 checked cell" if len(verdicts) == 1 else f"{len(verdicts)} checked cells"
    assert f"Of {cells} " in part.replace("\n", " ")
    for verdict in set(verdicts):
        count, word = verdicts.count(verdict), verdict.replace("_", " ")
        assert re.search(rf"\b{count} {word}\b", part), (count, word)
    assert {row["device"] for row in runs} == {
        device for device in {row["device"] for row in runs} if device in part
    }


TEST_IMAGES = {"digits": 901, "cifar10": 10_000}
EFFECT = re.compile(
    r"([+-][\d.]+) points \(95 % interval ([+-][\d.]+) to ([+-][\d.]+), n = (\d+); "
    r"(\w+) (\w+), ([^,]+?)(?: against ([^,]+)|, ([^,]+)), sparsity ([\d.]+) %\)"
)


@pytest.mark.parametrize("folder", published(PUBLISHED), ids=lambda folder: folder.name)
def test_differences_and_intervals_by_another_calculation(folder):
    """Every one on the page, from the runs alone: the first n seeds that both cells have."""
    part = section(folder.name)
    with open(folder / "runs.csv") as file:
        runs = {
            (
                *(row[name] for name in ("dataset", "model", "ticket", "check")),
                float(row["sparsity"]),
                int(row["seed"]),
            ): float(row["test_accuracy"])
            for row in csv.DictReader(file)
        }
    named = {words(name): name for key in runs for name in key[2:4]}
    found = EFFECT.findall(part)
    assert found and len(found) >= part.count(" points (95 %")
    for mean, low, high, n, dataset, model, ticket, reference, check, sparsity in found:
        removed = float(sparsity) / 100
        one = (dataset, model, named[ticket], named[check or "no check"], removed)
        other = (dataset, model, named[reference or ticket], "none", removed)
        seeds = sorted(k[-1] for k in runs if k[:-1] == one and (*other, k[-1]) in runs)[: int(n)]
        differences = [runs[(*one, seed)] - runs[(*other, seed)] for seed in seeds]
        # A spread is at least half a test image (docs/statistics.md).
        spread = max(statistics.stdev(differences), 50 / TEST_IMAGES[dataset])
        half = stats.t.ppf(0.975, len(seeds) - 1) * spread / len(seeds) ** 0.5
        middle = statistics.fmean(differences)
        expected = (middle, middle - half, middle + half)
        assert [float(x) for x in (mean, low, high)] == pytest.approx(expected, abs=0.0051)


def test_the_readme_counts_as_the_published_studies_do():
    text = " ".join((ROOT / "README.md").read_text().split("## Two commands")[0].split())

    def row_of(study, claim):
        (row,) = (x for x in section(study).splitlines() if x.startswith(f"| {claim}"))
        return row

    claims = (
        "SNIP and GraSP do not need the data",
        "SNIP and GraSP do not need the positions",
        "Random tickets keep up with SNIP and GraSP",
    )
    for start, name in (("digits", "digits"), ("zoo", "zoo"), ("CIFAR-10", "cifar10-cpu")):
        (row,) = re.findall(rf"\| {start}[^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|", text)
        for count, claim in zip(row, claims, strict=True):
            assert f"eld in {count.strip()} cells" in row_of(name, claim)

    def cells(study):
        with open(PUBLISHED / study / "verdicts.csv") as file:
            return list(csv.DictReader(file))

    rows = cells("digits")
    decided = [row for row in rows if row["verdict"] not in ("undecided", "too_few_seeds")]
    assert f"{len(decided)} of its {len(rows)} cells decided by seven or fourteen seeds" in text
    assert {row["n"] for row in decided} == {"7", "14"}

    def losses(*checks, tickets=("weight_rewinding", "lr_rewinding"), studies=("digits",)):
        found = [
            -float(row["mean_difference"])
            for study in studies
            for row in cells(study)
            if row["ticket"] in tickets and row["check"] in checks
        ]
        return f"{min(found):.1f} to {max(found):.1f}"

    spoiled = ("random_labels", "random_pixels", "corrupted_data")
    assert f"On digits it is {losses(*spoiled)} points to spoiled data" in text
    assert f"{losses('shuffled_weights')} points to shuffled weights" in text
    trained = {"studies": ("cifar10-trained",)}
    assert f"lost {losses(*spoiled, **trained)} points to spoiled data" in text
    half = losses("half_dataset", **trained).replace("to", "and")
    assert f"{half} to pretraining on half of it" in text
    shuffled = losses("shuffled_weights", studies=("cifar10-cpu", "cifar10-trained"))
    assert f"half of it, {shuffled} to shuffled weights: every claim" in text
    after = losses("rearranged", "reinitialized", tickets=("lr_rewinding",), **trained)
    assert f"({after.replace('to', 'and')} points)" in text
    for what in ("the weights", "the data", "all of the data"):
        assert "| **held** |" in row_of("cifar10-trained", f"Partially-trained tickets need {what}")
    assert "| **held** |" in row_of("cifar10-trained", "Pruning after training")
    lottery = {"tickets": ("lottery",), **trained}
    pixels, labels, positions = (
        losses(*checks, **lottery)
        for checks in (("random_pixels",), ("random_labels", "corrupted_data"), ("rearranged",))
    )
    assert f"spoiled pixels cost {pixels.split()[0]} points, and spoiled labels" in text
    assert (
        f"{labels.replace('to', 'and')}. Rearranged positions cost {positions.split()[0]}" in text
    )
    assert "| **did not hold** |" in row_of("zoo", "Pruning after training")
    need = "Lottery tickets restarted at initial weights do not need the"
    assert "Held in 6 of 6 cells" in row_of("digits", f"{need} data")
    assert "held in 2 of 3 cells" in row_of("zoo", f"{need} data")
    lost = "undecided in 1 (with a loss beyond doubt)"
    assert lost in row_of("cifar10-trained", f"{need} positions")

    def numbers(study, claim):
        found = EFFECT.findall(row_of(study, claim))
        return [[f"{float(x):.1f}".replace("-0.0", "0.0") for x in row[:3]] for row in found]

    def loss(study):
        mean, low, high = (
            f"{-float(x):g}" for x in numbers(study, "SNIP and GraSP do not need the data")[0]
        )
        return mean, f"{high} to {low}"

    mean, interval = loss("cifar10-cpu")
    assert f"lost {mean} points (95 % interval {interval}) with sixteen seeds" in text
    mean, interval = loss("cifar10-grasp")
    assert f"and {mean} ({interval}) with sixty-four others" in text
    mean, interval = loss("cifar10-grasp-wide")
    assert f"ended with {mean} ({interval}), less than the margin" in text
    weights, data = (f"Partially-trained tickets need the {what}" for what in ("weights", "data"))
    assert "calls that little in 4 of 12 and 4 of 4 cells" in text
    assert "7 of 12 cells, did not hold in 4 (all with a loss" in row_of("digits", data)
    assert "0 of 4 cells, did not hold in 4 (" in row_of("digits", weights)
    half = "Partially-trained tickets need all of the data"
    assert "(in all 4 and 2 cells; in the `zoo` a smaller loss is beyond doubt)" in text
    assert "held in 0 of 4 cells, did not hold in 4. " in row_of("digits", half)
    lost = "all with a loss beyond doubt, but smaller than the margin"
    assert f"held in 0 of 2 cells, did not hold in 2 ({lost}). " in row_of("zoo", half)
    ((mean, *_),) = numbers("cifar10-cpu", "Hybrid tickets improve on random")
    (low, *_), (high, *_) = numbers("digits", "Hybrid tickets improve on random")
    for claim in ("Hybrid tickets improve on random", "Hybrid tickets improve on the"):
        assert "Did not hold: held in 0 of 3 cells, did not hold in 3" in row_of("digits", claim)
    assert f"({mean} points; on digits {low} to {high}, 0 of 3 cells)" in text
    ((mean, *_),) = numbers("cifar10-cpu", "Hybrid tickets improve on the learning-rate")
    assert f"they stay {mean.removeprefix('-')} points below" in text
