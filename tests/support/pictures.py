"""Figures as tests draw them, and what they say."""

import pandas as pd
from matplotlib import rc_context

from jackpot.report import figures
from jackpot.report.style import RC

# A user's own checks, and what they spoil.
OWN = {"a_weights_check": "weights", "b_mask_check": "mask", "z_data_check": "data"}


def drawn(name, table):
    with rc_context(RC):
        return getattr(figures, name)(table)


def panels_of(figure):
    return {ax.get_title("left"): ax for ax in figure.axes}


def with_checks(table, names):
    """``table`` with the rows of the ticket left alone again under every one of ``names``."""
    alone = table[(table.check == "none") & (table.ticket != "dense")]
    return pd.concat([table, *(alone.assign(check=name) for name in names)])


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts_of(figure):
    """Every text of a figure but the numbers of its axes."""
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for ax in figure.axes:
        texts += [*ax.texts, ax.xaxis.label, ax.yaxis.label]
    return [text for text in texts if text.get_text()]
