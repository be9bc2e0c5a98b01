"""The one reading of a table of runs."""

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.frames import prepare_runs
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
