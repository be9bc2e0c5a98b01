"""The benchmark measures what it says: every step is run, and the limit counts every product."""

import csv
import subprocess
import sys

import pytest
import torch

from tests.support import ROOT

FOLDER = ROOT / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def loops():
    sys.path.insert(0, str(FOLDER))
    try:
        import loops

        yield loops
    finally:
        sys.path.remove(str(FOLDER))


def test_operations_are_those_of_a_count_by_hand(loops):
    """Products of ResNet32's layers, two operations each, forward and twice backward."""
    sides, widths = (32, 16, 8), (32, 64, 128)
    first = 3 * 32 * 9 * 32**2
    layers = first
    for stage, (side, width) in enumerate(zip(sides, widths, strict=True)):
        before = widths[max(0, stage - 1)]
        layers += (before * width * 9 + 9 * width * width * 9) * side**2
        layers += before * width * side**2 if stage else 0
    layers += 128 * 10
    # No gradient is taken with respect to the images.
    expected = 2 * (3 * layers - first)
    assert loops.operations("resnet32") == expected


def test_every_call_of_the_engine_trains(loops, monkeypatch):
    monkeypatch.setattr(loops, "BATCH", 4)
    seen = []
    step = loops.TrainingLoop.train_epoch

    def counted(run, *arguments):
        before = run.step
        step(run, *arguments)
        seen.append(run.step - before)

    monkeypatch.setattr(loops.TrainingLoop, "train_epoch", counted)
    work = loops.engine("resnet32", "float32", CPU, 2)
    work()
    work()
    assert seen == [2, 2]


def test_the_table_has_the_columns_it_promises(tmp_path):
    out = tmp_path / "benchmarks.csv"
    subprocess.run(
        [sys.executable, FOLDER / "bench.py", "--only", "resume", "--rounds", "1", "--out", out],
        check=True,
        capture_output=True,
    )
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "model", "value", "unit", "times_conventional", "of_limit"]
    assert {row["unit"] for row in rows} == {"MiB", "s", "%"}
