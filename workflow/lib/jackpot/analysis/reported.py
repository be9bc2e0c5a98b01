"""Test accuracies that others reported, and ours beside them.

``data/reported.csv`` holds one row a value. Its sources:

- ``su2020``: Su et al., "Sanity-Checking Pruning Methods: Random Tickets can Win the Jackpot",
  NeurIPS 2020, arXiv 2009.11094. Random tickets only, recovered as mlrc2020's value minus the
  difference that mlrc2020 gives.
- ``mlrc2020``: Atanov, Shumovskaia and Vujasinović, ML Reproducibility Challenge 2020 (team
  answer42). Random tickets are from the table in their README; all others are the last epoch of
  their training logs, one run each. Where they have two logs of one cell, both are kept.

``note`` says for each row where it comes from. Accuracies are percentages.
"""

from importlib import resources

import pandas as pd

from jackpot.analysis.frames import CELL, prepare_runs


def load_reported() -> pd.DataFrame:
    """The reported accuracies, one row a value.

    Returns:
        ``source``, the cell columns, ``accuracy`` (%), ``note``, and ``spread``: the standard
        deviation (points) of what a source reported for one cell, NaN where that is one value.
    """
    path = resources.files("jackpot.analysis") / "data" / "reported.csv"
    with path.open(encoding="utf-8") as file:
        table = pd.read_csv(file, keep_default_na=False)
    table["sparsity"] = table["sparsity"].astype(float).round(9)
    return table.assign(spread=table.groupby(["source", *CELL])["accuracy"].transform("std"))


def reported_for(runs: pd.DataFrame) -> pd.DataFrame | None:
    """The rows of ``load_reported`` whose dataset and model are among ``runs``; None if none are.

    Raises:
        JackpotError: as for ``jackpot.analysis.frames.prepare_runs``.
    """
    here = prepare_runs(runs)[["dataset", "model"]].drop_duplicates()
    table = load_reported().merge(here, on=["dataset", "model"])
    return None if table.empty else table
