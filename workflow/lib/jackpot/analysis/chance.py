"""Networks that end no better than guessing: a verdict on one compares chance with chance."""

import pandas as pd

from jackpot.analysis.frames import NETWORK, Network
from jackpot.analysis.sequential import resolutions


def guessing(runs: pd.DataFrame) -> dict[Network, pd.DataFrame]:
    """Every dense network, and every ticket, that ends no better than guessing: its runs.

    That is, the median of its unchecked runs lies no more than three standard errors above the
    accuracy of a guess, on so many test images; one that diverged counts as 0. Where no
    ``chance_accuracy`` is known, none is named.

    Args:
        runs: prepared runs.
    """
    step = resolutions(runs)
    unchecked = runs[(runs["check"] == "none") & runs["chance_accuracy"].notna()]
    found = {}
    for key, part in unchecked.groupby(NETWORK, sort=False):
        chance = part["chance_accuracy"].iloc[0]
        noise = (chance * (100 - chance) * step[key[0]] / 100) ** 0.5
        if part["test_accuracy"].fillna(0.0).median() <= chance + 3 * noise:
            found[key] = part
    return found


def at_chance_column(table: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """Whether each cell of ``table`` is of a ticket that is among ``guessing``; None if unknown."""
    found = guessing(runs)
    known = set(runs.loc[runs["chance_accuracy"].notna(), "dataset"])
    said = [
        key in found if key[0] in known else None
        for key in table[NETWORK].itertuples(index=False, name=None)
    ]
    return pd.Series(said, table.index, object)
