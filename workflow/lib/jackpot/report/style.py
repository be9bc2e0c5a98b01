"""How figures are drawn: fonts, lines, and files that never change by date."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jackpot.analysis.frames import spoils
from jackpot.checks import EDITS
from jackpot.files.atomic import write_atomically
from jackpot.vocabulary import (
    CHECKS,
    FIGURE_KINDS,
    TICKETS,
    Style,
    in_order,
    own_first,
    styles,
)

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 160,
    # Outlines, not text: the same picture on a machine that lacks the font.
    "svg.fonttype": "path",
    "svg.hashsalt": "jackpot",
    "pdf.fonttype": 42,
}

# Without dates and versions the same numbers give the same bytes.
_METADATA = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}

# Markers of one nominal size differ in area; these look alike.
_SIZES = {"*": 9.0, "P": 7.0, "X": 7.0, "D": 5.2, "^": 6.5, "v": 6.5, "<": 6.5, ">": 6.5}
_STAR = 8.0
# Behind words that stand inside an axis, so that no line strikes them through.
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def ingredient(check: str) -> str:
    """What a check spoils, in the words of the figures."""
    return "nothing" if check == "none" else spoils(check, "other")


def by_ingredient(checks: Iterable[str]) -> list[str]:
    """The distinct checks in the order of what they spoil, combinations last.

    Among those of one ingredient the built-in ones come first.
    """
    ordered = in_order(checks, CHECKS)
    kinds = in_order(map(ingredient, ordered), ("nothing", *EDITS, "other"))
    return sorted(ordered, key=lambda check: kinds.index(ingredient(check)))


def styles_of(frame: pd.DataFrame, series: str) -> dict[str, Style]:
    """The styles of the tickets or checks of ``frame``, in the order of every figure."""
    if series == "ticket":
        return styles(own_first(frame[series]), TICKETS)
    return styles(by_ingredient(frame[series]), CHECKS)


def line(style: Style, **changes) -> dict:
    """Keyword arguments for a line in this style, markers with a white rim."""
    size = _STAR if isinstance(style.marker, tuple) else _SIZES.get(style.marker, 5.5)
    return {
        "color": style.colour,
        "marker": style.marker,
        "linestyle": style.dash,
        "markersize": size,
        "linewidth": 1.3,
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
        **changes,
    }


def handle(style: Style, **changes) -> Line2D:
    """The legend's sample of this style."""
    return Line2D([], [], label=style.label, **line(style, **changes))


def draw_and_save(
    draw: Callable[[pd.DataFrame], Figure], table: pd.DataFrame, out_stem: str | Path
) -> list[Path]:
    """Call ``draw`` with a table under the house style and save its figure in every format.

    Returns:
        The paths: ``out_stem`` with ``.svg``, ``.pdf`` or ``.png`` appended.
    """
    with rc_context():
        rcdefaults()  # a user's own matplotlibrc must not change our figures
        rcParams.update(RC)
        figure = draw(table)
        return [_save(figure, Path(f"{out_stem}.{kind}"), kind) for kind in FIGURE_KINDS]


def _save(figure: Figure, path: Path, kind: str) -> Path:
    write_atomically(
        path,
        lambda temporary: figure.savefig(temporary, format=kind, metadata=_METADATA[kind]),
    )
    return path
