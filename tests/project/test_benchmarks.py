"""The benchmark measures what it says: every step is run, and the limit counts every product."""

import csv
import importlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.support import ROOT

FOLDER = ROOT / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def benchmarks():
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def loops(benchmarks):
    return benchmarks("loops")


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


@pytest.mark.parametrize(("native", "best"), [(True, "bfloat16"), (False, "float32")])
def test_the_limit_is_that_of_the_best_format_the_processor_has(loops, monkeypatch, native, best):
    """Emulated, one product of the limit would take a minute, and it needs ten a round."""
    monkeypatch.setattr(loops, "multiplies_bfloat16", lambda: native)
    names = loops.loops_on(CPU)
    assert names[-1] == f"{best} limit" and f"engine, {best}" in names
    assert any("bfloat16" in name for name in names) is native
    assert len(set(names)) == len(names) == 4 - (not native)


def variable(name):
    return lambda: float(os.environ.get(name, "0"))


def test_variants_take_turns_in_processes_of_their_own(loops, monkeypatch):
    monkeypatch.delenv("JACKPOT_TRIED", raising=False)
    arguments = {"plain": ("JACKPOT_TRIED",), "with": ("JACKPOT_TRIED",)}
    found = list(loops.in_turn(variable, arguments, 2, {"with": {"JACKPOT_TRIED": "3"}}))
    assert found == [{"plain": 0.0, "with": 3.0}] * 2
    assert "JACKPOT_TRIED" not in os.environ


def test_what_is_left_follows_from_what_was_measured(loops, monkeypatch):
    import bench

    now = iter([100.0, 400.0])
    monkeypatch.setattr(bench.time, "monotonic", lambda: next(now))
    left = bench.Left(["training", "study"])
    training, study = (bench.PARTS[part][0] for part in ("training", "study"))
    assert str(left) == f"about {round((training + study) / 60)} min left"
    left.done += training
    assert str(left) == f"about {round(study * 300 / training / 60)} min left"
    assert sum(seconds for seconds, _ in bench.PARTS.values()) <= 15 * 60


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


def test_simulated_error_rates_are_those_of_the_docs(benchmarks):
    rates = benchmarks("error_rates")
    said = (ROOT / "docs" / "statistics.md").read_text()
    _, corrected, uncorrected, every = rates.DESIGNS.values()
    for (looks, shares), numbers in (
        (corrected, (3.9, 4.2)),
        (uncorrected, (14, 15)),
        (every, (21, 25)),
    ):
        assert f"| {numbers[0]} % | {numbers[1]} % |" in said
        # Four standard errors of 4,000 cells.
        found = rates.wrong(np.random.default_rng(1), 4000, looks, shares)
        assert found == pytest.approx(numbers, abs=2.8)
