"""What tickets, checks and verdicts are called, in which order, and how they look, everywhere.

A name that is not here is shown as it is written, after those that are, in a style of its own.
Colours are Okabe and Ito's palette (Color Universal Design, 2008) and a few beside it, which stay
apart under every common colour blindness. Marker and dash differ as well, so that a copy in grey
can be read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#767676"
BROWN, TEAL, STEEL, KHAKI = "#6B3E13", "#44AA99", "#6699CC", "#999933"


@dataclass(frozen=True)
class Style:
    """The label of a ticket, check or verdict, and how figures draw it.

    ``marker`` and ``dash`` are Matplotlib's; ``symbol`` is the marker as a character, for text.
    """

    label: str
    colour: str
    marker: str | tuple = "o"
    dash: str | tuple = "-"
    symbol: str = ""


_DOTS, _DASHES, _LONG = (0, (1, 1.4)), (0, (4, 1.6)), (0, (7, 2))
_DASHDOT, _DASHDOTDOT = (0, (5, 1.5, 1, 1.5)), (0, (5, 1.5, 1, 1.5, 1, 1.5))

TICKETS = {
    "dense": Style("dense", GREY, "", "--"),
    "snip": Style("SNIP", ORANGE, "^", _DASHES),
    "grasp": Style("GraSP", SKY, "v", _DASHES),
    "synflow": Style("SynFlow", GREEN, "X", _DASHDOTDOT),
    "snip_iterative": Style("iterative SNIP", "#661100", "H", _DASHES),
    "force": Style("FORCE", TEAL, "8", _DASHDOT),
    "ntk_sap": Style("NTK-SAP", STEEL, (8, 1, 0), _LONG),
    "magnitude_initial": Style("magnitude at initialization", KHAKI, (5, 1, 0), _DOTS),
    "lottery": Style("lottery", PURPLE, "P", _DOTS),
    "random": Style("random", BLACK, "o"),
    "random_uniform": Style("random uniform", GREY, "d", _DOTS),
    "weight_rewinding": Style("weight rewinding", BLUE, "D", _LONG),
    "lr_rewinding": Style("learning-rate rewinding", VERMILION, "s", _DASHDOT),
    "hybrid": Style("hybrid", BROWN, "*", "-"),
}
CHECKS = {
    "none": Style("no check", BLACK, "o"),
    "random_labels": Style("random labels", ORANGE, "^", _DASHES),
    "random_pixels": Style("random pixels", SKY, "v", _DASHES),
    "corrupted_data": Style("corrupted data", VERMILION, "s", _DASHDOT),
    "half_dataset": Style("half dataset", PURPLE, "P", _DOTS),
    "inverted": Style("inverted", KHAKI, "H", _DASHES),
    "rearranged": Style("rearranged", BLUE, "D", _LONG),
    "shuffled_weights": Style("shuffled weights", GREEN, "X", _DASHDOTDOT),
    "reinitialized": Style("reinitialized", BROWN, "*", _DOTS),
    "redrawn_magnitudes": Style("redrawn magnitudes", TEAL, "8", _LONG),
    "redrawn_signs": Style("redrawn signs", STEEL, "d", _DASHDOT),
}
VERDICTS = {
    "unaffected": Style("unaffected", VERMILION, "s", symbol="≈"),
    "degraded": Style("degraded", BLUE, "v", symbol="▼"),
    "improved": Style("improved", GREEN, "^", symbol="▲"),
    "undecided": Style("undecided", GREY, "o", symbol="?"),
    "too_few_seeds": Style("too few seeds", GREY, "X", symbol="…"),
}
# Those that say something.
DECIDED = ("unaffected", "degraded", "improved")
# What a claim can come to, and its symbol.
OUTCOMES = {"held": "✓", "did_not_hold": "✗", "undecided": "?", "not_tested": "–"}

# For names that are in none of these. The two lists go round at their own lengths, so that thirty
# names differ. The colours are apart from all above.
_SPARE_MARKERS = ("<", ">", "p", (4, 1, 0), (6, 1, 0), "h")
_SPARE_LINES = (
    ("#9933FF", _LONG),
    ("#AA1155", _DASHES),
    ("#332288", _DOTS),
    ("#FF00FF", _DASHDOT),
    ("#004444", _DASHDOTDOT),
)

# The tables of the papers, and who is in each.
FAMILIES: dict[str, tuple[str, ...]] = {
    "initial": (
        "snip",
        "snip_iterative",
        "force",
        "grasp",
        "synflow",
        "ntk_sap",
        "magnitude_initial",
        "lottery",
        "lottery_iterative",
    ),
    "random": ("random",),
    "partially_trained": ("weight_rewinding", "lr_rewinding"),
    "hybrid": ("hybrid", "hybrid_weight_rewinding", "hybrid_from_start"),
    "dense": ("dense",),
}
# Every figure and the table it is drawn from; the page shows them in this order.
SOURCE_OF_FIGURE = {
    "verdicts": "verdicts",
    "sanity_checks": "runs",
    "tickets": "runs",
    "layer_densities": "layers",
    "learning_curves": "histories",
}
FIGURE_KINDS = ("svg", "pdf", "png")
TABLE_KINDS = ("csv", "md", "tex")
OTHERS = "others"


def family_of(ticket: str) -> str:
    """The family of a ticket; one that is none of the papers' is among ``others``."""
    for family, members in FAMILIES.items():
        if ticket in members or (family == "random" and ticket.startswith("random_")):
            return family
    return OTHERS


def families(tickets: Iterable[str]) -> list[str]:
    """The families that ``tickets`` belong to, in a fixed order."""
    present = {family_of(ticket) for ticket in tickets}
    return [name for name in (*FAMILIES, OTHERS) if name in present]


def tickets_of(family: str) -> str:
    """What the members of a family are called."""
    if family == "dense":
        return "dense networks"
    return f"{'other' if family == OTHERS else family.replace('_', '-')} tickets"


def words(name: str) -> str:
    """A ticket, check or verdict in words: the field's spelling where there is one."""
    if "+" in str(name):
        return " + ".join(map(words, name.split("+")))
    style = TICKETS.get(name) or CHECKS.get(name) or VERDICTS.get(name)
    return style.label if style else str(name).replace("_", " ")


def counted(number: int, noun: str) -> str:
    """``1 cell``, ``3 cells``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def in_order(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The distinct ``names``: known ones in their fixed order, then the others by name."""
    present = set(names)
    return [name for name in known if name in present] + sorted(present - set(known))


def own_first(tickets: Iterable[str]) -> list[str]:
    """The distinct tickets, a user's own before the field's."""
    return sorted(in_order(tickets, TICKETS), key=lambda ticket: family_of(ticket) != OTHERS)


def styles(names: Iterable[str], known: Mapping[str, Style]) -> dict[str, Style]:
    """A style for every name, in the order given: the fixed one, or else a spare one."""
    ordered = list(dict.fromkeys(names))
    spare = {
        name: Style(
            words(name),
            _SPARE_LINES[i % len(_SPARE_LINES)][0],
            _SPARE_MARKERS[i % len(_SPARE_MARKERS)],
            _SPARE_LINES[i % len(_SPARE_LINES)][1],
        )
        for i, name in enumerate(name for name in ordered if name not in known)
    }
    return {name: known.get(name) or spare[name] for name in ordered}
