"""The tables of results as figures, tables and page use them: complete columns, one order."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from jackpot import checks
from jackpot.errors import JackpotError
from jackpot.vocabulary import CHECKS, TICKETS, in_order

CELL = ["dataset", "model", "ticket", "check", "sparsity"]
RUN = [*CELL, "seed"]
# One network at one sparsity: what a cell's check is a check of.
NETWORK = [name for name in CELL if name != "check"]
Network = tuple[str, str, str, float]

_OPTIONAL = {"collapsed": False, "study": "", "device": "", "precision": ""}
_NUMBERS = [
    "test_loss",
    "best_test_accuracy",
    "density",
    "epochs",
    "seconds",
    "images_per_second",
    "effective_density",
    "chance_accuracy",
    "test_images",
]


# What each check spoils; ``own_ingredients`` adds those of a study.
_BUILT_IN = {name: check.spoils for name, check in checks.CHECKS.items() if check.edits}
_OWN: ContextVar[Mapping[str, str]] = ContextVar("own checks", default=MappingProxyType({}))


@contextlib.contextmanager
def own_ingredients(spoiled: Mapping[str, str]) -> Iterator[None]:
    """Within this context a study's own checks are known: name -> what it spoils."""
    token = _OWN.set(spoiled)
    try:
        yield
    finally:
        _OWN.reset(token)


def spoils(check: str, default: str | None = None) -> str | None:
    """``mask``, or ``data and weights`` for a combination; ``default`` for an unknown check."""
    parts = [_OWN.get().get(part) or _BUILT_IN.get(part) for part in check.split(checks.JOIN)]
    return default if None in parts else " and ".join(parts)


def percent(share: float) -> str:
    """``0.995`` -> ``"99.5 %"``."""
    return f"{100 * share:g} %"


def prepare_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The one reading of a table of runs: every column there, checked, rows in a fixed order.

    Figures, tables, page and statistics all read ``runs.csv`` through this.

    Args:
        runs: rows of ``runs.csv``; needs ``dataset, model, ticket, check, sparsity, seed,
            test_accuracy`` (percent). Other columns that are missing, and empty fields of theirs,
            are filled with blanks. A table without any columns is one without rows.

    Returns:
        A copy. Sparsities are rounded to 9 digits, flags are booleans, and an accuracy that is not
        finite is NaN: that run has ``diverged = True``.

    Raises:
        JackpotError: a needed column is missing, values are unusable, or a run is there twice.
    """
    if not len(runs.columns):
        runs = runs.reindex(columns=[*RUN, "test_accuracy"])
    absent = [name for name in [*RUN, "test_accuracy"] if name not in runs]
    if absent:
        raise JackpotError(
            f"the table of runs lacks the column(s) {', '.join(absent)}. "
            "runs.csv has them; in a table of your own, name its columns so."
        )
    empty = [name for name in RUN if runs[name].isna().any()]
    if empty:
        raise JackpotError(
            f"the table of runs has empty fields in {', '.join(empty)}. Fill them; a run that "
            "nothing was spoiled in has the check none."
        )
    runs = runs.copy()
    for name, default in _OPTIONAL.items():
        given = pd.Series(runs.get(name, default), index=runs.index, dtype=object)
        runs[name] = given.where(given.notna(), default)
    for name in _NUMBERS:
        runs[name] = pd.to_numeric(runs[name], errors="coerce") if name in runs else np.nan
    try:
        for name in ("sparsity", "test_accuracy"):
            runs[name] = pd.to_numeric(runs[name]).astype(float)
    except (ValueError, TypeError) as error:
        raise JackpotError(
            f"the table of runs has a field that is not a number: {error}."
        ) from None
    # 1 - 0.9 and 0.1 are the same sparsity.
    runs["sparsity"] = sparsity = runs["sparsity"].round(9)
    if not sparsity.between(0, 1, inclusive="left").all():
        raise JackpotError(
            f"the table of runs has sparsity from {sparsity.min():g} to {sparsity.max():g}; "
            "shares of weights that are removed go from 0 to below 1."
        )
    runs["test_accuracy"] = runs["test_accuracy"].where(np.isfinite(runs["test_accuracy"]))
    accuracy = runs["test_accuracy"]
    if not accuracy.dropna().between(0, 100).all():
        raise JackpotError(
            f"the table of runs has test_accuracy from {accuracy.min():g} to {accuracy.max():g}; "
            "percent go from 0 to 100."
        )
    for name in ("dataset", "model", "ticket", "check"):
        runs[name] = runs[name].astype(str)
    for name, highest in accuracy.groupby(runs["dataset"]).max().items():
        if highest <= 1:
            said = f"no test_accuracy of {name} is above 1: they are read as percent"
            warnings.warn(said, stacklevel=3)
    runs["collapsed"] = np.array([flag(value) for value in runs["collapsed"]], dtype=bool)
    runs["diverged"] = runs["test_accuracy"].isna()
    twice = runs.loc[runs.duplicated(RUN), RUN]
    if len(twice):
        named = "; ".join(" ".join(map(str, row)) for row in twice.head(5).to_numpy().tolist())
        raise JackpotError(
            f"{len(twice)} run(s) are in the table twice: {named}. "
            "Keep one row a run, and give one study at a time."
        )
    return sort_cells(runs)


def flag(value: Any) -> bool:
    """True for true, "True", "yes" and counts above zero; False for blanks."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return False
    if isinstance(value, str):
        return value.strip().lower() not in {"", "false", "no", "0"}
    return bool(value)


