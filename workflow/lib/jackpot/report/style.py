"""One look for every figure: fonts, colours, markers, dashes, and files that never change by date.

Colours are Okabe and Ito's palette (Color Universal Design, 2008), which stays apart under every
common colour blindness. Marker and dash differ as well, so that a copy in grey can be read.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jackpot.files.atomic import write_atomically
from jackpot.vocabulary import in_order, words

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#767676"
BROWN, OLIVE = "#6B3E13", "#8A8A00"

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


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    label: str
    colour: str
    marker: str
    dash: str | tuple = "-"

    def line(self, **changes) -> dict:
        """Keyword arguments for a line of this look, markers with a white rim."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.dash,
            "markersize": _SIZES.get(self.marker, 5.5),
            "linewidth": 1.3,
            "markeredgecolor": "white",
            "markeredgewidth": 0.4,
            **changes,
        }

    def handle(self) -> Line2D:
        """The legend's sample of this look."""
        return Line2D([], [], label=self.label, **self.line())


_DOTS, _DASHES, _LONG = (0, (1, 1.4)), (0, (4, 1.6)), (0, (7, 2))
_DASHDOT, _DASHDOTDOT = (0, (5, 1.5, 1, 1.5)), (0, (5, 1.5, 1, 1.5, 1, 1.5))

CHECK_LOOKS = {
    "none": Look("original (no check)", BLACK, "o"),
    "random_labels": Look("random labels", ORANGE, "^", _DASHES),
    "random_pixels": Look("random pixels", SKY, "v", _DASHES),
    "corrupted_data": Look("corrupted data", VERMILION, "s", _DASHDOT),
    "half_dataset": Look("half dataset", PURPLE, "P", _DOTS),
    "rearranged": Look("rearranged", BLUE, "D", _LONG),
    "shuffled_weights": Look("shuffled weights", GREEN, "X", _DASHDOTDOT),
    "reinitialized": Look("reinitialized", BROWN, "*", _DOTS),
}
TICKET_LOOKS = {
    "dense": Look("dense (nothing pruned)", GREY, "", "--"),
    "snip": Look("SNIP", ORANGE, "^", _DASHES),
    "grasp": Look("GraSP", SKY, "v", _DASHES),
    "synflow": Look("SynFlow", GREEN, "X", _DASHDOTDOT),
    "lottery": Look("lottery", PURPLE, "P", _DOTS),
    "random": Look("random", BLACK, "o"),
    "random_uniform": Look("random uniform", GREY, "d", _DOTS),
    "weight_rewinding": Look("weight rewinding", BLUE, "D", _LONG),
    "lr_rewinding": Look("lr rewinding", VERMILION, "s", _DASHDOT),
    "hybrid": Look("hybrid", BROWN, "*", "-"),
}
DENSE = TICKET_LOOKS["dense"]

# For tickets and checks that a user brings, in this order, round and round.
_SPARE = [
    (OLIVE, "<", _LONG),
    ("#882255", ">", _DASHES),
    ("#332288", "h", _DOTS),
    ("#117733", "p", _DASHDOT),
    ("#AA4499", "8", _DASHDOTDOT),
    ("#44AA99", "H", "-"),
]


def looks(names: Iterable[str], known: Mapping[str, Look]) -> dict[str, Look]:
    """A look for every name: the fixed one where there is one, else a spare one, by name."""
    ordered = in_order(names, {name: name for name in known})
    unknown = [name for name in ordered if name not in known]
    spare = {name: Look(words(name), *_SPARE[i % len(_SPARE)]) for i, name in enumerate(unknown)}
    return {name: known.get(name) or spare[name] for name in ordered}


def draw_and_save(draw: Callable[[], Figure], out_stem: str | Path) -> list[Path]:
    """Call ``draw`` under the house style and save its figure as SVG, PDF and PNG.

    Returns:
        The three paths: ``out_stem`` with ``.svg``, ``.pdf`` and ``.png`` appended.
    """
    with rc_context():
        rcdefaults()  # a user's own matplotlibrc must not change our figures
        rcParams.update(RC)
        figure = draw()
        return [_save(figure, Path(f"{out_stem}.{kind}"), kind) for kind in _METADATA]


def _save(figure: Figure, path: Path, kind: str) -> Path:
    write_atomically(
        path,
        lambda temporary: figure.savefig(temporary, format=kind, metadata=_METADATA[kind]),
    )
    return path
