"""What tickets and checks are called in tables, figures and pages, and how they are grouped.

A name that is not here is shown as it is written, after those that are.
"""

from collections.abc import Iterable, Mapping

TICKETS = {
    "dense": "dense",
    "snip": "SNIP",
    "grasp": "GraSP",
    "synflow": "SynFlow",
    "lottery": "lottery",
    "random": "random",
    "random_uniform": "random uniform",
    "weight_rewinding": "weight rewinding",
    "lr_rewinding": "lr rewinding",
    "hybrid": "hybrid",
}
CHECKS = {
    "none": "no check",
    "random_labels": "random labels",
    "random_pixels": "random pixels",
    "corrupted_data": "corrupted data",
    "half_dataset": "half dataset",
    "rearranged": "rearranged",
    "shuffled_weights": "shuffled weights",
    "reinitialized": "reinitialized",
}

# The tables of the papers, and who is in each.

FAMILIES: dict[str, tuple[str, ...]] = {
    "initial": ("snip", "grasp", "synflow", "lottery", "lottery_iterative"),
    "random": ("random",),
    "partially_trained": ("weight_rewinding", "lr_rewinding"),
    "hybrid": ("hybrid", "hybrid_weight_rewinding", "hybrid_from_start"),
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


def words(name: str) -> str:
    """A ticket or check in words: the field's spelling where there is one."""
    return TICKETS.get(name) or CHECKS.get(name) or str(name).replace("_", " ")


def in_order(names: Iterable[str], known: Mapping[str, object]) -> list[str]:
    """The distinct ``names``: known ones in their fixed order, then the others by name."""
    present = set(names)
    return [name for name in known if name in present] + sorted(present - set(known))