def sort_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` in the fixed order of tickets and checks: by what names a run, as far as it has it.

    A ``reference`` is the ticket that another is compared with.
    """
    known = {"ticket": TICKETS, "reference": TICKETS, "check": CHECKS}

    def position(column: pd.Series) -> pd.Series:
        if column.name in known:
            order = in_order(column, known[str(column.name)])
            return column.map({name: i for i, name in enumerate(order)})
        return column

    by = [name for name in RUN if name in frame]
    if "reference" in frame:
        by.insert(by.index("ticket") + 1, "reference")
    return frame.sort_values(by, key=position, kind="stable").reset_index(drop=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: ``n, n_diverged, n_collapsed, mean, sd, effective_sparsity, values``.

    Accuracies are in percent.

    ``n`` counts the runs that have an accuracy; ``mean`` and ``sd`` (n - 1 in the denominator) are
    over those, collapsed ones included. ``values`` lists them in order of seed.
    """
    rows = []
    for key, cell in prepare_runs(runs).groupby(CELL, sort=False):
        accuracy = cell["test_accuracy"].dropna()
        rows.append(
            {
                **dict(zip(CELL, key, strict=True)),
                "n": len(accuracy),
                "n_diverged": int(cell["diverged"].sum()),
                "n_collapsed": int(cell["collapsed"].sum()),
                "mean": accuracy.mean(),
                "sd": accuracy.std(ddof=1),
                "effective_sparsity": 1 - cell["effective_density"].mean(),
                "values": list(accuracy),
            }
        )
    columns = [
        *CELL,
        "n",
        "n_diverged",
        "n_collapsed",
        "mean",
        "sd",
        "effective_sparsity",
        "values",
    ]
    return pd.DataFrame(rows, columns=columns)


def mask_densities(layers: pd.DataFrame) -> pd.DataFrame:
    """Density of every layer of every mask over the seeds, once for masks with equal counts.

    Args:
        layers: ``dataset, model, ticket, check, sparsity, seed, position, layer, total, kept``.

    Returns:
        ``dataset, model, ticket, check, sparsity, position, layer, mean, min`` (shares of the
        layer's weights), layers in order. A check that leaves as many weights in every layer as
        the unspoiled mask of its seed, such as ``rearranged``, is left out: its line would be that
        mask's again, but for other seeds where the two have stopped at different looks.
    """
    same = [*NETWORK, "seed", "position"]
    original = layers[layers["check"] == "none"].set_index(same)["kept"]
    theirs = original.reindex(pd.MultiIndex.from_frame(layers[same])).to_numpy()
    known = ~np.isnan(theirs)
    layers = layers.assign(
        density=layers["kept"] / layers["total"],
        known=known,
        differs=known & (theirs != layers["kept"]),
    )
    cells = layers.groupby(CELL)
    other = cells["differs"].transform("any") | ~cells["known"].transform("any")
    layers = layers[(layers["check"] == "none") | other]
    by = [*CELL, "position", "layer"]
    means = layers.groupby(by, sort=False)["density"].agg(["mean", "min"]).reset_index()
    return sort_cells(means.sort_values("position", kind="stable")).reset_index(drop=True)
