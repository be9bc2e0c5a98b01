"""The page of findings says what the published files say."""

import csv
import re

import pytest

from jackpot.report.findings import published, write_findings
from tests.support import ROOT

PUBLISHED = ROOT / "results" / "published"
PAGE = ROOT / "docs" / "findings.md"


def test_every_number_is_that_of_the_published_files(tmp_path):
    write_findings(PUBLISHED, tmp_path / "findings.md")
    hint = "run: python -m jackpot.report.findings results/published docs/findings.md"
    assert PAGE.read_text() == (tmp_path / "findings.md").read_text(), hint


@pytest.mark.parametrize("folder", published(PUBLISHED), ids=lambda folder: folder.name)
def test_counts_by_another_reading(folder):
    """Without the library: rows and verdicts counted in the CSV files."""
    part = PAGE.read_text().split(f"## {folder.name}\n")[1].split("\n## ")[0]
    with open(folder / "runs.csv") as file:
        runs = list(csv.DictReader(file))
    with open(folder / "verdicts.csv") as file:
        verdicts = [row["verdict"] for row in csv.DictReader(file)]
    assert f"; {len(runs):,} runs" in part
    assert f"Of {len(verdicts)} checked cells" in part.replace("\n", " ")
    for verdict in set(verdicts):
        count, word = verdicts.count(verdict), verdict.replace("_", " ")
        assert re.search(rf"\b{count} {word}\b", part), (count, word)
    assert {row["device"] for row in runs} == {
        device for device in {row["device"] for row in runs} if device in part
    }


def test_the_readme_counts_as_the_page_does():
    text = (ROOT / "README.md").read_text().split("A pruned network")[0]
    counts = re.findall(r"\b(\d+ of \d+)\b", text)
    assert len(counts) > 4
    page = PAGE.read_text()
    assert not [count for count in counts if f"eld in {count} cells" not in page]
