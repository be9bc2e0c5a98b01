"""The one reading of a table of runs."""

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.frames import prepare_runs, sort_cells
from jackpot.errors import JackpotError
from tests.support.synthetic import make_study


def test_missing_columns_are_named():
    with pytest.raises(JackpotError, match="sparsity"):
        prepare_runs(pd.DataFrame({"dataset": ["d"], "model": ["m"], "seed": [0]}))


def test_collapsed_flags_are_read_whatever_their_spelling():
    runs = make_study(tickets=("snip",)).runs.head(6)
    spelled = ["True", "false", "", np.nan, 1, 0]
    flags = prepare_runs(runs.assign(collapsed=pd.Series(spelled, dtype=object))).collapsed
    assert sorted(flags) == [False] * 4 + [True] * 2


def test_cells_are_in_the_fixed_order_of_tickets_those_compared_with_too():
    pairs = [("hybrid", "lr_rewinding", 0.8), ("hybrid", "random", 0.9), ("grasp", "snip", 0.9)]
    pairs += [("snip", "random", 0.9), ("snip", "random", 0.8), ("mine", "snip", 0.8)]
    frame = pd.DataFrame(pairs, columns=["ticket", "reference", "sparsity"])
    found = sort_cells(frame).itertuples(index=False, name=None)
    assert list(found) == [
        ("snip", "random", 0.8),
        ("snip", "random", 0.9),
        ("grasp", "snip", 0.9),
        ("hybrid", "random", 0.9),
        ("hybrid", "lr_rewinding", 0.8),
        ("mine", "snip", 0.8),
    ]
