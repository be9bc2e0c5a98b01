"""The figures of a study, drawn from its tidy tables alone; nothing here trains or loads a model.

Each function takes the table; ``style.draw_and_save`` writes the files. The same numbers always
give the same bytes.
"""

import pandas as pd
from matplotlib.figure import Figure

from jackpot.analysis.frames import prepare_runs, sort_cells
from jackpot.report.accuracy import accuracy_figure, accuracy_rows
from jackpot.report.densities import density_figure
from jackpot.report.forest import forest
from jackpot.report.learning import learning_figure
from jackpot.report.panels import nothing_yet


def sanity_checks(runs: pd.DataFrame) -> Figure:
    """Accuracy against sparsity, a panel per model and ticket, a point per check.

    Points are means over seeds, bars one standard deviation, small dots beside them the single
    seeds; the grey line and band are the dense network. Tickets that no check was run on are left
    out, unless there is no other. The figure of Su et al. 2020 (figures 2 and 3) and of its
    reproduction.
    """
    runs = prepare_runs(runs)
    pruned = runs[runs["ticket"] != "dense"]
    panel = [pruned[name] for name in ("dataset", "model", "ticket")]
    checked = (pruned["check"] != "none").groupby(panel).transform("any")
    shown = pruned[checked] if checked.any() else pruned
    return accuracy_figure(runs, shown, "ticket", "check")


def tickets(runs: pd.DataFrame) -> Figure:
    """Accuracy against sparsity of every unspoiled ticket, a panel per dataset and model.

    With one sparsity in every panel, a ticket is a row.
    """
    runs = prepare_runs(runs)
    shown = runs[(runs["ticket"] != "dense") & (runs["check"] == "none")]
    if shown.groupby(["dataset", "model"])["sparsity"].nunique().max() == 1:
        return accuracy_rows(runs, shown)
    return accuracy_figure(runs, shown, None, "ticket")


def learning_curves(histories: pd.DataFrame) -> Figure:
    """Test accuracy over the epochs at each ticket's highest sparsity, a line per check.

    Lines are means over seeds; the band of the original runs from the lowest seed to the highest.
    A ticket with many checks has several panels, by what they spoil.
    """
    histories = sort_cells(histories.sort_values("epoch"))
    return learning_figure(histories)


def layer_densities(layers: pd.DataFrame) -> Figure:
    """Density of every layer of every mask, a panel per model and ticket, layers in order.

    Lines are means over seeds; the sparsity stands where its lines end. A check that leaves
    every layer's count as it was would draw the same line again, and is left out.
    """
    return density_figure(sort_cells(layers))


def verdicts(judged: pd.DataFrame) -> Figure:
    """A forest plot: the difference, its intervals and the verdict of every cell, a row a cell.

    ``judged`` has the columns of ``verdicts.csv``.
    """
    if judged.empty:
        return nothing_yet("no check has been compared")
    return forest(judged)
