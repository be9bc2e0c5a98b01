"""Families of tickets, as the papers group them: one table each."""

from collections.abc import Iterable

FAMILIES: dict[str, tuple[str, ...]] = {
    "initial": ("snip", "grasp", "synflow", "lottery", "lottery_iterative"),
    "random": ("random",),
    "partially_trained": ("weight_rewinding", "lr_rewinding"),
    "hybrid": ("hybrid", "hybrid_weight_rewinding"),
    "dense": ("dense",),
}
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
