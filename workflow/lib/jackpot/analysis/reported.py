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

_MISSING = "—"


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


def against_reported(runs: pd.DataFrame) -> pd.DataFrame:
    """Put our mean beside every reported value, run or not.

    Args:
        runs: rows of ``runs.csv``. Diverged runs do not count; collapsed ones do.

    Returns:
        ``source``, the cell columns, ``n``, ``mean``, ``sd`` (ours, NaN where not run),
        ``theirs``, ``spread``, ``difference`` (ours minus theirs, points), ``cell`` (see
        ``format_cell``) and ``note``, in the order of ``load_reported``.

    Raises:
        JackpotError: as for ``jackpot.analysis.frames.prepare_runs``.
    """
    ours = prepare_runs(runs).groupby(CELL)["test_accuracy"].agg(n="count", mean="mean", sd="std")
    table = load_reported().rename(columns={"accuracy": "theirs"})
    table = table.merge(ours.reset_index(), on=CELL, how="left")
    table = table.assign(
        n=table["n"].fillna(0).astype(int),
        difference=table["mean"] - table["theirs"],
        cell=[format_cell(*pair) for pair in zip(table["mean"], table["theirs"], strict=True)],
    )
    order = ["source", *CELL, "n", "mean", "sd", "theirs", "spread", "difference", "cell", "note"]
    return table[order]


def format_cell(ours: float | None, theirs: float | None) -> str:
    """Ours with its difference from theirs, ``93.65 (-0.12)``, as mlrc2020's tables have it.

    A gain has no sign. A cell that is not run yet is ``— [93.77]``: square brackets hold a
    reported value, never a difference. Without a reported value the cell is ours alone.
    """
    has_ours, has_theirs = pd.notna(ours), pd.notna(theirs)
    if not has_theirs:
        return f"{ours:.2f}" if has_ours else _MISSING
    if not has_ours:
        return f"{_MISSING} [{theirs:.2f}]"
    # The difference of the numbers shown, so that a reader can check it (and never "-0.00").
    difference = round(ours, 2) - round(theirs, 2)
    return f"{ours:.2f} ({difference:.2f})"
