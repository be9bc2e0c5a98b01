"""A flipped byte in a finished study, which nothing reads any more, is found."""

import shutil

import pytest

from jackpot.analysis.design import Design
from jackpot.stages.tables import tabulate
from jackpot.study import Plan, load_study
from jackpot.study.config import Config
from tests.support.damage import flip
from tests.support.snake import Clone


@pytest.fixture(scope="module")
def finished(small_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(small_study.results, folder / "results")
    clone = Clone(folder / "clone", results=folder / "results", study=small_study.study)
    # The small study's own call ends before its tables.
    design = Design(**Plan(load_study(clone.folder / "study.yaml"), Config()).design())
    tabulate(clone.root / "runs.csv", clone.root / "tables", design)
    return clone


def test_a_sound_study_has_no_damage(finished):
    status, said = finished.script("stale", "--digests")
    assert status == 0 and ": 0 files are not today's" in said, said


@pytest.mark.parametrize(
    ("pattern", "at"),
    [
        ("data/**/clean.safetensors", 0.9),
        ("weights/**/init.safetensors", 0.9),
        ("masks/**/*.safetensors", 0.99),
        ("runs/**/history.csv", 0.9),
        ("runs/**/metrics.json", 0.5),
        ("runs.csv", 0.99),
        ("layers.csv", 0.9),
        ("histories.csv", 0.9),
        ("verdicts.csv", 0.5),
        ("about.json", 0.5),
        ("declared.json", 0.5),
        ("tables/*.md", 0.9),
        ("tables/*.tex", 0.5),
    ],
)
def test_a_flipped_bit_is_found_where_it_is(finished, pattern, at):
    path = sorted(finished.root.glob(pattern))[0]
    before = path.read_bytes()
    flip(at)(path)
    try:
        status, said = finished.script("stale", "--digests")
    finally:
        path.write_bytes(before)
    assert status == 1, said
    *lines, _ = said.rstrip().split("\n")
    assert len(lines) == 1 and lines[0].startswith(f"{path.parent}/"), said
