"""Reported accuracies: what the file holds, and ours put beside it."""

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.reported import load_reported, reported_for
from jackpot.analysis.statistics import CELL

# One row each as mlrc2020's README prints it: ours is 90, 95 and 98 % sparsity.
README = {
    ("cifar10", "vgg19"): ("93.65 (-0.12)", "93.22 (-0.20)", "92.41 (-0.04)"),
    ("cifar100", "vgg19"): ("72.75 (0.20)", "72.00 (0.63)", "68.77 (-0.21)"),
    ("cifar10", "resnet32"): ("92.84 (-0.13)", "91.64 (0.04)", "88.68 (-0.42)"),
    ("cifar100", "resnet32"): ("68.50 (-1.20)", "65.99 (-0.83)", "59.67 (-0.44)"),
}


def cell_of(frame, **wanted):
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_the_table_is_whole():
    table = load_reported()
    assert len(table) == 150
    assert set(table.source) == {"su2020", "mlrc2020"}
    assert table[CELL].notna().all(axis=None)
    assert set(table.check) == {"none", "rearranged", "corrupted_data"}
    assert table.accuracy.between(0, 100).all()
    assert (table.sparsity == 0).equals(table.ticket == "dense")


@pytest.mark.parametrize(("dataset", "model"), README)
def test_cells_read_as_in_mlrc2020s_readme(dataset, model):
    table = load_reported()
    random = table[table.ticket == "random"]
    for sparsity, printed in zip((0.9, 0.95, 0.98), README[dataset, model], strict=True):
        cell = {"dataset": dataset, "model": model, "sparsity": sparsity}
        theirs = cell_of(random, source="su2020", **cell).accuracy
        ours = cell_of(random, source="mlrc2020", **cell).accuracy
        assert f"{ours:.2f} ({ours - theirs:.2f})" == printed


def test_spread_is_that_of_values_reported_twice():
    table = load_reported()
    twice = table[table.duplicated(["source", *CELL], keep=False)]
    assert len(twice) == 4
    dense = twice[(twice.model == "vgg19")]
    assert dense.spread.tolist() == pytest.approx([np.std(dense.accuracy, ddof=1)] * 2)
    assert table.drop(twice.index).spread.isna().all()


def test_reported_for_keeps_the_studys_datasets_and_models():
    row = {"ticket": "snip", "check": "none", "sparsity": 0.9, "seed": 0, "test_accuracy": 91.7}
    runs = pd.DataFrame(
        [{"dataset": d, "model": m, **row} for d, m in (("cifar10", "vgg19"), ("digits", "vgg11"))]
    )
    table, whole = reported_for(runs), load_reported()
    expected = whole[(whole.dataset == "cifar10") & (whole.model == "vgg19")]
    assert 0 < len(expected) < len(whole)
    pd.testing.assert_frame_equal(table, expected.reset_index(drop=True))
    assert reported_for(runs.tail(1)) is None
